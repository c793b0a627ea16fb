"""Ways to group customers. Each takes `people` (one row per customer: the table customers, and what
habits, interests and profiles add) and returns columns keyed by customer_id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.schema import INTEGER, NUMBER, TABLES, TEXT, Column, Contract
from analysis.segments import habits
from analysis.segments.attributes import attributes
from analysis.segments.clusters import clusters
from analysis.segments.interests import interests, needs
from analysis.segments.registry import Segmentation, Texts, segmentation

SCORES = 5  # quintiles, as RFM is usually done
ABC_CUTS = (0.80, 0.95)  # Pareto's usual cuts of the cumulative total; the rest is C
TIE = (
    1e-9  # shares of a total closer than this are equal: floats differ when the currency is scaled
)
SILENT_CHANCE, LOST_CHANCE = (
    0.20,
    0.05,
)  # of so long a pause, if the customer still bought as before
LOYAL_ORDERS = 5  # order days that make an active customer loyal
RHYTHM_SAMPLE = 50_000  # customers that the rhythm of all is learned from
MIN_REPEATERS = 10  # fewer say nothing of how rhythms differ
# shape of the rhythms beyond which all are alike; it would grow without end where they are
STEADIEST = 50.0

# Named segments by recency score (rows, 5 first) and the mean of frequency and money scores
# (columns 1 to 5).
RFM_SEGMENTS = (
    ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    ("promising", "potential_loyalists", "loyal", "loyal", "champions"),
    ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    ("lost", "hibernating", "at_risk", "cannot_lose", "cannot_lose"),
)
ACTIVE = ("new", "repeat", "loyal")


def score(values: pd.Series, scores: int = SCORES, cuts: Sequence[float] = ()) -> pd.Series:
    """Scores 1 to `scores`, the highest values best: by rank, ties taking the lowest, or by
    ascending cut points, each the least value of the next score. Empty stays empty.
    """
    if cuts:
        found = pd.Series(np.searchsorted(cuts, values, side="right") + 1, values.index)
        return found.where(values.notna()).astype("Int64")
    rank = values.rank(method="min") - 1
    return (rank * scores // max(values.count(), 1) + 1).astype("Int64")


_RFM = Texts(
    "RFM",
    "Recency, frequency (order days), money (net): scores by rank among all customers, the highest"
    " best; the three together name a segment.",
    {
        "champions": "Champions",
        "loyal": "Loyal",
        "potential_loyalists": "Potential loyalists",
        "new_customers": "New customers",
        "promising": "Promising",
        "need_attention": "Need attention",
        "about_to_sleep": "About to sleep",
        "at_risk": "At risk",
        "cannot_lose": "Cannot lose them",
        "hibernating": "Hibernating",
        "lost": "Lost",
        "prospect": "Prospect",
    },
)


@segmentation(
    "rfm_segment",
    {
        "r_score": Column(INTEGER, "recency, the highest score bought last", empty=True),
        "f_score": Column(
            INTEGER, "order days in the value window, the highest score most", empty=True
        ),
        "m_score": Column(INTEGER, "money in the value window, the highest score most", empty=True),
        "rfm_score": Column(NUMBER, "weighted mean of the three scores", empty=True),
        "rfm_segment": Column(TEXT, "named segment of the scores"),
    },
    _RFM,
)
def rfm(
    people: pd.DataFrame,
    scores: int = SCORES,
    weights: Mapping[str, float] | None = None,
    cuts: Mapping[str, Sequence[float]] | None = None,
    names: Sequence[Sequence[str]] = RFM_SEGMENTS,
) -> pd.DataFrame:
    """Recency, frequency (order days) and money (net) scores over the value window, and the named
    segment.

    `weights` and `cuts` (ascending, one less than `scores`) go by recency (days), frequency (order
    days), money. Scores are empty without an order; without money frequency stands for it. Who has
    no order in the value window is named as one of the two lowest recency rows, however long all
    others stayed away.
    """
    cuts = {"recency": (), "frequency": (), "money": ()} | dict(cuts or {})
    of = {"recency": 1.0, "frequency": 1.0, "money": 1.0} | dict(weights or {})
    bought = people[people.orders > 0]
    r = score(-bought.recency_days, scores, [-cut for cut in reversed(cuts["recency"])])
    f = score(bought.window_orders, scores, cuts["frequency"])
    m = score(bought.window_revenue, scores, cuts["money"])
    known = m.fillna(f)
    worth = (of["frequency"] * f + of["money"] * known) / (of["frequency"] + of["money"])
    total = (of["recency"] * r + of["frequency"] * f + of["money"] * known) / sum(of.values())
    grid = np.array(names, dtype=object)
    row, column = (place(s, scores, len(grid)) for s in (r, np.floor(worth + 0.5)))
    row = np.where(
        bought.window_orders > 0, row, np.minimum(row, 1)
    )  # nobody who stayed away so long is promising
    named = pd.Series(grid[len(grid) - 1 - row, column], bought.index, dtype="str")
    made = pd.DataFrame(
        {
            "r_score": r,
            "f_score": f,
            "m_score": m,
            "rfm_score": total.astype(float),
            "rfm_segment": named,
        }
    )
    return (
        made.reindex(people.index).fillna({"rfm_segment": "prospect"}).set_index(people.customer_id)
    )


def place(score: Any, scores: int, rows: int) -> np.ndarray:
    """The row, from 0, of a grid of fewer or more rows than scores: that in which the middle of the
    score lies.
    """
    return ((np.asarray(score, float) - 0.5) / scores * rows).astype(int)


def held_above(values: pd.Series) -> pd.Series:
    """The share of the positive total that customers of higher value hold: 0 for the highest, 1 at
    or below zero.

    Equal values hold the same share, so it does not depend on the order of rows.
    """
    found = np.ones(len(values))
    positive = np.flatnonzero((values > 0).to_numpy(bool))
    order = positive[np.argsort(-values.to_numpy(float)[positive])]
    money = values.to_numpy(float)[order]
    above = (money.cumsum() - money) / max(money.sum(), np.finfo(float).tiny)
    first = np.flatnonzero(np.diff(money, prepend=np.nan) != 0)  # of each run of equal values
    found[order] = np.repeat(above[first], np.diff(first, append=len(money)))
    return pd.Series(found, values.index)


def abc_classes(values: pd.Series, cuts: Sequence[float] = ABC_CUTS) -> pd.Series:
    """A, B, C by the share of the total that customers of higher value hold; `none` at or below
    zero.
    """
    above = held_above(values)
    tests = [~(values > 0), *(above < cut - TIE for cut in cuts)]
    return pd.Series(np.select(tests, ["none", "A", "B"], default="C"), values.index, dtype="str")


_ABC = {"A": "A", "B": "B", "C": "C", "none": "None"}
_ABC_MEANING = (
    "A: the customers who together bring the first 80 % of {what} unless set otherwise; B: up to 95"
    " %; C: the rest; {none}."
)


@segmentation(
    "abc_revenue",
    {"abc_revenue": Column(TEXT, "A, B, C by revenue in the value window, none at or below zero")},
    Texts(
        "ABC by revenue",
        _ABC_MEANING.format(what="revenue", none="none: at or below zero, returns deducted"),
        _ABC,
    ),
)
def abc(people: pd.DataFrame, cuts: Sequence[float] = ABC_CUTS) -> pd.DataFrame:
    """ABC by net revenue in the value window. Columns: abc_revenue."""
    return pd.DataFrame(
        {"abc_revenue": abc_classes(people.set_index("customer_id").window_revenue, cuts)}
    )


@segmentation(
    "abc_profit",
    {
        "abc_profit": Column(
            TEXT, "A, B, C by profit in the value window; none, loss, or unknown without costs"
        )
    },
    Texts(
        "ABC by profit",
        _ABC_MEANING.format(
            what="profit",
            none="loss: cost the company money; unknown: too few costs are known",
        ),
        _ABC | {"loss": "Loss", "unknown": "Unknown"},
    ),
    needs=("transactions.cost",),
)
def abc_profit(people: pd.DataFrame, cuts: Sequence[float] = ABC_CUTS) -> pd.DataFrame:
    """ABC by profit in the value window; loss-making customers are a class of their own. Columns:
    abc_profit.
    """
    profit = people.set_index("customer_id").window_profit
    return pd.DataFrame(
        {
            "abc_profit": (
                abc_classes(profit, cuts).mask(profit < 0, "loss").mask(profit.isna(), "unknown")
            )
        }
    )


@dataclass(frozen=True)
class Rhythm:
    """How often the customers order, and how much they differ: each one's rate is drawn from a
    gamma distribution of this shape and of this scale in days, and the days between two orders are
    exponential.
    """

    shape: float
    days: float

    def pause(self, chance: float, orders: Any = 0, days: Any = 0) -> Any:
        """The pause, in days, that with this chance is exceeded by who repeated `orders` times
        within `days` days.
        """
        return (self.days + days) * (chance ** (-1 / (self.shape + orders)) - 1)


def rhythm(people: pd.DataFrame) -> Rhythm:
    """Learned by maximum likelihood from the days between the orders of those who repeated.

    With too few of them, the pauses that all have made so far stand in, as if all were alike.
    """
    repeated = people[people.frequency > 0].sort_values(["frequency", "age_days", "recency_days"])
    if len(repeated) < MIN_REPEATERS:
        pauses = people.recency_days.dropna()
        return Rhythm(STEADIEST, STEADIEST * max(1.0, float(pauses.mean()) if len(pauses) else 1.0))
    sample = repeated.iloc[:: -(-len(repeated) // RHYTHM_SAMPLE)]
    orders = sample.frequency.to_numpy(float)
    return _fit_rhythm(orders, (sample.age_days - sample.recency_days).to_numpy(float))


def _fit_rhythm(orders: np.ndarray, days: np.ndarray) -> Rhythm:
    from scipy.optimize import minimize
    from scipy.special import gammaln

    def loss(parameters: np.ndarray) -> float:
        shape, scale = np.exp(parameters)
        total = (
            gammaln(shape + orders)
            - gammaln(shape)
            + shape * np.log(scale)
            - (shape + orders) * np.log(scale + days)
        )
        return float(-total.mean())

    mean = max(days.sum() / orders.sum(), 1e-3)
    bounds = [
        (np.log(0.1), np.log(STEADIEST)),
        (np.log(mean / 100), np.log(mean * 100 * STEADIEST)),
    ]
    found = minimize(loss, [0.0, np.log(mean)], bounds=bounds, method="L-BFGS-B")
    return Rhythm(*map(float, np.exp(found.x)))


def pause_limits(
    people: pd.DataFrame, learned: Rhythm, silent_days: int = 0, lost_days: int = 0
) -> pd.DataFrame:
    """Days without an order after which each customer is silent, and lost; given ones (not 0) hold
    for all.

    Silent: beyond a pause that one in five would still make, going by the customer's own orders and
    those of all. Lost: beyond one in twenty, and not before somebody of whom nothing is known would
    be.
    """
    orders, days = (
        people.frequency.to_numpy(),
        (people.age_days - people.recency_days).fillna(0).to_numpy(),
    )
    silent = silent_days or np.ceil(learned.pause(SILENT_CHANCE, orders, days))
    unlikely = np.ceil(
        np.maximum(learned.pause(LOST_CHANCE, orders, days), learned.pause(LOST_CHANCE))
    )
    lost = lost_days or np.maximum(silent, unlikely)
    limits = pd.DataFrame(
        {"silent_after_days": np.minimum(silent, lost), "lost_after_days": lost}, people.index
    )
    return limits.clip(lower=1).where(people.orders > 0).astype("Int64")


_STAGE = Texts(
    "Stage",
    "Where a customer stands in life. Prospect: no order yet; new: one order; repeat: two to four;"
    " loyal: five or more; silent: pauses for longer than this customer usually does; lost: for far"
    " longer.",
    {
        "prospect": "Prospect",
        "new": "New",
        "repeat": "Repeat",
        "loyal": "Loyal",
        "silent": "Silent",
        "lost": "Lost",
    },
)


@segmentation(
    "stage",
    {
        "stage": Column(TEXT, "prospect, new, repeat, loyal, silent, lost"),
        "silent_after_days": Column(
            INTEGER, "days without an order after which the customer is silent", empty=True
        ),
        "lost_after_days": Column(
            INTEGER, "days without an order after which the customer is lost", empty=True
        ),
    },
    _STAGE,
)
def lifecycle(
    people: pd.DataFrame, learned: Rhythm | None = None, silent_days: int = 0, lost_days: int = 0
) -> pd.DataFrame:
    """The stage each customer has reached, and the pauses that make it silent and lost."""
    limits = pause_limits(people, learned or rhythm(people), silent_days, lost_days)
    tests = {
        "prospect": people.orders == 0,
        "lost": people.recency_days > limits.lost_after_days,
        "silent": people.recency_days > limits.silent_after_days,
        "new": people.orders == 1,
        "loyal": people.orders >= LOYAL_ORDERS,
    }
    stages = np.select(
        [test.fillna(False).to_numpy(bool) for test in tests.values()],
        list(tests),
        default="repeat",
    )
    return limits.assign(stage=pd.Series(stages, people.index, dtype="str")).set_index(
        people.customer_id
    )


# Made of every dataset, whatever its columns: later stages rest on them.
ALWAYS = (rfm, abc, lifecycle)
SEGMENTATIONS: dict[str, Segmentation] = {
    entry.name: entry
    for entry in (*ALWAYS, abc_profit, *habits.HABITS, attributes, interests, needs, clusters)
}


def _column(entry: Segmentation, column: Column) -> Column:
    return column if entry in ALWAYS else replace(column, optional=True)


TABLES["segments"] = Contract(
    "a customer",
    ("customer_id",),
    {"customer_id": Column(TEXT, "the customer, as text")}
    | {
        name: _column(entry, column)
        for entry in SEGMENTATIONS.values()
        for name, column in entry.makes.items()
    },
)


def chosen(
    columns: Collection[str], asked: Collection[str] = ()
) -> tuple[list[Segmentation], dict[str, list[str]]]:
    """The segmentations to make of records with these columns (as transactions.cost), and what each
    other one lacks.

    Asked for are all that the columns allow, unless some are named; RFM, ABC and stages are always
    made. Raises InputError for a name that is none.
    """
    if unknown := sorted(set(asked) - set(SEGMENTATIONS)):
        raise InputError(
            f"segmentations: there is no {unknown[0]}; {did_you_mean(unknown[0], SEGMENTATIONS)}"
        )
    wanted = [
        entry
        for entry in SEGMENTATIONS.values()
        if not asked or entry in ALWAYS or entry.name in asked
    ]
    lacking = {entry.name: lacks for entry in wanted if (lacks := entry.lacks(columns))}
    return [entry for entry in wanted if entry.name not in lacking], lacking


def options(settings: Dataset, k: int = 0, attribute: str = "") -> dict[str, dict[str, Any]]:
    """How a dataset wants its segmentations made, by name; `k` clusters (0: chosen, 1: none), the
    attribute to look at.
    """
    cuts = {"cuts": (settings.abc_a, settings.abc_b)}
    of_rfm = {
        "scores": settings.rfm_scores,
        "weights": settings.rfm_weights,
        "cuts": settings.rfm_cuts,
    }
    return {
        "rfm": of_rfm | {"names": settings.rfm_segments or RFM_SEGMENTS},
        "abc": cuts,
        "abc_profit": cuts,
        "lifecycle": {"silent_days": settings.silent_days, "lost_days": settings.lost_days},
        "clusters": {"k": k, "seed": settings.seed},
        "attributes": {"name": attribute},
    }


def gather(customers: pd.DataFrame, *more: pd.DataFrame) -> pd.DataFrame:
    """What segmentations work on, `people`: the table customers, and other columns by customer_id."""
    people = customers
    for columns in more:
        people = people.merge(columns, on="customer_id", how="left", validate="one_to_one")
    return people


def segment(
    people: pd.DataFrame,
    made: Sequence[Segmentation] = ALWAYS,
    options: Mapping[str, dict[str, Any]] | None = None,
) -> pd.DataFrame:
    """Segmentations side by side: the table `segments`. Options by name, as {"clusters": {"k": 5}}."""
    columns = [entry(people, **(options or {}).get(entry.name, {})) for entry in made]
    return pd.concat(columns, axis=1).reset_index(names="customer_id")


def clusters_of(segmented: pd.DataFrame) -> pd.Series:
    """The cluster of each customer, by customer_id; empty for all where clusters were not asked
    for.
    """
    return (
        segmented.reindex(columns=["customer_id", "cluster"])
        .set_index("customer_id")
        .cluster.astype("str")
    )


def labels() -> dict[str, str]:
    """What segmentations and their classes are called, by name."""
    return {name: entry.texts.term for name, entry in SEGMENTATIONS.items()} | {
        key: word for entry in SEGMENTATIONS.values() for key, word in entry.texts.classes.items()
    }
