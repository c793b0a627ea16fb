import datetime as dt
from collections import defaultdict, deque
from decimal import Decimal

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table

from analysis import customers
from analysis.errors import InputError
from analysis.intake.settings import Level, Loyalty
from analysis.report import charts
from analysis.report.text import Language
from analysis.strategy import loyalty

JANUARY = dt.date(2024, 1, 1)
PLAIN = Loyalty(
    points=1, point_value=0.01, expiry_days=10, redeemed=0.7, levels=[Level(name="one")]
)
FLOW = ["earned", "taken_back", "ended", "outstanding"]


def day(number):
    """The day of that number, where the first of January 2024 is 1."""
    return JANUARY + dt.timedelta(days=number - 1)


def log_of(*lines):
    """(customer, number of the day, money)"""
    return [(customer, day(number), money) for customer, number, money in lines]


LINES = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.integers(1, 60), st.sampled_from([-90, -35, -5, 0, 5, 20, 100])
    ),
    min_size=1,
    max_size=20,
)


# What becomes of the points
def on(ledger, *lines, at, **changed):
    """What customer a holds on a day of a log, with all points told as ended."""
    found = loyalty.accounts(
        ledger(log_of(*lines)), day(at), changed.get("expiry_days", 10)
    ).to_pandas()
    return (
        found.set_index("customer_id")
        .loc["a", ["earned", "taken_back", "ended", "outstanding"]]
        .tolist()
    )


def test_points_expire_after_their_days_and_a_return_takes_those_that_expire_first(ledger):
    """100 of day 1 and 50 of day 5; the return of 30 on day 8 leaves 70 of the first, which end on
    day 11.
    """
    lines = ("a", 1, 100), ("a", 5, 50), ("a", 8, -30)
    assert on(ledger, *lines, at=7) == [150, 0, 0, 150]
    assert on(ledger, *lines, at=10) == [150, 30, 0, 120]
    assert on(ledger, *lines, at=11) == [150, 30, 70, 50]
    assert on(ledger, *lines, at=15) == [150, 30, 120, 0]


def test_on_the_day_of_its_end_a_point_is_gone_before_a_return_comes(ledger):
    assert on(ledger, ("a", 1, 100), ("a", 9, 40), ("a", 11, -25), at=11) == [140, 25, 100, 15]
    assert on(ledger, ("a", 1, 100), ("a", 9, 40), ("a", 10, -25), at=11) == [140, 25, 75, 40]


def test_a_return_beyond_all_points_is_a_debt_that_later_points_pay(ledger):
    lines = ("a", 1, 10), ("a", 2, -30), ("a", 3, 25)
    assert on(ledger, *lines, at=2) == [10, 10, 0, 0]
    assert on(ledger, *lines, at=3) == [35, 30, 0, 5]
    assert on(ledger, *lines, at=13) == [35, 30, 5, 0]


def test_a_return_after_the_points_have_ended_finds_none(ledger):
    assert on(ledger, ("a", 1, 100), ("a", 20, -100), at=20) == [100, 0, 100, 0]


def simulated(lines, at, expiry_days):
    """The same, day by day with a queue of points for each customer."""
    sold, back = defaultdict(int), defaultdict(int)
    for customer, number, money in lines:
        (sold if money > 0 else back)[customer, number] += abs(money)
    told = {}
    for customer in sorted({c for c, n, _ in lines if n <= at}):
        queue, debt, flow = (
            deque(),
            0,
            dict.fromkeys(["earned", "taken_back", "ended", "outstanding"], 0),
        )
        for today in range(1, at + 1):
            while queue and queue[0][0] + expiry_days <= today:
                flow["ended"] += queue.popleft()[1]
            flow["earned"] += sold[customer, today]
            paid = min(debt, sold[customer, today])
            debt += back[customer, today] - paid
            queue.append([today, sold[customer, today] - paid])
            flow["taken_back"] += paid
            while queue and debt:
                taken = min(debt, queue[0][1])
                queue[0][1] -= taken
                debt -= taken
                flow["taken_back"] += taken
                if not queue[0][1]:
                    queue.popleft()
        flow["outstanding"] = sum(points for _, points in queue)
        told[customer] = flow
    return pd.DataFrame.from_dict(told, orient="index")


