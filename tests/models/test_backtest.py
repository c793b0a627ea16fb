"""The choice of a model: metrics by hand, no look ahead, and intervals that hold on data drawn by a
known process.
"""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from analysis import customers
from analysis.models import backtest, clv, forecast_errors, intervals, orders, trees
from analysis.models.backtest import METRICS, Backtest, Origin
from analysis.models.intervals import Outcomes, ValueDoubt, beside

from .test_clv import HORIZON, START, TODAY, order_lines

MEASURED = TODAY - dt.timedelta(days=HORIZON)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def lines():
    return [*order_lines(400, 2), ("c90000", START, 20.0)]


@pytest.fixture(scope="module")
def poisoned(lines):
    """The same with what nobody could have known at the measured origin."""
    known = sorted({line[0] for line in lines})
    chance = np.random.default_rng(9)
    day = [MEASURED + dt.timedelta(days=int(n)) for n in chance.integers(1, HORIZON, 1500)]
    bought = [(str(chance.choice(known)), d, 500.0) for d in day[:1000]]
    returned = [(str(chance.choice(known)), d, -90.0) for d in day[1000:1200]]
    return [*lines, *bought, *returned, *((f"new{n}", d, 7.0) for n, d in enumerate(day[1200:]))]


@pytest.fixture(scope="module")
def log(ledger, lines):
    return ledger(lines).cache()


@pytest.fixture(scope="module")
def tested(log):
    return backtest.run(log, TODAY, HORIZON)


def origin(actual, day=1, **forecasts):
    held = pd.DataFrame({"holdout_orders": actual})
    values = {name: pd.Series(np.asarray(values, float)) for name, values in forecasts.items()}
    back = dt.timedelta(days=40 * (day - 1))  # the first is the latest
    return Origin(dt.date(2025, 1, 1) - back, held, trees.Lessons(), values)


# Metrics
def test_metrics_by_hand():
    actual, forecast = np.array([3.0, 1.0, 0.0, 0.0]), np.array([2.0, 2.0, 0.0, 1.0])
    measured = {name: metric.measure(actual, forecast) for name, metric in METRICS.items()}
    assert (measured["bias"], measured["mae"]) == (0.25, 0.75)
    assert measured["rmse"] == pytest.approx(np.sqrt(3 / 4))
    # four groups of one, errors 1, 1, 1, 0, over a mean of 1
    assert measured["decile_error"] == 0.75
    twenty = np.repeat(np.arange(10.0), 2)
    within = twenty + np.tile([-1.0, 1.0], 10)  # pairs whose mean is right
    assert forecast_errors.decile_error(within, twenty) == 0
    for name in ("bias", "gini", "decile_error"):
        assert np.isnan(METRICS[name].measure(np.zeros(3), np.ones(3)))


def test_gini_by_hand():
    actual = np.array([3.0, 2.0, 1.0, 0.0])
    assert forecast_errors.gini(actual, actual) == pytest.approx(1)
    assert forecast_errors.gini(actual, -actual) == pytest.approx(-1)
    assert forecast_errors.gini(actual, np.ones(4)) == pytest.approx(0)
    # shares 0, 1/3, 5/6, 1, 1: an area of 2/3 - 1/2, against 17/24 - 1/2 of the perfect sorting
    assert forecast_errors.gini(actual, np.array([3.0, 4.0, 1.0, 0.0])) == pytest.approx(0.8)
    assert forecast_errors.gini(actual, np.array([4.0, 4.0, 1.0, 0.0])) == pytest.approx(
        0.9
    )  # a tie: between the two sortings


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), min_size=2, max_size=40).filter(
        lambda p: any(a for a, _ in p)
    )
)
def test_gini_depends_on_the_sorting_alone(pairs):
    actual, forecast = np.array(pairs, float).T
    found = forecast_errors.gini(actual, forecast)
    if np.ptp(actual) == 0:
        return
    assert -1 - 1e-9 <= found <= 1 + 1e-9
    assert forecast_errors.gini(actual, np.exp(forecast / 3)) == pytest.approx(found)
    assert forecast_errors.gini(actual[::-1], forecast[::-1]) == pytest.approx(found)
    assert forecast_errors.gini(actual, -forecast) == pytest.approx(-found)


# Origins
def test_origins_step_back_in_whole_horizons(log, tested):
    found = [tested.measured, *tested.choosing]
    assert [o.day for o in found] == [TODAY - dt.timedelta(days=n * HORIZON) for n in (1, 2, 3, 4)]
    for o in found[::3]:
        expected = [o.day - dt.timedelta(days=n) for n in (60, 80, 100, 120)]
        taken = [d for d in expected if (d - START).days + 1 >= HORIZON / 2]
        pasts = [(o.day, o.held), *zip(taken, o.lessons.past, strict=True)]
        for day, held in pasts:
            then = customers.at(log, day, trailing=(*orders.TRAILING, HORIZON))
            pd.testing.assert_frame_equal(held[then.columns], then)
            assert held.attrs["horizon_days"] == HORIZON


