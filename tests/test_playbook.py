import datetime as dt
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis import playbook
from analysis.dataset import Dataset
from analysis.errors import InputError

AS_OF = dt.date(2026, 1, 31)
STAGES = ("prospect", "new", "repeat", "loyal", "silent", "lost")
CELLS = list(product(("strategic", "important", "ordinary", "potential"), STAGES, ("high", "medium", "low", "unknown", "none")))


def rule(name, when=(), **changed):
    texts = {text: f"{text} of {name}" for text in ("objective", "action", "channel", "owner")}
    return {"id": name, "when": dict(when), **texts, "days": 7, "cost": 2.0, "effect": 0.1, "control": 0.1} | changed


def tier(name, why, **when):
    return {"tier": name, "when": when, "why": why}


EVERYBODY = tier("ordinary", "all the rest")


@pytest.fixture
def load(tmp_path):
    """Load a playbook of these rules and tiers as from a file."""

    def load(*rules, tiers=(EVERYBODY,)):
        path = tmp_path / "my_playbook.yml"
        path.write_text(yaml.safe_dump({"tiers": list(tiers), "rules": list(rules)}), "utf-8")
        return playbook.load(path)

    return load


def shop(**changed):
    tables = {"transactions": {"path": "x.csv", "columns": {"customer_id": "c", "date": "d", "amount": "a"}}}
    return Dataset(name="shop", tables=tables, **changed)


def customers(n, tiers="ordinary", stage="new", risk="low"):
    ids = [f"c{i:05}" for i in range(n)]
    matrix = pd.DataFrame({"customer_id": ids, "tier": tiers, "stage": stage, "risk_band": risk, "reason": "why"})
    clv = pd.DataFrame({"customer_id": ids, "expected_order_value": 50.0, "clv": 100.0})
    churn = pd.DataFrame({"customer_id": ids, "churn_risk": 0.4, "risk_band": risk})
    return matrix, clv, churn


def plan_of(book, n, seed=1, shuffled=False, **knobs):
    matrix, clv, churn = customers(n)
    if shuffled:
        matrix, clv, churn = (frame.sample(frac=1, random_state=k) for k, frame in enumerate((matrix, clv, churn)))
    return playbook.plan(matrix, clv, churn, book, AS_OF, shop(seed=seed, **knobs))


# The shipped playbook
def allows(when, cell):
    return all(value in when.get(name, [value]) for name, value in zip(("tier", "stage", "risk"), cell, strict=True))


def test_shipped_playbook_gives_each_cell_exactly_one_rule_the_most_specific():
    written = yaml.safe_load(playbook.PLAYBOOK.read_text("utf-8"))["rules"]
    book = playbook.load()
    for cell in CELLS:
        by_names = sorted((len(r["when"]), r["id"]) for r in written if allows(r["when"], cell))
        best = [name for named, name in by_names if named == by_names[-1][0]]
        assert [book.rule_for(*cell).id] == best, cell


def test_shipped_playbook_has_unique_rules_and_covers_every_customer_with_a_tier():
    book = playbook.load()
    assert len({r.id for r in book.rules}) == len(book.rules)
    assert not any(book.tiers[-1].when.model_dump().values())


def test_shipped_playbook_holds_back_no_strategic_customer():
    book = playbook.load()
    assert {
        book.rule_for(*cell).control for cell in CELLS if cell[0] == "strategic" and cell[2] in ("high", "medium", "low")
    } == {0}


# Which rule
def test_the_rule_that_names_most_wins_wherever_it_stands(load):
    three = rule("three", {"tier": ["important"], "stage": ["new"], "risk": ["high"]})
    two = rule("two", {"tier": ["important"], "stage": ["new"]})
    one, none = rule("one", {"tier": ["important"]}), rule("none")
    for order in ((three, two, one, none), (none, one, two, three)):
        book = load(*order)
        assert book.rule_for("important", "new", "high").id == "three"
        assert book.rule_for("important", "new", "low").id == "two"
        assert book.rule_for("important", "lost", "high").id == "one"
        assert book.rule_for("ordinary", "new", "high").id == "none"


def test_two_rules_that_name_as_much_are_refused_by_name(load):
    with pytest.raises(InputError) as error:
        load(rule("by_tier", {"tier": ["important"]}), rule("by_stage", {"stage": ["new"]}), rule("rest"))
    assert all(name in str(error.value) for name in ("by_tier", "by_stage", "important", "new"))
    assert "rest" not in str(error.value)


