import datetime as dt
import re
from collections import Counter
from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from analysis import schema
from analysis.errors import InputError
from analysis.intake import dataset
from analysis.intake.dataset import Dataset
from analysis.models.history import Records
from analysis.report.charts.base import CARE_COLOURS
from analysis.report.privacy import KEY
from analysis.report.text import say
from analysis.strategy import care

AS_OF = dt.date(2026, 3, 15)  # a Sunday
TIERS = {"s": "strategic", "i": "important", "o": "ordinary"}


def company(**knobs):
    """A dataset with these knobs, of a company in a country without holidays that are known."""
    given_ = {
        "tables": {
            "transactions": {"path": "o.csv", "columns": {"customer_id": "id", "date": "day"}}
        }
    } | knobs
    return Dataset.model_validate(given_)


def customers(**last):
    """The table `customers` as far as care reads it: customer_id=last order; the first order is the
    last.
    """
    days = pd.to_datetime(pd.Series(list(last.values()), dtype="datetime64[us]"))
    return pd.DataFrame(
        {"customer_id": list(last), "first_order": days, "last_order": days, "window_revenue": 1.0}
    )


def matrix(**tiers):
    return pd.DataFrame({"customer_id": list(tiers), "tier": list(tiers.values())})


def profiles(*rows):
    """The table `profiles` of (customer_id, owner, consent, birthday, updated), of which the last
    may be left out.
    """
    names = ["customer_id", "owner", "consent", "birthday", "updated"]
    types = [pa.string(), pa.string(), pa.bool_(), pa.date32(), pa.date32()]
    columns = list(zip(*(row + (None,) * (5 - len(row)) for row in rows), strict=True))
    return ibis.memtable(
        pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], names)
    )


def contacts(*rows):
    """The table `interactions` of (customer_id, day, channel)."""
    columns = list(zip(*rows, strict=True))
    types = [pa.string(), pa.date32(), pa.string()]
    named = ["customer_id", "day", "channel"]
    return ibis.memtable(
        pa.table([pa.array(c, t) for c, t in zip(columns, types, strict=True)], named)
    )


def plan(**statuses):
    """The table `plan` as far as care reads it: customer_id=status; owners deliver on 20 March."""
    made = pd.DataFrame({"customer_id": list(statuses), "status": list(statuses.values())})
    made = made.astype("str").assign(owner="account_manager", action="Call")
    return made.assign(due=pd.Timestamp("2026-03-20"))


def due(people, tiers, records=None, as_of=AS_OF, made=None, **knobs):
    """Where no profiles are given, Li looks after everybody."""
    records = records or Records(None)
    if records.profiles is None:
        owners = pd.DataFrame({"customer_id": people.customer_id, "owner": "Li"}).astype("str")
        records = replace(records, profiles=ibis.memtable(owners))
    made = plan() if made is None else made
    return care.due(people, matrix(**tiers), made, records, as_of, company(**knobs))


def days(first, count):
    return pd.date_range(first, periods=count, name="day")


def month(number, end=31):
    """A day of March 2026."""
    return dt.date(2026, 3, number)


# Days on which people work, and days on which they are greeted
def test_the_chinese_holidays_of_2026_are_free_as_the_state_council_has_announced():
    """Guobanfa Mingdian 2025 No. 7: New Year 1 to 3 January, Spring Festival 15 to 23 February,
    Qingming 4 to 6 April.
    """
    working = care.working_days("CN", days("2026-01-01", 100))
    for first, last in (
        ("2026-01-01", "2026-01-03"),
        ("2026-02-15", "2026-02-23"),
        ("2026-04-04", "2026-04-06"),
    ):
        assert not working.isin(pd.date_range(first, last)).any()
    for day in ("2026-01-05", "2026-02-13", "2026-02-24", "2026-04-03", "2026-04-07"):
        assert pd.Timestamp(day) in working
    assert set(working.dayofweek) == {
        0,
        1,
        2,
        3,
        4,
    }  # also 14 and 28 February, Saturdays that are worked in return


