"""Searches that start from a known schedule and improve it."""
