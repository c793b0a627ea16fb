"""The scorecard of account owners by hand, and sums that agree."""

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import schema
from analysis.models.churn_models import CHURN_MODELS
from analysis.models.history import Records
from analysis.report import charts
from analysis.report.text import say
from analysis.strategy import owners
from analysis.strategy.retention import NOBODY, retention
from tests.strategy.test_retention import ORIGIN, drawn, of

AS_OF = dt.date(2024, 6, 30)


def ago(days):
    return AS_OF - dt.timedelta(days=days)


def told(card, held):
    return [say(text, **values) for text, values in owners.findings(card, held, 91)]


# What was foretold
def trial(measured):
    return SimpleNamespace(measured=measured, champion="logistic")


def test_what_was_foretold_is_of_those_not_lost():
    held = pd.DataFrame({"customer_id": ["a", "b", "c"], "stage": ["loyal", "lost", "new"]})
    risks = {"logistic": np.zeros(3), "expected_rule": np.array([0.1, 0.9, 0.3])}
    origin = SimpleNamespace(
        day=ORIGIN,
        held=held,
        risks=risks,
        gone=np.array([True, True, False]),
        active=np.array([True, False, True]),
    )
    assert owners.BY_ORDERS in CHURN_MODELS
    found = owners.predicted(trial(origin))
    assert found.to_numpy().tolist() == [["a", ORIGIN, 0.1, True], ["c", ORIGIN, 0.3, False]]
    schema.conform("foretold", found)
    del risks["expected_rule"]
    assert owners.predicted(trial(origin)).risk.tolist() == [0, 0]
    nothing = owners.predicted(trial(None))
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
    found = owners.looking_after(*owned(*names))
    assert found.tolist() == [
        "anna 1",
        "anna 1",
        "anna 2",
        "王芳",
        NOBODY,
        NOBODY,
        "•••",
    ]
    assert found.index.tolist() == [str(n) for n in range(7)]


def test_customers_without_a_profile_have_no_owner():
    records, _ = owned("x")
    assert owners.looking_after(records, pd.Series(["0", "new"])).tolist() == ["x", NOBODY]


def test_on_an_earlier_day_it_is_the_owner_who_last_spoke_to_the_customer():
    """Of whom nobody spoke to, or only somebody who owns no account, it is the owner of today."""
    records, ids = owned("Ann", "Ann", "Bo", "Bo")
    day = dt.date(2024, 3, 31)
    talks = [
        ("0", day - dt.timedelta(days=9), "Ann"),
        ("0", day, " Bo"),
        ("0", day + dt.timedelta(days=1), "Ann"),
        ("1", day, "the call centre"),
        ("2", day, None),
    ]
    records = replace(records, interactions=made(talks, "customer_id day owner"))
    assert owners.looking_after(records, ids, day).tolist() == ["Bo", "Ann", "Bo", "Bo"]
    assert owners.looking_after(records, ids).tolist() == ["Ann", "Ann", "Bo", "Bo"]


def test_where_nobody_is_recorded_there_is_no_scorecard():
    bare = made([("0",)], "customer_id")
    for records in (owned(None, " ")[0], Records(bare), Records(bare, profiles=bare)):
        card = owners.scorecard(records, *company()[1:])
        assert card.empty
        schema.conform("scorecard", card)
        assert told(card, company()[4])[0].startswith("No profile records who looks after")


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
    matrix["churn_risk"] = [0.2, 0.9, 0.4, 0.1, 0.5, np.nan]
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
    card = owners.scorecard(*company(), due=due).set_index("owner")
    assert card.index.tolist() == ["x", "y", NOBODY]  # by revenue, nobody last
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
    all_history = owners.scorecard(*company(), window_days=0, due=due.assign(what="follow_up"))
    assert all_history.new_customers.tolist() == [3, 2, 0]
    assert all_history.follow_ups_due.tolist() == [2, 2, 1]
    schema.conform("scorecard", card.reset_index())


@given(
    st.lists(st.sampled_from(["x", "y", "z@a.example", None]), min_size=6, max_size=6).filter(any)
)
@settings(max_examples=3)
def test_sums_over_owners_are_those_of_the_company(names):
    records, customers, matrix, churn, held, as_of = company()
    profiles = made([*zip("abcdef", names, strict=True)], "customer_id owner")
    mine = Records(profiles, records.interactions, records.feedback, profiles=profiles)
    card = owners.scorecard(mine, customers, matrix, churn, held, as_of)
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
    before = owners.scorecard(records, *rest)
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
    pd.testing.assert_frame_equal(owners.scorecard(later, *rest), before)


def test_without_contacts_feedback_money_and_forecasts_those_columns_are_unknown():
    records, customers, matrix, churn, held, as_of = company()
    bare = Records(records.transactions, profiles=records.profiles)
    no_money = matrix.assign(revenue=np.nan), churn.assign(expected_loss=np.nan)
    card = owners.scorecard(bare, customers, *no_money, held.head(0), as_of)
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
    assert card.owner.tolist() == ["x", "y", NOBODY]  # by customers
    assert card.standing.unique().tolist() == ["unmeasured"]
    schema.conform("scorecard", card)
    assert told(card, held)[0].startswith("Whether 3 account owners keep")


# What is said and shown
def carded(held, groups):
    table = retention(held, groups).reset_index()
    return table.assign(customers=table.measured, standing=owners.standing(table))


def test_who_differs_is_named_with_numbers_and_where_nobody_does_the_furthest():
    others = [(name, np.full(100, 0.3), 30) for name in "abc"]
    worse, groups = of(("Li", np.full(100, 0.3), 65), ("Bo", np.full(100, 0.3), 8), *others)
    card = carded(worse, groups)
    standing = card.set_index("owner").standing
    assert standing[["Li", "Bo", "a"]].tolist() == ["more_left", "fewer_left", "as_expected"]
    assert set(standing) | {"unmeasured", NOBODY} <= set(schema.LABELS)
    level, more, fewer = told(card, worse)
    assert level.startswith("Of 500 customers on Mar 31, 2024, 163 left in the 91 days after it")
    assert more.startswith("Li: 65 of 100 customers left in the 91 days from Mar 31, 2024")
    assert "with 5 compared" in more
    assert fewer.startswith("Bo kept more than expected: 8 of 100 customers left")
    alike, groups = of(*others, ("Li", np.full(100, 0.3), 33))
    _, furthest = told(carded(alike, groups), alike)
    assert "The furthest from it is Li: 33 of 100 left where 31 were expected" in furthest


def test_the_picture_shows_those_at_both_ends_and_leaves_out_the_unmeasured():
    card = carded(*drawn(np.random.default_rng(8), 40, 20))
    ax = charts.owner_retention(card)
    names = [label.get_text().split(" ")[0] for label in ax.get_yticklabels()]
    ranked = card.sort_values("shrunk", ascending=False, kind="stable").owner.tolist()
    assert names == ranked[:12] + ranked[-12:]
    charts.owner_retention(carded(*of(("a", [0.2], 1))))
