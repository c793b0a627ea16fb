"""The notebooks' form: what a reader may count on."""

import ast
import re

import nbformat
import pytest

from analysis import pipeline
from analysis.dataset import Dataset
from analysis.runs import NOTEBOOKS, ROOT, STAGES

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
    assert notebook.cells[-1].id == "summary" and [cell.id for cell in notebook.cells[-2:]] == ["save", "summary"]


def test_cells_are_short_and_hold_no_functions(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        body = ast.parse(cell.source)
        assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda) for node in ast.walk(body)), cell.id
        assert "parameters" in tags(cell) or len(cell.source.splitlines()) <= 5, cell.id


def test_sections_are_three_to_six_texts_above_results(notebook: nbformat.NotebookNode) -> None:
    headings = [cell for cell in notebook.cells if cell.cell_type == "markdown" and cell.source.startswith("## ")]
    assert 2 <= len(headings) <= 6


def test_no_number_stands_in_prose_that_a_run_could_change(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"\d{3,}|\$\d", cell.source), cell.id


def test_only_the_checked_summary_keeps_its_output(notebook: nbformat.NotebookNode) -> None:
    for cell in code(notebook):
        assert bool(cell.outputs) == (tags(cell) >= KEPT), cell.id
        assert bool(tags(cell) & KEPT) == (tags(cell) >= KEPT), cell.id


def test_parameters_are_plain_annotated_literals_with_a_comment(notebook: nbformat.NotebookNode) -> None:
    source = next(cell.source for cell in notebook.cells if "parameters" in tags(cell))
    for line, node in zip(source.splitlines(), ast.parse(source).body, strict=True):
        assert isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant), line
        assert "  # " in line and type(node.value.value).__name__ == ast.unparse(node.annotation), line


def test_a_parameter_means_the_same_everywhere() -> None:
    meanings: dict[str, set[object]] = {}
    for stage in STAGES:
        for parameter in pipeline.parameters(stage).values():
            meanings.setdefault(parameter.name, set()).add(parameter)
    assert all(len(found) == 1 for found in meanings.values())
    assert {"dataset", "as_of", "run"} <= set(meanings)
    assert meanings["horizon_days"] and "horizon_days" in Dataset.model_fields


def test_notebooks_name_no_one_and_no_place(notebook: nbformat.NotebookNode) -> None:
    text = (NOTEBOOKS / f"{notebook.stage}.ipynb").read_text()
    assert str(ROOT) not in text and "/home/" not in text and "/root/" not in text