def test_without_a_country_only_the_weekend_is_free():
    assert care.working_days("", days("2026-01-01", 7)).day.tolist() == [1, 2, 5, 6, 7]


def test_a_weekend_is_that_of_the_country():
    """In Saudi Arabia Friday and Saturday."""
    assert set(care.working_days("SA", days("2026-05-03", 14)).dayofweek) == {6, 0, 1, 2, 3}


@pytest.mark.parametrize(
    "date", ["2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06"]
)
@pytest.mark.parametrize(
    ("language", "name"),
    [("en", "Spring Festival"), ("zh", "春节"), ("zh-TW", "春節"), ("fr", "Spring")],
)
def test_spring_festival_is_greeted_once_on_the_first_day_of_the_lunar_year(date, language, name):
    """Dates of the Chinese New Year as published by the Hong Kong Observatory."""
    found = care.greetings("CN", days(pd.Timestamp(date) - pd.Timedelta(days=9), 30), language)
    spring = found[found.holiday.str.contains(name) & ~found.holiday.str.contains("Eve|除夕")]
    assert spring.day.tolist() == [pd.Timestamp(date)]
    assert not found.holiday.str.contains("Day off|observed|休息日").any()
    assert found.holiday.is_unique


def test_a_holiday_that_began_before_is_greeted_no_more():
    assert care.greetings("CN", days("2026-10-02", 5), "en").empty


def test_holidays_over_the_turn_of_a_year_are_of_both_years():
    found = care.greetings("US", days("2025-11-20", 60), "en")
    assert found.holiday.tolist() == ["Thanksgiving Day", "Christmas Day", "New Year's Day"]
    assert found.day.dt.strftime("%Y-%m-%d").tolist() == ["2025-11-27", "2025-12-25", "2026-01-01"]


def test_a_country_comes_from_the_dataset_file_then_from_the_time_zone():
    assert care.country(company(time_zone="Asia/Shanghai")) == "CN"
    assert care.country(company(time_zone="America/New_York")) == "US"
    assert care.country(company(time_zone="Europe/Berlin")) == ""
    assert care.country(company(time_zone="Asia/Shanghai", care={"country": "DE"})) == "DE"
    assert care.greetings("", days("2026-01-01", 9), "en").empty


def test_a_country_without_english_names_has_its_own():
    known = care.greetings("DE", days("2026-10-01", 5), "xx")
    assert known.day.tolist() == [pd.Timestamp("2026-10-03")]
    assert known.holiday.str.len().gt(0).all()


@pytest.mark.parametrize(
    "written",
    ["{country: XX}", "{country: cn}", "{country: China}", "{days_ahead: 0}", "{days_ahead: 366}"],
)
def test_a_country_or_a_time_that_cannot_be_is_refused_with_its_key(tmp_path, written):
    shop = "tables:\n  transactions: {path: o.csv, columns: {customer_id: id, date: day}}\n"
    (tmp_path / "shop.yml").write_text(f"{shop}care: {written}\n", "utf-8")
    with pytest.raises(InputError, match=r"care\.(country|days_ahead)"):
        dataset.load(tmp_path / "shop.yml")


# Days that return
@settings(max_examples=25)
@given(
    st.dates(dt.date(1904, 1, 1), AS_OF)
    | st.sampled_from([dt.date(1988, 2, 29), dt.date(2000, 2, 29)]),
    st.integers(0, 60),
)
def test_some_years_later_is_what_dateutil_says(day, years):
    found = care.after_years(pd.Series([pd.Timestamp(day)]), pd.Series([years]))
    assert found[0] == pd.Timestamp(day + relativedelta(years=years))