def test_a_third_rule_settles_a_tie(load):
    both = rule("both", {"tier": ["important"], "stage": ["new"]})
    book = load(rule("by_tier", {"tier": ["important"]}), rule("by_stage", {"stage": ["new"]}), both, rule("rest"))
    assert book.rule_for("important", "new", "low").id == "both"


def test_a_cell_without_a_rule_is_named_with_the_remedy(load):
    rules = [rule(f"only_{t}", {"tier": [t]}) for t in ("strategic", "important", "potential")]
    with pytest.raises(InputError, match=r"no rule for ordinary, .*end with one whose `when` is empty"):
        load(*rules)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"when": {"tier": ["vip"]}}, "rules.1.when.tier.0"),
        ({"when": {"stage": ["asleep"]}}, "rules.1.when.stage.0"),
        ({"when": {"risk": ["extreme"]}}, "rules.1.when.risk.0"),
        ({"when": {"segment": ["a"]}}, "rules.1.when.segment"),
        ({"cost": -1}, "rules.1.cost"),
        ({"cost": float("nan")}, "rules.1.cost"),
        ({"effect": 1.01}, "rules.1.effect"),
        ({"effect": -0.01}, "rules.1.effect"),
        ({"control": 1.5}, "rules.1.control"),
        ({"days": -1}, "rules.1.days"),
        ({"days": 1.5}, "rules.1.days"),
        ({"colour": "red"}, "rules.1.colour"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_file_and_place(load, changed, place):
    with pytest.raises(InputError) as error:
        load(rule("first"), rule("second", {"tier": ["important"]}) | changed)
    assert "my_playbook.yml" in str(error.value)
    assert place in str(error.value)


def test_a_missing_key_and_an_unknown_tier_of_a_line_are_named(load):
    without = rule("first")
    del without["owner"]
    with pytest.raises(InputError) as error:
        load(without, tiers=[tier("vip", "why")])
    assert "rules.0.owner" in str(error.value)
    assert "tiers.0.tier" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [pytest.param(text) for text in ("", "- a\n- b\n", "tiers: [a\n")],
)
def test_a_file_that_is_no_playbook_is_an_input_error(tmp_path, content):
    path = tmp_path / "my_playbook.yml"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=r"my_playbook\.yml"):
        playbook.load(path)


def test_two_rules_with_one_id_are_refused(load):
    with pytest.raises(InputError, match="twice"):
        load(rule("twice", {"tier": ["important"]}), rule("twice"))


def test_tiers_that_leave_somebody_out_are_refused(load):
    with pytest.raises(InputError, match="tiers"):
        load(rule("rest"), tiers=[tier("strategic", "A twice", abc_today=["A"], abc_future=["A"])])


def test_a_text_without_english_is_refused(load):
    with pytest.raises(InputError, match=r"rules\.0\.action"):
        load(rule("first", action={"zh": "写信"}))


@pytest.mark.parametrize(("language", "said"), [("zh", "写信"), ("en", "write"), ("de", "write")])
def test_a_text_is_said_in_the_language_or_in_english(language, said):
    assert playbook.said({"en": "write", "zh": "写信"}, language) == said
    assert playbook.said("always", language) == "always"


# Tiers
def test_the_first_line_that_holds_decides_the_tier(load):
    lines = [
        tier("potential", "no order", stage=["prospect"]),
        tier("strategic", "A twice", abc_today=["A"], abc_future=["A"]),
        tier("important", "A once", abc_today=["A"]),
        tier("important", "never reached for A", abc_today=["A", "B"]),
        EVERYBODY,
    ]
    ids = ["prospect", "twice", "today", "b", "c", "nothing"]
    segments = pd.DataFrame(
        {
            "customer_id": ids,
            "stage": ["prospect", "loyal", "loyal", "new", "new", "lost"],
            "abc_revenue": ["A", "A", "A", "B", "C", "none"],
        }
    )
    # Of 100, 80 are the A of the future: `twice` alone; `b` has the next 15, `today` the last 5, `nothing` none.
    clv = pd.DataFrame({"customer_id": ["twice", "b", "today", "nothing"], "clv": [80.0, 15.0, 5.0, 0.0]})
    churn = pd.DataFrame({"customer_id": ids[1:], "risk_band": ["low", "high", "medium", "unknown", "high"]})
    found = playbook.matrix(segments, clv, churn, load(rule("rest"), tiers=lines), "en").set_index("customer_id")
    assert found.tier.to_dict() == {
        "prospect": "potential",
        "twice": "strategic",
        "today": "important",
        "b": "important",
        "c": "ordinary",
        "nothing": "ordinary",
    }
    assert found.reason[["twice", "today", "b", "nothing"]].tolist() == [
        "A twice",
        "A once",
        "never reached for A",
        "all the rest",
    ]
    assert found.risk_band.tolist() == ["none", "low", "high", "medium", "unknown", "high"]
    assert found.stage.tolist() == segments.stage.tolist()


