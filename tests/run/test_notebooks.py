"""The notebooks' form: what a reader may count on; and what 04 says of data that are not as it
hopes.
"""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import yaml

from analysis import schema
from analysis.files import ROOT
from analysis.intake.dataset import Dataset
from analysis.report import page
from analysis.run.parameters import parameters
from analysis.run.stage import NOTEBOOKS, STAGES, open_stage
from tests.run.test_pipeline import shop_log

KEPT = {"keep_output", "nbval-check-output"}


@pytest.fixture(params=STAGES)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    read = nbformat.read(NOTEBOOKS / f"{request.param}.ipynb", as_version=4)
    read.stage = request.param
    return read


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def test_there_is_a_notebook_for_every_stage_and_no_other() -> None:
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(STAGES)


def test_it_opens_with_title_parameters_imports_and_load(notebook: nbformat.NotebookNode) -> None:
    assert [cell.id for cell in notebook.cells[:4]] == ["title", "parameters", "imports", "load"]
    assert [cell.id for cell in notebook.cells if "parameters" in tags(cell)] == ["parameters"]
    assert notebook.cells[-1].id == "summary" and [cell.id for cell in notebook.cells[-2:]] == [
        "save",
        "summary",
    ]


def test_cells_are_short_and_hold_no_functions(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        body = ast.parse(cell.source)
        assert not any(
            isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda) for node in ast.walk(body)
        ), cell.id
        assert "parameters" in tags(cell) or len(cell.source.splitlines()) <= 12, cell.id


def test_sections_are_three_to_six_texts_above_results(notebook: nbformat.NotebookNode) -> None:
    headings = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "markdown" and cell.source.startswith("## ")
    ]
    assert 2 <= len(headings) <= 6


def test_no_number_stands_in_prose_that_a_run_could_change(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\d{3,}|\$\d", cell.source), cell.id


def test_only_the_checked_summary_keeps_its_output(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        assert bool(cell.outputs) == (tags(cell) >= KEPT), cell.id
        assert bool(tags(cell) & KEPT) == (tags(cell) >= KEPT), cell.id


def test_parameters_are_plain_annotated_literals_with_a_comment(
    notebook: nbformat.NotebookNode,
) -> None:
    source = next(cell.source for cell in notebook.cells if "parameters" in tags(cell))
    for line, node in zip(source.splitlines(), ast.parse(source).body, strict=True):
        assert isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant), line
        assert "  # " in line and type(node.value.value).__name__ == ast.unparse(node.annotation), (
            line
        )


def test_a_parameter_means_the_same_everywhere() -> None:
    meanings: dict[str, set[object]] = {}
    for stage in STAGES:
        for parameter in parameters(stage).values():
            meanings.setdefault(parameter.name, set()).add(parameter)
    assert all(len(found) == 1 for found in meanings.values())
    assert {"dataset", "as_of", "run"} <= set(meanings)
    assert meanings["horizon_days"] and "horizon_days" in Dataset.model_fields


def test_notebooks_name_no_one_and_no_place(notebook: nbformat.NotebookNode) -> None:
    text = (NOTEBOOKS / f"{notebook.stage}.ipynb").read_text()
    assert str(ROOT) not in text and "/home/" not in text and "/root/" not in text


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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All cells as they stand, in this process: a kernel would only add its start."""
    files = {"transactions": orders} | ({} if profiles is None else {"customers": profiles})
    for name, frame in files.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    described = {
        name: {
            "path": f"{name}.csv",
            "columns": {"customer_id": "id"} | {c: c for c in frame if c != "id"},
        }
        for name, frame in files.items()
    }
    (tmp_path / "odd.yml").write_text(yaml.safe_dump({"tables": described} | options))
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))
    shown: list[str] = []
    monkeypatch.setattr(page, "_show", lambda fragment, text: shown.append(text))
    given = {"dataset": str(tmp_path / "odd.yml"), "as_of": str(LAST_DAY.date())}
    first = open_stage("01_data_quality", **given)
    first.save_records(first.judged_records())

    space: dict[str, Any] = {}
    for cell in code(nbformat.read(NOTEBOOKS / "04_churn.ipynb", as_version=4)):
        exec(compile(cell.source, cell.id, "exec"), space)
        space |= given if "parameters" in tags(cell) else {}

    text = "\n".join(shown)
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