def test_born_on_29_february_is_greeted_on_the_28th_of_other_years():
    born = pd.Series({"a": dt.date(1988, 2, 29)})
    for year, greeted in ((2025, 28), (2027, 28), (2028, 29), (2100, 28)):
        found = care.returning(born, days(f"{year}-02-15", 30))
        assert found.due.tolist() == [pd.Timestamp(year, 2, greeted)]
        assert found.years.tolist() == [year - 1988]


def test_days_return_over_the_turn_of_the_year():
    dates = pd.Series(
        {"old": dt.date(1980, 12, 31), "new": dt.date(1990, 1, 1), "far": dt.date(1990, 2, 1)}
    )
    found = care.returning(dates, days("2025-12-20", 30)).set_index("customer_id")
    assert found.due.to_dict() == {
        "old": pd.Timestamp("2025-12-31"),
        "new": pd.Timestamp("2026-01-01"),
    }
    assert found.years.to_dict() == {"old": 45, "new": 36}


def test_the_day_of_the_picture_is_over_and_the_last_day_counts():
    dates = pd.Series(
        {"today": dt.date(2000, 3, 15), "first": dt.date(2000, 3, 16), "last": dt.date(2000, 4, 14)}
    )
    dates["beyond"], dates["born_later"], dates["unknown"] = (
        dt.date(2000, 4, 15),
        dt.date(2026, 3, 20),
        None,
    )
    assert care.returning(dates, care.ahead(AS_OF, company())).customer_id.tolist() == [
        "first",
        "last",
    ]


@given(
    st.lists(st.dates(dt.date(1930, 1, 1), dt.date(2030, 1, 1)), max_size=20),
    st.dates(AS_OF, dt.date(2029, 1, 1)),
)
@settings(max_examples=25)
def test_in_a_year_every_past_day_returns_at_most_once_and_in_thirteen_months_at_least_once(
    dates, start
):
    dates = pd.Series(dates, [str(n) for n in range(len(dates))], dtype=object)
    past = {str(n) for n in range(len(dates)) if dates.iloc[n] < start}
    assert care.returning(dates, days(start, 365)).customer_id.is_unique
    assert set(care.returning(dates, days(start, 366)).customer_id) == past


def test_anniversaries_are_of_some_years_only():
    first = pd.Timestamp("2026-03-20")
    people = customers(**{f"y{n}": first - pd.DateOffset(years=n) for n in range(1, 13)})
    found = care.anniversaries(people, days("2026-03-16", 30))
    assert found.customer_id.tolist() == ["y1", "y2", "y3", "y5", "y10"]
    assert found.detail.iloc[4] == "Years since the first order on Mar 20, 2016: 10"
    assert (found.due == first).all()


# Visits
def test_a_visit_is_due_after_the_last_contact_or_order_whichever_is_later():
    people = customers(s=dt.date(2026, 3, 1), i=dt.date(2026, 1, 20), o=dt.date(2026, 3, 1))
    talk = contacts(
        ("s", dt.date(2026, 2, 1), "phone"),
        ("i", dt.date(2026, 2, 10), "拜访"),
        ("i", dt.date(2026, 3, 16), "phone"),
        ("i", dt.date(2026, 3, 14), "WEB"),
    )
    found = due(people, TIERS, Records(None, interactions=talk)).set_index("customer_id")
    assert found.due.to_dict() == {"s": pd.Timestamp("2026-03-31"), "i": pd.Timestamp("2026-04-11")}
    assert found.day.to_dict() == {
        "s": pd.Timestamp("2026-03-31"),
        "i": pd.Timestamp("2026-04-13"),
    }  # the 11th is a Saturday
    assert (
        found.detail["i"] == "Important: last contact or order on Feb 10, 2026, due after 60 days"
    )


