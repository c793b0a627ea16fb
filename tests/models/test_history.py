"""What records say of customers at a day: every column by hand, and nothing of a later day in any
of them.
"""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers
from analysis.intake import cleaning, dataset
from analysis.models import history
from analysis.models.history import Records

AS_OF = dt.date(2024, 6, 30)
TRAILING = (28, 91)
PLAIN = {"usual_pause", "recent_pause", "pause_deviation", "returns"}  # what any log tells
MONEY = pa.decimal128(38, 12)
TYPES = {
    "transactions": {
        "day": pa.date32(),
        "amount": MONEY,
        "quantity": pa.float64(),
        "category": pa.string(),
        "product": pa.string(),
    },
    "interactions": {"day": pa.date32(), "channel": pa.string(), "owner": pa.string()},
    "feedback": {
        "day": pa.date32(),
        "kind": pa.string(),
        "score": pa.float64(),
        "closed": pa.timestamp("us"),
    },
    "campaigns": {
        "day": pa.date32(),
        "arm": pa.string(),
        "end": pa.date32(),
        "responded": pa.bool_(),
    },
    "profiles": {"region": pa.string(), "city": pa.string(), "consent": pa.bool_()},
}


def ago(days):
    """A day so long before the day of the picture."""
    return AS_OF - dt.timedelta(days=days)


def made(name, columns, rows):
    """One of the tables of Records: customer_id and the named columns."""
    types = {"customer_id": pa.string()} | {
        column: TYPES[name][column] for column in columns.split()
    }
    values = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    arrays = {
        c: pa.array(list(v), kind) for (c, kind), v in zip(types.items(), values, strict=True)
    }
    return ibis.memtable(pa.table(arrays))


def bought(*lines, columns="day amount"):
    money = columns.split().index("amount") + 1
    return made(
        "transactions",
        columns,
        [(*line[:money], Decimal(str(line[money])), *line[money + 1 :]) for line in lines],
    )


def at(records, as_of=AS_OF):
    return history.on_days(records, [as_of], TRAILING)[as_of].set_index("customer_id")


ONE_ORDER = bought(("a", ago(10), 5))  # a log beside which other records are looked at


# Rhythm
def test_pauses_by_hand():
    """Pauses of 30, 10, 20 and 40 days: mean 25, mean square 750, so a deviation of the root of
    125; the last three: 70 / 3.
    """
    days = [105, 75, 65, 45, 5]
    log = bought(
        *(("a", ago(n), 10) for n in days),
        ("b", ago(3), 10),
        ("c", ago(20), 10),
        ("c", ago(13), 10),
    )
    found = at(Records(log))[["usual_pause", "pause_deviation", "recent_pause"]]
    assert found.loc["a"].tolist() == pytest.approx([25, 125**0.5, 70 / 3])
    assert found.loc["b"].isna().all()  # one order has no pause
    assert found.loc["c"].tolist() == pytest.approx([7, 0, 7])


def test_neither_a_return_nor_a_second_line_of_a_day_makes_a_pause():
    plain = bought(("a", ago(40), 10), ("a", ago(10), 10))
    more = bought(
        ("a", ago(40), 10),
        ("a", ago(40), 3),
        ("a", ago(25), -4),
        ("a", ago(10), 10),
        ("r", ago(9), -5),
    )
    pauses = ["usual_pause", "recent_pause", "pause_deviation"]
    assert (
        at(Records(more))[pauses].loc["a"].tolist()
        == at(Records(plain))[pauses].loc["a"].tolist()
        == [30, 30, 0]
    )
    assert at(Records(more))[pauses].loc["r"].isna().all()


