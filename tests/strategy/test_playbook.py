import datetime as dt
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from analysis import customers as from_log
from analysis.errors import InputError
from analysis.intake import readers
from analysis.intake.dataset import Dataset
from analysis.intake.table_files import TableFile
from analysis.segments import registry
from analysis.strategy import playbook

AS_OF = dt.date(2026, 1, 31)
STAGES = ("prospect", "new", "repeat", "loyal", "silent", "lost")
CELLS = list(
    product(
        ("strategic", "important", "ordinary", "potential"),
        STAGES,
        ("high", "medium", "low", "unknown", "none"),
    )
)


def rule(name, when=(), **changed):
    texts = {text: f"{text} of {name}" for text in ("objective", "action", "channel", "owner")}
    return {
        "id": name,
        "when": dict(when),
        **texts,
        "days": 7,
        "cost": 2.0,
        "effect": 0.1,
        "control": 0.1,
    } | changed


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
    tables = {
        "transactions": {
            "path": "x.csv",
            "columns": {"customer_id": "c", "date": "d", "amount": "a"},
        }
    }
    return Dataset(name="shop", tables=tables, **changed)


# The shipped playbooks
SHIPPED = ("retail", "b2b", "lending")


def allows(when, cell):
    return all(
        value in when.get(name, [value])
        for name, value in zip(("tier", "stage", "risk", "rating"), cell, strict=True)
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_playbooks_give_each_cell_exactly_one_rule_the_most_specific(name):
    path = playbook.FOLDER / f"{name}.yml"
    written, book = yaml.safe_load(path.read_text("utf-8"))["rules"], playbook.load(path)
    for cell in product(
        *(sorted(set(axis)) for axis in zip(*CELLS, strict=True)), ("AAA", "BB", "")
    ):
        by_names = sorted((len(r["when"]), r["id"]) for r in written if allows(r["when"], cell))
        best = [rule for named, rule in by_names if named == by_names[-1][0]]
        assert [book.rule_for(*cell).id] == best, cell


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_playbooks_say_everything_in_english_and_chinese(name):
    book = playbook.load(playbook.FOLDER / f"{name}.yml")
    texts = [text for rule in book.rules for text in (rule.objective, rule.action)] + [
        line.why for line in book.tiers
    ]
    assert all(set(text) == {"en", "zh"} for text in texts)
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in text["zh"]) for text in texts)
    assert not any(book.tiers[-1].when.model_dump().values())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_playbooks_hold_back_no_strategic_customer_and_call_every_effect_an_assumption(
    name,
):
    book = playbook.load(playbook.FOLDER / f"{name}.yml")
    assert {
        book.rule_for(*cell).control
        for cell in CELLS
        if cell[0] == "strategic" and cell[2] != "none"
    } == {0}
    assert {rule.source for rule in book.rules} == {"assumption"}


def test_the_lending_playbook_goes_by_the_credit_rating():
    book = playbook.load(playbook.FOLDER / "lending.yml")
    weak, good, unrated = (
        book.rule_for("important", "silent", "high", rating) for rating in ("BB", "AA", "")
    )
    assert (weak.id, good.id, unrated.id) == (
        "no_new_credit_important",
        "refinance_good",
        "important_other",
    )


def test_a_dataset_names_its_playbook_or_gets_the_one_for_its_kind(tmp_path):
    accounts = {"path": "a.csv", "columns": {"customer_id": "c", "company": "n", "owner": "o"}}
    firms = shop().model_copy(
        update={"tables": shop().tables.model_copy(update={"customers": [TableFile(**accounts)]})}
    )
    assert playbook.of(shop()).rest.id == "newsletter"
    assert playbook.of(firms).rule_for("strategic", "loyal", "high").channel == "visit"
    (tmp_path / "mine.yml").write_text(yaml.safe_dump({"rules": [rule("only")]}), "utf-8")
    own = shop(plan={"playbook": "mine.yml"}).model_copy(update={"file": tmp_path / "shop.yml"})
    assert playbook.of(own).rest.id == "only"
    with pytest.raises(InputError, match="retail"):
        playbook.of(shop(plan={"playbook": "retial"}))


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
        load(
            rule("by_tier", {"tier": ["important"]}),
            rule("by_stage", {"stage": ["new"]}),
            rule("rest"),
        )
    assert all(name in str(error.value) for name in ("by_tier", "by_stage", "important", "new"))
    assert "rest" not in str(error.value)


def test_a_third_rule_settles_a_tie(load):
    both = rule("both", {"tier": ["important"], "stage": ["new"]})
    book = load(
        rule("by_tier", {"tier": ["important"]}),
        rule("by_stage", {"stage": ["new"]}),
        both,
        rule("rest"),
    )
    assert book.rule_for("important", "new", "low").id == "both"


