"""The features that models of leaving learn from, in groups (concepts) that a person has a word and
a sentence for.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.models import orders
from analysis.models.history import LATELY_DAYS
from analysis.report.text import N_, labelled

CHANGED = 0.1  # of the spend, for it to be called up or down
ONCE = N_("has ordered once, {recency_days:int} days ago")


def facts(known: pd.DataFrame) -> pd.DataFrame:
    """What the sentences of concepts say, by row of customers as from leaving.Past.known."""
    lately, twice = (known[f"revenue_{n * LATELY_DAYS}"] for n in (1, 2))
    before = (twice - lately).where(twice > lately)
    orders = known[f"orders_{LATELY_DAYS}"]
    return known.assign(
        days=LATELY_DAYS,
        pause=known.usual_pause.round(),
        lately=orders,
        before=known[f"orders_{2 * LATELY_DAYS}"] - orders,
        spend_change=(lately / before - 1).round(2),
        spend_share=(lately / before - 1).round(2).abs(),
        value=known.order_value.round(),
    )


def unless_once(sentence: str) -> Callable[[pd.DataFrame], np.ndarray]:
    """The sentence for those who have ordered again, ONCE for the others."""
    return lambda told: np.where(told.frequency > 0, sentence, ONCE)


def unless_unknown(
    column: str, sentence: str, unknown: str
) -> Callable[[pd.DataFrame], np.ndarray]:
    """The sentence where the column is known, else the other one."""
    return lambda told: np.where(told[column].isna(), unknown, sentence)


def of_spend(told: pd.DataFrame) -> np.ndarray:
    return np.select(
        [told.spend_change <= -CHANGED, told.spend_change >= CHANGED],
        [
            N_("spend of the last {days:time} down {spend_share:whole_percent}"),
            N_("spend of the last {days:time} up {spend_share:whole_percent}"),
        ],
        N_("an order is worth {value:money}"),
    )


@dataclass(frozen=True)
class Concept:
    """What is said of it in general, its features, and its sentence (or which one of each
    customer), whose values are columns of `facts`.
    """

    label: str
    features: tuple[str, ...]
    sentence: str | Callable[[pd.DataFrame], np.ndarray]


# A feature that a company's records do not give is left out.
CONCEPTS = labelled(
    {
        "silence": Concept(
            N_("how long the customer has been silent"),
            ("recency", "overdue", "expected", "orders_14", "orders_28"),
            unless_once(
                N_("days between orders, usually: {pause:int}; since the last: {recency_days:int}")
            ),
        ),
        "pace": Concept(
            N_("orders lately against before"),
            ("orders_56", "orders_91", "orders_182", "slowing", "pause_change", "irregular"),
            N_(
                "orders of the last {days:time}: {lately:int}, of the {days:int} before:"
                " {before:int}"
            ),
        ),
        "orders": Concept(
            N_("number of orders and usual pause"),
            ("frequency", "usual_pause"),
            unless_once(N_("{orders:int} order days in {age_days:int} days")),
        ),
        "spend": Concept(N_("spend"), ("order_value", "revenue_28", "revenue_91"), of_spend),
        "time": Concept(
            N_("time as a customer"),
            ("age", "terms"),
            unless_once(N_("customer for {age_days:int} days")),
        ),
        "returns": Concept(
            N_("returns"), ("returns",), N_("lines returned within a year: {returns:int}")
        ),
        "breadth": Concept(
            N_("kinds of products bought"),
            ("items", "items_lately"),
            N_("kinds of products bought: {items:int}"),
        ),
        "contacts": Concept(
            N_("contacts with us"),
            ("contacts", "contact_days_ago"),
            unless_unknown(
                "contact_days_ago",
                N_(
                    "days with contact in the last {days:int}: {contacts:int}, the last"
                    " {contact_days_ago:int} days ago"
                ),
                N_("no contact on record"),
            ),
        ),
        "visits": Concept(
            N_("visits to the web site"),
            ("visits",),
            N_("days on the web site in the last {days:int}: {visits:int}"),
        ),
        "complaints": Concept(
            N_("complaints and open tickets"),
            ("complaints", "open_tickets"),
            N_(
                "complaints in the last {days:time}: {complaints:int}, still open:"
                " {open_tickets:int}"
            ),
        ),
        "satisfaction": Concept(
            N_("satisfaction"),
            ("satisfaction",),
            unless_unknown(
                "satisfaction",
                N_("last satisfaction {satisfaction:whole_percent} of the scale"),
                N_("has never said how satisfied"),
            ),
        ),
        "campaigns": Concept(
            N_("campaigns reached"),
            ("treated", "answered"),
            N_("reached by campaigns within a year: {treated:int}"),
        ),
        "renewal": Concept(
            N_("when the contract ends"),
            ("renewal_days", "due"),
            unless_unknown(
                "renewal_days",
                N_("the contract ends, or is renewed, in {renewal_days:int} days"),
                N_("no end of the contract on record"),
            ),
        ),
        # the features that begin with is_
        "profile": Concept(N_("the profile"), (), N_("like others of the same profile")),
    }
)
# Features that take few values, or are 0 for nearly everybody: a curve cannot be fitted to them.
FLAT = (
    "returns", "items", "items_lately", "contacts", "visits", "complaints", "open_tickets",
    "treated", "answered", "terms",
)  # fmt: skip


def features(known: pd.DataFrame) -> pd.DataFrame:
    """Features of customers as from leaving.Past.known. Logs, because all are skewed; money over
    its median, so that the currency does not matter; empty where unknown (the pause of one order).
    """
    pause, age = known.usual_pause.clip(lower=1), known.age_days + 1
    typical = known.order_value[known.order_value > 0].median()
    typical = typical if typical > 0 else 1.0
    told = {
        "recency": known.recency_days,
        "overdue": known.recency_days / pause,
        **{f"orders_{n}": known[f"orders_{n}"] / np.minimum(n, age) * n for n in orders.TRAILING},
        "pause_change": known.recent_pause / pause,
        "irregular": known.pause_deviation / pause,
        "frequency": known.frequency,
        "usual_pause": known.usual_pause,
        "order_value": known.order_value / typical,
        "revenue_28": known.revenue_28 / typical,
        "revenue_91": known.revenue_91 / typical,
        "age": known.age_days,
    }
    named = [name for concept in CONCEPTS.values() for name in concept.features]
    told |= {name: known[name] for name in named if name in known and name not in told}
    for name in ("expected", "due"):  # no counts
        told.pop(name, None)
    logs = {name: np.log1p(column.astype(float).clip(lower=0)) for name, column in told.items()}
    lately, before = known[f"orders_{LATELY_DAYS}"], known.orders / age * LATELY_DAYS
    logs["expected"] = log_expected(known)
    logs["slowing"] = np.log1p(lately) - np.log1p(before)
    named_flags = [name for name in known if name.startswith("is_") or name == "due"]
    flags = {name: known[name].astype(float) for name in named_flags}
    return pd.DataFrame(logs | flags, index=known.index)


def log_expected(known: pd.DataFrame) -> pd.Series:
    """The feature `expected`."""
    return np.log(known.expected.clip(lower=orders.LEAST))


def concept_features(names: pd.Index) -> dict[str, list[str]]:
    """The features of each concept among those there are; concepts of which none is there are left
    out.
    """
    found = {
        name: [f for f in names if f in concept.features] for name, concept in CONCEPTS.items()
    }
    found["profile"] = [name for name in names if name.startswith("is_")]
    return {concept: members for concept, members in found.items() if members}