@given(st.lists(st.sets(st.integers(0, 700), min_size=2, max_size=12), min_size=1, max_size=10))
@settings(max_examples=4)
def test_pauses_are_mean_and_deviation_of_the_differences(customers):
    lines = [(f"{who}", ago(n), 10) for who, days in enumerate(customers) for n in days]
    told = at(Records(bought(*lines)))
    for who, days in enumerate(customers):
        pauses, found = -np.diff(sorted(days, reverse=True)), told.loc[f"{who}"]
        assert found.usual_pause == pytest.approx(pauses.mean())
        assert found.pause_deviation == pytest.approx(pauses.std(), abs=1e-5)
        assert found.recent_pause == pytest.approx(pauses[-3:].mean())


# Baskets
def test_returns_count_within_a_year_by_money_or_pieces():
    lines = [
        ("a", ago(400), 50, 1.0),
        ("a", ago(365), -50, -1.0),  # a year and a day ends here
        ("a", ago(364), -5, -1.0),
        ("a", ago(100), -5, None),
        ("a", ago(50), 0, -2.0),
        ("a", ago(0), -1, 1.0),
        ("b", ago(5), 7, 1.0),
    ]
    assert at(Records(bought(*lines, columns="day amount quantity"))).returns.to_dict() == {
        "a": 4,
        "b": 0,
    }
    without = bought(*(line[:3] for line in lines))
    assert at(Records(without)).returns.to_dict() == {"a": 3, "b": 0}


def test_kinds_bought_of_all_time_and_of_the_last_quarter():
    lines = [
        ("a", ago(300), 5, "tea", "t1"),
        ("a", ago(91), 5, "tea", "t2"),  # the quarter begins the day after
        ("a", ago(90), 5, "cups", "c1"),
        ("a", ago(3), 5, "cups", "c2"),
        ("a", ago(2), -5, "pots", "p1"),  # only taken back
        ("a", ago(1), 5, None, None),
        ("b", ago(200), 5, "tea", "t1"),
    ]
    kinds = at(Records(bought(*lines, columns="day amount category product")))[
        ["items", "items_lately"]
    ]
    assert kinds.loc["a"].tolist() == [2, 1]
    assert kinds.loc["b"].tolist() == [1, 0]
    products = bought(*((*line[:3], line[4]) for line in lines), columns="day amount product")
    assert at(Records(products))[["items", "items_lately"]].loc["a"].tolist() == [4, 2]
    assert "items" not in at(Records(bought(*(line[:3] for line in lines))))


# Contacts
def test_contacts_are_days_of_the_last_quarter():
    log = bought(("a", ago(10), 5), ("b", ago(10), 5), ("c", ago(10), 5))
    talks = [
        ("a", ago(90)),
        ("a", ago(90)),
        ("a", ago(4)),
        ("a", ago(91)),
        ("b", ago(200)),
        ("stranger", ago(1)),
    ]
    found = at(Records(log, interactions=made("interactions", "day", talks)))
    assert found.contacts.to_dict() == {"a": 2, "b": 0, "c": 0}
    assert found.contact_days_ago[["a", "b"]].tolist() == [4, 200]
    assert np.isnan(found.contact_days_ago["c"])


TALKS = [  # where owners are recorded, what nobody did is the customer's own
    ("a", ago(30), "phone", "Li"),
    ("a", ago(20), "Web", "Li"),
    ("a", ago(10), None, None),
    ("a", ago(-1), "phone", "Li"),
    ("b", ago(5), "web", None),
]


@pytest.mark.parametrize(
    ("columns", "last"),
    [("day channel owner", ago(30)), ("day channel", ago(10)), ("day", ago(10))],
)
def test_a_contact_is_by_the_staff_and_a_visit_to_the_web_site_is_none(columns, last):
    rows = [(who, *row[: len(columns.split())]) for who, *row in TALKS]
    log = made("interactions", columns, rows)
    contacts = history.last_contact(log, AS_OF)
    assert contacts["a"] == pd.Timestamp(last)
    assert ("b" in contacts) == ("channel" not in columns)
    found = at(Records(bought(("a", ago(10), 5), ("b", ago(10), 5)), interactions=log))
    assert found.contact_days_ago["a"] == (AS_OF - last).days
    if "channel" in columns:
        assert found.visits.tolist() == [1, 1]
        assert found.contacts["b"] == 0


