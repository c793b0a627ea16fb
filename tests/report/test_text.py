import ast
import datetime as dt
import re
import string
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import analysis
from analysis import schema
from analysis.errors import InputError
from analysis.intake import cleaning, quality
from analysis.intake.dataset import Dataset
from analysis.models import churn, churn_features, early_warning, survival
from analysis.report.text import FOLDER, Language
from analysis.segments import rfm
from analysis.strategy import plan, playbook

PACKAGE = Path(analysis.__file__).parent
ENGLISH = Language("en").catalogue  # with what segmentations bring along
NOTEBOOKS = sorted((PACKAGE.parents[1] / "notebooks").glob("*.ipynb"))
SAMPLES = {
    "text": "007",
    "customer": "007",
    "field": "phone",
    "int": 1234,
    "number": 2.5,
    "short": 0.25,
    "percent": 0.5,
    "whole_percent": 0.5,
    "compact": 1234567.0,
    "money": 10.0,
    "exact": Decimal("10.00"),
    "date": dt.date(2026, 11, 1),
    "word": "strategic",
    "": "shop",
}


# The catalogue against what asks for it
def leaves(node, path=()):
    """Every message of a catalogue as (key, text)."""
    for name, inside in node.items():
        if isinstance(inside, dict):
            yield from leaves(inside, (*path, str(name)))
        else:
            yield ".".join((*path, str(name))), inside


def placeholders(text):
    return {name: form for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def code(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    return ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))


def strings(node):
    return [
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]


def keys_of(argument, tree, kind="finding"):
    """The message keys that an argument may be: a text, one of two, one for each value of a
    setting, or a name given such a text or a function's texts.
    """
    if isinstance(argument, ast.Constant):
        return [argument.value]
    if isinstance(argument, ast.IfExp):
        return [
            key for side in (argument.body, argument.orelse) for key in keys_of(side, tree, kind)
        ]
    if isinstance(argument, ast.JoinedStr):
        start, setting = ast.iter_child_nodes(argument)
        return [
            start.value + value
            for value in get_args(Dataset.model_fields[setting.value.attr].annotation)
        ]
    told = [
        said_by(value, kind) if isinstance(value, ast.Call) else keys_of(value, tree, kind)
        for value in assigned(argument.id, tree)
    ]
    return [key for keys in told for key in keys]


def assigned(name, tree):
    """What a name is given: the value of an assignment or of a loop, to it alone or to it and
    others.
    """
    for node in ast.walk(tree):
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.For)
            else []
        )
        if name in {
            n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)
        }:
            yield node.value if isinstance(node, ast.Assign) else node.iter


def said_by(call, kind="finding"):
    """The keys of findings (or caveats) among the texts of a function of the package, as
    habits.telling(…).
    """
    module, _, name = ast.unparse(call.func).partition(".")
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    [made] = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    return [text for text in strings(made) if text in ENGLISH[f"{kind}s"]]


def forms_of(argument, tree):
    """The columns and forms of a table where money is known: a literal, or names in capitals given
    some and then more.
    """
    constants = {"settings": SimpleNamespace(has_money=True)}
    for node in tree.body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AugAssign)
            else []
        )
        if targets and getattr(targets[0], "id", "").isupper():
            exec(ast.unparse(node), constants)
    return eval(ast.unparse(argument), constants)


def page_calls(kind):
    for notebook in NOTEBOOKS:
        tree = code(notebook)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"page.{kind}":
                yield notebook.stem, tree, node


@pytest.mark.parametrize("kind", ["finding", "caveat"])
def test_sentences_of_the_notebooks_stand_in_the_catalogue_and_get_their_values(kind):
    calls = list(page_calls(kind))
    assert calls
    for where, tree, call in calls:
        keys = keys_of(call.args[0], tree, kind)
        assert keys, f"{where}: {ast.unparse(call)}"
        for key in keys:
            assert key in ENGLISH[f"{kind}s"], f"{where}: {key}"
            given = {keyword.arg for keyword in call.keywords}
            if None not in given:
                assert placeholders(ENGLISH[f"{kind}s"][key]).keys() <= given, f"{where}: {key}"


