"""How long a linear programme may take: seconds, or where steps count, iterations of the solver."""

from __future__ import annotations

from typing import Any

from partitioner.placement import clock

_LEAST_SECONDS, _MOST_SECONDS = 0.05, 1e6
_LEAST_ITERATIONS, _MOST_ITERATIONS = 20, 10_000_000


def limit_of(deadline: float, steps_per_iteration: float) -> dict[str, Any]:
    """The option of ``scipy.optimize.linprog`` that ends a solve about at ``deadline``."""
    left = max(_LEAST_SECONDS, min(deadline - clock.now(), _MOST_SECONDS))
    if not clock.is_counted():
        return {"time_limit": left}
    most = left / clock.STEP_SECONDS / steps_per_iteration
    return {"maxiter": int(max(_LEAST_ITERATIONS, min(most, _MOST_ITERATIONS)))}
