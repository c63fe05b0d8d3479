"""From measurements to a fitted cost."""
