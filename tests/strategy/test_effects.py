import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.strategy import effects
from analysis.strategy.regression import cr2


def people(y, treated, **columns):
    """Customers of whom those with `treated` were."""
    arm = np.where(np.asarray(treated, bool), "treat", "control")
    return pd.DataFrame(
        {"customer_id": [f"{n:05}" for n in range(len(y))], "arm": arm, "y": y, **columns}
    )


def drawn(random, n, share):
    """Arms by lot, of which `share` is control."""
    treated = np.ones(n, bool)
    treated[random.permutation(n)[: round(share * n)]] = False
    return treated


def seldom(random, n, level=1.0):
    """Spend: nine in ten spend nothing, the others very unevenly."""
    return np.where(random.random(n) < 0.1, random.lognormal(2, 1.5, n) * level, 0.0)


@pytest.fixture
def few_redraws(monkeypatch):
    """Quick, and as true: only p is told more coarsely."""
    monkeypatch.setattr(effects, "REDRAWS", 79)


def test_without_covariates_it_is_the_difference_of_means():
    told = effects.effect(people([3, 5, 10, 1, 2, 0], [1, 1, 1, 0, 0, 0]), "y", [])
    assert told["effect"] == pytest.approx(5)
    assert (told["treated"], told["control"]) == (3, 3)


def test_lins_estimate_is_the_difference_of_two_regressions_at_the_common_mean():
    random = np.random.default_rng(1)
    treated, x = drawn(random, 60, 0.4), random.lognormal(size=60)
    y = x * (1 + treated) + random.normal(size=60)
    lines = [np.polyfit(x[treated == arm], y[treated == arm], 1) for arm in (True, False)]
    expected = np.polyval(lines[0], x.mean()) - np.polyval(lines[1], x.mean())
    assert effects.effect(people(y, treated, x=x), "y", ["x"])["effect"] == pytest.approx(expected)


def test_covariates_are_in_deviations_and_what_is_missing_is_told_apart():
    found = effects.covariate_columns(pd.DataFrame({"x": [1, 3, np.nan], "y": 7.0}), ["x", "y"])
    root = np.sqrt(1.5)
    np.testing.assert_allclose(found, [[-root, -(0.5**0.5)], [root, -(0.5**0.5)], [0, 2**0.5]])


@pytest.mark.parametrize(("control", "used"), [(20, ["x", "z"]), (19, ["x"])])
def test_each_covariate_takes_ten_customers_of_the_smaller_arm(few_redraws, control, used):
    random = np.random.default_rng(1)
    known = dict(zip("xzw", random.normal(size=(3, 40)), strict=True))
    y = sum(known.values()) + random.normal(size=40)
    frame = people(y, np.arange(40) < 20, **known).head(20 + control)
    told = effects.effect(frame, "y", used)
    assert effects.effect(frame, "y", [*known]) == pytest.approx(told)


def test_interval_and_p_by_hand(monkeypatch):
    """Arms of mean 6 and 1 and variance 13 and 1: Welch's t is 5 / sqrt(14 / 3) = 2.31. Of 19
    redrawn t from -2 to 4 by thirds, 13 are below it and 6 above. At 90 % one of the twenty places
    is cut off at either end, at 80 % two, and at 95 % half of one: by the tail of a normal.
    """
    drawn_t = np.arange(-6, 13) / 3
    monkeypatch.setattr(effects, "redrawn", lambda *_: drawn_t)
    frame, error = people([3, 5, 10, 1, 2, 0], [1, 1, 1, 0, 0, 0]), np.sqrt(14 / 3)
    further = stats.norm.isf(0.025) / stats.norm.isf(0.05)
    for level, low, high in ((0.9, 4, 2), (0.8, 11 / 3, 5 / 3), (0.95, 4 * further, 2 * further)):
        told = effects.effect(frame, "y", [], level=level)
        assert (told["error"], told["p"]) == (pytest.approx(error), pytest.approx(2 * 7 / 20))
        expected = (5 - low * error, 5 + high * error)
        assert (told["low"], told["high"]) == pytest.approx(expected)


