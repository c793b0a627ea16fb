"""What customers say: every figure by hand or against another implementation."""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from analysis.report import charts
from analysis.report.text import say
from analysis.strategy import feedback

AS_OF = dt.date(2024, 6, 30)  # the last day of a month
TYPES = {
    "customer_id": pa.string(),
    "day": pa.date32(),
    "moment": pa.timestamp("us"),
    "kind": pa.string(),
    "score": pa.float64(),
    "closed": pa.timestamp("us"),
    "comment": pa.string(),
    "channel": pa.string(),
    "owner": pa.string(),
    "contact": pa.string(),
    "phone": pa.string(),
}
LOG = ("customer_id", "day", "kind", "score", "closed", "comment")
MATRIX = pd.DataFrame(
    {"customer_id": list("abcdef"), "tier": ["strategic"] * 4 + ["ordinary"] * 2}
).assign(revenue=[10.0, 40.0, 30.0, 20.0, 5.0, np.nan])


def ago(days):
    return AS_OF - dt.timedelta(days=days)


def made(rows, columns):
    """A table of records; rows may leave the last columns empty."""
    whole = [(*row, *[None] * (len(columns) - len(row))) for row in rows]
    return ibis.memtable(
        pa.table(
            {
                name: pa.array([row[n] for row in whole], TYPES[name])
                for n, name in enumerate(columns)
            }
        )
    )


def said(*rows):
    """Feedback: customer_id, day, kind, score, closed, comment."""
    return made(rows, LOG)


def ticket(customer, opened, closed=None, kind="ticket", comment=None):
    """A ticket opened so many days ago, and closed so many days ago."""
    return (
        customer,
        ago(opened),
        kind,
        None,
        None if closed is None else dt.datetime.combine(ago(closed), dt.time(17)),
        comment,
    )


def told(log, as_of=AS_OF):
    return [say(text, **values) for text, values in feedback.findings(log, as_of)]


# Scores
def test_what_customers_are_by_their_last_answer_within_a_year():
    asked = said(
        ("a", ago(400), "nps", 10.0),  # too long ago
        ("b", ago(200), "nps", 9.0),
        ("c", ago(200), "nps", 9.0),
        ("c", ago(0), "nps", 8.0),
        ("d", ago(364), "nps", 6.0),
        ("e", ago(3), "csat", 1.0),
        ("f", ago(3), "nps", 11.0),  # no answer
    )
    found = feedback.recommends(asked, AS_OF)
    assert found.to_dict() == {"b": "promoter", "c": "passive", "d": "detractor"}
    before = feedback.recommends(asked, ago(100))
    assert before.to_dict() == {"a": "promoter", "b": "promoter", "c": "promoter", "d": "detractor"}
    assert feedback.recommends(None, AS_OF).empty


def test_a_net_promoter_score_by_hand():
    found = feedback.points("nps", pd.Series([10, 9, 9, 8, 7, 6, 0]))
    assert [found[name] for name in ("answers", "good", "bad")] == [7, 3, 2]
    assert found["score"] == pytest.approx(100 / 7)
    assert -100 <= found["low"] < found["score"] < found["high"] <= 100


def test_satisfaction_by_hand():
    found = feedback.points("csat", pd.Series([5, 4, 4, 3, 1, 2]))
    assert [found[name] for name in ("answers", "good", "bad")] == [6, 3, 2]
    assert (found["score"], found["mean"]) == (50, pytest.approx(19 / 6))
    expected = binomtest(3, 6).proportion_ci(0.95, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx(
        (100 * expected.low, 100 * expected.high), abs=2e-3
    )


def test_no_answer_is_no_score():
    for kind in feedback.LIMITS:
        found = feedback.points(kind, pd.Series([], dtype=float))
        assert (found["answers"], found["good"], found["bad"]) == (0, 0, 0)
        assert np.isnan([found[name] for name in ("mean", "score", "low", "high")]).all()


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 60])
def test_scores_hold_the_truth_as_often_as_they_say(n):
    """Answers drawn with known shares: (0.5 - 0.2) and, of satisfaction, 0.8."""
    random, held = np.random.default_rng(4), []
    for _ in range(600):
        found = feedback.points("nps", pd.Series(random.choice([10, 8, 3], n, p=[0.5, 0.3, 0.2])))
        share = feedback.points("csat", pd.Series(random.choice([5, 4, 2], n, p=[0.5, 0.3, 0.2])))
        held.append((found["low"] <= 30 <= found["high"], share["low"] <= 80 <= share["high"]))
    assert (np.mean(held, axis=0) > 0.925).all()
    assert (np.mean(held, axis=0) < 0.985).all()


