"""Reports: predicted against actual, for people."""