def test_value_to_come_is_read_from_clv_and_none_without_it(load):
    lines = [tier("strategic", "future A", abc_future=["A"]), tier("potential", "no future", abc_future=["none"]), EVERYBODY]
    segments = pd.DataFrame({"customer_id": ["a", "b", "c"], "stage": "new", "abc_revenue": "C"})
    clv = pd.DataFrame({"customer_id": ["b", "a"], "clv": [10.0, 90.0]})  # a holds the first 90 %, b begins after 80 %
    churn = pd.DataFrame({"customer_id": ["a"], "risk_band": ["low"]})
    found = playbook.matrix(segments, clv, churn, load(rule("rest"), tiers=lines), "en")
    assert found.tier.tolist() == ["strategic", "ordinary", "potential"]


# The plan
def test_plan_has_one_row_for_each_customer_and_follows_the_rule(load):
    book = load(rule("greet", {"stage": ["new"]}, control=0, days=10), rule("rest", control=0))
    matrix, clv, churn = customers(4, stage=["new", "lost", "new", "loyal"])
    plan = playbook.plan(matrix, clv, churn, book, AS_OF, shop())
    assert plan.customer_id.tolist() == matrix.customer_id.tolist()
    assert plan.rule.tolist() == ["greet", "rest", "greet", "rest"]
    assert plan.action.tolist() == ["action of greet", "action of rest"] * 2
    assert plan.due.dt.date.tolist() == [dt.date(2026, 2, 10), dt.date(2026, 2, 7)] * 2


def test_money_of_the_treated_by_hand(load):
    plan = plan_of(load(rule("rest", control=0)), 3, margin=0.4)
    assert plan.arm.tolist() == ["exempt"] * 3
    assert plan.cost.tolist() == [2.0] * 3
    assert plan.expected_value.tolist() == pytest.approx([0.1 * 50 * 0.4] * 3)
    assert plan.target.tolist() == pytest.approx([0.6 + 0.1] * 3)


def test_without_a_margin_money_is_revenue(load):
    assert plan_of(load(rule("rest", control=0)), 1).expected_value.tolist() == pytest.approx([0.1 * 50])


def test_the_held_back_cost_and_bring_nothing_and_keep_their_probability(load):
    held = plan_of(load(rule("rest", control=1)), 5)
    assert held.arm.tolist() == ["control"] * 5
    assert held.cost.tolist() == [0.0] * 5
    assert held.expected_value.tolist() == [0.0] * 5
    assert held.target.tolist() == pytest.approx([0.6] * 5)


def test_a_target_is_a_probability(load):
    book = load(rule("rest", effect=0.9, control=0))
    assert plan_of(book, 1).target.tolist() == [1.0]


def test_what_is_not_known_of_a_customer_stays_empty(load):
    matrix, clv, churn = customers(1, stage="prospect", risk="none")
    plan = playbook.plan(matrix, clv.head(0), churn.head(0), load(rule("rest", control=0)), AS_OF, shop())
    assert plan[["expected_value", "target"]].isna().all(axis=None)
    assert plan.cost.tolist() == [2.0]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_share_held_back_is_near_its_probability(load, share):
    n = 20_000
    held = (plan_of(load(rule("rest", control=share)), n, seed=7).arm == "control").sum()
    low, high = binom.interval(1 - 1e-6, n, share)
    assert low <= held <= high


def test_the_lot_does_not_depend_on_the_order_of_rows_but_on_the_seed(load):
    book = load(rule("rest", control=0.5))
    plan = plan_of(book, 200)
    pd.testing.assert_frame_equal(plan, plan_of(book, 200, shuffled=True))
    assert plan.arm.tolist() != plan_of(book, 200, seed=2).arm.tolist()


