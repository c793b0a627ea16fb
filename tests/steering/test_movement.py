import datetime as dt
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis import customers, schema
from analysis.intake.dataset import Dataset
from analysis.models.early_warning import EARLIER
from analysis.report import charts
from analysis.report.text import say
from analysis.segments import registry
from analysis.segments.lifecycle import limits
from analysis.steering import movement
from analysis.strategy import picture, playbook, tiers

AS_OF, HORIZON = dt.date(2025, 12, 31), 90
THEN = dt.date(2025, 10, 2)
COLUMNS = {"customer_id": "c", "date": "d", "amount": "a"}
SETTINGS = Dataset.model_validate(
    {
        "tables": {"transactions": {"path": "o.csv", "columns": COLUMNS}},
        "horizon_days": HORIZON,
        "value_window_days": 365,
        "silent_days": 60,
        "lost_days": 200,
    }
)


def dated(rows, *names):
    """Records on an engine."""
    table = ibis.memtable(pd.DataFrame(rows, columns=list(names)))
    types = {"day": "date", "first_contact": "date", "amount": "float64"}
    return table.mutate(**{name: table[name].cast(types[name]) for name in {*names} & {*types}})


def monthly(customer, first, last, amount=100.0):
    """An order at the end of each month."""
    return [(customer, day.date(), amount) for day in pd.date_range(first, last, freq="ME")]


def source(lines, risk=(), churn=None, settings=SETTINGS, **logs):
    """A stage of a company with these order lines, that reads what those before it make of them."""
    records = {"transactions": dated(lines, "customer_id", "day", "amount")} | logs
    log, window = records["transactions"], settings.value_window_days
    known = customers.at(log, AS_OF, window)
    if "profiles" in logs:
        known = customers.with_prospects(known, logs["profiles"], AS_OF)
    learned = limits(customers.at(log, AS_OF, trailing=[HORIZON]), HORIZON)
    options = {"lifecycle": {"learned": learned}}
    segments = registry.segment(known, registry.ALWAYS, settings, **options)
    rules = playbook.of(settings).tiers
    history = tiers.history(log, AS_OF, settings, rules)
    matrix = picture.draw(known, segments, history, rules, "en", churn=churn)
    tables = {"customers": known, "segments": segments, "matrix": matrix, "tier_history": history}
    tables["earlier_risk"] = pd.DataFrame(list(risk), columns=list(EARLIER)).astype(EARLIER)
    return SimpleNamespace(
        settings=settings,
        as_of=AS_OF,
        has=records.__contains__,
        expression=records.__getitem__,
        read=tables.__getitem__,
    )


def company(**more):
    """Seven customers, each with a course of its own (silent after 60 days, lost after 200)."""
    lines = [
        *monthly("steady", "2024-01-01", "2025-12-31"),
        *monthly("stopped", "2024-01-01", "2025-09-30"),
        *monthly("back", "2024-01-01", "2025-02-28"),
        *monthly("back", "2025-11-01", "2025-12-31"),
        *monthly("fresh", "2025-11-01", "2025-12-31"),
        ("won", dt.date(2025, 12, 20), 50.0),
    ]
    profiles = [
        ("won", dt.date(2025, 8, 1)),  # a prospect then
        ("asked", dt.date(2025, 11, 1)),  # since then
        ("undated", None),  # nobody knows since when
    ]
    return source(lines, profiles=dated(profiles, "customer_id", "first_contact"), **more)


ANSWERS = [
    ("steady", dt.date(2025, 9, 1), "nps", 10.0),
    ("steady", dt.date(2025, 11, 1), "nps", 3.0),
    ("stopped", dt.date(2024, 9, 15), "nps", 9.0),  # more than a year before both days
    ("back", dt.date(2025, 11, 20), "nps", 8.0),
    ("fresh", dt.date(2025, 12, 1), "csat", 5.0),
]


def pairs(both, kind):
    found = movement.of_kind(both, kind).set_index("customer_id")
    return {name: (row.before, row.after, row.way) for name, row in found.iterrows()}


