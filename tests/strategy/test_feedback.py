"""What customers say: every figure by hand or against another implementation, and nothing of a
later day in any of them.
"""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times
from scipy.stats import binomtest

from analysis.models.history import Records
from analysis.report import charts
from analysis.report.text import Language
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


# Scores
def test_a_net_promoter_score_by_hand():
    found = feedback.nps([10, 9, 9, 8, 7, 6, 0, np.nan, 11, -1])
    assert {name: found[name] for name in ("answers", "promoters", "detractors")} == {
        "answers": 7,
        "promoters": 3,
        "detractors": 2,
    }
    assert found["score"] == pytest.approx(100 / 7)
    assert -100 <= found["low"] < found["score"] < found["high"] <= 100


def test_satisfaction_by_hand():
    found = feedback.csat(pd.Series([5, 4, 4, 3, 1, 0, 6, np.nan]))
    assert (found["answers"], found["satisfied"], found["share"], found["mean"]) == (5, 3, 0.6, 3.4)
    expected = binomtest(3, 5).proportion_ci(0.95, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), abs=2e-5)


def test_no_answer_is_no_score():
    for found, counts in ((feedback.nps([]), 3), (feedback.csat([np.nan, 9]), 2)):
        assert list(found.values())[:counts] == [0] * counts
        assert np.isnan(list(found.values())[counts:]).all()


@pytest.mark.parametrize("n", [8, 60])
def test_scores_hold_the_truth_as_often_as_they_say(n):
    """Answers drawn with known shares: (0.5 - 0.2) and, of satisfaction, 0.8."""
    random, held = np.random.default_rng(4), []
    for _ in range(600):
        found = feedback.nps(random.choice([10, 8, 3], n, p=[0.5, 0.3, 0.2]))
        share = feedback.csat(random.choice([5, 4, 2], n, p=[0.5, 0.3, 0.2]))
        held.append((found["low"] <= 30 <= found["high"], share["low"] <= 0.8 <= share["high"]))
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
    found = feedback.of_days(log, AS_OF, 365)
    assert found[["customer_id", "kind", "score"]].to_numpy().tolist() == [
        ["b", "csat", 5],
        ["a", "nps", 9],
        ["b", "nps", 4],
    ]
    assert found.day.tolist() == [pd.Timestamp(ago(10))] * 3


@given(st.lists(st.integers(1, 300), max_size=30), st.integers(0, 10))
@settings(max_examples=6)
def test_who_is_asked_often_weighs_no_more(days, score):
    log = [("a", ago(0), "nps", 10), ("b", ago(0), "nps", 3), ("c", ago(1), "nps", 8)]
    chatty = [("a", ago(day), "nps", score) for day in days]
    assert (
        feedback.verdicts(said(*log, *chatty), AS_OF)[0] == feedback.verdicts(said(*log), AS_OF)[0]
    )


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
    table = feedback.over_time(log, AS_OF)
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
    table = feedback.over_time(log, AS_OF, 6, known)
    assert table.answers.tolist() == [1, 40]  # quarters
    assert table.score.tolist() == [100, 50]
    assert table.response.tolist() == [0, 40 / 81]
    assert feedback.over_time(log, ago(200), 6).empty
    old = feedback.over_time(
        said(("a", ago(150), "nps", 9)), AS_OF, 4
    )  # two quarters reach back further than four months
    assert old.answers.tolist() == [1, 0]


def test_a_trend_is_made_of_both_intervals_and_said_as_what_it_is():
    before = [(f"{n}", ago(500), "nps", 10 if n < 50 else 0) for n in range(100)]
    log = said(*before, *[(f"{n}", ago(5), "nps", 10 if n < 90 else 0) for n in range(100)])
    found, now, then = (
        feedback.trend(log, AS_OF),
        feedback.nps([10] * 90 + [0] * 10),
        feedback.nps([10] * 50 + [0] * 50),
    )
    assert (found["score"], found["before"], found["difference"]) == (80, 0, 80)
    assert found["low"] == pytest.approx(80 - np.hypot(80 - now["low"], then["high"]))
    assert found["high"] == pytest.approx(80 + np.hypot(now["high"] - 80, -then["low"]))
    assert [key for key, _ in feedback.verdicts(log, AS_OF)] == ["nps", "nps_rose"]
    swapped = said(
        *[(c, ago(505 - (AS_OF - day).days), kind, score) for c, day, kind, score in log_rows(log)]
    )
    assert feedback.verdicts(swapped, AS_OF)[1][0] == "nps_fell"
    assert (
        feedback.verdicts(said(*[(*row[:3], 10) for row in log_rows(log)]), AS_OF)[1][0]
        == "nps_steady"
    )


