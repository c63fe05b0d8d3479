"""Splitters: fragments and their costs into sub-tasks within limits."""
