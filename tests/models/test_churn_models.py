"""Models of leaving learn whatever the order of rows, and are calibrated."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from analysis.models import churn_models, metrics
from analysis.models.churn_features import features
from analysis.models.churn_models import CHURN_MODELS, Risk
from tests.models.churn_cases import (
    NOTHING,
    people,
    with_known_risk,
)

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


# Candidates
def fitted(name, taught):
    return CHURN_MODELS[name].make().fit(features(taught), taught.left)


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_each_candidate_gives_probabilities_whatever_the_order_of_rows(name):
    taught, held = with_known_risk(500, 1), people(200, 2)
    risk = Risk(fitted(name, taught)).predict(features(held))
    assert risk.shape == (200,)
    assert ((risk > 0) & (risk < 1)).all()
    mixed = taught.sample(frac=1, random_state=1)
    np.testing.assert_allclose(Risk(fitted(name, mixed)).predict(features(held)), risk, rtol=1e-9)
    turned = Risk(fitted(name, taught)).predict(features(held.iloc[::-1]))
    np.testing.assert_allclose(
        turned[::-1], Risk(fitted(name, taught)).predict(features(held)), rtol=1e-9
    )


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_beyond_what_was_learned_the_risk_stays_where_it_was(name):
    """However long the silence: all customers are older today than any was before."""
    risk = Risk(fitted(name, with_known_risk(500, 1)))
    silent = [
        features(people(20, 2).assign(recency_days=days, age_days=days)) for days in (4_000, 40_000)
    ]
    for told in silent:  # what else is worked out of the age stays as it was
        told[[c for c in told if c not in ("recency", "age")]] = features(people(20, 2))[
            [c for c in told if c not in ("recency", "age")]
        ]
    np.testing.assert_allclose(*(risk.predict(told) for told in silent), rtol=1e-6)


def test_risks_are_never_certain():
    sure = people(400).assign(left=people(400).recency_days > 100)
    for name in CHURN_MODELS:
        risk = replace(Risk(fitted(name, sure)), slope=50.0).predict(features(sure))
        assert risk.min() >= metrics.CERTAIN
        assert risk.max() <= 1 - metrics.CERTAIN


def test_scoring_in_pieces_is_scoring_at_once(monkeypatch):
    model, told = fitted("logistic", with_known_risk(300, 1)), features(people(50, 2))
    whole = churn_models.log_odds(model, told)
    monkeypatch.setattr(churn_models, "PIECE", 7)
    np.testing.assert_allclose(churn_models.log_odds(model, told), whole, rtol=1e-12)
    assert churn_models.log_odds(model, told.head(0)).shape == (0,)


# Calibration
def outcomes(n, slope, seed=1):
    """Log odds, and outcomes of log odds that are `slope` times theirs."""
    chance = np.random.default_rng(seed)
    found = chance.normal(0, 1.5, n)
    return found, pd.Series(chance.random(n) < expit(slope * found))


@pytest.mark.parametrize("slope", [0.5, 0.8, 1.3])
def test_many_customers_show_the_slope(slope):
    assert churn_models.stretched(*outcomes(400_000, slope)) == pytest.approx(slope, abs=0.03)


@pytest.mark.parametrize("slope", [0.3, 3.0])
def test_a_few_customers_move_the_slope_little(slope):
    for seed in range(10):
        assert churn_models.stretched(*outcomes(25, slope, seed)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("n", "slope"), [(300, 0.5), (3000, 0.5), (3000, 1.4)])
def test_a_slope_is_drawn_towards_1_and_never_beyond(n, slope):
    for seed in range(5):
        found, gone = outcomes(n, slope, seed)
        plain = metrics.calibration(expit(found), gone.to_numpy())["slope"]
        assert min(1, plain) <= churn_models.stretched(found, gone) <= max(1, plain)


def test_a_slope_that_cannot_be_told_is_1():
    alike, gone = np.zeros(50), pd.Series([True, False] * 25)
    assert churn_models.stretched(alike, gone) == 1
    assert churn_models.stretched(np.arange(50.0), pd.Series([True] * 50)) == 1
    assert (
        churn_models.stretched(np.arange(50.0), pd.Series(np.arange(50) > 25)) == 1
    )  # without a fault


@given(st.lists(st.floats(-13, 13), min_size=1, max_size=30), st.floats(0.001, 0.999))
@settings(max_examples=50)
def test_moved_log_odds_have_the_level_asked_for(found, level):
    found = np.array(found)
    assert expit(found + churn_models.moved(found, level)).mean() == pytest.approx(level, abs=1e-6)


def test_equal_log_odds_are_moved_by_hand():
    assert churn_models.moved(np.full(4, 1.0), 0.2) == pytest.approx(logit(0.2) - 1)


@pytest.mark.parametrize("level", [0.0, 1.0, NOTHING])
def test_a_level_that_cannot_be_moves_nothing(level):
    assert churn_models.moved(np.zeros(3), level) == 0
    assert churn_models.moved(np.zeros(0), 0.5) == 0


def test_a_calibrated_risk_by_hand():
    model = SimpleNamespace(predict_proba=lambda told: np.column_stack([1 - told.p, told.p]))
    told = pd.DataFrame({"p": [0.5, 0.2, 0.0]})
    risk = Risk(model, slope=2.0, shift=1.0)
    assert risk.log_odds(told)[:2] == pytest.approx([1, 1 + 2 * np.log(0.25)])
    assert risk.predict(told) == pytest.approx(
        [1 / (1 + np.exp(-1)), 1 / (1 + 16 / np.e), metrics.CERTAIN]
    )
