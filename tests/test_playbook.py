import datetime as dt
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis import customers as from_log
from analysis import playbook, segments, sources
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
        load(rule("rest"), tiers=[tier("strategic", "both halves", revenue_within=0.5, future_within=0.5)])


def test_a_text_without_english_is_refused(load):
    with pytest.raises(InputError, match=r"rules\.0\.action"):
        load(rule("first", action={"zh": "写信"}))


@pytest.mark.parametrize(("language", "said"), [("zh", "写信"), ("en", "write"), ("de", "write")])
def test_a_text_is_said_in_the_language_or_in_english(language, said):
    assert playbook.said({"en": "write", "zh": "写信"}, language) == said
    assert playbook.said("always", language) == "always"


# Tiers
def people(**columns):
    """The tables that tiers are made of: customers, segments, clv and churn of a to f."""
    ids = list("abcdef"[: len(columns["window_revenue"])])
    known = pd.DataFrame({"customer_id": ids, "window_orders": 1, "age_days": 400} | columns)
    segments = pd.DataFrame({"customer_id": ids, "stage": columns.get("stage", "loyal")})
    future = columns.get("clv", columns["window_revenue"])
    clv = pd.DataFrame({"customer_id": ids, "clv": future, "expected_orders": columns.get("expected_orders", 1.0)})
    churn = pd.DataFrame({"customer_id": ids, "churn_risk": 0.1, "risk_band": "low"})
    return known.drop(columns=["stage", "clv", "expected_orders"], errors="ignore"), segments, clv, churn


def tiers_of(load, lines, **columns):
    book = load(rule("rest"), tiers=[*lines, EVERYBODY])
    return playbook.matrix(*people(**columns), book, "en").set_index("customer_id")


def test_the_first_line_that_holds_decides_the_tier(load):
    """a holds 50 of 100 and so the whole first half; b with 30 begins at a half, c with 15 at 80 %, d at 95 %."""
    lines = [
        tier("strategic", "first half", revenue_within=0.5),
        tier("important", "up to 80 %", revenue_within=0.8),
        tier("important", "never reached", revenue_within=0.5),
    ]
    found = tiers_of(load, lines, window_revenue=[50.0, 30, 15, 5, 0, -3])
    assert found.tier.tolist() == ["strategic", "important", *["ordinary"] * 4]
    assert found.reason.tolist() == ["first half", "up to 80 %", *["all the rest"] * 4]
    assert found.revenue.tolist() == [50, 30, 15, 5, 0, -3]


def test_all_conditions_of_a_line_must_hold(load):
    """Revenue alone would make a, b, c strategic; a earns nothing, b is new, c has no future, and d has too little revenue."""
    line = tier("strategic", "all", revenue_within=0.9, profit_within=0.9, future_within=0.9, known_days=180)
    columns = {"window_revenue": [40.0, 30, 20, 5, 30], "window_profit": [-4.0, 3, 3, 9, 4], "clv": [9.0, 9, 0, 9, 9]}
    found = tiers_of(load, [line], **columns, age_days=[400, 179, 400, 400, 180])
    assert found.tier.tolist() == ["ordinary", "ordinary", "ordinary", "ordinary", "strategic"]


def test_a_condition_on_profit_is_passed_over_without_costs(load):
    line = tier("strategic", "in profit", revenue_within=0.5, profit_within=0.5)
    unknown = {"window_profit": [np.nan, np.nan]}
    assert tiers_of(load, [line], window_revenue=[90.0, 10]).tier.tolist() == ["strategic", "ordinary"]
    assert tiers_of(load, [line], window_revenue=[90.0, 10], **unknown).tier.tolist() == ["strategic", "ordinary"]
    assert tiers_of(load, [line], window_revenue=[90.0, 10], window_profit=[-1.0, 2]).tier.tolist() == ["ordinary"] * 2


def test_nobody_is_asked_for_a_profit_that_is_not_known(load):
    line = tier("strategic", "in profit", revenue_within=0.9, profit_within=0.5)
    found = tiers_of(load, [line], window_revenue=[50.0, 30, 20], window_profit=[np.nan, 9, 1])
    assert found.tier.tolist() == ["strategic", "strategic", "ordinary"]


