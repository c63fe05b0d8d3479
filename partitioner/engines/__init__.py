"""Engines: where attempts run. They differ by declared capabilities, never by name."""