def test_nothing_after_an_origin_is_learned_from_there(ledger, lines, tested):
    for o in (tested.measured, tested.choosing[-1]):
        before = ledger([line for line in lines if line[1] <= o.day]).cache()
        cut = backtest.Past(before, HORIZON)
        assert o.lessons.past
        for ours, known in zip(o.lessons.past, cut.lessons(o.day).past, strict=True):
            pd.testing.assert_frame_equal(ours, known)
        then = o.held.columns.difference(["holdout_orders", "holdout_revenue"])
        pd.testing.assert_frame_equal(o.held[then], cut.at(o.day)[then])
        assert (cut.at(o.day).holdout_orders == 0).all() and o.held.holdout_orders.sum() > 0


def test_lines_after_the_measured_origin_change_no_forecast_and_no_choice(ledger, tested, poisoned):
    other = backtest.run(ledger(poisoned).cache(), TODAY, HORIZON)
    assert tested.measured.day == other.measured.day == MEASURED
    assert other.measured.actual.sum() > 1.5 * tested.measured.actual.sum()  # the lines did arrive
    assert {"bg_nbd", "boosted", "hybrid", "stacked"} <= set(tested.measured.forecasts)
    for ours, theirs in zip(
        [tested.measured, *tested.choosing], [other.measured, *other.choosing], strict=True
    ):
        assert ours.forecasts.keys() == theirs.forecasts.keys()
        for name, values in ours.forecasts.items():
            pd.testing.assert_series_equal(values, theirs.forecasts[name], rtol=1e-12)
    pd.testing.assert_frame_equal(tested.choice, other.choice)
    assert tested.champion == other.champion
    pd.testing.assert_series_equal(tested.level_errors, other.level_errors)
    pd.testing.assert_frame_equal(backtest.spend_choice(tested), backtest.spend_choice(other))


def test_short_logs(ledger):
    lines = order_lines(500, 3, 150)

    def end(n):
        return START + dt.timedelta(days=n)

    log = ledger([*lines, ("c90000", START, 5.0)]).cache()
    for horizon, measured in (
        (60, False),
        (50, True),
    ):  # two horizons before the measured origin: 3 * 50 <= 150 + 1
        test = backtest.run(log, end(150), horizon)
        assert (test.measured is not None) == measured
        assert test.choosing == [] and test.choice.empty
        # the measured origin teaches intervals where none chooses
        interval = test.outcomes.interval(np.ones(3))
        assert interval.isna().all(axis=None) != measured
        assert np.isnan(test.outcomes.total(np.ones(3))["low"]) != measured
        assert np.isnan(test.coverage) != measured
        assert test.champion == orders.DEFAULT
        assert test.leaderboard.empty != measured
        assert backtest.spend_champion(backtest.spend_choice(test)) == clv.DEFAULT_SPEND
        assert backtest.group_coverage(test).empty


# Choice
def test_the_simplest_within_one_standard_error_wins():
    actual = [2, 2, 2, 2]
    # squared errors 4 0 4 0 against 1 1 1 1: gaps 3 -1 3 -1, their mean 1, its standard error
    # sqrt(4 / 4)
    near = origin(actual, average_rate=[4, 2, 0, 2], bg_nbd=[3, 1, 3, 1])
    test = Backtest(None, [near], 30)
    assert test.choice["mean"].tolist() == pytest.approx([np.sqrt(2), 1])
    assert test.choice.distance.to_dict() == {"average_rate": 1, "bg_nbd": 0}
    assert test.champion == "average_rate"
    # squared errors 4 1 4 1 against 1 1 1 1: gaps 3 0 3 0, their mean 1.5, its standard error
    # sqrt(2.25 / 4)
    far = origin(actual, 2, average_rate=[4, 1, 0, 3], bg_nbd=[3, 1, 3, 1])
    assert Backtest(None, [far], 30).choice.distance.average_rate == 2
    assert Backtest(None, [far], 30).champion == "bg_nbd"
    both = Backtest(None, [near, far], 30)
    assert both.choice.distance.average_rate == pytest.approx(
        1.25 / (np.sqrt(4 / 4 + 2.25 / 4) / 2)
    )
    assert both.champion == "bg_nbd"
    assert Backtest(None, [far], 30, "own_rate").champion == "own_rate"


def test_a_candidate_that_failed_at_a_choosing_origin_is_not_chosen():
    whole = origin([1, 2], average_rate=[1, 1], bg_nbd=[1, 2])
    partly = origin([1, 2], 2, average_rate=[1, 1])
    assert Backtest(None, [whole, partly], 30).choice.index.tolist() == ["average_rate"]
    assert Backtest(partly, [], 30).champion == "average_rate"
    assert Backtest(whole, [], 30).champion == "bg_nbd"


