"""Leavers against risks: exact distributions, known truths, and sums that agree."""

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binom, hypergeom, nchypergeom_fisher, poisson_binom

from analysis.strategy import retention

ORIGIN = dt.date(2024, 3, 31)
RISKS = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9).map(np.array)


def of(*portfolios):
    """Held customers and their owners, from (owner, risks, how many left: the first ones)."""
    parts = [
        pd.DataFrame({"risk": risks, "left": np.arange(len(risks)) < gone, "owner": owner})
        for owner, risks, gone in portfolios
    ]
    held = pd.concat(parts, ignore_index=True)
    held = held.assign(customer_id=[f"c{n}" for n in range(len(held))], day=ORIGIN)
    return held[["customer_id", "day", "risk", "left"]], held.set_index("customer_id").owner


def drawn(random, owners, each, spread=(0.6, 1.0), worse=0.0, drift=0.0):
    """Customers whose risks are true, but for a drift of all and what the first owner does to the
    odds.
    """
    risk = np.clip(random.beta(*spread, owners * each), 0.005, 0.995)
    who = np.repeat([f"o{n:02d}" for n in range(owners)], each)
    gone = random.random(len(risk)) < expit(logit(risk) + drift + worse * (who == "o00"))
    held, names = of(("x", risk, 0))
    return held.assign(left=gone), pd.Series(who, names.index, name="owner")


# The distribution of leavers
@given(RISKS)
@settings(max_examples=15)
def test_the_distribution_of_leavers_is_that_of_all_outcomes(risks):
    by_hand = np.zeros(len(risks) + 1)
    for outcome in itertools.product((0, 1), repeat=len(risks)):
        by_hand[sum(outcome)] += np.prod(np.where(outcome, risks, 1 - risks))
    assert np.exp(retention.leavers(risks, 9)) == pytest.approx(by_hand, rel=1e-9)
    assert np.exp(retention.leavers(risks, 1)) == pytest.approx(by_hand[:2], rel=1e-9)


def test_the_distribution_of_many_leavers_is_scipys():
    risks = np.random.default_rng(1).beta(0.5, 2, 400)
    assert np.exp(retention.leavers(risks, 400)) == pytest.approx(
        poisson_binom(risks).pmf(np.arange(401)), abs=1e-12
    )
    assert np.exp(retention.leavers(np.full(50, 0.3), 50)) == pytest.approx(
        binom(50, 0.3).pmf(np.arange(51))
    )


def test_that_of_very_many_is_near_the_exact_one():
    """Usual risks; few who leave; few who stay; some surely leave and others surely stay."""
    for shape in [(0.6, 1.0), (0.02, 5.0), (5.0, 0.02), (0.05, 0.05)]:
        risks = np.clip(np.random.default_rng(2).beta(*shape, retention.EXACT + 1), 1e-4, 1 - 1e-4)
        near = retention.leavers(risks, len(risks))
        near = np.exp(near - near.max()) / np.exp(near - near.max()).sum()
        exact = poisson_binom(risks).pmf(np.arange(len(risks) + 1))
        assert np.abs(near.cumsum() - exact.cumsum()).max() < 0.01, shape


# One owner against the others
@given(st.integers(1, 30), st.integers(1, 30), st.data())
@settings(max_examples=20)
def test_of_two_portfolios_of_equal_risks_it_is_fishers_test(mine, others, data):
    a, b = data.draw(st.integers(0, mine)), data.draw(st.integers(0, others))
    row = retention.retention(
        *of(("a", np.full(mine, 0.4), a), ("b", np.full(others, 0.4), b))
    ).loc["a"]
    chance = hypergeom(mine + others, a + b, mine)
    if a + b in (0, mine + others):
        assert np.isnan(row.p)
        return
    below = chance.cdf(a) - chance.pmf(a) / 2
    assert row.p == pytest.approx(min(1, 2 * min(below, 1 - below)), abs=1e-9)
    assert row.expected_left == pytest.approx(chance.mean())


def test_the_interval_ends_where_the_tilted_distribution_rejects():
    """Fisher's noncentral distribution of scipy, its odds searched for instead of solved."""
    counts, logs = retention.among(np.full(40, 0.3), np.full(70, 0.3), 30)
    low, high = retention.tilts(counts, logs, 18)
    for tilt, below in ((low, 0.975), (high, 0.025)):
        chance = nchypergeom_fisher(110, 30, 40, np.exp(tilt))
        assert chance.cdf(18) - chance.pmf(18) / 2 == pytest.approx(below, abs=1e-6)
    row = retention.retention(*of(("a", np.full(40, 0.3), 18), ("b", np.full(70, 0.3), 12))).loc[
        "a"
    ]
    assert row.low * row.expected_left == pytest.approx(
        nchypergeom_fisher(110, 30, 40, np.exp(low)).mean()
    )
    assert row.high * row.expected_left == pytest.approx(
        nchypergeom_fisher(110, 30, 40, np.exp(high)).mean()
    )