def test_sums_of_money_that_nobody_knows_are_not_zero():
    matrix = pd.DataFrame({"tier": ["strategic"], "stage": "loyal", "risk_band": "low", "customer_id": "a", "reason": "why"})
    matrix = matrix.assign(revenue=np.nan, clv=np.nan, churn_risk=0.1)
    assert playbook.cells(matrix)[["revenue", "clv"]].isna().all(axis=None)
    assert playbook.why(matrix)[["revenue", "clv"]].isna().all(axis=None)
    assert np.isnan(playbook.strategic(matrix)["revenue_share"]) and np.isnan(playbook.strategic(matrix)["silent_revenue"])
    assert np.isnan(playbook.strategic(matrix.assign(revenue=-5.0))["revenue_share"])


def test_without_money_orders_stand_for_it(load):
    line = tier("strategic", "most orders", revenue_within=0.5, future_within=0.5)
    none = [np.nan] * 3
    found = tiers_of(load, [line], window_revenue=none, window_orders=[8, 1, 1], clv=none, expected_orders=[9.0, 1, 1])
    assert found.tier.tolist() == ["strategic", "ordinary", "ordinary"]


def test_prospects_alone_are_potential_customers(load):
    """They stand in customers and segments, but in neither clv nor churn."""
    known, segments, clv, churn = people(window_revenue=[0.0, 10, 5], stage=["prospect", "loyal", "loyal"])
    known.loc[0, "age_days"] = np.nan
    found = playbook.matrix(known, segments, clv.iloc[:0:-1], churn.iloc[:0:-1], playbook.load(), "en")
    assert found.tier.tolist()[0] == "potential"
    assert (found.tier == "potential").tolist() == (found.stage == "prospect").tolist()
    assert found.risk_band.tolist() == ["none", "low", "low"]
    assert found.clv.isna().tolist() == [True, False, False]


def test_equal_customers_are_of_equal_tier(load):
    lines = [tier("strategic", "first half", revenue_within=0.5)]
    assert set(tiers_of(load, lines, window_revenue=[7.0] * 6).tier) == {"strategic"}


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=6), st.permutations(range(6)), st.sampled_from([1e-3, 1e3]))
def test_neither_the_order_of_rows_nor_the_currency_moves_a_tier(values, order, factor):
    book = playbook.load()
    known, segments, clv, churn = people(window_revenue=values)
    before = playbook.matrix(known, segments, clv, churn, book, "en").set_index("customer_id").tier
    order = [n for n in order if n < len(values)]
    scaled = (known.assign(window_revenue=known.window_revenue * factor), segments, clv.assign(clv=clv.clv * factor), churn)
    after = playbook.matrix(*(table.iloc[order] for table in scaled), book, "en").set_index("customer_id").tier
    assert after.sort_index().tolist() == before.tolist()


@pytest.mark.parametrize("when", [{"revenue_within": 1.5}, {"revenue": ["A"]}, {"known_days": -1}, {"stage": ["gone"]}])
def test_a_condition_that_cannot_be_is_named(load, when):
    with pytest.raises(InputError, match=rf"tiers\.0\.when\.{next(iter(when))}"):
        load(rule("rest"), tiers=[tier("strategic", "why", **when), EVERYBODY])


