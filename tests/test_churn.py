import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from analysis import churn, tables
from analysis.customers import calibration_holdout, open_transactions

START, AS_OF, HORIZON = dt.date(2025, 1, 1), dt.date(2025, 12, 31), 90
SHARES = st.floats(0, 1)


@pytest.fixture
def log(tmp_path):
    """A log of lines (customer, days since START, amount) as the table `transactions`."""

    def write(lines):
        frame = pd.DataFrame(lines, columns=["customer_id", "day", "amount"])
        frame["day"] = [START + dt.timedelta(days=int(day)) for day in frame.day]
        frame["amount"] = [Decimal(str(amount)) for amount in frame.amount]
        path = tmp_path / f"log_{len(list(tmp_path.iterdir()))}.parquet"
        tables.write("transactions", frame.assign(source="log.csv", line=range(1, len(frame) + 1)), path)
        return open_transactions(path)

    return write


def random_lines(customers=150, seed=3):
    chance = np.random.default_rng(seed)
    return [
        (f"c{c:04}", day, round(float(chance.gamma(2, 20)), 2))
        for c in range(customers)
        for day in sorted(chance.choice(364, chance.integers(1, 9), replace=False))
    ]


def people(n, seed=0, **columns):
    """Customers as from calibration_holdout, of whom nothing but `columns` matters."""
    chance = np.random.default_rng(seed)
    recency, age = np.sort(chance.integers(0, 365, (2, n)), axis=0)
    frequency = np.where(recency == age, 0, chance.poisson(2, n))
    facts = {"recency_days": recency, "age_days": age, "frequency": frequency, "order_value": chance.gamma(2, 20, n)}
    frame = pd.DataFrame({"customer_id": [f"c{i:05}" for i in range(n)], "orders": frequency + 1} | facts)
    return frame.assign(**{"holdout_orders": chance.integers(0, 2, n)} | columns)


def with_known_risk(n, seed):
    """Customers whose true probability of leaving is logistic in the log of their recency."""
    held = people(n, seed)
    truth = 1 / (1 + np.exp(-(1.5 * np.log1p(held.recency_days) - 6)))
    return held.assign(truth=truth, holdout_orders=(np.random.default_rng(seed + 1).random(n) > truth).astype(int))


# Features
def test_features_by_hand():
    customers = pd.DataFrame({"recency_days": [10, 0], "frequency": [3, 0], "age_days": [49, 0], "order_value": [20.0, 60.0]})
    # gap: (49 - 10 + 1) / 4 = 10 days; overdue: 10 / 10; money over the median, which is 40
    expected = {"recency": [10, 0], "frequency": [3, 0], "age": [49, 0], "gap": [10, 1], "overdue": [1, 0], "value": [0.5, 1.5]}
    pd.testing.assert_frame_equal(np.expm1(churn.features(customers)), pd.DataFrame(expected, dtype=float))


@settings(max_examples=50)
@given(st.floats(1e-6, 1e9))
def test_features_do_not_depend_on_the_currency(rate):
    customers = people(20)
    scaled = customers.assign(order_value=customers.order_value * rate)
    pd.testing.assert_frame_equal(churn.features(scaled), churn.features(customers), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, float("nan"), -5.0])
def test_features_are_finite_without_any_order_value(value):
    assert np.isfinite(churn.features(people(20, order_value=value))).all(axis=None)


def test_later_lines_change_no_feature(log):
    lines = [*random_lines(), ("c0001", 5, 10.0), ("c0002", 90, 10.0)]
    origin = START + dt.timedelta(days=180)
    later = [("c0001", 181, 9999.0), ("c0001", 200, -5000.0), ("c0002", 350, 1.0), ("newcomer", 190, 50.0)]
    before, after = (calibration_holdout(log(some), origin, HORIZON) for some in (lines, lines + later))
    assert before.customer_id.tolist() == after.customer_id.tolist()
    pd.testing.assert_frame_equal(churn.features(before), churn.features(after))
    assert not before.holdout_revenue.equals(after.holdout_revenue)  # the lines did arrive