def plain(table):
    return [tuple(row.values()) for row in table.to_pyarrow().to_pylist()]


def log_rows(log):
    return plain(log.select("customer_id", "day", "kind", "score"))


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


# Complaints
def test_complaints_by_hand():
    """Four within the year: one closed after the day, one never, two closed; one older is open
    still.
    """
    log = said(
        *[ticket("a", 30, 20), ticket("b", 40, 40), ticket("c", 5, -3, "complaint")],
        *[ticket("d", 364), ticket("e", 365), ticket("f", 400, 390)],
        ("a", ago(3), "nps", 1, None, None),
    )
    found = feedback.complaints(log, AS_OF)
    assert (found["opened"], found["closed"], found["still_open"], found["older"]) == (4, 2, 2, 1)
    assert np.isnan(found["median_days"])  # of four nothing can be said
    assert feedback.complaint_verdict(log, AS_OF)[0] == "complaints_few"


def waits(seed, count, mean):
    """Tickets that take exponential days, opened over 120 days: as records, and as days with
    whether they had ended.
    """
    random = np.random.default_rng(seed)
    opened = random.integers(0, 120, count)
    lasts = np.ceil(random.exponential(mean, count)).astype(int)
    rows = [
        ticket(str(n), int(o), int(o - d))
        for n, (o, d) in enumerate(zip(opened, lasts, strict=True))
    ]
    return said(*rows), np.minimum(lasts, opened), lasts <= opened


def test_the_median_is_lifelines_with_its_interval():
    log, days, ended = waits(1, 300, 30)
    theirs = KaplanMeierFitter().fit(days, ended)
    found = feedback.complaints(log, AS_OF)
    low, high = median_survival_times(theirs.confidence_interval_).to_numpy()[0]
    assert found["median_days"] == theirs.median_survival_time_
    assert (found["low"], found["high"]) == (low, high)
    assert feedback.complaint_verdict(log, AS_OF)[0] == "complaints"


def test_open_complaints_count_and_those_closed_alone_would_look_too_quick():
    log, days, ended = waits(2, 3_000, 60)
    truth = np.ceil(60 * np.log(2))
    assert feedback.complaints(log, AS_OF)["median_days"] == pytest.approx(truth, abs=4)
    assert np.median(days[ended]) < truth - 10


def test_a_ticket_closed_on_its_day_lasted_none_and_one_closed_before_is_a_mistake():
    log = said(
        *[ticket(f"{n}", 20, 20) for n in range(40)], *[ticket(f"x{n}", 20, 25) for n in range(60)]
    )
    found = feedback.complaints(log, AS_OF)
    assert (found["closed"], found["median_days"]) == (100, 0)


def test_where_closing_is_not_recorded_nobody_says_what_is_open():
    rows = [("a", ago(3), "ticket"), ("b", ago(9), "complaint")]
    for log in (
        made(rows, ("customer_id", "day", "kind")),
        said(*rows),
        said(*rows, ticket("a", 7, -9)),
    ):
        found = feedback.complaints(log, AS_OF)
        assert found["opened"] >= 2
        assert np.isnan(found["still_open"])
        assert feedback.complaint_verdict(log, AS_OF)[0] == "complaints_opened"
        assert feedback.complaint_months(log, AS_OF)[["closed", "still_open"]].isna().all(None)
        assert feedback.unhappy(Records(log, feedback=log), MATRIX, AS_OF).empty


TICKETS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(-40, 500), st.none() | st.integers(-60, 480)).map(
        lambda t: ticket(t[0], t[1], None if t[2] is None else min(t[1], t[2]))
    ),
    min_size=1,
    max_size=25,
)


@given(TICKETS, st.sampled_from([AS_OF, dt.date(2024, 6, 12)]))
@settings(max_examples=8)
def test_what_is_open_is_what_was_open_and_came_less_what_was_closed(rows, as_of):
    log = said(*rows, ticket("z", 450, 449))  # so that closing is recorded
    table = feedback.complaint_months(log, as_of)
    if len(table):
        assert len(table) == 12
        assert table.still_open.diff()[1:].tolist() == (table.opened - table.closed)[1:].tolist()
        found = feedback.complaints(log, as_of, 10_000)
        assert table.still_open.iloc[-1] == found["still_open"] + found["older"]


def test_months_of_complaints_by_hand():
    log = said(ticket("a", 0), ticket("b", 29, 0), ticket("c", 30, 25), ticket("d", 400, 10))
    last = feedback.complaint_months(log, AS_OF).iloc[-2:]
    assert last.period_end.tolist() == [pd.Timestamp("2024-05-31"), pd.Timestamp(AS_OF)]
    assert last[["opened", "closed", "still_open"]].to_numpy().tolist() == [[1, 0, 2], [2, 3, 1]]