def test_cadences_are_those_of_the_dataset_file():
    people = customers(s=dt.date(2026, 3, 10), i=dt.date(2026, 3, 10), o=dt.date(2026, 3, 10))
    found = due(people, TIERS, care={"strategic_days": 0, "important_days": 7, "ordinary_days": 20})
    assert found.set_index("customer_id").due.to_dict() == {
        "i": pd.Timestamp("2026-03-17"),
        "o": pd.Timestamp("2026-03-30"),
    }


def test_overdue_visits_come_first_the_longest_first_and_no_owner_has_too_many_a_day():
    last = {f"c{n}": dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(6)}
    records = Records(
        None, profiles=profiles(*((name, "Ann" if name != "c5" else "Bo", True) for name in last))
    )
    found = due(
        customers(**last), dict.fromkeys(last, "strategic"), records, care={"per_owner_per_day": 2}
    )
    assert found.overdue_days.tolist() == [
        43,
        42,
        41,
        40,
        39,
        38,
    ]  # 30 days after 1 January is the 31st, 43 before 15 March
    assert found.set_index("customer_id").day.dt.day.to_dict() == {
        "c0": 16,
        "c1": 16,
        "c2": 17,
        "c3": 17,
        "c4": 18,
        "c5": 16,
    }


def test_of_visits_due_on_a_day_the_strategic_ones_come_first():
    people = customers(a=dt.date(2025, 12, 31), b=dt.date(2026, 1, 30))
    found = due(
        people, {"a": "important", "b": "strategic"}, care={"per_owner_per_day": 1}
    ).set_index("customer_id")
    assert found.due["a"] == found.due["b"]
    assert found.day.dt.day.to_dict() == {"b": 16, "a": 17}


def test_weekends_and_holidays_have_no_visit():
    """As of 14 February 2026 the next working day in China is the 24th."""
    people = customers(**{f"c{n}": dt.date(2025, 12, 1) for n in range(8)})
    found = due(
        people,
        dict.fromkeys(people.customer_id, "strategic"),
        as_of=dt.date(2026, 2, 14),
        time_zone="Asia/Shanghai",
    )
    assert Counter(found.day.dt.day) == {24: 4, 25: 4}


def test_what_finds_no_day_is_counted_and_not_in_the_calendar():
    people = customers(**{f"c{n}": dt.date(2025, 12, 1) for n in range(5)})
    knobs = {"care": {"per_owner_per_day": 1, "days_ahead": 4}}
    found = due(people, dict.fromkeys(people.customer_id, "strategic"), **knobs)
    assert len(care.calendar(found)) == 4
    assert care.figures(found, AS_OF, company(**knobs))["no_room"] == 1


def by_hand(wanted, owners, working, per_day):
    """The first free working day of each, one by one."""
    load, placed = Counter(), []
    for due_, owner in zip(wanted, owners, strict=True):
        free = [day for day in working if day >= due_ and load[owner, day] < per_day]
        placed.append(free[0] if free else pd.NaT)
        load[owner, free[0] if free else None] += 1
    return placed


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("xyz")), max_size=30),
    st.integers(1, 3),
    st.sets(st.integers(0, 11)),
)
@settings(max_examples=25)
def test_places_are_those_of_a_clerk_who_fills_a_diary(tasks, per_day, working):
    start = pd.Timestamp("2026-03-16")
    tasks = sorted(tasks)
    wanted = pd.Series([start + pd.Timedelta(days=n) for n, _ in tasks], dtype="datetime64[us]")
    owners = pd.Series([owner for _, owner in tasks], dtype="str")
    open_ = pd.DatetimeIndex(
        [start + pd.Timedelta(days=n) for n in sorted(working)], dtype="datetime64[us]"
    )
    found = care.placed(wanted, owners, open_, per_day)
    assert found.astype(object).where(found.notna(), None).tolist() == [
        None if pd.isna(day) else day for day in by_hand(wanted, owners, open_, per_day)
    ]


# Who is left out, and what is not known
BIRTHDAY = dt.date(1990, 3, 20)


