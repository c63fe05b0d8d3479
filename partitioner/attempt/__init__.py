"""What runs on a worker: one attempt at one sub-task. Knows the run directory, no engine and no coordinator."""
