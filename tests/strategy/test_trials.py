import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels import api as sm

from analysis import schema
from analysis.report.text import Language
from analysis.strategy import effects, trials
from analysis.strategy.campaign_members import COVARIATES

AS_OF = dt.date(2024, 12, 31)


def folk(count, tiers=("ordinary",), **columns):
    ids = [f"c{n:04}" for n in range(count)]
    return pd.DataFrame(
        {"customer_id": ids, "tier": [tiers[n % len(tiers)] for n in range(count)], **columns}
    )


# Strata
def test_strata_are_of_the_tier_and_the_band_of_the_forecast():
    people = folk(120, ("important", "ordinary"), clv=np.arange(120.0), risk=0.3)
    layers = trials.strata(people)
    assert layers.value_counts().to_dict() == {
        f"{tier} / {band}": 20 for tier in ("important", "ordinary") for band in "123"
    }
    lowest = people[layers.str.endswith("1")]
    assert lowest.clv.max() < 40


def test_small_strata_are_one_and_what_is_missing_is_a_stratum():
    people = folk(100, clv=[np.nan] * 50 + [1.0] * 50).assign(
        tier=["strategic"] * 3 + ["ordinary"] * 97
    )
    assert trials.strata(people).value_counts().to_dict() == {
        "ordinary / 2": 50,
        "ordinary / –": 47,
        trials.OTHERS: 3,
    }
    assert trials.strata(people.drop(columns=["tier", "clv"])).unique().tolist() == ["all"]
    assert trials.strata(people.iloc[:0]).empty


@given(st.integers(1, 80), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_strata_do_not_depend_on_the_order_of_rows(count, random):
    people = folk(count, ("a", "b"), clv=[float(random.randrange(4)) for _ in range(count)])
    shuffled = people.sample(frac=1, random_state=random.randrange(1000))
    pd.testing.assert_series_equal(trials.strata(shuffled).sort_index(), trials.strata(people))


# Drawing
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6).filter(
        lambda sizes: sum(sizes) >= trials.EXEMPT_BELOW
    ),
    st.sampled_from([0.001, 0.1, 1 / 3, 0.5, 0.99]),
    st.integers(0, 9),
)
@settings(max_examples=20)
def test_counts_are_exact_in_all_and_within_one_in_each_stratum(sizes, share, seed):
    people = folk(sum(sizes))
    layers = pd.Series(np.repeat([f"s{n}" for n in range(len(sizes))], sizes))
    control = trials.draw(people, layers, share, seed) == "control"
    wanted = min(max(int(np.floor(sum(sizes) * share + 0.5)), 1), sum(sizes) - 1)
    assert control.sum() == wanted
    if abs(wanted - sum(sizes) * share) <= 0.5:
        assert (
            (control.groupby(layers).sum().to_numpy() - np.array(sizes) * share).__abs__() < 1
        ).all()


def test_the_largest_remainders_give_one_more():
    """Quotas of 30 %: 6.0, 8.4, 5.7, 8.4; 28.5 of all is 29, so two more than the whole numbers:
    the 0.7 and one 0.4 by lot.
    """
    layers = pd.Series(np.repeat(["a", "b", "c", "d"], [20, 28, 19, 28]))
    found = [
        (trials.draw(folk(95), layers, 0.3, seed) == "control").groupby(layers).sum().tolist()
        for seed in range(12)
    ]
    assert {tuple(counts) for counts in found} == {(6, 9, 6, 8), (6, 8, 6, 9)}


@given(st.randoms(use_true_random=False), st.integers(0, 99))
@settings(max_examples=15)
def test_the_same_customers_are_held_back_whatever_the_order_of_rows(random, seed):
    people = folk(90, ("a", "b"))
    shuffled = people.sample(frac=1, random_state=random.randrange(1000))
    drawn, again = (
        p.customer_id[trials.draw(p, p.tier, 0.25, seed) == "control"] for p in (people, shuffled)
    )
    assert {*drawn} == {*again}