def test_a_cell_without_a_rule_is_named_with_the_remedy(load):
    rules = [rule(f"only_{t}", {"tier": [t]}) for t in ("strategic", "important", "potential")]
    with pytest.raises(
        InputError, match=r"no rule for ordinary, .*end with one whose `when` is empty"
    ):
        load(*rules)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"when": {"tier": ["vip"]}}, "rules.1.when.tier.0"),
        ({"when": {"stage": ["asleep"]}}, "rules.1.when.stage.0"),
        ({"when": {"risk": ["extreme"]}}, "rules.1.when.risk.0"),
        ({"when": {"segment": ["a"]}}, "rules.1.when.segment"),
        ({"cost": -1}, "rules.1.cost"),
        ({"share": 0.1}, "write either cost (money) or share"),
        ({"cost": None}, "write either cost (money) or share"),
        ({"must": True}, "what must be done cannot be held back"),
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
        load(
            rule("rest"),
            tiers=[tier("strategic", "both halves", revenue_within=0.5, future_within=0.5)],
        )


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
    rfm = pd.DataFrame({"customer_id": ids, "stage": columns.get("stage", "loyal")})
    future = columns.get("clv", columns["window_revenue"])
    clv = pd.DataFrame(
        {"customer_id": ids, "clv": future, "expected_orders": columns.get("expected_orders", 1.0)}
    )
    churn = pd.DataFrame({"customer_id": ids, "churn_risk": 0.1, "risk_band": "low"})
    return known.drop(columns=["stage", "clv", "expected_orders"], errors="ignore"), rfm, clv, churn


def tiers_of(load, lines, **columns):
    book = load(rule("rest"), tiers=[*lines, EVERYBODY])
    return playbook.matrix(*people(**columns), book, "en").set_index("customer_id")


def test_the_first_line_that_holds_decides_the_tier(load):
    """a holds 50 of 100 and so the whole first half; b with 30 begins at a half, c with 15 at 80 %,
    d at 95 %.
    """
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
    """Revenue alone would make a, b, c strategic; a earns nothing, b is new, c has no future, and d
    has too little revenue.
    """
    line = tier(
        "strategic", "all", revenue_within=0.9, profit_within=0.9, future_within=0.9, known_days=180
    )
    columns = {
        "window_revenue": [40.0, 30, 20, 5, 30],
        "window_profit": [-4.0, 3, 3, 9, 4],
        "clv": [9.0, 9, 0, 9, 9],
    }
    found = tiers_of(load, [line], **columns, age_days=[400, 179, 400, 400, 180])
    assert found.tier.tolist() == ["ordinary", "ordinary", "ordinary", "ordinary", "strategic"]


def test_a_condition_on_profit_is_passed_over_without_costs(load):
    line = tier("strategic", "in profit", revenue_within=0.5, profit_within=0.5)
    unknown = {"window_profit": [np.nan, np.nan]}
    assert tiers_of(load, [line], window_revenue=[90.0, 10]).tier.tolist() == [
        "strategic",
        "ordinary",
    ]
    assert tiers_of(load, [line], window_revenue=[90.0, 10], **unknown).tier.tolist() == [
        "strategic",
        "ordinary",
    ]
    assert (
        tiers_of(load, [line], window_revenue=[90.0, 10], window_profit=[-1.0, 2]).tier.tolist()
        == ["ordinary"] * 2
    )


def test_nobody_is_asked_for_a_profit_that_is_not_known(load):
    line = tier("strategic", "in profit", revenue_within=0.9, profit_within=0.5)
    found = tiers_of(load, [line], window_revenue=[50.0, 30, 20], window_profit=[np.nan, 9, 1])
    assert found.tier.tolist() == ["strategic", "strategic", "ordinary"]


def test_sums_of_money_that_nobody_knows_are_not_zero():
    matrix = pd.DataFrame(
        {
            "tier": ["strategic"],
            "stage": "loyal",
            "risk_band": "low",
            "customer_id": "a",
            "reason": "why",
        }
    )
    matrix = matrix.assign(revenue=np.nan, clv=np.nan, churn_risk=0.1)
    assert playbook.cells(matrix)[["revenue", "clv"]].isna().all(axis=None)
    assert playbook.why(matrix)[["revenue", "clv"]].isna().all(axis=None)
    assert np.isnan(playbook.strategic(matrix)["revenue_share"]) and np.isnan(
        playbook.strategic(matrix)["silent_revenue"]
    )
    assert np.isnan(playbook.strategic(matrix.assign(revenue=-5.0))["revenue_share"])


