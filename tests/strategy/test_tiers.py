"""Tiers by one rule at every month end."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers as from_log
from analysis import schema
from analysis.engine import connect
from analysis.intake import readers
from analysis.segments import registry
from analysis.strategy import playbook, tiers
from analysis.strategy.tiers import TierRule

USUAL = playbook.load().tiers


def tier(name, why, **when):
    return {"tier": name, "when": when, "why": why}


EVERYBODY = tier("ordinary", "all the rest")


def lines_of(*lines):
    return [TierRule.model_validate(line) for line in (*lines, EVERYBODY)]


def people(**columns):
    """Customers a to f with what tiers are made of."""
    ids = list("abcdef"[: len(columns["window_revenue"])])
    usual = {"customer_id": ids, "window_orders": 1, "age_days": 400, "stage": "loyal"}
    return pd.DataFrame(usual | columns)


def tiers_of(*rules, **columns):
    rules = lines_of(*rules)
    return [rules[line].tier for line in tiers.lines(people(**columns), rules)]


# One rule
def test_the_first_line_that_holds_decides():
    """a holds 50 of 100 and so the whole first half; b with 30 begins at a half, c with 15 at 80 %,
    d at 95 %.
    """
    rules = [
        tier("strategic", "first half", revenue_within=0.5),
        tier("important", "up to 80 %", revenue_within=0.8),
        tier("important", "never reached", revenue_within=0.5),
    ]
    found = tiers.lines(people(window_revenue=[50.0, 30, 15, 5, 0, -3]), lines_of(*rules))
    assert found.tolist() == [0, 1, 3, 3, 3, 3]


def test_all_conditions_of_a_line_must_hold():
    """Revenue alone would make a, b, c strategic; a earns nothing, b is new, c is lost and has less
    to come than the first nine tenths, and d has too little revenue.
    """
    line = tier(
        "strategic", "all", revenue_within=0.9, profit_within=0.9, future_within=0.9, known_days=180
    )
    columns = {
        "window_revenue": [40.0, 30, 12, 5, 13],
        "window_profit": [-4.0, 3, 3, 9, 4],
        "stage": ["loyal", "loyal", "lost", "loyal", "loyal"],
    }
    found = tiers_of(line, **columns, age_days=[400, 179, 400, 400, 180])
    assert found == ["ordinary", "ordinary", "ordinary", "ordinary", "strategic"]


def test_value_to_come_is_that_of_the_window_and_less_after_a_long_pause():
    stages = ["prospect", "new", "repeat", "loyal", "silent", "lost"]
    found = tiers.value_to_come(people(window_revenue=[0.0, 10, 10, 10, 10, 10], stage=stages))
    assert found.tolist() == [0, 10, 10, 10, 7, 4]


def test_a_condition_on_profit_is_passed_over_where_no_cost_or_not_the_own_is_known():
    line = tier("strategic", "in profit", revenue_within=0.5, profit_within=0.5)
    for profit, expected in (
        ({}, ["strategic", "ordinary"]),
        ({"window_profit": [np.nan, np.nan]}, ["strategic", "ordinary"]),
        ({"window_profit": [-1.0, 2]}, ["ordinary", "ordinary"]),
        ({"window_profit": [np.nan, 2]}, ["strategic", "ordinary"]),
    ):
        assert tiers_of(line, window_revenue=[90.0, 10], **profit) == expected


def test_without_money_orders_stand_for_it():
    line = tier("strategic", "most orders", revenue_within=0.5, future_within=0.5)
    found = tiers_of(line, window_revenue=[np.nan] * 3, window_orders=[8, 1, 1])
    assert found == ["strategic", "ordinary", "ordinary"]


def test_equal_customers_are_of_equal_tier():
    line = tier("strategic", "first half", revenue_within=0.5)
    assert set(tiers_of(line, window_revenue=[7.0] * 6)) == {"strategic"}


@given(
    st.lists(st.floats(0.01, 1e6), min_size=2, max_size=6),
    st.permutations(range(6)),
    st.sampled_from([1e-3, 1e3]),
)
def test_neither_the_order_of_rows_nor_the_currency_moves_a_tier(values, order, factor):
    known = people(window_revenue=values)
    before = tiers.lines(known, USUAL)
    order = [n for n in order if n < len(values)]
    scaled = known.assign(window_revenue=known.window_revenue * factor).iloc[order]
    assert tiers.lines(scaled, USUAL).tolist() == before[order].tolist()


def test_the_invented_companys_tiers_are_found_among_those_who_stay(crm_demo):
    """Planted: 58 key accounts, and as important the 15 % of highest yearly value. Tiers go by what
    was bought and is to come, so who left is ordinary; key accounts that order seldom are not
    strategic. No ordinary account becomes so.
    """
    known = from_log.at(crm_demo.transactions, crm_demo.dataset.as_of, 365)
    known["stage"] = registry.segment(known).stage
    found = pd.Series([USUAL[line].tier for line in tiers.lines(known, USUAL)], known.customer_id)
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet")
    truth = truth.set_index("customer_id")
    here = truth[truth.index.isin(found.index) & truth.dropout_day.isna()]
    counts = pd.crosstab(here.tier_intent, found[here.index])
    shares = counts.div(counts.sum(axis=1), axis=0)
    assert counts.loc["ordinary"].get("strategic", 0) == 0
    assert shares.loc["strategic", ["strategic", "important"]].sum() > 0.85
    assert shares.loc["important", ["strategic", "important"]].sum() > 0.7
    assert shares.loc["ordinary", "ordinary"] > 0.85


# Month ends
def test_month_ends_by_hand():
    for oldest, as_of, expected in [
        ("2024-01-15", "2024-04-10", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-10"]),
        ("2025-01-31", "2025-02-28", ["2025-01-31", "2025-02-28"]),
        ("2025-03-05", "2025-03-05", ["2025-03-05"]),
    ]:
        found = tiers.month_ends(*map(dt.date.fromisoformat, (oldest, as_of)))
        assert [str(end) for end in found] == expected


# Held until a second month end agrees
def held(met, over=True):
    """The tiers that count, of tiers met (s, i, o, and - before the first order)."""
    names = np.array(["strategic", "important", "ordinary", ""])
    numbers = np.array([["sio".find(letter) for letter in met]])
    return "".join("sio-"[n] for n in tiers.held(numbers, names, over)[0])


def test_another_tier_counts_once_three_month_ends_agree():
    assert held("ssissiiiooioooi") == "sssssssiiiiiioo"
    assert held("--ioooi") == "--iiioo"
    assert held("ssiii", over=False) == "sssss"  # the month is not over
    assert held("----i", over=False) == "----i"


@settings(max_examples=60)
@given(st.text("sio", min_size=4, max_size=30))
def test_nobody_goes_and_comes_back_within_four_month_ends(met):
    counts = held(met)
    for n in range(len(counts) - 3):
        four = counts[n : n + 4]
        assert not (four[0] == four[3] != four[1]) and not (four[0] == four[2] != four[1])


# From a log
@pytest.fixture
def log(tmp_path):
    """A log of lines (customer, day, amount) as the table `transactions`."""

    def write(lines):
        frame = pd.DataFrame(lines, columns=["customer_id", "day", "amount"])
        frame["day"] = pd.to_datetime(frame.day).dt.date
        frame["amount"] = [Decimal(str(amount)) for amount in frame.amount]
        path = tmp_path / f"log_{len(list(tmp_path.iterdir()))}.parquet"
        schema.write(
            "transactions", frame.assign(source="log.csv", line=range(1, len(frame) + 1)), path
        )
        return connect().read_parquet(path)

    return write


def history(transactions, as_of, window=0, rules=USUAL):
    """Stages by given pauses: with the usual ones they are learned anew at each last month end."""
    asked = SimpleNamespace(value_window_days=window, silent_days=40, lost_days=80, horizon_days=30)
    return tiers.history(transactions, dt.date.fromisoformat(as_of), asked, rules)


def random_lines(seed=5):
    chance = np.random.default_rng(seed)
    days = pd.date_range("2025-01-10", "2025-06-30")
    return [
        (
            f"c{chance.integers(25):02}",
            str(days[chance.integers(len(days))].date()),
            round(float(chance.normal(30, 30)), 2),
        )
        for _ in range(200)
    ]


FIRST = lines_of(
    tier("strategic", "first 80 %", revenue_within=0.8),
    tier("important", "up to 95 %", revenue_within=0.95),
)


def test_history_by_hand(log):
    # January: a has 80, b 15, c 5 of 100. February with a window of 28 days: only c's 10 and b's
    # return count; so also in March and April, by c's further orders.
    lines = [("a", "2025-01-05", 80), ("b", "2025-01-10", 15), ("c", "2025-01-31", 5)]
    lines += [("c", "2025-02-10", 10), ("b", "2025-02-20", -3)]
    lines += [("c", "2025-03-10", 10), ("c", "2025-04-10", 10)]
    found = history(log(lines), "2025-04-30", 28, FIRST)
    table = found.pivot(index="customer_id", columns="month_end", values="tier").to_numpy()
    assert table.tolist() == [
        ["strategic", "strategic", "strategic", "ordinary"],  # for the third time below
        ["important", "important", "important", "ordinary"],
        ["ordinary", "ordinary", "ordinary", "strategic"],
    ]
    stages = found.pivot(index="customer_id", columns="month_end", values="stage").to_numpy()
    assert stages.tolist() == [  # silent after 40 days, lost after 80, loyal from five orders on
        ["new", "silent", "lost", "lost"],
        ["new", "silent", "silent", "lost"],  # 80 days on 31 March
        ["new", "repeat", "repeat", "repeat"],
    ]
    february = found[found.month_end == "2025-02-28"].set_index("customer_id")
    assert february.window_revenue.to_dict() == {
        "a": 0.0,
        "b": -3.0,
        "c": 10.0,
    }  # 31 January is 28 days back: just outside
    assert february.window_orders.to_dict() == {"a": 0, "b": 0, "c": 1}


@pytest.mark.parametrize("window", [0, 60])
def test_history_of_a_month_end_is_that_of_the_log_as_it_was_that_day(log, window):
    lines = random_lines()
    whole = history(log(lines), "2025-06-30", window)
    for end in ("2025-02-28", "2025-04-30"):
        known = history(log([line for line in lines if line[1] <= end]), end, window)
        pd.testing.assert_frame_equal(whole[whole.month_end <= end].reset_index(drop=True), known)


def test_within_a_month_no_night_changes_a_tier(log):
    """Whoever was known at the month end keeps the tier on each day of the next month."""
    transactions = log(random_lines())
    before = history(transactions, "2025-05-31", 60).pipe(lambda h: h[h.month_end == "2025-05-31"])
    before = before.set_index("customer_id").tier
    for day in range(1, 30, 4):
        tonight = history(transactions, f"2025-06-{day:02}", 60)
        last = tonight[tonight.month_end == tonight.month_end.max()].set_index("customer_id").tier
        assert last[before.index].equals(before)


def test_history_keeps_its_contract_and_shows_two_years(log):
    found = history(log([*random_lines(), ("c01", "2022-01-01", 5)]), "2025-06-15", 90)
    schema.conform("tier_history", found)
    assert found.month_end.nunique() == tiers.MONTH_ENDS


@pytest.mark.parametrize(
    ("window", "full"),
    [(0, [True, True]), (27, [True, True]), (28, [False, True]), (56, [False, False])],
)
def test_a_window_is_full_from_the_day_the_log_reaches_back_over_it(log, window, full):
    # From 5 January, the first day of the log, to 31 January are 27 days, to 28 February 55.
    found = history(log([("a", "2025-01-05", 10)]), "2025-02-28", window)
    assert found.full_window.tolist() == full


def test_today_is_the_last_day_of_the_history_and_who_ordered_nothing_is_potential(log):
    found = history(log(random_lines()), "2025-06-15", 90)
    last = found[found.month_end == "2025-06-15"]
    staged = people(window_revenue=[0.0, 9, 9], stage=["prospect", "loyal", "loyal"])
    staged["customer_id"] = ["nobody", *last.customer_id[:2]]
    made = tiers.today(found, staged, USUAL, "zh")
    assert made.tier.tolist() == ["potential", *last.tier[:2]]
    assert made.reason[0] == "尚未下单"