def test_a_candidate_worse_for_every_customer_alike_is_not_chosen():
    assert (
        Backtest(None, [origin([1, 1], average_rate=[3, 3], bg_nbd=[1, 1])], 30).champion
        == "bg_nbd"
    )


def test_the_leaderboard_compares_with_the_champion(tested):
    tested = Backtest(tested.measured, tested.choosing, HORIZON, "bg_nbd")
    table = tested.leaderboard
    assert table.rmse.is_monotonic_increasing and set(table.index) == set(tested.measured.forecasts)
    assert table.loc[tested.champion, ["difference", "low", "high"]].tolist() == [0, 0, 0]
    assert table.difference.to_numpy() == pytest.approx(table.rmse - table.rmse[tested.champion])
    assert table.low.le(table.difference).all() and table.high.ge(table.difference).all()
    chance = np.random.default_rng(1)
    actual = chance.poisson(2, 2000).astype(float)
    forecasts = {
        "good": np.full(2000, 2.0),
        "twin": 2 + chance.normal(0, 0.01, 2000),
        "bad": np.full(2000, 4.0),
    }
    made = backtest.leaderboard(forecasts, actual, "good")
    assert made.low["bad"] > 0.5
    assert abs(made.high["twin"]) < 0.01 and abs(made.low["twin"]) < 0.01


def test_what_is_said_of_the_champion_by_hand():
    measured = origin([1, 2, 4], bg_nbd=[1, 2, 5], own_rate=[1, 2, 4.5])
    measured.held = measured.held.assign(frequency=[0, 9, 7], orders=[1, 10, 8])
    test = Backtest(measured, [], 30, "bg_nbd")
    found = backtest.hindsight(test)
    assert (found["origin"], found["best"]) == (dt.date(2025, 1, 1), "Own rate")
    assert found["bias"] == pytest.approx(1 / 7) and found["gap"] == pytest.approx(1)
    assert found["rmse"] == pytest.approx(np.sqrt(1 / 3)) and np.isnan(found["groups"])
    unmeasured = backtest.hindsight(Backtest(None, [], 30, "bg_nbd"))
    assert found.keys() == unmeasured.keys() and unmeasured["origin"] is None
    assert backtest.labelled(test.leaderboard).model.tolist() == ["Own rate", "BG/NBD"]
    table = backtest.conditional_expectation(test)
    assert table[["repeats", "expected", "actual"]].to_numpy().tolist() == [[0, 1, 1], [7, 3.5, 3]]
    assert backtest.conditional_expectation(Backtest(None, [], 30)).empty
    expectation = pd.DataFrame({"low": [1.0]})
    expectation.attrs["total"] = {"low": 3.0, "high": 5.0}
    sure = backtest.sureness(test, np.array([1.0, 2.0]), expectation)
    assert (sure["surely_low"], sure["surely_high"]) == (3, 5) and sure["low"] < 3 < sure["high"]
    assert sure["astray"] == pytest.approx(np.log(8 / 7))
    chosen = Backtest(None, [origin([2, 2], bg_nbd=[1, 1])], 30)
    for verdict, words in (
        (backtest.verdict(test), "because it was asked for"),
        (backtest.verdict(chosen), "simplest of those that were as good"),
        (backtest.verdict(Backtest(None, [], 30)), "too short to choose"),
    ):
        assert words in verdict[0] and verdict[1]["model"] == "BG/NBD"
    assert {**backtest.verdict(chosen)[1], "model": ""} == {
        "model": "",
        "candidates": 1,
        "origins": 1,
    }


def test_another_spend_model_that_came_nearer_is_named():
    table = pd.DataFrame({"rmse": [9.0, 10.0], "high": [-0.2, 0.0]}, ["gamma_gamma", "mean_spend"])
    found = backtest.better_money(table, "mean_spend")
    assert found.pop("gap") == pytest.approx(0.1)
    assert found == {"best": "Gamma-Gamma", "model": "Mean of all", "beyond": True}
    near = backtest.better_money(table.assign(high=[0.1, 0.0]), "mean_spend")
    assert near["beyond"] is False
    for board, spend in (
        (table, "gamma_gamma"),
        (table, "shrunk_spend"),
        (table[:0], "mean_spend"),
    ):
        assert backtest.better_money(board, spend) == {}


def test_the_base_of_a_candidate_is_what_it_is_or_is_held_to(tested):
    measured = tested.measured
    assert measured.base("pareto_nbd") is measured.models["pareto_nbd"]
    assert measured.base("hybrid") is measured.models["hybrid"].base_
    for name in ("own_rate", "average_rate", "none"):
        assert measured.base(name) is measured.lessons.base_of(measured.held)