def test_an_owners_customers_are_one_cluster_and_who_has_none_is_alone():
    y, treated = np.array([3.0, 5, 10, 4, 1, 2, 0, 7, 3, 2]), np.repeat([1.0, 0], 5)
    owner, columns = ["a", "a", "b", "b", None, "c", "c", "d", None, None], [np.ones(10), treated]
    told = effects.effect(people(y, treated, owner=owner), "y", [], cluster="owner")
    clusters = np.array([0, 0, 1, 1, 2, 3, 3, 4, 5, 6])
    expected = cr2(y, np.column_stack(columns), 1, clusters).told()
    assert told == pytest.approx(expected | {"treated": 5, "control": 5})


def test_of_many_customers_the_arms_are_redrawn_less_often(monkeypatch):
    left, treat = np.array([0.3, 1.1, -2.0, 0.9, 4.0, -1.2]), np.array([1.0, 1, 1, 0, 0, 0])
    for work, times in ((3_000, 500), (6, effects.LEAST_REDRAWS)):
        monkeypatch.setattr(effects, "WORK", work)
        assert len(effects.redrawn(left, treat, np.empty((6, 0)), 0)) == times


def test_redrawn_arms_are_all_arms_there_are():
    """Of six customers, three treated, there are 20 arms; their bare t are Welch's."""
    left, treat = np.array([0.3, 1.1, -2.0, 0.9, 4.0, -1.2]), np.array([1.0, 1, 1, 0, 0, 0])
    arms = [np.isin(np.arange(6), some) for some in itertools.combinations(range(6), 3)]
    possible = np.array(
        [stats.ttest_ind(left[arm], left[~arm], equal_var=False).statistic for arm in arms]
    )
    found = effects.redrawn(left, treat, np.empty((6, 0)), seed=0)
    assert len(found) == effects.REDRAWS
    assert {*found.round(6)} == {*possible.round(6)}
    often, expected = (
        pd.Series(t.round(6)).value_counts(normalize=True) for t in (found, possible)
    )
    assert (often / expected).between(0.7, 1.4).all()


@pytest.mark.slow
def test_campaigns_that_do_nothing_give_one_false_alarm_in_twenty(monkeypatch):
    """Though nine in ten spend nothing, spend is heavy-tailed, three of twenty are held back."""
    size, share = 160, 0.15
    monkeypatch.setattr(
        effects, "REDRAWS", 39
    )  # the fewest that can be beyond one in twenty; more make the test no truer
    random, alarms, draws = np.random.default_rng(11), 0, 2000
    level = np.sort(random.lognormal(0, 1, size))
    for seed in range(draws):
        x, y = seldom(random, size, level), seldom(random, size, level)
        known = effects.covariate_columns(pd.DataFrame({"x": x}), ["x"])
        told = effects.contrast(y, drawn(random, size, share).astype(float), known, seed=seed)
        alarms += told["p"] <= 0.05
        assert (told["p"] <= 0.05) == (told["low"] > 0 or told["high"] < 0)
    assert 0.04 <= alarms / draws <= 0.06


@pytest.mark.slow
def test_students_t_would_give_twice_as_many_false_alarms():
    """Why arms are redrawn: the same with a tenth held back, by the error alone."""
    random, alarms, draws = np.random.default_rng(11), 0, 500
    for _ in range(draws):
        columns = np.column_stack([np.ones(400), drawn(random, 400, 0.1)])
        alarms += cr2(seldom(random, 400), columns, 1, np.arange(400)).told()["p"] < 0.05
    assert alarms / draws > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_planted_effects_lie_within_their_intervals_nineteen_times_in_twenty(few_redraws, share):
    random, held, draws = np.random.default_rng(5), 0, 200
    for seed in range(draws):
        level = random.lognormal(0, 1, 400)
        own = seldom(random, 400)  # what the campaign would change, of each customer's own
        treated = drawn(random, 400, share)
        y, known = (
            seldom(random, 400, level) + own * treated,
            effects.covariate_columns(pd.DataFrame({"x": np.log(level)}), ["x"]),
        )
        told = effects.contrast(y, treated.astype(float), known, seed=seed)
        held += told["low"] <= own.mean() <= told["high"]
    assert stats.binomtest(held, draws, 0.95).pvalue > 0.01