def test_everybody_is_held_back_as_often_as_anybody_and_not_always_the_same():
    people = folk(100)
    seeds = [trials.seed_of(f"campaign {n}", 1) for n in range(60)]
    times = sum(
        (trials.draw(people, people.tier, 0.2, seed) == "control").astype(int) for seed in seeds
    )
    assert stats.chisquare(times).pvalue > 1e-3
    assert times.min() > 2


def test_a_handful_and_a_share_of_none_are_exempt_and_an_impossible_share_is_refused():
    few, many = folk(trials.EXEMPT_BELOW - 1), folk(trials.EXEMPT_BELOW)
    assert (trials.draw(few, few.tier, 0.5, 0) == "exempt").all()
    assert (trials.draw(many, many.tier, 0, 0) == "exempt").all()
    assert (trials.draw(many, many.tier, 0.5, 0) == "control").sum() == trials.EXEMPT_BELOW // 2
    assert trials.draw(few.iloc[:0], few.tier.iloc[:0], 0.5, 0).empty
    for share in (1, 1.5, -0.1, np.nan):
        with pytest.raises(ValueError, match="control_share"):
            trials.draw(many, many.tier, share, 0)


def test_all_customers_of_an_owner_share_an_arm():
    people = folk(240, owner=[f"o{n % 12}" for n in range(240)])
    people.loc[:4, "owner"] = None
    arm = trials.draw_by_owner(people, people.owner, 0.25, 3)
    by_owner = arm.groupby(people.owner)
    assert by_owner.nunique().max() == 1
    assert (by_owner.first() == "control").sum() == 4  # a fourth would be three
    assert (arm[people.owner.isna()] == "exempt").all()
    shuffled = people.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(
        trials.draw_by_owner(shuffled, shuffled.owner, 0.25, 3).sort_index(), arm
    )


def test_four_owners_at_least_are_in_either_arm_and_few_owners_are_exempt():
    people = folk(200, owner=[f"o{n % 10}" for n in range(200)])
    held = [
        people.owner[trials.draw_by_owner(people, people.owner, share, 0) == "control"].nunique()
        for share in (0.01, 0.99)
    ]
    assert held == [4, 6]
    eight = people[~people.owner.isin(["o0", "o1"])]
    arm = trials.draw_by_owner(eight, eight.owner, 0.1, 0)
    assert eight.owner[arm == "control"].nunique() == eight.owner[arm == "treat"].nunique() == 4
    few = eight[eight.owner != "o2"]
    assert (trials.draw_by_owner(few, few.owner, 0.3, 0) == "exempt").all()


# How small an effect shows
def test_the_effect_that_cohens_sample_size_detects():
    """Cohen (1988), table 2.4.1: d = 0.5 at two-sided 5 % and a power of 80 % takes 64 in each arm
    by t, 62.8 by the normal.
    """
    size = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 * 2 / 0.5**2
    assert size == pytest.approx(62.8, abs=0.05)
    assert trials.smallest_detectable(size, size, 1.0) == pytest.approx(0.5)
    assert trials.smallest_detectable(size, size, 10.0) == pytest.approx(5.0)
    assert trials.smallest_detectable(size, size, 1.0, reduction=0.75) == pytest.approx(0.25)
    assert trials.smallest_detectable(100, 50, 1) == pytest.approx(2.8016 * 0.03**0.5, abs=1e-4)


@pytest.mark.slow
def test_campaigns_of_that_size_prove_the_effect_four_times_in_five():
    """With spend that is mostly none: it is the standard deviation that counts."""
    random, found, draws = np.random.default_rng(1), 0, 1500
    sd = np.sqrt(0.2 * 2 * 5**2 - (0.2 * 5) ** 2)  # a fifth spend, exponentially with mean 5
    control, treated = 400, 600
    effect = trials.smallest_detectable(treated, control, sd)
    for _ in range(draws):
        y = np.where(random.random(1_000) < 0.2, random.exponential(5, 1_000), 0)
        test = stats.ttest_ind(y[control:] + effect, y[:control], equal_var=False)
        found += test.pvalue < 0.05
    assert found / draws == pytest.approx(0.8, abs=0.03)


def test_what_cannot_be_planned_is_nan():
    for arms in ((5, 0, 1), (0, 5, 1), (5, 5, np.nan)):
        assert np.isnan(trials.smallest_detectable(*arms))


