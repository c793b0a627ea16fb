"""The notebooks' form: what a reader may count on; and what they say of data that are not as they
hope.
"""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from babel.messages.pofile import write_po

from analysis import schema
from analysis.files import ROOT
from analysis.intake.dataset import Dataset
from analysis.report import page
from analysis.report import text as text_module
from analysis.report.catalogues import extracted
from analysis.run.parameters import parameters
from analysis.run.stage import CONTRACTS, NOTEBOOKS, STAGES, read_table
from analysis.strategy import playbook
from tests.report.test_catalogues import wrapped
from tests.run.shop import AS_OF, shop_log, write_company

KEPT = {"keep_output", "nbval-check-output"}


NOTEBOOK = {stage: nbformat.read(NOTEBOOKS / f"{stage}.ipynb", as_version=4) for stage in STAGES}


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def test_there_is_a_notebook_for_every_stage_and_no_other() -> None:
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(STAGES)


def test_stages_read_only_what_earlier_ones_make_and_every_table_has_a_contract() -> None:
    made: list[str] = []
    for number, (stage, (needs, tables)) in enumerate(STAGES.items(), start=1):
        assert stage.startswith(f"{number:02}_")
        assert set(needs) <= set(list(STAGES)[: number - 1])
        made += tables
        for table in re.findall(r'stage\.(?:read|expression)\("(\w+)"', str(NOTEBOOK[stage])):
            assert table in {t for s in (stage, *needs) for t in STAGES[s][1]}, (stage, table)
    assert sorted(made) == sorted([*schema.TABLES, *CONTRACTS])


@pytest.mark.parametrize("stage", STAGES)
def test_a_notebook_reads_like_an_article(stage: str) -> None:
    notebook = NOTEBOOK[stage]
    ids = [cell.id for cell in notebook.cells]
    assert ids[:4] == ["title", "parameters", "imports", "load"]
    assert ids[-1] == "summary" and len(set(ids)) == len(ids)
    assert ("save" in ids) == bool(STAGES[stage][1])
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert 2 <= sum(text.startswith("## ") for text in texts) <= 7
    tried = notebook.cells[ids.index("try_this")]
    assert tried.source.startswith("## Try this\n") and page.is_for_analysts(tried)
    for text in texts:
        prose = re.sub("`[^`]*`", "", text)
        assert not re.search(r"\d{3,}|\$\d", prose), "a number that a run could change"
    for cell in code(notebook):
        nodes = list(ast.walk(ast.parse(cell.source)))
        functions = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, functions) for node in nodes), cell.id
        assert cell.id == "parameters" or cell.source.count("\n") < 12, cell.id
        assert bool(cell.outputs) == (tags(cell) >= KEPT) == bool(tags(cell) & KEPT), cell.id
    assert [cell.id for cell in notebook.cells if "parameters" in tags(cell)] == ["parameters"]
    text = (NOTEBOOKS / f"{stage}.ipynb").read_text("utf-8")
    assert str(ROOT) not in text and "/home/" not in text and "/root/" not in text


@pytest.mark.parametrize("stage", STAGES)
def test_columns_of_tables_have_a_heading_and_a_form(stage: str) -> None:
    for cell in code(NOTEBOOK[stage]):
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "page.table":
                known = any(keyword.arg == "shown_as" for keyword in call.keywords)
                columns = call.args[2].elts if isinstance(call.args[2], ast.List) else []
                named = {column.value for column in columns if isinstance(column, ast.Constant)}
                assert known or not named - set(schema.SHOWN), cell.id


@pytest.mark.parametrize("stage", STAGES)
def test_cells_can_be_run_again(stage: str) -> None:
    """Nothing that was imported or given as a parameter gets another meaning."""
    cells = code(NOTEBOOK[stage])
    given = set(parameters(stage))
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                given |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    for cell in cells:
        names = {
            node.id
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        assert "parameters" in tags(cell) or not names & given, (cell.id, names & given)


def test_a_parameter_is_a_plain_literal_with_a_comment_and_means_the_same_everywhere() -> None:
    meanings: dict[str, set[object]] = {}
    for stage in STAGES:
        for parameter in parameters(stage).values():
            meanings.setdefault(parameter.name, set()).add(parameter)
            assert parameter.comment and type(parameter.default).__name__ == parameter.type
    assert all(len(found) == 1 for found in meanings.values())
    assert {"dataset", "as_of", "run"} <= set(meanings)
    assert meanings["horizon_days"] and "horizon_days" in Dataset.model_fields


# What cannot be estimated is said, and every page goes on
NO_NUMBER = r"\b(nan|NaN|NaT|inf)\b"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))


def test_of_one_order_all_pages_say_that_little_is_known_and_nothing_untranslated(
    perform: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a made-up language that says every message in brackets; two pages also of many orders."""
    path = tmp_path / "locale" / "eo" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_po(file, wrapped(extracted()))
    monkeypatch.setattr(text_module, "LOCALE", tmp_path / "locale")
    text_module.catalogue.cache_clear()
    said: list[str] = []
    monkeypatch.setattr(page, "_fragment", lambda *parts: said.append(str(parts[1:])) or "")
    for stages, orders in ((STAGES, 1), (["01_data_quality", "02_segments"], 2_000)):
        log = shop_log().tail(orders)
        perform(stages, write_company(tmp_path, {"language": "eo"}, transactions=log))
    text_module.catalogue.cache_clear()
    text = " ".join(said)
    for words in ("too few or too much alike", "No risk can be told", "cannot be measured"):
        assert words in text, words
    assert not re.search(NO_NUMBER, text)
    rest = re.sub("<svg.*?</svg>", "", text)
    while (inner := re.sub(r"⟦[^⟦⟧]*⟧", "", rest)) != rest:
        rest = inner
    own = (path.read_text("utf-8") for path in playbook.FOLDER.glob("*.yml"))
    playbooks = " ".join(own)  # which hold their own languages
    found = re.findall(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", rest)
    assert [sentence for sentence in found if sentence not in playbooks] == []


def test_churn_by_contract_of_a_log_without_amounts(perform: Any, tmp_path: Path) -> None:
    """Every other contract ends, one every week; the others run on."""
    orders = shop_log().drop(columns="amount")
    ends = pd.DataFrame({"id": sorted(orders.id.unique()), "contract_end": "2030-01-01"})
    weekly = pd.date_range("2022-10-01", periods=125, freq="7D").strftime("%Y-%m-%d")
    ends.loc[1::2, "contract_end"] = weekly
    options = {"churn": "contract"}
    dataset = write_company(tmp_path, options, transactions=orders, customers=ends)
    shown, left = perform(["01_data_quality", "03_lifetime_value", "04_churn"], dataset)
    text = "\n".join(shown)
    for words in (
        "have no amounts",
        "the bands are fixed",
        "Leaving means: the contract ends within the 91 days",
        "Likely to leave in the 91 days",
    ):
        assert words in text, words
    assert not re.search(rf"\$|No risk can be told|{NO_NUMBER}", text)
    scored = read_table("churn", left["stage"].folder / "churn.parquet")
    assert scored.customer_id.tolist() == ends.id[ends.contract_end > AS_OF].tolist()
    assert scored.churn_risk.notna().all()
