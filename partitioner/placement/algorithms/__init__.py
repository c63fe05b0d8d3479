"""The placement algorithms that are registered, one a file."""