@pytest.mark.slow
def test_cuped_takes_away_the_share_of_variance_that_the_past_explains(few_redraws):
    random, rho, adjusted, plain, said = np.random.default_rng(3), 0.8, [], [], []
    for _ in range(120):
        x = random.normal(size=300)
        y = rho * x + np.sqrt(1 - rho**2) * random.normal(size=300)
        frame = people(y, drawn(random, 300, 0.5), x=x)
        told, bare = (effects.effect(frame, "y", some) for some in (["x"], []))
        adjusted.append(told["effect"])
        plain.append(bare["effect"])
        said.append(1 - (told["error"] / bare["error"]) ** 2)
    assert np.mean(said) == pytest.approx(rho**2, abs=0.02)
    assert np.var(adjusted) / np.var(plain) == pytest.approx(1 - rho**2, abs=0.12)


@pytest.mark.slow
def test_owners_who_share_an_arm_are_the_units():
    """Twenty owners of 15 customers who are much alike: taken one by one, customers would give an
    alarm every other time.
    """
    random, alarms = np.random.default_rng(4), np.zeros(2)
    owner = np.repeat(np.arange(20), 15)
    for _ in range(150):
        treated = np.isin(owner, random.permutation(20)[:12])
        y = random.normal(size=20)[owner] + random.normal(size=300)
        frame = people(y, treated, owner=owner.astype(str))
        alarms += [
            effects.effect(frame, "y", [], cluster="owner")["p"] < 0.05,
            stats.ttest_ind(y[treated], y[~treated]).pvalue < 0.05,
        ]
    assert stats.binomtest(int(alarms[0]), 150, 0.05).pvalue > 0.01
    assert alarms[1] > 60


def test_the_order_of_rows_and_customers_of_no_arm_do_not_matter():
    random = np.random.default_rng(6)
    frame = people(
        seldom(random, 200),
        drawn(random, 200, 0.3),
        x=random.normal(size=200),
    )
    told = effects.effect(frame, "y", ["x"], seed=1)
    more = people([1e6], [1], x=0.0).assign(arm="exempt", customer_id="z")
    again = effects.effect(
        pd.concat([frame, more]).sample(frac=1, random_state=3), "y", ["x"], seed=1
    )
    assert again == pytest.approx(told)


def test_covariates_that_are_missing_or_the_same_for_all_do_no_harm():
    random = np.random.default_rng(8)
    x = np.where(random.random(200) < 0.3, np.nan, random.normal(size=200))
    frame = people(
        np.nan_to_num(x) + random.normal(size=200),
        drawn(random, 200, 0.5),
        x=x,
        same=7.0,
        none=np.nan,
        twice=2 * x,
    )
    told, plain = (
        effects.effect(frame, "y", ["same", "none", "x", "twice", "absent"]),
        effects.effect(frame, "y", ["x"]),
    )
    assert told["effect"] == pytest.approx(plain["effect"])
    assert told["error"] < 0.9 * effects.effect(frame, "y", [])["error"]


@pytest.mark.parametrize(
    "frame",
    [people([], []), people([1.0], [1]), people([1.0, 2], [1, 1]), people([1.0, 2, 3], [1, 1, 0])],
)
def test_what_cannot_be_told_of_too_few_is_nan(frame):
    told = effects.effect(frame, "y", [])
    assert np.isnan([told["effect"], told["low"], told["p"]]).all()
    assert told["treated"] == (frame.arm == "treat").sum()


def test_where_nobody_ordered_nothing_is_proven():
    told = effects.effect(people(np.zeros(80), [1, 0] * 40), "y", [])
    assert np.isnan([told["low"], told["high"], told["p"]]).all()


