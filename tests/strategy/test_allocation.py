import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from analysis.errors import InputError
from analysis.report import charts
from analysis.report.text import Language
from analysis.strategy import allocation, knapsack
from analysis.strategy.allocation import Limits, choose
from tests.bench import allocation as bench

COLUMNS = ["customer_id", "rule", "gain", "cost"]


def table(*rows, columns=COLUMNS):
    return pd.DataFrame(list(rows), columns=columns)


def singles(values, costs):
    """A plain knapsack: each customer has one option, of this gain above cost."""
    ids = [f"{n:06}" for n in range(len(values))]
    return pd.DataFrame(
        {
            "customer_id": ids,
            "rule": "a",
            "gain": np.add(values, costs),
            "cost": np.asarray(costs, float),
        }
    )


def crowd(customers, seed, options=3):
    """Customers by chance, whose options cost from little to much; channel is the option, owner the
    customer's.
    """
    random = np.random.default_rng(seed)
    number, way = np.repeat(np.arange(customers), options), np.tile(np.arange(options), customers)
    cost = 3.0**way * random.lognormal(0, 0.3, len(way))
    frame = pd.DataFrame(
        {"customer_id": [f"{n:06}" for n in number], "rule": way.astype(str), "cost": cost}
    )
    frame["channel"], frame["owner"] = (
        frame.rule,
        (random.integers(0, 8, customers)[number]).astype(str),
    )
    return frame.assign(
        gain=random.lognormal(1, 1, customers)[number]
        * 1.7**way
        * random.lognormal(0, 0.4, len(way))
    )


@pytest.fixture
def by_search(monkeypatch):
    """However few the options, prices are searched for and HiGHS is not asked."""
    monkeypatch.setattr(knapsack, "EXACT_OPTIONS", -1)
    monkeypatch.setattr(allocation.choose, "__defaults__", (-1,))


# Against all plans there are
def best_of_all(options, limits, must=False):
    """The most profit (whole cents) of any plan, by trying all; where something must happen, of
    those that do all of it.
    """
    rows = options.assign(
        gain=options.gain.fillna(0), must=options.must if must else False
    ).to_dict("records")
    choices = [
        [None, *(row for row in rows if row["customer_id"] == one)]
        for one in options.customer_id.unique()
    ]
    best, needed = -np.inf, sum(row["must"] for row in rows)
    for picked in itertools.product(*choices):
        plan = [row for row in picked if row]
        within = limits.budget is None or sum(row["cost"] for row in plan) <= limits.budget
        within &= all(
            sum(row[c] == value for row in plan) <= most
            for (c, value), most in limits.capacity.items()
        )
        if within and sum(row["must"] for row in plan) == needed:
            best = max(best, sum(row["gain"] - row["cost"] for row in plan))
    return best


def holds(rows, limits):
    within = limits.budget is None or rows.cost.sum() <= limits.budget
    return within and all(
        (rows[column] == value).sum() <= most for (column, value), most in limits.capacity.items()
    )


MONEY = st.integers(0, 40) | st.integers(0, 1_000_000)
ROW = st.tuples(
    st.sampled_from("abcde"),
    MONEY | st.none(),
    MONEY,
    st.sampled_from("xyz"),
    st.sampled_from("pq"),
)
CAPACITY = st.dictionaries(
    st.sampled_from([("channel", "x"), ("channel", "y"), ("owner", "p"), ("owner", "nobody")]),
    st.integers(0, 3),
    max_size=3,
)
BUDGET = st.none() | st.integers(0, 100) | st.integers(0, 2_000_000)


def cents(rows):
    """The options in whole cents, so that sums are exact."""
    frame = pd.DataFrame(rows, columns=["customer_id", "gain", "cost", "channel", "owner"]).astype(
        {"gain": float}
    )
    return frame.assign(rule=[str(number) for number in range(len(frame))])


def in_units(options, limits, unit):
    budget = None if limits.budget is None else limits.budget * unit
    return options.assign(gain=options.gain * unit, cost=options.cost * unit), Limits(
        budget, limits.capacity
    )


@given(
    st.lists(ROW, min_size=1, max_size=9), BUDGET, CAPACITY, st.sampled_from([1, 0.01, 1e-6, 1e9])
)
@settings(max_examples=25)
def test_no_plan_is_better_and_no_limit_is_passed(rows, budget, capacity, unit):
    options, limits = cents(rows), Limits(budget, capacity)
    best = best_of_all(options, limits)
    plan = choose(*in_units(options, limits, unit))
    assert plan.profit == pytest.approx(best * unit, rel=2e-6, abs=1e-12 * unit)
    assert plan.method == "exact"
    assert plan.bound >= best * unit * (1 - 1e-9)
    taken = options.set_index("rule").loc[plan.chosen.rule]
    assert holds(taken, limits)
    assert taken.customer_id.is_unique
    assert (taken.gain > taken.cost).all()


