"""The published contract suites, one per kind; ``one_call.check`` runs one of them on something of one's own."""
