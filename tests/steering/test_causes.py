import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from analysis import customers
from analysis.models.history import Records
from analysis.report.text import say
from analysis.steering import causes
from analysis.steering.facts import Facts, Span
from tests.steering.companies import company, dated, end_of_log, facts
from tests.steering.test_kpis import NOBODY, log_of, months_of

NOW = Span(pd.Timestamp("2024-06-30"), 3)


def sums(**columns):
    return pd.DataFrame(columns)


def test_the_factors_by_hand():
    """10 customers of 2 orders of 50 are 1,000; 20 of 1 of 50 are 1,000, too: twice the customers
    bring on average (2 + 1) / 2 x 50 more for each of 10, half the orders as much less.
    """
    before = sums(orders=[2] * 10, revenue=[100.0] * 10)
    now = sums(orders=[1] * 20, revenue=[50.0] * 20)
    found = causes.factors(now, before)
    assert found.factor.tolist() == ["customers", "orders_each", "order_value"]
    assert found.before.tolist() == [10, 2, 50] and found.now.tolist() == [20, 1, 50]
    assert found.change.tolist() == pytest.approx([750, -750, 0])
    # of nobody, all the money comes of there being customers
    assert causes.factors(now, before.head(0)).change.tolist() == pytest.approx([1000, 0, 0])
    assert causes.factors(before.head(0), before).change.tolist() == pytest.approx([-1000, 0, 0])
    assert causes.factors(now.head(0), before.head(0)).empty


LINES = st.lists(
    st.tuples(
        st.sampled_from("abcdefg"),
        st.integers(0, 181),
        st.integers(-500_00, 500_00),
        st.sampled_from(["x", "y", None]),
    ),
    min_size=1,
    max_size=40,
)


@tried(max_examples=20)
@given(LINES)
def test_everything_adds_up_to_the_cent(lines):
    """Half a year of lines, returns among them, of which the last quarter is held against the one
    before.
    """
    frame = pd.DataFrame(lines, columns=["customer_id", "day", "cents", "category"])
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame.day, unit="D")
    frame["amount"] = frame.pop("cents") / 100
    frame["category"] = frame.category.astype("str")  # also where none is known
    people = pd.DataFrame({"customer_id": [*"abcdefg"], "region": [*"nnssse", None]})
    people = people.assign(first_contact=pd.Timestamp("2024-01-01"), owner=[*"uuvvvvv"])
    log = dated(frame, "day")
    found = months_of(Records(log, profiles=dated(people, "first_contact")), "2024-06-30")
    money = frame.groupby(frame.day > NOW.start).amount.sum().reindex([False, True], fill_value=0)
    moved = money[True] - money[False]
    ordered = [found.during(span) for span in (NOW, NOW.before)]
    by_factor = causes.factors(*ordered)
    returns_alone = any((part.orders.sum() == 0) and len(part) for part in ordered)
    if not returns_alone:
        assert by_factor.change.sum() == pytest.approx(moved, abs=0.005)
    assert causes.courses(found, NOW, NOW.before).change.sum() == pytest.approx(moved, abs=0.005)
    by_group = causes.groups(found, NOW, NOW.before)
    for name, part in by_group.groupby("dimension"):
        assert part.change.sum() == pytest.approx(moved, abs=0.005), name
        assert part.now.sum() == pytest.approx(money[True], abs=0.005), name
    assert {*by_group.dimension} == {"region", "owner", "category"}


def test_what_customers_did_by_hand():
    log = log_of(
        ("back", "2023-10-01", 9), ("more", "2024-02-01", 10), ("less", "2024-02-01", 10),
        ("stop", "2024-03-01", 7), ("new", "2024-04-01", 5), ("back", "2024-05-01", 3),
        ("more", "2024-05-01", 12), ("less", "2024-05-01", 4), ("less", "2024-05-02", -1),
        ("stop", "2024-05-09", -2), ("returned", "2024-06-01", -3),
    )  # fmt: skip
    found = causes.courses(months_of(log, "2024-06-30"), NOW, NOW.before).set_index("course")
    assert found.change[[*causes.COURSES]].tolist() == [5, 3, 2, -7, -9, -3]  # a return is no order
    assert (found.customers == 1).all()


def quarters(random, now, before=100.0, customers=60):
    """A steady company over two quarters, and what each brings in the second."""
    ids = [f"c{n}" for n in range(customers)]
    rows = [(c, "2024-01-04", before * random.uniform(0.9, 1.1)) for c in ids]
    return rows + [(c, "2024-05-01", now(n) * random.uniform(0.9, 1.1)) for n, c in enumerate(ids)]