def test_a_portfolio_by_hand():
    """Of a (0.2, 0.5) and b (0.8), two left. Odds 1/4, 1, 4: both of a 1/4, one of a 4 x (1/4 + 1)
    = 5; so a has 5.5 / 5.25.
    """
    row = retention.retention(*of(("a", [0.2, 0.5], 1), ("b", [0.8], 1))).loc["a"]
    assert row[["measured", "actual", "foretold_left"]].tolist() == [2, 1, 0.7]
    assert row.expected_left == pytest.approx(5.5 / 5.25)
    assert row.ratio == pytest.approx(5.25 / 5.5)
    assert row.p == pytest.approx(1 - 0.25 / 5.25)  # as few or fewer: half of 5 / 5.25, twice


@given(st.lists(st.tuples(RISKS, st.integers(0, 9)), min_size=1, max_size=5), st.floats(-2, 2))
@settings(max_examples=10)
def test_sums_agree_and_a_forecast_gone_astray_as_a_whole_changes_nothing(portfolios, drift):
    held, owners = of(*[(f"o{n}", risks, gone) for n, (risks, gone) in enumerate(portfolios)])
    table = retention.retention(held, owners)
    assert table.measured.sum() == len(held)
    assert table.actual.sum() == held.left.sum()
    assert table.foretold_left.sum() == pytest.approx(held.risk.sum(), abs=1e-4)
    assert table.expected_left.sum() == pytest.approx(held.left.sum(), abs=1e-6)
    known = table.dropna(subset=["ratio"])
    assert ((known.low <= known.ratio + 1e-9) & (known.ratio <= known.high + 1e-9)).all()
    assert known.p.between(0, 1).all()
    moved = retention.retention(held.assign(risk=expit(logit(held.risk) + drift)), owners)
    pd.testing.assert_frame_equal(
        moved.drop(columns="foretold_left"),
        table.drop(columns="foretold_left"),
        rtol=1e-4,
        atol=1e-6,
    )


def test_portfolios_of_any_size_are_compared_alike(monkeypatch):
    """The distributions for very many against the exact ones."""
    held, owners = drawn(np.random.default_rng(3), 6, 150, worse=0.5)
    exact = retention.retention(held, owners)
    monkeypatch.setattr(retention, "EXACT", 100)
    monkeypatch.setattr(retention, "SPREAD", 10)
    near = retention.retention(held, owners)
    assert near.p.tolist() != exact.p.tolist()
    for column in ("expected_left", "low", "high", "shrunk"):
        assert near[column].to_numpy() == pytest.approx(exact[column].to_numpy(), rel=0.01)
    assert near.p.to_numpy() == pytest.approx(exact.p.to_numpy(), abs=0.01)


# What chance does, and what it does not
@pytest.fixture(scope="module")
def alike():
    """Many companies of eight owners who are all alike, though the forecast of all went astray."""
    random = np.random.default_rng(4)
    return [retention.retention(*drawn(random, 8, 12, drift=0.4)) for _ in range(160)]


@pytest.mark.slow
def test_of_owners_who_are_alike_one_is_blamed_in_few_of_many_companies(alike):
    """At most 5 %; of 160 companies three standard deviations more."""
    assert 0 < np.mean([table.beyond_chance.any() for table in alike]) < 0.102


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(alike):
    every = pd.concat(alike)
    assert ((every.low <= 1) & (every.high >= 1)).mean() == pytest.approx(0.955, abs=0.02)


@pytest.mark.slow
def test_shrinking_brings_small_portfolios_nearer_to_the_truth(alike):
    every = pd.concat(alike)
    assert ((every.shrunk - 1) ** 2).mean() < 0.2 * ((every.ratio - 1) ** 2).mean()


@pytest.mark.slow
def test_an_interval_of_a_worse_owner_holds_what_the_owner_does():
    """In a large company, so that the total hardly depends on the one owner."""
    random, held = np.random.default_rng(5), []
    for _ in range(80):
        customers, owners = drawn(random, 12, 60, worse=0.7)
        owners = owners.where(owners == "o00", "others")
        row, risk = (
            retention.retention(customers, owners).iloc[0],
            customers.risk[owners.to_numpy() == "o00"],
        )
        truth = expit(logit(risk) + 0.7).sum() / risk.sum()
        held.append(row.low <= truth <= row.high)
    assert np.mean(held) >= 0.88


