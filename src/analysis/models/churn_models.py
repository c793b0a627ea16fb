"""Models that tell the risk of leaving, and how their log odds are calibrated.

Each learns from churn_features and whether customers left. A model is a classifier of scikit-learn
in the registry CHURN_MODELS, beside its name in words.
"""

from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from analysis.models import metrics
from analysis.models.churn_features import FLAT
from analysis.models.metrics import CERTAIN
from analysis.models.orders import Labelled
from analysis.models.trees import BINS, SMALL_TREES
from analysis.report.text import N_, labelled

SLOPE_SPREAD = 0.1  # how far the slope of a model that learned well lies from 1, from date to date
PIECE = 100_000  # customers scored at once, so that memory does not grow with them


def curves() -> Pipeline:
    """Splines that hold beyond what they have seen the value at the edge: a straight line led a
    year of groceries astray, where all are older today than ever before.
    """
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        SplineTransformer(n_knots=5, degree=2, extrapolation="constant", knots="quantile"),
        StandardScaler(copy=False),  # of the splines, the largest table of all
    )


def regression() -> LogisticRegression:
    """Newton's steps: a few suffice, and end so near the optimum that the order of rows and the
    cores do not matter.
    """
    return LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-8)


def rule(column: str) -> Pipeline:
    """Logistic regression on a curve of one feature."""
    only = make_column_transformer(("passthrough", [column]))
    return make_pipeline(only, curves(), regression())


def logistic() -> Pipeline:
    """Logistic regression on curves of the features, and on those that take few values as they
    are.
    """
    flat = "|".join((*(f"{name}$" for name in (*FLAT, "due")), "is_"))
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    columns = make_column_transformer(
        (curves(), make_column_selector(f"^(?!{flat})")),
        (make_pipeline(imputer, StandardScaler()), make_column_selector(f"^(?:{flat})")),
    )
    return make_pipeline(columns, regression())


# The simplest first.
CHURN_MODELS = labelled(
    {
        "base_rate": Labelled(
            N_("Average rate for all"), partial(DummyClassifier, strategy="prior")
        ),
        "recency_rule": Labelled(N_("Days since the last order alone"), partial(rule, "recency")),
        "expected_rule": Labelled(
            N_("Expected orders (probabilistic model) alone"), partial(rule, "expected")
        ),
        "logistic": Labelled(N_("Logistic regression"), logistic),
        "trees": Labelled(
            N_("Boosted trees on all that is known"),
            partial(HistGradientBoostingClassifier, max_bins=BINS, **SMALL_TREES),
        ),
    }
)
DEFAULT = "logistic"  # where the log is too short to choose
LEVEL = "expected_rule"  # whose mean risk the others are held to: it knows that customers age
DUE_LEVEL = "trees"  # in place of it where contracts are due: who has renewed often stays likelier


class Due(ClassifierMixin, BaseEstimator):
    """A model of those whose contract is due for renewal within the horizon; of all others the rate
    at which they left, drawn towards the average as far as one customer more would.

    Those due are all near whole terms old: between these, and beyond the last, a curve of the age
    would run wild, so that terms stand for it.
    """

    idle = ["due", "age"]

    def __init__(self, model: ClassifierMixin) -> None:
        self.model = model

    def fit(self, facts: pd.DataFrame, gone: pd.Series) -> Self:
        due = facts.due == 1
        self.classes_ = np.array([False, True])
        self.rate_ = (gone[~due].sum() + gone.mean()) / ((~due).sum() + 1)
        self.model_ = clone(self.model).fit(
            filled(facts[due]).drop(columns=self.idle, errors="ignore"), gone[due]
        )
        return self

    def predict_proba(self, facts: pd.DataFrame) -> np.ndarray:
        due, chance = (facts.due == 1).to_numpy(), np.full(len(facts), self.rate_)
        if due.any():
            told = facts[due].drop(columns=self.idle, errors="ignore")
            chance[due] = self.model_.predict_proba(told)[:, 1]
        return np.column_stack([1 - chance, chance])


def told_by(model: ClassifierMixin, facts: pd.DataFrame) -> np.ndarray:
    """Whose risk the model tells and calibration moves: everybody's, but of Due who is due."""
    return (facts.due == 1).to_numpy() if isinstance(model, Due) else np.ones(len(facts), bool)


def filled(lessons: pd.DataFrame) -> pd.DataFrame:
    """With 0 in the columns that nobody has: trees refuse them."""
    return lessons.fillna(dict.fromkeys(lessons.columns[lessons.isna().all()], 0.0))


@dataclass
class Risk:
    """A classifier whose log odds are stretched and moved, of those whose risk it tells: risk = 1 /
    (1 + exp(-(slope * log odds + shift))).
    """

    model: ClassifierMixin
    slope: float = 1.0
    shift: float = 0.0

    def log_odds(self, facts: pd.DataFrame) -> np.ndarray:
        """Of features as from churn_features, calibrated."""
        return self.calibrated(log_odds(self.model, facts), facts)

    def calibrated(self, odds: np.ndarray, facts: pd.DataFrame) -> np.ndarray:
        """These log odds of the model, stretched and moved."""
        return np.where(told_by(self.model, facts), self.slope * odds + self.shift, odds)

    def predict(self, facts: pd.DataFrame) -> np.ndarray:
        """The risk of each customer."""
        return bounded(self.log_odds(facts))


def bounded(odds: np.ndarray) -> np.ndarray:
    """The risk of these log odds, not nearer to 0 or 1 than CERTAIN."""
    return np.clip(expit(odds), CERTAIN, 1 - CERTAIN)


def log_odds(model: ClassifierMixin, facts: pd.DataFrame) -> np.ndarray:
    """Of leaving, by a fitted model, in pieces."""
    found = [np.zeros(0)]
    for first in range(0, len(facts), PIECE):
        chance = model.predict_proba(facts.iloc[first : first + PIECE])[:, 1]
        found.append(logit(np.clip(chance, CERTAIN, 1 - CERTAIN)))
    return np.concatenate(found)


def stretched(odds: np.ndarray, gone: metrics.Outcomes) -> float:
    """The slope that makes log odds right at a later date than those learned from (Cox 1958), drawn
    towards 1 as far as it is unsure; 1 where it cannot be told.
    """
    found = metrics.calibration(expit(odds), gone)
    error = (found["slope_high"] - found["slope_low"]) / (2 * metrics.Z)
    if not np.isfinite(error):
        return 1.0
    return 1 + (found["slope"] - 1) * SLOPE_SPREAD**2 / (SLOPE_SPREAD**2 + error**2)


def moved(odds: np.ndarray, level: float) -> float:
    """The shift of log odds that gives a mean risk of `level`."""
    if not len(odds) or not 0 < level < 1:
        return 0.0
    return float(brentq(lambda shift: expit(odds + shift).mean() - level, -30, 30))