def test_lines_of_the_day_of_the_origin_are_known_and_those_of_the_next_are_not(log):
    origin = START + dt.timedelta(days=100)
    held = calibration_holdout(log([("a", 0, 10), ("a", 100, 10), ("a", 101, 10), ("b", 0, 10), ("b", 191, 10)]), origin, 90)
    assert held.frequency.tolist() == [1, 0]
    assert churn.left(held).tolist() == [False, True]  # day 191 lies beyond the 90 days after day 100


def test_split_measures_one_horizon_back_and_learns_two_horizons_back(log):
    transactions = log(random_lines())
    split = churn.split(transactions, AS_OF, HORIZON)
    assert split.measured_at == dt.date(2025, 10, 2)
    pd.testing.assert_frame_equal(split.test, calibration_holdout(transactions, dt.date(2025, 10, 2), 90))
    pd.testing.assert_frame_equal(split.train, calibration_holdout(transactions, dt.date(2025, 7, 4), 90))


def test_the_outcomes_learned_from_are_over_before_the_measurement_begins(log):
    lines = random_lines()
    cut = [line for line in lines if START + dt.timedelta(days=int(line[1])) <= dt.date(2025, 10, 2)]
    whole, known = (churn.split(log(some), AS_OF, HORIZON) for some in (lines, cut))
    pd.testing.assert_frame_equal(whole.train, known.train)


# The model
def test_the_model_finds_a_known_risk():
    learned, unseen = with_known_risk(3000, 1), with_known_risk(3000, 11)
    risk = churn.predict(churn.fit(learned), unseen).churn_risk
    assert spearmanr(risk, unseen.truth).statistic > 0.9
    assert np.abs(risk - unseen.truth).mean() < 0.05
    assert roc_auc_score(churn.left(unseen), risk) > roc_auc_score(churn.left(unseen), unseen.truth) - 0.02


def test_what_was_never_seen_does_not_run_the_risk_away():
    """Beyond the longest silence learned from the risk stays where it was, however long the silence."""
    fitted = churn.fit(with_known_risk(2_000, 1))
    silent = people(5, frequency=0, order_value=20.0)
    risks = [churn.predict(fitted, silent.assign(recency_days=days, age_days=days)).churn_risk.mean() for days in (4_000, 40_000)]
    assert risks[0] == pytest.approx(risks[1], abs=1e-6)


def test_evidence_on_a_known_risk_beats_chance_and_is_calibrated():
    evidence = churn.evaluate(churn.Split(with_known_risk(3000, 1), with_known_risk(3000, 11), AS_OF))
    assert evidence.measured
    assert evidence.figures["auc"] > 0.7
    assert evidence.figures["brier"] < evidence.figures["brier_base"]
    averages = churn.means(evidence.deciles)
    assert averages["predicted"] == pytest.approx(averages["actual"], abs=0.04)
    assert evidence.deciles.actual.iloc[0] > evidence.deciles.actual.iloc[-1]


def test_a_risk_by_pure_chance_is_not_found():
    evidence = churn.evaluate(churn.Split(people(3000, 1), people(3000, 2), AS_OF))
    assert evidence.figures["auc"] == pytest.approx(0.5, abs=0.05)


def test_the_order_of_rows_does_not_matter():
    held = with_known_risk(300, 1)
    mixed = held.sample(frac=1, random_state=1)
    risk, of_mixed = (churn.predict(churn.fit(frame), held).churn_risk for frame in (held, mixed))
    np.testing.assert_allclose(risk, of_mixed, rtol=1e-9)


@pytest.mark.parametrize("alike", [{"frequency": 0}, {"recency_days": 5, "age_days": 5, "frequency": 0, "order_value": 10.0}])
def test_customers_who_are_all_alike_still_get_a_probability(alike):
    held = people(100, **alike)
    assert churn.predict(churn.fit(held), held).churn_risk.between(0, 1).all()


# What cannot be measured
@pytest.mark.parametrize("orders", [0, 1])
@pytest.mark.parametrize("side", ["train", "test"])
def test_one_class_is_not_measured(side, orders):
    halves = {"train": people(200, 1), "test": people(200, 2)}
    halves[side] = halves[side].assign(holdout_orders=orders)
    evidence = churn.evaluate(churn.Split(**halves, measured_at=AS_OF))
    assert not evidence.measured
    assert np.isnan(list(evidence.figures.values())).all()
    assert {"auc", "brier", "brier_base", "base"} == set(evidence.figures)
    assert evidence.deciles.empty
    assert np.isnan([*churn.means(evidence.deciles).values(), *churn.extremes(evidence.deciles).values()]).all()


