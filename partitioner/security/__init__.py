"""Who and what is let in: sealed and signed files, trusted modules, bounded YAML, masked secrets."""
