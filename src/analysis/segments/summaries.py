"""What groups of customers come to: how many, what they bring, where they move, how two divisions
agree.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.schema import STAGES
from analysis.segments.registry import Segmentation
from analysis.segments.rfm import RFM_SEGMENTS, SCORES, abc_profit, place
from analysis.statistics import wilson

FEWEST = 30  # customers; a share of fewer is too unsure for a headline


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
    """Every class of every segmentation, in the order of its texts, then the company's own words by
    revenue.

    Columns: segmentation, group, customers, customers_share, revenue, revenue_share.
    """
    keyed = segmented.set_index("customer_id")
    tables = [_classes_of(people, keyed[entry.class_column], entry) for entry in made]
    return pd.concat(tables, ignore_index=True)


def _classes_of(people: pd.DataFrame, groups: pd.Series, entry: Segmentation) -> pd.DataFrame:
    found = by_group(people, groups)
    order = [name for name in entry.classes if name in found.index] + [
        n for n in found.index if n not in entry.classes
    ]
    table = found.loc[order].reset_index().assign(segmentation=entry.name)
    table["customers_share"] = table.customers / len(people)
    return table[
        ["segmentation", "group", "customers", "customers_share", "revenue", "revenue_share"]
    ]


def left_out(lacking: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What `chosen` leaves out. Columns: segmentation, table, lacks (columns of that table)."""
    rows = [(name, *column.split(".")) for name, columns in lacking.items() for column in columns]
    return pd.DataFrame(rows, columns=["segmentation", "table", "lacks"])


def disagreements(people: pd.DataFrame, segmented: pd.DataFrame) -> pd.DataFrame:
    """Customers whose class by profit is not their class by revenue, the furthest apart and largest
    revenue first.

    Columns: customer_id, abc_revenue, abc_profit, window_revenue, window_profit, margin.
    """
    if "abc_profit" not in segmented:
        return pd.DataFrame(
            columns=[
                "customer_id",
                "abc_revenue",
                "abc_profit",
                "window_revenue",
                "window_profit",
                "margin",
            ]
        )
    rank = {name: number for number, name in enumerate(abc_profit.classes)}
    both = segmented[["customer_id", "abc_revenue", "abc_profit"]].merge(
        people[["customer_id", "window_revenue", "window_profit"]], on="customer_id"
    )
    apart = (both.abc_revenue.map(rank) - both.abc_profit.map(rank)).abs()
    found = both.assign(
        apart=apart, margin=both.window_profit / both.window_revenue.where(both.window_revenue > 0)
    )
    found = found[(found.apart > 0) & (found.abc_profit != "unknown")].sort_values(
        ["apart", "window_revenue", "customer_id"], ascending=[False, False, True]
    )
    return found.drop(columns="apart").reset_index(drop=True)


def profit_facts(people: pd.DataFrame, segmented: pd.DataFrame) -> dict[str, float]:
    """Customers of class A by profit (a), of another class than by revenue (differ), and at a loss
    (loss; lost: money).

    Empty where profit is not known.
    """
    if "abc_profit" not in segmented:
        return {}
    at_loss = people.window_profit[people.window_profit < 0]
    return {
        "a": int((segmented.abc_profit == "A").sum()),
        "differ": len(disagreements(people, segmented)),
        "loss": len(at_loss),
        "lost": float(-at_loss.sum()),
    }


def class_grid(segmented: pd.DataFrame, rows: Segmentation, columns: Segmentation) -> pd.DataFrame:
    """Customers by the classes of two segmentations; classes nobody is in stand at 0."""
    counts = pd.crosstab(segmented[rows.class_column], segmented[columns.class_column])
    return counts.reindex(index=list(rows.classes), columns=list(columns.classes), fill_value=0)


def outcomes(people: pd.DataFrame, segmented: pd.DataFrame) -> pd.DataFrame:
    """What attributes are compared with, keyed by customer_id. Columns: revenue (value window),
    stage (in order).
    """
    stages = (
        segmented.set_index("customer_id")
        .stage.astype(pd.CategoricalDtype(STAGES))
        .cat.remove_unused_categories()
    )
    return pd.DataFrame(
        {"revenue": people.set_index("customer_id").window_revenue, "stage": stages}
    )


def stage_moves(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Where the customers of each stage (index) at an earlier day are now: shares of them by stage
    (columns).

    `then` and `now` have customer_id and stage. A stage that nobody was in is left out.
    """
    both = then[["customer_id", "stage"]].merge(
        now[["customer_id", "stage"]], on="customer_id", suffixes=("_then", "_now")
    )
    shares = pd.crosstab(both.stage_then, both.stage_now, normalize="index")
    return shares.reindex(
        index=[s for s in STAGES if s in shares.index], columns=list(STAGES), fill_value=0.0
    )


def conversion(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Of the customers of each stage at an earlier day, who has ordered since.

    `then` has customer_id, stage and orders, `now` customer_id and orders. Columns: stage (in
    order), customers, ordered, share, low, high (Wilson's interval at 95 %).
    """
    both = then.merge(now[["customer_id", "orders"]], on="customer_id", suffixes=("", "_now"))
    both["again"] = both.orders_now > both.orders
    counts = (
        both.groupby("stage")
        .again.agg(customers="size", ordered="sum")
        .reindex(STAGES)
        .dropna()
        .astype(int)
    )
    share = counts.ordered / counts.customers
    low, high = wilson(share, counts.customers)
    return counts.assign(share=share, low=low, high=high).reset_index(names="stage")


def shares_of(conversion: pd.DataFrame, fewest: int = FEWEST) -> dict[str, float]:
    """Of `conversion`: the share that ordered since, by stage; nan where fewer than `fewest`
    customers were in it.
    """
    known = conversion[conversion.customers >= fewest].set_index("stage").share
    return {stage: float(known.get(stage, np.nan)) for stage in STAGES}


def score_grid(segmented: pd.DataFrame, scores: int = SCORES) -> pd.DataFrame:
    """Customers by r_score (index, the highest first) and f_score (columns); scores nobody has
    stand at 0.
    """
    counts = pd.crosstab(segmented.r_score, segmented.f_score)
    return counts.reindex(index=range(scores, 0, -1), columns=range(1, scores + 1), fill_value=0)


def segment_names(
    names: Sequence[Sequence[str]] = RFM_SEGMENTS, scores: int = SCORES
) -> pd.DataFrame:
    """The named segments as a table. Columns: recency (score, the best first), segment, fm_low,
    fm_high (from which to which mean of the other two scores).
    """
    rows = place(range(1, scores + 1), scores, len(names))
    cells = [
        (r, names[len(names) - 1 - rows[r - 1]][rows[fm - 1]], fm)
        for r in range(scores, 0, -1)
        for fm in range(1, scores + 1)
    ]
    ranges = (
        pd.DataFrame(cells, columns=["recency", "segment", "fm"])
        .groupby(["recency", "segment"], sort=False)
        .fm
    )
    return ranges.agg(fm_low="min", fm_high="max").reset_index()


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
    """The same for revenue, and for profit where it is known. Columns: measure, customers, value."""
    curves = [concentration(people.window_revenue).assign(measure="revenue")]
    if "window_profit" in people:
        curves.append(concentration(people.window_profit, losses=True).assign(measure="profit"))
    return pd.concat(curves, ignore_index=True)
