"""The notebooks' form: what a reader may count on; and what 04 says of data that are not as it
hopes.
"""

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import yaml
from babel.messages.pofile import write_po

from analysis import schema
from analysis.files import ROOT
from analysis.intake.dataset import Dataset
from analysis.report import page
from analysis.report import text as text_module
from analysis.report.catalogues import extracted
from analysis.report.text import say
from analysis.run.parameters import parameters
from analysis.run.stage import CONTRACTS, NOTEBOOKS, STAGES
from tests.report.test_catalogues import wrapped
from tests.run.test_pipeline import shop_log

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
    assert ids[-1] == "summary" and "save" in ids and len(set(ids)) == len(ids)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert 2 <= sum(text.startswith("## ") for text in texts) <= 7
    for text in texts:
        prose = re.sub("`[^`]*`", "", text)
        assert not re.search(r"\d{3,}|\$\d", prose), "a number that a run could change"
    for cell in code(notebook):
        nodes = list(ast.walk(ast.parse(cell.source)))
        functions = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
        assert not any(isinstance(node, functions) for node in nodes), cell.id
        assert cell.id in ("parameters", "imports") or cell.source.count("\n") < 12, cell.id
        assert bool(cell.outputs) == (tags(cell) >= KEPT) == bool(tags(cell) & KEPT), cell.id
    assert [cell.id for cell in notebook.cells if "parameters" in tags(cell)] == ["parameters"]
    text = (NOTEBOOKS / f"{stage}.ipynb").read_text("utf-8")
    assert str(ROOT) not in text and "/home/" not in text and "/root/" not in text


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