def test_the_leaderboard_has_its_columns_where_the_champion_failed():
    chosen = origin([1, 2, 4], average_rate=[5, 1, 0], bg_nbd=[1, 2, 4])
    measured = origin([1, 2, 4], 2, average_rate=[1, 1, 1])
    assert {"difference", "low", "high"} <= set(
        Backtest(measured, [chosen], 30, "bg_nbd").leaderboard
    )


def test_the_champion_falls_back_with_its_reason(log):
    today = customers.at(log, TODAY, trailing=(*orders.TRAILING, HORIZON))
    model, name, reason = backtest.fit_champion(Backtest(None, [], HORIZON, "own_rate"), today)
    assert (type(model), name, reason) == (orders.OwnRate, "own_rate", "")
    few = today.head(40)
    early = START + dt.timedelta(days=80)  # no outcome was complete by then
    lessons = backtest.Past(log, HORIZON).lessons(early)
    _, name, reason = backtest.fit_champion(Backtest(None, [], HORIZON, "stacked", lessons), today)
    assert (name, reason) == ("bg_nbd", "too_little_past")
    once = few.assign(frequency=0, recency_days=few.age_days)
    model, name, reason = backtest.fit_champion(Backtest(None, [], HORIZON, "pareto_nbd"), once)
    assert (type(model), name, reason) == (orders.AverageRate, "average_rate", "too_few_repeaters")


# Uncertainty
def drawn(n, seed):
    """Forecasts that are the true rates, and what then came."""
    chance = np.random.default_rng(seed)
    rate = chance.gamma(0.7, 2.0, n)
    return rate, chance.poisson(rate).astype(float)


def test_four_fifths_of_fresh_outcomes_are_covered():
    outcomes = Outcomes.learn([drawn(20_000, 1)], np.array([0.0]))
    forecasts, actual = drawn(20_000, 2)
    assert outcomes.covered(forecasts, actual) == pytest.approx(0.8, abs=0.02)
    for high in (False, True):  # among the expected few and the expected many too
        some = (forecasts > np.median(forecasts)) == high
        assert outcomes.covered(forecasts[some], actual[some]) == pytest.approx(0.8, abs=0.02)
    interval = outcomes.interval(forecasts)
    assert (interval.low <= interval.high).all()
    assert np.mean((actual >= interval.low) & (actual <= interval.high)) >= 0.8
    assert outcomes.covered(forecasts, actual + 5) < 0.3
    assert outcomes.apart < 0.001  # nothing but chance


def test_everybodys_forecast_lies_within_and_the_very_first_are_covered():
    """Few expect much more than the last bin's others; their counts spread by the root of that."""
    chance = np.random.default_rng(4)
    rate = chance.pareto(1.5, 40_000)
    learned, fresh = np.split(rate, 2)
    outcomes = Outcomes.learn([(learned, chance.poisson(learned).astype(float))], np.zeros(1))
    interval, came = outcomes.interval(fresh), chance.poisson(fresh)
    assert ((interval.low <= fresh) & (fresh <= interval.high)).all()
    first = fresh > np.quantile(fresh, 0.99)
    inside = came[first] >= interval.low[first]
    inside &= came[first] <= interval.high[first]
    assert inside.mean() == pytest.approx(0.8, abs=0.06)  # two deviations of 200 customers
    assert outcomes.covered(fresh, came.astype(float)) == pytest.approx(0.8, abs=0.02)


def test_the_top_bin_by_hand():
    """Forecasts 4 and 16 are off by roots: ends at -1 and 1.5 of them, counts within."""
    scores = np.array([-1.0, 0, 0, 0, 0, 0, 0, 0, 1.5])  # of nine the first and the last
    outcomes = Outcomes(np.array([np.inf]), [np.arange(9.0)], np.ones(1), np.zeros(1), top=scores)
    values = np.array([4.0, 16.0, 0.81])
    assert outcomes.interval(values).to_numpy().tolist() == [[2, 7], [12, 22], [0, 2]]
    assert outcomes.covered(values, np.array([7.0, 23.0, 2.0])) == pytest.approx(2 / 3)