def test_without_interactions_nobody_was_ever_contacted():
    assert history.last_contact(None, AS_OF).empty


def test_only_a_yes_allows_a_contact_where_consent_is_recorded():
    ids = pd.Series(list("abcd"), index=[3, 1, 2, 0])
    profiles = pd.DataFrame({"customer_id": list("cba"), "consent": [None, False, True]})
    found = history.may_contact(profiles, ids)
    assert found.to_dict() == {3: True, 1: False, 2: False, 0: False}
    nullable = profiles.astype({"consent": "boolean"})
    assert history.may_contact(nullable, ids).equals(found)
    assert history.may_contact(profiles[["customer_id"]], ids).all()


# Opinions
def test_complaints_are_open_until_they_are_closed():
    noon = dt.datetime(2024, 6, 30, 12)
    rows = [
        ("a", ago(3), "Ticket", None, noon),
        ("b", ago(2), "complaint", None, dt.datetime(2024, 7, 1)),
        ("c", ago(1), "csat", 4.0, None),
        ("d", ago(-1), "ticket", None, None),
    ]
    log = made("feedback", "day kind score closed", rows)
    found = history.complaints(log, AS_OF).order_by("customer_id").to_pandas()
    assert found.customer_id.tolist() == ["a", "b"]
    assert found.kind.tolist() == ["ticket", "complaint"]
    assert found.closed.notna().tolist() == [True, False]


def spoken(*rows, columns="day kind score closed", whose="a"):
    log = bought(*((who, ago(10), 5) for who in whose))
    return Records(log, feedback=made("feedback", columns, rows))


def test_complaints_and_tickets_of_the_last_quarter_in_any_case_of_letters():
    rows = [
        ("a", ago(90), "Complaint", None, None),
        ("a", ago(1), "ticket", None, None),
        ("a", ago(91), "ticket", None, None),
    ]
    praise = ("a", ago(1), "csat", 5.0, None)
    assert at(spoken(*rows, praise)).complaints["a"] == 2
    assert at(spoken(praise)).complaints["a"] == 0


def test_a_ticket_is_open_until_the_day_it_is_closed():
    """Each of another customer: days ago when it was opened, when it was closed, whether it is
    open.
    """
    cases = {
        "never closed": (30, None, True),
        "on the next day": (30, dt.datetime(2024, 7, 1, 0, 0), True),  # on the day it was open
        "at the last minute": (30, dt.datetime(2024, 6, 30, 23, 59), False),
        "long ago": (30, dt.datetime(2024, 6, 12, 9, 30), False),
        "a year but a day": (364, None, True),
        "a year": (365, None, False),  # nobody waits for an answer after a year
    }
    rows = [(who, ago(days), "ticket", None, closed) for who, (days, closed, _) in cases.items()]
    found = at(spoken(*rows, whose=cases)).open_tickets
    assert found.to_dict() == {who: is_open for who, (*_, is_open) in cases.items()}


def test_satisfaction_is_scaled_by_what_was_asked():
    cases = {
        ("csat", 1): 0,
        ("csat", 4): 0.75,
        ("csat", 5): 1,
        ("nps", 0): 0,
        ("NPS", 7): 0.7,
        ("nps", 10): 1,
        ("csat", 9): np.nan,  # beyond the scale: no answer
        ("csat", 0): np.nan,
        ("nps", 11): np.nan,
        ("ticket", 3): np.nan,
    }
    rows = [(f"{kind} {score}", ago(1), kind, float(score), None) for kind, score in cases]
    found = at(spoken(*rows, whose=[row[0] for row in rows])).satisfaction
    expected = {f"{kind} {score}": share for (kind, score), share in cases.items()}
    assert found.to_dict() == pytest.approx(expected, nan_ok=True)


