"""Owners against the risk of their own customers: exact distributions, known truths, and sums that
agree.
"""

import datetime as dt
import itertools
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binom, hypergeom, nchypergeom_fisher, poisson_binom

from analysis import schema
from analysis.models.history import Records
from analysis.report import charts
from analysis.report.text import Language
from analysis.strategy import owners as scorecard

AS_OF, ORIGIN = dt.date(2024, 6, 30), dt.date(2024, 3, 31)
RISKS = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=9).map(np.array)


def ago(days):
    return AS_OF - dt.timedelta(days=days)


def of(*portfolios):
    """Held customers and their owners, from (owner, risks, how many left: the first ones)."""
    parts = [
        pd.DataFrame({"risk": risks, "left": np.arange(len(risks)) < gone, "owner": owner})
        for owner, risks, gone in portfolios
    ]
    held = pd.concat(parts, ignore_index=True)
    held = held.assign(customer_id=[f"c{n}" for n in range(len(held))], day=ORIGIN)
    return held[scorecard.SCORED], held.set_index("customer_id").owner


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
@settings(max_examples=25)
def test_the_distribution_of_leavers_is_that_of_all_outcomes(risks):
    by_hand = np.zeros(len(risks) + 1)
    for outcome in itertools.product((0, 1), repeat=len(risks)):
        by_hand[sum(outcome)] += np.prod(np.where(outcome, risks, 1 - risks))
    assert np.exp(scorecard.leavers(risks, 9)) == pytest.approx(by_hand, rel=1e-9)
    assert np.exp(scorecard.together(risks, 9)) == pytest.approx(by_hand, rel=1e-9)
    for some in (scorecard.leavers, scorecard.together):
        assert np.exp(some(risks, 1)) == pytest.approx(by_hand[:2], rel=1e-9)


def test_the_distribution_of_many_leavers_is_scipys():
    risks = np.random.default_rng(1).beta(0.5, 2, 400)
    assert np.exp(scorecard.leavers(risks, 400)) == pytest.approx(
        poisson_binom(risks).pmf(np.arange(401)), abs=1e-12
    )
    assert np.exp(scorecard.leavers(np.full(50, 0.3), 50)) == pytest.approx(
        binom(50, 0.3).pmf(np.arange(51))
    )


@pytest.mark.parametrize("shape", [(0.6, 1.0), (0.02, 5.0), (5.0, 0.02), (0.05, 0.05)])
def test_that_of_very_many_is_near_the_exact_one(shape):
    """Usual risks; few who leave; few who stay; some who surely leave and others who surely stay."""
    risks = np.clip(np.random.default_rng(2).beta(*shape, scorecard.EXACT + 1), 1e-4, 1 - 1e-4)
    near = scorecard.together(risks, len(risks))
    near = np.exp(near - near.max()) / np.exp(near - near.max()).sum()
    exact = poisson_binom(risks).pmf(np.arange(len(risks) + 1))
    assert np.abs(near.cumsum() - exact.cumsum()).max() < 0.01


