import datetime as dt
from functools import cache

import duckdb
import numpy as np
import pandas as pd
import pytest

from analysis import schema
from analysis.models.history import Records
from analysis.steering import kpis
from analysis.steering.facts import Facts, Span
from tests.steering.companies import SETTINGS, company, dated, end_of_log, facts

MONTHS = 40
NOBODY = pd.DataFrame({"customer_id": [], "month_end": [], "tier": [], "full_window": []}).astype(
    {"full_window": bool}
)


@cache
def shop() -> Facts:
    records = company(1, customers=200, months=MONTHS)
    talks = records.transactions.to_pandas().iloc[::7][["customer_id", "day"]]
    talks = talks.assign(channel="phone", owner="someone")
    tickets = records.transactions.to_pandas().iloc[::11][["customer_id", "day"]]
    tickets["closed"] = pd.to_datetime(tickets.day) + pd.to_timedelta(
        np.arange(len(tickets)) % 9, unit="D"
    )
    tickets = tickets.assign(kind="complaint", score=np.nan)
    said = records.feedback.to_pandas().assign(closed=pd.NaT)
    nps = said.iloc[::2].assign(kind="nps", score=lambda rows: 2 * rows.score)
    both = pd.concat([said, nps, tickets]).astype({"closed": "datetime64[s]"})
    log = records.transactions.to_pandas()
    costs = dated(log.assign(cost=log.amount / 2), "day")
    people = records.profiles.to_pandas()
    people["consent"] = pd.array(np.arange(len(people)) % 3 == 0, "boolean")
    people.loc[::5, "consent"] = pd.NA
    people = dated(people, "first_contact")
    every = Records(costs, dated(talks, "day"), dated(both, "day"), None, people)
    return facts(every, end_of_log(MONTHS))


# Every figure of the quarter that ends at :last and begins after :start, in SQL of its own.
DAYS = "(select customer_id, day, sum(amount) net, sum(amount - cost) gain from o group by all)"
FIRST = "(select customer_id, min(day) first from o group by all)"
NOW = "day > :start and day <= :last"
THEN = "day > :earlier and day <= :start"
BUYERS = "(select distinct customer_id from o where {})"
ANSWER = (
    "(select customer_id, arg_max(score, (day, -score)) score from f"
    f" where kind = '{{}}' and {NOW} group by all)"
)
TIER = "(select customer_id from t where month_end = :last and tier = 'strategic')"
SQL = {
    "revenue": f"select sum(net) from {DAYS} where {NOW}",
    "profit": f"select sum(gain) from {DAYS} where {NOW}",
    "active": f"select count(*) from {BUYERS.format(NOW)}",
    "new": f"select count(*) from {FIRST} where first > :start and first <= :last",
    "back": f"""select count(*) from {BUYERS.format(NOW)} join {FIRST} using (customer_id)
        where first <= :start and customer_id not in {BUYERS.format(THEN)}""",
    "stopped": f"""select count(*) from {BUYERS.format(THEN)}
        where customer_id not in {BUYERS.format(NOW)}""",
    "orders_each": f"select count(*) / count(distinct customer_id) from {DAYS} where {NOW}",
    "order_value": f"select sum(net) / count(*) from {DAYS} where {NOW}",
    "repeat_rate": f"""select avg((orders >= 2)::int) from
        (select customer_id, count(*) orders from {DAYS} where day <= :last group by all)""",
    "second_order_rate": f"""select avg(coalesce(later <= first + 91, false)::int)
        from {FIRST} left join (select customer_id, day as later from {DAYS}
        qualify row_number() over (partition by customer_id order by day) = 2) using (customer_id)
        where first + 91 > :start and first + 91 <= :last""",
    "strategic_share": f"""select sum(net) filter (customer_id in {TIER}) / sum(net) from {DAYS}
        where {NOW}""",
    "value_to_come": """select sum(window_revenue * case stage when 'silent' then 0.7
        when 'lost' then 0.4 else 1 end) from t where month_end = :last""",
    "satisfied": f"select avg((score >= 4)::int) from {ANSWER.format('csat')}",
    "nps": f"""select 100 * (avg((score >= 9)::int) - avg((score <= 6)::int))
        from {ANSWER.format("nps")}""",
    "complaints": f"select count(*) from f where kind = 'complaint' and {NOW}",
    "days_to_close": """select avg(date_diff('day', day, closed::date)) from f
        where kind = 'complaint' and closed > :start and closed <= :last""",
    "conversion": f"""select avg(coalesce(first <= first_contact + 91, false)::int)
        from p left join {FIRST} using (customer_id) where (first is null or first >= first_contact)
        and first_contact + 91 > :start and first_contact + 91 <= :last""",
    "contactable": "select avg(coalesce(consent, false)::int) from p",
    "strategic_contacts": f"""select (select count(*) from (select distinct customer_id, day from i
        where {NOW} and customer_id in {TIER})) / (select count(*) from {TIER})""",
}


