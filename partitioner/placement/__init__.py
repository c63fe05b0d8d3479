"""Placement: sub-tasks onto workers, with a lower bound. One algorithm per file."""
