"""Ways to group customers, and what their groups come to. Each takes `people` (one row per customer: the table
customers, and what habits, interests and profiles add) and returns columns keyed by customer_id."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis import habits
from analysis.attributes import attributes
from analysis.clusters import clusters
from analysis.dataset import Dataset
from analysis.errors import InputError, did_you_mean
from analysis.interests import interests, needs
from analysis.intervals import wilson
from analysis.segmentation import Segmentation, Texts, segmentation
from analysis.tables import INTEGER, NUMBER, TABLES, TEXT, Column, Contract

SCORES = 5  # quintiles, as RFM is usually done
ABC_CUTS = (0.80, 0.95)  # Pareto's usual cuts of the cumulative total; the rest is C
TIE = 1e-9  # shares of a total closer than this are equal: floats differ when the currency is scaled
SILENT_CHANCE, LOST_CHANCE = 0.20, 0.05  # of so long a pause, if the customer still bought as before
LOYAL_ORDERS = 5  # order days that make an active customer loyal
FEWEST = 30  # customers; a share of fewer is too unsure for a headline
RHYTHM_SAMPLE = 50_000  # customers that the rhythm of all is learned from
MIN_REPEATERS = 10  # fewer say nothing of how rhythms differ
STEADIEST = 50.0  # shape of the rhythms beyond which all are alike; it would grow without end where they are

# Named segments by recency score (rows, 5 first) and the mean of frequency and money scores (columns 1 to 5).
RFM_SEGMENTS = (
    ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    ("promising", "potential_loyalists", "loyal", "loyal", "champions"),
    ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    ("lost", "hibernating", "at_risk", "cannot_lose", "cannot_lose"),
)
STAGES = ("prospect", "new", "repeat", "loyal", "silent", "lost")
ACTIVE = ("new", "repeat", "loyal")


def score(values: pd.Series, scores: int = SCORES, cuts: Sequence[float] = ()) -> pd.Series:
    """Scores 1 to `scores`, the highest values best: by rank, ties taking the lowest, or by ascending cut points,
    each the least value of the next score. Empty stays empty."""
    if cuts:
        found = pd.Series(np.searchsorted(cuts, values, side="right") + 1, values.index)
        return found.where(values.notna()).astype("Int64")
    rank = values.rank(method="min") - 1
    return (rank * scores // max(values.count(), 1) + 1).astype("Int64")


_RFM = Texts(
    "RFM",
    "Recency, frequency (order days), money (net): scores by rank among all customers, the highest best; "
    "the three together name a segment.",
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
        "f_score": Column(INTEGER, "order days in the value window, the highest score most", empty=True),
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
    """Recency, frequency (order days) and money (net) scores over the value window, and the named segment.

    `weights` and `cuts` (ascending, one less than `scores`) go by recency (days), frequency (order days), money.
    Scores are empty without an order; without money frequency stands for it.
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
    row, column = (_place(s, scores, len(grid)) for s in (r, np.floor(worth + 0.5)))
    named = pd.Series(grid[len(grid) - 1 - row, column], bought.index, dtype="str")
    made = pd.DataFrame({"r_score": r, "f_score": f, "m_score": m, "rfm_score": total.astype(float), "rfm_segment": named})
    return made.reindex(people.index).fillna({"rfm_segment": "prospect"}).set_index(people.customer_id)


def _place(score: pd.Series, scores: int, rows: int) -> np.ndarray:
    """The row, from 0, of a grid of fewer or more rows than scores: that in which the middle of the score lies."""
    return ((score.to_numpy(float) - 0.5) / scores * rows).astype(int)


