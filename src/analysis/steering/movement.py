"""Movement of customers between tiers over time."""

import datetime as dt

import numpy as np
import pandas as pd

from analysis.report.text import N_

MOVING_TIERS = ["strategic", "important", "ordinary"]  # highest first; who ordered is in one


def tier_counts(history: pd.DataFrame) -> pd.DataFrame:
    """Customers by month end (index) and tier (columns, highest first)."""
    counts = history.groupby(["month_end", "tier"]).size().unstack(fill_value=0)
    return counts.reindex(columns=MOVING_TIERS, fill_value=0)


def compared_with(history: pd.DataFrame, months: int) -> pd.Timestamp:
    """The month end `months` before the last one, or the first there is."""
    ends = sorted(history.month_end.unique())
    return ends[max(-1 - months, -len(ends))]


def moves(history: pd.DataFrame, months: int) -> pd.DataFrame:
    """Customers at the last month end and `months` month ends before it, or the first one there is.

    Columns: customer_id, tier_before, tier_after, orders_before, orders_after, revenue_before,
    revenue_after.
    """
    figures = history.set_index("customer_id")[["tier", "window_orders", "window_revenue"]]
    figures = figures.set_axis(["tier", "orders", "revenue"], axis=1)
    month_end = history.month_end.to_numpy()
    before, after = (
        figures[month_end == end]
        for end in (compared_with(history, months), history.month_end.max())
    )
    return before.join(after, lsuffix="_before", rsuffix="_after").reset_index()


def migration(moves: pd.DataFrame) -> pd.DataFrame:
    """Customers by tier before (index) and after (columns), highest first."""
    table = pd.crosstab(moves.tier_before, moves.tier_after)
    return table.reindex(index=MOVING_TIERS, columns=MOVING_TIERS, fill_value=0)


def moved_down(moves: pd.DataFrame) -> pd.DataFrame:
    """Who is in a lower tier than before and why, the largest loss of revenue first.

    Adds `loss` (money) and `why`: no_orders, fewer_orders or smaller_orders (whichever took more);
    no_loss of who brings no less: the fall was before, or others rose.
    """
    rank = MOVING_TIERS.index
    down = moves[moves.tier_after.map(rank) > moves.tier_before.map(rank)].copy()
    down["loss"] = down.revenue_before - down.revenue_after
    orders = down.orders_after / down.orders_before.where(down.orders_before > 0)
    value = (down.revenue_after / down.revenue_before) / orders
    down["why"] = np.select(
        [
            ~(down.loss > 0),
            down.orders_after == 0,
            (down.revenue_after <= 0) | ~(orders < value),
        ],
        ["no_loss", "no_orders", "smaller_orders"],
        "fewer_orders",
    )
    return down.sort_values(["loss", "customer_id"], ascending=[False, True], ignore_index=True)


def down_verdict(down: pd.DataFrame, before: dt.date) -> tuple[str, dict[str, object]]:
    """What is said of `moved_down` since a day: a finding and its values."""
    fallen = down[down.loss > 0]
    why = fallen.why.mode().get(0, "")
    values = {"before": before, "loss": fallen.loss.sum(), "why": why}
    values |= {"down": len(down), "less": len(fallen), "count": sum(fallen.why == why)}
    if down.empty:
        return N_("Nobody moved down a tier since {before:date}."), values
    if values["loss"] > 0:
        return N_(
            "Of {down:int} customers who moved down, {less:int} bring less in the value window, by"
            " {loss:money} together; most often the reason is: {why:word} (of customers:"
            " {count:int})."
        ), values
    return N_(
        "Those who moved down a tier since {before:date} bring no less than on that day: they fell"
        " before, or others rose."
    ), values


def moved(migration: pd.DataFrame, way: str) -> int:
    """How many moved `up` or `down` in the table of migration."""
    return int((np.tril if way == "up" else np.triu)(migration, -1 if way == "up" else 1).sum())


def stayed(migration: pd.DataFrame, tier: str) -> float:
    """The share of a tier that is still in it."""
    total = migration.loc[tier].sum()
    return float(migration.loc[tier, tier] / total) if total else float("nan")
