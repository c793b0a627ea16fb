"""Runs the notebooks in order of what they need, checks them, and publishes the result in one
atomic step.
"""

import ast
import datetime as dt
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import nbformat
from traitlets.config import Config

from analysis import files
from analysis.errors import InputError, RunError, did_you_mean
from analysis.files import ROOT
from analysis.intake import cleaning, store
from analysis.intake import dataset as dataset_file
from analysis.intake.dataset import Dataset
from analysis.report import page as report
from analysis.report.text import say
from analysis.run import stage as runs
from analysis.run.stage import NOTEBOOKS, STAGES

LONGEST = ("03_lifetime_value", "04_churn")  # begun first, so that the shorter ones run beside them
GIVEN_BY_THE_RUN = ("dataset", "as_of", "run")
VERSIONS_SHOWN = ("pandas", "scikit-learn", "lifetimes", "duckdb", "ibis-framework", "numpy")
# What kernels say goes over local TCP, where other users of the machine could listen.
_PRIVATE_KERNEL = Config({"KernelManager": {"transport_encryption": "auto"}})
TYPES: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a notebook as its parameters cell states it."""

    name: str
    type: str
    default: Any
    comment: str


def parameters(stage: str) -> dict[str, Parameter]:
    """The parameters of a stage's notebook, by name."""
    import papermill

    found = papermill.inspect_notebook(NOTEBOOKS / f"{stage}.ipynb")
    return {
        name: Parameter(name, p["inferred_type_name"], ast.literal_eval(p["default"]), p["help"])
        for name, p in found.items()
    }