def test_whoever_has_not_agreed_is_in_nothing_and_counted():
    old = dt.date(2024, 1, 1)
    told = profiles(
        ("no", "Ann", False, BIRTHDAY, old),
        ("yes", "Ann", True, BIRTHDAY, old),
        ("unsaid", " ", None, BIRTHDAY, old),
    )
    people = customers(
        no=dt.date(2025, 3, 20), yes=dt.date(2025, 3, 20), unsaid=dt.date(2025, 3, 20)
    )
    found = due(
        people, dict.fromkeys(people.customer_id, "strategic"), Records(None, profiles=told)
    )
    table = care.calendar(found)
    assert table.customer_id.unique().tolist() == ["yes"]
    assert set(table.what) == set(CARE_COLOURS) - {"action"} and set(table.owner) == {"Ann"}
    figures = care.figures(found, AS_OF, company())
    counts = {"refused": 2, "visits": 1, "birthdays": 1, "anniversaries": 1, "profiles": 1}
    assert {name: figures[name] for name in counts} == counts
    assert set(found.owner[found.customer_id == "unsaid"]) == {"customer care"}


def test_a_refused_visit_takes_no_place_of_another():
    told = profiles(("a", "Ann", False), ("b", "Ann", True))
    people = customers(a=dt.date(2025, 1, 1), b=dt.date(2025, 2, 1))
    found = due(
        people,
        {"a": "strategic", "b": "strategic"},
        Records(None, profiles=told),
        care={"per_owner_per_day": 1},
    )
    assert care.calendar(found).day.tolist() == [pd.Timestamp("2026-03-16")]


def test_a_profile_is_stale_after_its_days_and_one_with_gaps_alone_is_not():
    told = profiles(*(
        (name, owner, True, None, AS_OF - dt.timedelta(days=age))
        for name, owner, age in (("old", "Ann", 366), ("border", "Ann", 365), ("gap", None, 9))
    ))  # fmt: skip
    found = due(customers(old=AS_OF), {"old": "ordinary"}, Records(None, profiles=told))
    assert found.customer_id.tolist() == ["old"]
    assert (found.what[0], found.overdue_days[0], found.detail[0]) == (
        "refresh",
        0,
        "Profile last changed on Mar 14, 2025",
    )


def test_prospects_have_birthdays_and_no_visits():
    people = customers(p=None)
    found = due(
        people, {"p": "potential"}, Records(None, profiles=profiles(("p", "Ann", True, BIRTHDAY)))
    )
    assert found.what.tolist() == ["birthday"]
    assert found.detail.tolist() == ["Birthday greeting"]


def test_nothing_after_the_day_matters():
    people, tiers = customers(s=dt.date(2026, 3, 1)), {"s": "strategic"}
    now = contacts(("s", dt.date(2026, 3, 5), "phone"))
    later = contacts(("s", dt.date(2026, 3, 5), "phone"), ("s", dt.date(2026, 3, 16), "phone"))
    one, other = (due(people, tiers, Records(None, interactions=log)) for log in (now, later))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("known", [customers(), customers(a=None)])
@pytest.mark.parametrize("tier", ["strategic", "potential"])
def test_nothing_known_gives_an_empty_table_and_figures(known, tier):
    found = due(known, dict.fromkeys(known.customer_id, tier))
    table = care.calendar(found)
    assert schema.conform("care", table).num_rows == 0
    figures = care.figures(found, AS_OF, company())
    assert [
        figures[name]
        for name in ("visits", "overdue", "birthdays", "profiles", "refused", "no_room")
    ] == [0] * 6
    assert care.load(table).empty


def test_what_profiles_lack_is_named():
    figures = {"no_room": 0}
    lacking = {
        records.profiles is None: values["columns"]
        for records in (
            Records(None),
            Records(None, profiles=profiles(("a", "Ann", True)).drop("birthday")),
        )
        for _, values in care.caveats(figures, records, company())
        if "columns" in values
    }
    assert lacking == {True: "owner, consent, birthday, updated", False: "birthday"}
    bare = Records(None, profiles=profiles(("a", "Ann", True)).select("customer_id"))
    found = due(customers(a=dt.date(2025, 1, 1)), {"a": "strategic"}, bare)
    assert found.empty  # nobody looks after a, so nobody visits


