"""Lower bounds on the makespan: each true for every feasible plan."""