@pytest.fixture(scope="module")
def engine():
    of, found = shop().records, duckdb.connect()
    tiers = shop()._tiers
    for name, rows in {
        "o": of.transactions.to_pandas(),
        "f": of.feedback.to_pandas(),
        "p": of.profiles.to_pandas(),
        "i": of.interactions.to_pandas(),
        "t": tiers,
    }.items():
        found.register(f"{name}_", rows)
        days = [c for c in ("day", "first_contact", "month_end") if c in rows]
        cast = ", ".join(f"{c}::date as {c}" for c in days)
        found.execute(f"create table {name} as select * replace ({cast}) from {name}_")
    return found


@pytest.mark.parametrize("ago", [0, 3])
def test_every_figure_is_that_of_the_records(engine, ago):
    assert SQL.keys() == kpis.KPIS.keys()
    last = Span(shop().last, 3).ago(ago).end
    quarter = Span(last, 3)
    days = {"last": last, "start": quarter.start, "earlier": quarter.before.start}
    for name, text in SQL.items():
        query = text
        for key, day in days.items():
            query = query.replace(f":{key}", f"date '{day.date()}'")
        expected = engine.execute(query).fetchone()[0]
        found = kpis.estimate(kpis.KPIS[name].of(shop(), quarter))
        if name == "contactable" and ago:
            assert np.isnan(found)  # profiles do not say since when
            continue
        assert found == pytest.approx(float(expected), rel=1e-9), name
        assert expected, name  # not nothing against nothing


def test_the_figure_of_a_tier_is_of_who_is_in_it_at_the_end(engine):
    last = shop().last
    start, end = (f"date '{day.date()}'" for day in (Span(last, 3).start, last))
    query = f"select sum(net) from {DAYS} where {NOW} and customer_id in {TIER}"
    expected = engine.execute(query.replace(":start", start).replace(":last", end)).fetchone()[0]
    found = kpis.compared(shop(), "revenue", Span(last, 3), "strategic")
    assert found["value"] == pytest.approx(float(expected)) and expected > 0


def test_an_entry_says_all_that_a_page_needs():
    for name, entry in kpis.KPIS.items():
        assert entry.label and entry.better in ("", "higher", "lower"), name
        assert entry.form in ("money", "int", "number", "percent", "short"), name


def log_of(*rows):
    """Orders: customer, day, amount."""
    frame = pd.DataFrame(rows, columns=["customer_id", "day", "amount"])
    return Records(dated(frame.assign(day=pd.to_datetime(frame.day)), "day"))


def months_of(records, as_of):
    return Facts(records, NOBODY, dt.date.fromisoformat(as_of), SETTINGS)


def test_months_that_are_not_over_are_left_out():
    log = log_of(("a", "2024-01-01", 1), ("a", "2024-02-29", 2), ("b", "2024-03-30", 4))
    for as_of, last in (("2024-03-30", "2024-02-29"), ("2024-03-31", "2024-03-31")):
        found = months_of(log, as_of)
        assert found.last == pd.Timestamp(last)
        assert found.spans(1, 99)[0].end == pd.Timestamp(last)
    assert found.covers(Span(found.last, 3)) and not found.covers(Span(found.last, 4))


def test_new_came_back_and_stopped_by_hand():
    """In the quarter from April a is new, b came back after the one before, c goes on; d stopped
    and e, who only returned something, is none of them.
    """
    log = log_of(
        ("b", "2023-10-01", 1), ("c", "2023-12-01", 1), ("c", "2024-02-01", 1),
        ("d", "2024-03-31", 1), ("a", "2024-04-01", 1), ("b", "2024-05-01", 1),
        ("c", "2024-06-30", 1), ("e", "2024-06-01", -5),
    )  # fmt: skip
    found = months_of(log, "2024-06-30")
    span = Span(found.last, 3)
    counts = {
        n: kpis.estimate(kpis.KPIS[n].of(found, span)) for n in ("active", "new", "back", "stopped")
    }
    assert counts == {"active": 3, "new": 1, "back": 1, "stopped": 1}
    assert kpis.estimate(kpis.KPIS["revenue"].of(found, span)) == -2


