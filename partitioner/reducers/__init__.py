"""Reducers: how partial results become one result."""