def test_decisions_get_the_values_their_sentences_name():
    row = {
        "action": "write",
        "customers": 3,
        "due": dt.date(2026, 1, 1),
        "channel": "mail",
        "owner": "sales",
        "cost": 1.0,
        "expected_value": 2.0,
        "gain": 1.0,
        "effect": 0.1,
        "break_even": 0.05,
        "source": "C1",
    }
    low = [float("nan"), 0.05, -0.05, float("nan")]
    actions = pd.DataFrame([row] * 4, index=list("abcd")).assign(
        gain=[4.0, 3, 2, -1], effect_low=low, effect_high=0.2
    )
    said = plan.decisions(actions)
    assert [key for key, _ in said] == [
        "decision_assumed",
        "decision_measured",
        "decision_unproven",
        "decision_costs",
    ]
    for key, values in said:
        assert "{" not in Language("en")(f"findings.{key}", **values)


def test_cards_of_the_notebooks_stand_in_the_catalogue():
    shown = [
        (where, keyword.arg, keyword.value)
        for where, _, call in page_calls("cards")
        for keyword in call.keywords
    ]
    assert shown
    for where, name, figure in shown:
        assert name in ENGLISH["cards"], f"{where}: {name}"
        assert figure.elts[0].value in SAMPLES, f"{where}: {name}"


def test_tables_of_the_notebooks_have_a_caption_headings_and_known_forms():
    calls = list(page_calls("table"))
    assert calls
    for where, tree, call in calls:
        assert call.args[1].value in ENGLISH["tables"], where
        for column, form in forms_of(call.args[2], tree).items():
            assert column in ENGLISH["columns"], f"{where}: {column}"
            assert form in SAMPLES, f"{where}: {column}"


def test_charts_have_a_title_and_are_told_in_words():
    tree = ast.parse((PACKAGE / "charts.py").read_text("utf-8"))
    functions = [
        n
        for n in tree.body
        if isinstance(n, ast.FunctionDef) and n.args.args[1:2] and n.args.args[1].arg == "say"
    ]
    charts = {n.name for n in functions if not n.name.startswith("_")}
    assert {call.args[0].attr for _, _, call in page_calls("figure")} <= charts
    for name in charts:
        assert ENGLISH["charts"][name]["title"], name
        assert ENGLISH["charts"][name]["alt"], name


def test_every_fixed_key_in_the_package_and_its_templates_is_a_message():
    say, found = Language("en"), 0
    for module in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("say", "self.say")
                and isinstance(node.args[0], ast.Constant)
            ):
                assert say.text(node.args[0].value), module.name
                found += 1
    for template in PACKAGE.glob("templates/**/*.j2"):
        for key in re.findall(r"say\(\"([^\"]+)\"", template.read_text("utf-8")):
            assert say.text(key), template.name
            found += 1
    assert found > 10


def test_every_class_has_a_word():
    terms = {*playbook.TIERS, *playbook.RISKS, *schema.STAGES}
    terms |= {name for row in rfm.RFM_SEGMENTS for name in row}
    terms |= {rule.reason for rule in cleaning.RULES} | {rule.outcome for rule in cleaning.RULES}
    terms |= {rule.id for rule in playbook.load().rules}
    terms |= {"kept", "mended", "left_empty", "jump", "silent_day", *quality.PARTS}
    terms |= {*survival.STANDINGS, "horizon"}
    terms |= {
        "zero_value",
        "repeated_row",
        "below_zero",
        "return_without_sale",
        "no_orders",
        "fewer_orders",
        "smaller_orders",
    }
    assert terms - ENGLISH["words"].keys() == set()


def test_all_that_is_said_of_a_risk_has_a_word():
    terms = {*early_warning.BANDS, "unknown", *churn_features.CONCEPTS, *churn.CHURN_MODELS}
    assert terms - ENGLISH["words"].keys() == set()


@pytest.mark.parametrize("language", sorted(path.stem for path in FOLDER.glob("*.yml")))
def test_every_message_is_a_text_with_known_forms(language):
    for key, text in leaves(yaml.safe_load((FOLDER / f"{language}.yml").read_text("utf-8"))):
        assert isinstance(text, str), f"{key} is {text!r}: quote it"
        assert text.strip(), key
        for name, form in placeholders(text).items():
            assert form in SAMPLES, f"{key}: {name}:{form}"
            assert name.isidentifier(), f"{key}: {name}"