def test_the_last_score_counts_and_a_word_without_one_does_not():
    rows = [
        ("a", ago(20), "csat", 5.0, None),
        ("a", ago(10), "csat", 2.0, None),
        ("a", ago(5), "complaint", None, None),
    ]
    assert at(spoken(*rows)).satisfaction["a"] == 0.25
    assert np.isnan(at(spoken(rows[2])).satisfaction["a"])


def test_of_several_scores_on_the_last_day_the_lowest_counts_whatever_their_order():
    rows = [("a", ago(10), "csat", score, None) for score in (5.0, 1.0, 3.0)]
    first, last = (at(spoken(*some)).satisfaction["a"] for some in (rows, rows[::-1]))
    assert first == last == 0


# Campaigns
def test_who_was_reached_and_who_took_it_up():
    log = bought(("a", ago(10), 5), ("b", ago(10), 5), ("c", ago(10), 5))
    told = [
        ("a", ago(100), "treat", ago(80), True),
        ("a", ago(50), "Treat", ago(0), True),  # ends on the day
        ("a", ago(40), "treat", ago(-1), True),  # still runs: nobody knows yet
        ("a", ago(30), "treat", None, True),
        ("a", ago(20), "treat", ago(10), False),
        ("a", ago(20), "treat", ago(10), None),
        ("a", ago(365), "treat", ago(360), True),  # too long ago
        ("b", ago(100), "Control", ago(80), False),
    ]
    found = at(Records(log, campaigns=made("campaigns", "day arm end responded", told)))
    assert found[["treated", "answered"]].to_numpy().tolist() == [[6, 2], [0, 0], [0, 0]]


def test_a_campaign_without_arms_reached_all():
    assert (
        at(
            Records(ONE_ORDER, campaigns=made("campaigns", "day", [("a", ago(4)), ("a", ago(3))]))
        ).treated["a"]
        == 2
    )


# Profiles
REGIONS = [
    ("a", "South", "x"),
    ("b", "North", "y"),
    ("c", "North", "z"),
    ("d", None, "x"),
    ("e", "East", "w"),
    ("f", "South", "x"),
]


def with_profiles(*static, rows=REGIONS, columns="region city"):
    log = bought(*((name, ago(10), 5) for name in "abcdefg"))
    return Records(log, profiles=made("profiles", columns, rows), static=static)


def test_classes_of_a_static_column_are_flags_by_frequency_and_name():
    """North and South are of two customers each: the alphabet decides. Of g there is no profile."""
    found = at(with_profiles("region"))
    assert found.is_region_0.fillna(-1).tolist() == [0, 1, 1, 0, 0, 0, -1]
    assert found.is_region_1.fillna(-1).tolist() == [1, 0, 0, 0, 0, 1, -1]
    assert found.is_region_2.fillna(-1).tolist() == [0, 0, 0, 0, 1, 0, -1]


def test_a_column_that_is_not_declared_static_never_appears():
    assert not [c for c in at(with_profiles("region")) if "city" in c]
    assert not [c for c in at(with_profiles()) if c.startswith("is_")]
    assert not [
        c for c in at(with_profiles("industry")) if c.startswith("is_")
    ]  # declared, and not in the profiles


def test_rare_classes_are_alike():
    rows = [(f"c{n:02}", f"city {n % 12:02}") for n in range(36)]
    log = bought(*((name, ago(10), 5) for name, _ in rows))
    found = at(Records(log, profiles=made("profiles", "city", rows), static=("city",)))
    flags = found[[c for c in found if c.startswith("is_city_")]]
    assert flags.shape[1] == history.MOST_CLASSES
    assert flags.sum(axis=1).value_counts().to_dict() == {
        1: 3 * history.MOST_CLASSES,
        0: 36 - 3 * history.MOST_CLASSES,
    }


def test_a_flag_can_be_static_too():
    found = at(
        with_profiles(
            "consent", rows=[("a", True), ("b", True), ("c", False), ("d", None)], columns="consent"
        )
    )
    assert found.loc[list("abcd"), ["is_consent_0", "is_consent_1"]].to_numpy().tolist() == [
        [1, 0],
        [1, 0],
        [0, 1],
        [0, 0],
    ]


