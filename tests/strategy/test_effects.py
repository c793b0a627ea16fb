import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.strategy import effects


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


def test_of_clusters_every_drawing_counts_once():
    """Eight owners of one customer each, four treated: of the 70 drawings the one that was drawn
    has the largest difference, and only its mirror is as far from none.
    """
    y, treated = np.array([9.0, 8, 7, 6, 4, 3, 2, 1]), np.repeat([1, 0], 4)
    told = effects.effect(people(y, treated, owner=[*"abcdefgh"]), "y", [], cluster="owner")
    assert (told["effect"], told["p"]) == (pytest.approx(5), pytest.approx(2 / 70))
    assert told["low"] > 0


def test_an_effect_lies_in_the_interval_unless_without_it_the_arms_are_rare():
    """The ends are where the test itself of the outcome without the effect changes its mind."""
    random = np.random.default_rng(2)
    owner = np.repeat(np.arange(9), [3, 5, 2, 4, 4, 3, 6, 2, 4])
    treated = np.isin(owner, [0, 2, 3, 5, 8])
    y, x = random.gamma(1, 3, len(owner)), random.normal(size=len(owner))
    frame = people(y, treated, owner=owner.astype(str), x=x)
    told = effects.effect(frame, "y", ["x"], cluster="owner")
    for end, inside in (("low", 1e-6), ("high", -1e-6)):
        for step, rejected in ((-inside, True), (inside, False)):
            rest = frame.assign(y=y - (told[end] + step) * treated)
            again = effects.effect(rest, "y", ["x"], cluster="owner")
            assert (again["p"] <= 0.05) == rejected
    line = np.linalg.lstsq(np.column_stack([np.ones(len(y)), treated, x]), y, rcond=None)[0]
    assert told["effect"] == pytest.approx(line[1])
    half = (told["high"] - told["low"]) / 2
    assert told["error"] == pytest.approx(half / stats.norm.ppf(0.975))


def test_who_has_no_owner_is_alone_and_who_changed_hands_is_left_out():
    owner = [*np.repeat([*"abcdefgh"], 3), None, None]
    treated = [*np.repeat([1, 0], 12), 1, 0]
    y = np.random.default_rng(3).normal(size=26)
    told = effects.effect(people(y, treated, owner=owner), "y", [], cluster="owner")
    named = effects.effect(
        people(y, treated, owner=[*owner[:24], "i", "j"]), "y", [], cluster="owner"
    )
    assert told == named and told["treated"] == 13
    moved = people(y, treated, owner=[*owner[:23], "a", None, None])
    rest = effects.effect(moved.drop(index=23), "y", [], cluster="owner")
    assert effects.effect(moved, "y", [], cluster="owner") == rest
    assert (rest["treated"], rest["control"]) == (13, 12)


@pytest.mark.parametrize("treated", [3, 5])
def test_three_owners_in_an_arm_tell_nothing(treated):
    y = np.arange(80.0)
    owner = np.repeat([*"abcdefgh"], 10)
    told = effects.effect(people(y, y < 10 * treated, owner=owner), "y", [], cluster="owner")
    assert np.isnan(told["p"]) and told["treated"] == 10 * treated


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
    """Why arms are redrawn: the same with a tenth held back, by Welch's t."""
    random, alarms, draws = np.random.default_rng(11), 0, 500
    for _ in range(draws):
        treated, y = drawn(random, 400, 0.1), seldom(random, 400)
        alarms += stats.ttest_ind(y[treated], y[~treated], equal_var=False).pvalue < 0.05
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


OWN = 0.3  # of the variance lies between owners


def of_owners(random, owners, held, size, spend=False, shift=0.0):
    """Customers of owners of whom `held` hold back all of theirs; one in a hundred has since been
    handed over to another.
    """
    owner = np.repeat(np.arange(owners), size)
    treated = np.isin(owner, random.permutation(owners)[held:])
    level, alone = random.normal(size=owners)[owner], random.normal(size=len(owner))
    y = np.sqrt(OWN) * level + np.sqrt(1 - OWN) * alone
    if spend:
        y = seldom(random, len(owner), np.exp(level))
    handed = random.random(len(owner)) < 0.01
    now = np.where(handed, random.integers(0, owners, len(owner)), owner)
    return people(y + shift * treated, treated, owner=now.astype(str))


def rejected(draws, *design, seed=4, **of):
    random = np.random.default_rng(seed)
    frames = (of_owners(random, *design, **of) for _ in range(draws))
    found = [effects.effect(f, "y", [], "owner", seed=n)["p"] <= 0.05 for n, f in enumerate(frames)]
    return sum(found)


def test_a_few_owners_that_were_drawn_give_few_false_alarms(few_redraws):
    """One by one, their customers would give an alarm every other time."""
    assert stats.binomtest(rejected(60, 12, 4, 15), 60, 0.07, "greater").pvalue > 0.01
    random, alone = np.random.default_rng(4), 0
    for _ in range(60):
        arms = [rows.y for _, rows in of_owners(random, 12, 4, 15).groupby("arm")]
        alone += stats.ttest_ind(*arms).pvalue < 0.05
    assert alone > 15


@pytest.mark.slow
@pytest.mark.parametrize("spend", [False, True])
@pytest.mark.parametrize("design", [(8, 4, 20), (12, 4, 20), (20, 4, 20), (60, 8, 8)])
def test_owners_or_stores_give_one_false_alarm_in_twenty(monkeypatch, design, spend):
    monkeypatch.setattr(effects, "REDRAWS", 499)
    assert rejected(1000, *design, spend=spend) / 1000 <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize(("owners", "held"), [(12, 4), (20, 4)])
def test_owners_prove_what_is_there_four_times_in_five(monkeypatch, owners, held):
    """An effect that would be proven nine times in ten if the spread of owners were known: 3.24
    errors. For twelve owners of 20 customers, 4 of them held back, that is 1.16 standard deviations
    of a customer.
    """
    monkeypatch.setattr(effects, "REDRAWS", 999)
    of_one = OWN + (1 - OWN) / 20
    error = np.sqrt(of_one * (1 / held + 1 / (owners - held)))
    shift = (stats.norm.ppf(0.975) + stats.norm.ppf(0.9)) * error
    assert rejected(1000, owners, held, 20, shift=shift) / 1000 >= 0.8


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
