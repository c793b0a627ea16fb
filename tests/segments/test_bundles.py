import datetime as dt
import itertools
import math

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.segments import interests
from analysis.segments.bundles import COLUMNS, SIZES, bundles
from tests.segments.made import AS_OF, log


def baskets(contents):
    """Orders from (customer_id, items in one order)."""
    numbered = enumerate(contents)
    rows = [(who, AS_OF, 5, item, f"o{n}") for n, (who, items) in numbered for item in items]
    return log(rows, "product", "order_id")


PAIRS = [(f"{number % 9}", pair) for number in range(60) for pair in ("ab", "cd")]


def test_bundles_by_hand():
    """120 orders of two: 60 hold a and b, 60 hold c and d. 120 pairs are dealt out by the products
    of 60 x 60 of six pairs, so 20 are expected of each. Lift 3; every order with a holds b.
    """
    made = bundles(baskets(PAIRS), AS_OF)
    assert list(made) == COLUMNS
    assert made[["a", "b"]].to_numpy().tolist() == [["b", "a"], ["d", "c"]]
    columns = ["together", "customers", "expected", "lift", "confidence"]
    assert made.loc[0, columns].tolist() == pytest.approx([60, 9, 20, 3, 1])
    assert stats.poisson.sf(59, 20 * made.lift_low[0]) == pytest.approx(0.025)
    assert stats.poisson.cdf(60, 20 * made.lift_high[0]) == pytest.approx(0.025)
    names = ["Tea", "<b>Cup</b>", None]
    products = ibis.memtable({"product": ["a", "b", "c"], "product_name": names})
    named = bundles(baskets(PAIRS), AS_OF, products)
    assert named[["a", "b"]].to_numpy().tolist() == [["<b>Cup</b>", "Tea"], ["d", "c"]]


def test_neither_large_orders_nor_one_customers_habit_are_bundles():
    """Half the orders hold one item, half hold all four: everything stands together, as orders of
    that size must.
    """
    large = [(f"{n % 9}", what) for n in range(100) for what in ("abcd", "abcd"[n % 4])]
    assert bundles(baskets(large), AS_OF).empty
    habit = [(who, pair) for n in range(60) for who, pair in (("x", "ab"), (f"{n % 9}", "cd"))]
    assert bundles(baskets(habit), AS_OF)[["a", "b"]].to_numpy().tolist() == [["d", "c"]]


def test_too_many_products_are_bundled_by_category(monkeypatch):
    rows = [
        (f"{n % 9}", AS_OF - dt.timedelta(days=n // 2), 5, f"p{n}", ["tea", "mugs"][n % 2])
        for n in range(120)
    ]
    table = log(rows, "product", "category")
    assert interests.bundle_level(table, AS_OF) == "product"
    monkeypatch.setattr(interests, "MANY_PRODUCTS", 119)
    assert interests.bundle_level(table, AS_OF) == "category"
    assert interests.bundle_level(table.drop("category"), AS_OF) == "product"


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
            alike = zip(orders, sized, strict=True)
            here = [items for (_, items), one in alike if one == size and len(items) > 1]
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
        for n in range(800)
    ]
    truth = counted(orders)
    made = bundles(baskets(orders), AS_OF)
    assert len(made) > 5
    for row in made.itertuples():
        found = (row.together, row.customers, row.expected)
        assert found == pytest.approx(truth[tuple(sorted((row.a, row.b)))])
    beyond = {
        pair
        for pair, (n, _, expected) in truth.items()
        if stats.poisson.sf(n - 1, expected) * len(truth) <= 0.05
    }
    assert {tuple(sorted(pair)) for pair in made[["a", "b"]].to_numpy()} == beyond


def test_without_items_or_lines_there_are_no_bundles():
    table = log([("a", AS_OF, 5, "tea"), ("a", AS_OF, -5, "mugs")], "category")
    for empty in (bundles(table.drop("category"), AS_OF), bundles(table, dt.date(2020, 1, 1))):
        assert empty.empty and empty.columns.tolist() == COLUMNS
