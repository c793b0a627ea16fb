"""What the calendar does to orders: season, growth, and a lasting break, as one rate that all
customers share.

Customers then live by a clock of their own (operational time): a week before Christmas is longer
than others, one after a break shorter. Orders that come by a varying rate are orders of even rate
by this clock, so a buy-till-you-die model is fitted to it as to ordinary weeks; for BG/NBD, whose
customers leave right after an order, that is the exact likelihood.

The rate is estimated from the repeat orders of each week against those that the model expects of
the customers there were: a Poisson regression, in turn with the model. How much season there is,
and whether there was a break, is decided by the evidence (Laplace's approximation), so that nothing
is made of noise.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.stats import norm

from analysis.errors import NotEstimable
from analysis.models import btyd, feasts

WEEK = 7.0  # the models count time in weeks, as the literature does
YEAR = 365.25
LEAST_WEEKS = 104  # of the log; of fewer a season cannot be told from growth
LEAST_YOUNG = 0.05  # share of customers of the later half of the log: of a closed intake growth is
# not to be told from leaving
HARMONICS, SMOOTH_DAYS = 10, 21  # of the season: it does not change faster than in three weeks
STRENGTHS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5)  # of the season: deviations of the log rate
# deviations of growth a year, of a break, and of a week around a feast, in logs
USUAL_GROWTH, USUAL_STEP, USUAL_FEAST = 0.3, 1.0, 0.6
BREAKS = range(3, 27)  # weeks ago that a break may have been
ROUNDS, LEARNED_FROM = 4, 20_000  # of clock and model in turn, on so many customers
YEARS_AHEAD = 30  # of the clock
DECISIVE = 25.0  # log evidence of a calendar beyond doubt: where customers leave at any time, even
# orders have looked like growth with 19

Clock = Callable[[Any], Any]  # days counted from the end of the log, as Calendar.clock reads


@dataclass(frozen=True)
class Calendar:
    """The rate of orders by day, about 1 on average, as of a day.

    `growth` is a year's, in logs, and goes on for as long as the log has shown it; `season` are
    weights of cosines and sines, `around` those of the weeks around a `feast` that moves from year
    to year ("": none matters); `step` is that of a break in the log rate since `broke` days ago (0:
    there was none). `evidence` is how much likelier all this makes the orders than an even rate
    does, in logs.
    """

    end: str  # the day, YYYY-MM-DD
    days: int  # of the log
    growth: float = 0.0
    season: tuple[float, ...] = ()
    feast: str = ""
    around: tuple[float, ...] = ()
    step: float = 0.0
    step_error: float = 0.0
    broke: int = 0
    evidence: float = 0.0

    def rates(self, ahead: np.ndarray) -> np.ndarray:
        """The rate on days counted from the end: 0 is its last day, 1 the next."""
        years = np.minimum(ahead, self.days) / YEAR
        steps = self.step * (ahead > -self.broke)
        return np.exp(self.growth * years + steps + self.seasons(ahead))

    def seasons(self, ahead: np.ndarray) -> np.ndarray:
        """The part of the season and the feast in the log rate."""
        rate = np.zeros(len(ahead))
        if self.season:
            rate += waves(self.day_of_year + ahead) @ np.array(self.season)
        if self.feast:
            rate += feasts.around(self.feast, self.last_day, ahead) @ np.array(self.around)
        return rate

    @property
    def last_day(self) -> dt.date:
        return dt.date.fromisoformat(self.end)

    @property
    def day_of_year(self) -> int:
        return self.last_day.timetuple().tm_yday

    @property
    def begin(self) -> dt.date | None:
        """The first day of a lasting break, if there was one."""
        return self.last_day - dt.timedelta(days=self.broke - 1) if self.broke else None

    def ahead(self, days: int) -> float:
        """How much more a customer orders in the next days than on average in the last year."""
        last = min(round(YEAR), self.days)
        return float((self.clock(days) / days) / (-self.clock(-last) / last) - 1)

    def change(self) -> dict[str, float]:
        """How much more a customer orders since the break, with its 80 % interval. Keys: share,
        low, high.
        """
        ends = self.step + self.step_error * norm.ppf([0.5, 0.1, 0.9])
        return dict(zip(("share", "low", "high"), np.expm1(ends).tolist(), strict=True))

    def by_week(self, days: int, years: int = 2) -> pd.DataFrame:
        """The rate over the last years and the next days. Columns: week (its last day), rate."""
        last = np.arange(-min(years * 52, self.days // 7 - 1), -(-days // 7) + 1) * round(WEEK)
        rate = self.clock(last) - self.clock(last - WEEK)
        return pd.DataFrame(
            {"week": pd.Timestamp(self.end) + pd.to_timedelta(last, "D"), "rate": rate}
        )

    @cached_property
    def clock(self) -> Clock:
        """Weeks of operational time from the end of the log to the end of days counted from it,
        negative for the past.
        """
        days = np.arange(-self.days, round(YEARS_AHEAD * YEAR) + 1)
        ticks = self.rates(days).cumsum() / WEEK
        ticks -= ticks[self.days]
        return lambda ahead: np.interp(ahead, days, ticks)

    @property
    def is_certain(self) -> bool:
        """Whether there was a break, or a season that is beyond doubt."""
        return self.broke > 0 or self.evidence > DECISIVE

    def on(self, day: dt.date) -> Self:
        """The same rate, counted from an earlier day, after which a break may be."""
        back = (dt.date.fromisoformat(self.end) - day).days
        end, days, broke = f"{day:%Y-%m-%d}", self.days - back, self.broke - back
        return replace(self, end=end, days=days, broke=broke if self.step else 0)

    def kept(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"season": list(self.season), "around": list(self.around)}

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        """From what `kept` gave."""
        return cls(**kept | {part: tuple(kept[part]) for part in ("season", "around")})


def waves(day: np.ndarray) -> np.ndarray:
    """Cosines and sines of the year; shape days x 2 HARMONICS. The faster the smaller, as those of
    a smooth curve, and together of variance 1.
    """
    turns = np.arange(1, HARMONICS + 1)
    sizes = np.exp(-0.25 * (2 * np.pi * turns * SMOOTH_DAYS / YEAR) ** 2)
    angles = 2 * np.pi * np.multiply.outer(day, turns) / YEAR
    return np.hstack([np.cos(angles), np.sin(angles)]) * np.tile(sizes / np.hypot.reduce(sizes), 2)


class Regression(NamedTuple):
    """A Poisson regression with a Gaussian prior: coefficients, their errors, fitted means, and the
    log evidence.
    """

    beta: np.ndarray
    errors: np.ndarray
    mean: np.ndarray
    evidence: float


def regress(X: np.ndarray, y: np.ndarray, exposure: np.ndarray, deviations: Any) -> Regression:
    """Counts y of mean exposure * exp(X beta), beta with prior deviations (inf: none).

    Newton's method; the evidence is Laplace's approximation.
    """
    precision = 1 / np.square(np.asarray(deviations, float))
    beta = np.zeros(X.shape[1])
    beta[0] = np.log(max(y.sum(), 0.5) / exposure.sum())
    for _turn in range(50):
        mean = exposure * np.exp(np.clip(X @ beta, -30, 30))
        curvature = X.T @ (X * mean[:, None]) + np.diag(precision)
        step = np.linalg.solve(curvature, X.T @ (y - mean) - precision * beta)
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            break
    known = precision[precision > 0]
    likely = (y * np.log(mean) - mean).sum() - 0.5 * (precision * beta**2).sum()
    evidence = likely + 0.5 * (np.log(known).sum() - np.linalg.slogdet(curvature)[1])
    return Regression(beta, np.sqrt(np.diag(np.linalg.inv(curvature))), mean, float(evidence))


def estimate(customers: pd.DataFrame, weekly: pd.DataFrame) -> Calendar:
    """The calendar of the orders of `customers` (who have ordered by a day, as of customers.at),
    whose orders by week are `weekly`, as of customers.weekly_orders on the same day.

    Raises NotEstimable where the log is shorter than two years, has a closed intake, or too few
    customers ordered again.
    """
    end, days = weekly.week.max(), int(customers.age_days.max())
    young = (customers.age_days < days / 2).mean()
    if days < LEAST_WEEKS * WEEK:
        raise NotEstimable("too_few_years")
    if young < LEAST_YOUNG:
        raise NotEstimable("closed_intake")
    came = by_weeks_ago(weekly.repeat, weekly.week)
    edges = -WEEK * np.arange(len(came), -1, -1)
    births = customers.age_days.value_counts()
    some = customers.sample(min(len(customers), LEARNED_FROM), random_state=0)
    found, spread = Calendar(f"{end:%Y-%m-%d}", days), 1.0
    for turn in range(ROUNDS):
        clock = found.clock
        model = btyd.BetaGeoFitter().fit(some.frequency, *by_clock(some, clock))
        even = _expected(model, births, clock, edges) / np.diff(clock(edges))
        found, spread = regressed(found, came, even, edges, spread, with_break=turn > 0)
    return found


def by_weeks_ago(counts: pd.Series, weeks: pd.Series) -> np.ndarray:
    """Counts by week (its last day) for each week up to the last one, the oldest first; without the
    first one, which may not be whole.
    """
    back = ((weeks.max() - weeks) / pd.Timedelta(days=WEEK)).round().astype(int)
    return counts.groupby(back).sum().reindex(range(back.max()), fill_value=0).to_numpy(float)[::-1]


def by_clock(customers: pd.DataFrame, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """t_x and T of the models: the time from the first order to the last, and to the end."""
    ages = -clock(-customers.age_days.to_numpy(float))
    return ages + clock(-customers.recency_days.to_numpy(float)), ages


def _expected(model: btyd.Timed, births: pd.Series, clock: Clock, edges: np.ndarray) -> np.ndarray:
    """Repeat orders that a model expects in each week of customers by their age in days."""
    ages = (clock(edges)[:, None] - clock(-births.index.to_numpy(float))).clip(0)
    grid = np.linspace(0, ages.max(), 500)
    upto = model.expected_number_of_purchases_up_to_time(grid)
    return np.diff(np.interp(ages, grid, upto) @ births.to_numpy(float)).clip(1e-9)


def regressed(
    found: Calendar,
    came: np.ndarray,
    even: np.ndarray,
    edges: np.ndarray,
    spread: float = 1.0,
    with_break: bool = True,
) -> tuple[Calendar, float]:
    """The calendar by what came in each week against what was expected of an even year, and how far
    counts spread beyond chance (1: not at all). Of less than two years there is no season.
    """
    told = even > 0.5  # of the first weeks, with hardly a customer, nothing is
    middle = (edges[:-1] + edges[1:] + 1) / 2
    columns = np.column_stack([np.ones(len(came)), middle / YEAR])
    season = waves(found.day_of_year + middle)
    long = len(came) >= LEAST_WEEKS
    near = {name: feasts.around(name, found.last_day, middle) for name in feasts.FEASTS if long}
    near[""] = season[:, :0]

    def tried(strength: float, weeks: int, feast: str = "") -> Regression:
        """With a season of some strength, a break some weeks ago (0: none), and a feast."""
        X = np.hstack([columns, season, near[feast], (edges[:-1, None] >= -WEEK * weeks)])
        priors = [np.inf, USUAL_GROWTH, *[strength] * season.shape[1]]
        priors += [*[USUAL_FEAST] * near[feast].shape[1], USUAL_STEP]
        some = np.append(np.full(X.shape[1] - 1, True), weeks > 0)
        return regress(
            X[told][:, some], came[told] / spread, even[told] / spread, np.array(priors)[some]
        )

    def strongest(weeks: int, feast: str = "") -> float:
        possible = STRENGTHS if long else STRENGTHS[:1]
        return max(possible, key=lambda strength: tried(strength, weeks, feast).evidence)

    # as likely before as none, of a feast and of a break; and it may have been any of these
    strengths = {name: strongest(0, name) for name in near}
    likely = {name: tried(strengths[name], 0, name).evidence for name in near}
    feast = max(likely, key=lambda name: likely[name] - np.log(len(likely)) * (name != ""))
    strength, weeks = strengths[feast], 0
    if with_break:
        broken = {n: tried(strength, n, feast).evidence for n in BREAKS}
        latest = max(broken, key=lambda n: broken[n])
        if broken[latest] - np.log(len(BREAKS)) > likely[feast]:
            strength, weeks = strongest(latest, feast), latest
    best = tried(strength, weeks, feast)
    level = regress(columns[told, :1], came[told] / spread, even[told] / spread, [np.inf])
    off = came[told] - best.mean * spread
    beyond = (off**2 / (best.mean * spread)).sum() / max(told.sum() - 4, 1)
    waving, moving = np.split(best.beta[2 : len(best.beta) - bool(weeks)], [season.shape[1]])
    calendar = Calendar(
        found.end,
        found.days,
        growth=float(best.beta[1]),
        season=tuple(waving.tolist()),
        feast=feast,
        around=tuple(moving.tolist()),
        step=float(best.beta[-1]) if weeks else 0.0,
        step_error=float(best.errors[-1]) if weeks else 0.0,
        broke=round(WEEK * weeks),
        evidence=best.evidence - level.evidence,
    )
    return calendar, max(1.0, float(beyond))