@given(
    st.lists(ROW, min_size=1, max_size=9),
    BUDGET,
    CAPACITY,
    st.sampled_from([1, 0.01, 1e-6, 1e9]),
    st.booleans(),
)
@settings(max_examples=25)
def test_the_plan_of_the_prices_holds_and_is_as_near_as_it_says(
    rows, budget, capacity, unit, search
):
    options, limits = cents(rows), Limits(budget, capacity)
    best = best_of_all(options, limits) * unit
    with pytest.MonkeyPatch.context() as patch:
        if search:
            patch.setattr(knapsack, "EXACT_OPTIONS", -1)
        plan = choose(*in_units(options, limits, unit), exact_up_to=0)
    assert plan.profit <= best * (1 + 1e-9)
    assert plan.bound >= best * (1 - 1e-9)
    assert best * (1 - 1e-9) <= plan.profit + plan.gap * plan.bound + 1e-9 * plan.bound
    assert holds(options.set_index("rule").loc[plan.chosen.rule], limits)


@given(
    st.lists(ROW, min_size=1, max_size=8),
    st.integers(0, 2_000_000),
    CAPACITY,
    st.sets(st.sampled_from("abcde")),
)
@settings(max_examples=20)
def test_what_must_happen_is_done_where_all_of_it_fits(rows, budget, capacity, strategic):
    options, limits = cents(rows), Limits(budget, capacity)
    options["must"] = options.customer_id.isin(strategic) & ~options.customer_id.duplicated()
    plan = choose(options, limits)
    taken = options.set_index("rule").loc[plan.chosen.rule]
    assert holds(taken, limits)
    best = best_of_all(options, limits, must=True)
    if best == -np.inf:
        assert plan.unmet > 0
        return
    assert plan.unmet == 0
    assert taken.must.sum() == options.must.sum()
    assert plan.profit == pytest.approx(best, rel=2e-6)
    assert plan.bound >= best - 1e-6