def test_whom_the_plan_reaches_is_not_visited_besides_and_who_is_held_back_not_at_all():
    """Of the four with everything due, one is not in the plan, one is reached by it, one is held
    back, and nobody looks after the last.
    """
    old = dt.date(2024, 1, 1)
    owners = {"free": "Ann", "reached": "Ann", "held": "Ann", "alone": None}
    told = profiles(*((name, owner, True, BIRTHDAY, old) for name, owner in owners.items()))
    people = customers(**dict.fromkeys(owners, dt.date(2025, 3, 20)))
    made = plan(free="not_worth", reached="planned", held="held_back", alone="not_worth")
    found = due(people, dict.fromkeys(owners, "strategic"), Records(None, profiles=told), made=made)
    kinds = found.groupby("customer_id").what.agg(lambda kinds: set(kinds))
    assert kinds["free"] == {"follow_up", "birthday", "anniversary", "refresh"}
    assert kinds["reached"] == {"action", "birthday", "refresh"}
    assert kinds["held"] == {"refresh"}
    assert kinds["alone"] == {"birthday", "refresh"}
    action = found[found.what == "action"].iloc[0]
    assert (action.day, action.detail) == (pd.Timestamp("2026-03-20"), "Call")
    later = made.assign(due=pd.Timestamp("2026-06-20"))
    assert "action" not in set(due(people, {}, Records(None, profiles=told), made=later).what)


# The whole
@pytest.fixture(scope="module")
def busy():
    """Many customers of three owners with all kinds of things to do; the profiles hold names that
    must not get out.
    """
    random = np.random.default_rng(7)
    ids = [f"{n:04}" for n in range(300)]

    def dates(first, span):
        return [
            dt.date.fromisoformat(first) + dt.timedelta(days=int(n))
            for n in random.integers(0, span, len(ids))
        ]

    told = profiles(
        *zip(
            ids,
            random.choice(["Ann", "Bo", None], 300),
            random.random(300) < 0.9,
            dates("1960-01-01", 15_000),
            dates("2024-01-01", 800),
            strict=True,
        )
    ).mutate(name=ibis.literal("Secret Person"), phone=ibis.literal("+86 138 0013 8000"))
    talk = contacts(*zip(ids, dates("2025-09-01", 190), ["phone"] * 300, strict=True))
    people = customers(**dict(zip(ids, dates("2020-03-01", 2200), strict=True)))
    people["first_order"] = pd.to_datetime(dates("2016-01-01", 3650)).astype("datetime64[us]")
    tiers = dict(zip(ids, random.choice(["strategic", "important", "ordinary"], 300), strict=True))
    return people, tiers, Records(None, interactions=talk, profiles=told)


def test_the_calendar_keeps_its_contract_and_the_limits(busy):
    found = due(*busy, care={"per_owner_per_day": 3}, time_zone="Asia/Shanghai")
    table = care.calendar(found)
    assert list(table) == list(schema.TABLES["care"].columns)
    assert schema.conform("care", table).num_rows == len(table)
    assert set(table.what) == set(CARE_COLOURS) - {"action"}
    working = care.working_days("CN", care.ahead(AS_OF, company()))
    for kind in ("follow_up", "refresh"):
        some = table[table.what == kind]
        assert some.groupby(["owner", "day"]).size().max() == 3
        assert some.day.isin(working).all()
    assert table.day.between("2026-03-16", "2026-04-14").all()
    placed = found[found.day.notna()]
    assert (placed.day >= placed.due).all()
    assert not found.day[found.refused].notna().any()


