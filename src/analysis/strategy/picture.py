"""The picture of the customers at a date: tier, stage, risk and value of each, and what the cells
of the matrix (tier x stage) hold. The same rule for any date, past ones included, from what was
known then.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from analysis.schema import STAGES
from analysis.segments.abc import TIE, held_above
from analysis.segments.associations import associations
from analysis.segments.summaries import known_sum
from analysis.strategy.written import Strict, Text, in_language

TIERS = ("strategic", "important", "ordinary", "potential")
RISKS = ("high", "medium", "low", "unknown", "none")
WITHIN = ("revenue_within", "profit_within", "future_within")

Tier = Literal["strategic", "important", "ordinary", "potential"]
Stage = Literal["prospect", "new", "repeat", "loyal", "silent", "lost"]
Risk = Literal["high", "medium", "low", "unknown", "none"]
Share = Annotated[float, Field(ge=0, le=1)]


class TierCondition(Strict):
    """What a customer must meet; what is not named, or not known (profit without costs), is not
    asked.

    *_within: to be among the customers who together bring this first share of the total.
    """

    stage: tuple[Stage, ...] = ()
    revenue_within: Share | None = None  # in the value window
    profit_within: Share | None = None  # in the value window
    future_within: Share | None = None  # lifetime value
    known_days: int = Field(0, ge=0)  # since the first order, at least


class TierRule(Strict):
    """A line of the playbook's tiers: the first one whose condition holds decides."""

    tier: Tier
    when: TierCondition
    why: Text


def draw(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    tiers: Sequence[TierRule],
    language: str,
    clv: pd.DataFrame | None = None,
    churn: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The table `matrix` at the date of `customers`: a row for each of them.

    Columns: customer_id, stage (of `segments`), risk_band, churn_risk, clv, revenue (value window),
    tier and the reason for it in a language. Without `clv` or `churn`, as of a date whose forecasts
    nobody made, value to come is not asked for and risk is not known.
    """
    facts = _facts(customers, segments, clv, churn)
    first = np.argmax(np.column_stack([_holds(line.when, facts) for line in tiers]), axis=1)
    names = pd.Series([line.tier for line in tiers], dtype="str")
    reasons = pd.Series([in_language(line.why, language) for line in tiers], dtype="str")
    made = facts[["customer_id", "stage", "risk_band", "churn_risk", "clv"]].assign(
        revenue=facts.window_revenue
    )
    return made.assign(tier=names.iloc[first].array, reason=reasons.iloc[first].array)


def _facts(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    clv: pd.DataFrame | None,
    churn: pd.DataFrame | None,
) -> pd.DataFrame:
    """What tiers are made of, one row per customer. Where nothing is known of money, orders stand
    for it.
    """
    ids = customers.customer_id
    wanted = (
        (segments, ["stage"]),
        (clv, ["clv", "expected_orders"]),
        (churn, ["churn_risk", "risk_band"]),
    )
    facts = pd.concat([customers, *(_found(ids, *each) for each in wanted)], axis=1)
    nobodys = facts.stage.map({"prospect": "none"}).fillna(
        "none" if churn is not None else "unknown"
    )
    facts["risk_band"] = facts.risk_band.astype(object).fillna(nobodys).astype("str")
    today = facts.window_revenue if facts.window_revenue.notna().any() else facts.window_orders
    facts["revenue_within"] = held_above(today)
    if clv is not None:
        future = facts.clv if facts.clv.notna().any() else facts.expected_orders
        facts["future_within"] = held_above(future)
    if "window_profit" in facts and facts.window_profit.notna().any():
        facts["profit_within"] = held_above(facts.window_profit).where(facts.window_profit.notna())
    return facts


def _found(ids: pd.Series, frame: pd.DataFrame | None, columns: list[str]) -> pd.DataFrame:
    """Columns of another table for these customers, empty where it lacks them. Millions of texts
    are matched by Arrow, which takes a third of the time of a merge.
    """
    if frame is None:
        return pd.DataFrame(np.nan, ids.index, columns)
    rows = pc.index_in(pa.array(ids), value_set=pa.array(frame.customer_id)).fill_null(-1)
    return frame.reset_index(drop=True)[columns].reindex(rows.to_numpy()).set_axis(ids.index)


def _holds(when: TierCondition, facts: pd.DataFrame) -> np.ndarray:
    holds = np.ones(len(facts), bool)
    if when.stage:
        holds &= facts.stage.isin(when.stage).to_numpy()
    named = [name for name in WITHIN if getattr(when, name) is not None]
    known = [name for name in named if name in facts]
    if named and not known:  # nothing that the line asks is known, so it puts nobody in its tier
        return np.zeros(len(facts), bool)
    for name in known:
        holds &= ((facts[name] < getattr(when, name) - TIE) | facts[name].isna()).to_numpy()
    if when.known_days:
        holds &= (facts.age_days >= when.known_days).fillna(False).to_numpy(bool)
    return holds


def cells(matrix: pd.DataFrame) -> pd.DataFrame:
    """The cells of the matrix that hold customers, tier by tier and stage by stage.

    Columns: tier, stage, customers, revenue (value window), clv (sum), leavers (expected), risk
    (mean), high_risk (customers).
    """
    matrix = matrix.assign(
        tier=pd.Categorical(matrix.tier, TIERS),
        stage=pd.Categorical(matrix.stage, STAGES),
        high=matrix.risk_band == "high",
    )
    return (
        matrix.groupby(["tier", "stage"], observed=True)
        .agg(
            customers=("customer_id", "size"),
            revenue=("revenue", known_sum),
            clv=("clv", known_sum),
            leavers=("churn_risk", "sum"),
            risk=("churn_risk", "mean"),
            high_risk=("high", "sum"),
        )
        .reset_index()
        .astype({"tier": "str", "stage": "str"})
    )


def strategic(matrix: pd.DataFrame) -> dict[str, float]:
    """What the strategic customers are: how many (strategic), their shares of those who ordered and
    of the revenue (share, revenue_share), how many are silent or lost (silent, silent_revenue) and
    at high risk (risky).
    """
    top = matrix[matrix.tier == "strategic"]
    gone = top[top.stage.isin(["silent", "lost"])]
    revenue = matrix.revenue.sum()
    return {
        "strategic": len(top),
        "share": len(top) / max((matrix.stage != "prospect").sum(), 1),
        "revenue_share": top.revenue.sum() / revenue if revenue > 0 else np.nan,
        "silent": len(gone),
        "silent_revenue": gone.revenue.sum() if matrix.revenue.notna().any() else np.nan,
        "risky": int((top.risk_band == "high").sum()),
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
    return bool(associations(attribute.to_frame("attribute"), risk).notable.any())


def why(matrix: pd.DataFrame) -> pd.DataFrame:
    """Every reason for a tier, tier by tier. Columns: tier, reason, customers, revenue (value
    window), clv, known (share).
    """
    ordered = matrix.assign(tier=pd.Categorical(matrix.tier, TIERS))
    sums = ordered.groupby(["tier", "reason"], observed=True, sort=False).agg(
        customers=("customer_id", "size"), revenue=("revenue", known_sum), clv=("clv", known_sum)
    )
    return (
        sums.reset_index()
        .sort_values(["tier", "customers"], ascending=[True, False], ignore_index=True)
        .astype({"tier": "str"})
    )