# One answer of a customer
def test_the_last_answer_counts_and_of_a_day_the_lowest():
    log = said(
        ("a", ago(50), "nps", 2),
        ("a", ago(10), "NPS", 9),
        ("b", ago(10), "nps", 9),
        ("b", ago(10), "nps", 4),
        ("b", ago(10), "csat", 5),
        ("b", ago(5), "nps", None),
        ("b", ago(4), "nps", 12),
        ("c", ago(365), "nps", 10),
        ("d", ago(0), "survey", 10),
    )
    found = feedback.last_answers(log, [AS_OF, ago(365)])
    assert found[["customer_id", "kind", "score"]].to_numpy().tolist() == [
        ["b", "csat", 5],
        ["a", "nps", 9],
        ["b", "nps", 4],
    ]
    assert found.day.tolist() == [pd.Timestamp(ago(10))] * 3


@given(st.lists(st.integers(1, 300), max_size=30), st.integers(0, 10))
@settings(max_examples=3)
def test_who_is_asked_often_weighs_no_more(days, score):
    log = [("a", ago(0), "nps", 10), ("b", ago(0), "nps", 3), ("c", ago(1), "nps", 8)]
    chatty = [("a", ago(day), "nps", score) for day in days]
    assert told(said(*log, *chatty))[0] == told(said(*log))[0]


# By tier
def test_satisfaction_by_tier_by_hand():
    log = said(
        ("a", ago(3), "nps", 10),
        ("b", ago(3), "nps", 9),
        ("c", ago(3), "nps", 0),
        ("e", ago(3), "csat", 4),
        ("x", ago(3), "csat", 1),
    )
    table = feedback.by_tier(log, MATRIX, AS_OF)
    assert list(table) == [
        "kind",
        "tier",
        "customers",
        "answers",
        "response",
        "score",
        "low",
        "high",
    ]
    rows = {(row.kind, row.tier): row for row in table.itertuples()}
    found = [f"{kind} {tier}" for kind, tier in rows]
    assert found == [
        "csat strategic",
        "csat ordinary",
        "csat unknown",
        "nps strategic",
        "nps ordinary",
    ]
    strategic = rows["nps", "strategic"]
    assert (strategic.customers, strategic.answers, strategic.response) == (4, 3, 0.75)
    assert strategic.score == pytest.approx(100 / 3)
    assert (rows["csat", "ordinary"].response, rows["csat", "ordinary"].score) == (0.5, 100)
    assert rows["csat", "strategic"].answers == 0
    assert np.isnan(rows["csat", "strategic"].score)
    assert np.isnan(rows["csat", "unknown"].response)
    assert table.answers.sum() == 5


NOBODY = pd.DataFrame({"customer_id": ["z"], "first_order": [pd.NaT]})


# Over time
def test_periods_are_months_of_the_calendar_where_the_day_ends_one():
    assert feedback.period_ends(dt.date(2024, 3, 31), 3, 1) == [
        dt.date(2024, m, d) for m, d in ((3, 31), (2, 29), (1, 31))
    ] + [dt.date(2023, 12, 31)]
    assert feedback.period_ends(dt.date(2024, 2, 29), 6, 3) == [
        dt.date(2024, 2, 29),
        dt.date(2023, 11, 30),
        dt.date(2023, 8, 31),
    ]
    assert feedback.period_ends(dt.date(2024, 3, 15), 2, 1) == [
        dt.date(2024, m, 15) for m in (3, 2, 1)
    ]


def monthly(each, kind="csat", score=5):
    return [(f"{n}", ago(30 * month + 2), kind, score) for month in range(12) for n in range(each)]


def test_months_where_they_have_enough_answers_and_quarters_where_not():
    log = said(*monthly(feedback.ENOUGH), *monthly(feedback.ENOUGH - 1, "nps", 10))
    table = feedback.over_time(log, AS_OF, NOBODY)
    months, quarters = table[table.kind == "csat"], table[table.kind == "nps"]
    assert months.months.unique().tolist() == [1]
    assert len(months) == 12
    assert quarters.months.unique().tolist() == [3]
    assert quarters.period_end.tolist() == [
        pd.Timestamp(day) for day in ("2023-09-30", "2023-12-31", "2024-03-31", "2024-06-30")
    ]
    assert (
        quarters.answers.tolist() == [feedback.ENOUGH - 1] * 4
    )  # who answered in each month counts once in a quarter
    assert quarters.score.tolist() == [100] * 4
    assert table.response.isna().all()


