"""How often what is proposed was bought by itself, on time that the rules had not seen."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import customers
from analysis.models import origins
from analysis.report.text import N_
from analysis.segments import interests
from analysis.statistics import lots, wilson
from analysis.strategy import offers, purchases
from analysis.strategy.item_rules import DEFAULT, RULES, learned
from analysis.strategy.purchases import Purchases

MIN_JUDGED = 30  # customers with something new, or hit rates tell nothing
MOST_JUDGED = 20_000  # customers, drawn by lot: their hit rate is known to within a percent
BOARD = ["model", "customers", "hit", "low", "high", "mrr", "coverage"]
PROPOSED = N_("What is proposed here")


class Past(origins.Past):
    """The days at which proposals are chosen and measured: one each."""

    choosing, horizons_before = 1, 1


@dataclass(frozen=True)
class Judged:
    """How proposals would have done at a day.

    `board` (BOARD, by rule; first `proposed` where asked for; empty below MIN_JUDGED): hit, the
    share of customers who bought one of the PLACES of what was new to them, with its 95 % interval;
    mrr, the mean of 1 / rank of the first such; coverage, the share of items proposed to anybody.
    `again`: the share of what was due again (`again_count`) that was bought.
    """

    day: dt.date
    board: pd.DataFrame
    again: float
    again_count: int


@dataclass(frozen=True)
class Trial:
    """The champion of RULES, how they did when it was chosen, and how it did when measured."""

    champion: str
    chosen: Judged | None  # None where too few bought anything new then
    measured: Judged | None

    @property
    def board(self) -> pd.DataFrame:
        return self.measured.board if self.measured else pd.DataFrame(columns=BOARD)


def run(
    transactions: Table,
    as_of: dt.date,
    horizon_days: int,
    interactions: Table | None = None,
    seed: int = 0,
) -> Trial:
    """Choose the rule two horizons back and measure one horizon back. What is on sale today says
    nothing of then, so everything counts as offered at both days.
    """
    item = interests.bundle_level(transactions, as_of)
    late, early = [*Past(transactions, horizon_days).days(as_of), None, None][:2]
    chosen, measured, champion = None, None, DEFAULT
    if early:
        chosen = judged(transactions, early, horizon_days, interactions, item, seed)
    if chosen and len(chosen.board):
        champion = str(chosen.board.hit.idxmax())
    if late:
        measured = judged(transactions, late, horizon_days, interactions, item, seed, champion)
    return Trial(champion, chosen if chosen and len(chosen.board) else None, measured)


def judged(
    transactions: Table,
    day: dt.date,
    horizon_days: int,
    interactions: Table | None = None,
    item: str | None = None,
    seed: int = 0,
    champion: str = "",
) -> Judged:
    """How RULES would have done at a day, and first what offers.proposals makes of a champion
    without what is due again. Judged are customers with a purchase by the day who bought something
    new to them within the horizon.
    """
    item = interests.bundle_level(transactions, day) if item is None else item
    known = purchases.gather(transactions, day, interactions, item=item)
    later = bought_later(transactions, day, horizon_days, item)
    truth, rows = pairs(known, later), drawn(known, later, seed)
    first = offers.due(known).groupby("row").head(offers.AGAIN_PLACES)
    bought = pd.MultiIndex.from_frame(first[["row", "column"]]).isin(truth)
    again = float(bought.mean()) if len(first) else float("nan")
    if len(rows) < MIN_JUDGED:
        return Judged(day, pd.DataFrame(columns=BOARD), again, len(first))
    rules = {name: learned(known, name) for name in RULES}
    found = {}
    if champion:
        found["proposed"] = offers.proposals(known, rules[champion], rows, again=0)
    found |= {name: offers.ranked(known, rule, rows) for name, rule in rules.items()}
    board = {name: rates(each, truth, rows, len(known.items)) for name, each in found.items()}
    words = {"proposed": PROPOSED} | {name: rule.words for name, rule in RULES.items()}
    table = pd.DataFrame.from_dict(board, orient="index")
    return Judged(day, table.assign(model=table.index.map(words))[BOARD], again, len(first))


def bought_later(transactions: Table, day: dt.date, horizon_days: int, item: str) -> pd.DataFrame:
    """What customers bought within the horizon: customer_id, item, new (no line of it before)."""
    if not item:
        none = {"customer_id": "str", "item": "str", "new": bool}
        return pd.DataFrame(columns=list(none)).astype(none)
    end = day + dt.timedelta(days=horizon_days)
    sold = customers.sales(transactions, end).filter(_.day > day)
    bought = sold.select("customer_id", item=sold[item]).filter(_.item.notnull()).distinct()
    before = purchases.by_item(transactions, day, item).select("customer_id", "item", old=True)
    both = bought.left_join(before, ["customer_id", "item"])
    return both.select("customer_id", "item", new=_.old.isnull()).to_pandas()


def drawn(known: Purchases, later: pd.DataFrame, seed: int) -> np.ndarray:
    """Rows of the customers who are judged, at most MOST_JUDGED of them by lot."""
    ids = pd.Index(later.customer_id[later.new].unique(), dtype="str")
    rows = np.sort(known.customers.get_indexer(ids))
    rows = rows[rows >= 0]
    rows = rows[known.has_bought[rows]]
    if len(rows) <= MOST_JUDGED:
        return rows
    order = np.argsort(lots(known.customers[rows].to_series(), seed), kind="stable")
    return rows[np.sort(order[:MOST_JUDGED])]


def pairs(known: Purchases, later: pd.DataFrame) -> pd.MultiIndex:
    """Pairs of row and column that were bought."""
    row = known.customers.get_indexer(later.customer_id)
    column = known.items.get_indexer(later["item"])
    seen = (row >= 0) & (column >= 0)
    return pd.MultiIndex.from_arrays([row[seen], column[seen]])


def rates(
    found: pd.DataFrame, truth: pd.MultiIndex, rows: np.ndarray, items: int
) -> dict[str, float]:
    """The figures of BOARD of the lists in `found` (row, column, in order of rank)."""
    rank = found.groupby("row").cumcount() + 1
    right = pd.MultiIndex.from_frame(found[["row", "column"]]).isin(truth)
    hits = (1 / rank)[right].groupby(found.row[right]).max()
    hit = len(hits) / len(rows)
    low, high = wilson(hit, len(rows))
    return {
        "customers": len(rows),
        "hit": hit,
        "low": float(low),
        "high": float(high),
        "mrr": hits.sum() / len(rows),
        "coverage": found.column.nunique() / max(items, 1),
    }


# For the page
def verdict(trial: Trial) -> tuple[str, dict[str, object]]:
    """A sentence on how often proposals hit, with its values."""
    if trial.board.empty or trial.measured is None:
        return N_(
            "How often proposals hit cannot be measured on this data: it takes at least {least:int}"
            " customers who bought something new within {days:time} before {as_of:date}, and"
            " purchases before that."
        ), {"least": MIN_JUDGED}
    ours = trial.board.loc["proposed", ["customers", "hit", "low", "high"]].to_dict()
    return N_(
        "Of {customers:int} customers who bought something new in the {days:time} after"
        " {origin:date}, {hit:percent} bought one of the three things proposed (95 % sure:"
        " {low:percent} to {high:percent}); proposing the most popular would have hit"
        " {popular:percent}."
    ), ours | {"origin": trial.measured.day, "popular": trial.board.hit["most_bought"]}


def choice(trial: Trial) -> tuple[str, dict[str, object]]:
    """A sentence on the rule that was chosen, with its values."""
    model = RULES[trial.champion].words
    if trial.chosen is None:
        return N_(
            "Proposals go by: {model:word}. There is too little data to choose a rule by time it"
            " had not seen."
        ), {"model": model}
    return N_(
        "Proposals go by: {model:word}. Of {candidates:int} rules it hit most often in the"
        " {days:time} after {chosen:date}, an earlier time."
    ), {"model": model, "candidates": len(trial.chosen.board), "chosen": trial.chosen.day}


def again_proof(trial: Trial) -> dict[str, object]:
    """Of what was due again: origin, count, share bought, low, high; nan where nothing was."""
    then = trial.measured
    if then is None or not then.again_count:
        return {"origin": None, "count": 0} | dict.fromkeys(("share", "low", "high"), np.nan)
    low, high = wilson(then.again, then.again_count)
    values = {"origin": then.day, "count": then.again_count, "share": then.again}
    return values | {"low": low, "high": high}
