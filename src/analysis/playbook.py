"""The customer matrix (tier x stage x risk) and what to do in each of its cells, by rules kept in playbook.yml."""

import datetime as dt
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.attributes import associations
from analysis.dataset import Dataset
from analysis.errors import InputError
from analysis.groups import known_sum
from analysis.lots import lots
from analysis.segments import STAGES, TIE, held_above

PLAYBOOK = Path(__file__).with_name("playbook.yml")
TIERS = ("strategic", "important", "ordinary", "potential")
RISKS = ("high", "medium", "low", "unknown", "none")

Tier = Literal["strategic", "important", "ordinary", "potential"]
Stage = Literal["prospect", "new", "repeat", "loyal", "silent", "lost"]
Risk = Literal["high", "medium", "low", "unknown", "none"]
Share = Annotated[float, Field(ge=0, le=1)]


def _has_english(text: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(text, dict) and "en" not in text:
        raise ValueError("give at least the English text, en")
    return text


Text = Annotated[str | dict[str, str], AfterValidator(_has_english)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TierCondition(_Strict):
    """What a customer must meet; what is not named, or not known (profit without costs), is not asked.

    *_within: to be among the customers who together bring this first share of the total.
    """

    stage: tuple[Stage, ...] = ()
    revenue_within: Share | None = None  # in the value window
    profit_within: Share | None = None  # in the value window
    future_within: Share | None = None  # lifetime value
    known_days: int = Field(0, ge=0)  # since the first order, at least


class TierRule(_Strict):
    tier: Tier
    when: TierCondition
    why: Text


class Cell(_Strict):
    tier: tuple[Tier, ...] = ()
    stage: tuple[Stage, ...] = ()
    risk: tuple[Risk, ...] = ()


class Rule(_Strict):
    """One strategy: whom it is for, what to do, and what that costs and is assumed to bring."""

    id: str
    when: Cell
    objective: Text
    action: Text
    channel: Text
    owner: Text
    days: int = Field(ge=0)
    cost: float = Field(ge=0, allow_inf_nan=False)
    effect: Share
    control: Share

    def fits(self, tier: str, stage: str, risk: str) -> bool:
        """Whether the rule's conditions allow this cell; a condition not named allows everything."""
        cell = {"tier": tier, "stage": stage, "risk": risk}
        return all(value in (getattr(self.when, name) or (value,)) for name, value in cell.items())

    @property
    def specificity(self) -> int:
        return sum(bool(getattr(self.when, name)) for name in ("tier", "stage", "risk"))


class Playbook(_Strict):
    tiers: tuple[TierRule, ...]
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _everybody_has_one(self) -> "Playbook":
        if not self.tiers or self.tiers[-1].when != TierCondition():
            raise ValueError("the last line of tiers must be for everybody else: when: {}")
        names = [rule.id for rule in self.rules]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rules repeat the id {', '.join(repeated)}")
        return self

    def rule_for(self, tier: str, stage: str, risk: str) -> Rule:
        """The rule that names most of the cell. Raises InputError where none or two of them do."""
        fitting = [rule for rule in self.rules if rule.fits(tier, stage, risk)]
        if not fitting:
            raise InputError(f"playbook: no rule for {tier}, {stage}, {risk}; end with one whose `when` is empty")
        most = max(rule.specificity for rule in fitting)
        best = [rule for rule in fitting if rule.specificity == most]
        if len(best) > 1:
            names = " and ".join(rule.id for rule in best)
            raise InputError(f"playbook: rules {names} both fit {tier}, {stage}, {risk}; let one name more")
        return best[0]


def load(path: Path = PLAYBOOK) -> Playbook:
    """Read and check a playbook: every cell of the matrix has exactly one rule."""
    try:
        book = Playbook.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a playbook that is there") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path.name}: not readable as YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise InputError(f"{path.name}: {found}") from None
    for cell in product(TIERS, STAGES, RISKS):
        book.rule_for(*cell)
    return book


def said(text: Text, language: str) -> str:
    """A playbook text in a language, in English where it has not been translated."""
    return text if isinstance(text, str) else text.get(language, text["en"])


def matrix(
    customers: pd.DataFrame, segments: pd.DataFrame, clv: pd.DataFrame, churn: pd.DataFrame, book: Playbook, language: str
) -> pd.DataFrame:
    """The table `matrix`: tier by the playbook's first line that holds, with stage, risk, value and the reason."""
    facts = _facts(customers, segments, clv, churn)
    first = np.argmax(np.column_stack([_holds(line.when, facts) for line in book.tiers]), axis=1)
    tiers = pd.Series([line.tier for line in book.tiers], dtype="str")
    reasons = pd.Series([said(line.why, language) for line in book.tiers], dtype="str")
    made = facts[["customer_id", "stage", "risk_band", "churn_risk", "clv"]].assign(revenue=facts.window_revenue)
    return made.assign(tier=tiers.iloc[first].array, reason=reasons.iloc[first].array)


def _facts(customers: pd.DataFrame, segments: pd.DataFrame, clv: pd.DataFrame, churn: pd.DataFrame) -> pd.DataFrame:
    """What tiers are made of, one row per customer. Where nothing is known of money, orders stand for it."""
    ids = customers.customer_id
    facts = pd.concat(
        [
            customers,
            _found(ids, segments, ["stage"]),
            _found(ids, clv, ["clv", "expected_orders"]),
            _found(ids, churn, ["churn_risk", "risk_band"]),
        ],
        axis=1,
    )
    facts["risk_band"] = facts.risk_band.fillna("none")
    today = facts.window_revenue if facts.window_revenue.notna().any() else facts.window_orders
    future = facts.clv if facts.clv.notna().any() else facts.expected_orders
    facts["revenue_within"], facts["future_within"] = held_above(today), held_above(future)
    if "window_profit" in facts and facts.window_profit.notna().any():
        facts["profit_within"] = held_above(facts.window_profit).where(facts.window_profit.notna())
    return facts


def _found(ids: pd.Series, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Columns of another table for these customers, empty where it lacks them. Millions of texts are matched by Arrow, which
    takes a third of the time of a merge."""
    rows = pc.index_in(pa.array(ids), value_set=pa.array(frame.customer_id)).fill_null(-1).to_numpy()
    return frame.reset_index(drop=True)[columns].reindex(rows).set_axis(ids.index)


def _holds(when: TierCondition, facts: pd.DataFrame) -> np.ndarray:
    holds = np.ones(len(facts), bool)
    if when.stage:
        holds &= facts.stage.isin(when.stage).to_numpy()
    for name in ("revenue_within", "profit_within", "future_within"):
        if (share := getattr(when, name)) is not None and name in facts:
            holds &= ((facts[name] < share - TIE) | facts[name].isna()).to_numpy()
    if when.known_days:
        holds &= (facts.age_days >= when.known_days).fillna(False).to_numpy(bool)
    return holds


def rules_of(matrix: pd.DataFrame, book: Playbook) -> pd.Series:
    """The id of the rule that each customer falls under, by row of `matrix`."""
    cells = matrix[["tier", "stage", "risk_band"]]
    ids = {tuple(cell): book.rule_for(*cell).id for cell in cells.drop_duplicates().itertuples(index=False)}
    return pd.Series([ids[cell] for cell in cells.itertuples(index=False, name=None)], matrix.index, dtype="str")


def plan(
    matrix: pd.DataFrame, clv: pd.DataFrame, churn: pd.DataFrame, book: Playbook, as_of: dt.date, settings: Dataset
) -> pd.DataFrame:
    """The table `plan`: each customer's action. Who is held back is drawn by lot.

    Costs and expected values are of the treated; money is margin where known, else revenue.
    """
    plan = matrix[["customer_id"]].assign(rule=rules_of(matrix, book)).sort_values("customer_id", ignore_index=True)
    by_id = {rule.id: rule for rule in book.rules}
    of = {
        name: plan.rule.map({i: getattr(rule, name) for i, rule in by_id.items()})
        for name in ("cost", "effect", "control", "days")
    }
    text = {
        name: plan.rule.map({i: said(getattr(rule, name), settings.language) for i, rule in by_id.items()})
        for name in ("action", "channel", "owner")
    }
    held = lots(plan.customer_id, settings.seed) < of["control"]
    order_value = plan.customer_id.map(clv.set_index("customer_id").expected_order_value)
    stays = 1 - plan.customer_id.map(churn.set_index("customer_id").churn_risk)
    return plan.assign(
        **text,
        due=pd.Timestamp(as_of) + pd.to_timedelta(of["days"], unit="D"),
        cost=of["cost"].where(~held, 0.0).astype(float),
        expected_value=(of["effect"] * order_value * (settings.margin or 1)).where(~held, 0.0),
        arm=np.select([of["control"] == 0, held], ["exempt", "control"], default="treat"),
        target=(stays + of["effect"].where(~held, 0)).clip(upper=1),
    )


def by_rule(plan: pd.DataFrame) -> pd.DataFrame:
    """What each action comes to, the most valuable first.

    Columns: rule (index), action, channel, owner, due, customers (treated), held_back, cost, expected_value, gain.
    """
    held = plan.arm == "control"
    table = (
        plan.assign(treated=~held, held_back=held)
        .groupby("rule")
        .agg(
            action=("action", "first"),
            channel=("channel", "first"),
            owner=("owner", "first"),
            due=("due", "first"),
            customers=("treated", "sum"),
            held_back=("held_back", "sum"),
            cost=("cost", "sum"),
            expected_value=("expected_value", "sum"),
        )
    )
    table["gain"] = table.expected_value - table.cost
    return table.sort_values("gain", ascending=False)


DECISIONS = 5  # that the report puts first: what a manager reads in a minute


def decisions(actions: pd.DataFrame) -> list[tuple[str, dict[str, object]]]:
    """The actions with most at stake, as message keys with their values; `actions` as from by_rule."""
    biggest = actions.reindex(actions.gain.abs().sort_values(ascending=False).index).head(DECISIONS)
    return [
        (
            "decision_pays" if row.gain > 0 else "decision_does_not_pay",
            {
                "action": row.Index,
                "customers": row.customers,
                "due": row.due,
                "channel": row.channel,
                "owner": row.owner,
                "cost": row.cost,
                "value": row.expected_value,
            },
        )
        for row in biggest.sort_values("gain", ascending=False).itertuples()
    ]


def cells(matrix: pd.DataFrame) -> pd.DataFrame:
    """The cells of the matrix that hold customers, tier by tier and stage by stage.

    Columns: tier, stage, customers, revenue (value window), clv (sum), leavers (expected), risk (mean), high_risk (customers).
    """
    matrix = matrix.assign(
        tier=pd.Categorical(matrix.tier, TIERS), stage=pd.Categorical(matrix.stage, STAGES), high=matrix.risk_band == "high"
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
    """What the strategic customers are: how many (strategic), their shares of those who ordered and of the revenue (share,
    revenue_share), how many are silent or lost (silent, silent_revenue) and at high risk (risky)."""
    of = matrix[matrix.tier == "strategic"]
    gone = of[of.stage.isin(["silent", "lost"])]
    return {
        "strategic": len(of),
        "share": len(of) / max((matrix.stage != "prospect").sum(), 1),
        "revenue_share": of.revenue.sum() / matrix.revenue.sum() if matrix.revenue.sum() > 0 else np.nan,
        "silent": len(gone),
        "silent_revenue": gone.revenue.sum() if matrix.revenue.notna().any() else np.nan,
        "risky": int((of.risk_band == "high").sum()),
    }


def risks(matrix: pd.DataFrame) -> pd.Series:
    """The risk band of everybody with an order, by customer_id, as categories from high to unknown."""
    ordered = matrix[matrix.risk_band != "none"].set_index("customer_id").risk_band
    return ordered.astype(pd.CategoricalDtype(RISKS)).cat.remove_unused_categories()


def risk_goes_with(attribute: pd.Series | None, matrix: pd.DataFrame) -> bool:
    """Whether the classes of an attribute differ in risk beyond chance and more than negligibly."""
    if attribute is None:
        return False
    risk = matrix.set_index("customer_id")[["churn_risk"]]
    return bool(associations(attribute.to_frame("attribute"), risk).notable.any())


def why(matrix: pd.DataFrame) -> pd.DataFrame:
    """Every reason for a tier, tier by tier. Columns: tier, reason, customers, revenue (value window), clv, known (share)."""
    ordered = matrix.assign(tier=pd.Categorical(matrix.tier, TIERS))
    sums = ordered.groupby(["tier", "reason"], observed=True, sort=False).agg(
        customers=("customer_id", "size"), revenue=("revenue", known_sum), clv=("clv", known_sum)
    )
    return (
        sums.reset_index().sort_values(["tier", "customers"], ascending=[True, False], ignore_index=True).astype({"tier": "str"})
    )


def export(plan: pd.DataFrame, matrix: pd.DataFrame) -> pd.DataFrame:
    """The list to work with: the plan with tier, stage and risk, those with most to gain first."""
    listed = plan.merge(matrix[["customer_id", "tier", "stage", "risk_band"]], on="customer_id")
    front = ["customer_id", "tier", "stage", "risk_band", "arm"]
    ordered = listed[front + [column for column in plan.columns if column not in front]]
    return ordered.sort_values(["expected_value", "customer_id"], ascending=[False, True], ignore_index=True)
