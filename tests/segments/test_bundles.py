import datetime as dt
import itertools
import math
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.segments import interests
from analysis.segments.bundles import COLUMNS, SIZES, bundles

AS_OF = dt.date(2024, 3, 31)
KINDS = ["tea", "coffee", "mugs", "<script>alert(1)</script>"]
DAYS = st.dates(dt.date(2024, 1, 1), AS_OF + dt.timedelta(days=20))
LINE = st.tuples(
    st.sampled_from("abcd"), DAYS, st.sampled_from([*KINDS, None]), st.sampled_from([5, 0, -5])
)
LOG = st.lists(LINE, min_size=1, max_size=30)


def lines(rows, item="category", **more):
    """The table `transactions` from (customer_id, day, item, amount)."""
    ids, days, items, amounts = zip(*rows, strict=True) if rows else ([], [], [], [])
    money = pa.array(
        [None if amount is None else Decimal(amount) for amount in amounts], pa.decimal128(38, 12)
    )
    columns = {
        "customer_id": pa.array(ids, pa.string()),
        "day": pa.array(days, pa.date32()),
        "amount": money,
    }
    return ibis.memtable(pa.table(columns | {item: pa.array(items, pa.string())} | more))


def baskets(contents, item="product"):
    """Orders from (customer_id, items in one order)."""
    numbered = [
        (f"o{number}", who, what) for number, (who, items) in enumerate(contents) for what in items
    ]
    order_id = pa.array([order for order, _, _ in numbered], pa.string())
    return lines([(who, AS_OF, what, 5) for _, who, what in numbered], item, order_id=order_id)


def test_bundles_by_hand():
    """120 orders of two: 60 hold a and b, 60 hold c and d. 120 pairs are dealt out by the products
    of 60 x 60 of six pairs, so 20 are expected of each. Lift 3; every order with a holds b.
    """
    orders = [(f"{number % 9}", pair) for number in range(60) for pair in ("ab", "cd")]
    made = bundles(baskets(orders), AS_OF)
    assert made[["a", "b"]].to_numpy().tolist() == [["b", "a"], ["d", "c"]]
    assert made.loc[
        0, ["together", "customers", "expected", "lift", "confidence"]
    ].tolist() == pytest.approx([60, 9, 20, 3, 1])
    assert stats.poisson.sf(59, 20 * made.lift_low[0]) == pytest.approx(0.025)
    assert stats.poisson.cdf(60, 20 * made.lift_high[0]) == pytest.approx(0.025)


def test_large_orders_alone_make_no_bundle():
    """Half the orders hold one item, half hold all four: everything stands together, as orders of
    that size must.
    """
    orders = [
        (f"{number % 9}", what) for number in range(100) for what in ("abcd", "abcd"[number % 4])
    ]
    assert bundles(baskets(orders), AS_OF).empty


def test_one_customers_habit_is_no_bundle():
    orders = [
        (who, pair) for number in range(60) for who, pair in (("x", "ab"), (f"{number % 9}", "cd"))
    ]
    assert bundles(baskets(orders), AS_OF)[["a", "b"]].to_numpy().tolist() == [["d", "c"]]


def test_bundles_carry_the_products_names():
    orders = [(f"{number % 9}", pair) for number in range(60) for pair in ("ab", "cd")]
    products = ibis.memtable(
        {"product": ["a", "b", "c"], "product_name": ["Tea", "<b>Cup</b>", None]}
    )
    assert set(bundles(baskets(orders), AS_OF, products).loc[0, ["a", "b"]]) == {
        "Tea",
        "<b>Cup</b>",
    }


def test_too_many_products_are_bundled_by_category(monkeypatch):
    rows = [
        (f"{n % 9}", AS_OF - dt.timedelta(days=n), kind, 5) for n in range(60) for kind in KINDS[:2]
    ]
    log = lines(rows, product=pa.array([f"p{n}" for n in range(120)]))
    assert interests.bundle_level(log, AS_OF) == "product"
    monkeypatch.setattr(interests, "MANY_PRODUCTS", 100)
    assert interests.bundle_level(log, AS_OF) == "category"
    assert interests.bundle_level(log.drop("category"), AS_OF) == "product"


def counted(orders):
    """The pairs of `bundles` the long way: each pair of each order, the expectation summed over
    classes of size.
    """
    sized = [sum(len(items) >= size for size in SIZES) for _, items in orders]
    table = {}
    for a, b in itertools.combinations(sorted({item for _, items in orders for item in items}), 2):
        together = [who for who, items in orders if a in items and b in items]
        expected = 0.0
        for size in set(sized):
            here = [
                items
                for (_, items), one in zip(orders, sized, strict=True)
                if one == size and len(items) > 1
            ]
            held = pd.Series([item for items in here for item in items], dtype="str").value_counts()
            weights = sum(held[c] * held[d] for c, d in itertools.combinations(held.index, 2))
            pairs = sum(math.comb(len(items), 2) for items in here)
            expected += pairs * held.get(a, 0) * held.get(b, 0) / weights if weights else 0
        table[a, b] = (len(together), len(set(together)), expected)
    return table


def test_bundles_agree_with_counting_every_pair():
    random = np.random.default_rng(3)
    liked = {"x": list("abcdefgh"), "y": list("fghijkl")}
    orders = [
        (f"{n % 40}", set(random.choice(liked["xy"[n % 2]], random.integers(1, 7))))
        for n in range(1_500)
    ]
    truth = counted(orders)
    made = bundles(baskets(orders), AS_OF)
    assert len(made) > 5
    for row in made.itertuples():
        assert (row.together, row.customers, row.expected) == pytest.approx(
            truth[tuple(sorted((row.a, row.b)))]
        )
    sure = {
        pair
        for pair, (n, _, expected) in truth.items()
        if stats.poisson.sf(n - 1, expected) * len(truth) <= 0.05
    }
    assert {tuple(sorted(pair)) for pair in made[["a", "b"]].to_numpy()} == sure


@given(LOG)
@settings(max_examples=6)
def test_bundles_hold_no_item_twice_whatever_the_rows(log):
    found = bundles(lines(log), AS_OF)
    assert found.columns.tolist() == COLUMNS
    assert (found.a != found.b).all()


def test_without_items_or_lines_there_are_no_bundles():
    log = lines([("a", AS_OF, "tea", 5)])
    for empty in (bundles(log.drop("category"), AS_OF), bundles(log, dt.date(2020, 1, 1))):
        assert empty.empty and empty.columns.tolist() == COLUMNS