# The plan
def shop(ledger, seed=0, buyers=120, days=720):
    """Customers with an own rate each, who order at random: (customer_id, day, amount)."""
    random = np.random.default_rng(seed)
    lines = []
    for n in range(buyers):
        on = np.flatnonzero(random.random(days) < random.gamma(1, 0.03))
        lines += [(f"c{n:04}", AS_OF - dt.timedelta(days=int(day)), "10") for day in on]
    return ledger(lines)


def test_the_yardstick_is_what_customers_as_long_silent_did_in_the_last_window(ledger):
    log = shop(ledger)
    past = trials.a_window_ago(log, AS_OF, 60, 1)
    facts = pd.DataFrame({"recency_days": [5.0, 45.0]})
    told = trials.yardstick(facts, past)
    alike = past[past.recency_days.between(7, 43)]
    assert told["customers"] == len(alike) >= effects.MIN_ARM
    assert told["mean"] == pytest.approx(alike.orders.mean())
    assert told["sd"] == pytest.approx(alike.orders.std())
    counts = ["orders_before", "orders_year", "recency_days"]  # all orders are of 10: money is them
    before = sm.add_constant(alike[counts].to_numpy(float))
    share = sm.OLS(alike.orders.to_numpy(float), before).fit().rsquared_adj
    assert told["reduction"] == pytest.approx(share) and 0 < share < 1  # rates show in the past
    owners = past.set_index("customer_id").orders.gt(alike.orders.mean()).map(str)
    assert told["alike"] == 0 < trials.yardstick(facts, past, owners)["alike"]
    same = past.assign(orders=3.0)
    assert trials.yardstick(facts, same)["reduction"] == trials.yardstick(facts, same)["sd"] == 0


def test_thirty_who_are_alike_are_a_yardstick_and_less_is_none():
    """Of two facts 5 % of the way lie within the ends: 10 to 30 days of silence are 11 to 29."""
    random = np.random.default_rng(2)
    past = pd.DataFrame(random.normal(size=(40, 5)), columns=list(COVARIATES))
    past = past.assign(
        orders=random.poisson(1, 40), recency_days=[11.0, 29] * 15 + [10.5, 29.5] * 5
    )
    facts = pd.DataFrame({"recency_days": [10.0, 30]})
    assert trials.yardstick(facts, past)["mean"] == past.orders[:30].mean()
    fewer = trials.yardstick(facts, past.iloc[1:])
    assert fewer["customers"] == 29
    assert np.isnan([fewer[name] for name in ("mean", "sd", "reduction", "alike")]).all()


def test_a_window_ago_only_those_of_earlier_days_were_there(ledger, monkeypatch):
    """Ten days back is December 21: b's first line is of that day, c's later; of a the later lines
    are counted and the earlier are what was known.
    """
    days = {"a": [10, 20, 22, 31], "b": [21], "c": [22], "d": [9]}
    log = ledger([(who, dt.date(2024, 12, day), "5") for who, of in days.items() for day in of])
    past = trials.a_window_ago(log, AS_OF, 10, 1).set_index("customer_id")
    assert past.orders.to_dict() == {"a": 2, "d": 0}
    assert past.orders_year.to_dict() == {"a": 2, "d": 1}
    monkeypatch.setattr(trials, "MOST_COMPARED", 1)
    drawn = [trials.a_window_ago(log, AS_OF, 10, seed).customer_id.item() for seed in range(4)]
    assert {*drawn} == {"a", "d"}


def test_nobody_alike_is_no_yardstick(ledger):
    past = trials.a_window_ago(shop(ledger), AS_OF, 60, 1)
    for facts in (
        pd.DataFrame({"recency_days": [5000.0]}),
        pd.DataFrame({"recency_days": [np.nan]}),
        past.iloc[:0],
    ):
        assert np.isnan(trials.yardstick(facts, past)["sd"])


