"""RFM, ABC by revenue and profit, stage and tier of five million customers: seconds, and the peak
of the process.
"""

import resource
import time

import numpy as np
import pandas as pd

from analysis.segments.registry import SEGMENTATIONS
from analysis.strategy import picture, playbook, tiers

CUSTOMERS = 5_000_000


def people(count: int) -> pd.DataFrame:
    """Customers as of a day, generated with a seed; one in twenty is a prospect."""
    rng = np.random.default_rng(5)
    orders = rng.geometric(0.25, count) * (rng.random(count) > 0.05)
    age = rng.integers(1, 1500, count)
    recency = (age * rng.beta(1, 1 + orders, count)).astype(int)
    revenue = rng.lognormal(4, 1, count) * orders
    bought = orders > 0
    return pd.DataFrame(
        {
            "customer_id": pd.Series(np.arange(count)).astype("str"),
            "orders": orders,
            "frequency": np.maximum(orders - 1, 0),
            "recency_days": np.where(bought, recency, np.nan),
            "age_days": np.where(bought, age, np.nan),
            "window_orders": orders,
            "window_revenue": revenue,
            "revenue": revenue,
            "window_profit": revenue * rng.normal(0.3, 0.2, count),
        }
    )


def main(count: int = CUSTOMERS) -> None:
    known = people(count)
    buyers = known[known.orders > 0].customer_id
    rng = np.random.default_rng(6)
    clv = pd.DataFrame(
        {"customer_id": buyers, "clv": rng.lognormal(3, 1, len(buyers)), "expected_orders": 1.0}
    )
    churn = pd.DataFrame(
        {"customer_id": buyers, "churn_risk": rng.random(len(buyers)), "risk_band": "low"}
    )
    made, people_so_far, started = {}, known, time.perf_counter()
    for entry in (SEGMENTATIONS[name] for name in ("abc", "abc_profit", "lifecycle", "rfm")):
        begun = time.perf_counter()
        made[entry.name] = entry(people_so_far)
        people_so_far = people_so_far.assign(**made[entry.name].set_axis(known.index))
        print(f"{entry.name:<12}{time.perf_counter() - begun:6.1f} s", flush=True)
    begun = time.perf_counter()
    rules, stages = playbook.load().tiers, made["lifecycle"].reset_index()
    met = tiers.lines(known.assign(stage=stages.stage), rules)
    history = known[["customer_id"]].assign(month_end=pd.Timestamp("2025-12-31"), line=met)
    matrix = picture.draw(known, stages, history, rules, "en", clv, churn)
    print(f"{'tier':<12}{time.perf_counter() - begun:6.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{len(matrix):,} customers: {time.perf_counter() - started:.1f} s, peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