# Another language is a file
@pytest.fixture
def folder(tmp_path):
    """A folder of catalogues: English, and others under codes that Babel knows."""
    (tmp_path / "en.yml").write_text((FOLDER / "en.yml").read_text("utf-8"), "utf-8")

    def wrapped(node):
        return (
            {name: wrapped(inside) for name, inside in node.items()}
            if isinstance(node, dict)
            else f"⟦{node}⟧"
        )

    (tmp_path / "eo.yml").write_text(yaml.safe_dump(wrapped(ENGLISH), allow_unicode=True), "utf-8")
    for code in ("zh", "de"):
        (tmp_path / f"{code}.yml").write_text((FOLDER / "en.yml").read_text("utf-8"), "utf-8")
    return tmp_path


def test_a_language_that_is_only_a_file_says_only_its_own_text(folder):
    say = Language("eo", "EUR", folder)
    for key, english in leaves(ENGLISH):
        used = placeholders(english)
        said = say(key, **{name: SAMPLES[form] for name, form in used.items()})
        assert said.startswith("⟦"), key
        assert said.endswith("⟧"), key
        assert said.count("⟦⟦Strategic⟧") + said.count("⟦Strategic⟧") >= (
            "word" in used.values()
        ), key
        assert "{" not in said, key


def test_classes_are_said_in_the_language(folder):
    say = Language("eo", "EUR", folder)
    assert say.word("strategic") == "⟦Strategic⟧"
    assert say.word("often+much_money") == "⟦often⟧, ⟦much money⟧"
    assert say.word("often+whatever") == "often+whatever"
    assert say.word("something of the data") == "something of the data"


def test_a_message_that_the_language_lacks_is_named_with_its_file(tmp_path):
    (tmp_path / "eo.yml").write_text("page: {contents: Enhavo}\nwords: {}\n", "utf-8")
    say = Language("eo", folder=tmp_path)
    assert say("page.contents") == "Enhavo"
    for key in ("page.data", "index.title", "page", "page.contents.more"):
        with pytest.raises(KeyError, match=r"eo\.yml"):
            say.text(key)


@pytest.mark.parametrize("language", ["xx", "", "../en", "EN ", "en.yml"])
def test_a_language_without_a_file_is_an_input_error(language):
    with pytest.raises(InputError, match="en"):
        Language(language)


@pytest.mark.parametrize(
    "language",
    [pytest.param(code) for code in ("zh-TW", "tlh")],
)
def test_a_language_with_a_file_is_said_or_refused_plainly(tmp_path, language):
    (tmp_path / f"{language}.yml").write_text("words: {}\n", "utf-8")
    try:
        Language(language, folder=tmp_path)
    except InputError as error:
        assert language in str(error)


# Numbers, money and days
@pytest.mark.parametrize(
    ("language", "currency", "form", "value", "said"),
    [
        ("en", "USD", "int", 1234567, "1,234,567"),
        ("en", "USD", "int", np.float64(2.6), "3"),
        ("en", "USD", "number", 1234.567, "1,234.57"),
        ("en", "USD", "number", 2, "2.00"),
        ("en", "USD", "short", 0.18456, "0.185"),
        ("en", "USD", "short", 1236.7, "1,240"),
        ("en", "USD", "percent", 0.1234, "12.3\N{NO-BREAK SPACE}%"),
        ("en", "USD", "percent", -0.05, "-5.0\N{NO-BREAK SPACE}%"),
        ("en", "USD", "percent", -0.0001, "0.0\N{NO-BREAK SPACE}%"),
        ("en", "USD", "whole_percent", 0.126, "13\N{NO-BREAK SPACE}%"),
        ("en", "USD", "compact", 1234567, "$1.2M"),
        ("en", "USD", "compact", 123.4, "$123"),
        ("zh", "CNY", "compact", 12345678, "¥1234.6万"),
        ("en", "USD", "money", 0, "$0"),
        ("en", "USD", "money", 5.5, "$5.50"),
        ("en", "USD", "money", 5.0, "$5"),
        ("en", "USD", "money", 999.99, "$999.99"),
        ("en", "USD", "money", 1234.4, "$1,234"),
        ("en", "USD", "money", -1234.6, "-$1,235"),
        ("en", "USD", "exact", Decimal("1234567.8"), "$1,234,567.80"),
        ("en", "USD", "exact", Decimal("1000000000000000.01"), "$1,000,000,000,000,000.01"),
        ("en", "CNY", "money", 1234.4, "CN¥1,234"),
        ("en", "JPY", "exact", 1234, "¥1,234"),
        ("en", "USD", "date", dt.date(2026, 11, 1), "Nov 1, 2026"),
        ("en", "USD", "date", pd.Timestamp("2026-11-01 23:59"), "Nov 1, 2026"),
        ("zh", "CNY", "int", 1234567, "1,234,567"),
        ("zh", "CNY", "number", 1234.567, "1,234.57"),
        ("zh", "CNY", "percent", 0.1234, "12.3\N{NO-BREAK SPACE}%"),
        ("zh", "CNY", "money", 5.5, "¥5.50"),
        ("zh", "CNY", "money", 1234.4, "¥1,234"),
        ("zh", "CNY", "exact", Decimal("-0.1"), "-¥0.10"),
        ("zh", "USD", "money", 1234.4, "US$1,234"),
        ("zh", "CNY", "date", dt.date(2026, 11, 1), "2026年11月1日"),
        ("de", "EUR", "number", 1234.5, "1.234,50"),
        ("de", "EUR", "money", 5.5, "5,50\N{NO-BREAK SPACE}€"),
    ],
)
def test_values_as_the_language_writes_them(folder, language, currency, form, value, said):
    assert Language(language, currency, folder).form(form, value) == said