def test_intervals_by_hand():
    outcomes = Outcomes(
        np.array([1.0, np.inf]),
        [np.zeros(9), np.arange(1.0, 10)],
        np.array([0.0, 1.0]),
        np.array([0.1, -0.1]),
        0.09,
    )
    assert outcomes.interval(np.array([0.5, 1.0, 1.5])).to_numpy().tolist() == [
        [0, 0.5],
        [0, 1],
        [1, 9],
    ]
    # all outcomes of the first bin are 0: whichever comes, 80 % of its share lies between the
    # tenths
    assert outcomes.covered(np.array([0.5]), np.array([0.0])) == pytest.approx(0.8)
    assert outcomes.covered(np.array([2.0, 2.0]), np.array([5.0, 10.0])) == pytest.approx(0.5)
    values = np.full(100, 2.0)  # chance: 100 / 200 ** 2; the two errors tell of the level .01
    normal, level = 1.2815516, student.ppf(0.9, 2) * 0.1
    reach = np.hypot(level, normal * np.sqrt(0.0025))
    found = outcomes.total(values)
    assert found == pytest.approx(
        {"expected": 200, "low": 200 * np.exp(-reach), "high": 200 * np.exp(reach)}, rel=1e-6
    )
    assert outcomes.total(values, share=1.0) == outcomes.total(values)  # a group that is everybody
    for share, apart in ((0.5, 0.09), (0.75, 0.03), (0.25, 0.27)):  # (1 - share) / share
        assert outcomes.total(values, share)["high"] == pytest.approx(
            200 * np.exp(np.hypot(level, normal * np.sqrt(apart + 0.0025))), rel=1e-6
        )
    outcomes.windows = 1.5  # of two origins that overlap
    assert outcomes.total(values)["high"] == pytest.approx(
        200 * np.exp(np.hypot(student.ppf(0.9, 1.5) * 0.1, normal * 0.05))
    )
    outcomes.level_chance = 0.02  # explains what went astray: what comes is chance, surely known
    assert outcomes.total(values)["high"] == pytest.approx(200 * np.exp(normal * 0.05))
    outcomes.new_level = 0.1  # of a break that these origins did not know
    assert outcomes.total(values)["high"] == pytest.approx(
        200 * np.exp(normal * np.sqrt(0.0025 + 0.01))
    )


@given(st.floats(0.01, 0.99), st.floats(0, 1))
def test_what_a_group_has_more_than_foreseen_the_others_have_less(share, apart):
    ours, theirs = (beside(apart, part) * part**2 for part in (share, 1 - share))
    assert ours == pytest.approx(theirs)


def test_how_groups_err_beside_all_is_that_of_shares_drawn_from_a_dirichlet_distribution():
    """Of concentration 400 a share of one half has the variance .25 / 401, its log four times as
    much. The level of all, which goes astray too, is no part of it.
    """
    chance, shares = np.random.default_rng(3), np.arange(10, 0, -1) / 55
    pairs = []
    for drawn_shares in chance.dirichlet(400 * shares, 300):
        expected = np.repeat(shares, 10)
        came = np.repeat(drawn_shares * chance.lognormal(0, 0.5), 10)
        pairs.append((expected, came))
    learned = Outcomes.learn(pairs, np.zeros(1))
    learned.variance = np.zeros(len(learned.variance))  # totals came as they are, without chance
    assert learned._apart(pairs) == pytest.approx(1 / 401, rel=0.1)


@pytest.mark.parametrize("origins", [3, 4])
@pytest.mark.parametrize("wander", [0.0, 0.5, 1.0, 3.0])  # of the level, over chance
def test_four_totals_of_five_lie_within_whatever_part_of_their_errors_is_chance(origins, wander):
    chance, inside = np.random.default_rng(5), 0
    noise = np.sqrt(1 / 400)  # 400 orders expected, as many as their variance
    for *errors, coming in chance.normal(0, noise * np.sqrt(1 + wander), (2000, origins + 1)):
        known = Outcomes(np.array([np.inf]), [np.zeros(1)], np.ones(1), np.array(errors))
        known.level_chance = noise**2
        total = known.total(np.ones(400))
        inside += total["low"] <= 400 * np.exp(coming) <= total["high"]
    assert inside / 2000 == pytest.approx(0.8, abs=0.06)


def test_the_ends_leave_a_tenth_of_the_ranks_outside():
    for n in (9, 19, 29, 99):
        learned = Outcomes(np.array([np.inf]), [np.arange(1.0, n + 1)], np.ones(1), np.zeros(1))
        tenth = (n + 1) / 10
        assert learned.interval(np.full(1, n / 2)).to_numpy().tolist() == [[tenth, n + 1 - tenth]]


def test_totals_widen_with_what_is_uncertain():
    pair = drawn(5000, 3)

    def width(errors, some=slice(None), share=1.0, pairs=(pair,)):
        total = Outcomes.learn(list(pairs), np.array(errors)).total(pair[0][some], share)
        assert total["low"] < total["expected"] < total["high"]
        return np.log(total["high"] / total["low"])

    assert width([0.0, 0.0]) < width([0.1, -0.1]) < width([0.3, -0.3])
    assert width([0.1] * 3) < width([0.1] * 2)  # fewer origins know less
    assert width([0.1] * 2) < width([0.1] * 2, slice(50))
    rate, actual = pair
    astray = (
        rate,
        actual * np.where(rate > np.median(rate), 0.5, 2.0),
    )  # the level fits less in groups
    for pairs in ((pair,), (astray,)):
        for errors in ([0.0, 0.0], [0.2, -0.2]):
            assert width(errors, share=0.0, pairs=pairs) >= width(errors, pairs=pairs)
    assert width([0.0, 0.0], share=0.0, pairs=(astray,)) > 2 * width([0.0, 0.0], pairs=(astray,))