def held_above(values: pd.Series) -> pd.Series:
    """The share of the positive total that customers of higher value hold: 0 for the highest, 1 at or below zero.

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
    """A, B, C by the share of the total that customers of higher value hold; `none` at or below zero."""
    above = held_above(values)
    tests = [~(values > 0), *(above < cut - TIE for cut in cuts)]
    return pd.Series(np.select(tests, ["none", "A", "B"], default="C"), values.index, dtype="str")


_ABC = {"A": "A", "B": "B", "C": "C", "none": "None"}
_ABC_MEANING = (
    "A: the customers who together bring the first 80 % of {what} unless set otherwise; B: up to 95 %; C: the rest; {none}."
)


@segmentation(
    "abc_revenue",
    {"abc_revenue": Column(TEXT, "A, B, C by revenue in the value window, none at or below zero")},
    Texts("ABC by revenue", _ABC_MEANING.format(what="revenue", none="none: at or below zero, returns deducted"), _ABC),
)
def abc(people: pd.DataFrame, cuts: Sequence[float] = ABC_CUTS) -> pd.DataFrame:
    """ABC by net revenue in the value window. Columns: abc_revenue."""
    return pd.DataFrame({"abc_revenue": abc_classes(people.set_index("customer_id").window_revenue, cuts)})


@segmentation(
    "abc_profit",
    {"abc_profit": Column(TEXT, "A, B, C by profit in the value window, loss below zero, none without any", optional=True)},
    Texts(
        "ABC by profit",
        _ABC_MEANING.format(what="profit", none="loss: cost the company more than they paid; none: neither"),
        _ABC | {"loss": "Loss"},
    ),
    needs=("transactions.cost",),
)
def abc_profit(people: pd.DataFrame, cuts: Sequence[float] = ABC_CUTS) -> pd.DataFrame:
    """ABC by profit in the value window; loss-making customers are a class of their own. Columns: abc_profit."""
    profit = people.set_index("customer_id").window_profit
    return pd.DataFrame({"abc_profit": abc_classes(profit, cuts).mask(profit < 0, "loss")})


@dataclass(frozen=True)
class Rhythm:
    """How often the customers order, and how much they differ: each one's rate is drawn from a gamma distribution
    of this shape and of this scale in days, and the days between two orders are exponential."""

    shape: float
    days: float

    def pause(self, chance: float, orders: Any = 0, days: Any = 0) -> Any:
        """The pause, in days, that with this chance is exceeded by who repeated `orders` times within `days` days."""
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
        total = gammaln(shape + orders) - gammaln(shape) + shape * np.log(scale) - (shape + orders) * np.log(scale + days)
        return float(-total.mean())

    mean = max(days.sum() / orders.sum(), 1e-3)
    bounds = [(np.log(0.1), np.log(STEADIEST)), (np.log(mean / 100), np.log(mean * 100 * STEADIEST))]
    found = minimize(loss, [0.0, np.log(mean)], bounds=bounds, method="L-BFGS-B")
    return Rhythm(*map(float, np.exp(found.x)))


def pause_limits(people: pd.DataFrame, learned: Rhythm, silent_days: int = 0, lost_days: int = 0) -> pd.DataFrame:
    """Days without an order after which each customer is silent, and lost; given ones (not 0) hold for all.

    Silent: beyond a pause that one in five would still make, going by the customer's own orders and those of all. Lost:
    beyond one in twenty, and not before somebody of whom nothing is known would be.
    """
    orders, days = people.frequency.to_numpy(), (people.age_days - people.recency_days).fillna(0).to_numpy()
    silent = silent_days or np.ceil(learned.pause(SILENT_CHANCE, orders, days))
    lost = lost_days or np.ceil(np.maximum(learned.pause(LOST_CHANCE, orders, days), learned.pause(LOST_CHANCE)))
    limits = pd.DataFrame({"silent_after_days": silent, "lost_after_days": np.maximum(silent, lost)}, people.index)
    return limits.clip(lower=1).where(people.orders > 0).astype("Int64")


_STAGE = Texts(
    "Stage",
    "Where a customer stands in life. Prospect: no order yet; new: one order; repeat: two to four; loyal: five or more; "
    "silent: pauses for longer than is usual for this customer; lost: for so long that a return is unlikely.",
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
        "silent_after_days": Column(INTEGER, "days without an order after which the customer is silent", empty=True),
        "lost_after_days": Column(INTEGER, "days without an order after which the customer is lost", empty=True),
    },
    _STAGE,
)
def lifecycle(people: pd.DataFrame, learned: Rhythm | None = None, silent_days: int = 0, lost_days: int = 0) -> pd.DataFrame:
    """The stage each customer has reached, and the pauses that make it silent and lost."""
    limits = pause_limits(people, learned or rhythm(people), silent_days, lost_days)
    tests = {
        "prospect": people.orders == 0,
        "lost": people.recency_days > limits.lost_after_days,
        "silent": people.recency_days > limits.silent_after_days,
        "new": people.orders == 1,
        "loyal": people.orders >= LOYAL_ORDERS,
    }
    stages = np.select([test.fillna(False).to_numpy(bool) for test in tests.values()], list(tests), default="repeat")
    return limits.assign(stage=pd.Series(stages, people.index, dtype="str")).set_index(people.customer_id)


# Made of every dataset, whatever its columns: later stages rest on them.
ALWAYS = (rfm, abc, lifecycle)
SEGMENTATIONS: dict[str, Segmentation] = {
    entry.name: entry for entry in (*ALWAYS, abc_profit, *habits.HABITS, attributes, interests, needs, clusters)
}


def _column(entry: Segmentation, column: Column) -> Column:
    return column if entry in ALWAYS else replace(column, optional=True)


TABLES["segments"] = Contract(
    "a customer",
    ("customer_id",),
    {"customer_id": Column(TEXT, "the customer, as text")}
    | {name: _column(entry, column) for entry in SEGMENTATIONS.values() for name, column in entry.makes.items()},
)


def chosen(columns: Collection[str], asked: Collection[str] = ()) -> tuple[list[Segmentation], dict[str, list[str]]]:
    """The segmentations to make of records with these columns (as transactions.cost), and what each other one lacks.

    Asked for are all that the columns allow, unless some are named; RFM, ABC and stages are always made. Raises
    InputError for a name that is none.
    """
    if unknown := sorted(set(asked) - set(SEGMENTATIONS)):
        raise InputError(f"segmentations: there is no {unknown[0]}; {did_you_mean(unknown[0], SEGMENTATIONS)}")
    wanted = [entry for entry in SEGMENTATIONS.values() if not asked or entry in ALWAYS or entry.name in asked]
    lacking = {entry.name: lacks for entry in wanted if (lacks := entry.lacks(columns))}
    return [entry for entry in wanted if entry.name not in lacking], lacking


def options(settings: Dataset, k: int = 0, attribute: str = "") -> dict[str, dict[str, Any]]:
    """How a dataset wants its segmentations made, by name; `k` clusters (0: chosen), the attribute to look at."""
    cuts = {"cuts": (settings.abc_a, settings.abc_b)}
    of_rfm = {"scores": settings.rfm_scores, "weights": settings.rfm_weights, "cuts": settings.rfm_cuts}
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
    people: pd.DataFrame, made: Sequence[Segmentation] = ALWAYS, options: Mapping[str, dict[str, Any]] | None = None
) -> pd.DataFrame:
    """Segmentations side by side: the table `segments`. Options by name, as {"clusters": {"k": 5}}."""
    columns = [entry(people, **(options or {}).get(entry.name, {})) for entry in made]
    return pd.concat(columns, axis=1).reset_index(names="customer_id")


def by_group(people: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """What each group is worth, the highest revenue first; `groups` by customer_id.

    Columns: group (index), customers, revenue (value window), revenue_share, orders (in the window, mean), recency_days (mean).
    """
    keyed = people.set_index("customer_id").assign(group=groups)
    size = keyed.groupby("group").agg(
        customers=("orders", "size"),
        revenue=("window_revenue", "sum"),
        orders=("window_orders", "mean"),
        recency_days=("recency_days", "mean"),
    )
    total = size.revenue.sum()
    size.insert(2, "revenue_share", size.revenue / total if total else np.nan)
    return size.sort_values(["revenue", "customers"], ascending=False)


def overview(people: pd.DataFrame, segmented: pd.DataFrame, made: Sequence[Segmentation]) -> pd.DataFrame:
    """Every class of every segmentation, in the order of its texts, then the company's own words by revenue.

    Columns: segmentation, group, customers, customers_share, revenue, revenue_share.
    """
    keyed = segmented.set_index("customer_id")
    tables = [_classes_of(people, keyed[entry.class_column], entry) for entry in made]
    return pd.concat(tables, ignore_index=True)


def _classes_of(people: pd.DataFrame, groups: pd.Series, entry: Segmentation) -> pd.DataFrame:
    found = by_group(people, groups)
    order = [name for name in entry.classes if name in found.index] + [n for n in found.index if n not in entry.classes]
    table = found.loc[order].reset_index().assign(segmentation=entry.name)
    table["customers_share"] = table.customers / len(people)
    return table[["segmentation", "group", "customers", "customers_share", "revenue", "revenue_share"]]


def left_out(lacking: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What `chosen` leaves out. Columns: segmentation, table, lacks (columns of that table)."""
    rows = [(name, *column.split(".")) for name, columns in lacking.items() for column in columns]
    return pd.DataFrame(rows, columns=["segmentation", "table", "lacks"])