def test_whole_money_is_written_like_money_with_cents(folder):
    assert Language("de", "EUR", folder).form("money", 1234.4) == "1.234\N{NO-BREAK SPACE}€"


@pytest.mark.parametrize("form", [form for form in SAMPLES if form])
@pytest.mark.parametrize("nothing", [None, float("nan"), np.float64("nan"), pd.NaT])
def test_what_is_not_known_is_a_dash(form, nothing):
    assert Language("en").form(form, nothing) == "–"


@pytest.mark.parametrize("nothing", [pd.NA, np.float32("nan"), Decimal("nan")])
def test_what_is_not_known_in_other_types_is_a_dash(nothing):
    assert Language("en").form("int", nothing) == "–"


def test_a_sentence_with_an_unknown_number_is_noticed():
    say = Language("en")
    values = {"end": dt.date(2026, 1, 1), "strategic": 6, "important": 5.0, "ordinary": 1}
    assert not say.unknown("findings.tiers_now", values | {"not in the sentence": float("nan")})
    assert say.unknown("findings.tiers_now", values | {"important": float("nan")})
    assert say.unknown("findings.tiers_now", values | {"end": pd.NaT})


def test_a_sentence_by_hand():
    said = Language("en")("findings.customers", customers=1200, repeaters=300, share=0.25)
    assert (
        said
        == "1,200 customers have ordered, 300 of them (25.0\N{NO-BREAK SPACE}%) on more than one"
        " day."
    )


@settings(max_examples=50)
@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_can_be_read_back(number):
    assert int(Language("en").form("int", number).replace(",", "")) == number


@settings(max_examples=50)
@given(st.decimals(-(10**12), 10**12, places=2))
def test_no_cent_is_lost_in_exact_money(amount):
    assert Decimal(Language("en").form("exact", amount).replace(",", "").replace("$", "")) == amount


@settings(max_examples=50)
@given(st.text())
def test_a_text_of_the_data_is_said_as_it_is_and_not_read_for_placeholders(text):
    said = Language("en")("index.title", company=text)
    assert said == f"The customers of {text}"


@pytest.mark.parametrize("customer", ["00001", "A_007", "new"])
def test_an_id_shown_in_a_table_of_the_notebooks_is_shown_as_it_is(customer):
    [form] = {
        forms["customer_id"]
        for _, tree, call in page_calls("table")
        if "customer_id" in (forms := forms_of(call.args[2], tree))
    }
    assert Language("en").form(form, customer) == customer


def test_every_column_of_the_records_has_a_name():
    names = {name for records in schema.RECORDS.values() for name in records.columns} | {
        f"{t}_records" for t in schema.RECORDS
    }
    assert names - ENGLISH["fields"].keys() == set()
    assert Language("en").field("phone, email") == "Phone, E-mail"
    assert Language("en").field("their own column") == "their own column"
