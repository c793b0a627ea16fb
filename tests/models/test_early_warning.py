import datetime as dt
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from scipy.stats import binomtest

from analysis import schema
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Contact
from analysis.models import churn_features, early_warning, reasons
from analysis.models.churn_models import Risk
from analysis.models.early_warning import BANDS, EDGES, WITHOUT_MONEY
from analysis.models.history import Records
from analysis.models.leaving import Past

NOTHING = float("nan")
START, AS_OF = dt.date(2024, 1, 1), dt.date(2024, 12, 31)
RISKS = st.one_of(st.floats(0, 1), st.sampled_from([0.4, 0.6, NOTHING]))
ORDERS = {"path": "orders.csv", "columns": {"customer_id": "id", "date": "day", "amount": "eur"}}
WAYS = {
    "message": {"cost": 2, "success": 0.5},
    "call": {"cost": 30, "success": 0.5},
}  # of 100 at stake: limits 0.04 and 0.6


def of(**more):
    return Dataset.model_validate({"tables": {"transactions": ORDERS}, "horizon_days": 100} | more)


def people(**facts):
    """Customers as from churn.describe, as far as needed: each brings 100 within a horizon unless
    told otherwise.
    """
    count = max((len(column) for column in facts.values() if isinstance(column, list)), default=1)
    usual = {
        "customer_id": [f"c{n}" for n in range(count)],
        "stage": "loyal",
        "age_days": 499,
        "window_revenue": 365.0,
    }
    return pd.DataFrame(usual | facts)


def scored(now, before, settings=None, **facts):
    known = people(**facts) if facts else people(customer_id=[f"c{n}" for n in range(len(now))])
    earlier = pd.Series(before, known.customer_id[: len(before)], dtype=float)
    return early_warning.scored(
        known, np.array(now, float), earlier, settings or of(retention=WAYS)
    )


# What is at stake
@pytest.mark.parametrize(
    ("facts", "more", "stake"),
    [
        ({}, {}, 100),  # 365 within 365 days
        (
            {"age_days": 182, "window_revenue": 366.0},
            {},
            200,
        ),  # 366 within the 183 days since the first order
        (
            {"age_days": 6, "window_revenue": 40.0},
            {},
            40,
        ),  # a week old: 40 within a horizon, and not 40 a week
        ({"age_days": 99, "window_revenue": 40.0}, {}, 40),
        ({"age_days": 199, "window_revenue": 40.0}, {}, 20),
        ({"window_revenue": -5.0}, {}, 0),
        ({"window_revenue": NOTHING}, {}, NOTHING),
        ({"window_revenue": 1000.0}, {"value_window_days": 0}, 200),  # all 500 days
        (
            {"window_revenue": 60.0},
            {"value_window_days": 30},
            200,
        ),  # 60 within 30 days, for 100 days
        ({"window_revenue": 60.0}, {"value_window_days": 60, "horizon_days": 90}, 90),
        ({}, {"margin": 0.4}, 40),
        ({"window_profit": 73.0}, {"margin": 0.4}, 20),  # a profit needs no margin
        ({"window_profit": NOTHING}, {"margin": 0.4}, 40),
        ({"window_profit": -1.0}, {}, 0),
    ],
)
def test_stakes_by_hand(facts, more, stake):
    assert early_warning.stakes(people(**facts), of(**more)).tolist() == [
        pytest.approx(stake, nan_ok=True)
    ]


def test_profit_counts_where_it_is_known_and_revenue_where_not():
    known = people(window_profit=[73.0, NOTHING], age_days=[499, 499])
    assert early_warning.stakes(known, of()).tolist() == [pytest.approx(20), pytest.approx(20)]


# Bands
def test_a_contact_costs_what_is_said_or_a_share_of_what_the_average_brings():
    assert early_warning.cost_of(Contact(cost=7, share=0.5, success=0.1), 100) == 7
    assert early_warning.cost_of(Contact(cost=0, share=0.5, success=0.1), 100) == 0
    assert early_warning.cost_of(Contact(share=0.25, success=0.1), 100) == 25