def test_stages_by_hand():
    new = movement.NOT_YET
    assert pairs(movement.gather(company(), THEN), "stage") == {
        "steady": ("loyal", "loyal", 0),
        "stopped": ("loyal", "silent", -1),  # 2 days then, 92 days now
        "back": ("lost", "loyal", 1),  # 216 days then
        "fresh": (new, "repeat", 1),
        "won": ("prospect", "new", 1),
        "asked": (new, "prospect", 0),
        "undated": (new, "prospect", 0),
    }


def test_answers_by_hand():
    asked = dated(ANSWERS, "customer_id", "day", "kind", "score")
    both = movement.gather(company(feedback=asked), THEN)
    found = pairs(both, "recommends")
    assert found.pop("steady") == ("promoter", "detractor", -1)
    assert found.pop("back") == ("no_answer", "passive", 0)
    assert found.pop("stopped") == ("no_answer", "no_answer", 0)
    assert {after for _, after, _ in found.values()} == {"no_answer"}
    texts = [say(text, **values) for text, values in movement.sentences(both, THEN, True)]
    assert texts[-1] == (
        "Of 1 who answered in the year to each day, 0 would recommend us more than then and 1 less"
        " (even, within chance); 1 promoters became detractors."
    )


def test_tiers_and_segments_are_those_of_the_pages():
    stage = company()
    both = movement.gather(stage, THEN).set_index("customer_id")
    now = stage.read("matrix").set_index("customer_id")
    assert both.tier_after.to_dict() == now.tier.to_dict()
    segments = stage.read("segments").set_index("customer_id")
    assert both.rfm_segment_after.to_dict() == segments.rfm_segment.to_dict()
    history = stage.read("tier_history")
    then = history[history.month_end == "2025-09-30"].set_index("customer_id").tier
    assert both.tier_before[then.index].to_dict() == then.to_dict()
    assert both.revenue_before[["steady", "back"]].tolist() == [1200.0, 500.0]  # Oct to Feb
    assert both.revenue_after[["stopped", "back"]].tolist() == [900.0, 400.0]


def test_a_customer_whose_records_are_alike_on_both_days_does_not_move():
    """Others change the ranks, but the cut points are those of today."""
    both = movement.gather(company(), THEN).set_index("customer_id").loc["steady"]
    for kind in ("tier", "stage", "rfm_segment"):
        assert both[f"{kind}_before"] == both[f"{kind}_after"], kind


RISK = [
    ("steady", THEN, 0.2, "low", "pace"),
    ("stopped", THEN, 0.1, "low", "silence"),
    ("back", THEN, 0.9, "high", ""),
]
CHURN = pd.DataFrame(
    {
        "customer_id": ["back", "fresh", "steady", "stopped", "won"],
        "churn_risk": [0.3, 0.1, 0.5, 0.9, 0.9],
        "risk_band": ["low", "low", "medium", "high", "high"],
    }
)


def test_risk_by_hand():
    both = movement.gather(company(risk=RISK, churn=CHURN), THEN)
    new = movement.NOT_YET
    assert pairs(both, "risk_band") == {
        "steady": ("low", "medium", -1),
        "stopped": ("low", "high", -1),
        "back": ("high", "low", 1),
        "fresh": (new, "low", 1),
        "won": ("none", "high", 0),  # a first order is no rise of the risk
        "asked": (new, "none", 0),
        "undated": (new, "none", 0),
    }
    [told] = [
        say(text, **values)
        for text, values in movement.sentences(both, THEN, True)
        if "risk" in text
    ]
    assert told == (
        "2 customers, who had brought $2.4K in the value window, rose into a higher band of risk,"
        " most often: orders lately against before (1); 2 are in a lower one or new without a high"
        " risk (even, within chance)."
    )


