"""What leaving is, and customers at past days with whether they left.

Leaving is to order nothing within the horizon; or within the customer's own usual pause; or to end
a contract, where the profiles say so.
"""

import datetime as dt
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property

import numpy as np
import pandas as pd
from ibis import _

from analysis import customers
from analysis.errors import NotEstimable
from analysis.intake.dataset import Dataset
from analysis.models import history, orders, origins
from analysis.models.calendar import Calendar, estimate
from analysis.models.contracts import Contracts, contracts
from analysis.models.history import Records
from analysis.report.text import N_
from analysis.segments.lifecycle import lifecycle, limits
from analysis.statistics import lots

MIN_CASES = 30  # customers who left, and who stayed, that a model needs to be learned
# to learn from and to measure at, drawn by lot: more of them change the ranking by less than chance
MOST_CUSTOMERS = 50_000
AT_ONCE = 4  # days described by one query; of more the engine's memory would be too small …
LINES_AT_ONCE = 600_000  # … but of a log so short that it has no more lines in all of them

# What leaving means, by the definition that the dataset file names.
MEANINGS = {
    "horizon": N_(
        "Leaving means: no order in the {days:time}. Nobody has cancelled anything; some will"
        " come back later."
    ),
    "rhythm": N_(
        "Leaving means: no order within the pause after which the customer counts as silent by own"
        " rhythm, at most {days:time}."
    ),
    "contract": N_(
        "Leaving means: the contract ends within the {days:time} and is not renewed, as the"
        " profiles say."
    ),
}


def left(held: pd.DataFrame, definition: str, horizon_days: int) -> pd.Series:
    """Whether each customer left within the horizon: no order in it; (rhythm) none within the pause
    after which the customer would count as silent, at most the horizon; (contract) the contract
    ended. Empty where a profile does not say.
    """
    if definition == "contract":
        return held.contract_left
    if definition == "rhythm":
        pause = held.silent_after_days.astype(float).fillna(horizon_days).clip(upper=horizon_days)
        return ~(held.next_order_days <= pause)
    return ~(held.next_order_days <= horizon_days)


def learnable(gone: pd.Series) -> bool:
    """Whether enough customers left and enough stayed."""
    gone = gone.astype(bool)
    return int(min(gone.sum(), (~gone).sum())) >= MIN_CASES


