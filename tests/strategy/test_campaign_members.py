import datetime as dt

import ibis
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.strategy import campaign_members
from tests.strategy.test_campaigns import AS_OF, DAY, LONG_AGO, SETTINGS, log_of, on


def member(*ids, arm="treat", day=DAY, name="A"):
    return pd.DataFrame(
        {"campaign_id": name, "customer_id": list(ids), "day": pd.Timestamp(day), "arm": arm}
    )


def test_windows_begin_and_end_on_the_right_days(ledger):
    days = [-366, -365, -31, -30, -1, 0, 1, 30, 31]
    log = ledger([LONG_AGO, *[("a", on(d), str(2**n)) for n, d in enumerate(days)]])
    [found] = campaign_members.outcomes(log, member("a"), 30, AS_OF).to_dict("records")
    assert (found["orders"], found["money"]) == (2, 2**6 + 2**7)
    assert (found["orders_before"], found["money_before"]) == (2, 2**3 + 2**4)
    assert (found["orders_year"], found["money_year"]) == (4, 2**1 + 2**2 + 2**3 + 2**4)
    assert found["recency_days"] == 1


def test_returns_lower_money_and_orders_of_a_day_are_one(ledger):
    log = ledger([LONG_AGO, ("a", on(2), "10"), ("a", on(2), "5"), ("a", on(4), "-3")])
    [found] = campaign_members.outcomes(log, member("a"), 30, AS_OF).to_dict("records")
    assert (found["orders"], found["money"]) == (1, 12)
    assert np.isnan(found["recency_days"])


def test_members_without_a_line_have_none_and_windows_not_over_or_before_the_log_are_left_out(
    ledger,
):
    log = ledger([("x", on(-10), "1")])
    people = pd.concat(
        [
            member("b", "a"),
            member("late", day=AS_OF - dt.timedelta(days=29)),
            member("early", day=on(-11)),
            member("first", day=on(-10)),
        ]
    )
    found = campaign_members.outcomes(log, people, 30, AS_OF)
    assert found.customer_id.tolist() == ["a", "b", "first"]
    assert found[["orders", "money", "orders_year", "money_before"]].eq(0).all(None)
    assert (
        len(
            campaign_members.outcomes(
                log, member("just", day=AS_OF - dt.timedelta(days=30)), 30, AS_OF
            )
        )
        == 1
    )


def test_without_amounts_orders_are_counted_and_money_is_not_known(ledger):
    log = ledger([LONG_AGO, ("a", on(2), "10")]).mutate(amount=ibis.null("decimal(38, 12)"))
    [found] = campaign_members.outcomes(log, member("a"), 30, AS_OF).to_dict("records")
    assert found["orders"] == 1
    assert np.isnan([found["money"], found["money_before"], found["money_year"]]).all()
    assert campaign_members.outcomes(log.filter(False), member("a"), 30, AS_OF).empty


LINES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(-400, 60).map(on),
        st.sampled_from(["-20", "0", "5", "7.5"]),
    ),
    max_size=15,
)


def by_hand(log, customer, window_days):
    """What `outcomes` promises in plain Python: orders, money, and those before."""
    mine = [((day - DAY).days, float(amount)) for c, day, amount in log if c == customer]

    def within(first, last):
        some = [(day, amount) for day, amount in mine if first <= day <= last]
        return len({day for day, amount in some if amount >= 0}), sum(amount for _, amount in some)

    last = max((day for day, amount in mine if amount >= 0 and day < 0), default=None)
    return [
        *within(1, window_days),
        *within(-window_days, -1),
        *within(-365, -1),
        np.nan if last is None else -last,
    ]


@given(LINES, st.sampled_from([1, 30, 60]), st.randoms(use_true_random=False))
@settings(max_examples=6)
def test_every_outcome_is_what_its_contract_says(ledger, log, window_days, random):
    found = campaign_members.outcomes(
        ledger([LONG_AGO, *random.sample(log, len(log))]), member("a", "b"), window_days, AS_OF
    )
    told = found[
        [
            "orders",
            "money",
            "orders_before",
            "money_before",
            "orders_year",
            "money_year",
            "recency_days",
        ]
    ]
    np.testing.assert_array_equal(told, [by_hand(log, c, window_days) for c in ("a", "b")])


