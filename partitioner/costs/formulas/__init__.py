"""Arithmetic formulas over named values."""
