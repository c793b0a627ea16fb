"""What leaving is, and customers at past days with whether they left."""

import datetime as dt
from types import SimpleNamespace

import pandas as pd
import pytest
from ibis import _

from analysis.intake.dataset import Dataset
from analysis.models import churn, leaving, orders
from analysis.models.churn import Origin, Trial
from analysis.models.history import Records
from analysis.models.leaving import Past
from tests.bench import worlds
from tests.models.churn_cases import (
    AS_OF,
    HORIZON,
    MEASURED,
    NOTHING,
    SHOP,
    ago,
    lines,
    log,
    profiles,
    shop,
)

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


# What leaving is
def test_without_an_order_within_the_horizon_a_customer_has_left():
    held = pd.DataFrame({"next_order_days": [1, 91, 92, NOTHING]})
    assert leaving.left(held, "horizon", 91).tolist() == [False, False, True, True]


def test_by_rhythm_the_own_pause_counts_but_no_more_than_the_horizon():
    """Nor more where no pause makes a customer silent."""
    held = pd.DataFrame(
        {
            "next_order_days": [30, 31, 91, 92, NOTHING, 91, 92],
            "silent_after_days": [30, 30, 200, 200, 30, NOTHING, NOTHING],
        }
    )
    assert leaving.left(held, "rhythm", 91).tolist() == [*[False, True] * 2, True, False, True]


def test_the_days_of_the_horizon_are_those_after_the_origin():
    rows = [
        *(
            (name, ago(100), 5)
            for name in ("on the day", "next day", "last day", "too late", "returned", "never")
        ),
        ("on the day", MEASURED, 5),
        ("next day", ago(-1, MEASURED), 5),
        ("last day", AS_OF, 5),
        ("too late", ago(-1), 5),
        ("returned", ago(50), -5),
        ("stranger", ago(50), 5),
    ]
    held = Past(log(rows), SHOP).at(MEASURED).set_index("customer_id")
    assert held.left.to_dict() == {
        "on the day": True, "next day": False, "last day": False, "too late": True,
        "returned": True,
        "never": True,
    }  # fmt: skip
    assert held.next_order_days.dropna().to_dict() == {"next day": 1, "last day": 91}


def test_by_rhythm_a_shorter_pause_decides_in_a_log():
    rows = [(name, ago(100 + 10 * n), 5) for name in ("soon", "late") for n in range(5)]
    rows += [("soon", ago(71), 5), ("late", ago(51), 5)]
    told = shop(churn="rhythm", silent_days=30, lost_days=60)
    assert Past(log(rows), told).at(MEASURED).set_index("customer_id").left.to_dict() == {
        "late": True,
        "soon": False,
    }


def contracts(*rows, columns, definition="contract"):
    """What is held of customers (a, b, c, …) who ordered long ago and whose profiles say this."""
    names = "abcdefghij"[: len(rows)]
    values = dict(zip(columns, zip(*rows, strict=True), strict=True))
    records = profiles(
        log([(name, ago(200), 5) for name in names] + [("z", ago(200), 5)]),
        customer_id=names,
        **values,
    )
    past = Past(records, shop(columns, churn=definition))
    return (
        past,
        past.known(MEASURED).customer_id.tolist(),
        past.at(MEASURED).set_index("customer_id").left.to_dict(),
    )


def test_with_a_date_the_contract_that_ends_within_the_horizon_is_left():
    """Nothing is said of z, whose contract has no end."""
    ends = [MEASURED, ago(-1, MEASURED), AS_OF, ago(-1), None]
    _, known, held = contracts(*((end,) for end in ends), columns=["contract_end"])
    assert known == ["b", "c", "d", "e", "z"]  # that of a was over
    assert held == {"b": True, "c": True, "d": False, "e": False, "z": False}


def test_with_a_flag_alone_the_flag_is_the_outcome_and_an_empty_one_is_left_out():
    past, known, held = contracts((True,), (False,), (None,), columns=["churned"])
    assert known == ["a", "b", "c", "z"]
    assert held == {"a": True, "b": False}
    today = Trial(Origin(MEASURED, past.known(MEASURED), pd.DataFrame({"left": []})), None)
    assert churn.unlabelled(today) == 2  # c, and z without a profile


def test_with_both_only_a_flagged_contract_ended_and_what_nobody_says_is_left_out():
    before, within, after = ago(10, MEASURED), ago(10), ago(-10)
    rows = [(end, flag) for end in (before, within, after) for flag in (True, False, None)]
    _, known, held = contracts(*rows, columns=["contract_end", "churned"])
    assert known == [*"bcdefghi", "z"]  # a had left; b and c stayed for all that is known
    assert held == {"b": False, "d": True, "e": False, "g": False, "h": False}


def test_customers_whose_contract_was_over_leave_no_gap():
    """By the day itself; of the flagged only where there are flags. The frame stays as it was."""
    ends, known = [MEASURED, ago(-1, MEASURED), None], pd.DataFrame({"customer_id": list("abc")})
    for flags, kept in ({}, "bc"), ({"churned": [False, True, None]}, "abc"):
        people = pd.DataFrame({"customer_id": list("abc"), "contract_end": ends} | flags)
        records = SimpleNamespace(profile_columns=lambda *_, people=people: people)
        found = leaving.with_contracts(known, records, MEASURED)
        assert found.customer_id.to_dict() == dict(enumerate(kept))
    assert list(known) == ["customer_id"]