def test_the_interval_of_a_group_is_learned_from_other_origins():
    def known(n, factor=1.0):
        forecasts, actual = drawn(500, n)
        return origin(actual * factor, n, own_rate=forecasts)

    table = backtest.group_coverage(Backtest(known(1), [known(2), known(3)], 30, "own_rate"))
    assert table.columns.tolist() == [
        "origin",
        "group",
        "expected",
        "low",
        "high",
        "actual",
        "covered",
    ]
    assert table.groupby("origin").group.apply(list).tolist() == [list(range(1, 11))] * 3
    assert table.covered.mean() > 0.6
    assert (
        table.covered.tolist()
        == ((table.low <= table.actual) & (table.actual <= table.high)).tolist()
    )
    first = known(1).forecasts["own_rate"]
    assert table.expected[:10].tolist() == pytest.approx(
        [part.sum() for part in np.split(first.sort_values()[::-1].to_numpy(), 10)]
    )
    astray = backtest.group_coverage(Backtest(known(1, 4.0), [known(2), known(3)], 30, "own_rate"))
    pd.testing.assert_frame_equal(
        astray.loc[:9, ["expected", "low", "high"]], table.loc[:9, ["expected", "low", "high"]]
    )
    assert (astray.high[10:] > table.high[10:]).all() and not astray.covered[:5].any()
    assert backtest.group_coverage(Backtest(known(1), [], 30, "own_rate")).empty


def shoppers(n, seed):
    """Customers by BG/NBD's story, in days."""
    chance = np.random.default_rng(seed)
    age, rate, leaves = (
        chance.integers(90, 365, n),
        chance.gamma(0.8, 1 / 40, n),
        chance.beta(1, 3, n),
    )
    x, last, here = np.zeros(n, int), np.zeros(n), np.ones(n, bool)
    day = np.zeros(n)
    while here.any():
        day = day + np.maximum(1, np.ceil(chance.exponential(1, n) / np.maximum(rate, 1e-9)))
        here &= day <= age
        x, last = x + here, np.where(here, day, last)
        here &= chance.random(n) > leaves
    return pd.DataFrame(
        {"customer_id": np.arange(n), "frequency": x, "recency_days": age - last, "age_days": age}
    )


def test_expectations_are_narrower_with_more_customers():
    widths = {}
    for n in (500, 8000):
        held = shoppers(n, 4)
        model = orders.BuyTillYouDie(orders.BTYD["bg_nbd"]).fit(held)
        forecast = model.predict(held, 91)
        interval = intervals.expectation_interval(model, held, forecast, 91, 1, 60)
        assert interval.index.equals(forecast.index)
        assert (interval.low <= interval.high).all()
        assert np.mean((interval.low <= forecast) & (forecast <= interval.high)) > 0.95
        total = interval.attrs["total"]
        assert total["low"] < forecast.sum() < total["high"]
        # customers err in the same direction only in part: the total is less uncertain than the sum
        # of the ends
        assert interval.low.sum() <= total["low"] and total["high"] <= interval.high.sum()
        widths[n] = (total["high"] - total["low"]) / forecast.sum()
    assert widths[8000] < widths[500] / 2  # by the root law a quarter


def test_models_without_a_likelihood_have_no_expectation_interval():
    held = shoppers(50, 1)
    model = orders.OwnRate().fit(held, trees.Lessons())
    resting_on_the_average = SimpleNamespace(base_=orders.AverageRate().fit(held))
    for without in (model, resting_on_the_average):
        interval = intervals.expectation_interval(without, held, model.predict(held, 30), 30, 1)
        assert interval.isna().all(axis=None) and np.isnan(interval.attrs["total"]["low"])


# What is told of customers and groups
def doubts(level: float = 0.0, apart: float = 0.0) -> ValueDoubt:
    """Refits say e^-.3 or e^.3 of the first history and nothing of the second, one other model e^.4
    of the last of three customers.
    """
    refits = np.exp([[-0.3, 0.0], [0.3, 0.0]])
    return ValueDoubt(refits, np.array([0, 1, 1]), np.exp([[0.0, 0.0, 0.4]]), level, apart)


