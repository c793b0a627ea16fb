"""Which tier each customer is in, at every month end, by one rule from what was known then.

Tiers change at the ends of calendar months, and only once three of them agree, so that nobody goes
back and forth and a day changes nothing by itself. Who first ordered since the last month end
is judged as of the day of the picture.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from analysis import customers
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Days, Share, Strict
from analysis.report.text import N_, say
from analysis.segments.abc import TIE, held_above
from analysis.segments.lifecycle import lifecycle, limits
from analysis.strategy.written import Text, in_language

Tier = Literal["strategic", "important", "ordinary", "potential"]
Stage = Literal["prospect", "new", "repeat", "loyal", "silent", "lost"]
TIERS = get_args(Tier)
WITHIN = ("revenue_within", "profit_within", "future_within")
# What is to come of who has paused for long, against who has not, over what the value window had:
# about what came of them within the next half year in a shop, a grocery and a wholesale log.
STILL_TO_COME = {"silent": 0.7, "lost": 0.4}
MONTH_ENDS = 24  # that the history shows
AGREE = 3  # month ends in a row that it takes for another tier
KEPT = N_("was in this tier, and three ends of months have not yet agreed on another")
UNKNOWN = -1  # the line of who had not yet ordered


class TierCondition(Strict):
    """What a customer must meet; what is not named, or not known (profit without costs), is not
    asked. *_within: to be among the customers who together bring this first share of the total.
    """

    stage: tuple[Stage, ...] = ()
    revenue_within: Share | None = None  # in the value window
    profit_within: Share | None = None  # in the value window
    future_within: Share | None = None  # value to come, as of value_to_come
    known_days: Days = 0  # since the first order, at least

    def holds(self, facts: pd.DataFrame) -> np.ndarray:
        """Whether each customer meets it."""
        named = [name for name in WITHIN if getattr(self, name) is not None]
        known = [name for name in named if name in facts]
        if named and not known:  # nothing that the line asks is known, so it fits nobody
            return np.zeros(len(facts), bool)
        holds = np.ones(len(facts), bool)
        if self.stage:
            holds &= facts.stage.isin(self.stage).to_numpy()
        for name in known:
            holds &= ((facts[name] < getattr(self, name) - TIE) | facts[name].isna()).to_numpy()
        if self.known_days:
            holds &= (facts.age_days >= self.known_days).fillna(False).to_numpy(bool)
        return holds


class TierRule(Strict):
    """A line of the playbook's tiers: the first one whose condition holds decides."""

    tier: Tier
    when: TierCondition
    why: Text


def value_to_come(people: pd.DataFrame) -> pd.Series:
    """What each customer (with `stage`) is taken to bring in as many days as the value window has,
    as money, or as orders where no money is known: as much as in the window, less after a long
    pause. As cheap at any past day as today; the forecast of the lifetime value stands beside it.
    """
    money = people.window_revenue
    today = money if money.notna().any() else people.window_orders
    return today * people.stage.map(STILL_TO_COME).fillna(1.0)


def lines(people: pd.DataFrame, rules: Sequence[TierRule]) -> np.ndarray:
    """The number of the first line of the tiers that each customer (with `stage`) meets."""
    money = people.window_revenue
    facts = people[["stage", "age_days"]].assign(
        revenue_within=held_above(money if money.notna().any() else people.window_orders),
        future_within=held_above(value_to_come(people)),
    )
    if "window_profit" in people and people.window_profit.notna().any():
        profit = people.window_profit
        facts["profit_within"] = held_above(profit).where(profit.notna())
    return np.argmax(np.column_stack([line.when.holds(facts) for line in rules]), axis=1)


def month_ends(oldest: dt.date, as_of: dt.date) -> list[dt.date]:
    """The ends of the months from that of `oldest` on, the day of the picture last."""
    ends = [day.date() for day in pd.date_range(oldest, as_of, freq="ME")]
    return [*(end for end in ends if end < as_of), as_of]


def held(numbers: np.ndarray, tiers: np.ndarray, month_is_over: bool) -> np.ndarray:
    """The line that counts for each customer at each month end (customers x month ends), by the
    line met there (UNKNOWN before the first order) and the tier of each line: another tier counts
    once AGREE month ends in a row agree on it. Unless the last month is over, its day counts only
    for who was not known before.
    """
    counts, met = numbers.copy(), tiers[numbers]
    for end in range(1, numbers.shape[1]):
        last = counts[:, end - 1]
        in_a_row = met[:, max(end - AGREE + 1, 0) : end + 1]
        agree = (in_a_row == met[:, [end]]).all(axis=1) & (end + 1 >= AGREE)
        over = month_is_over or end < numbers.shape[1] - 1
        changes = (last == UNKNOWN) | (agree | (met[:, end] == tiers[last])) & over
        counts[:, end] = np.where(changes, numbers[:, end], last)
    return counts


def history(
    transactions: Table, as_of: dt.date, settings: Dataset, rules: Sequence[TierRule]
) -> pd.DataFrame:
    """The table `tier_history`: each customer's tier at the last MONTH_ENDS month ends.

    The tiers are those of `rules`, the records those known then, and which pauses make silent and
    lost is learned at the last month end. A month end before one full value window since the log
    began has full_window False.
    """
    oldest = pd.Timestamp(transactions.day.min().execute()).date()
    window, ends = settings.value_window_days, month_ends(oldest, as_of)
    people = customers.on_days(transactions, ends, window, [settings.horizon_days])
    over = (as_of + dt.timedelta(days=1)).day == 1
    learned = limits(people[ends[-1 if over or len(ends) == 1 else -2]], settings.horizon_days)
    options = {"silent_days": settings.silent_days, "lost_days": settings.lost_days}
    parts = []
    for end, then in people.items():
        staged = then.assign(stage=lifecycle(then, learned=learned, **options).stage.to_numpy())
        part = staged[["customer_id", "stage", "window_orders", "window_revenue"]].assign(
            month_end=pd.Timestamp(end),
            line=lines(staged, rules),
            full_window=window == 0 or (end - oldest).days + 1 >= window,
        )
        parts.append(part)
    every = pd.concat(parts, ignore_index=True)
    customer, ids = pd.factorize(every.customer_id)
    end, dates = pd.factorize(every.month_end)
    met = np.full((len(ids), len(dates)), UNKNOWN)
    met[customer, end] = every.line
    tiers = np.array([line.tier for line in rules] + [""])  # of UNKNOWN, the last one
    every["line"] = held(met, tiers, over)[customer, end]
    every["tier"] = tiers[every.line]
    shown = every[every.month_end >= dates[-MONTH_ENDS:][0]]
    return shown.reset_index(drop=True).astype({"tier": "str", "stage": "str"})


def today(
    history: pd.DataFrame, people: pd.DataFrame, rules: Sequence[TierRule], language: str
) -> pd.DataFrame:
    """Tier and reason of each of `people` (with `stage`), by row: as of the last day of the
    history; of who has ordered nothing, as of `lines`. Who meets another tier's line by now is told
    so.
    """
    last = history[history.month_end == history.month_end.max()].set_index("customer_id").line
    number = people.customer_id.map(last)
    met = pd.Series(lines(people, rules), people.index)
    words = [(line.tier, in_language(line.why, language)) for line in rules]
    table = pd.DataFrame(words, columns=["tier", "reason"], dtype="str")
    found, now = (
        table.iloc[line.astype(int)].set_axis(people.index) for line in (number.fillna(met), met)
    )
    kept = found.tier != now.tier
    return found.assign(reason=found.reason.where(~kept, say(KEPT)))
