"""The features that models of leaving learn from, in groups that a person has a word for."""

import numpy as np
import pandas as pd

from analysis.models import clv
from analysis.models.history import LATELY_DAYS

# What a reason speaks of: the features that say it. A feature that a company's records do not give
# is left out.
CONCEPTS: dict[str, tuple[str, ...]] = {
    "silence": ("recency", "overdue", "expected", "orders_14", "orders_28"),
    "pace": ("orders_56", "orders_91", "orders_182", "slowing", "pause_change", "irregular"),
    "orders": ("frequency", "usual_pause"),
    "spend": ("order_value", "revenue_28", "revenue_91"),
    "time": ("age",),
    "returns": ("returns",),
    "breadth": ("items", "items_lately"),
    "contacts": ("contacts", "contact_days_ago"),
    "visits": ("visits",),
    "complaints": ("complaints", "open_tickets"),
    "satisfaction": ("satisfaction",),
    "campaigns": ("treated", "answered"),
    "profile": (),  # the features that begin with is_
}
# Features that take few values, or are 0 for nearly everybody: a curve cannot be fitted to them.
FLAT = (
    "returns",
    "items",
    "items_lately",
    "contacts",
    "visits",
    "complaints",
    "open_tickets",
    "treated",
    "answered",
)


def features(known: pd.DataFrame) -> pd.DataFrame:
    """Features of customers as from signals.at, with the `expected` orders of a probabilistic
    model. Logs, because all are skewed; money over its median, so that the currency does not
    matter; empty where unknown (the pause of one order).
    """
    pause = known.usual_pause.clip(lower=1)
    typical = known.order_value[known.order_value > 0].median()
    typical = typical if typical > 0 else 1.0
    age = known.age_days + 1
    rates = {f"orders_{n}": known[f"orders_{n}"] / np.minimum(n, age) * n for n in clv.TRAILING}
    told = {
        "recency": known.recency_days,
        "overdue": known.recency_days / pause,
        **rates,
        "pause_change": known.recent_pause / pause,
        "irregular": known.pause_deviation / pause,
        "frequency": known.frequency,
        "usual_pause": known.usual_pause,
        "order_value": known.order_value / typical,
        "revenue_28": known.revenue_28 / typical,
        "revenue_91": known.revenue_91 / typical,
        "age": known.age_days,
    }
    more = [
        name
        for names in CONCEPTS.values()
        for name in names
        if name in known and name not in (*told, "expected")
    ]
    logs = {
        name: np.log1p(column.astype(float).clip(lower=0))
        for name, column in (told | dict(known[more])).items()
    }
    lately, before = known[f"orders_{LATELY_DAYS}"], known.orders / age * LATELY_DAYS
    own = {
        "expected": np.log(known.expected.clip(lower=clv.LEAST)),
        "slowing": np.log1p(lately) - np.log1p(before),
    }
    flags = {name: known[name].astype(float) for name in known if name.startswith("is_")}
    return pd.DataFrame(logs | own | flags, index=known.index)


def concept_features(names: pd.Index) -> dict[str, list[str]]:
    """The features of each concept among those there are; concepts of which none is there are left
    out.
    """
    found = {
        concept: [name for name in names if name in members]
        for concept, members in CONCEPTS.items()
    }
    found["profile"] = [name for name in names if name.startswith("is_")]
    return {concept: members for concept, members in found.items() if members}