# Unhappy customers
def company():
    log = said(
        ("a", ago(300), "nps", 6, None, "late"),
        ("a", ago(20), "csat", 5, None, "  \n "),
        ("b", ago(30), "nps", 3, None, "never again"),
        ("b", ago(10), "nps", 7, None, "better"),
        ticket("b", 9, comment="call Zhang Wei, 138 1234 5678\nor z@b.example <b>now</b>"),
        ticket("b", 11, kind="complaint"),
        ("c", ago(8), "csat", 2, None, None),
        ("c", ago(9), "nps", 0, None, "x" * 300),
        ticket("c", 90, 80),
        ("d", ago(3), "nps", 9, None, "fine"),
        ("e", ago(3), "nps", 0, None, "not strategic"),
    )
    calls = [
        ("a", ago(40), "phone", "x"),
        ("a", ago(2), "web", None),
        ("b", ago(5), "visit", "x"),
        ("b", ago(5), "chat", "x"),
    ]
    contacts = made(calls, ("customer_id", "day", "channel", "owner"))
    people = [("a", "sales01@firm.example", None), ("b", "Li Na", "Zhang Wei"), ("c", None, None)]
    return Records(log, contacts, log, profiles=made(people, ("customer_id", "owner", "contact")))


def test_unhappy_strategic_customers_by_hand():
    found = feedback.unhappy(company(), MATRIX, AS_OF)
    assert list(found) == feedback.UNHAPPY
    assert found.customer_id.tolist() == ["b", "c", "a"]  # by revenue
    found = found.set_index("customer_id")
    assert found.kind.to_dict() == {"b": "ticket", "c": "csat", "a": "nps"}
    assert found.score[["a", "c"]].tolist() == [6, 2]
    assert np.isnan(found.score["b"])  # the last score was 7
    assert found.day.tolist() == [pd.Timestamp(ago(n)) for n in (9, 8, 300)]
    assert found.open_tickets.to_dict() == {"b": 2, "c": 0, "a": 0}
    assert found.last_contact.to_dict() == {
        "b": pd.Timestamp(ago(5)),
        "c": pd.NaT,
        "a": pd.Timestamp(ago(40)),
    }
    assert found.channel[["a", "b"]].tolist() == ["phone", "chat"]
    assert found.owner[["a", "b"]].tolist() == ["sales01", "Li Na"]
    assert found.owner.isna()["c"]
    assert found.comment["a"] == "late"


def test_comments_are_text_without_contacts_and_persons_and_not_long():
    found = feedback.unhappy(company(), MATRIX, AS_OF).set_index("customer_id").comment
    assert found["b"] == "call •••, ••• or ••• <b>now</b>"  # the page escapes it
    assert found["c"] == "x" * 199 + "…"


def test_the_sentence_of_the_unhappy_counts_them():
    found = feedback.unhappy(company(), MATRIX, AS_OF)
    key, values = feedback.unhappy_verdict(found, 4, AS_OF, 30)
    assert (key, values["unhappy"], values["scores"], values["waiting"], values["silent"]) == (
        "unhappy",
        3,
        2,
        1,
        2,
    )
    assert feedback.unhappy_verdict(found.head(0), 4, AS_OF, 30)[0] == "no_unhappy"


def test_without_names_of_staff_visits_to_the_web_site_are_the_customers_own():
    calls = made(
        [("a", ago(40), "phone"), ("a", ago(2), "Web"), ("b", ago(1), None)],
        ("customer_id", "day", "channel"),
    )
    found = feedback.last_contacts(calls, ["b", "a", "c"], AS_OF)
    assert found.last_contact.tolist() == [pd.Timestamp(ago(1)), pd.Timestamp(ago(40)), pd.NaT]
    bare = feedback.last_contacts(made([("a", ago(4))], ("customer_id", "day")), ["a"], AS_OF)
    assert bare.last_contact.tolist() == [pd.Timestamp(ago(4))]


def test_of_contacts_on_a_day_the_clock_tells_the_last():
    at = [dt.datetime.combine(ago(4), dt.time(hour)) for hour in (9, 16, 12)]
    rows = [
        ("a", ago(4), at[0], "chat"),
        ("a", ago(4), at[1], "visit"),
        ("a", ago(4), at[2], "call"),
    ]
    assert feedback.last_contacts(
        made(rows, ("customer_id", "day", "moment", "channel")), ["a"], AS_OF
    ).channel.tolist() == ["visit"]