def disagreements(people: pd.DataFrame, segmented: pd.DataFrame) -> pd.DataFrame:
    """Customers whose class by profit is not their class by revenue, the furthest apart and largest revenue first.

    Columns: customer_id, abc_revenue, abc_profit, window_revenue, window_profit, margin.
    """
    if "abc_profit" not in segmented:
        return pd.DataFrame(columns=["customer_id", "abc_revenue", "abc_profit", "window_revenue", "window_profit", "margin"])
    rank = {name: number for number, name in enumerate(abc_profit.classes)}
    both = segmented[["customer_id", "abc_revenue", "abc_profit"]].merge(
        people[["customer_id", "window_revenue", "window_profit"]], on="customer_id"
    )
    apart = (both.abc_revenue.map(rank) - both.abc_profit.map(rank)).abs()
    found = both.assign(apart=apart, margin=both.window_profit / both.window_revenue.where(both.window_revenue > 0))
    found = found[found.apart > 0].sort_values(["apart", "window_revenue", "customer_id"], ascending=[False, False, True])
    return found.drop(columns="apart").reset_index(drop=True)


def profit_facts(people: pd.DataFrame, segmented: pd.DataFrame) -> dict[str, float]:
    """Customers of class A by profit (a), of another class than by revenue (differ), and at a loss (loss; lost: money).

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
    """What attributes are compared with, keyed by customer_id. Columns: revenue (value window), stage (in order)."""
    stages = segmented.set_index("customer_id").stage.astype(pd.CategoricalDtype(STAGES)).cat.remove_unused_categories()
    return pd.DataFrame({"revenue": people.set_index("customer_id").window_revenue, "stage": stages})


def stage_moves(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Where the customers of each stage (index) at an earlier day are now: shares of them by stage (columns).

    `then` and `now` have customer_id and stage. A stage that nobody was in is left out.
    """
    both = then[["customer_id", "stage"]].merge(now[["customer_id", "stage"]], on="customer_id", suffixes=("_then", "_now"))
    shares = pd.crosstab(both.stage_then, both.stage_now, normalize="index")
    return shares.reindex(index=[s for s in STAGES if s in shares.index], columns=list(STAGES), fill_value=0.0)


