"""What groups of customers come to: how many, what they bring, how two divisions agree."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.segments.abc import abc, abc_profit
from analysis.segments.segmentation import Segmentation


def known_sum(money: pd.Series) -> float:
    """The sum, or nan where nothing is known."""
    return float(money.sum(min_count=1))


def by_group(people: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """What each group is worth, the highest revenue first; `groups` by customer_id.

    Columns: group (index), customers, revenue (value window), revenue_share, orders (in the window,
    mean), recency_days (mean).
    """
    keyed = people.set_index("customer_id").assign(group=groups)
    size = keyed.groupby("group").agg(
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


def left_out(lacking: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What the registry's `chosen` leaves out. Columns: segmentation, table, lacks (columns of that
    table).
    """
    rows = [(name, *column.split(".")) for name, columns in lacking.items() for column in columns]
    return pd.DataFrame(rows, columns=["segmentation", "table", "lacks"])


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
    apart = (both.abc_revenue.map(rank) - both.abc_profit.map(rank)).abs()
    found = both.assign(apart=apart)[(apart > 0) & (both.abc_profit != "unknown")]
    order, ascending = ["apart", "window_revenue", "customer_id"], [False, False, True]
    return found.sort_values(order, ascending=ascending, ignore_index=True).drop(columns="apart")


def profit_facts(people: pd.DataFrame, segmented: pd.DataFrame) -> dict[str, float]:
    """Customers of class A by profit (a), of another class than by revenue (differ), and at a loss
    (loss; lost: money); `segmented` with abc_profit.
    """
    at_loss = people.window_profit[people.window_profit < 0]
    return {
        "a": int((segmented.abc_profit == "A").sum()),
        "differ": len(disagreements(people, segmented)),
        "loss": len(at_loss),
        "lost": float(-at_loss.sum()),
    }


def class_grid(segmented: pd.DataFrame) -> pd.DataFrame:
    """Customers by class of revenue (index) and of profit (columns); classes nobody is in stand at
    0.
    """
    counts = pd.crosstab(segmented.abc_revenue, segmented.abc_profit)
    return counts.reindex(index=list(abc.classes), columns=list(abc_profit.classes), fill_value=0)


def concentration(values: pd.Series, points: int = 100, losses: bool = False) -> pd.DataFrame:
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
    return pd.DataFrame(
        {"customers": shares, "value": np.interp(shares, np.linspace(0, 1, len(held)), held)}
    )


def concentrations(people: pd.DataFrame) -> pd.DataFrame:
    """Of revenue, and of profit where it is known. Columns: measure, customers, value."""
    curves = [concentration(people.window_revenue).assign(measure="revenue")]
    if "window_profit" in people:
        curves.append(concentration(people.window_profit, losses=True).assign(measure="profit"))
    return pd.concat(curves, ignore_index=True)