@pytest.mark.parametrize(
    ("message", "call", "limits"),
    [
        ({"cost": 2, "success": 0.5}, {"cost": 30, "success": 0.5}, (0.04, 0.6)),  # 2 / 50, 30 / 50
        (
            {"cost": 30, "success": 0.5},
            {"cost": 2, "success": 0.5},
            (0.04, 0.6),
        ),  # whichever is the cheaper
        (
            {"share": 0.02, "success": 0.1},
            {"share": 0.04, "success": 0.05},
            (0.2, 0.8),
        ),  # 2 / 10, 4 / 5
        ({"cost": 0, "success": 0.5}, {"cost": 90, "success": 0.5}, EDGES),  # always, never
    ],
)
def test_bands_begin_where_a_message_and_a_call_pay_for_the_average(message, call, limits):
    settings = of(retention={"message": message, "call": call})
    assert early_warning.limits(100.0, settings) == pytest.approx(limits)


def test_shares_give_the_same_bands_whatever_the_average():
    poor, rich = (early_warning.limits(stake, of()) for stake in (1.0, 1e6))
    assert poor == pytest.approx(rich)
    assert 0 < poor[0] < poor[1] < 1


@pytest.mark.parametrize("at_stake", [[NOTHING, NOTHING], [], [0.0, 0.0]])
def test_without_money_the_bands_are_fixed(at_stake):
    assert (
        early_warning.limits(pd.Series(at_stake, dtype=float).mean(), of(retention=WAYS))
        == WITHOUT_MONEY
    )


def test_a_limit_belongs_to_the_band_above_and_an_unknown_risk_to_none():
    risk = np.array([0, np.nextafter(0.4, 0), 0.4, np.nextafter(0.6, 0), 0.6, 1, NOTHING])
    assert early_warning.band(risk, (0.4, 0.6)).tolist() == [
        "low",
        "low",
        "medium",
        "medium",
        "high",
        "high",
        "unknown",
    ]
    assert early_warning.band(np.zeros(0), (0.4, 0.6)).tolist() == []


@tried(max_examples=50)
@given(st.lists(RISKS))
def test_a_higher_risk_is_never_in_a_lower_band(risks):
    known = sorted(risk for risk in risks if not np.isnan(risk))
    found = [BANDS.index(name) for name in early_warning.band(np.array(known), (0.4, 0.6))]
    assert all(one <= other for one, other in pairwise(found))


# Warnings
def test_bands_are_set_by_those_not_lost_and_the_expected_loss_is_risk_times_stake():
    """The two not lost bring 100 on average, so that a call pays from 0.6 on; with the lost one,
    who brings nothing, from 0.9.
    """
    table = scored(
        [0.03, 0.5, 0.7],
        [],
        stage=["new", "silent", "lost"],
        window_revenue=[365.0, 365.0, 0.0],
        customer_id=["a", "b", "c"],
    )
    assert table.risk_band.tolist() == ["low", "medium", "high"]
    assert table.value_at_stake.tolist() == pytest.approx([100, 100, 0])
    assert table.expected_loss.tolist() == pytest.approx([3, 50, 0])
    assert table.lost.tolist() == [False, False, True]
    assert early_warning.average_stake(table) == pytest.approx(100)


@pytest.mark.parametrize(
    ("before", "now", "risen"),
    [
        (0.55, 0.65, True),  # into the band above, by a tenth
        (0.59, 0.61, False),  # into it, but by chance
        (0.05, 0.20, False),  # much in the same band, but not so much
        (0.125, 0.375, True),  # a jump in the same band
        (0.65, 0.55, False),  # into the band below
        (0.02, 0.05, False),
        (0.90, 0.30, False),
        (NOTHING, 0.95, False),  # who is new has not risen
        (0.55, NOTHING, False),
    ],
)
def test_risen_is_by_a_clear_rise_only(before, now, risen):
    table = scored([now], [before])
    assert table.risen.tolist() == [risen]
    assert scored([now], [before], stage=["lost"]).risen.tolist() == [False]