def test_a_value_is_as_sure_as_parameters_models_and_level_by_hand():
    """Deviations: .3 by the refits; of two models of equal chance, the root of .4 ** 2 / 2."""
    reach = 1.2815516
    values = np.array([100.0, 50.0, np.nan])
    found = doubts().of_each(np.array([100.0, 50.0, 10.0]))
    by_models = 0.4 / np.sqrt(2)
    ends = [
        [100 * np.exp(s * reach * 0.3), 50, 10 * np.exp(s * reach * by_models)] for s in (-1, 1)
    ]
    assert found.to_numpy() == pytest.approx(np.transpose(ends))
    level = np.log(doubts(0.2).of_each(values).high[:2] / values[:2])
    assert level.tolist() == pytest.approx([np.hypot(reach * 0.3, 0.2), 0.2])
    assert doubts().of_each(values).iloc[2].isna().all()
    only = doubts().of_total(np.array([np.nan, np.nan, 10.0]))
    assert [only["low"], only["high"]] == pytest.approx([ends[0][2], ends[1][2]])
    # of the sum of 100 and 100 one half varies: its logs are those of the mean of ratios
    both = doubts(0.2).of_total(np.array([100.0, 100, np.nan]))
    half = np.log((np.exp([-0.3, 0.3]) + 1) / 2).std()
    assert np.log(both["high"] / 200) == pytest.approx(np.hypot(reach * half, 0.2))
    group = doubts(0.2, 0.01).of_total(np.array([np.nan, 50.0, np.nan]), share=0.2)
    assert np.log(group["high"] / 50) == pytest.approx(np.hypot(reach * np.sqrt(0.04), 0.2))
    assert np.isnan(doubts(np.nan).of_total(values)["low"])


def test_the_level_wanders_on_beyond_the_longest_time_it_was_followed():
    """Models expect 2 orders a day. From the measured origin on 90 came in its 60 days, from the
    choosing one 100 in as many and 300 up to the picture.
    """
    every = SimpleNamespace(predict=lambda held, days: pd.Series([2.0 * days]))
    chosen, measured = origin([100.0], 9, bg_nbd=[120.0]), origin([90.0], 1, bg_nbd=[120.0])
    for one, now in ((chosen, 300.0), (measured, 90.0)):
        one.models, one.until_now = {"bg_nbd": every}, now
    days = (measured.day - chosen.day).days
    test = Backtest(measured, [chosen], 60, "bg_nbd")
    assert test.long_errors.to_dict() == pytest.approx(
        {60: np.log(90 / 120), 60 + days: np.log(300 / (120 + 2 * days))}
    )
    squares = [np.log(x) ** 2 for x in (100 / 120, 90 / 120, 300 / (120 + 2 * days))]
    astray = np.sqrt(np.mean(squares))
    assert test.followed == pytest.approx({"astray": astray, "longest": 60 + days, "errors": 3})
    reach = student.ppf(0.9, 3) * astray
    assert test.level_reach(30) == test.level_reach(60 + days) == pytest.approx(reach)
    assert test.level_reach(4 * (60 + days)) == pytest.approx(2 * reach)
    assert np.isnan(Backtest(None, [], 60).level_reach(60))


@given(st.lists(st.floats(20, 400), min_size=1, max_size=3), st.floats(20, 400))
def test_no_total_is_surer_over_a_longer_time_nor_than_over_the_horizon(came, until_now):
    every = SimpleNamespace(predict=lambda held, days: pd.Series([2.0 * days]))
    found = [origin([orders_], 9 * n + 1, bg_nbd=[120.0]) for n, orders_ in enumerate(came)]
    for one in found:
        one.models, one.until_now = {"bg_nbd": every}, until_now
    test = Backtest(found[0], found[1:], 60, "bg_nbd")
    reaches = [test.level_reach(days) for days in (1, 60, 61, 200, 364, 1095)]
    assert reaches == sorted(reaches)
    assert reaches[0] >= test.outcomes.level_reach


def test_what_is_said_to_be_known_holds_the_models_that_were_as_good():
    expectation = pd.DataFrame({"low": [1.0]})
    for ends, others, held in (
        ((3.0, 5.0), (), (3.0, 5.0)),
        ((3.0, 5.0), (4.0, 6.0), (3.0, 6.0)),
        ((3.0, 5.0), (1.0,), (1.0, 5.0)),
    ):
        expectation.attrs["total"] = dict(zip(("low", "high"), ends, strict=True))
        test = Backtest(None, [origin([2, 2], bg_nbd=[1, 1])], 30)
        sure = backtest.sureness(test, np.array([1.0, 2.0]), expectation, others)
        assert (sure["surely_low"], sure["surely_high"]) == held and sure["alike"] == len(others)


def test_candidates_as_good_as_the_best_are_fitted_too():
    held = shoppers(300, 3)
    actual = held.holdout_orders if "holdout_orders" in held else held.frequency
    close = origin(actual, own_rate=actual, bg_nbd=actual, average_rate=actual + 9)
    test = Backtest(None, [close], 30)
    assert test.choice.index[test.choice.distance <= 1].tolist() == ["own_rate", "bg_nbd"]
    (other,) = backtest.as_good(test, "own_rate", held)
    assert isinstance(other, orders.BuyTillYouDie)
    assert backtest.as_good(Backtest(None, [], 30), "own_rate", held) == []
    bg_nbd = orders.BuyTillYouDie(orders.BTYD["bg_nbd"]).fit(held)
    doubt = backtest.value_doubt(test, bg_nbd, [orders.AverageRate().fit(held)], held, 365, 1)
    ours = bg_nbd.predict(held, 365).to_numpy()
    flat = orders.AverageRate().fit(held).predict(held, 365).to_numpy()
    assert (doubt.others[0] * ours) == pytest.approx(flat, rel=0.01)