def test_a_contract_that_ended_is_no_move_to_another_risk():
    churn = CHURN[CHURN.customer_id != "stopped"]
    both = movement.gather(company(risk=RISK, churn=churn), THEN)
    assert pairs(both, "risk_band")["stopped"] == ("low", "none", 0)


def test_the_risk_of_another_day_is_not_told():
    earlier = [(who, dt.date(2025, 6, 30), *rest) for who, _, *rest in RISK]
    both = movement.gather(company(risk=earlier, churn=CHURN), THEN)
    assert "risk_band_before" not in both
    assert {*movement.moves(both).kind} == {"tier", "stage", "rfm_segment"}


def test_a_log_that_begins_later_than_the_earlier_day_tells_of_no_move():
    both = movement.gather(source(monthly("late", "2025-11-01", "2025-12-31")), THEN)
    assert both.customer_id.tolist() == ["late"]
    table = movement.moves(both)
    assert schema.conform("moves", table).num_rows == 0
    assert not [*movement.sentences(both, THEN, False)]
    assert movement.fallen(both).empty
    assert not charts.flow(table).has_data()


def test_without_amounts_nothing_is_said_of_money():
    lines = [(who, day, None) for who, day, _ in monthly("a", "2024-01-01", "2025-09-30")]
    both = movement.gather(source(lines), THEN)
    texts = [say(text, **values) for text, values in movement.sentences(both, THEN, True)]
    assert not [text for text in texts if "$" in text or "nan" in text]
    assert "1 who were active, whose money is not known, are silent or lost now" in texts[1]
    assert movement.moves(both).revenue_before.isna().all()
    assert movement.fallen(both).empty


# The table
def classes(kind):
    return st.sampled_from([*movement.CLASSES[kind]])


DAY = st.dictionaries(
    st.sampled_from("abcdefghij"),
    st.tuples(*map(classes, movement.CLASSES), st.integers(-5, 100), st.integers(0, 9)),
    min_size=1,
)


def frame(day):
    columns = [*movement.CLASSES, "revenue", "orders"]
    return pd.DataFrame.from_dict(day, "index", columns=columns).astype({"revenue": float})


@settings(max_examples=30)
@given(DAY, DAY)
def test_everybody_counts_once_in_each_kind_and_money_adds_up(before, after):
    then, now = frame(before).assign(rose_by=""), frame(after)
    both = movement.side_by_side(then, now)
    table = movement.moves(both)
    assert schema.conform("moves", table).num_rows == len(table)
    assert sorted(both.customer_id) == sorted({*before, *after})
    for kind, rows in table.groupby("kind"):
        assert rows.customers.sum() == len(both)
        assert rows.revenue_before.sum() == then.revenue.sum()
        assert rows.revenue_after.sum() == now.revenue.sum()
        for side, day, gap in (("before", then, movement.NOT_YET), ("after", now, movement.GONE)):
            counts = rows.groupby(side).customers.sum()
            assert counts.drop(gap, errors="ignore").to_dict() == day[kind].value_counts().to_dict()
    back = movement.side_by_side(now.assign(rose_by=""), then)
    known = both.customer_id.isin({*before} & {*after})
    for kind in {*table.kind} & {*movement.moves(back).kind} - {"risk_band"}:
        there, here = (movement.of_kind(each, kind).way[known] for each in (both, back))
        assert (there == -here).all()


def test_classes_stand_in_their_order():
    assert movement.in_order("tier", {"potential", "own", "strategic"}) == [
        "strategic",
        "potential",
        "own",
    ]


# What is beyond chance
@pytest.mark.parametrize(
    ("up", "down", "verdict"),
    [
        (0, 0, "net_chance"),
        (5, 0, "net_chance"),  # 2 / 32
        (6, 0, "net_better"),  # 2 / 64
        (6, 14, "net_chance"),  # p 0.115
        (5, 15, "net_worse"),  # p 0.041
    ],
)
def test_the_balance_by_hand(up, down, verdict):
    way = pd.Series([1] * up + [-1] * down + [0] * 50)
    assert movement.net(way) == verdict
    assert movement.net(pd.Series([0, 0])) == "net_chance"