@given(LINES)
@settings(max_examples=3)
def test_nothing_after_the_day_of_the_picture_matters(ledger, log):
    as_of = on(40)
    later = [("a", as_of + dt.timedelta(days=1), "99"), ("b", as_of + dt.timedelta(days=3), "-9")]
    early = [line for line in log if line[1] <= as_of]
    told = [
        campaign_members.outcomes(ledger([LONG_AGO, *lines]), member("a", "b"), 30, as_of)
        for lines in (early, early + later)
    ]
    pd.testing.assert_frame_equal(*told)


def test_members_are_once_by_the_arm_drawn():
    rows = [
        ("A", "twice", on(3), "treat"),
        ("A", "twice", DAY, "Treat "),
        ("A", "both", DAY, "treat"),
        ("A", "both", DAY, "control"),
    ]
    rows += [
        ("A", "held", DAY, "CONTROL"),
        ("A", "unsaid", DAY, None),
        ("A", "free", DAY, "exempt"),
        ("A", "late", AS_OF, "treat"),
    ]
    found = campaign_members.members(log_of(rows), on(10)).set_index("customer_id")
    assert found.arm.to_dict() == {"held": "control", "twice": "treat", "unsaid": "treat"}
    assert found.day["twice"] == pd.Timestamp(DAY)
    told = {"end": [on(9), on(5), *[None] * 6], "kind": [None, "mail", *[None] * 6]}
    told |= {"channel": [None, "post", *[None] * 6], "cost": [1.5, 2.0, *[np.nan] * 6]}
    types = {"end": "date", "kind": "string", "channel": "string", "cost": "float64"}
    names = ["campaign_id", "customer_id", "day", "arm"]
    schema = {name: "date" if name == "day" else "string" for name in names} | types
    whole = ibis.memtable(pd.DataFrame(rows, columns=names).assign(**told), schema=schema)
    found = campaign_members.members(whole, on(10)).set_index("customer_id")
    last = found.loc["twice", ["end", "kind", "channel", "cost"]]
    assert last.tolist() == [pd.Timestamp(on(9)), "mail", "post", 3.5]


def test_the_window_is_up_to_the_end_and_no_longer_than_the_horizon():
    ends = {"short": on(20), "long": on(200), "unsaid": None, "wrong": on(0), "next": on(1)}
    frame = pd.DataFrame(
        {
            "campaign_id": list(ends),
            "day": pd.Timestamp(DAY),
            "end": pd.to_datetime(list(ends.values())),
        }
    )
    assert campaign_members.windows(frame, SETTINGS) == {
        "short": 20,
        "long": SETTINGS.horizon_days,
        "unsaid": 45,
        "wrong": 45,
        "next": 1,
    }


def test_the_untreated_stand_beside_campaigns_that_held_nobody_back(ledger, monkeypatch):
    log = ledger([("new", on(0), "1"), *[(c, on(-1), "1") for c in "abcde"]])
    rows = pd.concat(
        [member("a", "b"), member("c", name="B"), member("d", name="B", arm="control")]
    )
    found = campaign_members.with_untreated(rows, log, AS_OF, seed=1)
    beside = found[found.compared.astype(bool)]
    assert sorted(beside.customer_id) == ["c", "d", "e"]
    assert set(beside.campaign_id) == {"A"} and set(beside.arm) == {"control"}
    assert (beside.day == pd.Timestamp(DAY)).all() and len(found) == 4 + 3
    monkeypatch.setattr(campaign_members, "MOST_COMPARED", 2)
    drawn = [campaign_members.with_untreated(rows, log, AS_OF, seed) for seed in range(9)]
    chosen = {frozenset(one.customer_id[one.compared.astype(bool)]) for one in drawn}
    assert {len(some) for some in chosen} == {2} and len(chosen) > 1


def test_other_campaigns_are_counted_from_the_first_day_to_before_the_last():
    people = pd.concat(
        [
            member("a"),
            member("a", day=on(-2), name="B"),
            member("a", day=on(3), name="C"),
            member("a", day=on(1), name="D", arm="control"),
        ],
        ignore_index=True,
    )
    mine = people[people.campaign_id == "A"]
    counts = {
        span: campaign_members.reached_by_others(mine, people, *span)[0]
        for span in [(-2, 0), (-1, 3), (-2, 4), (0, 1)]
    }
    assert counts == {(-2, 0): 1, (-1, 3): 0, (-2, 4): 2, (0, 1): 0}