def parse_parameters(given: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`name=value` for every notebook that has it, `02_segments.name=value` for one; by stage,
    typed.

    Raises InputError for a name no notebook has and for a value of another type.
    """
    known = {stage: parameters(stage) for stage in STAGES}
    chosen: dict[str, dict[str, Any]] = {stage: {} for stage in STAGES}
    for pair in given:
        full, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"parameter {pair!r} has no value; write name=value")
        stage, dot, name = full.rpartition(".")
        if name in GIVEN_BY_THE_RUN:
            raise InputError(
                f"parameter {name} is given by the run itself; use the dataset file and --as-of"
            )
        having = [s for s in STAGES if name in known[s] and stage in ("", s)]
        if not having:
            names = {
                f"{s}.{n}" if dot else n
                for s in STAGES
                for n in known[s]
                if n not in GIVEN_BY_THE_RUN
            }
            raise InputError(f"no notebook has a parameter {full}; {did_you_mean(full, names)}")
        for s in having:
            chosen[s][name] = _typed(full, text, known[s][name].type)
    return chosen


def _typed(name: str, text: str, type_name: str) -> Any:
    try:
        return TYPES[type_name](text)
    except ValueError:
        raise InputError(f"parameter {name}={text!r} is no {type_name}") from None


@dataclass
class Run:
    """A dataset at a day, with what identifies each stage's result."""

    dataset: Dataset
    as_of: dt.date
    records: Path
    chosen: dict[str, dict[str, Any]]
    fingerprints: dict[str, str] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return files.processed(self.dataset.name, self.as_of)

    @property
    def read(self) -> dict[str, Any]:
        """What was read: sha256, and pieces by table with name and rows."""
        return store.facts(self.records)

    def tables(self, of: Iterable[str]) -> dict[str, Path]:
        every = {
            table: self.folders[stage] / f"{table}.parquet"
            for stage in of
            for table in STAGES[stage][1]
        }
        return {
            table: path
            for table, path in every.items()
            if table not in runs.OPTIONAL or path.is_file()
        }


def run(
    dataset: str,
    as_of: str = "",
    given: Iterable[str] = (),
    start: str = "",
    jobs: int = 2,
    echo: Callable[[str], None] = print,
) -> Path:
    """Regenerate the reports of a dataset; returns the page to open.

    Raises InputError (nothing could be computed) and RunError (a stage failed). Either leaves the
    last published run as it was.
    """
    began = time.monotonic()
    found = dataset_file.load(dataset)
    redo = _stages_from(start)
    with _alone(found):
        this = _prepare(found, runs.parse_day(as_of), given, echo)
        _clear_unfinished(this)
        _execute(this, redo, jobs, echo)
        manifest = _publish(this, time.monotonic() - began)
        _prune(this)
    return bring_pages(manifest)


def _stages_from(start: str) -> list[str]:
    begin = [stage for stage in STAGES if start and stage.startswith(start)]
    if start and len(begin) != 1:
        raise InputError(f"--from {start} names no stage; known: {', '.join(STAGES)}")
    return [stage for stage in STAGES if begin and stage >= begin[0]]


def _alone(dataset: Dataset) -> AbstractContextManager[Any]:
    path = files.processed(dataset.name, "any").parent / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(path, blocking=False).acquire()
    except filelock.Timeout:
        raise RunError(
            f"another run of {dataset.name} is in progress; wait for it to end"
        ) from None
    except OSError as error:
        raise RunError(
            f"cannot write to {path.parent}: {error.strerror}; free it, or set CUSTOMER_MATRIX_HOME"
        ) from None


def _prepare(
    dataset: Dataset, as_of: dt.date | None, given: Iterable[str], echo: Callable[[str], None]
) -> Run:
    chosen = parse_parameters(
        [*(f"{name}={value}" for name, value in dataset.parameters.items()), *given]
    )
    for values in chosen.values():
        knobs = {name: value for name, value in values.items() if name in Dataset.model_fields}
        runs.settings(dataset, **knobs)
    say.speak(dataset.language, dataset.currency)
    folder = runs.gather(dataset, echo)
    log = store.typed(folder, "transactions")
    day = as_of or dataset.as_of or cleaning.last_complete_day(log, dataset)
    cleaning.check_as_of(log, dataset, day)
    this = Run(dataset, day, folder, chosen)
    _fingerprint(this)
    return this


def _fingerprint(this: Run) -> None:
    """What a stage's result depends on: data, day, parameters, notebook, package, lock, and the
    stages before.
    """
    package = sorted(
        p
        for p in Path(__file__).parents[1].rglob("*")
        if p.is_file() and p.suffix not in (".pyc", ".ipynb")
    )
    common = [
        this.read["sha256"],
        str(this.as_of),
        this.dataset.model_dump_json(),
        store.sha256(package),
        platform.python_version(),
    ]
    common.append(store.sha256(path for path in [ROOT / "requirements.lock"] if path.is_file()))
    for stage, (needs, _) in STAGES.items():
        own = [
            _source(stage),
            json.dumps(this.chosen[stage], sort_keys=True),
            *(this.fingerprints[n] for n in needs),
        ]
        this.fingerprints[stage] = runs.sha256_text("\n".join([*common, *own]))[:12]


def _source(stage: str) -> str:
    notebook = nbformat.read(NOTEBOOKS / f"{stage}.ipynb", as_version=4)
    return json.dumps([[cell.cell_type, cell.id, cell.source] for cell in notebook.cells])


def _clear_unfinished(this: Run) -> None:
    for leftover in this.folder.glob("*.part"):
        shutil.rmtree(leftover)


def _execute(this: Run, redo: list[str], jobs: int, echo: Callable[[str], None]) -> None:
    """Run the stages, side by side where they do not need one another; a failure lets those under
    way end.
    """
    os.environ.setdefault(
        "OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs))
    )  # more would only wait
    waiting, running = list(STAGES), dict[Future[None], str]()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                ready = [s for s in waiting if all(n in this.stages for n in STAGES[s][0])]
                for stage in sorted(ready, key=lambda s: s not in LONGEST):
                    running[pool.submit(_stage, this, stage, stage in redo, echo)] = stage
                    waiting.remove(stage)
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    running.pop(done)
                    done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _stage(this: Run, stage: str, redo: bool, echo: Callable[[str], None]) -> None:
    """Take the stage's result if it is there and unchanged, else make it."""
    name = f"{stage}-{this.fingerprints[stage]}"
    there = [
        path for path in sorted(this.folder.glob(f"{name}-*")) if (path / "stage.json").is_file()
    ]
    if there and not redo:
        this.folders[stage] = there[-1]
        this.stages[stage] = _facts(there[-1]) | {"reused": True}
        echo(f"{stage:<20} unchanged")
        return
    began = time.monotonic()
    number = next(n for n in range(1, 10**6) if not (this.folder / f"{name}-{n}").exists())
    folder = this.folder / f"{name}-{number}"
    _make(this, stage, folder)
    this.folders[stage] = folder
    seconds = round(time.monotonic() - began, 1)
    facts = {"seconds": seconds} | _facts(folder)
    files.replace(folder / "stage.json", json.dumps(facts).encode())
    this.stages[stage] = facts | {"reused": False}
    echo(f"{stage:<20} {seconds:6.1f} s {facts['peak_mb']:6,} MB")


def _facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "stage.json").read_text("utf-8"))