@given(
    st.lists(ROW, min_size=1, max_size=9),
    BUDGET,
    CAPACITY,
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(max_examples=15)
def test_the_order_of_rows_decides_nothing(rows, budget, capacity, random, search):
    options = cents(rows).assign(rule="same")  # rows may be the same twice, and equally good
    shuffled = options.iloc[random.sample(range(len(options)), len(options))]
    with pytest.MonkeyPatch.context() as patch:
        if search:
            patch.setattr(knapsack, "EXACT_OPTIONS", -1)
        plan, other = (
            choose(frame, Limits(budget, capacity), 0 if search else 100)
            for frame in (options, shuffled)
        )
    pd.testing.assert_frame_equal(
        plan.chosen[["customer_id", "gain", "cost"]], other.chosen[["customer_id", "gain", "cost"]]
    )
    assert (plan.profit, plan.bound, plan.price_of_budget, plan.prices) == (
        other.profit,
        other.bound,
        other.price_of_budget,
        other.prices,
    )


# By hand
def test_the_knapsack_of_the_textbook():
    """Cormen et al., Introduction to Algorithms, 16.2: 10, 20 and 30 pounds worth 60, 100 and 120;
    50 can be carried. Whole items are worth 220; parts of items 240, of which the last pound, of
    the third, is worth 120 / 30.
    """
    plan = choose(singles([60, 100, 120], [10, 20, 30]), Limits(50))
    assert plan.chosen.customer_id.tolist() == ["000001", "000002"]
    assert (plan.profit, plan.spent, plan.gap, plan.method) == (220, 50, 0, "exact")
    assert plan.price_of_budget == pytest.approx(4)
    by_prices = choose(singles([60, 100, 120], [10, 20, 30]), Limits(50), exact_up_to=0)
    assert by_prices.bound == pytest.approx(240)
    assert by_prices.gap == pytest.approx((240 - by_prices.profit) / 240)


def test_one_option_of_each_customer_and_the_dearer_one_where_its_surplus_pays():
    """With 12 the call to a (10 for 5) and the visit to b (15 for 7); with 10 the letter to a (6
    for 2) and that visit.
    """
    options = table(
        ("a", "letter", 8, 2), ("a", "call", 15, 5), ("b", "letter", 9, 2), ("b", "visit", 22, 7)
    )
    assert choose(options, Limits(12)).chosen.rule.tolist() == ["call", "visit"]
    plan = choose(options, Limits(10))
    assert (plan.chosen.rule.tolist(), plan.profit) == (["letter", "visit"], 21)


def test_a_capacity_is_for_those_whom_nothing_else_reaches_and_has_a_price():
    """One call: to a it brings 10 rather than 9, to b 5 and to c 3 rather than nothing. A second
    would bring 3.
    """
    columns = [*COLUMNS, "channel"]
    options = table(
        ("a", "call", 10, 0, "phone"),
        ("a", "letter", 9, 0, "mail"),
        ("b", "call", 5, 0, "phone"),
        ("c", "call", 3, 0, "phone"),
        columns=columns,
    )
    plan = choose(options, Limits(None, {("channel", "phone"): 1, ("channel", "fax"): 1}))
    assert plan.chosen[["customer_id", "rule"]].to_numpy().tolist() == [
        ["a", "letter"],
        ["b", "call"],
    ]
    assert plan.prices == {("channel", "phone"): pytest.approx(3), ("channel", "fax"): 0}
    assert plan.price_of_budget == 0


def test_a_part_of_a_place_is_none():
    options = singles([1, 2, 3], [0, 0, 0])
    assert choose(options, Limits(None, {("rule", "a"): 1.9})).profit == 3


def test_the_price_is_of_more_budget_and_not_of_less():
    """Just enough for all: less would lose 2 for each unit, more brings nothing. Enough for the
    better one: more brings 1.
    """
    assert choose(singles([20, 20], [10, 10]), Limits(20)).price_of_budget == 0
    assert choose(singles([20, 10], [10, 10]), Limits(10)).price_of_budget == pytest.approx(1)


@pytest.mark.parametrize("enough_for", [1, 5])
def test_the_price_is_the_rate_of_who_comes_next(enough_for):
    values = [60, 50, 40, 30, 20, 10]
    plan = choose(singles(values, [10] * 6), Limits(10.0 * enough_for))
    assert plan.profit == sum(values[:enough_for])
    assert plan.price_of_budget == pytest.approx(values[enough_for] / 10)


def test_what_is_left_is_filled_with_who_is_still_worth_it_and_with_better_options():
    """At the price of 4, of the third customer, the first two are worth it and the third does not
    fit: 25 are left. The fourth fits, and for the first the long call, which takes no second place
    of the phone; the third place would be one too many.
    """
    options = table(
        ("a", "call", 70, 10, "phone"),
        ("a", "long call", 73, 12, "phone"),
        ("b", "visit", 120, 20, "visit"),
        ("c", "visit", 150, 30, "visit"),
        ("d", "letter", 11, 10, "mail"),
        ("e", "call", 2, 1, "phone"),
        columns=[*COLUMNS, "channel"],
    )
    plan = choose(options, Limits(55, {("channel", "phone"): 1}), exact_up_to=0)
    assert plan.chosen.rule.tolist() == ["long call", "visit", "letter"]
    assert plan.profit == 61 + 100 + 1


def test_of_equally_good_options_the_same_is_taken_whatever_their_order():
    options = table(("a", "x", 5.0, 1), ("a", "x", 6.0, 2), ("b", "y", 5.0, 1), ("c", "y", 5.0, 1))
    for exact_up_to, limits in ((0, Limits(2)), (100, Limits(2)), (100, Limits())):
        found = [
            choose(options.iloc[rows], limits, exact_up_to).chosen[["customer_id", "gain"]]
            for rows in ([0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0])
        ]
        assert found[0].equals(found[1]) and found[0].equals(found[2])


def test_without_money_only_what_is_free_is_done_and_the_first_unit_has_a_price():
    options = table(("a", "x", 10, 4), ("a", "free", 1, 0), ("b", "x", 8, 5))
    plan = choose(options, Limits(0))
    assert plan.chosen.rule.tolist() == ["free"]
    assert (plan.profit, plan.bound, plan.spent) == (1, 1, 0)
    assert plan.price_of_budget == pytest.approx((10 - 4 - 1) / 4)


def test_without_a_budget_everybody_gets_the_best():
    options = crowd(500, 1)
    best = (options.gain - options.cost).clip(lower=0).groupby(options.customer_id).max()
    plan = choose(options, Limits())
    assert plan.profit == pytest.approx(best.sum())
    assert len(plan.chosen) == (best > 0).sum()
    assert (plan.gap, plan.price_of_budget, plan.method) == (0, 0, "exact")
    assert choose(options, Limits(np.inf)).profit == plan.profit


@pytest.mark.parametrize(
    "rows", [[], [("a", "x", 5, 5)], [("a", "x", 0, 0), ("b", "x", 1, 2)], [("a", "x", np.nan, 1)]]
)
@pytest.mark.parametrize("budget", [None, 0, 7])
def test_where_nothing_is_worth_doing_nothing_is_done(rows, budget):
    plan = choose(table(*rows).astype({"gain": float}), Limits(budget, {("rule", "x"): 3}))
    assert plan.chosen.empty
    assert list(plan.chosen) == COLUMNS
    assert (plan.profit, plan.bound, plan.gap, plan.price_of_budget, plan.spent, plan.unmet) == (
        0,
        0,
        0,
        0,
        0,
        0,
    )
    assert plan.prices == {("rule", "x"): 0}
    assert "No action is worth its cost" in allocation.verdict(plan, Limits(budget), 1.0)[0]


def test_unknown_gains_and_costs_are_not_worth_it_and_do_no_harm():
    options = table(
        ("a", "x", None, 1), ("a", "y", 9, None), ("a", "z", 5, 1), ("b", "x", None, None)
    )
    for frame in (
        options,
        options.astype({"gain": "Float64", "cost": "Float64"}),
        options.astype(object),
    ):
        assert choose(frame, Limits(10)).chosen.rule.tolist() == ["z"]


def test_one_customer_takes_the_best_that_fits():
    options = table(("a", "x", 100, 60), ("a", "y", 50, 30), ("a", "z", 20, 5))
    assert [choose(options, Limits(budget)).chosen.rule.tolist() for budget in (60, 59, 29, 4)] == [
        ["x"],
        ["y"],
        ["z"],
        [],
    ]


def test_dimes_add_up_and_a_missing_millionth_is_missed():
    options = singles([1, 1], [0.1, 0.2])
    assert (
        len(choose(options, Limits(0.3)).chosen) == 2
    )  # though in binary 0.1 + 0.2 is more than 0.3
    assert choose(options, Limits(0.3)).spent <= 0.3
    assert len(choose(options, Limits(0.3 - 1e-6)).chosen) == 1
    billion = singles([1e9, 1e9], [5e8, 5e8 + 0.01])
    assert len(choose(billion, Limits(1e9)).chosen) == 1


# What is kept for a tier
TIERED = [*COLUMNS, "tier", "channel"]


def buyers_and_prospects(prospect_gain=3, prospect_cost=2):
    """Five customers of whom each brings 10 for 2, and five prospects."""
    customers = [(f"c{n}", "call", 10, 2, "ordinary", "phone") for n in range(5)]
    prospects = [
        (f"p{n}", "ask", prospect_gain + n, prospect_cost, "potential", "phone") for n in range(5)
    ]
    return table(*customers, *prospects, columns=TIERED)


def test_a_share_of_the_budget_goes_to_the_best_of_a_tier_first():
    """Of 10, a fifth pays one prospect, the one that brings most: 7 for 2. Four customers bring 8
    each of the rest: 37, where all five had brought 40. Of each further unit, a fifth brings 4 / 2
    with the next prospect, and the others 8 / 2 with the next customer.
    """
    plan = choose(buyers_and_prospects(), Limits(10, {}, {"potential": 0.2}))
    assert plan.chosen.tier.tolist() == ["ordinary"] * 4 + ["potential"]
    assert plan.chosen.customer_id.iloc[-1] == "p4"
    assert (plan.profit, plan.spent, plan.forgone, plan.bound) == (37, 10, 3, 40)
    assert plan.gap == pytest.approx(3 / 40) and plan.method == "reserve"
    assert plan.price_of_budget == pytest.approx(0.2 * 2 + 0.8 * 4)


def test_what_is_kept_and_not_needed_goes_to_the_others():
    """Of the 6 kept of 12, prospects who cost 9 take nothing; nor do those who do not pay."""
    for gain, cost in ((20, 9), (1, 7)):
        plan = choose(buyers_and_prospects(gain, cost), Limits(12, {}, {"potential": 0.5}))
        assert plan.chosen.customer_id.tolist() == [f"c{n}" for n in range(5)]
        assert (plan.spent, plan.forgone) == (10, 0)


def test_a_share_of_each_capacity_is_kept_too_and_a_part_of_a_place_is_none():
    options = buyers_and_prospects()
    for most, kept in ((5, 1), (4, 0)):
        plan = choose(options, Limits(None, {("channel", "phone"): most}, {"potential": 0.2}))
        assert (plan.chosen.tier == "potential").sum() == kept and len(plan.chosen) == most


def test_a_tier_that_comes_off_as_well_without_it_changes_nothing():
    options = buyers_and_prospects(prospect_gain=30)
    free, kept = (choose(options, Limits(12, {}, r)) for r in ({}, {"potential": 0.3}))
    pd.testing.assert_frame_equal(free.chosen, kept.chosen)
    assert (kept.profit, kept.method, kept.forgone) == (free.profit, free.method, 0)


def test_what_must_happen_comes_before_what_is_kept():
    options = buyers_and_prospects().assign(must=lambda t: t.tier == "ordinary")
    plan = choose(options, Limits(10, {}, {"potential": 0.9}))
    assert plan.chosen.customer_id.tolist() == [f"c{n}" for n in range(5)] and plan.unmet == 0
    assert choose(options, Limits(7, {}, {"potential": 0.9})).unmet == 2


@given(
    st.lists(ROW, min_size=1, max_size=12),
    st.none() | st.integers(0, 100),
    CAPACITY,
    st.sets(st.sampled_from("abcde")),
    st.sampled_from([0.1, 0.5, 1.0]),
    st.sets(st.sampled_from("abcde"), max_size=2),
)
@settings(max_examples=60)
def test_what_is_kept_passes_no_limit_lies_nowhere_idle_and_serves_its_tier(
    rows, budget, capacity, prospects, share, strategic
):
    options = cents(rows).fillna({"gain": 0})
    options["tier"] = np.where(options.customer_id.isin(prospects), "potential", "ordinary")
    options["must"] = options.customer_id.isin(strategic - prospects)
    options["must"] &= ~options.customer_id.duplicated()
    limits = Limits(budget, capacity, {"potential": share})
    plan, free = choose(options, limits), choose(options, Limits(budget, capacity))
    assert holds(plan.chosen, limits) and plan.chosen.customer_id.is_unique
    assert plan.profit <= free.profit + 1e-6 and plan.unmet == free.unmet
    assert plan.forgone == pytest.approx(free.profit - plan.profit, abs=1e-6)
    assert plan.profit == pytest.approx((plan.chosen.gain - plan.chosen.cost).sum())
    left = limits.less(plan.chosen)
    idle = options[~options.customer_id.isin(plan.chosen.customer_id) & ~options.must]
    idle = idle[(idle.gain > idle.cost) & (idle.cost <= left.money)]
    full = [idle[c] == v for (c, v), most in left.capacity.items() if most < 1]
    assert idle[~np.logical_or.reduce([*full, np.zeros(len(idle), bool)])].empty
    if not options.must.any():
        own = options[options.tier == "potential"]
        alone = choose(own, limits.part(share, Limits(budget, capacity)))
        found = plan.chosen[plan.chosen.tier == "potential"]
        assert (found.gain - found.cost).sum() >= alone.profit * (1 - 1e-6)


@pytest.mark.parametrize("reserve", [{"potential": 1.1}, {"potential": -0.1, "ordinary": 0.2}])
def test_shares_that_cannot_be_kept_are_refused(reserve):
    with pytest.raises(InputError, match="shares kept for tiers"):
        choose(buyers_and_prospects(), Limits(10, {}, reserve))


# What must happen
MUST = [*COLUMNS, "must"]


def test_care_is_taken_first_though_it_costs_more_than_it_brings():
    options = table(
        ("a", "care", 1, 6, True),
        ("a", "x", 50, 1, False),
        ("b", "x", 9, 4, False),
        ("c", "x", 9, 5, False),
        columns=MUST,
    )
    plan = choose(options, Limits(10))
    assert plan.chosen[["customer_id", "rule"]].to_numpy().tolist() == [["a", "care"], ["b", "x"]]
    assert (plan.profit, plan.spent, plan.unmet) == (1 - 6 + 9 - 4, 10, 0)


def test_care_takes_places_too():
    options = table(("a", "care", 0, 0, True), ("b", "care", 9, 0, False), columns=MUST)
    assert choose(options, Limits(None, {("rule", "care"): 1})).chosen.customer_id.tolist() == ["a"]


def test_care_that_does_not_fit_is_counted_and_the_most_valuable_done():
    options = table(
        ("a", "care", 5, 6, True), ("b", "care", 9, 6, True), ("c", "x", 8, 4, False), columns=MUST
    )
    plan = choose(options, Limits(10))
    assert plan.chosen.customer_id.tolist() == ["b", "c"]
    assert plan.unmet == 1
    assert choose(options, Limits(3)).unmet == 2


def test_of_two_that_must_the_second_is_done_where_the_first_does_not_fit():
    options = table(("a", "visit", 90, 60, True), ("a", "call", 30, 10, True), columns=MUST)
    assert [choose(options, Limits(budget)).chosen.rule.tolist() for budget in (60, 20)] == [
        ["visit"],
        ["call"],
    ]
    assert choose(options, Limits(20)).unmet == 0


def test_care_of_unknown_gain_is_done_and_counts_only_its_cost():
    options = table(
        ("a", "care", None, 6, True), ("b", "care", 5, None, True), columns=MUST
    ).astype({"gain": float})
    plan = choose(options, Limits(10))
    assert plan.chosen.customer_id.tolist() == ["a"]
    assert plan.chosen.gain.isna().all()
    assert (plan.profit, plan.unmet) == (-6, 1)


# Many customers, against other ways to the same
def fractional(values, costs, budget):
    """The most that parts of items are worth (Dantzig 1957): by worth for money until the budget is
    spent; and the last rate.
    """
    rate = values / costs
    order = np.argsort(-rate)
    spent = np.cumsum(costs[order])
    last = int(np.searchsorted(spent, budget))
    whole = values[order][:last].sum()
    return (
        whole + (budget - (spent[last - 1] if last else 0)) * rate[order][last],
        rate[order][last],
    )


@pytest.mark.parametrize(("customers", "share"), [(1_000, 0.05), (1_000, 0.9), (16_000, 0.2)])
def test_bound_and_price_are_dantzigs(customers, share):
    """The smaller company's by linear programme, the larger one's by search."""
    random = np.random.default_rng(customers)
    values, costs = random.lognormal(2, 1, customers), random.lognormal(0, 1, customers)
    bound, rate = fractional(values, costs, share * costs.sum())
    plan = choose(singles(values, costs), Limits(share * costs.sum()), exact_up_to=0)
    assert plan.bound == pytest.approx(bound, rel=1e-5)
    assert plan.bound >= bound * (1 - 1e-12)
    assert plan.price_of_budget == pytest.approx(rate, rel=0.002)
    assert plan.gap < 0.01
    assert plan.spent <= share * costs.sum()


def programme(options, limits):
    """The value and the prices of the linear programme that allows parts of options, written down
    row by row.
    """
    rows = [options.customer_id == one for one in options.customer_id.unique()]
    rows += [options[column] == value for column, value in limits.capacity]
    matrix = sparse.csr_matrix(np.vstack([*rows, options.cost]).astype(float))
    most = [1.0] * options.customer_id.nunique() + [*limits.capacity.values(), limits.budget]
    solved = linprog(
        options.cost - options.gain, matrix, most, bounds=(0, None), method="highs-ipm"
    )
    return -solved.fun, -solved.ineqlin.marginals[-1 - len(limits.capacity) :]


SCARCE = {("channel", "2"): 60, ("channel", "1"): 200} | {
    ("owner", str(n)): 15 + 5 * n for n in range(8)
}


@pytest.mark.parametrize(("way", "near"), [("programme", 1e-4), ("search", 0.15)])
def test_bound_and_prices_are_those_of_the_linear_programme(way, near, monkeypatch):
    """Prices of a little more of everything: those of just as much need not be the only ones."""
    if way == "search":
        monkeypatch.setattr(knapsack, "EXACT_OPTIONS", -1)
    options, limits = crowd(1_500, 2), Limits(900.0, SCARCE)
    value, _ = programme(options, limits)
    _, prices = programme(
        options, Limits(900.001, {where: most + 1e-3 for where, most in SCARCE.items()})
    )
    plan = choose(options, limits, exact_up_to=0)
    assert (prices > 0).sum() > 4
    assert plan.bound == pytest.approx(value, rel=1e-3)
    assert plan.bound >= value * (1 - 1e-9)
    found = np.array([*plan.prices.values(), plan.price_of_budget])
    assert found == pytest.approx(prices, rel=near, abs=near / 2)
    assert plan.gap < 0.01


def test_many_customers_are_within_a_hundredth_and_within_their_limits():
    options = crowd(20_000, 3)
    limits = Limits(15_000.0, {where: 14 * most for where, most in SCARCE.items()})
    plan = choose(options, limits)
    assert plan.method == "dual"
    assert 0 < plan.gap < 0.01
    assert plan.gap == pytest.approx((plan.bound - plan.profit) / plan.bound)
    assert plan.profit == pytest.approx((plan.chosen.gain - plan.chosen.cost).sum())
    assert plan.spent == pytest.approx(plan.chosen.cost.sum())
    assert plan.chosen.customer_id.is_unique
    assert holds(plan.chosen, limits)
    shuffled = choose(options.sample(frac=1, random_state=1), limits)
    pd.testing.assert_frame_equal(shuffled.chosen, plan.chosen)


@pytest.mark.parametrize("way", ["programme", "search"])
def test_the_price_is_what_a_little_more_budget_brings(way, monkeypatch):
    if way == "search":
        monkeypatch.setattr(knapsack, "EXACT_OPTIONS", -1)
    options, capacity = crowd(4_000, 4), {("channel", "2"): 150}
    less, same, more = (
        choose(options, Limits(budget, capacity), 0) for budget in (2_900.0, 3_000.0, 3_100.0)
    )
    assert same.price_of_budget > 1
    assert same.price_of_budget == pytest.approx((more.profit - less.profit) / 200, rel=0.05)
    assert less.price_of_budget >= same.price_of_budget >= more.price_of_budget


@pytest.mark.parametrize(
    ("budget", "most", "price"), [(3.5, 8, 4 / 3), (1, 3, 3), (2, 6, 4 / 3), (5, 10, 0)]
)
def test_customers_who_are_all_alike_are_shared_out(by_search, budget, most, price):
    """10 for 5, or 6 for 2: with 3.5 for each, half of them get the one and half the other, equally
    good at the price.
    """
    count = 10_000
    each = {"customer_id": [str(n) for n in range(count)]}
    options = pd.concat(
        [
            pd.DataFrame(each | {"rule": rule, "gain": gain, "cost": cost})
            for rule, gain, cost in (("a", 15, 5), ("b", 8, 2))
        ]
    )
    plan = choose(options, Limits(budget * count))
    assert plan.bound == pytest.approx(most * count, rel=2e-3)
    assert plan.profit > 0.99 * most * count
    assert plan.price_of_budget == pytest.approx(price, rel=1e-6)


def test_money_of_all_sizes_at_once_is_planned(by_search):
    random = np.random.default_rng(1)
    options = singles(10 ** random.uniform(-6, 9, 500), 10 ** random.uniform(-6, 9, 500))
    for budget in (1e-5, 1.0, 1e6, 1e10):
        plan = choose(options, Limits(budget))
        assert plan.spent <= budget
        assert plan.profit <= plan.bound
        alone = options[options.cost <= budget]
        assert plan.profit >= max((alone.gain - alone.cost).max(), 0) * (1 - 1e-9)
        if budget < alone.cost.sum():
            assert plan.bound >= fractional(
                (alone.gain - alone.cost).to_numpy(), alone.cost.to_numpy(), budget
            )[0] * (1 - 1e-9)


# HiGHS
def test_where_the_search_ends_early_its_bound_is_told(monkeypatch):
    """Of 60 customers in one node: no worse than the plan of the prices, and no bound below it."""
    options, limits = crowd(60, 5), Limits(20.0, {("channel", "2"): 3})
    best, by_prices = choose(options, limits), choose(options, limits, 0)
    monkeypatch.setattr(knapsack, "NODES", 0)
    plan = choose(options, limits)
    assert by_prices.profit <= plan.profit <= best.profit
    assert best.profit * (1 - 1e-9) <= plan.bound <= by_prices.bound


def test_nothing_is_written_past_python_either():
    """In a process of its own, as what C writes into a pipe comes out when the process ends."""
    code = (
        "from tests.strategy.test_allocation import crowd, choose, Limits\n"
        "choose(crowd(100, 1), Limits(60.0, {('channel', '2'): 5, ('owner', '1'): 3}))\n"
        "print('and printing goes on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "and printing goes on\n"


def test_a_sample_of_the_customers_has_its_share_of_the_limits(monkeypatch):
    """Of four customers of two options each, three, with three quarters of money and places."""
    monkeypatch.setattr(knapsack, "SAMPLE", 3)
    options, who = np.arange(8.0), np.repeat(np.arange(4), 2)
    whole = knapsack.Problem(
        options, options + 1, np.zeros((8, 1), int), who, 12.0, np.array([8.0, np.inf])
    )
    few = whole.sample()
    assert (few.customer.tolist(), few.limits.tolist()) == ([0, 0, 1, 1, 2, 2], [9, 6, np.inf])
    assert (few.cost == few.value + 1).all() and set(few.value) < set(options)
    monkeypatch.setattr(knapsack, "SAMPLE", 4)
    assert whole.sample() is whole


# Other budgets
def test_half_and_double_the_budget_are_plans_of_their_own():
    options, capacity = crowd(200, 7), {("channel", "2"): 20}
    plans = allocation.what_if(options, Limits(100.0, capacity))
    assert plans.factor.tolist() == [0.5, 1, 2]
    for row in plans.itertuples():
        plan = choose(options, Limits(100.0 * row.factor, capacity))
        assert (row.budget, row.profit, row.customers, row.price_of_budget) == (
            100 * row.factor,
            plan.profit,
            len(plan.chosen),
            plan.price_of_budget,
        )
    assert plans.profit.is_monotonic_increasing
    told = allocation.half_and_double(plans)
    assert [told["half"], told["same"], told["double"]] == plans.profit.tolist()
    assert np.isnan(allocation.half_and_double(plans[plans.factor != 2])["double"])


def test_without_a_budget_other_budgets_are_of_what_would_be_spent():
    options = table(("a", "x", 30, 10), ("b", "x", 20, 10), ("c", "x", 5, 10))
    plans = allocation.what_if(options, Limits())
    assert plans.budget.tolist() == [10, 20, 40]
    assert plans.profit.tolist() == [20, 30, 30]
    assert plans.customers.tolist() == [1, 2, 2]


def test_half_a_budget_that_care_does_not_fit_into_says_so():
    options = table(("a", "care", 1, 8, True), ("b", "x", 9, 2, False), columns=MUST)
    plans = allocation.what_if(options, Limits(10))
    assert plans.unmet.tolist() == [1, 0, 0]
    assert plans.profit.tolist() == [7, 0, 0]


@pytest.mark.parametrize("way", ["programme", "search"])
def test_the_curve_rises_ever_more_slowly_and_no_plan_is_above_it(way, monkeypatch):
    if way == "search":
        monkeypatch.setattr(knapsack, "EXACT_OPTIONS", -1)
        monkeypatch.setattr(knapsack, "SAMPLE", 500)  # so that prices are those of a part
    options, limits = crowd(1_000, 8), Limits(300.0, {("channel", "2"): 10, ("channel", "1"): 30})
    curve = allocation.curve(options, limits, points=9)
    assert curve.budget.tolist() == pytest.approx(np.linspace(0, 600, 9))
    slopes = np.diff(curve.profit)
    assert (slopes > 0).all()
    assert (np.diff(slopes) < 1e-6 * curve.profit.max()).all()
    for budget, profit in zip(curve.budget[[2, 8]], curve.profit[[2, 8]], strict=True):
        plan = choose(options, Limits(budget, limits.capacity), 0)
        assert plan.profit <= profit * (1 + 1e-9)
        assert profit == pytest.approx(plan.bound, rel=0.01)


def test_the_curve_begins_at_what_must_happen():
    options = table(("a", "care", 1, 6, True), ("b", "x", 9, 4, False), columns=MUST)
    curve = allocation.curve(options, Limits(10), points=3)
    assert curve.budget.tolist() == [6, 13, 20]
    assert curve.profit.tolist() == pytest.approx([-5, 0, 0])


@pytest.mark.parametrize("limits", [Limits(), Limits(0), Limits(5)])
@pytest.mark.parametrize("rows", [[], [("a", "x", 1, 2)], [("a", "x", 2, 0)], [("a", "x", 2, 1)]])
def test_other_budgets_of_next_to_nothing_are_told(rows, limits):
    options = table(*rows)
    assert len(allocation.what_if(options, limits)) == 3
    assert len(allocation.curve(options, limits)) >= 1


# What is not accepted, and what is left alone
@pytest.mark.parametrize(
    ("change", "limits", "words"),
    [
        ({"cost": -1.0}, Limits(), "costs 0 or more"),
        ({"cost": np.inf}, Limits(), "infinite"),
        ({"gain": -np.inf}, Limits(), "infinite"),
        ({"customer_id": None}, Limits(), "customer_id"),
        ({}, Limits(-1), "budget"),
        ({}, Limits(float("nan")), "budget"),
        ({}, Limits(None, {("rule", "x"): -1}), "capacities"),
        ({}, Limits(None, {("chanel", "x"): 1}), "channel"),
    ],
)
def test_what_makes_no_sense_is_said(change, limits, words):
    options = table(("a", "x", 2.0, 1.0)).assign(channel="phone", **change)
    with pytest.raises(InputError, match=words):
        choose(options, limits)


def test_the_options_stay_as_they_are_and_keep_their_columns():
    options = crowd(50, 9).assign(note="客户").sample(frac=1, random_state=0)
    before = options.copy(deep=True)
    chosen = choose(options, Limits(20.0)).chosen
    allocation.what_if(options, Limits(20.0))
    allocation.curve(options, Limits(20.0))
    pd.testing.assert_frame_equal(options, before)
    key = ["customer_id", "rule"]
    pd.testing.assert_frame_equal(chosen, chosen[key].merge(before, on=key)[list(options)])


# What is said
def test_the_plan_is_told_with_its_price():
    limits = Limits(50)
    text, values = allocation.verdict(
        choose(singles([60, 100, 120], [10, 20, 30]), limits), limits, 1.0
    )
    assert (
        Language("en")(text, **values)
        == "The plan spends $50 of $50 on 2 customers, before some of them are held back, "
        "and is assumed to bring $220 more than it costs; "
        "each further $100 of budget would bring about $400 more than that costs."
    )


@pytest.mark.parametrize(
    ("budget", "words"), [(1_000, "more budget would bring nothing"), (None, "Without a budget")]
)
def test_a_budget_that_is_enough_or_none_is_told(budget, words):
    limits = Limits(budget)
    text, values = allocation.verdict(choose(singles([60.0], [10]), limits), limits, 1.0)
    said = Language("en")(text, **values)
    assert words in said and "$60" in said


def test_plan_and_others_are_marked_on_the_curve():
    plans = pd.DataFrame({"factor": [0.5, 1, 2], "budget": [5.0, 10, 20], "profit": [14.0, 20, 30]})
    curve = pd.DataFrame({"budget": [0.0, 20], "profit": [0.0, 31]})
    ax = charts.budget_curve(curve, plans=plans)
    drawn = [line.get_xydata().tolist() for line in ax.lines]
    assert drawn == [[[0, 0], [20, 31]], [[10, 20]], [[5, 14], [20, 30]]]


def test_the_bench_still_runs(capsys):
    bench.main(600)
    assert "600 customers" in capsys.readouterr().out


def test_without_a_margin_the_plan_is_told_in_revenue_and_a_loss_as_one():
    limits = Limits(50)
    plan = choose(singles([60.0, 100.0], [10, 20]), limits)
    text, values = allocation.verdict(plan, limits, None)
    assert "{revenue:money} of extra revenue" in text and "{profit" not in text
    assert values["revenue"] == 190 and values["cost"] == 30
    must = table(("a", "care", 1, 6, True), columns=MUST)
    for some in (limits, Limits()):
        text, values = allocation.verdict(choose(must, some), some, 0.5)
        assert "{loss:money} less than it costs" in text and values["loss"] == 5