@settings(max_examples=14)
@given(LINES, st.integers(1, 70), st.sampled_from([1, 7, 30]))
def test_accounts_are_those_of_a_simulation_day_by_day(ledger, lines, at, expiry_days):
    found = (
        loyalty.accounts(ledger(log_of(*lines)), day(at), expiry_days)
        .to_pandas()
        .set_index("customer_id")
    )
    wanted = simulated(lines, at, expiry_days)
    assert found.index.tolist() == wanted.index.tolist()
    for column in wanted:
        assert found[column].tolist() == wanted[column].tolist(), column


@settings(max_examples=6)
@given(LINES, st.integers(1, 70))
def test_no_points_are_below_zero_and_none_is_lost(ledger, lines, at):
    flow = loyalty.accounts(ledger(log_of(*lines)), day(at), 9).to_pandas()[FLOW]
    assert (flow >= 0).all(axis=None)
    assert flow.earned.tolist() == pytest.approx(flow[FLOW[1:]].sum(axis=1).tolist())
    held = loyalty.holdings(ledger(log_of(*lines)), day(at), PLAIN)
    assert (held[["outstanding", "year_points"]] >= 0).all(axis=None)


@settings(max_examples=3)
@given(LINES, LINES, st.randoms(use_true_random=False))
def test_neither_later_lines_nor_their_order_matter(ledger, lines, later, random):
    programme, past = Loyalty(expiry_days=9), log_of(*lines)
    held = loyalty.holdings(ledger(past), day(60), programme)
    more = past + [
        (customer, when + dt.timedelta(days=60), money) for customer, when, money in log_of(*later)
    ]
    pd.testing.assert_frame_equal(
        loyalty.holdings(ledger(random.sample(more, len(more))), day(60), programme), held
    )


def test_cents_do_not_drift(ledger):
    lines = [("a", JANUARY, Decimal("0.1"))] * 3 + [("a", day(2), Decimal("-0.3"))]
    found = loyalty.accounts(ledger(lines), day(3), 10).to_pandas()
    assert found[FLOW].iloc[0].tolist() == [0.3, 0.3, 0, 0]


@settings(max_examples=4)
@given(LINES, st.sampled_from([0, 1, 30]))
def test_accounts_are_an_expression_of_the_engine_and_spend_is_that_of_the_customers(
    ledger, lines, window_days
):
    log, as_of = ledger(log_of(*lines)), day(45)
    found = loyalty.accounts(log, as_of, 7, window_days)
    assert isinstance(found, Table)
    known = customers.at(log, as_of, window_days)
    assert (
        found.to_pandas()[["customer_id", "window_spend"]].to_numpy().tolist()
        == known[["customer_id", "window_revenue"]].to_numpy().tolist()
    )


def test_points_worth_and_level_make_the_points(ledger):
    """b spends most, is gold and earns double; two points for each unit of money."""
    programme = Loyalty(
        points=2,
        redeemed=0.75,
        expiry_days=400,
        levels=[Level(name="x"), Level(name="y", from_share=0.5, multiplier=2)],
    )
    log = ledger(
        [("a", dt.date(2022, 6, 1), 80), ("a", day(1), 10), ("b", day(1), 50), ("b", day(9), -20)]
    )
    held = loyalty.holdings(log, day(31), programme).set_index("customer_id")
    assert held.level.to_dict() == {"a": "x", "b": "y"}
    assert held[["window_spend", "year_spend", "year_points"]].loc["a"].tolist() == [10, 10, 20]
    assert held.outstanding.to_dict() == {"a": 20, "b": 120}
    assert held.loc["b", "year_points"] == 120


def test_the_window_decides_the_level_and_the_year_the_yearly_points(ledger):
    log = ledger(
        [("a", dt.date(2022, 1, 1), 900), ("a", day(1), 10), ("b", day(1), 50), ("c", day(1), 1)]
    )
    programme = Loyalty(levels=[Level(name="x"), Level(name="y", from_share=0.5)])
    none, recent, ever = (
        loyalty.holdings(log, day(31), programme, days).set_index("customer_id")
        for days in (30, 31, 0)
    )
    assert none.window_spend.tolist() == [0, 0, 0]  # the 30 days to the 31st begin on the 2nd
    assert recent.window_spend.tolist() == [10, 50, 1]
    assert recent.level.to_dict() == {"a": "x", "b": "y", "c": "x"}
    assert ever.window_spend.tolist() == [910, 50, 1]
    assert ever.level.to_dict() == {"a": "y", "b": "x", "c": "x"}
    assert ever.year_spend.tolist() == recent.year_spend.tolist() == [10, 50, 1]


# Levels
def at_levels(spend, *levels):
    return loyalty.levels(
        pd.Series(spend, dtype=float), Loyalty(levels=[Level(name="low"), *levels])
    ).tolist()