@pytest.mark.parametrize("movers", [7, 40, 211])
def test_where_up_is_as_likely_as_down_the_balance_is_news_in_one_case_of_twenty(movers):
    false = sum(
        binom.pmf(up, movers, 0.5)
        for up in range(movers + 1)
        if movement.net(pd.Series([1] * up + [-1] * (movers - up))) != "net_chance"
    )
    assert 0.01 < false <= movement.SURE


def test_regression_to_the_mean_is_no_news():
    """Tiers by what luck brought in each of two years: as many fall as others rise."""
    random = np.random.default_rng(1)
    luck = [pd.Series(random.poisson(4, 3000) + random.random(3000)) for _ in range(2)]
    before, after = (
        pd.cut(each.rank(ascending=False), [0, 150, 600, 3000], labels=movement.TIERS[:3])
        for each in luck
    )
    way = movement.ways("tier", before.astype(object), after.astype(object))
    top = before == "strategic"
    assert (way[top] < 0).mean() > 0.8  # which alone would look like a disaster
    assert movement.net(way) == "net_chance"


# Who, and why
def one(orders, revenue, after="ordinary"):
    then = frame({"a": ("strategic", *["loyal"] * 4, revenue[0], orders[0])}).assign(rose_by="")
    return movement.side_by_side(then, frame({"a": (after, *["loyal"] * 4, revenue[1], orders[1])}))


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
def test_why_somebody_brings_less(orders, revenue, why):
    down = movement.fallen(one(orders, revenue))
    assert down.why.tolist() == [why]
    assert down.loss.tolist() == [revenue[0] - revenue[1]]
    assert down.tier.tolist() == ["Strategic → Ordinary"]


def test_who_brings_no_less_or_fell_by_nothing_is_not_listed():
    assert movement.fallen(one((4, 4), (100.0, 100.0))).empty
    assert movement.fallen(one((4, 4), (100.0, 50.0), after="strategic")).empty


def test_what_moved_down_is_said_by_what_it_lost():
    then = {
        name: ("strategic", *["loyal"] * 2, "low", "passive", 90.0, 4) for name in ("a", "b", "c")
    }
    now = {
        "a": ("ordinary", *["lost"] * 2, "high", "passive", 0.0, 0),
        "b": ("ordinary", *["loyal"] * 2, "low", "passive", 10.0, 1),
        "c": ("important", *["loyal"] * 2, "low", "passive", 10.0, 1),
    }
    both = movement.side_by_side(frame(then).assign(rose_by="silence"), frame(now))
    texts = [say(text, **values) for text, values in movement.sentences(both, THEN, True)]
    assert texts[:3] == [
        "Since Oct 2, 2025, 0 customers moved up a tier and 3 moved down (even, within chance); of"
        " these, 3 bring $250 less in the value window, most often: fewer orders (2).",
        "0 customers became active with a first order and 0 after a long pause; 1 who were active,"
        " who had brought $90 in the value window, are silent or lost now (even, within chance).",
        "1 customers, who had brought $90 in the value window, rose into a higher band of risk,"
        " most often: how long the customer has been silent (1); 0 are in a lower one or new"
        " without a high risk (even, within chance).",
    ]
    assert movement.fallen(both).customer_id.tolist() == ["a", "b", "c"]
    stayed = movement.side_by_side(frame(then).assign(rose_by=""), frame(then))
    texts = [say(text, **values) for text, values in movement.sentences(stayed, THEN, True)]
    assert texts[0] == (
        "Since Oct 2, 2025, 0 customers moved up a tier and 0 moved down (even, within chance)."
    )
    assert "0 who were active, who had brought $0 in the value window, are silent" in texts[1]
    assert texts[2].startswith("Nobody rose into a higher band of risk; 0 customers")
    [first, *_] = movement.sentences(both, THEN, False)
    assert "in part because the log did not yet fill the value window" in say(first[0], **first[1])
