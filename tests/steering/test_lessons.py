import datetime as dt

import pandas as pd
import pytest

from analysis import schema
from analysis.models.history import Records
from analysis.report.text import say
from analysis.steering import lessons
from tests.steering.companies import dated

FIRST, SECOND, AS_OF = dt.date(2024, 1, 1), dt.date(2024, 1, 31), dt.date(2024, 2, 20)
NO_EFFECTS = pd.DataFrame(columns=["campaign_id", *lessons.EFFECT])


def cycle(first, *rows, days=30):
    """Rows of customer, rule, status, channel, orders expected in 90 days."""
    columns = ["customer_id", "rule", "status", "channel", "forecast"]
    made = pd.DataFrame(rows, columns=columns).assign(
        cost=2.0, horizon_days=90, first=pd.Timestamp(first)
    )
    made["cost"] = made.cost.where(made.status == "planned", 0.0)
    return made.assign(last=made["first"] + pd.Timedelta(days=days - 1))


FROZEN = pd.concat(
    [
        cycle(
            FIRST,
            ("a", "grow", "planned", "phone", 3.0),
            ("b", "grow", "planned", "phone", 6.0),
            ("c", "grow", "held_back", None, 6.0),
            ("d", "mail_all", "planned", "mail", 1.0),
            ("e", "mail_all", "planned", "mail", 1.0),
            ("f", "grow", "not_worth", None, 9.0),
        ),
        cycle(
            SECOND,
            ("a", "grow", "planned", "phone", 9.0),
            ("b", "grow", "no_consent", None, 9.0),
            ("c", "grow", "planned", "phone", 9.0),
            ("d", "grow", "beyond_budget", None, 9.0),
        ),
    ]
)
LOG = [
    ("a", "2023-06-01"), ("a", "2024-01-01"), ("a", "2024-01-02"), ("a", "2024-02-05"),
    ("d", "2024-01-15"), ("f", "2024-01-15"), ("c", "2024-02-19"), ("a", "2024-03-15"),
]  # fmt: skip


def on_days(rows, *columns):
    frame = pd.DataFrame(rows, columns=["customer_id", "day", *columns])
    return dated(frame.assign(day=pd.to_datetime(frame.day).dt.date), "day")


def records(**more):
    log = [(who, day, 5.0) for who, day in LOG]
    return Records(on_days([("z", "2020-01-01", 1.0), *log], "amount"), **more)


def plan(**status):
    return pd.DataFrame({"customer_id": [*status], "status": [*status.values()]})


TODAY = plan(a="planned", b="no_consent", c="planned", d="next_cycle")


def taught(frozen=FROZEN, effects=NO_EFFECTS, today=TODAY, as_of=AS_OF, **more):
    found = lessons.table(frozen, today, effects, records(**more), as_of)
    schema.conform("lessons", found)
    return found.assign(first=found["first"].dt.date).set_index(["first", "rule"])


def test_a_cycle_by_hand():
    """Fifty days after January 1: five ninths of what was forecast of 90 days. Of the first cycle b
    has withdrawn by the second, where e is gone; of the second, c is gone today. The order of the
    first day itself, and one of a day to come, count for nothing.
    """
    found = taught(today=TODAY[TODAY.customer_id != "c"])
    grow, mail = found.loc[(FIRST, "grow")], found.loc[(FIRST, "mail_all")]
    assert (grow.planned, grow.held_back, grow.cost) == (2, 1, 4)
    assert (grow.dropped, mail.dropped) == (1, 1)
    assert (grow.ordered, mail.ordered) == (2, 1)
    assert (grow.forecast, mail.forecast) == pytest.approx((9 * 5 / 9, 2 * 5 / 9))
    later = found.loc[(SECOND, "grow")]
    assert (later.planned, later.dropped, later.ordered) == (2, 1, 2)
    assert later.forecast == pytest.approx(18 * 20 / 90)
    assert found.reached.isna().all() and found.verdict.isna().all()


def test_a_horizon_that_is_over_counts_whole_and_no_longer():
    found = taught(as_of=dt.date(2024, 6, 30)).loc[(FIRST, "grow")]
    assert (found.forecast, found.ordered) == (9, 3)


def test_reached_by_a_contact_through_the_channel_within_the_cycle():
    """The first call to b came the day before; web visits and mails are no calls."""
    talks = on_days(
        [
            ("a", "2024-01-05", "电话", "x"), ("a", "2024-01-06", "phone", "x"),
            ("b", "2023-12-31", "Phone", "x"), ("b", "2024-01-07", "visit", "x"),
            ("b", "2024-01-08", "web", None), ("d", "2024-01-08", "phone", "x"),
        ],
        "channel", "owner",
    )  # fmt: skip
    found = taught(interactions=talks)
    assert found.reached[FIRST, "grow"] == 1 and found.reached[SECOND, "grow"] == 0
    assert pd.isna(found.reached[FIRST, "mail_all"]), "no letter was ever recorded"


def test_the_campaign_file_says_who_was_reached():
    file = on_days(
        [
            ("a", "2024-01-02", "grow 2024-01-01", "treat"),
            ("b", "2024-01-02", "grow 2024-01-01", "control"),
            ("d", "2024-01-02", "mail_all 2024-01-01", None),
            ("d", "2024-01-02", "another", "treat"),
        ],
        "campaign_id",
        "arm",
    )
    found = taught(campaigns=file)
    assert (found.reached[FIRST, "grow"], found.reached[FIRST, "mail_all"]) == (1, 1)
    assert pd.isna(found.reached[SECOND, "grow"])


def test_who_complained_or_withdrew_drops_out():
    """The complaint of a was closed before the cycle ended, that of d was not."""
    said = pd.DataFrame(
        {
            "customer_id": ["a", "d"],
            "kind": "complaint",
            "day": pd.to_datetime(["2024-01-10", "2024-01-10"]).date,
            "closed": pd.to_datetime(["2024-01-12", "2024-02-15"]),
        }
    )
    found = taught(feedback=dated(said, "day"), today=plan(a="no_consent", c="held_back"))
    assert found.dropped[FIRST, "mail_all"] == 2 and found.dropped[FIRST, "grow"] == 1
    assert found.dropped[SECOND, "grow"] == 1


def test_what_was_measured_stands_beside_it():
    effects = pd.DataFrame(
        {"campaign_id": ["grow 2024-01-01"], **dict.fromkeys(lessons.EFFECT, 1.0)}
    ).assign(verdict="works", profit=40.0)
    found = taught(effects=effects)
    assert found.profit[FIRST, "grow"] == 40 and found.verdict[FIRST, "grow"] == "works"
    assert pd.isna(found.verdict[SECOND, "grow"])
    [*_, (_, values)] = lessons.sentences(found.reset_index(), AS_OF)
    assert values == {"works": "grow", "failed": "none", "open": 1}


def test_what_is_said_before_a_cycle_is_over():
    def said(frozen, as_of):
        found = lessons.table(frozen, TODAY, NO_EFFECTS, records(), as_of)
        return [say(text, **values) for text, values in lessons.sentences(found, as_of)]

    [none] = said(FROZEN, FIRST)
    assert none.startswith("No plan was frozen")
    [none] = said(FROZEN.head(0), AS_OF)
    assert none.startswith("No plan was frozen")
    [none] = said(FROZEN, dt.date(2024, 1, 10))
    assert none == "No cycle is over yet: the first one ends on Jan 30, 2024."
    over = said(FROZEN, AS_OF)
    assert "from Jan 1, 2024 to Jan 30, 2024, planned an action for 4 customers" in over[0]
    assert "ordered 3 times" in over[1] and "6 orders" in over[1]