# Later days, and too little
LATER = [
    ("a", ago(-1), "nps", 0, None, "later"), ("b", ago(-9), "csat", 1, None, "later"), ("a", ago(-200), "nps", 10, None, None),
    ticket("d", -1, -1), ticket("c", -20, -20, "complaint"),
]  # fmt: skip


def everything(records, as_of=AS_OF):
    log = records.feedback
    return [
        feedback.by_tier(log, MATRIX, as_of),
        feedback.over_time(log, as_of),
        feedback.complaint_months(log, as_of),
        feedback.unhappy(records, MATRIX, as_of),
        pd.Series(feedback.complaints(log, as_of)),
        pd.DataFrame(feedback.verdicts(log, as_of)).astype(str),
    ]


def test_nothing_after_the_day_changes_anything():
    """Answers, tickets and contacts of later days are added, and what was open then is closed
    later.
    """
    now = company()
    rows = plain(now.feedback)
    still = [row[2] in ("ticket", "complaint") and row[4] is None for row in rows]
    closed = [
        (*row[:4], dt.datetime.combine(ago(-1), dt.time(0)), row[5]) if open_ else row
        for row, open_ in zip(rows, still, strict=True)
    ]
    calls = plain(now.interactions)
    calls = made([*calls, ("c", ago(-1), "visit", "x")], ("customer_id", "day", "channel", "owner"))
    later = Records(now.transactions, calls, said(*closed, *LATER), profiles=now.profiles)
    for before, after in zip(everything(now), everything(later), strict=True):
        (
            pd.testing.assert_series_equal
            if isinstance(before, pd.Series)
            else pd.testing.assert_frame_equal
        )(before, after)


def test_the_order_of_rows_does_not_matter_and_the_matrix_is_left_as_it_was():
    now, before = company(), MATRIX.copy(deep=True)
    turned = Records(
        now.transactions,
        now.interactions,
        now.feedback.order_by(ibis.desc("comment")),
        profiles=now.profiles,
    )
    for one, other in zip(everything(now), everything(turned), strict=True):
        assert one.equals(other)
    pd.testing.assert_frame_equal(MATRIX, before)


@pytest.mark.parametrize(
    "log",
    [
        said(),
        made([("a", ago(1))], ("customer_id", "day")),
        made([("a", ago(1), 5)], ("customer_id", "day", "score")),
        made([("a", ago(1), None)], ("customer_id", "day", "kind")),
        said(("a", ago(-5), "nps", 3)),
        said(("a", ago(3), "nps", 99), ("a", ago(3), None, 5)),
    ],
)
def test_what_was_not_said_is_said_to_be_missing(log):
    tiers, times, months, unhappy, found, _ = everything(Records(log, feedback=log))
    assert tiers.empty and times.empty and months.empty and unhappy.empty
    assert found.opened == 0
    assert [key for key, _ in feedback.verdicts(log, AS_OF)] == ["no_scores"]
    assert feedback.complaint_verdict(log, AS_OF)[0] == "no_complaints"


def test_a_company_without_feedback_has_nobody_unhappy():
    found = feedback.unhappy(Records(said()), MATRIX, AS_OF)
    assert list(found) == feedback.UNHAPPY
    assert feedback.unhappy_verdict(found, 4, AS_OF, 365)[0] == "no_unhappy"


def test_records_of_feedback_alone_are_enough():
    log = company().feedback
    found = feedback.unhappy(Records(log, feedback=log), MATRIX, AS_OF)
    assert found.customer_id.tolist() == ["b", "c", "a"]
    assert found[["last_contact", "channel", "owner"]].isna().all(None)


# What is said and shown
def test_every_sentence_gets_its_values():
    say, records = Language("en"), company()
    log, days = records.feedback, [(f"{n}", ago(500), "nps", 9) for n in range(40)]
    told = [
        *feedback.verdicts(log, AS_OF),
        *feedback.verdicts(said(*log_rows(log), *days), AS_OF),
        ("no_scores", {"days": 1, "as_of": AS_OF}),
    ]
    told += [
        feedback.complaint_verdict(waits(1, 300, 30)[0], AS_OF),
        feedback.complaint_verdict(log, AS_OF),
    ]
    told += [feedback.unhappy_verdict(feedback.unhappy(records, MATRIX, AS_OF), 4, AS_OF, 365)]
    for key, values in told:
        assert not say.unknown(f"findings.{key}", values), key
        assert "{" not in say(f"findings.{key}", **values)


def test_pictures_of_little_are_drawn():
    log = said(("a", ago(3), "nps", 10))
    charts.svg(charts.nps_over_time, feedback.over_time(log, AS_OF), Language("en"))
    charts.svg(charts.satisfaction_by_tier, feedback.by_tier(log, MATRIX, AS_OF), Language("en"))