# Whatever there is
def test_the_table_customers_stands_first_and_is_the_same():
    log = bought(("b", ago(200), 10), ("a", ago(100), 20), ("a", ago(20), 5), ("c", ago(3), -5))
    found = history.on_days(Records(log), [AS_OF], TRAILING, window_days=30)[AS_OF]
    known = customers.at(log, AS_OF, 30, TRAILING)
    pd.testing.assert_frame_equal(found[known.columns.tolist()], known)
    assert {*found} - {*known} == PLAIN


def test_missing_tables_and_columns_are_left_out():
    beside = {
        "interactions": ("day", {"contacts", "contact_days_ago"}),
        "feedback": ("day", {"complaints", "open_tickets"}),
        "campaigns": ("day", {"treated"}),
        "profiles": ("region", set()),
    }
    bare = {*at(Records(ONE_ORDER))}
    for name, (columns, more) in beside.items():
        found = at(Records(ONE_ORDER, **{name: made(name, columns, [])}))
        assert {*found} - bare == more
    scored = at(spoken(("a", ago(1), 5.0), columns="day score"))
    assert {*scored} - bare == {"complaints", "open_tickets", "satisfaction"}


def test_of_whom_there_is_no_record_the_counts_are_zero_and_the_rest_is_empty():
    empty = {
        "interactions": made("interactions", "day channel", []),
        "feedback": made("feedback", "day kind score closed", []),
        "campaigns": made("campaigns", "day arm end responded", []),
    }
    a = at(Records(ONE_ORDER, **empty)).loc["a"]
    assert a[list(history.COUNTS)].tolist() == [0.0] * len(history.COUNTS)
    assert a[["contact_days_ago", "satisfaction"]].isna().all()


def test_a_return_counts_on_its_own_day_and_not_on_that_of_its_sale(judge):
    log = cleaning.transactions(
        judge("id,day,eur\n7,2024-01-05,50\n7,2024-02-10,-50\n7,2024-02-20,20\n")
    )
    returns = {day: at(Records(log), dt.date(2024, 2, day)).returns["7"] for day in (9, 10, 20)}
    assert returns == {9: 0, 10: 1, 20: 1}


def test_gather_takes_what_the_company_has_and_what_its_file_calls_static(company):
    table = {"path": "orders.csv", "columns": {"customer_id": "id", "date": "day", "amount": "eur"}}
    profile = {
        "path": "people.csv",
        "columns": {"customer_id": "id", "region": "region", "city": "city"},
        "static": ["region"],
    }
    files = {
        "orders.csv": "id,day,eur\na,2024-01-05,5\n",
        "people.csv": "id,region,city\na,North,x\n",
    }
    told = company(files, {"transactions": table, "customers": profile})
    assert isinstance(told, dataset.Dataset)
    logs = {
        "transactions": ONE_ORDER,
        "profiles": made("profiles", "region city", [("a", "North", "x")]),
    }
    stage = SimpleNamespace(expression=logs.__getitem__, has=logs.__contains__, settings=told)
    found = history.gather(stage)
    assert (found.transactions, found.profiles, found.static) == (
        logs["transactions"],
        logs["profiles"],
        ("region",),
    )
    assert found.interactions is found.feedback is found.campaigns is None


