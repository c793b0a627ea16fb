"""Where customers stand in life: new, repeat, loyal; silent and lost after a pause that is long for
them; and how they move from stage to stage.
"""

from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pandas as pd

from analysis.customers import has_ordered
from analysis.intake.dataset import Dataset
from analysis.report.text import N_
from analysis.schema import INTEGER, NUMBER, STAGES, TEXT, Column
from analysis.segments.segmentation import first_that_holds, segmentation
from analysis.statistics import wilson

# Chance of so long a pause, if the customer still bought as before; no shorter one makes silent or
# lost, and none of which more than this share came back within the horizon.
SILENT_CHANCE, LOST_CHANCE = 0.20, 0.05
SILENT_RETURN, LOST_RETURN = 0.50, 0.20
STEP = 1.1  # from one multiple of these pauses to the next longer one that is tried
LOYAL_ORDERS = 5  # order days that make an active customer loyal
RHYTHM_SAMPLE = 50_000  # customers that the rhythm of all is learned from
MIN_REPEATERS = 10  # fewer say nothing of how rhythms differ
# shape of the rhythms beyond which all are alike; it would grow without end where they are
STEADIEST = 50.0
ACTIVE = ("new", "repeat", "loyal")
FEWEST = 30  # customers; a share of fewer is too unsure to go by


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

    def chance(self, pause: Any, orders: Any = 0, days: Any = 0) -> Any:
        """The chance that such a customer exceeds this pause."""
        return (1 + pause / (self.days + days)) ** -(self.shape + orders)


