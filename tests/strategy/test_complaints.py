"""Complaints until closed and who needs a talk, by hand and against lifelines; nothing of a later
day in any of them.
"""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from lifelines.utils import median_survival_times

from analysis.models.history import Records
from analysis.report.text import say
from analysis.strategy import complaints, feedback
from tests.strategy.test_feedback import AS_OF, MATRIX, NOBODY, ago, made, plain, said, ticket


def sentence(log):
    text, values = complaints.finding(log, AS_OF)
    return say(text, **values)


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
    found = complaints.until_closed(log, AS_OF)
    assert (found["opened"], found["closed"], found["still_open"], found["older"]) == (4, 2, 2, 1)
    assert np.isnan(found["median_days"])  # of four nothing can be said
    assert "Jun 30, 2024: 4. 2 of them are still open, and 1 older ones" in sentence(log)


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
    found = complaints.until_closed(log, AS_OF)
    low, high = median_survival_times(theirs.confidence_interval_).to_numpy()[0]
    assert found["median_days"] == theirs.median_survival_time_
    assert (found["low"], found["high"]) == (low, high)
    assert "300 complaints and tickets" in sentence(log) and "Half are closed after" in sentence(
        log
    )


def test_open_complaints_count_and_those_closed_alone_would_look_too_quick():
    log, days, ended = waits(2, 3_000, 60)
    truth = np.ceil(60 * np.log(2))
    assert complaints.until_closed(log, AS_OF)["median_days"] == pytest.approx(truth, abs=4)
    assert np.median(days[ended]) < truth - 10


def test_a_ticket_closed_on_its_day_lasted_none_and_one_closed_before_is_a_mistake():
    log = said(
        *[ticket(f"{n}", 20, 20) for n in range(40)], *[ticket(f"x{n}", 20, 25) for n in range(60)]
    )
    found = complaints.until_closed(log, AS_OF)
    assert (found["closed"], found["median_days"]) == (100, 0)


def test_where_closing_is_not_recorded_nobody_says_what_is_open():
    rows = [("a", ago(3), "ticket"), ("b", ago(9), "complaint")]
    for log in (
        made(rows, ("customer_id", "day", "kind")),
        said(*rows),
        said(*rows, ticket("a", 7, -9)),
    ):
        found = complaints.until_closed(log, AS_OF)
        assert found["opened"] >= 2
        assert np.isnan(found["still_open"])
        assert sentence(log).endswith("When they are closed is not recorded.")
        assert complaints.by_month(log, AS_OF)[["closed", "still_open"]].isna().all(None)
        assert complaints.unhappy(Records(log, feedback=log), MATRIX, AS_OF).empty


TICKETS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(-40, 500), st.none() | st.integers(-60, 480)).map(
        lambda t: ticket(t[0], t[1], None if t[2] is None else min(t[1], t[2]))
    ),
    min_size=1,
    max_size=25,
)


@given(TICKETS, st.sampled_from([AS_OF, dt.date(2024, 6, 12)]))
@settings(max_examples=5)
def test_what_is_open_is_what_was_open_and_came_less_what_was_closed(rows, as_of):
    log = said(*rows, ticket("z", 450, 449))  # so that closing is recorded
    table = complaints.by_month(log, as_of)
    if len(table):
        assert len(table) == 12
        assert table.still_open.diff()[1:].tolist() == (table.opened - table.closed)[1:].tolist()
        found = complaints.until_closed(log, as_of)
        assert table.still_open.iloc[-1] == found["still_open"] + found["older"]


def test_months_of_complaints_by_hand():
    log = said(ticket("a", 0), ticket("b", 29, 0), ticket("c", 30, 25), ticket("d", 400, 10))
    log = log.union(said(ticket("e", 200, 150)))
    table = complaints.by_month(log, AS_OF)
    early = table.set_index("period_end").loc[["2023-12-31", "2024-01-31", "2024-02-29"]]
    assert early.to_numpy().tolist() == [[1, 0, 2], [0, 0, 2], [0, 1, 1]]
    last = table.iloc[-2:]
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
    found = complaints.unhappy(company(), MATRIX, AS_OF)
    assert list(found) == complaints.UNHAPPY
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
    found = complaints.unhappy(company(), MATRIX, AS_OF).set_index("customer_id").comment
    assert found["b"] == "call •••, ••• or ••• <b>now</b>"  # the page escapes it
    assert found["c"] == "x" * 199 + "…"


