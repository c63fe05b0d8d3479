"""Statistics of several columns at once; those of one column lie in the room above."""