@pytest.mark.slow
def test_a_worse_owner_is_found_and_nobody_else():
    random, found, others = np.random.default_rng(6), 0, 0
    for _ in range(20):
        table = retention.retention(*drawn(random, 8, 100, worse=1.5))
        found += bool(
            table.beyond_chance["o00"] and table.ratio["o00"] > 1 and table.shrunk["o00"] > 1
        )
        others += table.beyond_chance.iloc[1:].any()
    assert found >= 18
    assert others <= 3  # though beside the worse one all others keep more than expected


@pytest.mark.slow
def test_a_difficult_portfolio_is_not_blamed_though_far_more_of_it_leave():
    random, blamed, compared = np.random.default_rng(7), 0, 0
    for _ in range(20):
        hard, easy = (
            np.clip(random.beta(6, 3, 80), 0.01, 0.99),
            np.clip(random.beta(1, 5, 400), 0.01, 0.99),
        )
        risk = np.concatenate([hard, easy])
        held, names = of(("x", risk, 0))
        held = held.assign(left=random.random(len(risk)) < risk)
        owners = pd.Series(np.repeat(["hard", "b", "c", "d", "e", "f"], 80), names.index)
        blamed += retention.retention(held, owners).beyond_chance["hard"]
        compared += retention.retention(held.assign(risk=0.5), owners).beyond_chance["hard"]
    assert blamed <= 2
    assert compared == 20  # by shares alone every one would be


def test_shrunk_ratios_by_hand():
    """Weights 100 and 4: Q = 100 x 0.25 + 4 x 1 = 29, so the variance between is (29 - 2) / 104."""
    table = pd.DataFrame({"ratio": [1.5, 2.0, np.nan], "variance": [0.01, 0.25, np.nan]})
    between = 27 / 104
    found = retention.shrunk(table)
    assert found[:2].tolist() == pytest.approx(
        [1 + 0.5 * between / (between + 0.01), 1 + between / (between + 0.25)]
    )
    assert np.isnan(found[2])
    assert retention.shrunk(table.assign(ratio=[1.05, 1.2, np.nan]))[:2].tolist() == [1, 1]


def test_one_customer_who_left_does_not_lead_the_list():
    owners = [
        ("tiny", [0.1], 1),
        ("worse", np.full(120, 0.3), 60),
        *[(name, np.full(120, 0.3), 36) for name in "abcd"],
    ]
    table = retention.retention(*of(*owners))
    assert table.ratio.idxmax() == "tiny"
    assert table.shrunk.idxmax() == "worse"


def test_who_stands_out_is_taken_out_before_the_others_are_tested():
    """Beside the one who loses everybody the four others keep more than expected; of two nobody
    knows which one differs.
    """
    four = [(name, np.full(60, 0.3), 18) for name in "abcd"]
    table = retention.retention(*of(("bad", np.full(60, 0.3), 60), *four))
    assert (table.p[list("abcd")] < 0.05).all()
    assert table.index[table.beyond_chance].tolist() == ["bad"]
    both = retention.retention(*of(("bad", np.full(60, 0.3), 40), ("good", np.full(60, 0.3), 18)))
    assert both.beyond_chance.all()


def test_a_chance_that_is_rare_for_one_is_usual_among_many():
    """Of 60 with a risk of 0.3 each, 27 left: p is below 0.05, which is too much with four
    compared.
    """
    others = [(name, np.full(60, 0.3), 18) for name in "bcd"]
    table = retention.retention(*of(("a", np.full(60, 0.3), 27), *others))
    assert 0.0125 < table.p["a"] < 0.05
    assert table.low["a"] > 1
    assert not table.beyond_chance.any()


@pytest.mark.filterwarnings("error")
def test_where_there_is_nothing_to_compare_nothing_is_said():
    for portfolios in (
        [("a", [0.2, 0.5], 1)],
        [("a", [0.2], 0), ("b", [0.4], 0)],
        [("a", [0.2], 1), ("b", [0.4], 1)],
        [("a", [], 0)],
    ):
        table = retention.retention(*of(*portfolios))
        assert table[["ratio", "low", "high", "p", "shrunk"]].isna().all(axis=None)
        assert not table.beyond_chance.any()


def test_certain_and_unknown_risks_do_not_break_it():
    held, owners = of(("a", [0.0, 1.0, np.nan, 0.5], 3), ("b", [0.0, 0.0, 1.0], 2))
    table = retention.retention(held, owners)
    assert table.measured.to_dict() == {"a": 3, "b": 3}
    assert table.p.between(0, 1).all()


def test_what_a_forecast_thought_impossible_is_far_beyond_chance():
    table = retention.retention(*of(("a", np.full(300, 0.01), 300), ("b", np.full(300, 0.99), 0)))
    assert table.beyond_chance.all()
    assert table.low["a"] > 1 > table.high["b"]
    assert np.isfinite(table[["low", "high", "ratio"]]).all(axis=None)