def _make(this: Run, stage: str, folder: Path) -> None:
    """Execute a notebook into a folder that gets its name only when everything in it is checked."""
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True)
    tables = {table: str(path) for table, path in this.tables(STAGES[stage][0]).items()}
    inputs = {
        "dataset": str(this.dataset.file),
        "as_of": str(this.as_of),
        "tables": tables,
        "records": str(this.records),
    }
    (part / "inputs.json").write_text(json.dumps(inputs), "utf-8")
    notebook = _papermill(this, stage, part)
    _check_finished(notebook, stage, part)
    page = report.notebook_page(notebook, _page_facts(this, stage))
    (part / "pages" / f"{stage}.html").write_text(page, "utf-8")
    os.replace(part, folder)


def _papermill(this: Run, stage: str, part: Path) -> nbformat.NotebookNode:
    import papermill

    given = this.chosen[stage] | {
        "dataset": str(this.dataset.file),
        "as_of": str(this.as_of),
        "run": str(part),
    }
    try:
        return papermill.execute_notebook(
            NOTEBOOKS / f"{stage}.ipynb",
            part / f"{stage}.ipynb",
            given,
            cwd=ROOT,
            kernel_name="python3",
            progress_bar={"desc": f"{stage:<20}", "disable": None},
            config=_PRIVATE_KERNEL,
            extra_arguments=["--log-level=50"],  # what goes wrong is said by the run itself
        )
    except papermill.PapermillExecutionError as error:
        raise _explained(stage, error) from None
    except (RuntimeError, ValueError, OSError) as error:  # the kernel died, or never came up
        raise RunError(
            f"{stage}: {' '.join(str(error).split())}. Run it again; free memory or disk if it"
            " stays"
        ) from None


def _explained(stage: str, error: Any) -> InputError | RunError:
    kind = InputError if error.ename == "InputError" else RunError
    known = error.ename in ("InputError", "RunError")
    what = error.evalue if known else f"{error.ename}: {error.evalue}"
    remedy = "" if known else f". Open notebooks/{stage}.ipynb and run it to that cell to see why"
    return kind(f"{stage}, cell {error.exec_count}: {what}{remedy}")


def _check_finished(notebook: nbformat.NotebookNode, stage: str, part: Path) -> None:
    """papermill takes sys.exit(0) for success; a run does not."""
    unfinished = [
        n
        for n, c in enumerate(notebook.cells)
        if c.cell_type == "code" and c.source.strip() and not c.execution_count
    ]
    if unfinished:
        raise RunError(
            f"{stage}, cell {unfinished[0]}: did not run; something before it ended the notebook."
            " Remove the exit"
        )
    if not (part / "stage.json").is_file():
        raise RunError(f"{stage}: ends without stage.finish(); make it the last cell")


def _page_facts(this: Run, stage: str = "") -> dict[str, Any]:
    """The facts at the end of a page: data, day, parameters, versions."""
    settings = runs.settings(
        this.dataset,
        **{k: v for k, v in this.chosen.get(stage, {}).items() if k in Dataset.model_fields},
    )
    knobs = [
        f"{name} = {getattr(settings, name)}"
        for name in (
            "horizon_days",
            "value_window_days",
            "value_days",
            "annual_discount_rate",
            "margin",
            "seed",
        )
    ]
    own = [f"{name} = {value}" for name, value in this.chosen.get(stage, {}).items()]
    pieces = [piece for some in this.read["pieces"].values() for piece in some]
    said = [
        [f"{say.form('int', piece['rows'])} {say('rows')}", piece["encoding"]] for piece in pieces
    ]
    read = [
        f"{piece['name']} ({', '.join(filter(None, about))})"
        for piece, about in zip(pieces, said, strict=True)
    ]
    lines = [
        (say("Data"), f"{'; '.join(read)}; {this.read['sha256'][:12]}"),
        (say("Day of the picture"), say.form("date", this.as_of)),
        (say("Currency and time zone"), f"{this.dataset.currency}, {this.dataset.time_zone}"),
        (say("Parameters"), "; ".join(dict.fromkeys([*knobs, *own]))),
        (say("Versions"), "; ".join(f"{k} {v}" for k, v in versions().items())),
    ]
    title = this.dataset.title or this.dataset.name
    return {
        "title": title,
        "as_of": str(this.as_of),
        "day": say.form("date", this.as_of),
        "as_of_date": this.as_of,
        "lines": lines,
    }