def test_without_money_orders_stand_for_it(load):
    line = tier("strategic", "most orders", revenue_within=0.5, future_within=0.5)
    none = [np.nan] * 3
    found = tiers_of(
        load,
        [line],
        window_revenue=none,
        window_orders=[8, 1, 1],
        clv=none,
        expected_orders=[9.0, 1, 1],
    )
    assert found.tier.tolist() == ["strategic", "ordinary", "ordinary"]


def test_prospects_alone_are_potential_customers(load):
    """They stand in customers and segments, but in neither clv nor churn."""
    known, rfm, clv, churn = people(
        window_revenue=[0.0, 10, 5], stage=["prospect", "loyal", "loyal"]
    )
    known.loc[0, "age_days"] = np.nan
    found = playbook.matrix(known, rfm, clv.iloc[:0:-1], churn.iloc[:0:-1], playbook.load(), "en")
    assert found.tier.tolist()[0] == "potential"
    assert (found.tier == "potential").tolist() == (found.stage == "prospect").tolist()
    assert found.risk_band.tolist() == ["none", "low", "low"]
    assert found.clv.isna().tolist() == [True, False, False]


def test_equal_customers_are_of_equal_tier(load):
    lines = [tier("strategic", "first half", revenue_within=0.5)]
    assert set(tiers_of(load, lines, window_revenue=[7.0] * 6).tier) == {"strategic"}


@given(
    st.lists(st.floats(0.01, 1e6), min_size=2, max_size=6),
    st.permutations(range(6)),
    st.sampled_from([1e-3, 1e3]),
)
def test_neither_the_order_of_rows_nor_the_currency_moves_a_tier(values, order, factor):
    book = playbook.load()
    known, rfm, clv, churn = people(window_revenue=values)
    before = playbook.matrix(known, rfm, clv, churn, book, "en").set_index("customer_id").tier
    order = [n for n in order if n < len(values)]
    scaled = (
        known.assign(window_revenue=known.window_revenue * factor),
        rfm,
        clv.assign(clv=clv.clv * factor),
        churn,
    )
    after = (
        playbook.matrix(*(table.iloc[order] for table in scaled), book, "en")
        .set_index("customer_id")
        .tier
    )
    assert after.sort_index().tolist() == before.tolist()


@pytest.mark.parametrize(
    "when", [{"revenue_within": 1.5}, {"revenue": ["A"]}, {"known_days": -1}, {"stage": ["gone"]}]
)
def test_a_condition_that_cannot_be_is_named(load, when):
    with pytest.raises(InputError, match=rf"tiers\.0\.when\.{next(iter(when))}"):
        load(rule("rest"), tiers=[tier("strategic", "why", **when), EVERYBODY])


def test_the_invented_companys_tiers_are_found_among_those_who_stay(crm_demo):
    """Planted: 58 key accounts, and as important the 15 % of highest yearly value. Tiers go by what
    was bought and is to come, so who left is ordinary; key accounts that order seldom are not
    strategic. No ordinary account becomes so.
    """
    as_of = crm_demo.dataset.as_of
    known = from_log.at(crm_demo.transactions, as_of, 365)
    segmented = registry.segment(known)
    worth = known[["customer_id"]].assign(
        clv=known.window_revenue.clip(lower=0), expected_orders=1.0
    )
    none = pd.DataFrame(
        {
            "customer_id": pd.Series(dtype="str"),
            "churn_risk": pd.Series(dtype=float),
            "risk_band": pd.Series(dtype="str"),
        }
    )
    found = (
        playbook.matrix(known, segmented, worth, none, playbook.load(), "en")
        .set_index("customer_id")
        .tier
    )
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    here = truth[truth.index.isin(found.index) & truth.dropout_day.isna()]
    counts = pd.crosstab(here.tier_intent, found[here.index])
    assert counts.loc["ordinary"].get("strategic", 0) == 0
    assert (
        counts.loc["strategic", ["strategic", "important"]].sum() / counts.loc["strategic"].sum()
        > 0.85
    )
    assert (
        counts.loc["important", ["strategic", "important"]].sum() / counts.loc["important"].sum()
        > 0.7
    )
    assert counts.loc["ordinary", "ordinary"] / counts.loc["ordinary"].sum() > 0.85


# What the matrix says
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
    assert cells.index.tolist() == [
        ("strategic", "lost"),
        ("ordinary", "new"),
        ("potential", "prospect"),
    ]
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
    said = {
        "strategic": 2,
        "share": 0.5,
        "revenue_share": 0.8,
        "silent": 1,
        "silent_revenue": 20,
        "risky": 1,
    }
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
