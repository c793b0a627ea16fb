import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.report.text import say
from analysis.steering import movement

TIERS = ["strategic", "important", "ordinary"]


def test_counts_show_every_tier_at_every_month_end():
    history = pd.DataFrame(
        {
            "month_end": pd.to_datetime(["2025-01-31"] * 3 + ["2025-02-28"]),
            "tier": ["ordinary", "ordinary", "strategic", "ordinary"],
        }
    )
    counts = movement.tier_counts(history)
    assert counts.columns.tolist() == TIERS
    assert counts.to_numpy().tolist() == [[1, 0, 2], [0, 0, 1]]


# Movement
def history_of(**tiers):
    """Tiers by customer over month ends from 31 January 2025 on."""
    ends = pd.date_range("2025-01-31", periods=max(map(len, tiers.values())), freq="ME")
    rows = [
        (customer, end, {"s": "strategic", "i": "important", "o": "ordinary"}[letter], 1, 1.0)
        for customer, letters in tiers.items()
        for end, letter in zip(ends[len(ends) - len(letters) :], letters, strict=True)
    ]
    return pd.DataFrame(
        rows, columns=["customer_id", "month_end", "tier", "window_orders", "window_revenue"]
    )


@pytest.mark.parametrize(
    ("months", "end"), [(0, "2025-04-30"), (1, "2025-03-31"), (3, "2025-01-31"), (12, "2025-01-31")]
)
def test_compared_with_the_month_end_so_many_before_or_the_first(months, end):
    history = history_of(a="ssss").sample(frac=1, random_state=1)
    assert movement.compared_with(history, months) == pd.Timestamp(end)


def test_migration_by_hand():
    history = history_of(a="sss", b="sio", c="ois", d="ooo", e="iii", late="i")
    table = movement.migration(movement.moves(history, 2))
    assert table.index.tolist() == TIERS
    assert table.columns.tolist() == TIERS
    assert table.to_numpy().tolist() == [
        [1, 0, 1],
        [0, 1, 0],
        [1, 0, 1],
    ]  # `late` was not there before
    assert movement.moved(table, "up") == 1
    assert movement.moved(table, "down") == 1
    assert [movement.stayed(table, tier) for tier in TIERS] == [0.5, 1.0, 0.5]


def test_the_share_that_stayed_in_an_empty_tier_is_not_known():
    table = movement.migration(movement.moves(history_of(a="oo"), 1))
    assert np.isnan(movement.stayed(table, "strategic"))


@settings(max_examples=12)
@given(st.lists(st.tuples(st.sampled_from("sio"), st.sampled_from("sio")), min_size=1, max_size=30))
def test_everybody_moved_up_or_down_or_stayed(pairs):
    moves = movement.moves(
        history_of(**{f"c{n}": "".join(pair) for n, pair in enumerate(pairs)}), 1
    )
    table = movement.migration(moves)
    rank = "sio".index
    assert movement.moved(table, "up") == sum(rank(after) < rank(before) for before, after in pairs)
    assert movement.moved(table, "down") == sum(
        rank(after) > rank(before) for before, after in pairs
    )
    assert np.trace(table.to_numpy()) == sum(before == after for before, after in pairs)
    assert len(movement.moved_down(moves)) == movement.moved(table, "down")


def moves(*rows):
    columns = [
        "customer_id",
        "tier_before",
        "tier_after",
        "orders_before",
        "orders_after",
        "revenue_before",
        "revenue_after",
    ]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("orders", "revenue", "why"),
    [
        ((4, 0), (100.0, 0.0), "no_orders"),
        ((4, 0), (100.0, -20.0), "no_orders"),  # only a return came
        ((4, 1), (100.0, 25.0), "fewer_orders"),  # a quarter of the orders, each as large
        ((4, 2), (100.0, 40.0), "fewer_orders"),  # half of the orders, each 4/5 as large
        ((4, 4), (100.0, 25.0), "smaller_orders"),  # as many, each a quarter as large
        ((4, 3), (100.0, 30.0), "smaller_orders"),  # 3/4 of the orders, each 2/5 as large
        ((4, 5), (100.0, 50.0), "smaller_orders"),  # more orders
        ((4, 1), (100.0, -5.0), "smaller_orders"),  # an order, but more was returned
    ],
)
def test_why_somebody_moved_down(orders, revenue, why):
    down = movement.moved_down(moves(("a", "strategic", "ordinary", *orders, *revenue)))
    assert down.why.tolist() == [why]
    assert down.loss.tolist() == [revenue[0] - revenue[1]]


def test_moved_down_lists_only_those_who_fell_the_largest_loss_first():
    found = movement.moved_down(
        moves(
            ("up", "ordinary", "strategic", 1, 2, 10.0, 900.0),
            ("same", "important", "important", 2, 2, 90.0, 20.0),
            ("little", "strategic", "important", 2, 1, 100.0, 60.0),
            ("tie_b", "important", "ordinary", 2, 0, 80.0, 0.0),
            ("tie_a", "strategic", "ordinary", 2, 0, 80.0, 0.0),
            ("outrun", "strategic", "important", 2, 2, 100.0, 120.0),
        )
    )
    assert found.customer_id.tolist() == ["tie_a", "tie_b", "little", "outrun"]
    assert found.loss.tolist() == [80.0, 80.0, 40.0, -20.0]
    assert found.why.tolist() == ["no_orders", "no_orders", "fewer_orders", "no_loss"]


def test_nobody_moved_down():
    assert movement.moved_down(moves(("a", "ordinary", "ordinary", 1, 1, 5.0, 5.0))).empty


def test_what_moved_down_is_said_by_what_it_lost():
    day = dt.date(2025, 1, 31)
    fallen = movement.moved_down(
        moves(
            ("a", "strategic", "ordinary", 4, 0, 90.0, 0.0),
            ("b", "strategic", "ordinary", 4, 1, 90.0, 10.0),
            ("c", "strategic", "important", 4, 1, 90.0, 10.0),
        )
    )
    text, values = movement.down_verdict(fallen, day)
    assert say(text, **values) == (
        "Of 3 customers who moved down, 3 bring less in the value window, by $250 together; most"
        " often the reason is: fewer orders (of customers: 2)."
    )
    text, values = movement.down_verdict(fallen.assign(loss=0.0), day)
    assert "bring no less than on that day: they fell before, or others rose." in say(
        text, **values
    )
    text, values = movement.down_verdict(fallen.head(0), day)
    assert say(text, **values) == "Nobody moved down a tier since Jan 31, 2025."
