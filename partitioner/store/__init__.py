"""What a run keeps for itself on a disk or in a store: its directory, its commits and who drives it."""
