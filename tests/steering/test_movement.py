import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import schema
from analysis.engine import connect
from analysis.report.text import say
from analysis.steering import movement

TIERS = ["strategic", "important", "ordinary"]


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


# Month ends
def test_month_ends_by_hand():
    for oldest, as_of, most, expected in [
        ("2024-01-15", "2024-04-10", 24, ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-10"]),
        ("2025-01-31", "2025-02-28", 24, ["2025-01-31", "2025-02-28"]),
        ("2020-01-01", "2025-03-05", 2, ["2025-02-28", "2025-03-05"]),
        ("2025-03-05", "2025-03-05", 24, ["2025-03-05"]),
    ]:
        found = movement.month_ends(*map(dt.date.fromisoformat, (oldest, as_of)), most)
        assert [str(end) for end in found] == expected


@settings(max_examples=25)
@given(st.dates(dt.date(1990, 1, 1), dt.date(2030, 1, 1)), st.integers(0, 1500), st.integers(1, 30))
def test_month_ends_rise_to_the_day_of_the_picture_through_last_days_of_months(oldest, days, most):
    as_of = oldest + dt.timedelta(days=days)
    *earlier, last = movement.month_ends(oldest, as_of, most)
    months = (as_of.year - oldest.year) * 12 + as_of.month - oldest.month + 1
    assert last == as_of
    assert len(earlier) + 1 == min(most, months)
    assert all((end + dt.timedelta(days=1)).day == 1 and oldest <= end < as_of for end in earlier)
    assert earlier == sorted(set(earlier))


# Tier history
def test_history_by_hand(log):
    # January: a has 80, b 15, c 5 of 100. February with a window of 28 days: only c's 10 and b's
    # return count.
    transactions = log(
        [
            ("a", "2025-01-05", 80),
            ("b", "2025-01-10", 15),
            ("c", "2025-01-31", 5),
            ("c", "2025-02-10", 10),
            ("b", "2025-02-20", -3),
        ]
    )
    history = movement.tier_history(transactions, dt.date(2025, 2, 28), window_days=28)
    january, february = (
        history[history.month_end == end].set_index("customer_id")
        for end in ("2025-01-31", "2025-02-28")
    )
    assert january.tier.to_dict() == {"a": "strategic", "b": "important", "c": "ordinary"}
    assert february.tier.to_dict() == {"a": "ordinary", "b": "ordinary", "c": "strategic"}
    assert february.window_revenue.to_dict() == {
        "a": 0.0,
        "b": -3.0,
        "c": 10.0,
    }  # 31 January is 28 days back: just outside
    assert february.window_orders.to_dict() == {"a": 0, "b": 0, "c": 1}


@pytest.mark.parametrize("window", [0, 60])
def test_history_of_a_month_end_is_that_of_the_log_as_it_was_that_day(log, window):
    lines = random_lines()
    whole = movement.tier_history(log(lines), dt.date(2025, 6, 30), window)
    for end in ("2025-02-28", "2025-04-30"):
        then = log([line for line in lines if line[1] <= end])
        known = movement.tier_history(then, dt.date.fromisoformat(end), window)
        pd.testing.assert_frame_equal(whole[whole.month_end <= end].reset_index(drop=True), known)


def test_history_keeps_its_contract(log):
    schema.conform(
        "tier_history", movement.tier_history(log(random_lines()), dt.date(2025, 6, 15), 90)
    )


@pytest.mark.parametrize(
    ("window", "full"),
    [(0, [True, True]), (27, [True, True]), (28, [False, True]), (56, [False, False])],
)
def test_a_window_is_full_from_the_day_the_log_reaches_back_over_it(log, window, full):
    # From 5 January, the first day of the log, to 31 January are 27 days, to 28 February 55.
    history = movement.tier_history(log([("a", "2025-01-05", 10)]), dt.date(2025, 2, 28), window)
    assert history.full_window.tolist() == full


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


def test_nobody_moved_down():
    assert movement.moved_down(moves(("a", "ordinary", "ordinary", 1, 1, 5.0, 5.0))).empty


def test_movement_between_two_month_ends_of_a_log(log):
    transactions = log(
        [
            ("a", "2025-01-05", 50),
            ("a", "2025-01-20", 50),
            ("b", "2025-01-05", 5),
            ("a", "2025-02-10", 5),
            ("b", "2025-02-10", 95),
        ]
    )
    history = movement.tier_history(transactions, dt.date(2025, 2, 28), window_days=28)
    # January: a 100 of 105, b begins at 95.2 %: ordinary. February: b 95 of 100, a begins at 95 %:
    # ordinary.
    table = movement.migration(movement.moves(history, 1))
    assert table.loc["strategic", "ordinary"] == 1
    assert table.loc["ordinary", "strategic"] == 1
    [fallen] = movement.moved_down(movement.moves(history, 1)).to_dict("records")
    assert (
        fallen["customer_id"],
        fallen["loss"],
        fallen["orders_before"],
        fallen["orders_after"],
    ) == ("a", 95.0, 2, 1)
    assert fallen["why"] == "smaller_orders"  # half of the orders, each a tenth as large


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
        "Customers who moved down bring $250 less in the value window; most often the reason is:"
        " fewer orders (of customers: 2)."
    )
    text, values = movement.down_verdict(fallen.assign(loss=0.0), day)
    assert "bring no less than before: others grew faster." in say(text, **values)
    text, values = movement.down_verdict(fallen.head(0), day)
    assert say(text, **values) == "Nobody moved down a tier since Jan 31, 2025."
