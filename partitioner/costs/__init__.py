"""Cost models: seconds and peak memory of every fragment."""
