"""What groups of customers come to: how many, what they bring, how two divisions agree."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.segments.abc import abc_profit
from analysis.segments.segmentation import Segmentation


def known_sum(money: pd.Series) -> float:
    """The sum, or nan where nothing is known."""
    return float(money.sum(min_count=1))


def by_group(people: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """What each group is worth, the highest revenue first; `groups` by customer_id.

    Columns: group (index), customers, revenue (value window), revenue_share, orders (in the window,
    mean), recency_days (mean).
    """
    size = people.groupby(people.customer_id.map(groups).rename("group")).agg(
        customers=("orders", "size"),
        revenue=("window_revenue", known_sum),
        orders=("window_orders", "mean"),
        recency_days=("recency_days", "mean"),
    )
    total = size.revenue.sum()
    size.insert(2, "revenue_share", size.revenue / total if total > 0 else np.nan)
    return size.sort_values(["revenue", "customers"], ascending=False)


def overview(
    people: pd.DataFrame, segmented: pd.DataFrame, made: Sequence[Segmentation]
) -> pd.DataFrame:
    """Every class of every segmentation, in the order of its classes, then the company's own words
    by revenue.

    Columns: segmentation, group, customers, customers_share, revenue, revenue_share.
    """
    keyed, tables = segmented.set_index("customer_id"), []
    for entry in made:
        found = by_group(people, keyed[entry.class_column])
        order = [name for name in entry.classes if name in found.index]
        order += [name for name in found.index if name not in entry.classes]
        tables.append(found.loc[order].reset_index().assign(segmentation=entry.name))
    whole = pd.concat(tables, ignore_index=True)
    whole["customers_share"] = whole.customers / len(people)
    columns = "segmentation group customers customers_share revenue revenue_share"
    return whole[columns.split()]


def disagreements(people: pd.DataFrame, segmented: pd.DataFrame) -> pd.DataFrame:
    """Customers whose class by profit is not their class by revenue, the furthest apart and largest
    revenue first; `segmented` with abc_profit.

    Columns: customer_id, abc_revenue, abc_profit, window_revenue, window_profit, margin.
    """
    both = segmented[["customer_id", "abc_revenue", "abc_profit"]].merge(
        people[["customer_id", "window_revenue", "window_profit"]], on="customer_id"
    )
    both["margin"] = both.window_profit / both.window_revenue.where(both.window_revenue > 0)
    rank = {name: number for number, name in enumerate(abc_profit.classes)}
    both["apart"] = (both.abc_revenue.map(rank) - both.abc_profit.map(rank)).abs()
    found = both[(both.apart > 0) & (both.abc_profit != "unknown")]
    order, ascending = ["apart", "window_revenue", "customer_id"], [False, False, True]
    return found.sort_values(order, ascending=ascending, ignore_index=True).drop(columns="apart")


def losses(people: pd.DataFrame) -> dict[str, float]:
    """Customers who cost more than they paid (loss), and how much (lost, money)."""
    at_loss = people.window_profit[people.window_profit < 0]
    return {"loss": len(at_loss), "lost": float(-at_loss.sum())}


def concentration(values: pd.Series, losses: bool = False, points: int = 100) -> pd.DataFrame:
    """Which share of the positive total the most valuable share of customers brings; with `losses`
    of the net total, which rises above 1 where others cost money. Columns: customers, value. Empty
    where the total is not above zero.
    """
    known = values.fillna(0) if losses else values.clip(lower=0).fillna(0)
    ordered = known.sort_values(ascending=False).to_numpy()
    if not ordered.sum() > 0:
        return pd.DataFrame({"customers": [], "value": []})
    held = np.append(0, ordered.cumsum() / ordered.sum())
    shares = np.linspace(0, 1, points + 1)
    value = np.interp(shares, np.linspace(0, 1, len(held)), held)
    return pd.DataFrame({"customers": shares, "value": value})


def concentrations(people: pd.DataFrame) -> pd.DataFrame:
    """Of revenue, and of profit where it is known. Columns: measure, customers, value."""
    curves = [concentration(people.window_revenue).assign(measure="revenue")]
    if "window_profit" in people:
        curves.append(concentration(people.window_profit, losses=True).assign(measure="profit"))
    return pd.concat(curves, ignore_index=True)
