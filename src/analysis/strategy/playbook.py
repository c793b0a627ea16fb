"""What to do for the customers in each cell of the matrix, by rules kept as YAML in playbooks/."""

from itertools import product
from pathlib import Path

import pandas as pd
from pydantic import Field, model_validator

from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Amount, Days, Share, Strict
from analysis.schema import STAGES
from analysis.strategy import picture
from analysis.strategy.tiers import TIERS, Stage, Tier, TierCondition, TierRule
from analysis.strategy.written import Text, checked, content, in_language

FOLDER = Path(__file__).with_name("playbooks")
USUAL = ("tiers", "alerts")  # files of what every playbook has that says nothing else
DELIVERS = "account_manager"  # the role whose actions account owners deliver themselves


class Cell(Strict):
    """For whom a rule is; a condition not named allows everything."""

    tier: tuple[Tier, ...] = ()
    stage: tuple[Stage, ...] = ()
    risk: tuple[picture.Risk, ...] = ()
    rating: tuple[str, ...] = ()  # credit_rating of the profiles

    def named(self, cell: tuple[str, ...]) -> int:
        """How many conditions name this tier, stage, risk and rating; -1 where one excludes it."""
        asked = [
            (allowed, value) for (_, allowed), value in zip(self, cell, strict=True) if allowed
        ]
        return len(asked) if all(value in allowed for allowed, value in asked) else -1


class Rule(Strict):
    """One strategy: whom it is for, what to do, and what that costs and is assumed to bring."""

    id: str
    when: Cell
    objective: Text
    action: Text
    channel: str  # of schema.LABELS, or the company's own
    owner: str  # role that does it, likewise
    days: Days  # by when, from the first day of the cycle, and within it
    every_days: Days = 0  # not again to the same customer before
    cost: Amount | None = None  # money for each customer reached
    share: Amount | None = None  # the same as a share of what an average order brings
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


class Playbook(Strict):
    """The rules of a company, and the lines by which its customers are in their tiers."""

    tiers: tuple[TierRule, ...]
    rules: tuple[Rule, ...] = Field(min_length=1)
    alerts: dict[str, Text] = {}  # what each asks for, by its name

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
        """The rule that catches all, where there is one: also for whom the budget leaves out."""
        return next((rule for rule in self.rules if rule.when == Cell()), None)

    @property
    def table(self) -> pd.DataFrame:
        """The rules by id (index), a column for each of their keys."""
        return pd.DataFrame([dict(rule) for rule in self.rules]).set_index("id")

    def said(self, rules: pd.Series, language: str) -> pd.DataFrame:
        """objective and action of rules, by row; empty for one that is not in the playbook."""
        texts = self.table.reindex(rules)[["objective", "action"]].set_axis(rules.index)
        return texts.map(lambda text: in_language(text, language), na_action="ignore")

    @property
    def ratings(self) -> tuple[str, ...]:
        """The credit ratings that rules speak of, and none of them."""
        return (*dict.fromkeys(rating for rule in self.rules for rating in rule.when.rating), "")

    def rule_for(self, tier: str, stage: str, risk: str, rating: str = "") -> Rule:
        """The rule that names most of the cell; InputError where none or two of them do."""
        cell = tier, stage, risk, rating
        named = [rule.when.named(cell) for rule in self.rules]
        if max(named) < 0:
            raise InputError(
                f"playbook: no rule for {tier}, {stage}, {risk}; end with one whose `when` is empty"
            )
        best = [rule for rule, count in zip(self.rules, named, strict=True) if count == max(named)]
        if len(best) > 1:
            both, place = " and ".join(rule.id for rule in best), ", ".join(filter(None, cell))
            raise InputError(f"playbook: rules {both} both fit {place}; let one name more")
        return best[0]


def of(settings: Dataset) -> Playbook:
    """The playbook of a dataset: one that comes along, or a file beside the dataset file."""
    name = settings.playbook
    own, shipped = settings.file.parent / name, FOLDER / f"{name}.yml"
    if not own.is_file() and not shipped.is_file():
        names = sorted(path.stem for path in FOLDER.glob("*.yml") if path.stem not in USUAL)
        raise InputError(
            f"plan.playbook: {name} is no file, and no playbook that comes along;"
            f" {did_you_mean(name, names)}"
        )
    return load(own if own.is_file() else shipped)


def load(path: Path = FOLDER / "retail.yml") -> Playbook:
    """Read and check a playbook: every cell of the matrix has one rule. Without tiers of its own,
    or words for an alert, it has the usual ones.
    """
    usual, own = content(FOLDER / "tiers.yml") | content(FOLDER / "alerts.yml"), content(path)
    if isinstance(own.get("alerts"), dict):
        for name in own["alerts"].keys() - usual["alerts"].keys():
            meant = did_you_mean(name, usual["alerts"])
            raise InputError(f"{path.name}: alerts: no alert {name!r}; {meant}")
        own["alerts"] = usual["alerts"] | own["alerts"]
    book = checked(Playbook, usual | own, path.name)
    for cell in product(TIERS, STAGES, picture.RISKS, book.ratings):
        book.rule_for(*cell)
    return book


def rules_of(people: pd.DataFrame, book: Playbook) -> pd.Series:
    """The id of each customer's rule, by row of `people` (the matrix, with `rating` where there
    are ratings).
    """
    rating = people.get("rating", pd.Series("", people.index))
    known = rating.where(rating.isin(book.ratings), "")
    cells = people[["tier", "stage", "risk_band"]].assign(rating=known)
    distinct = cells.drop_duplicates()
    ids = [book.rule_for(*cell).id for cell in distinct.itertuples(index=False)]
    return cells.merge(distinct.assign(rule=ids), "left").rule.set_axis(people.index).astype("str")