def test_a_share_counts_those_who_spend_less_and_the_border_is_inside():
    top = Level(name="top", from_share=0.8)
    assert at_levels([1, 2, 3, 4, 5], top) == ["low"] * 4 + ["top"]
    assert (
        at_levels([1, 2, 3, 4, 4], top) == ["low"] * 5
    )  # the two at the top have but three fifths below them
    assert at_levels(range(1, 11), Level(name="top", from_share=0.9)) == ["low"] * 9 + ["top"]


def test_who_spent_nothing_or_took_back_more_counts_for_no_share():
    assert at_levels([0, 0, 0, -5, 1, 2], Level(name="top", from_share=0.5)) == ["low"] * 5 + [
        "top"
    ]


def test_an_amount_is_inside():
    levels = Level(name="mid", from_amount=100), Level(name="top", from_amount=200)
    assert at_levels([99.99, 100, 199.99, 200, -1], *levels) == ["low", "mid", "mid", "top", "low"]


@pytest.mark.parametrize("spend", [[7.0] * 5, [7.0], [], [0.0, 0.0]])
def test_all_alike_are_in_the_lowest_level(spend):
    assert at_levels(spend, Level(name="top", from_share=0.1)) == ["low"] * len(spend)


@settings(max_examples=20)
@given(st.lists(st.floats(-100, 1e9), max_size=30))
def test_more_spend_is_never_a_lower_level(spend):
    found = loyalty.levels(pd.Series(spend, dtype=float), Loyalty())
    place = found.map({"bronze": 0, "silver": 1, "gold": 2})
    ordered = pd.DataFrame({"spend": spend, "place": place}).sort_values("spend")
    assert ordered.place.is_monotonic_increasing
    assert (found == "gold").sum() <= 0.1 * max(sum(s > 0 for s in spend), 0) + 1e-9


# What it costs
def cost(held, programme, margin=0.5):
    return loyalty.cost(loyalty.by_level(held, programme, margin), programme, margin)


def held(**columns):
    return pd.DataFrame({"customer_id": ["a", "b", "c"], "level": ["low", "low", "top"]} | columns)


PROGRAMME = Loyalty(
    point_value=0.02,
    redeemed=0.5,
    levels=[
        Level(name="low", lift=0.1),
        Level(name="top", from_share=0.5, multiplier=2, benefit_share=0.1, lift=0.2),
    ],
)
HELD = held(
    year_spend=[100.0, 300.0, 600.0],
    year_points=[100.0, 300.0, 1200.0],
    outstanding=[50.0, 150.0, 1000.0],
)


def test_the_cost_of_each_level_by_hand():
    low, top = loyalty.by_level(HELD, PROGRAMME, margin=0.5).to_dict("records")
    assert (low["level"], low["customers"], low["revenue"], low["revenue_share"]) == (
        "low",
        2,
        400,
        0.4,
    )
    assert (
        low["points_cost"],
        low["benefit_cost"],
        low["cost"],
        low["breakage"],
        low["liability"],
    ) == (4, 0, 4, 4, 2)
    # of 400 half is margin, and points of 4 go off: 196 are left, which must bring 4
    assert low["break_even"] == pytest.approx(4 / 196)
    assert (low["assumed_lift"], low["brought"], low["gain"]) == pytest.approx((0.1, 19.6, 15.6))
    assert (
        top["points_cost"],
        top["benefit_cost"],
        top["cost"],
        top["breakage"],
        top["liability"],
    ) == (12, 60, 72, 12, 10)
    assert top["break_even"] == pytest.approx(72 / 288)
    assert (top["brought"], top["gain"]) == pytest.approx((57.6, -14.4))


def said(total):
    """What of the findings can be said."""
    told = [(text, values) for text, values in loyalty.findings(total)]
    return [Language("en")(*one[:1], **one[1]) for one in told if not Language("en").unknown(*one)]


def test_without_a_margin_nothing_is_gain_and_the_margin_needed_is_told():
    """A tenth more of 400 is 40, with points of .4, for a cost of 4; a fifth more of 600 is 120,
    with points of 2.4, for 72. With that margin the programme brings just what it costs.
    """
    table = loyalty.by_level(HELD, PROGRAMME, None)
    assert table[["break_even", "brought", "gain"]].isna().all(axis=None)
    assert table.margin_needed.tolist() == pytest.approx([4.4 / 40, 74.4 / 120])
    total = cost(HELD, PROGRAMME, None)
    assert total["margin_needed"] == pytest.approx(78.8 / 160)
    assert "from a margin of 49" in said(total)[-1] and len(said(total)) == 2
    assert cost(HELD, PROGRAMME, 78.8 / 160)["gain"] == pytest.approx(0)
    dear = PROGRAMME.model_copy(update={"point_value": 10.0})
    assert said(cost(HELD, dear, None))[-1].endswith("it pays with no margin.")


