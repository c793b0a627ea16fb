"""Where customers stand in life: new, repeat, loyal; silent and lost after a pause that is long for
them; and how they move from stage to stage.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.customers import has_ordered
from analysis.intake.dataset import Dataset
from analysis.report.text import N_
from analysis.schema import INTEGER, STAGES, TEXT, Column
from analysis.segments.segmentation import first_that_holds, segmentation
from analysis.statistics import wilson

# Chance of so long a pause, if the customer still bought as before.
SILENT_CHANCE, LOST_CHANCE = 0.20, 0.05
LOYAL_ORDERS = 5  # order days that make an active customer loyal
RHYTHM_SAMPLE = 50_000  # customers that the rhythm of all is learned from
MIN_REPEATERS = 10  # fewer say nothing of how rhythms differ
# shape of the rhythms beyond which all are alike; it would grow without end where they are
STEADIEST = 50.0
ACTIVE = ("new", "repeat", "loyal")
FEWEST = 30  # customers; a share of fewer is too unsure for a headline


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
        " four; loyal: five or more; silent: pauses for longer than this customer usually does;"
        " lost: for far longer, or nothing but returns is known."
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
    },
    options=_options,
    always=True,
)
def lifecycle(
    people: pd.DataFrame, learned: Rhythm | None = None, silent_days: int = 0, lost_days: int = 0
) -> pd.DataFrame:
    """The stage each customer has reached, and the pauses, in days, that make it silent and lost;
    given ones (not 0) hold for all.

    Silent: beyond a pause that one in five would still make, going by the customer's own orders and
    those of all. Lost: beyond one in twenty, and not before somebody of whom nothing is known would
    be. Columns: stage, silent_after_days, lost_after_days.
    """
    learned = learned or rhythm(people)
    own = people.frequency.to_numpy(), (people.age_days - people.recency_days).fillna(0).to_numpy()
    silent = silent_days or np.ceil(learned.pause(SILENT_CHANCE, *own))
    least = np.maximum(learned.pause(LOST_CHANCE, *own), learned.pause(LOST_CHANCE))
    lost = lost_days or np.maximum(silent, np.ceil(least))
    limits = {"silent_after_days": np.minimum(silent, lost), "lost_after_days": lost}
    made = pd.DataFrame(limits, people.index).clip(lower=1)
    made = made.where(has_ordered(people)).astype("Int64")
    returned = (people.orders == 0) & (people.revenue < 0)  # all that the log knows of them
    tests = {
        "prospect": (people.orders == 0) & ~returned,
        "lost": returned | (people.recency_days > made.lost_after_days),
        "silent": people.recency_days > made.silent_after_days,
        "new": people.orders == 1,
        "loyal": people.orders >= LOYAL_ORDERS,
    }
    return made.assign(stage=first_that_holds(tests, "repeat")).set_index(people.customer_id)


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
