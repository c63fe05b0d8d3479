"""Fitted models of scikit-learn from partial results: what they hold is that of a fit on all the data."""