def test_the_whole_cost_by_hand():
    total = cost(HELD, PROGRAMME, margin=0.5)
    assert (total["back"], total["customers"], total["revenue"]) == (0.02, 3, 1000)
    assert (total["cost"], total["points_cost"], total["benefit_cost"]) == (76, 16, 60)
    assert (total["liability"], total["breakage"]) == (12, 16)
    assert total["lift"] == pytest.approx(76 / 484)
    assert (total["assumed"], total["gain"]) == pytest.approx((77.2 / 484, 1.2))


def test_a_benefit_with_a_price_costs_it_for_each_member():
    levels = [
        Level(name="low", benefit_cost=1.5),
        Level(name="top", from_share=0.5, benefit_cost=0, benefit_share=0.9),
    ]
    assert loyalty.by_level(HELD, Loyalty(levels=levels), 0.5).benefit_cost.tolist() == [3, 0]


def test_the_default_gives_back_one_percent_and_a_margin_makes_the_break_even_higher():
    assert cost(HELD.assign(level="bronze"), Loyalty())["back"] == pytest.approx(0.01)
    revenue, margin = (cost(HELD, PROGRAMME, share)["lift"] for share in (1, 0.3))
    assert 0 < revenue < margin


@settings(max_examples=6)
@given(st.floats(0.1, 1), st.floats(0, 1), st.floats(1, 1e6))
def test_at_the_break_even_a_programme_gains_nothing(margin, redeemed, scale):
    """With the break-even as the assumed lift of each level; and the unit of money changes no
    share.
    """
    given_ = PROGRAMME.model_copy(update={"redeemed": redeemed})
    money = HELD.assign(
        **{c: HELD[c] * scale for c in ("year_spend", "year_points", "outstanding")}
    )
    needed = loyalty.by_level(money, given_, margin).break_even
    levels = [
        level.model_copy(update={"lift": lift})
        for level, lift in zip(given_.levels, needed, strict=True)
    ]
    found = loyalty.by_level(money, given_.model_copy(update={"levels": levels}), margin)
    assert found.gain.abs().max() <= 1e-9 * max(found.cost.max(), 1)
    assert needed.tolist() == pytest.approx(
        loyalty.by_level(HELD, given_, margin).break_even.tolist()
    )


def test_points_that_cost_as_much_as_orders_bring_never_pay():
    total = cost(HELD, PROGRAMME, margin=0.01)
    assert total["lift"] == float("inf")
    assert "does not pay" in said(total)[-1]


def test_a_free_programme_needs_nothing():
    free = Loyalty(point_value=0, levels=[Level(name="low"), Level(name="top", from_share=0.5)])
    assert cost(HELD, free)["lift"] == 0
    assert loyalty.by_level(HELD, free, 0.5).break_even.tolist() == [0, 0]


def test_a_level_that_nobody_is_in_costs_nothing_and_stays_in_the_table():
    found = loyalty.by_level(HELD.assign(level="low"), PROGRAMME, 0.5)
    assert found.customers.tolist() == [3, 0]
    assert found.cost.tolist() == [16 * 1.0, 0]
    assert found.revenue_share.tolist() == [1, 0]
    assert cost(HELD.assign(level="low"), PROGRAMME, None)["margin_needed"] == pytest.approx(0.176)


def test_levels_add_up_to_the_whole(cdnow_sample):
    found = loyalty.holdings(cdnow_sample, dt.date(1998, 6, 30), Loyalty())
    table, total = loyalty.by_level(found, Loyalty(), 0.3), cost(found, Loyalty(), 0.3)
    assert table.customers.sum() == len(found) == total["customers"]
    for name in ("cost", "liability", "breakage", "revenue", "gain"):
        assert table[name].sum() == pytest.approx(total[name])
    assert table.revenue_share.sum() == pytest.approx(1)
    assert (
        found[found.level == "gold"].window_spend.min()
        > found[found.level == "silver"].window_spend.max()
    )