@pytest.mark.parametrize(("leavers", "stayers", "enough"), [(30, 30, True), (29, 100, False), (100, 29, False), (0, 0, False)])
def test_learning_takes_thirty_of_each(leavers, stayers, enough):
    held = pd.DataFrame({"holdout_orders": [0] * leavers + [1] * stayers})
    assert churn.learnable(held) is enough


def test_a_log_too_small_to_learn_from_is_not_measured(log):
    split = churn.split(log([("a", 0, 10), ("a", 300, 10), ("b", 20, 5)]), AS_OF, HORIZON)
    assert not churn.evaluate(split).measured


def test_without_a_model_the_risk_is_empty_and_the_band_unknown():
    scored = churn.predict(None, people(3))
    assert scored.churn_risk.isna().all()
    assert scored.risk_band.tolist() == ["unknown"] * 3


def test_only_customers_with_an_order_get_a_risk():
    customers = people(4).assign(orders=[1, 0, 2, 0])
    assert churn.predict(None, customers).customer_id.tolist() == ["c00000", "c00002"]
    tables.conform("churn", churn.predict(None, customers))


def test_bands_include_their_upper_limit():
    risk = np.array([0, 0.5, np.nextafter(0.5, 1), 0.8, np.nextafter(0.8, 1), 1, np.nan])
    assert churn.band(risk).tolist() == ["low", "low", "medium", "medium", "high", "high", "unknown"]


# Figures
def test_figures_by_hand():
    # Pairs of a leaver and a stayer: 0.9 > 0.5, 0.9 > 0.1, 0.3 < 0.5, 0.3 > 0.1: three of four
    figures = churn.measure(np.array([0.9, 0.5, 0.3, 0.1]), pd.Series([True, False, True, False]))
    assert figures["auc"] == pytest.approx(0.75)
    assert figures["brier"] == pytest.approx((0.1**2 + 0.5**2 + 0.7**2 + 0.1**2) / 4)
    assert figures["base"] == 0.5
    assert figures["brier_base"] == 0.25


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.booleans()), min_size=2))
def test_auc_is_the_share_of_pairs_ranked_right_ties_by_half(cases):
    gone, stayed = ([r for r, left in cases if left is side] for side in (True, False))
    figures = churn.measure(np.array([r for r, _ in cases]), pd.Series([left for _, left in cases]))
    if gone and stayed:
        pairs = [(g > s) + (g == s) / 2 for g in gone for s in stayed]
        assert figures["auc"] == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert np.isnan(figures["auc"])


@settings(max_examples=50)
@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=60))
def test_deciles_partition_the_customers(cases):
    risk, gone = np.array([r for r, _ in cases]), pd.Series([left for _, left in cases])
    table = churn.deciles(risk, gone)
    assert table.customers.sum() == len(cases)
    assert table.customers.max() - table.customers.min() <= 1
    assert len(table) == min(10, len(cases))
    assert (table.customers * table.actual).sum() == pytest.approx(gone.sum())
    assert (table.customers * table.predicted).sum() == pytest.approx(risk.sum())
    assert table.predicted.is_monotonic_decreasing
    assert (table.low <= table.actual + 1e-12).all()
    assert (table.actual <= table.high + 1e-12).all()
    averages = churn.means(table)
    assert (averages["predicted"], averages["actual"]) == pytest.approx((risk.mean(), gone.mean()))


def test_deciles_by_hand():
    # 20 customers in pairs, the two of highest risk first; those of the two highest tenths and one of the third left
    risk = np.linspace(0.05, 1, 20)[::-1]
    gone = pd.Series([True] * 5 + [False] * 15)
    mixed = np.random.default_rng(0).permutation(20)
    table = churn.deciles(risk[mixed], gone[mixed].reset_index(drop=True))
    assert table.decile.tolist() == list(range(1, 11))
    assert table.actual.tolist() == [1, 1, 0.5] + [0] * 7
    assert table.lift.tolist() == [4, 4, 2] + [0] * 7  # a quarter of all left
    assert churn.extremes(table) == {"top": 1.0, "bottom": 0.0}