def test_the_order_of_the_customers_does_not_matter(busy):
    people, tiers, records = busy
    again = people.sample(frac=1, random_state=3)
    shuffled = {name: tiers[name] for name in again.customer_id}
    pd.testing.assert_frame_equal(
        care.calendar(due(*busy)), care.calendar(due(again, shuffled, records))
    )


def test_what_is_given_stays_as_it_was(busy):
    people, tiers, records = busy
    before, cells = people.copy(deep=True), matrix(**tiers)
    care.due(people, cells, plan(), records, AS_OF, company())
    pd.testing.assert_frame_equal(people, before)
    pd.testing.assert_frame_equal(cells, matrix(**tiers))


def test_figures_by_hand():
    found = pd.DataFrame(
        [
            ("a", "2026-03-16", "follow_up", "Ann", 4, False),
            ("b", "2026-03-16", "follow_up", "Bo", 0, False),
            ("c", None, "follow_up", "Bo", 9, False),
            ("a", "2026-03-20", "birthday", "Ann", 0, False),
            ("d", None, "birthday", "Ann", 0, True),
            ("d", None, "follow_up", "Ann", 70, True),
            ("b", None, "refresh", "Bo", 1, False),
        ],
        columns=["customer_id", "day", "what", "owner", "overdue_days", "refused"],
    ).assign(day=lambda f: pd.to_datetime(f.day), detail="")
    assert care.figures(found, AS_OF, company()) == {
        "end": pd.Timestamp("2026-04-14"), "actions": 0, "visits": 3, "overdue": 2, "longest": 9,
        "owner": "Bo", "most": 2, "birthdays": 1,
        "anniversaries": 0, "profiles": 1, "no_room": 2, "refused": 1,
    }  # fmt: skip
    weeks = care.load(care.calendar(found))
    assert weeks.to_numpy().tolist() == [
        [pd.Timestamp("2026-03-16"), "birthday", 1], [pd.Timestamp("2026-03-16"), "follow_up", 2]
    ]  # fmt: skip


def test_the_sentence_names_no_address():
    found = pd.DataFrame(
        {
            "customer_id": ["a"],
            "day": [pd.Timestamp(AS_OF)],
            "what": "follow_up",
            "owner": "ann@company.example",
        }
    )
    figures = care.figures(found.assign(overdue_days=0, refused=False), AS_OF, company())
    assert figures["owner"] == "ann"


def test_the_kinds_have_words_and_colours():
    assert set(CARE_COLOURS) <= set(schema.LABELS)


# The file for calendars
HOLIDAYS = pd.DataFrame({"day": pd.to_datetime(["2026-04-05"]), "holiday": ["Tomb-Sweeping Day"]})
NONE = HOLIDAYS.head(0)


def rows(*ids, what="follow_up", detail="x", day="2026-03-16"):
    return pd.DataFrame(
        {"customer_id": list(ids), "day": pd.Timestamp(day), "what": what, "owner": "Ann"}
    ).assign(detail=detail, overdue_days=0)


def events(content):
    return Calendar.from_ical(content).walk("VEVENT")


def unfolded(content):
    """The lines of a file as RFC 5545 (3.1) has them, read without the library that wrote them."""
    return content.decode().replace("\r\n ", "").split("\r\n")[:-1]


def test_the_file_read_back_says_what_the_table_says(busy):
    table = care.calendar(due(*busy))
    found = events(care.ics(table, HOLIDAYS, "Demo", AS_OF))
    assert len(found) == len(table) + 1
    for event, row in zip(found, table.itertuples(), strict=False):
        assert event["SUMMARY"] == f"{say.word(row.what)}: {row.customer_id}"
        assert event["DESCRIPTION"] == row.detail
        assert event["DTSTART"].dt == row.day.date()  # a day and no moment
        assert event["DTSTART"].params["VALUE"] == "DATE"
        assert event["DTSTAMP"].dt == dt.datetime(2026, 3, 15, tzinfo=dt.UTC)
    assert (found[-1]["SUMMARY"], found[-1]["DTSTART"].dt) == (
        "Tomb-Sweeping Day",
        dt.date(2026, 4, 5),
    )
    assert len({event["UID"] for event in found}) == len(found)


