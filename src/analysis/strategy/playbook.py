"""The customer matrix (tier x stage x risk) and what to do in each of its cells, by rules kept as
YAML in playbooks/.
"""

from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.schema import STAGES
from analysis.segments.abc import TIE, held_above
from analysis.segments.associations import associations
from analysis.segments.summaries import known_sum

FOLDER = Path(__file__).with_name("playbooks")
TIERS = ("strategic", "important", "ordinary", "potential")
CELL = ("tier", "stage", "risk", "rating")
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
    """What a customer must meet; what is not named, or not known (profit without costs), is not
    asked.

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
    rating: tuple[str, ...] = ()  # credit_rating of the profiles


class Rule(_Strict):
    """One strategy: whom it is for, what to do, and what that costs and is assumed to bring."""

    id: str
    when: Cell
    objective: Text
    action: Text
    channel: str  # a word of the catalogue, or the company's own
    owner: str  # role that does it, likewise
    days: int = Field(ge=0)  # by when, from the day of the picture
    every_days: int = Field(0, ge=0)  # not again to the same customer before
    cost: float | None = Field(None, ge=0, allow_inf_nan=False)  # money for each customer reached
    share: float | None = Field(
        None, ge=0, allow_inf_nan=False
    )  # the same as a share of what an average order brings
    effect: Share  # extra orders for each customer reached, within horizon_days
    source: str = "assumption"  # of the effect
    control: Share
    must: bool = False  # done whatever the budget

    @model_validator(mode="after")
    def _costs_something(self) -> "Rule":
        if (self.cost is None) == (self.share is None):
            raise ValueError(
                f"{self.id}: write either cost (money) or share (of what an average order brings)"
            )
        if self.must and self.control:
            raise ValueError(f"{self.id}: what must be done cannot be held back; write control: 0")
        return self

    def fits(self, **cell: str) -> bool:
        """Whether the rule's conditions allow this cell; a condition not named allows everything."""
        return all(value in (getattr(self.when, name) or (value,)) for name, value in cell.items())

    @property
    def specificity(self) -> int:
        return sum(bool(getattr(self.when, name)) for name in CELL)


class Playbook(_Strict):
    tiers: tuple[TierRule, ...]
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _everybody_has_one(self) -> "Playbook":
        if not self.tiers or self.tiers[-1].when != TierCondition():
            raise ValueError("the last line of tiers must be for everybody else: when: {}")
        names = [rule.id for rule in self.rules]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"rules repeat the id {', '.join(repeated)}")
        return self

    @property
    def rest(self) -> Rule | None:
        """The rule that catches all, where there is one: also what is left for whom the budget does
        not reach.
        """
        return next((rule for rule in self.rules if rule.when == Cell()), None)

    @property
    def ratings(self) -> tuple[str, ...]:
        """The credit ratings that rules speak of, and none of them."""
        return (*dict.fromkeys(rating for rule in self.rules for rating in rule.when.rating), "")

    def rule_for(self, tier: str, stage: str, risk: str, rating: str = "") -> Rule:
        """The rule that names most of the cell. Raises InputError where none or two of them do."""
        fitting = [
            rule
            for rule in self.rules
            if rule.fits(tier=tier, stage=stage, risk=risk, rating=rating)
        ]
        if not fitting:
            raise InputError(
                f"playbook: no rule for {tier}, {stage}, {risk}; end with one whose `when` is empty"
            )
        most = max(rule.specificity for rule in fitting)
        best = [rule for rule in fitting if rule.specificity == most]
        if len(best) > 1:
            names, cell = (
                " and ".join(rule.id for rule in best),
                ", ".join(filter(None, (tier, stage, risk, rating))),
            )
            raise InputError(f"playbook: rules {names} both fit {cell}; let one name more")
        return best[0]


def names() -> list[str]:
    """The playbooks that come along."""
    return sorted(path.stem for path in FOLDER.glob("*.yml") if path.stem != "tiers")