# Chosen customers
def everything(names="abcdef"):
    """Records of every kind, some of each customer."""
    chance = np.random.default_rng(1)
    pick = [(name, ago(int(n))) for name in names for n in chance.integers(0, 400, 6)]
    lines = [
        (*who, int(chance.integers(-3, 20)), str(chance.choice(["tea", "cups", "pots"])))
        for who in pick
    ]
    words = [
        (*who, str(chance.choice(["csat", "nps", "ticket"])), float(chance.integers(0, 6)), None)
        for who in pick
    ]
    sent = [
        (*who, str(chance.choice(["treat", "control"])), who[1], bool(chance.integers(2)))
        for who in pick
    ]
    return Records(
        bought(*lines, columns="day amount category"),
        made("interactions", "day", pick[::2]),
        made("feedback", "day kind score closed", words),
        made("campaigns", "day arm end responded", sent),
        made(
            "profiles",
            "region",
            [
                (name, region)
                for name, region in zip(names, ["N", "S", "S", "E", "N", "S"], strict=True)
            ],
        ),
        ("region",),
    )


def test_records_of_some_customers_are_theirs_alone_and_say_the_same_of_them():
    """The classes of profiles keep their numbers: a model that learned from some customers is asked
    about all.
    """
    whole = everything()
    some = whole.of(["a", "e", "nobody"])
    assert at(some).index.tolist() == ["a", "e"]
    for name in ("transactions", "interactions", "feedback", "campaigns"):
        assert {*getattr(some, name).customer_id.execute()} <= {"a", "e"}
    pd.testing.assert_frame_equal(at(some), at(whole).loc[["a", "e"]], rtol=1e-12)
    assert some.static == ("region",)


def test_records_of_some_customers_lack_what_the_company_lacks():
    some = Records(ONE_ORDER).of(["a"])
    assert some.interactions is some.feedback is some.campaigns is some.profiles is None
    assert len(at(some)) == 1


# Order of rows, and days to come
def shuffled(table, seed):
    return ibis.memtable(
        table.to_pyarrow().take(np.random.default_rng(seed).permutation(table.count().execute()))
    )


def test_the_order_of_rows_does_not_matter():
    whole = everything()
    told = at(whole)
    logs = ("transactions", "interactions", "feedback", "campaigns", "profiles")
    for seed in (1, 2, 3):
        mixed = replace(whole, **{name: shuffled(getattr(whole, name), seed) for name in logs})
        pd.testing.assert_frame_equal(at(mixed), told, rtol=1e-12)


# Few examples of many rows, since putting a query together takes longer than its answer.
WHO, MOST = st.sampled_from("abcdefgh"), 20
PAST, FUTURE = st.dates(ago(500), AS_OF), st.dates(ago(-1), ago(-400))
LATER_MOMENT = st.datetimes(dt.datetime(2024, 7, 1), dt.datetime(2025, 7, 1))
KINDS = st.sampled_from(["csat", "nps", "complaint", "ticket"])


def line(day):
    return st.tuples(
        WHO,
        day,
        st.sampled_from(["-20", "0", "5", "19.99"]),
        st.sampled_from(["tea", "cups", "pots"]),
    )


def word(day):
    closing = st.none() | st.datetimes(dt.datetime(2023, 1, 1), dt.datetime(2024, 6, 30, 23, 59))
    return st.tuples(WHO, day, KINDS, st.none() | st.integers(0, 10).map(float), closing)


def sending(day, end):
    return st.tuples(
        WHO, day, st.sampled_from(["treat", "control"]), end, st.none() | st.booleans()
    )


def records_of(lines, talks, words, sent):
    return Records(
        bought(*lines, columns="day amount category"),
        made("interactions", "day", talks),
        made("feedback", "day kind score closed", words),
        made("campaigns", "day arm end responded", sent),
        made("profiles", "region", [("a", "N"), ("b", "S")]),
        ("region",),
    )


def several(of, least=0):
    return st.lists(of, min_size=least, max_size=MOST)


