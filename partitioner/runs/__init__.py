"""A run after its sub-tasks: what it returns, how it goes on, how its output is checked and repaired."""
