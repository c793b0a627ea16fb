import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from analysis.models import metrics
from analysis.statistics import wilson

pytestmark = pytest.mark.filterwarnings("error")  # what cannot be measured is nan without a word

RISKS = st.one_of(
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]), st.floats(0, 1)
)  # often equal, sometimes certain
CASES = st.lists(st.tuples(RISKS, st.booleans(), RISKS), min_size=1, max_size=60)
KEYS = (
    "auc", "auc_low", "auc_high", "brier", "brier_base", "skill",
    "slope", "slope_low", "slope_high", "ece", "ece_limit", "mean_risk", "base",
)  # fmt: skip


def columns(cases):
    risk, gone, other = (np.array(column) for column in zip(*cases, strict=True))
    return risk.astype(float), gone.astype(bool), other.astype(float)


def truth(n, seed, spread=1.5):
    """Risks and outcomes that came of them."""
    chance = np.random.default_rng(seed)
    risk = expit(chance.normal(-0.5, spread, n))
    return risk, chance.random(n) < risk


def everything(risk, gone, other):
    """Every figure of the module as one list of numbers."""
    values = np.round(other * 100)
    figures = [
        *metrics.measure(risk, gone).values(),
        *metrics.brier_difference(risk, other, gone).values(),
        *metrics.precision_at(risk, gone, 1 + len(risk) // 3).values(),
        *metrics.deciles(risk, gone).to_numpy(float).ravel(),
        *metrics.profit_curve(risk, gone, values, 5.0, 0.3).to_numpy(float).ravel(),
    ]
    return np.array(figures, dtype=float)


# The order of rows
@given(CASES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(cases, mixer):
    mixed = mixer.sample(cases, len(cases))
    np.testing.assert_allclose(
        everything(*columns(mixed)), everything(*columns(cases)), rtol=1e-6, atol=1e-9
    )


def test_the_labels_of_rows_do_not_matter():
    risk, gone = truth(200, 1)
    labelled = pd.Series(gone, index=np.arange(200)[::-1])
    np.testing.assert_array_equal(
        everything(risk, labelled, 1 - risk), everything(risk, gone, 1 - risk)
    )


# Area under the curve
def slow_auc(risk, gone):
    """Leavers' and stayers' structural components, pair by pair (DeLong 1988)."""
    pairs = np.array([[(g > s) + (g == s) / 2 for s in risk[~gone]] for g in risk[gone]])
    return pairs.mean(axis=1), pairs.mean(axis=0)


def test_auc_by_hand():
    # Pairs of a leaver and a stayer: 0.9 > 0.5, 0.9 > 0.1, 0.3 < 0.5, 0.3 > 0.1: three of four.
    # Components of the leavers are 1 and 1/2, of the stayers 1/2 and 1: variances of 1/8 over two
    # of each, together 1/8
    figures = metrics.auc(np.array([0.9, 0.5, 0.3, 0.1]), np.array([True, False, True, False]))
    assert figures == pytest.approx(
        {"auc": 0.75, "auc_low": 0.75 - 1.96 * np.sqrt(1 / 8), "auc_high": 1.0}
    )


@given(CASES)
def test_auc_is_that_of_all_pairs_and_its_interval_delongs(cases):
    risk, gone, _ = columns(cases)
    if min(gone.sum(), (~gone).sum()) < 2:
        return
    mine, figures = slow_auc(risk, gone), metrics.auc(risk, gone)
    error = np.sqrt(sum(np.var(v, ddof=1) / len(v) for v in mine))
    assert figures["auc"] == pytest.approx(roc_auc_score(gone, risk))
    assert figures["auc_low"] == pytest.approx(max(figures["auc"] - 1.96 * error, 0))
    assert figures["auc_high"] == pytest.approx(min(figures["auc"] + 1.96 * error, 1))


@pytest.mark.slow
def test_the_auc_interval_holds_the_truth_95_times_in_100():
    chance, n, apart = np.random.default_rng(4), 80, 1.0
    inside = 0
    for _ in range(1000):
        score = np.append(chance.normal(apart, 1, n), chance.normal(0, 1, 2 * n))
        figures = metrics.auc(expit(score), np.arange(3 * n) < n)
        inside += figures["auc_low"] <= norm.cdf(apart / np.sqrt(2)) <= figures["auc_high"]
    assert 930 <= inside <= 967


@given(CASES)
def test_a_risk_differs_from_itself_by_nothing(cases):
    risk, gone, _ = columns(cases)
    found = metrics.brier_difference(risk, risk, gone).values()
    known = [value for value in found if not np.isnan(value)]
    assert known == [0] * len(known)


# The best by risk
def test_precision_by_hand():
    risk, gone = np.array([0.9, 0.8, 0.7, 0.2, 0.1]), np.array([True, False, True, True, False])
    found = metrics.precision_at(risk, gone, 3)
    low, high = wilson(pd.Series([2 / 3]), pd.Series([3]))
    assert found == pytest.approx(
        {
            "count": 3,
            "precision": 2 / 3,
            "low": low[0],
            "high": high[0],
            "recall": 2 / 3,
            "base": 0.6,
        }
    )


def test_those_who_tie_at_the_border_count_with_their_mean():
    # one surely among the two, and one of four of whom three left
    found = metrics.precision_at(
        np.array([0.9, 0.5, 0.5, 0.5, 0.5]), np.array([False, True, True, True, False]), 2
    )
    assert found["precision"] == pytest.approx(0.75 / 2)
    assert found["recall"] == pytest.approx(0.25)


def test_no_more_customers_are_taken_than_there_are():
    found = metrics.precision_at(np.array([0.9, 0.5]), np.array([False, True]), 10)
    assert (found["count"], found["precision"], found["recall"]) == (2, 0.5, 1)


@pytest.mark.parametrize("count", [0, -1])
def test_of_nobody_there_is_no_precision(count):
    found = metrics.precision_at(np.array([0.9, 0.5]), np.array([False, True]), count)
    assert np.isnan([found["precision"], found["low"], found["high"], found["recall"]]).all()
    assert (found["count"], found["base"]) == (0, 0.5)


# Brier score
def test_brier_by_hand():
    figures = metrics.brier(np.array([0.9, 0.5, 0.3, 0.1]), np.array([True, False, True, False]))
    assert figures["brier"] == pytest.approx((0.1**2 + 0.5**2 + 0.7**2 + 0.1**2) / 4)
    assert figures["brier_base"] == 0.25
    assert figures["skill"] == pytest.approx(1 - 0.19 / 0.25)


def test_brier_difference_by_hand():
    # squared errors 0.01 and 0.25 against 0.25 and 0.36
    found = metrics.brier_difference(
        np.array([0.9, 0.5]), np.array([0.5, 0.6]), np.array([True, False])
    )
    assert found["difference"] == pytest.approx((-0.24 - 0.11) / 2)
    half = 1.96 * np.std([0.24, 0.11], ddof=1) / np.sqrt(2)
    assert (found["low"], found["high"]) == pytest.approx((-0.175 - half, -0.175 + half))


def test_the_truth_has_a_better_brier_score_than_the_truth_blurred():
    risk, gone = truth(5_000, 2)
    blurred = expit(logit(risk) + np.random.default_rng(1).normal(0, 1, len(risk)))
    assert metrics.brier_difference(risk, blurred, gone)["high"] < 0


def test_slope_by_hand():
    """Two risks: the slope is the difference of the logits of what happened over that of what was
    predicted.
    """
    risk, gone = (
        np.repeat([0.8, 0.3], [100, 40]),
        np.concatenate([np.arange(100) < 60, np.arange(40) < 10]),
    )
    found = metrics.calibration(risk, gone)
    predicted, error = logit(0.8) - logit(0.3), np.sqrt(1 / 60 + 1 / 40 + 1 / 10 + 1 / 30)
    assert found["slope"] == pytest.approx((logit(0.6) - logit(0.25)) / predicted)
    assert (found["slope_high"] - found["slope_low"]) / 2 == pytest.approx(1.96 * error / predicted)


@pytest.mark.parametrize("seed", range(5))
def test_slope_is_that_of_a_logistic_regression(seed):
    risk, gone = truth(500, seed)
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        logit(risk)[:, None], gone
    )
    assert metrics.calibration(risk, gone)["slope"] == pytest.approx(
        reference.coef_[0, 0], rel=1e-4
    )


@pytest.mark.slow
def test_the_slope_interval_holds_the_truth_95_times_in_100():
    chance, slopes = np.random.default_rng(6), 0
    for _ in range(500):
        x = chance.normal(-0.5, 1.2, 400)
        found = metrics.calibration(expit(x), chance.random(400) < expit(0.7 * x))
        slopes += found["slope_low"] <= 0.7 <= found["slope_high"]
    assert 460 <= slopes <= 490


def test_a_slope_is_found_far_from_where_the_search_starts():
    """Risks of nearly 0 and nearly 1 that tell hardly anything, and risks hardly apart that tell
    much.
    """
    chance = np.random.default_rng(7)
    bold = np.where(chance.random(5_000) < 0.5, 1e-9, 1 - 1e-9)
    assert abs(metrics.calibration(bold, chance.random(5_000) < 0.3)["slope"]) < 0.05
    x = chance.normal(0, 1, 5_000)
    timid = expit(1e-4 * x)
    assert metrics.calibration(timid, chance.random(5_000) < expit(x))["slope"] == pytest.approx(
        1e4, rel=0.1
    )


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("risk", [[0.1, 0.2, 0.8, 0.9], [0.1, 0.5, 0.5, 0.9], [0.3] * 4])
def test_there_is_no_slope_where_risk_tells_all_or_nothing(risk, flip):
    found = metrics.calibration(np.array(risk), np.array([False, False, True, True]) ^ flip)
    assert np.isnan([found["slope"], found["slope_low"], found["slope_high"]]).all()


def test_calibration_error_of_equal_risks_is_that_of_the_whole():
    gone = np.arange(97) < 30
    assert metrics.expected_calibration_error(np.full(97, 0.5), gone) == pytest.approx(
        0.5 - 30 / 97
    )
    assert metrics.expected_calibration_error(np.full(97, 0.5), gone[::-1]) == pytest.approx(
        0.5 - 30 / 97
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "decimals", [17, 1, 0]
)  # all different, often equal, and certain ones only
def test_the_calibration_error_of_true_risks_is_below_its_limit_95_times_in_100(decimals):
    risk, chance = np.round(truth(700, 3)[0], decimals), np.random.default_rng(8)
    limit = metrics.calibration_error_limit(risk, seed=1, draws=5_000)
    below = [
        metrics.expected_calibration_error(risk, chance.random(700) < risk) <= limit
        for _ in range(2_000)
    ]
    assert limit == 0 if decimals == 0 else 0.935 <= np.mean(below) <= 0.965


def test_false_risks_are_above_the_limit():
    risk, gone = truth(2_000, 3)
    assert metrics.expected_calibration_error(risk**2, gone) > metrics.calibration_error_limit(
        risk**2, seed=0
    )


@pytest.mark.parametrize("decimals", [17, 1])
def test_the_limit_from_totals_is_that_from_customers(monkeypatch, decimals):
    risk = np.round(truth(20_000, 3)[0], decimals)
    drawn = metrics.calibration_error_limit(risk, seed=0)
    monkeypatch.setattr(metrics, "SIMULATED", 0)
    assert metrics.calibration_error_limit(risk, seed=0, draws=5_000) == pytest.approx(
        drawn, rel=0.06
    )


def test_the_limit_depends_on_nothing_but_the_seed_and_grows_with_its_share():
    risk = truth(300, 3)[0]
    limits = [
        metrics.calibration_error_limit(risk, seed=4, share=share)
        for share in (0.5, 0.95, 0.95, 0.99)
    ]
    assert limits[1] == limits[2]
    assert limits == sorted(limits)
    assert limits[0] < limits[1] < limits[3]


@pytest.mark.slow
def test_a_million_customers_are_measured_soon():
    risk, gone = truth(1_000_000, 1)
    began = time.process_time()
    figures = metrics.measure(risk, gone)
    assert time.process_time() - began < 20  # three seconds of an idle machine
    assert figures["ece"] < 2 * figures["ece_limit"]
    assert figures["slope_low"] < 1.01
    assert figures["slope_high"] > 0.99


# Deciles
def test_deciles_by_hand():
    # 20 customers in pairs, the two of highest risk first; those of the two highest tenths and one
    # of the third left
    risk, gone = np.linspace(0.05, 1, 20)[::-1], np.array([True] * 5 + [False] * 15)
    table = metrics.deciles(risk, gone)
    assert table.columns.tolist() == [
        "decile",
        "customers",
        "predicted",
        "actual",
        "low",
        "high",
        "lift",
        "caught",
    ]
    assert table.decile.tolist() == list(range(1, 11))
    assert table.predicted.tolist() == pytest.approx(np.linspace(0.975, 0.075, 10))
    assert table.actual.tolist() == [1, 1, 0.5] + [0] * 7
    assert table.lift.tolist() == [4, 4, 2] + [0] * 7  # a quarter of all left
    assert table.caught.tolist() == pytest.approx([0.4, 0.8] + [1] * 8)


def test_customers_of_equal_risk_stay_together_and_leavers_are_whole():
    # 20 customers: one of the highest risk; four who tie over the first two borders, in the middle
    # the second tenth, of whom two left; 15 others, in the middle the seventh
    risk = np.array([0.9] + [0.5] * 4 + [0.1] * 15)
    gone = np.array([True] + [True, True, False, False] + [False] * 15)
    table = metrics.deciles(risk, gone)
    assert table.decile.tolist() == [1, 2, 3]
    assert table.customers.tolist() == [1, 4, 15]
    assert table.actual.tolist() == pytest.approx([1, 0.5, 0])
    assert table.predicted.tolist() == pytest.approx([0.9, 0.5, 0.1])
    assert table.caught.tolist() == pytest.approx([1 / 3, 1, 1])
    assert metrics.expected_calibration_error(risk, gone) == pytest.approx((0.1 + 1.5) / 20)


@given(CASES)
def test_deciles_partition_the_customers(cases):
    risk, gone, _ = columns(cases)
    table = metrics.deciles(risk, gone)
    assert len(table) <= min(10, len(cases))
    assert table.customers.sum() == len(cases)
    if len(set(risk)) == len(risk):
        assert len(table) == min(10, len(cases))
        assert table.customers.max() - table.customers.min() <= 1
    leavers = table.customers * table.actual
    assert leavers.tolist() == pytest.approx(leavers.round().tolist())
    # a border lies between two risks, never within one
    falling, ends = -np.sort(-risk), table.customers.cumsum().iloc[:-1].to_numpy()
    assert (falling[ends - 1] > falling[ends]).all()
    assert (table.customers * table.actual).sum() == pytest.approx(gone.sum())
    assert (table.customers * table.predicted).sum() == pytest.approx(risk.sum())
    assert table.predicted.is_monotonic_decreasing
    assert (table.low <= table.actual + 1e-12).all()
    assert (table.actual <= table.high + 1e-12).all()
    if gone.any():
        assert table.caught.iloc[-1] == pytest.approx(1)
        assert table.caught.is_monotonic_increasing


def test_those_worth_most_come_first_where_customers_differ_in_value():
    # expected gains: 0.9 * 0.5 * 20 - 10 = -1, 0.2 * 0.5 * 1000 - 10 = 90, 0.5 * 0.5 * 100 - 10 =
    # 15
    value = np.array([20, 1000, 100])
    curve = metrics.profit_curve(
        np.array([0.9, 0.2, 0.5]), np.array([True, False, True]), value, 10, 0.5
    )
    assert curve.expected.tolist() == pytest.approx([0, 90, 105, 104])
    assert curve.profit.tolist() == pytest.approx([0, -10, 30, 30])


# Over groups
def test_stability_tells_of_each_group_what_its_size_allows():
    risk, gone = truth(2_000, 1)
    frame = pd.DataFrame(
        {"risk": risk, "gone": gone, "segment": np.repeat(["b", "a"], [1_960, 40])}
    )
    table = metrics.stability(frame.sample(frac=1, random_state=1), "segment")
    figures = ["auc", "auc_low", "auc_high", "brier", "skill", "slope", "slope_low", "slope_high"]
    assert table.columns.tolist() == ["segment", "customers", "base", "mean_risk", *figures]
    assert table.segment.tolist() == ["a", "b"]
    assert table.customers.tolist() == [40, 1_960]
    assert table.base.tolist() == pytest.approx([gone[1_960:].mean(), gone[:1_960].mean()])
    assert table.mean_risk.tolist() == pytest.approx([risk[1_960:].mean(), risk[:1_960].mean()])
    assert table.loc[0, figures].isna().all()
    whole = metrics.measure(risk[:1_960], gone[:1_960])
    assert table.loc[1, figures].tolist() == pytest.approx([whole[figure] for figure in figures])


@pytest.mark.parametrize(
    ("leavers", "stayers", "enough"), [(30, 30, True), (29, 100, False), (100, 29, False)]
)
def test_stability_takes_thirty_of_each(leavers, stayers, enough):
    gone = np.arange(leavers + stayers) < leavers
    frame = pd.DataFrame({"risk": np.where(gone, 0.6, 0.4), "gone": gone, "day": 1})
    assert metrics.stability(frame, "day").auc.notna().item() is enough


def test_stability_of_no_groups_is_empty():
    nothing = pd.DataFrame({"risk": [], "gone": np.empty(0, bool), "day": []})
    assert metrics.stability(nothing, "day").empty


# What cannot be measured
def test_of_no_customers_nothing_is_known():
    nobody, nothing = np.empty(0), np.empty(0, bool)
    figures = metrics.measure(nobody, pd.Series(nothing))
    assert set(figures) == set(KEYS)
    assert np.isnan(list(figures.values())).all()
    assert np.isnan(list(metrics.brier_difference(nobody, nobody, nothing).values())).all()
    found = metrics.precision_at(nobody, nothing, 5)
    assert found.pop("count") == 0
    assert np.isnan(list(found.values())).all()
    table, curve = (
        metrics.deciles(nobody, nothing),
        metrics.profit_curve(nobody, nothing, nobody, 5, 0.5),
    )
    assert table.empty
    assert "caught" in table
    assert curve.empty
    assert "profit" in curve


@pytest.mark.parametrize("class_", [True, False])
def test_of_one_class_there_is_no_ranking_and_no_regression(class_):
    risk, gone = np.linspace(0, 1, 40), np.full(40, class_)
    figures = metrics.measure(risk, gone)
    unknown = {key for key, value in figures.items() if np.isnan(value)}
    assert unknown == {key for key in KEYS if key.startswith(("auc", "slope"))} | {"skill"}
    assert figures["brier"] == pytest.approx(np.mean((risk - class_) ** 2))
    assert np.isnan(metrics.precision_at(risk, gone, 5)["recall"]) != class_
    assert metrics.deciles(risk, gone).caught.isna().all() != class_


@pytest.mark.parametrize("class_", [True, False])
@pytest.mark.parametrize("risk", [0.0, 0.3, 1.0])
def test_one_customer_is_measured_as_far_as_possible(risk, class_):
    one, gone = np.array([risk]), np.array([class_])
    figures = metrics.measure(one, gone)
    assert figures["brier"] == pytest.approx((risk - class_) ** 2)
    assert figures["ece"] == pytest.approx(abs(risk - class_))
    assert np.isnan(figures["auc"])
    assert len(metrics.deciles(one, gone)) == 1
    assert metrics.profit_curve(
        one, gone, np.array([100]), 5, 0.5
    ).profit.tolist() == pytest.approx([0, 50 * class_ - 5])
    assert np.isnan(metrics.brier_difference(one, one, gone)["low"])


def test_one_leaver_is_ranked_but_without_an_interval():
    figures = metrics.auc(np.array([0.9, 0.5, 0.3]), np.array([False, True, False]))
    assert figures == pytest.approx(
        {"auc": 0.5, "auc_low": np.nan, "auc_high": np.nan}, nan_ok=True
    )


def test_equal_risks_rank_nobody():
    figures = metrics.measure(np.full(100, 0.3), np.arange(100) < 30)
    assert (figures["auc"], figures["auc_low"], figures["auc_high"]) == (0.5, 0.5, 0.5)
    assert figures["skill"] == pytest.approx(0)
    assert figures["ece"] == pytest.approx(0)


def test_risks_that_are_certain_and_right_leave_no_error():
    gone = np.arange(100) < 40
    figures = metrics.measure(gone.astype(float), gone)
    assert (figures["auc"], figures["auc_low"], figures["auc_high"]) == (1, 1, 1)
    assert (figures["brier"], figures["skill"], figures["ece"], figures["ece_limit"]) == (
        0,
        1,
        0,
        0,
    )
    assert np.isnan(figures["slope"])


def test_those_who_tie_earn_their_mean():
    gone, value = np.array([True, False, False, False]), np.full(4, 100)
    curve = metrics.profit_curve(np.full(4, 0.5), gone, value, 5, 1)
    assert list(curve) == ["contacted", "profit", "expected"]
    assert curve.contacted.tolist() == [0, 1, 2, 3, 4]
    assert curve.profit.tolist() == pytest.approx([0, 20, 40, 60, 80])
    assert curve.expected.tolist() == pytest.approx([0, 45, 90, 135, 180])


def test_a_profit_curve_has_no_more_points_than_a_chart_can_show():
    risk, gone = truth(5_000, 9)
    curve = metrics.profit_curve(risk, gone, np.full(5_000, 80.0), 6.0, 0.25)
    assert len(curve) == metrics.POINTS
    assert curve.contacted.iloc[-1] == 5_000
    assert curve.profit.iloc[-1] == pytest.approx(gone.sum() * 20 - 30_000)
    pays = 6 / 20  # a contact pays above this risk
    assert curve.contacted[curve.expected.idxmax()] == pytest.approx((risk > pays).sum(), abs=26)


@given(CASES)
def test_the_slope_solves_the_score_equations_or_is_nan(cases):
    """Beside an intercept of its own as many leave as left, and the mean logit of leavers fits."""
    risk, gone, _ = columns(cases)
    x, slope = logit(np.clip(risk, 1e-6, 1 - 1e-6)), metrics.calibration(risk, gone)["slope"]
    one_class = gone.all() or not gone.any()
    separated = one_class or x[gone].min() >= x[~gone].max() or x[~gone].min() >= x[gone].max()
    assert np.isnan(slope) >= separated
    if not np.isnan(slope):
        own = brentq(lambda shift: expit(shift + slope * x).sum() - gone.sum(), -1e4, 1e4)
        fitted = expit(own + slope * x)
        assert (x * (gone - fitted)).sum() / (np.abs(x).max() + 1) == pytest.approx(0, abs=1e-5)