def test_the_sentence_of_the_unhappy_counts_them():
    found = complaints.unhappy(company(), MATRIX, AS_OF)
    text, values = complaints.unhappy_finding(found, 4, AS_OF)
    assert say(text, **values) == (
        "Of 4 strategic customers, 3 need a talk: 2 gave a bad score last in the 12 months to Jun"
        " 30, 2024, the others have an open complaint or ticket. 1 of them had no contact in that"
        " time."
    )
    later = (complaints.unhappy_finding(found, 4, ago(-n))[1]["silent"] for n in (324, 325))
    assert [*later] == [1, 2]  # the contact of 40 days ago is then a year old
    assert complaints.unhappy_finding(found.head(0), 4, AS_OF)[0].startswith("None of")


def test_of_contacts_on_a_day_the_clock_tells_the_last():
    at = [dt.datetime.combine(ago(4), dt.time(hour)) for hour in (9, 16, 12)]
    rows = [
        ("a", ago(4), at[0], "chat"),
        ("a", ago(4), at[1], "visit"),
        ("a", ago(4), at[2], "call"),
    ]
    calls = made(rows, ("customer_id", "day", "moment", "channel"))
    records = Records(calls, calls, said(ticket("a", 5), ticket("b", 5, 4)))
    [row] = complaints.unhappy(records, MATRIX, AS_OF).to_dict("records")
    assert (row["channel"], row["last_contact"]) == ("visit", pd.Timestamp(ago(4)))
    bare = Records(calls, calls.select("customer_id", "day"), records.feedback)
    [row] = complaints.unhappy(bare, MATRIX, AS_OF).to_dict("records")
    assert row["last_contact"] == pd.Timestamp(ago(4)) and pd.isna(row["channel"])


# Later days, and too little
LATER = [
    ("a", ago(-1), "nps", 0, None, "later"),
    ("b", ago(-9), "csat", 1, None, "later"),
    ("a", ago(-200), "nps", 10, None, None),
    ticket("d", -1, -1),
    ticket("c", -20, -20, "complaint"),
]


def everything(records, as_of=AS_OF):
    log = records.feedback
    return [
        feedback.by_tier(log, MATRIX, as_of),
        feedback.over_time(log, as_of, NOBODY),
        complaints.by_month(log, as_of),
        complaints.unhappy(records, MATRIX, as_of),
        pd.Series(complaints.until_closed(log, as_of)),
        pd.DataFrame(feedback.findings(log, as_of)).astype(str),
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


def test_what_was_not_said_is_said_to_be_missing():
    for log in (
        said(),
        made([("a", ago(1))], ("customer_id", "day")),
        made([("a", ago(1), None)], ("customer_id", "day", "kind")),
        said(("a", ago(-5), "nps", 3)),
    ):
        tiers, times, months, unhappy, found, _ = everything(Records(log, feedback=log))
        assert tiers.empty and times.empty and months.empty and unhappy.empty
        assert found.opened == 0
        assert sentence(log).startswith("No complaint or ticket was opened")


def test_a_company_without_feedback_has_nobody_unhappy():
    found = complaints.unhappy(Records(said()), MATRIX, AS_OF)
    assert list(found) == complaints.UNHAPPY
    assert complaints.unhappy_finding(found, 4, AS_OF)[0].startswith("None of")


def test_records_of_feedback_alone_are_enough():
    log = company().feedback
    found = complaints.unhappy(Records(log, feedback=log), MATRIX, AS_OF)
    assert found.customer_id.tolist() == ["b", "c", "a"]
    assert found[["last_contact", "channel", "owner"]].isna().all(None)
