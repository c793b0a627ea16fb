"""Why a customer's risk is what it is, in words: what the risk would be, were the customer in one
respect like those who stay.

The respects are the concepts of churn_features. In each, the features of a customer are replaced by
the median of customers who stayed, and the risk is told anew by the same model: the difference is
the concept's effect. So a reason is what the model itself answers to, not a picture of it.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from analysis.report.text import N_, say
from analysis.models.churn import Risk
from analysis.models.churn_features import concept_features
from analysis.models.history import LATELY_DAYS

MOST_REASONS = 3  # for each customer; more are not read
LEAST_EFFECT = 0.1  # log odds, about 2 points of risk in the middle: less is no reason
LEAST_MEAN = 0.005  # log odds; a mean effect that would be written as 0
CHANGED = 0.1  # of the spend, for it to be called up or down
SEPARATOR = "; "


def effects(risk: Risk | None, told: pd.DataFrame, like: pd.Series) -> pd.DataFrame:
    """By how much each concept (columns) moves the log odds of leaving of each customer, against
    `like`: the usual value of each feature, as from Trial.usual. No columns without a model.
    """
    if risk is None:
        return pd.DataFrame(index=told.index)
    now = risk.log_odds(told)
    return pd.DataFrame(
        {
            concept: now - risk.log_odds(told.assign(**like[members]))
            for concept, members in concept_features(told.columns).items()
        },
        index=told.index,
    )


def strongest(found: pd.DataFrame, high: pd.Series) -> pd.DataFrame:
    """The concepts that speak most for the risk (of those with `high`) or against it (of the
    others), as codes of columns of `found`, -1 for none. Columns: 0 to MOST_REASONS - 1.
    """
    towards = found.to_numpy() * np.where(high.to_numpy(bool), 1, -1)[:, None]
    order = np.argsort(-towards, axis=1, kind="stable")[:, :MOST_REASONS]
    strong = np.take_along_axis(towards, order, axis=1) >= LEAST_EFFECT
    return pd.DataFrame(np.where(strong, order, -1), found.index)


def drivers(found: pd.DataFrame) -> pd.Series:
    """Mean absolute effect by concept, the strongest first: what the model goes by on the whole;
    without those it does not.
    """
    means = found.abs().mean().sort_values(ascending=False)
    return means[means >= LEAST_MEAN]


def sentences(known: pd.DataFrame, found: pd.DataFrame) -> pd.Series:
    """The strongest reasons of each customer in words, by row of `known` (as from churn.describe);
    empty where none is strong.

    Who is likelier to leave than those who stay usually are is told what speaks for it, the others
    what speaks against it.
    """
    first = strongest(found, found.sum(axis=1) > 0)
    said = np.full(first.shape, "", dtype=object)
    for code, concept in enumerate(found.columns):
        rows, places = np.nonzero(first.to_numpy() == code)
        if len(rows):
            said[rows, places] = _phrases(known.iloc[rows], concept)
    texts = [SEPARATOR.join(dict.fromkeys(filter(None, row))) for row in said]
    return pd.Series(texts, known.index, dtype="str")


def _phrases(known: pd.DataFrame, concept: str) -> np.ndarray:
    """The words of one concept; each distinct set of figures is said once."""
    facts = pd.DataFrame(dict(PHRASES[concept](known)), index=known.index)
    texts = [
        say(SENTENCES[row.pop("key")], **row) for row in facts.drop_duplicates().to_dict("records")
    ]
    return np.array(texts, dtype=object)[
        facts.groupby(list(facts), dropna=False, sort=False).ngroup().to_numpy()
    ]


Facts = Iterator[tuple[str, object]]


def _silence(known: pd.DataFrame) -> Facts:
    yield "key", np.where(known.frequency > 0, "silence", "silence_once")
    yield "pause", known.usual_pause.round()
    yield "recency", known.recency_days


def _pace(known: pd.DataFrame) -> Facts:
    yield "key", "pace"
    yield "days", LATELY_DAYS
    yield "lately", known[f"orders_{LATELY_DAYS}"]
    yield "before", known[f"orders_{2 * LATELY_DAYS}"] - known[f"orders_{LATELY_DAYS}"]


def _orders(known: pd.DataFrame) -> Facts:
    yield "key", np.where(known.frequency > 0, "orders", "silence_once")
    yield "orders", known.orders
    yield "age", known.age_days
    yield "recency", known.recency_days


def _spend(known: pd.DataFrame) -> Facts:
    lately = known[f"revenue_{LATELY_DAYS}"]
    before = known[f"revenue_{2 * LATELY_DAYS}"] - lately
    change = (lately / before.where(before > 0) - 1).round(2)
    yield (
        "key",
        np.select(
            [change <= -CHANGED, change >= CHANGED], ["spend_down", "spend_up"], "spend_value"
        ),
    )
    yield "days", LATELY_DAYS
    yield "share", change.abs()
    yield "value", known.order_value.round()


def _time(known: pd.DataFrame) -> Facts:
    yield "key", np.where(known.frequency > 0, "time", "silence_once")
    yield "age", known.age_days
    yield "recency", known.recency_days


def _contacts(known: pd.DataFrame) -> Facts:
    yield "key", np.where(known.contact_days_ago.isna(), "no_contact", "contacts")
    yield "days", LATELY_DAYS
    yield "contacts", known.contacts
    yield "ago", known.contact_days_ago


def _satisfaction(known: pd.DataFrame) -> Facts:
    yield "key", np.where(known.satisfaction.isna(), "no_score", "satisfaction")
    yield "score", known.satisfaction


def _counts(key: str, *names: str) -> Callable[[pd.DataFrame], Facts]:
    def facts(known: pd.DataFrame) -> Facts:
        yield "key", key
        yield "days", LATELY_DAYS
        for name in names:
            yield name, known[name] if name in known else float("nan")

    return facts


PHRASES: dict[str, Callable[[pd.DataFrame], Facts]] = {
    "silence": _silence,
    "pace": _pace,
    "orders": _orders,
    "spend": _spend,
    "time": _time,
    "returns": _counts("returns", "returns"),
    "breadth": _counts("breadth", "items"),
    "contacts": _contacts,
    "visits": _counts("visits", "visits"),
    "complaints": _counts("complaints", "complaints", "open_tickets"),
    "satisfaction": _satisfaction,
    "campaigns": _counts("campaigns", "treated"),
    "profile": _counts("profile"),
}


# How each kind is said.
SENTENCES = {
    "silence": N_("usually orders every {pause:int} days, last order {recency:int} days ago"),
    "silence_once": N_("has ordered once, {recency:int} days ago"),
    "pace": N_(
        "orders of the last {days:int} days: {lately:int}, of the {days:int} before: {before:int}"
    ),
    "orders": N_("{orders:int} order days in {age:int} days"),
    "spend_down": N_("spend of the last {days:int} days down {share:whole_percent}"),
    "spend_up": N_("spend of the last {days:int} days up {share:whole_percent}"),
    "spend_value": N_("an order is worth {value:money}"),
    "time": N_("customer for {age:int} days"),
    "returns": N_("lines returned within a year: {returns:int}"),
    "breadth": N_("buys {items:int} kinds of products"),
    "contacts": N_(
        "days with contact in the last {days:int}: {contacts:int}, the last {ago:int} days ago"
    ),
    "no_contact": N_("no contact on record"),
    "visits": N_("days on the web site in the last {days:int}: {visits:int}"),
    "complaints": N_(
        "complaints in the last {days:int} days: {complaints:int}, still open: {open_tickets:int}"
    ),
    "satisfaction": N_("last satisfaction {score:whole_percent} of the scale"),
    "no_score": N_("has never said how satisfied"),
    "campaigns": N_("reached by {treated:int} campaigns within a year"),
    "profile": N_("like others of the same profile"),
}