def test_a_period_without_answers_is_a_gap_and_response_is_of_those_who_had_ordered():
    log = said(
        *[(f"{n}", ago(2), "csat", n % 2 * 4 + 1) for n in range(40)], ("new", ago(100), "csat", 5)
    )
    first = [pd.Timestamp(ago(500))] * 80 + [pd.Timestamp(ago(20)), pd.NaT]
    known = pd.DataFrame(
        {"customer_id": [*map(str, range(80)), "new", "prospect"], "first_order": first}
    )
    table = feedback.over_time(log, AS_OF, known, 6)
    assert table.answers.tolist() == [1, 40]  # quarters
    assert table.score.tolist() == [100, 50]
    assert table.response.tolist() == [0, 40 / 81]
    assert feedback.over_time(log, ago(200), known, 6).empty
    old = feedback.over_time(
        said(("a", ago(150), "nps", 9)), AS_OF, known, 4
    )  # two quarters reach back further than four months
    assert old.answers.tolist() == [1, 0]


def test_a_trend_is_made_of_both_intervals_and_said_as_what_it_is():
    before = [(f"{n}", ago(500), "nps", 10 if n < 60 else 0) for n in range(100)]
    log = said(*before, *[(f"{n}", ago(5), "nps", 10 if n < 90 else 0) for n in range(100)])
    found, now, then = (
        feedback.trend(log, AS_OF),
        feedback.points("nps", pd.Series([10] * 90 + [0] * 10)),
        feedback.points("nps", pd.Series([10] * 60 + [0] * 40)),
    )
    assert (found["score"], found["before"], found["difference"]) == (80, 20, pytest.approx(60))
    assert found["low"] == pytest.approx(60 - np.hypot(80 - now["low"], then["high"] - 20))
    assert found["high"] == pytest.approx(60 + np.hypot(now["high"] - 80, 20 - then["low"]))
    assert told(log)[0] == (
        "Of 100 customers who answered in the 12 months to Jun 30, 2024, 90 would recommend us and"
        f" 10 would not: a net promoter score of 80 points (95 % sure: {now['low']:.0f} to"
        f" {now['high']:.0f})."
    )
    assert "it rose from 20 to 80 points, by 60" in told(log)[1]
    swapped = said(
        *[(c, ago(505 - (AS_OF - day).days), kind, score) for c, day, kind, score in log_rows(log)]
    )
    assert "it went from 80 to 20 points, by -60" in told(swapped)[1]
    same = said(*[(*row[:3], 10) for row in log_rows(log)])
    assert "(100 points) nothing is proven: the difference is 0" in told(same)[1]


def plain(table):
    return [tuple(row.values()) for row in table.to_pyarrow().to_pylist()]


def log_rows(log):
    return plain(log.select("customer_id", "day", "kind", "score"))


@pytest.mark.slow
def test_trends_of_the_same_satisfaction_are_rarely_called_one():
    random, called = np.random.default_rng(6), 0
    for _ in range(30):
        scores = random.choice([10, 8, 3], 160, p=[0.5, 0.3, 0.2])
        log = said(
            *[(f"{n}", ago(5 if n < 80 else 500), "nps", score) for n, score in enumerate(scores)]
        )
        found = feedback.trend(log, AS_OF)
        called += not found["low"] <= 0 <= found["high"]
    assert called <= 5


# What is said and shown
def test_satisfaction_and_its_absence_are_said():
    rows = [(f"{n}", ago(3), "csat", 4 if n < 3 else 2) for n in range(4)]
    [text] = told(said(*rows))
    assert "Of 4 customers" in text and "3 are satisfied (4 or 5 of 5): 75.0" in text
    assert "on average they give 3.50" in text
    nothing = "No customer gave a score in the 12 months to Jun 30, 2024."
    for log in (
        said(),
        made([("a", ago(1), 5)], ("customer_id", "day", "score")),
        said(("a", ago(-5), "nps", 3), ("a", ago(3), "nps", 99), ("a", ago(3), None, 5)),
    ):
        assert told(log) == [nothing]
        assert feedback.by_tier(log, MATRIX, AS_OF).empty
        assert feedback.over_time(log, AS_OF, NOBODY).empty


def test_pictures_of_little_are_drawn():
    log = said(("a", ago(3), "nps", 10))
    assert charts.nps_over_time(feedback.over_time(log, AS_OF, NOBODY)).has_data()
    assert charts.satisfaction_by_tier(feedback.by_tier(log, MATRIX, AS_OF)).has_data()