# Nothing to tell
@pytest.mark.parametrize("money", [None, "no lines"])
def test_without_money_nothing_is_told_and_nothing_breaks(money):
    columns = {"customer_id": pa.string(), "day": pa.date32(), "amount": pa.decimal128(38, 12)}
    rows = (
        []
        if money
        else [{"customer_id": "a", "day": JANUARY}, {"customer_id": "b", "day": JANUARY}]
    )
    log = ibis.memtable(pa.Table.from_pylist(rows, pa.schema(columns.items())))
    found = loyalty.holdings(log, day(31), Loyalty())
    assert found.empty and list(found) == loyalty.HELD
    assert loyalty.by_level(found, Loyalty(), None).empty
    total = cost(found, Loyalty())
    assert total.keys() == cost(HELD, PROGRAMME).keys()
    assert not said(total)
    *_, (text, values) = loyalty.caveats(log, day(31), Loyalty(), None)
    assert text.startswith("The log reaches back") and values["days"] == (0 if money else 31)


def test_only_returns_earn_and_cost_nothing(ledger):
    found = loyalty.holdings(ledger(log_of(("a", 1, -50))), day(5), Loyalty())
    assert found[["year_points", "outstanding"]].to_numpy().tolist() == [[0, 0]]
    total = cost(found, Loyalty())
    assert (total["cost"], total["liability"], total["lift"]) == (0, 0, 0)
    assert pd.isna(total["assumed"])


def test_one_customer(ledger):
    found = loyalty.holdings(ledger(log_of(("a", 1, 50))), day(5), Loyalty())
    assert found.level.tolist() == ["bronze"]
    assert cost(found, Loyalty())["liability"] == pytest.approx(50 * 0.01 * 0.7)


# Words and the dataset file
def test_the_sentences_by_hand():
    values = {
        "back": 0.01,
        "cost": 1200.0,
        "points_cost": 900.0,
        "benefit_cost": 300.0,
        "liability": 450.5,
        "lift": 0.0124,
        "assumed": 0.02,
        "brought": 1900.0,
        "gain": 700.0,
    }
    cost_, pays, gains = (text.replace("\N{NO-BREAK SPACE}", " ") for text in said(values))
    assert "gives back 1.0 % of the spend" in cost_
    assert (
        "cost $1,200 a year ($900 for points, $300 for benefits) and leave $450.50 of points"
        " outstanding" in cost_
    )
    assert pays == "It pays if members order 1.2 % more."
    assert "order 2.0 % more" in gains and "brings $1,900" in gains and "is $700 a year" in gains


def test_the_default_levels_have_words_and_the_picture_shows_a_companys_own(ledger):
    say = Language("en")
    assert [say.word(level.name) for level in Loyalty().levels] == ["Bronze", "Silver", "Gold"]
    own = loyalty.by_level(
        HELD.assign(level=["</text><script>", "b", "b"]),
        Loyalty(levels=[Level(name="</text><script>"), Level(name="b", from_share=0.5)]),
        None,
    )
    assert "<script>" not in charts.svg(charts.loyalty_levels(own))


def test_nothing_that_is_given_is_changed():
    before = HELD.copy(deep=True)
    loyalty.by_level(HELD, PROGRAMME, 0.5)
    pd.testing.assert_frame_equal(HELD, before)


SHOP = "tables:\n  transactions: {path: o.csv, columns: {customer_id: id, date: day}}\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{levels: [{name: a, from_share: 0.5}]}", "begins at 0"),
        (
            "{levels: [{name: a}, {name: b, from_share: 0.5}, {name: c, from_share: 0.5}]}",
            "above the one before",
        ),
        ("{levels: [{name: a}, {name: b}]}", "above the one before"),
        (
            "{levels: [{name: a}, {name: b, from_share: 0.5}, {name: c, from_amount: 9}]}",
            "either from_share or from_amount",
        ),
        ("{levels: [{name: a}, {name: a, from_share: 0.5}]}", "same name"),
        ("{levels: []}", "loyalty.levels"),
        ("{redeemed: 1.1}", "loyalty.redeemed"),
        ("{expiry_days: 0}", "loyalty.expiry_days"),
        ("{points: .inf}", "loyalty.points"),
        ("{expiry: 30}", "did you mean expiry_days"),
    ],
)
def test_a_programme_that_cannot_be_is_refused_with_its_key(tmp_path, written, said):
    from analysis.intake import dataset

    (tmp_path / "shop.yml").write_text(f"{SHOP}loyalty: {written}\n", "utf-8")
    with pytest.raises(InputError, match=said):
        dataset.load(tmp_path / "shop.yml")