@dataclass(frozen=True)
class Limits:
    """The pauses that make customers silent and lost: so many times those that one in five, and one
    in twenty, would still make by the rhythm; infinitely many make nobody so.
    """

    rhythm: Rhythm
    silent_times: float = 1.0
    lost_times: float = 1.0

    @property
    def longer(self) -> bool:
        """Whether it takes more than these pauses."""
        return max(self.silent_times, self.lost_times) > 1

    def usual(self, people: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """The pauses in days that one in five and one in twenty would still make, going by the
        customer's own orders and those of all; the second is not below the first, nor below that of
        somebody of whom nothing is known.
        """
        own = _own(people)
        silent, lost = (self.rhythm.pause(c, *own) for c in (SILENT_CHANCE, LOST_CHANCE))
        return silent, np.maximum(np.maximum(lost, self.rhythm.pause(LOST_CHANCE)), silent)


def _own(people: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """How often each customer repeated, and within how many days."""
    days = (people.age_days - people.recency_days).fillna(0)
    return people.frequency.to_numpy(float), days.to_numpy(float)


def limits(people: pd.DataFrame, horizon_days: int) -> Limits:
    """Learned from the customers as of a day (trailing the horizon): the least multiples beyond
    which, a horizon before, few enough came back since. Of fewer than FEWEST nothing is learned;
    where no multiple does, there is no limit.
    """
    found = Limits(rhythm(people))
    orders = people.orders - people[f"orders_{horizon_days}"]
    then = people[["recency_days"]].assign(
        frequency=orders - 1,
        recency_days=people[f"recency_{horizon_days}"],
        age_days=people.age_days - horizon_days,
    )[orders > 0]
    came = (people.orders > orders)[orders > 0].to_numpy()
    pause, (silent, lost) = then.recency_days.to_numpy(float), found.usual(then)
    lost_times = _times(lost, pause, came, LOST_RETURN)
    rest = ~(pause > np.ceil(lost_times * lost))
    silent_times = _times(silent[rest], pause[rest], came[rest], SILENT_RETURN)
    return Limits(found.rhythm, silent_times, lost_times)


def _times(usual: np.ndarray, pause: np.ndarray, came: np.ndarray, most: float) -> float:
    """The least multiple of the usual pauses beyond which a share below `most` came back."""
    for step in count():
        beyond = pause > np.ceil(STEP**step * usual)
        if beyond.sum() < FEWEST:
            return np.inf if step else 1.0
        if came[beyond].mean() < most:
            break
    return float(STEP**step)


def rhythm(people: pd.DataFrame) -> Rhythm:
    """Learned by maximum likelihood from the days between the orders of those who repeated.

    With too few of them, the pauses that all have made so far stand in, as if all were alike.
    """
    from scipy.optimize import minimize
    from scipy.special import gammaln

    repeated = people[people.frequency > 0].sort_values(["frequency", "age_days", "recency_days"])
    if len(repeated) < MIN_REPEATERS:
        pauses = people.recency_days.dropna()
        return Rhythm(STEADIEST, STEADIEST * max(1.0, float(pauses.mean()) if len(pauses) else 1.0))
    sample = repeated.iloc[:: -(-len(repeated) // RHYTHM_SAMPLE)]
    orders = sample.frequency.to_numpy(float)
    days = (sample.age_days - sample.recency_days).to_numpy(float)

    def loss(parameters: np.ndarray) -> float:
        shape, scale = np.exp(parameters)
        found = gammaln(shape + orders) - gammaln(shape) + shape * np.log(scale)
        return float(-(found - (shape + orders) * np.log(scale + days)).mean())

    mean = max(days.sum() / orders.sum(), 1e-3)
    bounds = np.log([(0.1, STEADIEST), (mean / 100, mean * 100 * STEADIEST)])
    found = minimize(loss, [0.0, np.log(mean)], bounds=bounds, method="L-BFGS-B")
    return Rhythm(*map(float, np.exp(found.x)))


def _options(settings: Dataset) -> dict[str, Any]:
    return {"silent_days": settings.silent_days, "lost_days": settings.lost_days}


@segmentation(
    N_("Stage"),
    N_(
        "Where a customer stands in life. Prospect: no order yet; new: one order; repeat: two to"
        " four; loyal: five or more; silent: pauses for longer than this customer usually does, and"
        " so long that most do not come back soon; lost: for far longer, so that few do, or nothing"
        " but returns is known."
    ),
    "stage",
    {
        "prospect": N_("Prospect"),
        "new": N_("New"),
        "repeat": N_("Repeat"),
        "loyal": N_("Loyal"),
        "silent": N_("Silent"),
        "lost": N_("Lost"),
    },
    {
        "stage": Column(TEXT, "prospect, new, repeat, loyal, silent, lost"),
        "silent_after_days": Column(
            INTEGER, "days without an order after which the customer is silent", empty=True
        ),
        "lost_after_days": Column(
            INTEGER, "days without an order after which the customer is lost", empty=True
        ),
        "pause_chance": Column(
            NUMBER, "chance of so long a pause of a customer who still buys as before", empty=True
        ),
    },
    options=_options,
    always=True,
)
def lifecycle(
    people: pd.DataFrame, learned: Limits | None = None, silent_days: int = 0, lost_days: int = 0
) -> pd.DataFrame:
    """The stage each customer has reached, the pauses, in days, that make it silent and lost (empty
    where none does), and the chance of the one it makes; given days (not 0) hold for all.

    Columns: stage, silent_after_days, lost_after_days, pause_chance.
    """
    learned = learned or Limits(rhythm(people))
    usual_silent, usual_lost = learned.usual(people)
    lost = lost_days or np.maximum(silent_days, np.ceil(learned.lost_times * usual_lost))
    silent = np.minimum(silent_days or np.ceil(learned.silent_times * usual_silent), lost)
    after = pd.DataFrame({"silent_after_days": silent, "lost_after_days": lost}, people.index)
    after = after.clip(lower=1).where(has_ordered(people)).replace(np.inf, np.nan)
    made = after.astype("Int64")
    returned = (people.orders == 0) & (people.revenue < 0)  # all that the log knows of them
    tests = {
        "prospect": (people.orders == 0) & ~returned,
        "lost": returned | (people.recency_days > made.lost_after_days),
        "silent": people.recency_days > made.silent_after_days,
        "new": people.orders == 1,
        "loyal": people.orders >= LOYAL_ORDERS,
    }
    chance = learned.rhythm.chance(people.recency_days, *_own(people))
    made = made.assign(stage=first_that_holds(tests, "repeat"), pause_chance=chance)
    return made.set_index(people.customer_id)


def stage_moves(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Where the customers of each stage (index) at an earlier day are now: shares of them by stage
    (columns). `then` and `now` have customer_id and stage.
    """
    both = then.merge(now, on="customer_id", suffixes=("_then", "_now"))
    shares = pd.crosstab(both.stage_then, both.stage_now, normalize="index")
    rows = [stage for stage in STAGES if stage in shares.index]
    return shares.reindex(index=rows, columns=list(STAGES), fill_value=0.0)


def conversion(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Of the customers of each stage at an earlier day, who has ordered since.

    `then` has customer_id, stage and orders, `now` customer_id and orders. Columns: stage (in
    order), customers, ordered, share, low, high (Wilson's interval at 95 %).
    """
    both = then.merge(now, on="customer_id", suffixes=("", "_now"))
    again = (both.orders_now > both.orders).groupby(both.stage)
    counts = again.agg(customers="size", ordered="sum").reindex(STAGES).dropna().astype(int)
    share = counts.ordered / counts.customers
    low, high = wilson(share, counts.customers)
    return counts.assign(share=share, low=low, high=high).reset_index(names="stage")


def headline(conversion: pd.DataFrame) -> dict[str, float]:
    """Of `conversion`: the share that ordered since, by stage; nan of fewer than FEWEST."""
    known = conversion[conversion.customers >= FEWEST].set_index("stage").share
    return known.reindex(STAGES).to_dict()


def verdict(came: dict[str, float]) -> str:
    """A sentence on `headline`, with the day `then` since which."""
    if not came["lost"] >= 0:
        return N_(
            "Since {then:date}, {silent:whole_percent} of the silent customers came back; too few"
            " were lost to tell."
        )
    if not came["silent"] >= 0:
        return N_(
            "Since {then:date}, {lost:whole_percent} of the lost customers came back; too few were"
            " silent to tell."
        )
    return N_(
        "Since {then:date}, {silent:whole_percent} of the silent customers and {lost:whole_percent}"
        " of the lost came back."
    )