def test_least_rise_and_jump_are_enough_by_themselves(monkeypatch):
    monkeypatch.setattr(early_warning, "LEAST_RISE", 0.0625)
    monkeypatch.setattr(early_warning, "JUMP", 0.25)
    assert scored([0.625, 0.5], [0.5625, 0.25]).risen.tolist() == [True, True]  # exactly so much
    assert scored(
        [0.625, 0.5], [np.nextafter(0.5625, 1), np.nextafter(0.25, 1)]
    ).risen.tolist() == [False, False]


def test_the_risk_before_goes_to_its_customer_and_who_was_not_there_has_none():
    known = people(customer_id=["b", "a", "new"])
    table = early_warning.scored(
        known,
        np.array([0.5, 0.5, 0.5]),
        pd.Series({"a": 0.1, "b": 0.2, "gone": 0.3}),
        of(retention=WAYS),
    )
    assert table.customer_id.tolist() == ["b", "a", "new"]
    np.testing.assert_array_equal(table.risk_before, [0.2, 0.1, NOTHING])
    assert table.risen.tolist() == [True, True, False]


@tried(max_examples=60)
@given(
    st.lists(
        st.tuples(RISKS, RISKS, st.sampled_from(["new", "loyal", "lost"]), st.floats(-10, 1e5)),
        min_size=1,
        max_size=9,
    )
)
def test_everybody_has_a_row_and_who_has_risen_and_is_not_lost(rows):
    now, before, stages, revenue = map(list, zip(*rows, strict=True))
    ids = [f"c{n}" for n in range(len(rows))]
    table = scored(now, before, customer_id=ids, stage=stages, window_revenue=revenue)
    assert table.customer_id.tolist() == ids
    rise = (table.churn_risk - table.risk_before)[table.risen]
    assert (rise >= early_warning.LEAST_RISE).all() and not table.lost[table.risen].any()
    big = (table.churn_risk - table.risk_before >= early_warning.JUMP) & ~table.lost
    assert table.risen[big].all()
    assert (table.value_at_stake >= 0).all()
    loss = table.expected_loss.dropna()
    assert ((loss >= 0) & (loss <= table.value_at_stake[loss.index])).all()
    schema.conform("churn", table.assign(reasons="", opening=""))


def test_warned_are_those_with_most_to_lose_for_whom_a_call_pays():
    """A call costs 30 and keeps half of the leavers, so it pays from an expected loss of 60 on; two
    can be called. The lost are not, and who has risen is not for that alone.
    """
    settings = of(retention=WAYS | {"calls": 2})
    facts = {"window_revenue": [365.0, 730.0, 365.0, 3650.0, 365.0, 365.0]}
    facts |= {"stage": ["loyal", "loyal", "loyal", "lost", "loyal", "new"]}
    table = scored([0.61, 0.5, 0.59, 0.9, 0.7, 0.7], [NOTHING, NOTHING, 0.1], settings, **facts)
    assert table.expected_loss.tolist() == pytest.approx([61, 100, 59, 900, 70, 70])
    assert table.risen.tolist() == [False, False, True, False, False, False]
    assert early_warning.warnings(table).customer_id.tolist() == ["c1", "c4"]  # c5 is as c4
    few = scored([0.61, 0.5], [], of(retention=WAYS), window_revenue=[365.0, 365.0])
    assert few.warned.tolist() == [True, False]
    poor = {"window_revenue": [NOTHING] * 3}
    assert scored([0.9, 0.7, 0.85], [], settings, **poor).warned.tolist() == [True, False, True]