def test_the_invented_companys_tiers_are_found_among_those_who_stay(crm_demo):
    """Planted: 58 key accounts, and as important the 15 % of highest yearly value. Tiers go by what was bought and is to
    come, so who left is ordinary; key accounts that order seldom are not strategic. No ordinary account becomes so."""
    as_of = crm_demo.dataset.as_of
    known = from_log.at(crm_demo.transactions, as_of, 365)
    segmented = segments.segment(known)
    worth = known[["customer_id"]].assign(clv=known.window_revenue.clip(lower=0), expected_orders=1.0)
    none = pd.DataFrame(
        {"customer_id": pd.Series(dtype="str"), "churn_risk": pd.Series(dtype=float), "risk_band": pd.Series(dtype="str")}
    )
    found = playbook.matrix(known, segmented, worth, none, playbook.load(), "en").set_index("customer_id").tier
    truth = pd.read_parquet(sources.sample_path("crm_demo/truth") / "customers.parquet").set_index("customer_id")
    here = truth[truth.index.isin(found.index) & truth.dropout_day.isna()]
    counts = pd.crosstab(here.tier_intent, found[here.index])
    assert counts.loc["ordinary"].get("strategic", 0) == 0
    assert counts.loc["strategic", ["strategic", "important"]].sum() / counts.loc["strategic"].sum() > 0.85
    assert counts.loc["important", ["strategic", "important"]].sum() / counts.loc["important"].sum() > 0.7
    assert counts.loc["ordinary", "ordinary"] / counts.loc["ordinary"].sum() > 0.85


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


def test_cells_sum_what_stands_in_them():
    matrix = pd.DataFrame(
        {
            "customer_id": list("abcd"),
            "tier": ["ordinary", "ordinary", "strategic", "potential"],
            "stage": ["new", "new", "lost", "prospect"],
            "risk_band": ["high", "low", "high", "none"],
            "revenue": [10.0, 5, 100, 0],
            "clv": [1.0, 2, 3, np.nan],
            "churn_risk": [0.9, 0.5, 1, np.nan],
        }
    )
    cells = playbook.cells(matrix).set_index(["tier", "stage"])
    assert cells.index.tolist() == [("strategic", "lost"), ("ordinary", "new"), ("potential", "prospect")]
    assert cells.loc[("ordinary", "new")].to_dict() == {
        "customers": 2,
        "revenue": 15,
        "clv": 3,
        "leavers": 1.4,
        "risk": 0.7,
        "high_risk": 1,
    }
    assert cells.customers.sum() == 4
    assert np.isnan(cells.risk["potential", "prospect"])


def test_what_is_said_of_strategic_customers():
    """Two of the four who ordered, one of them silent; prospects are no base of shares."""
    matrix = pd.DataFrame(
        {
            "tier": ["strategic", "strategic", "ordinary", "ordinary", "potential"],
            "stage": ["loyal", "silent", "new", "lost", "prospect"],
            "risk_band": ["high", "low", "high", "high", "none"],
            "revenue": [60.0, 20, 15, 5, 0],
        }
    )
    said = {"strategic": 2, "share": 0.5, "revenue_share": 0.8, "silent": 1, "silent_revenue": 20, "risky": 1}
    assert playbook.strategic(matrix) == pytest.approx(said)


def test_every_reason_for_a_tier_is_counted():
    matrix = pd.DataFrame(
        {
            "customer_id": list("abc"),
            "tier": ["ordinary", "important", "important"],
            "reason": ["rest", "rare", "usual"],
            "revenue": [1.0, 2, 3],
            "clv": [1.0, 2, 3],
        }
    )
    matrix = pd.concat([matrix, matrix.tail(1).assign(customer_id="d")])
    assert playbook.why(matrix)[["tier", "reason", "customers", "revenue"]].to_numpy().tolist() == [
        ["important", "usual", 2, 6],
        ["important", "rare", 1, 2],
        ["ordinary", "rest", 1, 1],
    ]


def test_export_lists_those_with_most_to_gain_first_with_their_cell(load):
    matrix, clv, churn = customers(3, stage=["new", "lost", "loyal"])
    clv["expected_order_value"] = [10.0, 30.0, 10.0]
    listed = playbook.export(playbook.plan(matrix, clv, churn, load(rule("rest", control=0)), AS_OF, shop()), matrix)
    assert listed.customer_id.tolist() == ["c00001", "c00000", "c00002"]
    assert listed.stage.tolist() == ["lost", "new", "loyal"]
    assert listed.columns[:5].tolist() == ["customer_id", "tier", "stage", "risk_band", "arm"]
    assert np.isclose(listed.expected_value, [3.0, 1.0, 1.0]).all()
