"""One notebook: read, performed in a kernel, and checked."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import InputError, RunError
from analysis.run.stage import FACTS, NOTEBOOKS

if TYPE_CHECKING:
    from nbformat import NotebookNode

# jsonschema would compile a grammar of web addresses for a second, which no notebook needs.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def read(stage: str) -> "NotebookNode":
    """A stage's notebook as an analyst wrote it."""
    import nbformat

    return nbformat.read(NOTEBOOKS / f"{stage}.ipynb", as_version=4)


def done(folder: Path, stage: str) -> "NotebookNode":
    """A stage's notebook as it was executed into a folder."""
    import nbformat

    return nbformat.read(folder / f"{stage}.ipynb", as_version=4)


def source(stage: str) -> str:
    """All that a notebook's result depends on: its cells without their outputs."""
    return json.dumps([[cell.cell_type, cell.id, cell.source] for cell in read(stage).cells])


def execute(
    stage: str, given: dict[str, Any], part: Path, kernel: Any, cell: Callable[[str, float], None]
) -> "NotebookNode":
    """Execute a stage's notebook in a kernel and keep it in the folder `part`.

    `cell` is told the heading of the section and the share of cells done, before every cell.
    Raises InputError or RunError for whatever keeps the notebook from its end.
    """
    import papermill

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is said below
    headings = _headings(read(stage))
    try:
        done = papermill.execute_notebook(
            NOTEBOOKS / f"{stage}.ipynb",
            part / f"{stage}.ipynb",
            given,
            kernel_name="python3",
            km=kernel,
            progress_bar=False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            on_cell_start=lambda cell_index, **_: cell(
                *headings[min(cell_index, len(headings) - 1)]
            ),
        )
    except papermill.PapermillExecutionError as error:
        raise _explained(stage, error) from None
    except (RuntimeError, ValueError, OSError) as error:  # the kernel died, or never came up
        why = " ".join(str(error).split())
        raise RunError(f"{stage}: {why}. Run it again; free memory or disk if it stays") from None
    _check_finished(done, stage, part)
    return done


def _headings(notebook: "NotebookNode") -> list[tuple[str, float]]:
    """Of each cell the section it stands in, and the share of cells before it."""
    found, heading = [], ""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            heading = cell.source.splitlines()[0].lstrip("# ")
        found.append((heading, number / len(notebook.cells)))
    return found


def _explained(stage: str, error: Any) -> InputError | RunError:
    kind = InputError if error.ename == "InputError" else RunError
    where = f"{stage}, cell {error.exec_count}"
    if error.ename in ("InputError", "RunError"):
        return kind(f"{where}: {error.evalue}")
    return kind(
        f"{where}: {error.ename}: {error.evalue}. Open notebooks/{stage}.ipynb and run it to that"
        " cell to see why"
    )


def _check_finished(notebook: "NotebookNode", stage: str, part: Path) -> None:
    """papermill takes sys.exit(0) for success; a run does not."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.source.strip() and not cell.execution_count:
            raise RunError(
                f"{stage}, cell {number}: did not run; something before it ended the notebook."
                " Remove the exit"
            )
    if not (part / FACTS).is_file():
        raise RunError(f"{stage}: ends without stage.finish(); make it the last cell")
