"""Origins: days in the past at which forecasts are made and measured by what followed, of whatever
is forecast (orders, leaving, offers).

They step back from the day of the picture in whole horizons. The first one back is *measured* and
chooses nothing; those before it *choose*. Where the log is short, these may lie closer than a
horizon, so that their outcomes overlap: they count as the whole `windows` that they span. Every
window that trains or chooses ends by the origin that it is used at.

    past = Past(transactions, horizon_days)  # or a subclass: `read`, `outcome`
    measured, *choosing = past.days(as_of)  # latest first; none where the log is short
    held = past.at(measured)  # customers as known on the day (`known`), with what followed
    lessons = [past.at(day) for day in past.lesson_days(measured)]
    champion = simplest(choice(losses, choosing)) or DEFAULT
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from analysis import customers

TRAINING = 4  # origins from which a model learns outcomes, a third of a horizon apart


class Past:
    """Customers at past days with what followed. A day is read once, though it ends the outcome of
    an earlier one.

    `trailing` as for customers.customers; the horizon is always among them.
    """

    choosing = 3  # days at most; older ones tell of another time
    closest = 1.0  # of a horizon, that they lie apart at least
    horizons_before = 2  # of the log before a day, so that something can be learned

    def __init__(
        self, transactions: Table, horizon_days: int, trailing: Sequence[int] = ()
    ) -> None:
        self.transactions, self.horizon_days = transactions, horizon_days
        self.trailing = tuple(sorted({*trailing, horizon_days}))
        self.oldest = pd.Timestamp(transactions.day.min().execute()).date()
        self._known: dict[dt.date, pd.DataFrame] = {}
        self._held: dict[dt.date, pd.DataFrame] = {}

    def read(self, days: Iterable[dt.date]) -> None:
        """Know who had ordered by these days; a subclass may describe them by more."""
        if new := [day for day in dict.fromkeys(days) if day not in self._known]:
            found = customers.on_days(self.transactions, new, trailing=self.trailing)
            self._known |= {day: customers.buyers(people) for day, people in found.items()}

    def outcome(self, day: dt.date) -> pd.DataFrame:
        """`known` with what followed: holdout_orders, holdout_revenue within the horizon; a
        subclass may tell another outcome.
        """
        known, later = self.known(day), self.known(day + dt.timedelta(days=self.horizon_days))
        later = later.set_index("customer_id").loc[known.customer_id]
        followed = {f"holdout_{n}": f"{n}_{self.horizon_days}" for n in ("orders", "revenue")}
        return known.assign(**{name: later[c].to_numpy() for name, c in followed.items()})

    def known(self, day: dt.date) -> pd.DataFrame:
        """Customers as known on a day."""
        self.read([day])
        return self._known[day]

    def at(self, day: dt.date) -> pd.DataFrame:
        """Customers as known on a day, with what followed; the horizon in attrs horizon_days."""
        if day not in self._held:
            self._held[day] = self.outcome(day)
            self._held[day].attrs["horizon_days"] = self.horizon_days
        return self._held[day]

    def depth(self, day: dt.date) -> int:
        """Days of the log up to a day."""
        return (day - self.oldest).days + 1

    def days(self, as_of: dt.date) -> list[dt.date]:
        """The day that is measured, then those that choose, as far back as the log reaches."""
        horizon, least = self.horizon_days, self.horizons_before * self.horizon_days
        room = self.depth(as_of) - 2 * horizon - least  # for the choosing days
        step = max(min(room / max(self.choosing - 1, 1), horizon), self.closest * horizon)
        back = [horizon, *(2 * horizon + int(n * step) for n in range(self.choosing))]
        found = [as_of - dt.timedelta(days=n) for n in back]
        return [day for day in found if self.depth(day) >= least]

    def lesson_days(self, day: dt.date) -> list[dt.date]:
        """The latest days whose outcome was complete by `day`, with enough history to describe a
        customer.
        """
        back = [round(self.horizon_days * (1 + n / 3)) for n in range(TRAINING)]
        found = [day - dt.timedelta(days=n) for n in back]
        return [d for d in found if self.depth(d) >= self.horizon_days / 2]

    def all_days(self, as_of: dt.date) -> list[dt.date]:
        """The day of the picture, its `days`, and those that each of them learns from."""
        days = [as_of, *self.days(as_of)]
        return [*days, *(lesson for day in days for lesson in self.lesson_days(day))]


def windows(days: Sequence[dt.date], horizon_days: int) -> float:
    """How many whole horizons the outcomes after these days (latest first) are of: of one that
    overlaps, the share that does not.
    """
    gaps = [(late - early).days / horizon_days for late, early in pairwise(days)]
    return min(len(days), 1) + sum(min(gap, 1) for gap in gaps)


def choice(
    losses: Mapping[str, list[np.ndarray]],
    days: list[dt.date],
    score: Callable[[float], float] = float,
    horizon_days: int = 0,
) -> pd.DataFrame:
    """How candidates (index, simplest first) did at the choosing days, from their losses (an array
    a day, of the same cases for all). Columns: each day (score of its mean loss); mean (of these);
    distance (of the mean loss to the best, in standard errors of the paired difference over cases;
    days closer than a horizon, if one is given, tell as much as their `windows`).
    """
    told = windows(days, horizon_days) if horizon_days else len(days)
    scores = {name: [score(loss.mean()) for loss in found] for name, found in losses.items()}
    table = pd.DataFrame.from_dict(scores, orient="index", columns=list(days), dtype=float)
    table["mean"] = table.mean(axis=1)
    best = losses[table["mean"].idxmin()] if len(table) else []
    distances = []
    for found in losses.values():
        differences = [ours - theirs for ours, theirs in zip(found, best, strict=True)]
        mean = np.mean([each.mean() for each in differences])
        error = np.sqrt(sum(each.var() / len(each) for each in differences) / len(days) / told)
        certain = np.inf if mean > 0 else 0.0
        distances.append(mean / error if error > 0 else certain)
    return table.assign(distance=distances)


def simplest(table: pd.DataFrame) -> str:
    """Of `choice` the first candidate within one standard error of the best; "" of none."""
    return str(table.index[table.distance <= 1][0]) if len(table) else ""