# Performed in this process: a kernel would only add its start
@pytest.fixture
def perform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Performs the cells of notebooks, after the first, on files of a company; returns what was
    shown and the names that the last cells left.
    """
    shown: list[str] = []

    def performed(
        stages: Iterable[str], orders: pd.DataFrame, profiles: pd.DataFrame | None, options: Any
    ) -> tuple[str, dict[str, Any]]:
        tables = {"transactions": orders} | ({} if profiles is None else {"customers": profiles})
        described = {}
        for name, frame in tables.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
            columns = {"customer_id": "id"} | {c: c for c in frame if c != "id"}
            described[name] = {"path": f"{name}.csv", "columns": columns}
        (tmp_path / "odd.yml").write_text(yaml.safe_dump({"tables": described} | options), "utf-8")
        given = {"dataset": str(tmp_path / "odd.yml"), "as_of": str(LAST_DAY.date())}
        space: dict[str, Any] = {}
        for stage in stages:
            space = {}
            for cell in code(NOTEBOOK[stage]):
                exec(compile(cell.source, f"{stage}:{cell.id}", "exec"), space)
                space |= given if "parameters" in tags(cell) else {}
        return "\n".join(shown), space

    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(page, "_show", lambda fragment, text: shown.append(text))
    yield performed
    say.speak("en", "USD")


# 04_churn on data that are not as it hopes
LAST_DAY = pd.Timestamp("2024-06-30")
IDS = [f"{number:04d}" for number in range(250)]
ONE = pd.DataFrame({"id": "007", "date": ["2024-01-01", "2024-06-30"], "amount": [10, 12]})
ONCE = pd.DataFrame(
    {
        "id": [f"c{n}" for n in range(120)],
        "date": pd.date_range("2023-07-01", LAST_DAY, 120).date,
        "amount": 5,
    }
)
RETURN = pd.DataFrame({"id": ["007"], "date": ["2024-06-30"], "amount": [-5]})
# Of 250 a flag says of 13 what nobody can read, of the others in turn that they left or not.
FLAGS = pd.DataFrame(
    {
        "id": IDS,
        "churned": ["maybe" if n % 20 == 3 else "yes" if n % 2 else "no" for n in range(250)],
    }
)
# Every other contract ends, one every week; the others run on.
ENDS = pd.DataFrame({"id": IDS, "contract_end": pd.Timestamp("2030-01-01")})
ENDS.loc[1::2, "contract_end"] = pd.date_range("2022-10-01", periods=125, freq="7D")
RUNNING = ENDS[ENDS.contract_end > LAST_DAY]
CONTRACT = {"churn": "contract"}
UNTOLD = ["No risk can be told", "cannot be measured", "Nobody is worth winning back"]
TOLD = ["The risk is told by", "goes most by"]


@pytest.mark.parametrize(
    ("orders", "profiles", "options", "customers", "said", "unsaid"),
    [
        (
            shop_log().drop(columns="amount"),
            None,
            {},
            IDS,
            [
                "have no amounts",
                "the bands are fixed",
                "customers call for attention",
                "nothing is known of money",
                TOLD[0],
            ],
            ["$", "come from costs", *UNTOLD[:2]],
        ),
        (ONE, None, {}, ["007"], UNTOLD, TOLD),
        (ONCE, None, {}, ONCE.id, UNTOLD, TOLD),
        (RETURN, None, {}, [], UNTOLD, TOLD),
        (shop_log(), None, {"horizon_days": 2_000}, IDS, UNTOLD, TOLD),
        (
            shop_log(),
            FLAGS,
            CONTRACT,
            IDS,
            [
                "Of 13 customers no profile says",
                "but not when",
                "Leaving means: the contract ends",
                "Measured on",
            ],
            UNTOLD[:2],
        ),
        (
            shop_log(),
            ENDS,
            CONTRACT,
            RUNNING.id,
            [
                "Leaving means: the contract ends within the 91 days",
                "are likely to leave",
                "cannot be measured",
            ],
            ["but not when", "no profile says", UNTOLD[0]],
        ),
    ],
    ids=[
        "no amounts",
        "one customer",
        "once each",
        "only a return",
        "long horizon",
        "undated flag",
        "contract ends",
    ],
)
def test_churn_says_what_it_cannot_do_and_goes_on(
    orders: pd.DataFrame,
    profiles: pd.DataFrame | None,
    options: dict[str, Any],
    customers: list[str],
    said: list[str],
    unsaid: list[str],
    perform: Any,
) -> None:
    text, space = perform(["01_data_quality", "04_churn"], orders, profiles, options)
    assert [words for words in said if words not in text] == []
    assert [words for words in unsaid if words in text] == []
    assert not any(
        re.search(r"\b(nan|NaN|NaT|inf)\b", finding["text"]) for finding in space["page"].findings
    )
    scored = schema.read("churn", space["stage"].folder / "churn.parquet")
    assert scored.customer_id.tolist() == sorted(customers)
    if UNTOLD[0] in said:
        assert (
            (scored.risk_band == "unknown").all()
            and not scored.warned.any()
            and (scored.reasons == "").all()
        )
    else:
        assert scored.churn_risk.notna().all()


# All of them on logs of which little can be said
DAY = pd.DataFrame({"id": [f"c{n}" for n in range(30)], "date": "2024-06-30", "amount": 5})
STRANGERS = pd.DataFrame({"id": [f"x{n}" for n in range(18)], "region": ["N", "S"] * 9})


@pytest.mark.parametrize(
    ("orders", "profiles"),
    [
        (ONE.tail(1), None),
        (DAY, None),
        (RETURN, None),
        (ONCE, STRANGERS),
        (ONCE.tail(18), STRANGERS.assign(id=ONCE.id.tail(18).tolist())),
    ],
    ids=["one order", "one day", "only a return", "once each, profiles of others", "18 customers"],
)
def test_what_cannot_be_estimated_is_said_and_every_page_goes_on(
    orders: pd.DataFrame, profiles: pd.DataFrame | None, perform: Any
) -> None:
    text, _ = perform(STAGES, orders, profiles, {})
    assert "cannot be measured" in text
    assert not re.search(r"\b(nan|NaN|NaT|inf)\b", text)


def test_pages_say_nothing_that_another_language_cannot_translate(
    perform: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a made-up language that says every message in brackets."""
    made = wrapped(extracted())
    path = tmp_path / "locale" / "eo" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_po(file, made)
    monkeypatch.setattr(text_module, "LOCALE", tmp_path / "locale")
    text_module.catalogue.cache_clear()
    shown: list[str] = []
    monkeypatch.setattr(page, "_fragment", lambda *parts: shown.append(str(parts[1:])) or "")
    perform(["01_data_quality", "08_steering"], shop_log(), None, {"language": "eo"})
    text_module.catalogue.cache_clear()
    rest = " ".join(shown)
    while "⟦" in (again := re.sub(r"⟦[^⟦⟧]*⟧", "", rest)) and again != rest:
        rest = again
    sentences = re.findall(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", re.sub("<svg.*?</svg>", "", again))
    assert shown and sentences == []