def versions() -> dict[str, str]:
    """Of this package, Python, and what the numbers rest on."""
    packages = {
        name: importlib.metadata.version(name) for name in ("customer-matrix", *VERSIONS_SHOWN)
    }
    return packages | {"Python": platform.python_version()}


def _index(this: Run, files: list[str]) -> dict[str, bytes]:
    """The index for the run's own folder of pages and for the dataset's, by path below
    reports/<dataset>.
    """
    kept = {
        stage: json.loads((this.folders[stage] / "page.json").read_text("utf-8"))
        for stage in STAGES
    }
    notebooks = {
        stage: nbformat.read(NOTEBOOKS / f"{stage}.ipynb", as_version=4) for stage in STAGES
    }
    titles = {
        stage: report.title(report.translated(notebook)) for stage, notebook in notebooks.items()
    }
    facts = _page_facts(this)
    return {
        where: report.index_page(kept, titles, files, facts, prefix).encode()
        for where, prefix in ((f"{this.as_of}/index.html", ""), ("index.html", f"{this.as_of}/"))
    }


def _publish(this: Run, seconds: float) -> dict[str, Any]:
    """Write the manifest: the one step that makes this run the published one."""
    below = files.home()
    pages = {
        f"{this.as_of}/{p.name}": p
        for stage in STAGES
        for p in sorted((this.folders[stage] / "pages").iterdir())
    }
    listed = [p.name for p in pages.values() if p.suffix != ".html"]
    index = (
        this.folder
        / f"index-{runs.sha256_text(json.dumps(sorted(map(str, this.folders.values()))))[:12]}"
    )
    for where, content in _index(this, listed).items():
        pages[where] = index / where.replace("/", "-")
        files.replace(pages[where], content)
    models = {
        p.name: p for stage in STAGES for p in sorted((this.folders[stage] / "models").iterdir())
    }
    manifest = {
        "schema": runs.SCHEMA,
        "status": "published",
        "dataset": this.dataset.name,
        "as_of": str(this.as_of),
        "data": this.read,
        "parameters": this.chosen,
        "settings": this.dataset.model_dump(mode="json", exclude={"tables", "parameters"}),
        "versions": versions(),
        "seconds": round(seconds, 1),
        "stages": {
            s: this.stages[s] | {"folder": str(this.folders[s].relative_to(below))} for s in STAGES
        },
        "tables": {
            table: str(path.relative_to(below)) for table, path in this.tables(STAGES).items()
        },
        "pages": {where: str(path.relative_to(below)) for where, path in pages.items()},
        "models": {name: str(path.relative_to(below)) for name, path in models.items()},
    }
    files.replace(this.folder / runs.MANIFEST, json.dumps(manifest, indent=1).encode())
    return manifest


def bring_pages(manifest: dict[str, Any]) -> Path:
    """Bring pages and models of a published run to where people look for them; those that are there
    stay.

    Returns the page to open: reports/<dataset>/index.html, which is always of the newest day.
    """
    name, as_of = manifest["dataset"], manifest["as_of"]
    newest = runs.published(name)
    reports = files.home() / "reports" / name
    for where, source in manifest["pages"].items():
        if where != "index.html" or newest is None or newest["as_of"] == as_of:
            _bring(files.home() / source, reports / where)
    for model, source in manifest["models"].items():
        _bring(files.home() / source, files.home() / "models" / name / as_of / model)
    return (
        reports / as_of / "index.html"
        if newest and newest["as_of"] != as_of
        else reports / "index.html"
    )


def _bring(source: Path, target: Path) -> None:
    content = source.read_bytes()
    if not target.is_file() or target.read_bytes() != content:
        files.replace(target, content)


def _prune(this: Run) -> None:
    """Remove results of this day that the published run does not use; drafts stay."""
    manifest = runs.published(this.dataset.name, this.as_of) or {}
    used = {
        Path(path).parts[4] for group in ("tables", "pages") for path in manifest[group].values()
    }
    for folder in this.folder.parent.glob("records-*"):
        if folder != this.records:
            shutil.rmtree(folder)
    for folder in this.folder.iterdir():
        if folder.is_dir() and folder.name != "draft" and folder.name not in used:
            shutil.rmtree(folder)