class Past(origins.Past):
    """Customers at past days, described by all records, with whether they left."""

    choosing = 2
    horizons_before = 1

    def __init__(self, records: Records, settings: Dataset) -> None:
        super().__init__(records.transactions, settings.horizon_days, orders.TRAILING)
        self.records, self.settings = records, settings
        self._next: dict[dt.date, pd.Series] = {}
        self._models: dict[dt.date, orders.Probabilistic] = {}
        self.calendars: dict[dt.date, Calendar | None] = {}

    def read(self, days: Iterable[dt.date]) -> None:
        """Know these days, by few queries, the oldest first: a model of orders begins at that of
        the day before, never at one of a later day.
        """
        window, new = self.settings.value_window_days, sorted({*days} - {*self._known})
        most = max(AT_ONCE, LINES_AT_ONCE // self.lines) if len(new) > AT_ONCE else AT_ONCE
        for first in range(0, len(new), most):
            some = new[first : first + most]
            for day, found in history.on_days(self.records, some, self.trailing, window).items():
                self._known[day] = self.described(found, day)
            self._next |= history.next_orders(self.transactions, some, self.horizon_days)

    @cached_property
    def lines(self) -> int:
        """Of the log."""
        return max(int(self.transactions.count().execute()), 1)

    def calendar(self, day: dt.date) -> Calendar | None:
        """What the calendar does to orders, as was known on a day; None where it is in doubt, and
        of contracts, which end by a calendar of their own.
        """
        if day not in self.calendars:
            self.calendars[day] = None
            with suppress(NotEstimable):
                if self.settings.churn != "contract" and len(self.known(day)):
                    weekly = customers.weekly_orders(self.transactions, day)
                    found = estimate(self.known(day), weekly)
                    self.calendars[day] = found if found.is_certain else None
        return self.calendars[day]

    def in_season(self, held: pd.DataFrame, day: dt.date, now: dt.date) -> pd.DataFrame:
        """Customers of a day with `expected` orders by the calendar as known `now`, if there is
        one.
        """
        if not (calendar := self.calendar(now)):
            return held
        model = order_model(held, self.settings.seed, calendar.on(day))
        return held.assign(expected=model.predict(held, self.horizon_days).to_numpy())

    @cached_property
    def contracts(self) -> Contracts | None:
        """When contracts end; None where the profiles do not say."""
        people = self.records.profile_columns("contract_end", "churned").set_index("customer_id")
        if "contract_end" not in people:
            return None
        first = self.transactions.group_by("customer_id").agg(first_order=_.day.min()).to_pandas()
        people = first.set_index("customer_id").join(people)
        people = people.astype(dict.fromkeys(("contract_end", "first_order"), "datetime64[s]"))
        newest = pd.Timestamp(self.transactions.day.max().execute())
        return contracts(people, pd.Timestamp(self.oldest), newest)

    def described(self, found: pd.DataFrame, day: dt.date) -> pd.DataFrame:
        """Who has ordered by a day: the columns of history.on_days, `expected` orders within the
        horizon, and lifecycle's stage and pauses; renewal_days where profiles tell the ends of
        contracts. With contracts those whose contract runs, with `due` (1 where it ends within the
        horizon, else 0) and `terms` that will have passed then.
        """
        settings, found = self.settings, customers.buyers(found)
        learned = limits(found, self.horizon_days)
        if settings.churn == "contract":
            found = with_contracts(found, self.records, day)
        if self.contracts is not None and self.contracts.months:
            days = self.contracts.days_to_end(found.customer_id, pd.Timestamp(day))
            found = found.assign(renewal_days=days)
            if settings.churn == "contract":
                found["due"] = (days <= self.horizon_days).astype(float)
                found["terms"] = self.contracts.terms(found.age_days + days)
        given = {"silent_days": settings.silent_days, "lost_days": settings.lost_days}
        stages = lifecycle(found, learned=learned, **given)
        earlier = max((then for then in self._models if then < day), default=None)
        near = self._models[earlier] if earlier else None
        model = self._models[day] = order_model(found, settings.seed, near=near)
        expected = model.predict(found, self.horizon_days).to_numpy()
        return found.assign(**stages.reset_index(drop=True), expected=expected)

    def outcome(self, day: dt.date) -> pd.DataFrame:
        """`known` with next_order_days (empty without one in the horizon) and `left`; without those
        of whom a profile does not say.
        """
        known = self.known(day)
        held = known.assign(next_order_days=known.customer_id.map(self._next[day]))
        if self.settings.churn == "contract":
            held["contract_left"] = contract_left(held, day, self.horizon_days)
        held["left"] = left(held, self.settings.churn, self.horizon_days)
        return held[held.left.notna()].astype({"left": bool}).reset_index(drop=True)

    def taught(self, day: dt.date) -> pd.DataFrame:
        """Outcomes complete by a day, of several earlier days, one below the other; empty where too
        few left or stayed.
        """
        lessons = [self.in_season(self.at(then), then, day) for then in self.lesson_days(day)]
        every = pd.concat(lessons, ignore_index=True) if lessons else pd.DataFrame({"left": []})
        return every if learnable(every.left) else every.head(0)


def with_contracts(found: pd.DataFrame, records: Records, day: dt.date) -> pd.DataFrame:
    """With contract_end and churned as far as profiles have them; without those whose contract had
    ended by the day.
    """
    profiles = records.profile_columns("contract_end", "churned")
    found = found.merge(profiles, "left", "customer_id")
    if "contract_end" not in found:
        return found
    found["contract_end"] = pd.to_datetime(found.contract_end)
    over = found.contract_end <= pd.Timestamp(day)
    if "churned" in found:
        over &= found.churned.eq(True)
    return found[~over].reset_index(drop=True)


def contract_left(held: pd.DataFrame, day: dt.date, horizon_days: int) -> pd.Series:
    """Whether the contract ended within the horizon. With a flag only a contract that is flagged
    did; with a flag alone, which has no date, the flag itself. Empty where the flag is, or where
    who is flagged has no date.
    """
    always = pd.Series(True, held.index, dtype="boolean")
    flag = held.churned.astype("boolean") if "churned" in held else always
    if "contract_end" not in held:
        return flag
    start = pd.Timestamp(day)
    end = start + pd.Timedelta(days=horizon_days)
    within = held.contract_end.between(start, end, inclusive="right").astype("boolean")
    undated = flag & held.contract_end.isna() & ("churned" in held)
    return (flag & within).mask(flag.isna() | undated)


def order_model(
    known: pd.DataFrame,
    seed: int,
    calendar: Calendar | None = None,
    near: orders.Probabilistic | None = None,
) -> orders.Probabilistic:
    """A model of orders, fitted to at most MOST_CUSTOMERS; `near` as for orders.probabilistic."""
    some = known[drawn(known.customer_id, seed, MOST_CUSTOMERS)]
    names = ("bg_nbd",) if calendar else ("pareto_nbd", "mbg_nbd", "bg_nbd")
    return orders.probabilistic(some, *names, calendar=calendar, near=near)


def drawn(customer_ids: pd.Series, seed: int, most: int) -> np.ndarray:
    """Whether each customer is among the `most` of the lowest lots: all where there are no more."""
    if len(customer_ids) <= most:
        return np.ones(len(customer_ids), bool)
    found = lots(customer_ids, seed)
    return found <= np.partition(found, most - 1)[most - 1]


def sample(records: Records, seed: int) -> Records:
    """The records of at most MOST_CUSTOMERS customers, drawn by lot; the records themselves where
    there are no more.
    """
    found = records.transactions.select("customer_id").distinct().to_pandas()
    ids = found.customer_id.astype("str").sort_values()
    if len(ids) <= MOST_CUSTOMERS:
        return records
    return records.of(ids[drawn(ids, seed, MOST_CUSTOMERS)].tolist())