def test_without_a_model_all_is_unknown_and_nobody_is_warned_of():
    known = people(customer_id=["a", "b"], stage=["lost", "new"])
    unknown = np.full(len(known), np.nan)
    table = early_warning.scored(
        known, unknown, early_warning.before(None, None, AS_OF, 30), of()
    ).assign(reasons="", opening="")
    assert table.risk_band.tolist() == ["unknown", "unknown"]
    assert not table.warned.any() and early_warning.warnings(table).empty
    assert schema.conform("churn", table).num_rows == 2


def test_a_company_without_customers_has_an_empty_table():
    table = scored([], [], customer_id=[]).assign(reasons="", opening="")
    assert schema.conform("churn", table).num_rows == 0
    assert early_warning.warnings(table).empty


# The risk before
class Remembering:
    """A model that notes what it is asked, and tells the risk by the days since the last order."""

    def __init__(self):
        self.asked = []

    def predict_proba(self, told):
        self.asked.append(told)
        gone = 1 - 1 / told.recency.add(2)
        return np.column_stack([1 - gone, gone])


def generated(customers=60, seed=3):
    """A log of customers who come at random and then order at random."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(customers):
        days = random.integers(0, 360) + np.append(
            0, random.exponential(25, 12).astype(int).cumsum()
        )
        lines += [
            (f"{number:03d}", START + dt.timedelta(days=int(day)), 10) for day in days if day <= 365
        ]
    return lines


def test_the_risk_before_is_the_same_models_and_knows_nothing_of_later_lines(ledger):
    """Thirty days before the last of 2024 is the first of December."""
    log, then = generated(), dt.date(2024, 12, 1)
    known_then = [line for line in log if line[1] <= then]
    assert len(known_then) < len(log) and {line[0] for line in known_then} < {
        line[0] for line in log
    }
    model = Remembering()
    whole, cut = (
        early_warning.before(Past(Records(ledger(lines)), of()), Risk(model), AS_OF, 30)
        for lines in (log, known_then)
    )
    pd.testing.assert_series_equal(whole, cut)
    assert set(whole.index) == {line[0] for line in known_then}
    pd.testing.assert_frame_equal(*model.asked)
    last = pd.DataFrame(known_then, columns=["id", "day", "amount"]).groupby("id").day.max()
    silent = pd.Series([(then - day).days for day in last], last.index)
    np.testing.assert_allclose(whole[last.index], 1 - 1 / (np.log1p(silent) + 2))


def test_the_risk_before_is_what_today_would_have_told_on_that_day(ledger):
    past = Past(Records(ledger(generated())), of())
    model = Risk(Remembering(), 0.7, 0.2)
    then = past.known(AS_OF - dt.timedelta(days=45))
    before = early_warning.before(past, model, AS_OF, 45)
    np.testing.assert_array_equal(
        before[then.customer_id], model.predict(churn_features.features(then))
    )


def test_before_the_log_begins_nobody_had_a_risk(ledger):
    before = early_warning.before(
        Past(Records(ledger(generated())), of()), Risk(Remembering()), AS_OF, 4_000
    )
    assert before.empty
    assert scored([0.9], before).risen.tolist() == [False]


def earlier(ledger, settings, risk, known=None):
    """earlier_risk of the generated log, `known` of today or all of it, and the table of today."""
    past = Past(Records(ledger(generated())), settings)
    now = past.known(AS_OF) if known is None else known(past.known(AS_OF))
    told = churn_features.features(now)
    risks = risk.predict(told) if risk else np.full(len(now), NOTHING)
    table = early_warning.scored(now, risks, pd.Series(dtype=float), settings)
    usual = told.median()
    trial = SimpleNamespace(today=SimpleNamespace(day=AS_OF), everyone=past, risk=risk, usual=usual)
    effects = reasons.effects(risk, told, usual)
    return past, table, early_warning.earlier(trial, table, effects, settings)


def test_the_earlier_risk_is_that_before_in_the_bands_of_today(ledger):
    settings, risk = of(retention=WAYS), Risk(Remembering())
    past, table, found = earlier(ledger, settings, risk)
    then = dt.date(2024, 9, 22)  # a hundred days before
    assert {day.date() for day in found.day} == {then}
    before = early_warning.before(past, risk, AS_OF, 100)
    assert found.set_index("customer_id").churn_risk.to_dict() == before.to_dict()
    edges = early_warning.limits(early_warning.average_stake(table), settings)
    assert found.risk_band.tolist() == early_warning.band(found.churn_risk, edges).tolist()
    assert schema.conform("earlier_risk", found).num_rows == len(before) > 0


def test_what_raised_a_risk_is_told_of_who_is_in_a_higher_band(ledger):
    """The model goes by the days since the last order alone; high begins at a risk of 0.8."""
    ways = {"message": {"share": 0.02, "success": 0.1}, "call": {"share": 0.4, "success": 0.5}}
    _, table, found = earlier(ledger, of(retention=ways), Risk(Remembering()))
    now = found.customer_id.map(table.set_index("customer_id").churn_risk)
    higher = (found.churn_risk < 0.8) & (now >= 0.8)
    assert 0 < higher.sum() < len(found)
    assert (found.rose_by == np.where(higher, "silence", "")).all()


def test_there_is_no_earlier_risk_without_a_model_or_before_the_log(ledger):
    _, _, nothing = earlier(ledger, of(), None)
    _, _, too_early = earlier(ledger, of(horizon_days=700), Risk(Remembering()))
    for found in (nothing, too_early):
        assert schema.conform("earlier_risk", found).num_rows == 0


def test_who_is_no_customer_any_more_has_an_earlier_risk_and_no_reason(ledger):
    settings, risk = of(retention=WAYS), Risk(Remembering())
    _, _, found = earlier(ledger, settings, risk)
    _, some, fewer = earlier(ledger, settings, risk, lambda known: known.iloc[::2])
    assert fewer.customer_id.tolist() == found.customer_id.tolist()
    assert (fewer.rose_by[~fewer.customer_id.isin(some.customer_id)] == "").all()


# How warnings and calls would have done
def trial(risk, gone, **facts):
    """A trial with one measured origin, whose champion told this risk."""
    held = people(**facts)
    origin = SimpleNamespace(
        day=AS_OF,
        held=held,
        gone=np.array(gone),
        risks={"m": np.array(risk)},
        calibrated={"m": "the champion then"},
    )
    origin.active = (held.stage != "lost").to_numpy()
    return SimpleNamespace(measured=origin, champion="m", past="past")


def test_proof_by_hand(monkeypatch):
    """Of six, a, b, c and d are worth a call, and three of them left; e was lost already, and of f
    too little is at stake. Risen had a, c and f: 100 and 1 of theirs left, of the three with most
    to lose (d, c, a) 300 and 100.
    """
    asked = []

    def earlier(*told):
        asked.append(told)
        return pd.Series({"a": 0.1, "b": 0.6, "c": 0.3, "d": 0.7, "e": 0.1, "f": 0.1})

    monkeypatch.setattr(early_warning, "before", earlier)
    found = trial(
        [0.7, 0.62, 0.8, 0.8, 0.9, 0.8],
        [True, True, False, True, True, True],
        customer_id=list("abcdef"),
        stage=["loyal", "new", "silent", "repeat", "lost", "loyal"],
        window_revenue=[365.0, 365, 365, 1095, 365, 3.65],
    )
    proof = early_warning.proof(found, 30, of(retention=WAYS))
    interval = binomtest(3, 4).proportion_ci(method="wilson")
    assert asked == [("past", "the champion then", AS_OF, 30)]
    assert proof == {
        "origin": AS_OF,
        "warned": 4,
        "left": 0.75,
        "low": pytest.approx(interval.low, rel=1e-4),
        "high": pytest.approx(interval.high, rel=1e-4),
        "base": 4 / 5,  # of a, b, c, d and f
        "said": pytest.approx((0.7 + 0.62 + 0.8 + 0.8) / 4),
        "lost": pytest.approx((100 + 100 + 300) / 4),
        "risen": 3,
        "risen_lost": pytest.approx((100 + 1) / 3),
        "ranked_lost": pytest.approx((100 + 300) / 3),
    }


def test_what_cannot_be_proved_is_unknown(monkeypatch):
    monkeypatch.setattr(early_warning, "before", lambda *_: pd.Series({"c0": 0.9}))
    nobody = early_warning.proof(trial([0.01], [True]), 30, of())
    assert (nobody["origin"], nobody["warned"]) == (AS_OF, 0)
    never = early_warning.proof(SimpleNamespace(measured=None), 30, of())
    assert (never["origin"], never["warned"]) == (None, 0)
    for told in (nobody, never):
        assert np.isnan([told[name] for name in ("left", "low", "high", "said", "lost")]).all()


def test_profit_of_calls_by_hand():
    """Stakes 100, 200 and 400; a call costs 10 and keeps half of the leavers. By the risks the
    gains would be 0.9 x 50 - 10 = 35, 0.3 x 100 - 10 = 20 and 0.04 x 200 - 10 = -2; with what came
    40, -10 and -10. The lost one is not called.
    """
    found = trial(
        [0.9, 0.3, 0.99, 0.04],
        [True, False, True, False],
        customer_id=list("abcd"),
        stage=["loyal", "new", "lost", "loyal"],
        window_revenue=[365.0, 730.0, 3650.0, 1460.0],
    )
    curve = early_warning.profit(
        found, of(margin=1, retention={"call": {"cost": 10, "success": 0.5}})
    )
    assert curve.contacted.tolist() == [0, 1, 2, 3]
    assert curve.expected.tolist() == pytest.approx([0, 35, 55, 53])
    assert curve.profit.tolist() == pytest.approx([0, 40, 30, 20])
    assert early_warning.best(curve) == {
        "contacted": 2,
        "profit": pytest.approx(30),
        "customers": 3,
        "all": pytest.approx(20),
    }


def test_a_call_that_costs_a_share_costs_that_of_the_average_of_those_not_lost():
    """The average of the two is 150, a call costs 15: gains 0.5 x 100 - 15 and 0.5 x 200 - 15 with
    all who left.
    """
    found = trial(
        [1.0, 1.0, 0.5],
        [True] * 3,
        stage=["new", "new", "lost"],
        window_revenue=[365.0, 730.0, 0.0],
    )
    curve = early_warning.profit(
        found, of(margin=1, retention={"call": {"share": 0.1, "success": 0.5}})
    )
    assert curve.profit.tolist() == pytest.approx([0, 85, 120])


def test_where_no_call_pays_the_list_ends_before_it_begins():
    found = trial([0.5, 0.5], [True, True], stage=["new", "new"])
    best = early_warning.best(
        early_warning.profit(found, of(margin=1, retention={"call": {"cost": 60, "success": 0.5}}))
    )
    assert best == {"contacted": 0, "profit": 0, "customers": 2, "all": pytest.approx(-20)}


@pytest.mark.parametrize(
    ("found", "margin"),
    [
        (SimpleNamespace(measured=None), 1),
        (trial([0.5, 0.5], [True, False], window_revenue=[NOTHING, NOTHING]), 1),
        (trial([0.5], [True], stage=["lost"]), 1),
        (trial([0.5, 0.5], [True, False], window_revenue=[365.0, 730.0]), None),
    ],
    ids=["no origin", "no money", "all lost", "no margin"],
)
def test_without_an_origin_money_or_a_margin_there_is_no_profit(found, margin):
    curve = early_warning.profit(found, of(margin=margin))
    assert curve.empty
    assert np.isnan(list(early_warning.best(curve).values())).all()
