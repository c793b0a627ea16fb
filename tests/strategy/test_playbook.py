from itertools import product

import pandas as pd
import pytest
import yaml

from analysis.errors import InputError
from analysis.intake.dataset import Dataset
from analysis.intake.table_files import TableFile
from analysis.strategy import playbook
from analysis.strategy.written import content

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
        "recover_weak_important",
        "recover_good_important",
        "recover_important",
    )
    assert book.rule_for("important", "loyal", "high", "BB").id == "no_new_credit_important"
    assert book.rule_for("important", "loyal", "high", "AA").id == "refinance_good"
    assert book.rule_for("important", "loyal", "high").id == "important_other"


@pytest.mark.parametrize("name", SHIPPED)
def test_who_matters_and_is_silent_or_lost_is_to_be_recovered_and_no_other(name):
    """At any risk and rating; weakly rated ones without new credit."""
    book = playbook.load(playbook.FOLDER / f"{name}.yml")
    for (tier, stage, risk), rating in product(CELLS, ("AAA", "BB", "")):
        found = book.rule_for(tier, stage, risk, rating)
        away = tier in ("strategic", "important") and stage in ("silent", "lost")
        assert found.id.startswith("recover_") == away, (tier, stage, risk, rating)
        if away and rating == "BB" and name == "lending":
            assert "no new credit" in found.action["en"]


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


@pytest.mark.parametrize(
    "when", [{"revenue_within": 1.5}, {"revenue": ["A"]}, {"known_days": -1}, {"stage": ["gone"]}]
)
def test_a_condition_that_cannot_be_is_named(load, when):
    with pytest.raises(InputError, match=rf"tiers\.0\.when\.{next(iter(when))}"):
        load(rule("rest"), tiers=[tier("strategic", "why", **when), EVERYBODY])


def test_customers_fall_under_the_rule_of_their_cell_and_rating_in_any_index(load):
    weak = rule("weak", {"tier": ["important"], "rating": ["C"]})
    book = load(weak, rule("important", {"tier": ["important"]}), rule("rest"))
    people = pd.DataFrame(
        {
            "tier": ["important", "ordinary", "important", "important"],
            "stage": "new",
            "risk_band": "low",
            "rating": ["C", "C", "AAA", ""],
        },
        index=[7, 3, 9, 1],
    )
    found = playbook.rules_of(people, book)
    assert found.to_dict() == {7: "weak", 3: "rest", 9: "important", 1: "important"}
    assert playbook.rules_of(people.drop(columns="rating"), book)[7] == "important"


def test_a_playbook_may_say_what_an_alert_asks_for(tmp_path):
    own = tmp_path / "own.yml"
    rules = content(playbook.FOLDER / "retail.yml")["rules"]
    own.write_text(yaml.safe_dump({"rules": rules, "alerts": {"order_value": "ask Ann"}}), "utf-8")
    found, usual = playbook.load(own).alerts, playbook.load().alerts
    assert found == usual | {"order_value": "ask Ann"} and len(usual) > 10
    own.write_text(yaml.safe_dump({"rules": rules, "alerts": {"ordervalue": "x"}}), "utf-8")
    with pytest.raises(InputError, match=r"no alert 'ordervalue'; did you mean order_value"):
        playbook.load(own)