def test_the_table_of_values_has_both_intervals():
    outcomes = Outcomes(
        np.array([1.0, np.inf]), [np.zeros(9), np.arange(9.0)], np.ones(2), np.zeros(1)
    )
    value = pd.DataFrame({"expected_orders": [2.0, 0.0, 4.0], "clv": [100.0, 0.0, np.nan]})
    found = intervals.with_intervals(value, outcomes, doubts())
    each = doubts().of_each(value.clv.to_numpy())
    assert found.clv_low.equals(each.low.rename("clv_low"))
    assert found.clv_high.equals(each.high.rename("clv_high"))
    # of nine outcomes the first and the last have a tenth beyond them
    assert found[["orders_low", "orders_high"]].to_numpy().tolist() == [[0, 8], [0, 0], [0, 8]]
    assert list(value) == ["expected_orders", "clv"]


def test_groups_have_the_interval_of_their_total_and_the_most_valuable_comes_first():
    outcomes = Outcomes(
        np.array([np.inf]), [np.arange(9.0)], np.full(1, 4.0), np.array([0.1, -0.2]), 0.02
    )
    value = pd.DataFrame({"customer_id": list("abcde"), "expected_orders": [1.0, 2, 3, 4, 5]})
    value["clv"] = [10.0, np.nan, 50, np.nan, 20]
    groups = pd.Series({"e": "x", "a": "x", "b": "x", "c": "y", "d": "z", "gone": "z"})
    doubt = ValueDoubt(np.ones((2, 1)), np.zeros(5, int), np.empty((0, 5)), 0.1, 0.02)
    table = intervals.by_group(value, groups, outcomes, doubt)
    # of 80 the groups hold 50 and 30, the others have so much more or less: 3 / 5 and 5 / 3
    reach = np.hypot(0.1, 1.2815516 * np.sqrt(0.02 * np.array([3 / 5, 5 / 3])))
    worth = np.exp(np.append(reach, np.nan))
    money = np.array([50, 30, np.nan])
    assert table.clv_low.tolist() == pytest.approx((money / worth).tolist(), nan_ok=True)
    assert table.clv_high.tolist() == pytest.approx((money * worth).tolist(), nan_ok=True)
    assert table.index.tolist() == ["y", "x", "z"] and table.index.name == "group"
    assert table.customers.tolist() == [1, 3, 1]
    assert table.clv.tolist() == pytest.approx([50, 30, np.nan], nan_ok=True)
    for name, forecasts in {"x": [1.0, 2, 5], "y": [3.0], "z": [4.0]}.items():
        expected = sum(forecasts)
        # of 15; Student's t of two origins, whose level went astray by the root of .025
        variance = 0.02 * (15 - expected) / expected + 4 * len(forecasts) / expected**2
        reach = np.hypot(student.ppf(0.9, 2) * np.sqrt(0.025), 1.2815516 * np.sqrt(variance))
        row = table.loc[name, ["expected", "low", "high"]].tolist()
        assert row == pytest.approx([expected, *(expected * np.exp([-reach, reach]))])
    assert intervals.by_group(value, pd.Series(dtype="str"), outcomes, doubt).empty


@given(
    st.lists(st.tuples(st.floats(0.1, 9), st.sampled_from("xyz")), min_size=2, max_size=20),
    st.floats(0, 0.3),
    st.floats(0, 0.2),
)
def test_no_group_may_come_to_more_than_all_at_either_end(cases, level, apart):
    spread = np.array([level, -level])
    outcomes = Outcomes(np.array([np.inf]), [np.arange(9.0)], np.full(1, 0.5), spread, apart)
    value = pd.DataFrame({"expected_orders": [orders_ for orders_, _ in cases]})
    value = value.assign(clv=value.expected_orders * 7, customer_id=value.index.astype("str"))
    groups = pd.Series([group for _, group in cases], value.customer_id)
    count = len(value)
    doubt = ValueDoubt(np.ones((2, 1)), np.zeros(count, int), np.empty((0, count)), level, apart)
    table = intervals.by_group(value, groups, outcomes, doubt)
    for total, part in (
        (outcomes.total(value.expected_orders.to_numpy()), ""),
        (doubt.of_total(value.clv.to_numpy()), "clv_"),
    ):
        assert (table[f"{part}high"] <= total["high"] * (1 + 1e-9)).all()
        assert (table[f"{part}low"] <= total["low"] * (1 + 1e-9)).all()
