"""Why a customer's risk is what it is, in words: what the risk would be, were the customer in one
respect like those who stay.

The respects are the concepts of churn_features. In each, the features of a customer are replaced by
the median of customers who stayed, and the risk is told anew by the same model: the difference is
the concept's effect. So a reason is what the model itself answers to, not a picture of it.
"""

import numpy as np
import pandas as pd

from analysis.models.churn_features import CONCEPTS, concept_features, facts
from analysis.models.churn_models import Risk
from analysis.report.text import N_, say, values_in

MOST_REASONS = 3  # for each customer; more are not read
LEAST_EFFECT = 0.1  # log odds, about 2 points of risk in the middle: less is no reason
LEAST_MEAN = 0.005  # log odds; a mean effect that would be written as 0
SEPARATOR = "; "
LAST_ORDER = N_("last order {days:time} ago")


def effects(risk: Risk | None, features: pd.DataFrame, usual: pd.Series) -> pd.DataFrame:
    """By how much each concept (columns) moves the log odds of leaving of each customer, against
    the `usual` value of each feature, as from Trial.usual. No columns without a model.
    """
    if risk is None:
        return pd.DataFrame(index=features.index)
    now = risk.log_odds(features)
    return pd.DataFrame(
        {
            concept: now - risk.log_odds(features.assign(**usual[members]))
            for concept, members in concept_features(features.columns).items()
        },
        index=features.index,
    )


def strongest(effects: pd.DataFrame, high: pd.Series) -> pd.DataFrame:
    """The concepts that speak most for the risk (of those with `high`) or against it (of the
    others), as numbers of columns of `effects`, -1 for none. Columns: 0 to MOST_REASONS - 1.
    """
    towards = effects.to_numpy() * np.where(high.to_numpy(bool), 1, -1)[:, None]
    order = np.argsort(-towards, axis=1, kind="stable")[:, :MOST_REASONS]
    strong = np.take_along_axis(towards, order, axis=1) >= LEAST_EFFECT
    return pd.DataFrame(np.where(strong, order, -1), effects.index)


def drivers(effects: pd.DataFrame) -> pd.Series:
    """Mean absolute effect by concept, the strongest first: what the model goes by on the whole;
    without those it does not.
    """
    means = effects.abs().mean().sort_values(ascending=False)
    return means[means >= LEAST_MEAN]


def sentences(known: pd.DataFrame, effects: pd.DataFrame) -> pd.Series:
    """The strongest reasons of each customer in words, by row of `known` (as from
    leaving.Past.describe); where none is strong how long the last order is ago, without a model
    nothing.

    Who is likelier to leave than those who stay usually are is told what speaks for it, the others
    what speaks against it.
    """
    first = strongest(effects, effects.sum(axis=1) > 0).to_numpy()
    phrases = np.full(first.shape, "", dtype=object)
    told = facts(known)
    for number, concept in enumerate(effects.columns):
        rows, places = np.nonzero(first == number)
        if len(rows):
            phrases[rows, places] = spoken(told.iloc[rows], concept)
    texts = [SEPARATOR.join(dict.fromkeys(filter(None, row))) for row in phrases]
    if len(effects.columns):
        ago = known.recency_days.map(
            {n: say(LAST_ORDER, days=n) for n in known.recency_days.unique()}
        )
        texts = [text or last for text, last in zip(texts, ago, strict=True)]
    return pd.Series(texts, known.index, dtype="str")


def spoken(told: pd.DataFrame, concept: str) -> np.ndarray:
    """The words of one concept for each row of `facts`; what is alike is said once."""
    which = CONCEPTS[concept].sentence
    templates = np.full(len(told), which) if isinstance(which, str) else which(told)
    texts = np.empty(len(told), dtype=object)
    for template in np.unique(templates):
        rows = templates == template
        values = told.loc[rows].reindex(columns=sorted({name for name, _ in values_in(template)}))
        distinct = values.drop_duplicates()
        said = [say(template, **row) for row in distinct.to_dict("records")]
        if values.columns.empty:
            texts[rows] = say(template)
            continue
        places = values.groupby(list(values), dropna=False, sort=False).ngroup()
        texts[rows] = np.array(said, dtype=object)[places]
    return texts