# One owner against the others
@given(st.integers(1, 30), st.integers(1, 30), st.data())
@settings(max_examples=40)
def test_of_two_portfolios_of_equal_risks_it_is_fishers_test(mine, others, data):
    a, b = data.draw(st.integers(0, mine)), data.draw(st.integers(0, others))
    row = scorecard.retention(
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
    counts, logs = scorecard.shares_of(np.full(40, 0.3), np.full(70, 0.3), 30)
    low, high = scorecard.tilts(counts, logs, 18)
    for tilt, below in ((low, 0.975), (high, 0.025)):
        chance = nchypergeom_fisher(110, 30, 40, np.exp(tilt))
        assert chance.cdf(18) - chance.pmf(18) / 2 == pytest.approx(below, abs=1e-6)
    row = scorecard.retention(*of(("a", np.full(40, 0.3), 18), ("b", np.full(70, 0.3), 12))).loc[
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
    row = scorecard.retention(*of(("a", [0.2, 0.5], 1), ("b", [0.8], 1))).loc["a"]
    assert row[["measured", "actual", "foretold_left"]].tolist() == [2, 1, 0.7]
    assert row.expected_left == pytest.approx(5.5 / 5.25)
    assert row.ratio == pytest.approx(5.25 / 5.5)
    assert row.p == pytest.approx(1 - 0.25 / 5.25)  # as few or fewer: half of 5 / 5.25, twice


@given(st.lists(st.tuples(RISKS, st.integers(0, 9)), min_size=1, max_size=5), st.floats(-2, 2))
@settings(max_examples=30)
def test_sums_agree_and_a_forecast_gone_astray_as_a_whole_changes_nothing(portfolios, drift):
    held, owners = of(*[(f"o{n}", risks, gone) for n, (risks, gone) in enumerate(portfolios)])
    table = scorecard.retention(held, owners)
    assert table.measured.sum() == len(held)
    assert table.actual.sum() == held.left.sum()
    assert table.foretold_left.sum() == pytest.approx(held.risk.sum(), abs=1e-4)
    assert table.expected_left.sum() == pytest.approx(held.left.sum(), abs=1e-6)
    known = table.dropna(subset=["ratio"])
    assert ((known.low <= known.ratio + 1e-9) & (known.ratio <= known.high + 1e-9)).all()
    assert known.p.between(0, 1).all()
    moved = scorecard.retention(held.assign(risk=expit(logit(held.risk) + drift)), owners)
    pd.testing.assert_frame_equal(
        moved.drop(columns="foretold_left"),
        table.drop(columns="foretold_left"),
        rtol=1e-4,
        atol=1e-6,
    )


def test_portfolios_of_any_size_are_compared_alike(monkeypatch):
    """The distributions for very many against the exact ones."""
    held, owners = drawn(np.random.default_rng(3), 6, 150, worse=0.5)
    exact = scorecard.retention(held, owners)
    monkeypatch.setattr(scorecard, "EXACT", 100)
    monkeypatch.setattr(scorecard, "SPREAD", 10)
    near = scorecard.retention(held, owners)
    assert near.p.tolist() != exact.p.tolist()
    for column in ("expected_left", "low", "high", "shrunk"):
        assert near[column].to_numpy() == pytest.approx(exact[column].to_numpy(), rel=0.01)
    assert near.p.to_numpy() == pytest.approx(exact.p.to_numpy(), abs=0.01)


# What chance does, and what it does not
@pytest.fixture(scope="module")
def alike():
    """Many companies of eight owners who are all alike, though the forecast of all went astray."""
    random = np.random.default_rng(4)
    return [scorecard.retention(*drawn(random, 8, 12, drift=0.4)) for _ in range(160)]


def test_of_owners_who_are_alike_one_is_blamed_in_few_of_many_companies(alike):
    """At most 5 %; of 160 companies three standard deviations more."""
    assert 0 < np.mean([table.beyond_chance.any() for table in alike]) < 0.102


def test_intervals_hold_the_truth_as_often_as_they_say(alike):
    every = pd.concat(alike)
    assert ((every.low <= 1) & (every.high >= 1)).mean() == pytest.approx(0.955, abs=0.02)


def test_shrinking_brings_small_portfolios_nearer_to_the_truth(alike):
    every = pd.concat(alike)
    assert ((every.shrunk - 1) ** 2).mean() < 0.2 * ((every.ratio - 1) ** 2).mean()


def test_an_interval_of_a_worse_owner_holds_what_the_owner_does():
    """In a large company, so that the total hardly depends on the one owner."""
    random, held = np.random.default_rng(5), []
    for _ in range(80):
        customers, owners = drawn(random, 12, 60, worse=0.7)
        owners = owners.where(owners == "o00", "others")
        row, risk = (
            scorecard.retention(customers, owners).iloc[0],
            customers.risk[owners.to_numpy() == "o00"],
        )
        truth = expit(logit(risk) + 0.7).sum() / risk.sum()
        held.append(row.low <= truth <= row.high)
    assert np.mean(held) >= 0.88


def test_a_worse_owner_is_found_and_nobody_else():
    random, found, others = np.random.default_rng(6), 0, 0
    for _ in range(20):
        table = scorecard.retention(*drawn(random, 8, 100, worse=1.5))
        found += bool(
            table.beyond_chance["o00"] and table.ratio["o00"] > 1 and table.shrunk["o00"] > 1
        )
        others += table.beyond_chance.iloc[1:].any()
    assert found >= 18
    assert others <= 3  # though beside the worse one all others keep more than expected


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
        blamed += scorecard.retention(held, owners).beyond_chance["hard"]
        compared += scorecard.retention(held.assign(risk=0.5), owners).beyond_chance["hard"]
    assert blamed <= 2
    assert compared == 20  # by shares alone every one would be


def test_shrunk_ratios_by_hand():
    """Weights 100 and 4: Q = 100 x 0.25 + 4 x 1 = 29, so the variance between is (29 - 2) / 104."""
    table = pd.DataFrame({"ratio": [1.5, 2.0, np.nan], "variance": [0.01, 0.25, np.nan]})
    between = 27 / 104
    found = scorecard.shrunk(table)
    assert found[:2].tolist() == pytest.approx(
        [1 + 0.5 * between / (between + 0.01), 1 + between / (between + 0.25)]
    )
    assert np.isnan(found[2])
    assert scorecard.shrunk(table.assign(ratio=[1.05, 1.2, np.nan]))[:2].tolist() == [1, 1]


def test_one_customer_who_left_does_not_lead_the_list():
    owners = [
        ("tiny", [0.1], 1),
        ("worse", np.full(120, 0.3), 60),
        *[(name, np.full(120, 0.3), 36) for name in "abcd"],
    ]
    table = scorecard.retention(*of(*owners))
    assert table.ratio.idxmax() == "tiny"
    assert table.shrunk.idxmax() == "worse"


def test_who_stands_out_is_taken_out_before_the_others_are_tested():
    """Beside the one who loses everybody the four others keep more than expected; of two nobody
    knows which one differs.
    """
    four = [(name, np.full(60, 0.3), 18) for name in "abcd"]
    table = scorecard.retention(*of(("bad", np.full(60, 0.3), 60), *four))
    assert (table.p[list("abcd")] < 0.05).all()
    assert table.index[table.beyond_chance].tolist() == ["bad"]
    both = scorecard.retention(*of(("bad", np.full(60, 0.3), 40), ("good", np.full(60, 0.3), 18)))
    assert both.beyond_chance.all()


def test_a_chance_that_is_rare_for_one_is_usual_among_many():
    """Of 60 with a risk of 0.3 each, 27 left: p is below 0.05, which is too much with four
    compared.
    """
    others = [(name, np.full(60, 0.3), 18) for name in "bcd"]
    table = scorecard.retention(*of(("a", np.full(60, 0.3), 27), *others))
    assert 0.0125 < table.p["a"] < 0.05
    assert table.low["a"] > 1
    assert not table.beyond_chance.any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "portfolios",
    [
        [("a", [0.2, 0.5], 1)],
        [("a", [0.2], 0), ("b", [0.4], 0)],
        [("a", [0.2], 1), ("b", [0.4], 1)],
        [("a", [], 0)],
    ],
)
def test_where_there_is_nothing_to_compare_nothing_is_said(portfolios):
    table = scorecard.retention(*of(*portfolios))
    assert table[["ratio", "low", "high", "p", "shrunk"]].isna().all(axis=None)
    assert not table.beyond_chance.any()


def test_certain_and_unknown_risks_do_not_break_it():
    held, owners = of(("a", [0.0, 1.0, np.nan, 0.5], 3), ("b", [0.0, 0.0, 1.0], 2))
    table = scorecard.retention(held, owners)
    assert table.measured.to_dict() == {"a": 3, "b": 3}
    assert table.p.between(0, 1).all()


def test_what_a_forecast_thought_impossible_is_far_beyond_chance():
    table = scorecard.retention(*of(("a", np.full(300, 0.01), 300), ("b", np.full(300, 0.99), 0)))
    assert table.beyond_chance.all()
    assert table.low["a"] > 1 > table.high["b"]
    assert np.isfinite(table[["low", "high", "ratio"]]).all(axis=None)


# What was foretold
def trial(measured):
    return SimpleNamespace(measured=measured, champion="logistic")


def test_what_was_foretold_is_of_those_not_lost():
    held = pd.DataFrame({"customer_id": ["a", "b", "c"], "stage": ["loyal", "lost", "new"]})
    risks = {"logistic": np.array([0.1, 0.9, 0.3]), "trees": np.zeros(3)}
    origin = SimpleNamespace(
        day=ORIGIN,
        held=held,
        risks=risks,
        gone=np.array([True, True, False]),
        active=np.array([True, False, True]),
    )
    found = scorecard.predicted(trial(origin))
    assert found.to_numpy().tolist() == [["a", ORIGIN, 0.1, True], ["c", ORIGIN, 0.3, False]]
    schema.conform("foretold", found)
    nothing = scorecard.predicted(trial(None))
    assert list(nothing) == list(found)
    schema.conform("foretold", nothing)


# Who looks after whom
TYPES = {
    "customer_id": pa.string(),
    "day": pa.date32(),
    "kind": pa.string(),
    "score": pa.float64(),
    "closed": pa.timestamp("us"),
    "owner": pa.string(),
    "team": pa.string(),
}


def made(rows, columns):
    names = columns.split()
    return ibis.memtable(
        pa.table(
            {name: pa.array([row[n] for row in rows], TYPES[name]) for n, name in enumerate(names)}
        )
    )


def owned(*owners):
    """Records of customers 0, 1, … with these owners."""
    profiles = made([(str(n), owner) for n, owner in enumerate(owners)], "customer_id owner")
    return Records(profiles, profiles=profiles), pd.Series([str(n) for n in range(len(owners))])


def test_owners_are_shown_without_their_addresses_and_no_two_alike(monkeypatch):
    monkeypatch.delenv("CUSTOMER_MATRIX_KEY", raising=False)
    names = [
        "anna@a.example",
        "Anna@A.example ",
        "anna@b.example",
        " 王芳",
        None,
        "  ",
        "13812345678",
    ]
    found = scorecard.groups(*owned(*names))
    assert found.tolist() == [
        "anna 1",
        "anna 1",
        "anna 2",
        "王芳",
        scorecard.NOBODY,
        scorecard.NOBODY,
        "•••",
    ]
    assert found.index.tolist() == [str(n) for n in range(7)]


def test_customers_without_a_profile_have_no_owner_and_classes_stay_as_they_are():
    records, _ = owned("x")
    assert scorecard.groups(records, pd.Series(["0", "new"])).tolist() == ["x", scorecard.NOBODY]
    team = Records(
        records.transactions, profiles=made([("0", "North@home"), ("1", None)], "customer_id team")
    )
    assert scorecard.groups(team, pd.Series(["0", "1"]), "team").tolist() == [
        "north@home",
        "unknown",
    ]


def test_where_nobody_is_recorded_there_is_no_scorecard():
    bare = made([("0",)], "customer_id")
    for records in (owned(None, " ")[0], Records(bare), Records(bare, profiles=bare)):
        card = scorecard.scorecard(records, *company()[1:])
        assert card.empty
        schema.conform("scorecard", card)
        assert scorecard.verdicts(card, company()[4], 91) == [("no_owners", {})]


# The table
def company():
    """Records, customers, matrix, churn, held, and the day."""
    ids = list("abcdef")
    customers = pd.DataFrame(
        {"customer_id": ids, "orders": [5, 3, 1, 9, 2, 0], "window_orders": [4, 0, 1, 6, 2, 0]}
    )
    customers["first_order"] = pd.to_datetime(
        [ago(900), ago(800), ago(20), ago(365), ago(364), None]
    )
    matrix = pd.DataFrame(
        {
            "customer_id": ids,
            "tier": ["strategic", "ordinary", "ordinary", "strategic", "ordinary", "potential"],
        }
    )
    matrix["revenue"] = [100.0, 0, 10, 60, 20, 0]
    churn = pd.DataFrame(
        {
            "customer_id": ids[:5],
            "churn_risk": [0.2, 0.9, 0.4, 0.1, 0.5],
            "expected_loss": [20.0, 5, 4, 6, 10],
        }
    )
    churn["lost"] = [False, True, False, False, False]
    profiles = made(
        [*zip("abcde", ["x", "x", "x", "y", "y"], ["N", "N", "S", "S", None], strict=True)],
        "customer_id owner team",
    )
    calls = [
        ("a", ago(5), "x"),
        ("a", ago(5), "y"),
        ("a", ago(90), "x"),
        ("a", ago(91), "x"),
        ("d", ago(1), "z"),
        ("d", ago(2), None),
    ]
    closed = dt.datetime(2024, 6, 1)
    log = [
        *[
            ("a", ago(50), "ticket", None, None),
            ("a", ago(60), "ticket", None, closed),
            ("e", ago(9), "complaint", None, None),
        ],
        *[
            ("a", ago(7), "csat", 5, None),
            ("b", ago(7), "nps", 5, None),
            ("d", ago(400), "nps", 0, None),
        ],
    ]
    records = Records(
        profiles,
        made(calls, "customer_id day owner"),
        made(log, "customer_id day kind score closed"),
        profiles=profiles,
    )
    held = pd.DataFrame(
        {
            "customer_id": list("abde"),
            "day": ORIGIN,
            "risk": [0.2, 0.5, 0.1, 0.3],
            "left": [False, True, False, True],
        }
    )
    return records, customers, matrix, churn, held, AS_OF


def test_a_scorecard_by_hand():
    due = pd.DataFrame(
        {
            "customer_id": ["a", "b", "f", "d", "d"],
            "owner": "whoever",
            "overdue_days": [3, 0, 1, 0, 9],
        }
    )
    due["what"] = ["follow_up"] * 4 + ["birthday"]
    card = scorecard.scorecard(*company(), due=due).set_index("owner")
    assert card.index.tolist() == ["x", "y", scorecard.NOBODY]  # by revenue, nobody last
    by_hand = {
        "customers": [3, 2, 1],
        "strategic": [1, 1, 0],
        "new_customers": [1, 1, 0],  # on the 365th day before is too early
        "revenue": [110, 80, 0],
        "value_at_risk": [24, 16, np.nan],
        "orders_each": [5 / 3, 4, np.nan],
        "mean_risk": [0.3, 0.3, np.nan],
        "follow_ups": [2, 1, 0],
        "follow_ups_due": [2, 1, 1],
        "overdue": [1, 0, 1],
        "open_tickets": [1, 1, 0],
        "answers": [2, 0, 0],
        "satisfaction": [0.75, np.nan, np.nan],
        "measured": [2, 2, np.nan],
        "actual": [1, 1, np.nan],
        "foretold_left": [0.7, 0.4, np.nan],
    }
    for column, expected in by_hand.items():
        assert card[column].tolist() == pytest.approx(expected, nan_ok=True), column
    assert card.standing.tolist() == ["as_expected", "as_expected", "unmeasured"]
    all_history = scorecard.scorecard(*company(), window_days=0, due=due.drop(columns="what"))
    assert all_history.new_customers.tolist() == [3, 2, 0]
    assert all_history.follow_ups_due.tolist() == [2, 2, 1]
    schema.conform("scorecard", card.reset_index())


def test_the_same_by_any_column_of_the_profiles():
    records, *rest = company()
    card = scorecard.scorecard(records, *rest, by="team").set_index("team")
    assert card.customers.to_dict() == {"N": 2, "S": 2, "unknown": 2}
    assert card.revenue.to_dict() == {"N": 100, "S": 70, "unknown": 20}
    assert card.index[-1] == "unknown"
    assert card.actual.sum() == 2


@given(
    st.lists(st.sampled_from(["x", "y", "z@a.example", None]), min_size=6, max_size=6).filter(any)
)
@settings(max_examples=8)
def test_sums_over_owners_are_those_of_the_company(owners):
    records, customers, matrix, churn, held, as_of = company()
    profiles = made([*zip("abcdef", owners, strict=True)], "customer_id owner")
    mine = Records(profiles, records.interactions, records.feedback, profiles=profiles)
    card = scorecard.scorecard(mine, customers, matrix, churn, held, as_of)
    whole = {
        "customers": 6,
        "strategic": 2,
        "new_customers": 2,
        "revenue": 190,
        "value_at_risk": 40,
        "follow_ups": 3,
    }
    whole |= {"open_tickets": 2, "answers": 2, "measured": 4, "actual": 2, "foretold_left": 1.1}
    assert card[list(whole)].sum().to_dict() == pytest.approx(whole)
    assert "@" not in "".join(card.owner)


def test_nothing_after_the_day_changes_the_scorecard_and_frames_stay_as_they_were():
    records, *rest = company()
    frames = [frame.copy(deep=True) for frame in rest[:4]]
    before = scorecard.scorecard(records, *rest)
    for frame, kept in zip(rest[:4], frames, strict=True):
        pd.testing.assert_frame_equal(frame, kept)
    calls = made([("d", ago(-1), "x")], "customer_id day owner")
    late = dt.datetime.combine(ago(-1), dt.time(0))
    log = made(
        [("d", ago(-1), "ticket", None, None), ("e", ago(-2), "nps", 0, None)],
        "customer_id day kind score closed",
    )
    rows = [tuple(row.values()) for row in records.feedback.to_pyarrow().to_pylist()]
    closed = made([(*row[:4], row[4] or late) for row in rows], "customer_id day kind score closed")
    later = Records(
        records.transactions,
        records.interactions.union(calls),
        closed.union(log),
        profiles=records.profiles,
    )
    pd.testing.assert_frame_equal(scorecard.scorecard(later, *rest), before)


def test_without_contacts_feedback_money_and_forecasts_those_columns_are_unknown():
    records, customers, matrix, churn, held, as_of = company()
    bare = Records(records.transactions, profiles=records.profiles)
    no_money = matrix.assign(revenue=np.nan), churn.assign(expected_loss=np.nan)
    card = scorecard.scorecard(bare, customers, *no_money, held.head(0), as_of)
    unknown = [
        "follow_ups",
        "open_tickets",
        "answers",
        "satisfaction",
        "follow_ups_due",
        "overdue",
        "revenue",
        "value_at_risk",
    ]
    assert card[[*unknown, "measured", "ratio", "p"]].isna().all(axis=None)
    assert card.owner.tolist() == ["x", "y", scorecard.NOBODY]  # by customers
    assert card.standing.unique().tolist() == ["unmeasured"]
    schema.conform("scorecard", card)
    assert scorecard.verdicts(card, held, 91) == [("owners_unmeasured", {"owners": 3})]


# What is said and shown
def carded(held, owners):
    table = scorecard.retention(held, owners).reset_index()
    return table.assign(customers=table.measured, standing=scorecard.standing(table))


def test_who_differs_is_named_with_numbers_and_where_nobody_does_the_furthest():
    say = Language("en")
    others = [(name, np.full(100, 0.3), 30) for name in "abc"]
    worse, worse_owners = of(("Li", np.full(100, 0.3), 65), ("Bo", np.full(100, 0.3), 8), *others)
    card = carded(worse, worse_owners)
    assert card.set_index("owner").standing[["Li", "Bo", "a"]].tolist() == [
        "more_left",
        "fewer_left",
        "as_expected",
    ]
    said = scorecard.verdicts(card, worse, 91)
    assert [(key, values.get("owner")) for key, values in said[:3]] == [
        ("owners_level", None),
        ("owner_more_left", "Li"),
        ("owner_fewer_left", "Bo"),
    ]
    text = say(f"findings.{said[1][0]}", **said[1][1])
    assert text.startswith("Li: 65 of 100 customers left in the 91 days from Mar 31, 2024")
    alike, owners = of(*others, ("Li", np.full(100, 0.3), 33))
    last, furthest = scorecard.verdicts(carded(alike, owners), alike, 91)[-1]
    assert (last, furthest["owner"], furthest["actual"]) == ("owners_alike", "Li", 33)
    for key, values in [
        *said,
        (last, furthest),
        ("owners_unmeasured", {"owners": 3}),
        ("no_owners", {}),
    ]:
        assert not say.unknown(f"findings.{key}", values)
        assert "{" not in say(f"findings.{key}", **values)


def test_every_standing_and_nobody_has_a_word():
    words = Language("en").catalogue["words"]
    assert {
        "more_left",
        "fewer_left",
        "as_expected",
        "unmeasured",
        scorecard.NOBODY,
    } <= words.keys()


def test_the_picture_shows_those_at_both_ends_and_leaves_out_the_unmeasured():
    held, owners = drawn(np.random.default_rng(8), 40, 20)
    card = carded(held, owners)
    ax = charts.owner_retention(card, Language("en"), charts.Figure().add_subplot())
    names = [label.get_text().split(" ")[0] for label in ax.get_yticklabels()]
    ranked = card.sort_values("shrunk", ascending=False, kind="stable").owner.tolist()
    assert names == ranked[:12] + ranked[-12:]
    nothing = carded(*of(("a", [0.2], 1)))
    charts.svg(charts.owner_retention, nothing, Language("en"))