@pytest.fixture
def plan(ledger):
    """Two campaigns, one of them for a handful, and what is frozen of them."""
    people = folk(
        120, ("important", "ordinary"), clv=np.arange(120.0), forecast=2.0, smallest_effect=0.3
    ).assign(expected_effect=0.5)
    people["campaign_id"] = ["few"] * 20 + ["many"] * 100
    layers = trials.strata(people)
    chosen = people.assign(control_share=0.3, arm="exempt")
    many = chosen.campaign_id == "many"
    chosen.loc[many, "arm"] = trials.draw(people[many], layers[many], 0.3, 5)
    return chosen, trials.planned(chosen, shop(ledger), AS_OF, 60, seed=5)


def test_what_is_frozen_keeps_its_contract(plan):
    chosen, frozen = plan
    schema.conform("trial_design", frozen)
    assert sorted(frozen.customer_id) == sorted(chosen.customer_id)
    assert frozen.groupby("campaign_id").arm.value_counts().to_dict() == {
        ("few", "exempt"): 20,
        ("many", "treat"): 70,
        ("many", "control"): 30,
    }
    assert (frozen.forecast == 2).all()
    assert frozen.groupby("campaign_id").seed.nunique().tolist() == [1, 1]


def test_nothing_of_a_later_day_is_frozen(ledger, plan):
    chosen, frozen = plan
    early = shop(ledger).to_pandas()
    later = early.assign(day=AS_OF + dt.timedelta(days=1))
    both = pd.concat([early, later])
    log = ledger(list(zip(both.customer_id, both.day, both.amount, strict=True)))
    pd.testing.assert_frame_equal(trials.planned(chosen, log, AS_OF, 60, seed=5), frozen)


def test_the_day_of_the_plan_is_over_and_counts_as_before(ledger):
    log = ledger([("c0000", AS_OF, "10"), ("c0000", AS_OF - dt.timedelta(days=60), "5")])
    [facts] = trials.known(log, folk(1), AS_OF, 60).to_dict("records")
    assert (
        facts["orders_before"],
        facts["money_before"],
        facts["orders_year"],
        facts["recency_days"],
    ) == (1, 10, 2, 1)


def test_nobody_chosen_is_an_empty_plan(ledger, plan):
    chosen, frozen = plan
    assert list(trials.planned(chosen.iloc[:0], shop(ledger), AS_OF, 60, 5)) == list(frozen)


def design(effects, treated=90, control=30):
    """Campaigns by name: what is detectable and what is expected of each."""
    arms = ["treat"] * treated + ["control"] * control
    parts = [
        pd.DataFrame({"campaign_id": name, "arm": arms}).assign(
            detectable_effect=detectable, expected_effect=expected, smallest_effect=0.03
        )
        for name, (detectable, expected) in effects.items()
    ]
    return pd.concat(parts)


def there(count):
    """So many customers for each campaign."""
    return pd.Series(count, ["few", "many", "remind", *"abcdef"])


def test_the_surest_campaign_comes_first_and_just_enough_is_enough():
    """Detectable over expected: 0.4 / 0.8, 0.5 / 0.5, 0.6 / 0.5; of 120 customers all (thirty in
    the smaller arm are the least), all, and 1.44 times as many are needed, twice as precise takes
    four times. Where nothing is expected nothing can be proven.
    """
    rows = {"c": (0.6, 0.5), "a": (0.5, 0.5), "b": (0.4, 0.8), "f": (1.0, 0.5)}
    table = trials.foretold(design(rows | {"d": (0.4, 0.0), "e": (np.nan, 0.5)}), there(480))
    assert sorted(table.campaign_id[:2]) == ["a", "b"]
    assert table.campaign_id[2:].tolist() == ["c", "f", "d", "e"]
    assert table.needed.tolist()[:4] == [120, 120, 173, 480] and table.needed[4:].isna().all()
    assert table.enough.tolist() == [True, True, False, False, False, False]
    fewer = trials.foretold(design(rows), there(479)).set_index("campaign_id").needed
    assert np.isnan(fewer["f"]) and fewer["c"] == 173  # more than there are customers
    some = trials.foretold(design(rows), pd.Series({"a": 119, "c": 173})).set_index("campaign_id")
    assert some.needed.dropna().to_dict() == {"c": 173}
    small = trials.foretold(design({"a": (0.1, 0.5)}, 270, 15), there(1000))
    assert (small.needed.item(), small.enough.item()) == (570, False)  # 30 held back take twice 285