def told(rows, **profile):
    ids = sorted({row[0] for row in rows}, key=lambda name: int(name[1:]))
    people = pd.DataFrame({"customer_id": ids, **profile}).assign(at=pd.Timestamp("2024-01-01"))
    records = Records(log_of(*rows).transactions, profiles=dated(people, "at"))
    facts = months_of(records, "2024-06-30")
    spans = causes.times(facts)
    by = (
        causes.factors(facts.during(spans["now"]), facts.during(spans["before"])),
        causes.courses(facts, spans["now"], spans["before"]),
        causes.groups(facts, spans["now"], spans["before"]),
    )
    every = [*causes.standing(facts, spans), *causes.reasons(*by)]
    return [say(text, **values) for text, values in every]


def test_a_region_that_falls_is_named_and_a_steady_company_has_no_cause():
    random = np.random.default_rng(1)
    region = ["north" if n % 3 else "south" for n in range(60)]
    fallen = told(quarters(random, lambda n: 100 if n % 3 else 20), region=region)
    assert "less than in the quarter before" in fallen[0]
    assert fallen[1].startswith("Mainly because an order was worth less")
    assert any("south: " in said for said in fallen)
    assert not any("north" in said for said in fallen)
    steady = told(quarters(random, lambda n: 100), region=region)
    assert "within what chance brings" in steady[0] and "which chance may explain" in steady[1]
    assert not any(said.startswith("By ") for said in steady)


def test_a_group_of_customers_to_whom_nobody_comes_is_closed():
    growing = [("a", "2023-06-01", 1), ("b", "2024-05-01", 1), ("a", "2024-06-01", 1)]
    closed = [("a", "2023-06-01", 1), ("b", "2023-12-31", 1), ("a", "2024-06-01", 1)]
    assert months_of(log_of(*closed), "2024-06-30").closed
    assert not months_of(log_of(*growing), "2024-06-30").closed
    assert not months_of(log_of(*closed[2:]), "2024-06-30").closed  # one month


def test_of_a_log_without_money_nothing_is_said_of_revenue():
    rows = [(c, day, np.nan) for c in "ab" for day in ("2024-01-01", "2024-05-01")]
    found = months_of(log_of(*rows), "2024-06-30")
    assert causes.times(found) == {}
    money = months_of(log_of(("a", "2024-01-01", 1)), "2024-06-30")
    assert causes.times(money).keys() == {"now", "before"}


def test_a_log_of_one_month_compares_nothing():
    found = Facts(log_of(("a", "2024-06-01", 1)), NOBODY, NOW.end.date(), None)
    assert causes.times(found) == {} and [*causes.standing(found, {})] == []


def test_campaigns_of_the_months_that_are_proven_are_named():
    """300 treated who ordered .2 (.1 to .3) more: 60 (30 to 90) orders."""
    rows = [
        ("autumn", "2024-05-01", "random", 0.1), ("chance", "2024-05-02", "random", -0.1),
        ("alike", "2024-05-03", "observational", 0.1), ("spring", "2024-03-31", "random", 0.1),
    ]  # fmt: skip
    effects = pd.DataFrame(rows, columns=["campaign_id", "day", "proof", "orders_low"])
    effects["day"] = pd.to_datetime(effects.day)
    effects = effects.assign(treated=300, orders_effect=0.2, orders_high=0.3)
    (_, values), *others = causes.campaigns(effects, NOW)
    assert values["campaign"] == "autumn" and not others
    assert [values[n] for n in ("effect", "low", "high")] == pytest.approx([60, 30, 90])


def test_the_groups_of_then_are_tiers_and_segments_and_add_up():
    records, end = company(3, customers=150, months=40), end_of_log(40)
    found = facts(records, end)
    spans = causes.times(found)
    by_group = causes.groups(found, spans["now"], spans["year"])
    moved = by_group[by_group.dimension == "region"].change.sum()
    for name in causes.CLOSED:
        part = by_group[by_group.dimension == name]
        assert part.change.sum() == pytest.approx(moved, abs=0.005) and len(part) > 2, name
    ids = customers.at(records.transactions, spans["year"].end.date()).customer_id
    assert {*found.segment(spans["year"].end).index} == {*found.ids.get_indexer(ids)}
