"""A plan for a million customers of three options each, a budget and 50 capacities: seconds, gap,
and the peak of the process.
"""

import resource
import sys
import time

import numpy as np
import pandas as pd

from analysis.strategy import allocation

CUSTOMERS = 1_000_000
WAYS = {
    "mail": (0.5, 0.4),
    "phone": (4.0, 0.9),
    "visit": (25.0, 2.5),
}  # mean cost, and gain in means of the customer's
OWNERS = 47  # with the three ways, 50 capacities


def options(customers: int) -> pd.DataFrame:
    """Generated with a seed: gains are skewed, and differ by way."""
    rng = np.random.default_rng(7)
    ids = np.char.add("K", np.char.zfill(np.arange(customers).astype(str), 7))
    owner, worth = rng.integers(0, OWNERS, customers), rng.lognormal(2, 1.2, customers)
    parts = []
    for way, (cost, gain) in WAYS.items():
        part = {
            "customer_id": ids,
            "rule": way,
            "channel": way,
            "owner": np.char.add("o", owner.astype(str)),
        }
        parts.append(
            pd.DataFrame(part).assign(
                gain=worth * gain * rng.lognormal(-0.1, 0.5, customers),
                cost=cost * rng.lognormal(0, 0.3, customers),
            )
        )
    return pd.concat(parts, ignore_index=True)


def limits(customers: int) -> allocation.Limits:
    """A fiftieth of what all would cost; few can be phoned or visited, and owners have time for a
    tenth to a half of theirs.
    """
    capacity: dict[allocation.Where, float] = {
        ("channel", w): customers * s for w, s in zip(WAYS, (0.3, 0.1, 0.01), strict=True)
    }
    capacity |= {
        ("owner", f"o{n}"): customers / OWNERS * (0.1 + 0.4 * n / OWNERS) for n in range(OWNERS)
    }
    return allocation.Limits(budget=customers * 0.6, capacity=capacity)


def main(customers: int = CUSTOMERS) -> None:
    frame, limit = options(customers), limits(customers)
    begun = time.perf_counter()
    plan = allocation.choose(frame, limit)
    seconds = time.perf_counter() - begun
    binding = sum(price > 0 for price in plan.prices.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{customers:,} customers: {seconds:.1f} s, gap {plan.gap:.3%} ({plan.method}), profit"
        f" {plan.profit:,.0f}, "
        # type: ignore[operator]
        f"spent {plan.spent / limit.budget:.3%} of the budget, {binding} capacities bind, peak"
        f" {peak:.2f} GB"
    )
    begun = time.perf_counter()
    points = len(allocation.curve(frame, limit))
    print(f"curve of {points} points: {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CUSTOMERS)