def test_a_campaign_that_is_too_small_says_so_before_it_starts(plan):
    _, frozen = plan
    table = trials.foretold(frozen, there(10_000)).set_index("campaign_id")
    assert table.loc["many", ["treated", "control", "exempt"]].tolist() == [70, 30, 0]
    assert not table.enough["few"]
    row = table.loc["many"]
    assert row.needed == pytest.approx(100 * max(1, (row.detectable_effect / 0.5) ** 2), abs=1)
    assert row.enough == (row.detectable_effect <= 0.5)
    said = [v for text, v in trials.telling(table.reset_index()) if "nobody" in text]
    assert said == [{"campaigns": 1, "customers": 20}]


@pytest.mark.parametrize(
    ("detectable", "control", "customers", "words"),
    [
        (0.4, 30, 100, "large enough to prove"),
        (0.6, 30, 144, "a proof takes 144 customers"),
        (0.6, 30, 143, "cannot be had"),
        (np.nan, 30, 100, "is not known"),
        (np.nan, 0, 100, "nobody is held back"),
    ],
)
def test_every_plan_has_its_sentence(detectable, control, customers, words):
    frozen = design({"remind": (detectable, 0.5)}, 70, control)
    if not control:
        frozen["arm"] = "exempt"
    table = trials.foretold(frozen, there(customers))
    told = [Language("en")(text, **v) for text, v in trials.telling(table)]
    assert [words in text and "–" not in text for text in told] == [True]


# Where owners are drawn
def test_customers_of_an_owner_who_are_much_alike_are_worth_few():
    """Kish: groups of ten that correlate by a half are worth 10 / 5.5 each, quite alike one."""
    sizes = pd.Series([10] * 6)
    assert trials.effective(sizes, 0.0) == 60
    assert trials.effective(sizes, 0.5) == pytest.approx(60 / 5.5)
    assert trials.effective(sizes, 1.0) == pytest.approx(6)
    assert trials.effective(pd.Series([30, 10]), 1.0) == pytest.approx(1.6)  # 40² / 1000


def test_likeness_is_fishers_intraclass_correlation():
    """Of two groups (1, 3) and (5, 7): 16 between and 2 within, so 14 / 18; who has no group does
    not count, and groups that differ less than their members tell nothing.
    """
    groups = pd.Series(["a", "a", "b", "b", None])
    assert trials.likeness(np.array([1.0, 3, 5, 7, 99]), groups) == pytest.approx(14 / 18)
    assert trials.likeness(np.array([1.0, 7, 1, 7, 99]), groups) == 0
    assert trials.likeness(np.arange(4.0), pd.Series([*"abcd"])) == 0
    random = np.random.default_rng(1)
    owner = np.repeat(np.arange(400), 10)
    y = np.sqrt(0.3) * random.normal(size=400)[owner] + np.sqrt(0.7) * random.normal(size=4000)
    assert trials.likeness(y, pd.Series(owner)) == pytest.approx(0.3, abs=0.05)


def test_what_owners_can_prove_goes_by_owners():
    """Twelve owners of ten whose customers order quite alike are twelve units, four against eight,
    on ten degrees of freedom.
    """
    people = folk(120, arm=["control"] * 40 + ["treat"] * 80)
    owners = pd.Series([f"o{n // 10}" for n in range(120)], people.customer_id)
    usual = {"sd": 2.0, "reduction": 0.0, "alike": 1.0}
    times = stats.t.ppf(0.975, 10) + stats.t.ppf(0.8, 10)
    expected = times * 2 * np.sqrt(1 / 4 + 1 / 8)
    assert trials._detectable(people, usual, owners) == pytest.approx(expected)
    alone = trials.smallest_detectable(80, 40, 2.0)
    assert trials._detectable(people, usual, None) == pytest.approx(alone)
    assert alone < expected
    assert np.isnan(trials._detectable(people.assign(arm="exempt"), usual, owners))