def test_the_bytes_are_as_the_standard_wants_them():
    content = care.ics(rows("客户" * 60), HOLIDAYS, "Demo", AS_OF)
    assert content.startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:") and content.endswith(
        b"END:VCALENDAR\r\n"
    )
    assert b"\n" not in content.replace(b"\r\n", b"") and b"\r" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 75
    lines = unfolded(content)
    assert f"SUMMARY:Routine visit: {'客户' * 60}" in lines
    assert lines.count("DTSTAMP:20260315T000000Z") == 2
    assert "DTSTART;VALUE=DATE:20260316" in lines
    assert all(re.match(r"[A-Z-]+[;:]", line) for line in lines)


ATTACKS = [
    "a\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:gotcha",
    "a\nATTACH:file:///etc/passwd",
    "a\rBEGIN:VALARM",
    "a\x0bb\x0cc\x85d\u2028BEGIN:VTODO\u2029e\x1cf\x00g",
    "a\\nb\\,c;d,e\\",
    'a";CN="x:y',
    " \tBEGIN:VEVENT",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_no_text_of_the_data_becomes_a_line_of_the_file(text):
    table, days_ = rows(text, detail=text), HOLIDAYS.assign(holiday=text)
    content = care.ics(table, days_, text, AS_OF)
    plain = care.ics(rows("7"), HOLIDAYS, "Demo", AS_OF)
    names = [re.split("[:;]", line)[0] for line in unfolded(content)]
    assert names == [re.split("[:;]", line)[0] for line in unfolded(plain)]
    assert not re.search(
        rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]", content
    )
    assert len(events(content)) == 2


@given(st.text(max_size=60))
@settings(max_examples=15)
def test_a_text_comes_back_as_it_was_but_for_its_control_signs(text):
    [event] = events(care.ics(rows("7", detail=text), NONE, "Demo", AS_OF))
    lines = [re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]", "", line) for line in text.splitlines()]
    assert str(event["DESCRIPTION"]) == "\n".join(lines)


def test_uids_are_the_same_in_a_later_calendar_and_others_in_that_of_another_company():
    first, later = (
        care.ics(rows("7"), NONE, "A", AS_OF),
        care.ics(rows("6", "7", day="2026-04-20"), NONE, "A", dt.date(2026, 4, 15)),
    )
    assert events(first)[0]["UID"] == events(later)[1]["UID"] != events(later)[0]["UID"]
    assert events(care.ics(rows("7"), NONE, "B", AS_OF))[0]["UID"] != events(first)[0]["UID"]
    assert care.ics(rows("7"), NONE, "A", AS_OF) == first


def test_a_telephone_or_an_address_as_an_id_is_hidden(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    content = care.ics(
        rows("13800138000", "+86 138 0013 8000", "ann@company.example"), NONE, "A", AS_OF
    )
    assert not re.search(rb"SUMMARY[^\r]*138", content)
    assert b"company.example" not in content
    assert len({event["UID"] for event in events(content)}) == 3


def test_neither_persons_nor_owners_stand_in_the_file(busy):
    content = care.ics(care.calendar(due(*busy)), HOLIDAYS, "Demo", AS_OF).decode()
    for word in ("Secret", "0013 8000", "Ann", "Bo:"):
        assert word not in content.replace("Anniversary", "")


def test_nothing_to_do_is_no_file():
    assert care.ics(rows("7").head(0), NONE, "A", AS_OF) == b""


def test_holidays_alone_are_a_file():
    assert len(events(care.ics(rows("7").head(0), HOLIDAYS, "A", AS_OF))) == 1