def test_a_change_by_hand():
    """Customers who brought 1, 2, 3 and bring 2, 2, 0, and a new one of 4: moves of 1, 0, -3 and 4.
    A ratio of 40 customers, half of whom hold, against 40 of whom a quarter do: errors of
    independent shares.
    """
    before = pd.DataFrame({"above": [1.0, 2, 3]}, list("abc"))
    now = pd.DataFrame({"above": [2.0, 2, 4]}, list("abd"))
    assert kpis.change(now, before) == pytest.approx((2, np.sqrt(1 + 9 + 16)))
    half = kpis._share(pd.Series([True] * 20 + [False] * 20, range(40)))
    quarter = kpis._share(pd.Series([True] * 10 + [False] * 30, range(40, 80)))
    moved, error = kpis.change(half, quarter)
    assert (moved, error) == pytest.approx((0.25, np.sqrt(0.25 / 40 + 0.1875 / 40)))
    assert np.isnan(kpis.change(half.head(29), quarter)[1])  # of too few chance is not known
    assert np.isnan(kpis.change(half, quarter.head(0))).all()


def test_what_some_say_has_an_interval_and_what_is_counted_has_none():
    """40 answers of which half are good: .5, 1.96 times the root of .25 / 40 to either side."""
    half = kpis._share(pd.Series([True, False] * 20, range(40)))
    reach = 1.96 * np.sqrt(0.25 / 40)
    assert kpis.interval("satisfied", half) == pytest.approx((0.5 - reach, 0.5 + reach))
    assert np.isnan(kpis.interval("repeat_rate", half)).all()
    assert np.isnan(kpis.interval("satisfied", half.head(29))).all()


def test_a_verdict_needs_the_interval_on_one_side_and_knows_the_better_one():
    assert (
        kpis.verdict("revenue", -2, -1) == "worse" and kpis.verdict("stopped", -2, -1) == "better"
    )
    assert kpis.verdict("strategic_share", 1, 2) == "more"
    assert kpis.verdict("revenue", -1, 1) == "chance" and kpis.verdict("revenue", np.nan, 1) == ""


def test_the_table_holds_its_contract_and_compares_the_last_months_alone():
    found = kpis.table(shop())
    schema.conform("kpis", found)
    last = found.month_end == shop().last
    assert found[last].before.notna().any() and found[~last].before.isna().all()
    assert {*found.kpi} == {*kpis.KPIS}
    in_words = kpis.in_words(found, 3)
    assert len(in_words) == len(kpis.KPIS) and not in_words.before_moved.str.contains("nan").any()
    assert in_words.before_moved.str.fullmatch(
        r"–|([+-]|0\b).+?(, (better|worse|more|less|within chance))?"
    ).all()


def test_a_company_without_money_feedback_or_profiles_has_what_is_left():
    frame = pd.DataFrame({"customer_id": list("ab") * 3, "amount": np.nan})
    frame["day"] = pd.to_datetime(["2024-01-01", "2024-01-05"] + ["2024-02-03", "2024-03-04"] * 2)
    found = kpis.table(months_of(Records(dated(frame, "day")), "2024-03-31"))
    assert {*found.kpi} >= {"active", "orders_each", "repeat_rate"}
    assert not {*found.kpi} & {"revenue", "order_value", "nps", "conversion", "profit"}


@pytest.mark.slow
def test_where_nothing_changes_one_verdict_in_twenty_is_by_chance():
    """Over quarters of twenty companies, those half a year apart, whose tests hardly overlap."""
    false, every = 0, 0
    for seed in range(20):
        found = months_of(company(seed, customers=600), str(end_of_log()))
        for n in range(0, 24, 6):
            span = Span(found.spans(3, 60)[n].end, 3)
            for name in ("orders_each", "order_value", "satisfied"):
                row = kpis.compared(found, name, span)
                false += row["before_verdict"] in ("better", "worse")
                every += row["before_verdict"] != ""
    assert every > 200 and 0.02 < false / every < 0.09
