"""Feasts that fall on another day each year, and the weeks around them."""

import datetime as dt
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from holidays import country_holidays


class Feast(NamedTuple):
    """Its name in the public holidays of Singapore, where all three are kept, and the weeks counted
    from it in which people may buy more or less than usual.
    """

    name: str
    weeks: range


FEASTS = {
    "spring_festival": Feast("Chinese New Year", range(-5, 3)),
    "easter": Feast("Good Friday", range(-3, 1)),
    "ramadan": Feast("Eid al-Fitr", range(-5, 2)),
}
WEEK = 7


@lru_cache
def days_of(feast: str, first: int, last: int) -> np.ndarray:
    """The days of a feast in the years from first to last, in order."""
    known = country_holidays("SG", years=range(first, last + 1), observed=False)
    all_of = np.array(sorted(known.get_named(FEASTS[feast].name, "startswith")), "datetime64[D]")
    return all_of[np.append(True, np.diff(all_of).astype(int) > 1)]  # the first where it has two


def around(feast: str, end: dt.date, ahead: np.ndarray) -> np.ndarray:
    """How near days, counted from `end`, are to each of the weeks around a feast: 1 there, falling
    to 0 a week away; shape days x weeks.
    """
    first, last = (end + dt.timedelta(days=int(day)) for day in (ahead.min(), ahead.max()))
    feasts = (days_of(feast, first.year - 1, last.year + 1) - np.datetime64(end)).astype(int)
    apart = np.subtract.outer(ahead, feasts)
    nearest = np.abs(apart).argmin(axis=1)[:, None]
    since = np.take_along_axis(apart, nearest, axis=1) / WEEK
    return (1 - np.abs(since - np.array(FEASTS[feast].weeks))).clip(0)
