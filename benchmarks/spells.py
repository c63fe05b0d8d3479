"""How steady this machine is: one loop in a process for each core, beside itself some seconds later.

python -m benchmarks.spells [--seconds 240] [--rest 30]

A pilot measures a spell and predicts what comes after it, and no pilot of that length errs less than printed here: by how
much the speed of all cores together in a spell of 1, 2, 6 and 15 seconds differed from that in the ``--rest`` seconds after.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import time

import numpy as np

from benchmarks.versions import versions

SPELLS = (1, 2, 6, 15)


def passes(seconds: int) -> list[float]:
    """Passes of a loop in each second of the wall, per second of it."""
    found = []
    for _ in range(seconds):
        begin, done = time.perf_counter(), 0
        while (took := time.perf_counter() - begin) < 1.0:
            sum(i * i for i in range(20_000))
            done += 1
        found.append(done / took)
    return found


def differences(speed: np.ndarray, spell: int, rest: int) -> np.ndarray:
    """Log ratio of the mean speed of every spell to that of what follows it."""
    starts = range(0, len(speed) - spell - rest + 1, spell)
    pairs = [(speed[s : s + spell].mean(), speed[s + spell : s + spell + rest].mean()) for s in starts]
    return np.array([math.log(before / after) for before, after in pairs])


def main() -> None:
    """Print a line for each length of a spell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--rest", type=int, default=30)
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        speed = np.array(pool.map(passes, [options.seconds] * cores, chunksize=1))
    print(versions("numpy"))
    own = np.log(speed) - np.log(speed.mean(axis=1, keepdims=True))
    print(
        f"{cores} cores for {options.seconds} s: from second to second one core swings by {own.std():.1%} (standard "
        f"deviation), between {speed.min() / speed.mean():.2f} and {speed.max() / speed.mean():.2f} of the mean"
    )
    for spell in SPELLS:
        off = differences(speed.mean(axis=0), spell, options.rest)
        print(
            f"{spell:3} s beside the {options.rest} s after: {np.median(np.abs(np.expm1(off))):6.1%} in the median, "
            f"standard deviation {off.std():6.1%}, within 10 % {np.mean(np.abs(np.expm1(off)) <= 0.1):4.0%} of {len(off)}"
        )


if __name__ == "__main__":
    main()