def conversion(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Of the customers of each stage at an earlier day, who has ordered since.

    `then` has customer_id, stage and orders, `now` customer_id and orders. Columns: stage (in order), customers, ordered,
    share, low, high (Wilson's interval at 95 %).
    """
    both = then.merge(now[["customer_id", "orders"]], on="customer_id", suffixes=("", "_now"))
    both["again"] = both.orders_now > both.orders
    counts = both.groupby("stage").again.agg(customers="size", ordered="sum").reindex(STAGES).dropna().astype(int)
    share = counts.ordered / counts.customers
    low, high = wilson(share, counts.customers)
    return counts.assign(share=share, low=low, high=high).reset_index(names="stage")


def shares_of(conversion: pd.DataFrame, fewest: int = FEWEST) -> dict[str, float]:
    """Of `conversion`: the share that ordered since, by stage; nan where fewer than `fewest` customers were in it."""
    known = conversion[conversion.customers >= fewest].set_index("stage").share
    return {stage: float(known.get(stage, np.nan)) for stage in STAGES}


def score_grid(segmented: pd.DataFrame, scores: int = SCORES) -> pd.DataFrame:
    """Customers by r_score (index, the highest first) and f_score (columns); scores nobody has stand at 0."""
    counts = pd.crosstab(segmented.r_score, segmented.f_score)
    return counts.reindex(index=range(scores, 0, -1), columns=range(1, scores + 1), fill_value=0)


def segment_names(names: Sequence[Sequence[str]] = RFM_SEGMENTS) -> pd.DataFrame:
    """The named segments as a table. Columns: recency (score, the best first), segment, fm_low, fm_high (from which to
    which mean of the other two scores)."""
    cells = [(len(names) - n, name, fm) for n, row in enumerate(names) for fm, name in enumerate(row, 1)]
    ranges = pd.DataFrame(cells, columns=["recency", "segment", "fm"]).groupby(["recency", "segment"], sort=False).fm
    return ranges.agg(fm_low="min", fm_high="max").reset_index()


def concentration(values: pd.Series, points: int = 100, losses: bool = False) -> pd.DataFrame:
    """Which share of the positive total the most valuable share of customers brings; with `losses` of the net total,
    which rises above 1 where others cost money. Columns: customers, value. Empty where the total is not above zero.
    """
    known = values.fillna(0) if losses else values.clip(lower=0).fillna(0)
    ordered = known.sort_values(ascending=False).to_numpy()
    if not ordered.sum() > 0:
        return pd.DataFrame({"customers": [], "value": []})
    held = np.append(0, ordered.cumsum() / ordered.sum())
    shares = np.linspace(0, 1, points + 1)
    return pd.DataFrame({"customers": shares, "value": np.interp(shares, np.linspace(0, 1, len(held)), held)})


def concentrations(people: pd.DataFrame) -> pd.DataFrame:
    """The same for revenue, and for profit where it is known. Columns: measure, customers, value."""
    curves = [concentration(people.window_revenue).assign(measure="revenue")]
    if "window_profit" in people:
        curves.append(concentration(people.window_profit, losses=True).assign(measure="profit"))
    return pd.concat(curves, ignore_index=True)