def of(settings: Dataset) -> Playbook:
    """The playbook of a dataset: one that comes along, by name, or a file beside the dataset file."""
    name = settings.playbook
    own = settings.file.parent / name
    if name not in names() and not own.is_file():
        raise InputError(
            f"plan.playbook: {name} is no file, and no playbook that comes along;"
            f" {did_you_mean(name, names())}"
        )
    return load(own if own.is_file() else FOLDER / f"{name}.yml")


def load(path: Path = FOLDER / "retail.yml") -> Playbook:
    """Read and check a playbook: every cell of the matrix has one rule. Without tiers of its own it
    has the usual ones.
    """
    content = _yaml(path)
    try:
        book = Playbook.model_validate(_yaml(FOLDER / "tiers.yml") | content)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise InputError(f"{path.name}: {found}") from None
    for cell in product(TIERS, STAGES, RISKS, book.ratings):
        book.rule_for(*cell)
    return book


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a playbook that is there") from None
    except yaml.YAMLError as error:
        raise InputError(
            f"{path.name}: not readable as YAML: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: holds no keys; start with `rules:`")
    return content


def said(text: Text, language: str) -> str:
    """A playbook text in a language, in English where it has not been translated."""
    return text if isinstance(text, str) else text.get(language, text["en"])


def matrix(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    clv: pd.DataFrame,
    churn: pd.DataFrame,
    book: Playbook,
    language: str,
) -> pd.DataFrame:
    """The table `matrix`: tier by the playbook's first line that holds, with stage, risk, value and
    the reason.
    """
    facts = _facts(customers, segments, clv, churn)
    first = np.argmax(np.column_stack([_holds(line.when, facts) for line in book.tiers]), axis=1)
    tiers = pd.Series([line.tier for line in book.tiers], dtype="str")
    reasons = pd.Series([said(line.why, language) for line in book.tiers], dtype="str")
    made = facts[["customer_id", "stage", "risk_band", "churn_risk", "clv"]].assign(
        revenue=facts.window_revenue
    )
    return made.assign(tier=tiers.iloc[first].array, reason=reasons.iloc[first].array)


def _facts(
    customers: pd.DataFrame, segments: pd.DataFrame, clv: pd.DataFrame, churn: pd.DataFrame
) -> pd.DataFrame:
    """What tiers are made of, one row per customer. Where nothing is known of money, orders stand
    for it.
    """
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
    """Columns of another table for these customers, empty where it lacks them. Millions of texts
    are matched by Arrow, which takes a third of the time of a merge.
    """
    rows = (
        pc.index_in(pa.array(ids), value_set=pa.array(frame.customer_id)).fill_null(-1).to_numpy()
    )
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


def rules_of(matrix: pd.DataFrame, book: Playbook, ratings: pd.Series | None = None) -> pd.Series:
    """The id of the rule that each customer falls under, by row of `matrix`; `ratings` by
    customer_id, where there are any.
    """
    rating = matrix.customer_id.map(ratings) if ratings is not None else pd.Series("", matrix.index)
    known = rating.where(rating.isin(book.ratings), "")
    cells = matrix[["tier", "stage", "risk_band"]].assign(rating=known)
    ids = {
        tuple(cell): book.rule_for(*cell).id
        for cell in cells.drop_duplicates().itertuples(index=False)
    }
    return pd.Series(
        [ids[cell] for cell in cells.itertuples(index=False, name=None)], matrix.index, dtype="str"
    )


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
    of = matrix[matrix.tier == "strategic"]
    gone = of[of.stage.isin(["silent", "lost"])]
    return {
        "strategic": len(of),
        "share": len(of) / max((matrix.stage != "prospect").sum(), 1),
        "revenue_share": (
            of.revenue.sum() / matrix.revenue.sum() if matrix.revenue.sum() > 0 else np.nan
        ),
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