def test_of_who_left_nobody_says_when_nothing_is_learned():
    _, _, held = contracts(
        (None, True), (None, False), (ago(10), True), columns=["contract_end", "churned"]
    )
    assert held == {"b": False, "c": True}


def test_flags_that_are_all_empty_leave_nobody():
    past, known, held = contracts((None,), (None,), columns=["churned"])
    assert known == ["a", "b", "z"]
    assert held == {}
    assert past.at(MEASURED).left.dtype == bool


@pytest.mark.parametrize(
    ("leavers", "stayers", "enough"),
    [(30, 30, True), (29, 100, False), (100, 29, False), (0, 0, False)],
)
def test_learning_takes_thirty_of_each(leavers, stayers, enough):
    assert leaving.learnable(pd.Series([True] * leavers + [False] * stayers)) is enough


@pytest.mark.parametrize(("count", "model"), [(5, "too few"), (200, "probabilistic")])
def test_expected_orders_are_those_of_a_model_that_can_be_estimated(count, model):
    known = Past(log(lines(count)), SHOP).known(MEASURED)
    wanted = (
        orders.AverageRate()
        if model == "too few"
        else orders.BuyTillYouDie(orders.BTYD["pareto_nbd"])
    )
    assert known.expected.to_numpy() == pytest.approx(
        wanted.fit(known).predict(known, HORIZON).to_numpy()
    )


def test_days_read_together_or_one_by_one_expect_the_same_orders_and_none_of_a_later_day():
    """A fit begins at that of the day before; one of a later day would know what came."""
    days = [MEASURED - dt.timedelta(days=n) for n in (0, 30, 60)]
    together, single = (Past(log(lines(200)), SHOP) for _ in range(2))
    together.read(days)
    for day in days:  # the latest first
        alone, known = single.known(day).expected, together.known(day).expected
        assert known.to_numpy() == pytest.approx(alone.to_numpy(), rel=1e-6)
        fresh = Past(log(lines(200)), SHOP)
        assert (fresh.known(day).expected == alone).all(), "no later day was begun at"


# Samples
@pytest.fixture
def at_most_80(monkeypatch):
    monkeypatch.setattr(leaving, "MOST_CUSTOMERS", 80)


def ids_of(records):
    return sorted(records.transactions.customer_id.execute().unique())


def test_a_sample_has_as_many_customers_as_it_may_and_the_same_in_any_order(at_most_80):
    rows = lines(150, days=150)
    some, mixed = (leaving.sample(log(order), 1) for order in (rows, rows[::-1]))
    assert len(ids_of(some)) == 80
    assert ids_of(some) == ids_of(mixed)
    assert ids_of(some) != ids_of(leaving.sample(log(rows), 2))
    count = pd.DataFrame(rows)[0].isin(ids_of(some)).sum()
    assert some.transactions.count().execute() == count  # all their lines


def test_no_sample_is_drawn_where_all_can_be_taken(at_most_80):
    few = log(lines(60, days=100))
    assert leaving.sample(few, 1) is few


def test_who_is_drawn_stays_drawn_when_others_leave():
    ids = pd.Series([f"c{n:03}" for n in range(100)])
    many = {*ids[leaving.drawn(ids, 1, 40)]}
    fewer = ids[ids.isin(many) | (ids < "c050")]
    assert len(many) == 40
    assert {*fewer[leaving.drawn(fewer, 1, 40)]} == many
    assert leaving.drawn(ids, 1, 100).all()


# The calendar
def after_christmas():
    """A company whose customers order four times as much before Christmas, on New Year's Eve; and
    who ordered in the quarter that followed.
    """
    world = worlds.WORLDS["christmas"]
    past, later, *_rest = worlds.simulate(world, 11)
    end = world.day + dt.timedelta(days=worlds.HORIZON_DAYS)
    came = set(later.customer_id[later.day <= end])
    return Records(worlds.as_log(past)), world.day, came


def test_the_level_knows_that_christmas_is_over():
    """After a peak fewer order; a model that knows no calendar says that as few leave as in the
    peak. Chance alone moves the share of some 1,500 customers by 1.3 points.
    """
    records, day, came = after_christmas()
    columns = {"customer_id": "c", "date": "d", "amount": "a"}
    settings = Dataset(name="w", tables={"transactions": {"path": "x.csv", "columns": columns}})
    found = churn.trial(records, day, settings, "expected_rule")
    active = found.today.active
    left = ~found.known.customer_id.isin(came)[active]
    assert found.risks[active].mean() == pytest.approx(left.mean(), abs=0.04)

    past = found.past
    measured, now = found.measured.day, day
    known = Past(Records(records.transactions.filter(_.day <= measured)), settings)
    assert past.calendar(measured) == known.calendar(measured)  # of nothing that came later
    assert past.calendar(now) != past.calendar(measured)
    held = past.known(now)
    assert not held.expected.equals(past.in_season(held, now, now).expected)
    contracts = Past(records, settings.model_copy(update={"churn": "contract"}))
    assert contracts.calendar(now) is None