def test_only_rules_with_a_control_hold_anybody_back(load):
    book = load(rule("all", {"stage": ["new"]}, control=0), rule("half", control=0.5))
    matrix, clv, churn = customers(400, stage=["new", "lost"] * 200)
    arms = playbook.plan(matrix, clv, churn, book, AS_OF, shop()).groupby("rule").arm.unique().map(set)
    assert arms.to_dict() == {"all": {"exempt"}, "half": {"treat", "control"}}


# What it comes to
def small_plan():
    rows = [
        ("c1", "write", "treat", 2.0, 5.0),
        ("c2", "write", "treat", 2.0, 7.0),
        ("c3", "write", "control", 0.0, 0.0),
        ("c4", "call", "exempt", 9.0, 4.0),
        ("c5", "mail", "treat", 1.0, 41.0),
    ]
    frame = pd.DataFrame(rows, columns=["customer_id", "rule", "arm", "cost", "expected_value"])
    return frame.assign(action="do", channel="by", owner="who", due=pd.Timestamp("2026-02-07"))


def test_by_rule_adds_up_the_treated_and_counts_the_held_back():
    table = playbook.by_rule(small_plan())
    assert table.index.tolist() == ["mail", "write", "call"]
    assert table.customers.tolist() == [1, 2, 1]
    assert table.held_back.tolist() == [0, 1, 0]
    assert table.cost.tolist() == [1.0, 4.0, 9.0]
    assert table.expected_value.tolist() == [41.0, 12.0, 4.0]
    assert table.gain.tolist() == [40.0, 8.0, -5.0]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["treat", "exempt"]), st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
    )
)
def test_by_rule_loses_no_money_and_no_customer(rows):
    plan = pd.DataFrame(rows, columns=["rule", "arm", "cost", "expected_value"])
    plan = plan.assign(
        customer_id=[f"c{i}" for i in range(len(plan))], action="do", channel="by", owner="who", due=pd.Timestamp(AS_OF)
    )
    table = playbook.by_rule(plan)
    assert table.customers.sum() == len(rows)
    assert table.gain.sum() == sum(value - cost for _, _, cost, value in rows)


def test_by_rule_counts_the_held_back_of_a_rule_that_treats_nobody():
    plan = small_plan().assign(arm="control")
    assert playbook.by_rule(plan).held_back.sum() == len(plan)


def test_decisions_take_what_is_most_at_stake_and_say_whether_it_pays():
    gains = {"a": 1.0, "b": -50.0, "c": 30.0, "d": 0.0, "e": 20.0, "f": -2.0}
    actions = pd.DataFrame({"gain": gains}).assign(customers=1, due=AS_OF, channel="x", owner="y", cost=1.0, expected_value=2.0)
    found = [(key, values["action"]) for key, values in playbook.decisions(actions)]
    assert found == [
        ("decision_pays", "c"),
        ("decision_pays", "e"),
        ("decision_pays", "a"),
        ("decision_does_not_pay", "f"),
        ("decision_does_not_pay", "b"),
    ]


def test_cells_count_every_customer_and_show_the_empty_cells():
    matrix = pd.DataFrame({"tier": ["ordinary", "ordinary", "strategic"], "stage": ["new", "new", "lost"]})
    counts = playbook.cells(matrix)
    assert counts.columns.tolist() == list(STAGES)
    assert counts.loc["ordinary", "new"] == 2
    assert counts.loc["strategic", "lost"] == 1
    assert counts.to_numpy().sum() == 3


def test_export_lists_those_with_most_to_gain_first_with_their_cell(load):
    matrix, clv, churn = customers(3, stage=["new", "lost", "loyal"])
    clv["expected_order_value"] = [10.0, 30.0, 10.0]
    listed = playbook.export(playbook.plan(matrix, clv, churn, load(rule("rest", control=0)), AS_OF, shop()), matrix)
    assert listed.customer_id.tolist() == ["c00001", "c00000", "c00002"]
    assert listed.stage.tolist() == ["lost", "new", "loyal"]
    assert listed.columns[:5].tolist() == ["customer_id", "tier", "stage", "risk_band", "arm"]
    assert np.isclose(listed.expected_value, [3.0, 1.0, 1.0]).all()
