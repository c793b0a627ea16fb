"""The picture of the customers at a date: tier, stage, risk and value of each, and what the cells
of the matrix (tier x stage) hold. One rule for any date, from what was known then.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.schema import STAGES
from analysis.segments.associations import associations
from analysis.segments.small_cells import grouped
from analysis.segments.summaries import known_sum
from analysis.strategy.tiers import TIERS, TierRule, today

Risk = Literal["high", "medium", "low", "unknown", "none"]
RISKS = get_args(Risk)


def draw(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    history: pd.DataFrame,
    rules: Sequence[TierRule],
    language: str,
    clv: pd.DataFrame | None = None,
    churn: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The table `matrix` at the date of `customers`, a row for each of them; `history` as from
    tiers.history.

    Columns: customer_id, stage (of `segments`), risk_band, churn_risk, clv, revenue (value window),
    tier and its reason. Without `clv` no forecast stands beside them; without `churn` the risk is
    unknown.
    """
    ids = customers.customer_id
    found = [
        _columns_of(segments, ["stage"], ids),
        _columns_of(clv, ["clv"], ids),
        _columns_of(churn, ["churn_risk", "risk_band"], ids),
    ]
    facts = pd.concat([customers, *found], axis=1)
    without = np.where(facts.stage.eq("prospect") | (churn is not None), "none", "unknown")
    facts["risk_band"] = facts.risk_band.astype(object).where(facts.risk_band.notna(), without)
    made = facts[["customer_id", "stage", "risk_band", "churn_risk", "clv"]]
    made = made.assign(revenue=facts.window_revenue).astype({"risk_band": "str"})
    return made.join(today(history, facts, rules, language))


def _columns_of(frame: pd.DataFrame | None, columns: list[str], ids: pd.Series) -> pd.DataFrame:
    """Columns of another table for these customers, empty where it lacks them. Arrow matches
    millions of texts in a third of the time of a merge.
    """
    if frame is None:
        return pd.DataFrame(np.nan, ids.index, columns)
    rows = pc.index_in(pa.array(ids), value_set=pa.array(frame.customer_id)).fill_null(-1)
    return frame.reset_index(drop=True)[columns].reindex(rows.to_numpy()).set_axis(ids.index)


def at_odds(clv: pd.DataFrame, churn: pd.DataFrame) -> dict[str, float]:
    """Customers whose chance of an order (1 less the risk) is above the number of orders expected
    of them, which no truth allows. Keys: customers (how many), gap (at the median).
    """
    chance = 1 - churn.set_index("customer_id").churn_risk
    gap = chance - clv.set_index("customer_id").expected_orders
    over = gap[gap > 0]
    return {"customers": len(over), "gap": over.median()}


def cells(matrix: pd.DataFrame) -> pd.DataFrame:
    """The cells that hold customers, tier by tier and stage by stage.

    Columns: tier, stage, customers, revenue (value window), clv (sum), leavers (expected), risk
    (mean), high_risk (customers).
    """
    ordered = matrix.assign(
        tier=pd.Categorical(matrix.tier, TIERS),
        stage=pd.Categorical(matrix.stage, STAGES),
        high=matrix.risk_band == "high",
    )
    table = ordered.groupby(["tier", "stage"], observed=True).agg(
        customers=("customer_id", "size"),
        revenue=("revenue", known_sum),
        clv=("clv", known_sum),
        leavers=("churn_risk", "sum"),
        risk=("churn_risk", "mean"),
        high_risk=("high", "sum"),
    )
    return table.reset_index().astype({"tier": "str", "stage": "str"})


def strategic(matrix: pd.DataFrame) -> dict[str, float]:
    """Strategic customers: how many (strategic), their share of those who ordered and of revenue
    (share, revenue_share), the silent or lost (silent, silent_revenue), at high risk (risky,
    risky_revenue).
    """
    top = matrix[matrix.tier == "strategic"]
    gone, risky = top[top.stage.isin(["silent", "lost"])], top.risk_band == "high"
    revenue = matrix.revenue.sum()
    return {
        "strategic": len(top),
        "share": len(top) / max((matrix.stage != "prospect").sum(), 1),
        "revenue_share": top.revenue.sum() / revenue if revenue > 0 else np.nan,
        "silent": len(gone),
        "silent_revenue": gone.revenue.sum() if matrix.revenue.notna().any() else np.nan,
        "risky": int(risky.sum()),
        "risky_revenue": top.revenue[risky].sum() if matrix.revenue.notna().any() else np.nan,
    }


def risks(matrix: pd.DataFrame) -> pd.Series:
    """The risk band of everybody with an order, by customer_id, as categories from high down."""
    ordered = matrix[matrix.risk_band != "none"].set_index("customer_id").risk_band
    return ordered.astype(pd.CategoricalDtype(RISKS)).cat.remove_unused_categories()


def risk_goes_with(attribute: pd.Series | None, matrix: pd.DataFrame) -> bool:
    """Whether the classes of an attribute differ in risk beyond chance and more than negligibly."""
    if attribute is None:
        return False
    risk = matrix.set_index("customer_id")[["churn_risk"]]
    return bool(associations(attribute.to_frame("attribute"), risk).notable.item())


def by_attribute(
    attribute: pd.Series | None, matrix: pd.DataFrame, history: pd.DataFrame, persons: bool
) -> pd.DataFrame:
    """What the classes of an attribute (by customer_id) come to, in order; small ones pooled where
    customers are natural persons. `history` as from tiers.history.

    Columns: group, customers, revenue (value window), clv (sum), risk (mean), change (of revenue
    against the value window a year before, a share; nan where the log does not reach back so far).
    """
    columns = ["group", "customers", "revenue", "clv", "risk", "change"]
    if attribute is None:
        return pd.DataFrame(columns=columns)
    year_ago = history.month_end.max() - pd.Timedelta(days=365)
    then = history[history.full_window & (history.month_end <= year_ago)]
    then = then[then.month_end == then.month_end.max()].set_index("customer_id").window_revenue
    group = grouped(attribute, pd.Index(matrix.customer_id), persons).array
    told = matrix.assign(group=group, before=matrix.customer_id.map(then))
    table = told.groupby("group", observed=True)
    sums = table.agg(
        customers=("customer_id", "size"),
        revenue=("revenue", known_sum),
        clv=("clv", known_sum),
        risk=("churn_risk", "mean"),
        before=("before", known_sum),
    )
    sums["change"] = sums.revenue / sums.before.where(sums.before > 0) - 1
    return sums.reset_index().astype({"group": "str"})[columns]


def why(matrix: pd.DataFrame) -> pd.DataFrame:
    """Every reason for a tier: tier, reason, customers, revenue (value window), clv."""
    ordered = matrix.assign(tier=pd.Categorical(matrix.tier, TIERS))
    sums = ordered.groupby(["tier", "reason"], observed=True, sort=False).agg(
        customers=("customer_id", "size"), revenue=("revenue", known_sum), clv=("clv", known_sum)
    )
    table = sums.reset_index().sort_values(["tier", "customers"], ascending=[True, False])
    return table.reset_index(drop=True).astype({"tier": "str"})
