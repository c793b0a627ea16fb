import datetime as dt
from decimal import Decimal

import ibis
import pandas as pd
import pyarrow as pa

from analysis import schema
from analysis.strategy import call_lists

AS_OF = dt.date(2024, 3, 31)
NOTHING = float("nan")


# What was bought last
def log(rows, **more):
    """The table `transactions` from (customer_id, day of March, product, category, amount)."""
    ids, days, products, categories, amounts = zip(*rows, strict=True)
    money = [None if amount is None else Decimal(amount) for amount in amounts]
    columns = {
        "customer_id": pa.array(ids, pa.string()),
        "day": pa.array([dt.date(2024, 3, day) for day in days], pa.date32()),
        "amount": pa.array(money, pa.decimal128(38, 12)),
        "product": pa.array(products, pa.string()),
        "category": pa.array(categories, pa.string()),
    }
    return ibis.memtable(pa.table(columns | more))


def items(transactions, as_of=AS_OF):
    found = call_lists.last_items(transactions, as_of)
    return dict(zip(found.customer_id, found.last_items, strict=True))


def test_the_three_dearest_of_the_last_order_day_of_equals_by_name():
    rows = [
        ("a", 1, "gold", None, 900),  # earlier
        ("a", 9, "tea", None, 5),
        ("a", 9, "mugs", None, 8),
        ("a", 9, "tea", None, 4),  # tea makes 9 in two lines
        ("a", 9, "beans", None, 8),
        ("a", 9, "sugar", None, 7),
        ("b", 2, "milk", None, 1),
    ]
    assert items(log(rows)) == {"a": "tea, beans, mugs", "b": "milk"}
    assert items(log(rows[::-1])) == items(log(rows))


def test_a_return_is_no_last_order_and_neither_is_a_line_of_later_days():
    rows = [
        ("a", 1, "tea", None, 5),
        ("a", 5, "tea", None, -5),
        ("a", 9, "mugs", None, 5),
        ("b", 9, "mugs", None, 5),
    ]
    assert items(log(rows), dt.date(2024, 3, 8)) == {"a": "tea"}
    back = log([*rows[:2], ("a", 6, "beans", None, 0)], quantity=pa.array([1.0, 1, -1]))
    assert items(back) == {"a": "tea"}


def test_what_of_the_last_order_is_not_known_is_not_taken_from_an_earlier_one():
    rows = [
        ("a", 1, "tea", None, 5),
        ("a", 9, None, None, 7),
        ("b", 9, "mugs", None, 5),
        ("b", 9, None, None, 7),
    ]
    assert items(log(rows)) == {"b": "mugs"}


def test_for_products_that_are_numbers_categories_stand():
    rows = [("a", 9, "4711", "tea", 5), ("a", 9, "0815", "mugs", 8)]
    assert items(log(rows)) == {"a": "mugs, tea"}
    assert items(log([*rows, ("b", 9, "A1", "beans", 8)])) == {"a": "0815, 4711", "b": "A1"}
    assert items(log(rows).drop("product")) == {"a": "mugs, tea"}
    assert items(log([("a", 9, "tea leaves", "tea", 5)]).drop("category")) == {"a": "tea leaves"}


def test_without_money_items_stand_by_name():
    rows = [("a", 9, name, None, None) for name in ("tea", "beans", "mugs", "sugar")]
    assert items(log(rows)) == {"a": "beans, mugs, sugar"}


def test_a_log_without_products_and_categories_tells_no_items():
    found = call_lists.last_items(log([("a", 9, None, None, 5)]).drop("product", "category"), AS_OF)
    assert found.empty and found.columns.tolist() == ["customer_id", "last_items"]
    assert items(log([("a", 9, None, None, 5)])) == {}


# What to speak of first
def test_the_worst_comes_first():
    known = pd.DataFrame(
        {
            "open_tickets": [1.0, 0, 0, 0, 0],
            "complaints": [1.0, 1, 0, 0, 0],
            "satisfaction": [0.0, NOTHING, 0.25, NOTHING, 0.4],
            "returns": [1.0, 1, 1, 1, 0],
        }
    )
    assert call_lists.opening(known).tolist() == [
        "settle_complaint",
        "ask_what_went_wrong",  # complained
        "ask_what_went_wrong",  # unhappy
        "offer_replacement",
        "",  # 2 of 5 is not below
    ]
    assert call_lists.opening(known[[]]).tolist() == [""] * 5


# The lists
def plan(**statuses):
    """The table `plan` of customers by their status; each has an action of its own in mind."""
    made = pd.DataFrame({"customer_id": list(statuses), "status": list(statuses.values())})
    made["action"] = "Write to " + made.customer_id
    made = made.assign(channel="mail", owner="sales", account_owner="Li", cost=1.0)
    return made.assign(due=pd.Timestamp("2024-04-14"), expected_value=range(len(made)))


CHURN = pd.DataFrame({"customer_id": list("abcd"), "risen": [True, False, False, False]}).assign(
    reasons="why",
    opening="",
    risk_before=0.5,
    churn_risk=0.6,
    value_at_stake=9.0,
    expected_loss=5.4,
)


def test_who_is_warned_of_stands_with_what_the_plan_does():
    made = plan(a="held_back", b="planned", c="no_consent", x="planned")
    found = call_lists.warned(CHURN.head(3), made).set_index("customer_id")
    assert found.action.tolist() == [
        "No action: held back to measure the effect",
        "Write to b",
        "No action: no consent to be contacted",
    ]
    assert found.due.notna().tolist() == found.channel.notna().tolist() == [False, True, False]
    assert found.risen.tolist() == ["risen", "", ""]


def test_who_is_to_be_won_back_is_away_and_reached_by_the_plan():
    made = plan(a="planned", b="planned", c="held_back", d="planned", e="planned")
    matrix = pd.DataFrame(
        {"customer_id": list("abcde"), "stage": ["silent", "loyal", "lost", "lost", "lost"]}
    )
    people = matrix[["customer_id"]].assign(
        last_order=pd.Timestamp("2024-01-31"), recency_days=[60.0] * 4 + [NOTHING]
    )
    people.loc[4, "last_order"] = pd.NaT  # only returned
    items = pd.DataFrame({"customer_id": ["a", "b"], "last_items": ["tea", "gold"]})
    found = call_lists.away(people, matrix, CHURN, made, items)
    assert found.customer_id.tolist() == ["e", "d", "a"]  # by what is expected of them
    assert found.action.tolist() == ["Write to e", "Write to d", "Write to a"]
    assert found.last_items.tolist()[2] == "tea" and found.stage.tolist() == [
        "lost",
        "lost",
        "silent",
    ]
    schema.conform("winback", found)
    schema.conform("winback", call_lists.away(people, matrix, CHURN, made.head(0), items))