@given(
    st.tuples(
        several(line(PAST), 1),
        several(st.tuples(WHO, PAST)),
        several(word(PAST)),
        several(sending(PAST, PAST)),
    ),
    st.tuples(
        several(line(FUTURE)),
        several(st.tuples(WHO, FUTURE)),
        several(word(FUTURE)),
        several(sending(FUTURE, FUTURE)),
    ),
    several(sending(PAST, FUTURE | st.none())),
    st.lists(LATER_MOMENT, min_size=MOST, max_size=MOST),
    st.lists(st.none() | st.booleans(), min_size=MOST, max_size=MOST),
)
@settings(max_examples=3)
def test_nothing_of_a_later_day_changes_any_column(past, future, running, closings, responses):
    """Lines, returns, talks, words and campaigns of later days; tickets that are closed later, and
    what came of campaigns that still run.
    """
    lines, talks, words, sent = past
    before = records_of(lines, talks, words, [*sent, *((*row[:4], None) for row in running)])
    closed = [
        row if row[4] else (*row[:4], moment) for row, moment in zip(words, closings, strict=False)
    ]
    answered = [(*row[:4], response) for row, response in zip(running, responses, strict=False)]
    after = records_of(
        *([*a, *b] for a, b in zip((lines, talks, closed, [*sent, *answered]), future, strict=True))
    )
    pd.testing.assert_frame_equal(at(after), at(before), rtol=1e-12)


def test_what_came_later_does_arrive_later():
    """Without this the test above would hold of a table that never changes."""
    lines, words = [("a", ago(40), 9, "tea")], [("a", ago(30), "ticket", None, None)]
    sent, later = [("a", ago(30), "treat", ago(-5), None)], ago(-20)
    before = records_of(lines, [("a", ago(30))], words, sent)
    after = records_of(
        [*lines, ("a", ago(-2), 9, "pots"), ("a", ago(-4), -9, "tea")],
        [("a", ago(30)), ("a", ago(-1))],
        [
            (*words[0][:4], dt.datetime(2024, 7, 3)),
            ("a", ago(-3), "csat", 5.0, None),
            ("a", ago(-3), "complaint", None, None),
        ],
        [(*sent[0][:4], True), ("a", ago(-1), "treat", ago(-2), True)],
    )
    changed = at(before, later).loc["a"].fillna(-1) != at(after, later).loc["a"].fillna(-1)
    told = {
        *PLAIN,
        "items",
        "contacts",
        "contact_days_ago",
        "complaints",
        "satisfaction",
        "treated",
        "answered",
    }
    assert told <= {*changed.index[changed]}
    assert (
        at(before, later).open_tickets["a"] == at(after, later).open_tickets["a"] == 1
    )  # one was closed, one was opened


def test_days_described_at_once_are_described_as_each_by_itself():
    """Staff are named only from a later day on, which tells nothing of an earlier one."""
    day, early = dt.date(2025, 6, 30), dt.date(2025, 3, 1)
    frames = {
        "transactions": pd.DataFrame(
            {"customer_id": ["a", "a", "b"], "day": [early, day, day], "amount": [5.0, 7.0, 9.0]}
        ),
        "interactions": pd.DataFrame(
            {"customer_id": ["a", "a"], "day": [early, day], "owner": [None, "Ann"]}
        ),
    }
    records = history.Records(
        **{
            name: ibis.memtable(frame.assign(day=pd.to_datetime(frame.day))).mutate(
                day=ibis._.day.cast("date")
            )
            for name, frame in frames.items()
        }
    )
    records = replace(
        records,
        transactions=records.transactions.mutate(amount=ibis._.amount.cast("decimal(38, 12)")),
    )
    days = [day, early, dt.date(2025, 1, 1)]
    found = history.on_days(records, days, [14])
    assert list(found) == days
    for each in days:
        pd.testing.assert_frame_equal(found[each], history.on_days(records, [each], [14])[each])
    assert found[early].customer_id.tolist() == ["a"]
    assert found[early].contacts.tolist() == [1]  # by nobody known, as all were then
    assert found[day].contacts.tolist() == [1, 0]
    assert found[day].last_order.dt.date.tolist() == [day, day]
    assert found[early].first_order.dt.date.tolist() == [early]
    nexts = history.next_orders(records.transactions, days, 91)
    assert nexts[days[2]].to_dict() == {"a": 59}
    assert nexts[early].empty