def test_holm_by_hand():
    found = effects.holm(pd.Series([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06, 0.02])


def test_cochrans_q_by_hand():
    """Weights 1 and 1/4, effects 0 and 5 about a mean of 1: 1 + 16 / 4 = 5 on one degree."""
    table = pd.DataFrame({"effect": [0.0, 5.0, 9.0], "error": [1.0, 2.0, np.nan]})
    assert effects.differ(table) == pytest.approx(stats.chi2.sf(5, 1))
    assert np.isnan(effects.differ(table.head(1)))


SEGMENT = np.repeat(["a", "b", "c", "d"], 100)


@pytest.mark.slow
def test_segments_that_do_not_differ_are_not_told_apart(few_redraws):
    random, alarms, covered, draws = np.random.default_rng(9), 0, 0, 40
    for seed in range(draws):
        table = effects.uplift(
            people(random.normal(size=400), drawn(random, 400, 0.5), segment=SEGMENT),
            "y",
            [],
            seed=seed,
        )
        alarms += effects.differ(table) < 0.05
        covered += ((table.low <= 0) & (table.high >= 0)).all()
    assert stats.binomtest(alarms, draws, 0.05).pvalue > 0.01
    assert stats.binomtest(int(covered), draws, 0.95).pvalue > 0.01


def test_the_segment_that_differs_is_found():
    random = np.random.default_rng(9)
    treated = drawn(random, 400, 0.5)
    table = effects.uplift(
        people(random.normal(size=400) + (SEGMENT == "c") * treated, treated, segment=SEGMENT),
        "y",
        [],
    )
    assert effects.differ(table) < 0.01
    assert table.segment[0] == "c"
    assert (table.p_holm < 0.05).tolist() == [True, False, False, False]
    assert (table.low[0] > 0, table.control.sum()) == (True, 200)


def test_small_segments_are_named_and_not_measured(monkeypatch):
    """Thirty in either arm are enough; two intervals hold together where each holds a little more
    often.
    """
    monkeypatch.setattr(effects, "REDRAWS", 199)
    random = np.random.default_rng(9)
    segment = ["a"] * 100 + ["b"] * 59 + ["c"] * 60
    frame = people(random.normal(size=219), [*([1, 0] * 79), 1, *([1, 0] * 30)], segment=segment)
    both = effects.uplift(frame, "y", []).set_index("segment")
    assert both.control.to_dict() == {"a": 50, "b": 29, "c": 30}
    assert both.effect.notna().to_dict() == {"a": True, "b": False, "c": True}
    alone = effects.effect(frame[frame.segment == "c"], "y", [], level=0.95**0.5)
    assert both.loc["c", ["low", "high"]].tolist() == [alone["low"], alone["high"]]
    table = effects.uplift(frame[frame.segment != "c"].replace({"a": "z"}), "y", [])
    assert table.segment.to_dict() == {0: "z", 1: "b"}
    none = effects.uplift(frame.groupby("segment").head(20).iloc[::-1], "y", [])
    assert none.segment.to_dict() == {0: "a", 1: "b", 2: "c"}
    table = table.replace({"z": "a"}).set_index("segment")
    assert np.isnan(table.loc["b", ["effect", "low", "p", "p_holm"]].astype(float)).all()
    assert table.p_holm["a"] == table.p["a"]
    assert np.isnan(effects.differ(table))


def test_standardised_differences_by_hand():
    frame = people([0] * 4, [1, 1, 0, 0], x=[4.0, 6, 1, 3], none=np.nan)
    [told] = effects.balance(frame, ["x", "none", "absent"]).to_dict("records")
    assert (told["mean_treated"], told["mean_control"]) == (5, 2)
    assert told["smd"] == pytest.approx(3 / np.sqrt(2))


def test_imbalance_by_hand():
    """One covariate: the squared sum of the treated about the mean over its variance by lot."""
    x, treated = np.array([0.0, 1, 2, 3, 4, 8]), np.array([0, 1, 0, 1, 1, 0])
    moved = ((x - 3) * treated).sum()
    distance = moved**2 / ((x - 3) ** 2).sum() / treated.var(ddof=1)
    found = effects.imbalance(people(x, treated, x=x), ["x"])
    assert found == pytest.approx(stats.chi2.sf(distance, 1))
    assert np.isnan(effects.imbalance(people([1.0], [1], x=1.0), ["x"]))
    assert np.isnan(effects.imbalance(people([1.0, 2], [1, 1], x=[1.0, 2]), ["x"]))


@pytest.mark.slow
def test_lots_are_called_broken_one_time_in_twenty_and_choice_nearly_always():
    random, alarms = np.random.default_rng(10), np.zeros(2)
    for _ in range(200):
        x, z = random.lognormal(size=(2, 200))
        lot, choice = (
            drawn(random, 200, 0.3),
            random.random(200) < np.where(x > np.median(x), 0.8, 0.5),
        )
        frame = people(x, lot, x=x, z=z)
        chosen = frame.assign(arm=np.where(choice, "treat", "control"))
        alarms += [
            effects.imbalance(frame, ["x", "z"]) < 0.05,
            effects.imbalance(chosen, ["x", "z"]) < 0.05,
        ]
    assert stats.binomtest(int(alarms[0]), 200, 0.05).pvalue > 0.01
    assert alarms[1] > 120
