"""Runs the notebooks in order of what they need, checks them, and publishes the result in one
atomic step.
"""

import datetime as dt
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from analysis import files
from analysis.errors import InputError, RunError
from analysis.files import ROOT
from analysis.intake import cleaning, store
from analysis.intake import dataset as dataset_file
from analysis.intake.dataset import Dataset
from analysis.report.text import say
from analysis.run import notebook, parameters, publish, stopping, trials
from analysis.run import notify as notifying
from analysis.run import stage as runs
from analysis.run.progress import Progress
from analysis.run.stage import FACTS, STAGES
from analysis.strategy import cycles

if TYPE_CHECKING:
    from analysis.run.kernels import Kernels

LONGEST = ("03_lifetime_value", "04_churn")  # begun first, so that the shorter ones run beside them


@dataclass
class Run:
    """A dataset at a day, with what identifies each stage's result."""

    dataset: Dataset
    as_of: dt.date
    records: Path
    chosen: dict[str, dict[str, Any]]
    progress: Progress
    fingerprints: dict[str, str] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    frozen: dict[str, Path] = field(default_factory=dict)  # cycles, by first day
    freezes: bool = False  # a cycle begins where none holds
    earlier: dict[str, dict[str, str]] = field(default_factory=dict)  # tables of runs, by day
    trial: str = ""  # its name, of a run that is not to be published
    others: list["Run"] = field(default_factory=list)  # the same, said in further languages
    beside: str = ""  # the folder of its pages below that of the run, where it is one of others

    @property
    def languages(self) -> dict[str, str]:
        """The folder of the pages in each language, below that of the run."""
        return {r.dataset.language: r.beside for r in [self, *self.others]}

    @property
    def cycle(self) -> str:
        """The first day of the cycle that holds or begins; empty where the plan is a draft."""
        holding = [f for f, path in self.frozen.items() if runs.last_day(path) >= str(self.as_of)]
        return holding[-1] if holding else str(self.as_of) if self.freezes else ""

    @property
    def place(self) -> str:
        return runs.place(self.as_of, self.trial)

    def said(self) -> None:
        """What this process says from now on is in the language of the run."""
        say.speak(self.dataset.language, self.dataset.currency)

    @property
    def folder(self) -> Path:
        return files.processed(self.dataset.name, self.place)

    @property
    def read(self) -> dict[str, Any]:
        """What was read: sha256, and pieces by table with name and rows."""
        return store.facts(self.records)

    def tables(self, of: Iterable[str]) -> dict[str, Path]:
        """Where the tables of these stages lie."""
        every = {t: self.folders[s] / f"{t}.parquet" for s in of for t in STAGES[s][1]}
        return {t: path for t, path in every.items() if t not in runs.OPTIONAL or path.is_file()}


def run(
    dataset: str,
    as_of: str = "",
    given: Iterable[str] = (),
    start: str = "",
    jobs: int = 2,
    echo: Callable[[str], None] = print,
    new_cycle: bool = False,
    trial: str | None = None,
    notify: str = "",
    languages: Sequence[str] = (),
) -> Path:
    """Regenerate the reports of a dataset; returns the page to open. `new_cycle`: the plan is
    frozen anew, though another one holds. `trial`: a name under which the run stays by itself and
    publishes nothing. `notify`: a command that is told where the alerts are, if one is new.
    `languages`: what the pages are said in, by default that of the dataset; of further ones after
    the first only pages and lists are kept.

    Raises InputError (nothing could be computed) and RunError (a stage failed). Either leaves the
    last published run as it was.
    """
    began, told = time.monotonic(), notifying.command(notify)
    name = trials.named(trial, new_cycle)
    found, *others = _said_in(dataset_file.load(dataset), languages)
    begin = [stage for stage in STAGES if start and stage.startswith(start)]
    if start and len(begin) != 1:
        raise InputError(f"--from {start} names no stage; known: {', '.join(STAGES)}")
    redo = {stage for stage in STAGES if begin and stage >= begin[0]}
    redo |= {stage for stage in STAGES if new_cycle and stage >= runs.MAKER["cycle"]}
    from analysis.run.kernels import Kernels

    threads = max(1, (os.cpu_count() or 1) // jobs)  # more would only wait
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    with alone(found.name), Progress(echo) as progress, Kernels() as kernels:
        this = _prepare(found, runs.parse_day(as_of), given, progress, new_cycle, name)
        for leftover in this.folder.glob("*.part"):
            files.remove(leftover)
        this.others = [_in_language(this, other) for other in others]
        for each in [this, *this.others]:
            each.said()
            _execute(each, redo, jobs, kernels)
        this.said()
        before = {} if this.trial else notifying.standing(found.name, this.as_of)
        manifest = publish.publish(this, time.monotonic() - began)
        publish.bring_cycle(manifest, anew=True)
        publish.prune(this, manifest)
    page = publish.bring_pages(manifest)
    notifying.tell(manifest, told, echo, before)
    return page


def _said_in(dataset: Dataset, languages: Sequence[str]) -> list[Dataset]:
    """The dataset in each of the languages, or in its own. Raises InputError for an unknown one."""
    wanted = [*dict.fromkeys(languages)] or [dataset.language]
    for language in wanted:
        say.speak(language, dataset.currency)
    return [dataset.model_copy(update={"language": language}) for language in wanted]


def _in_language(this: Run, dataset: Dataset) -> Run:
    other = replace(this, dataset=dataset, beside=dataset.language, others=[])
    other = replace(other, fingerprints={}, folders={}, stages={})
    _fingerprint(other)
    return other


@contextmanager
def alone(name: str) -> Iterator[None]:
    """No other command changes the runs of a dataset meanwhile; RunError where one is at it."""
    path = files.processed(name, "any").parent / ".lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path, blocking=False).acquire()
    except filelock.Timeout:
        raise RunError(f"another run of {name} is in progress; wait for it to end") from None
    except OSError as error:
        raise RunError(
            f"cannot write to {path.parent}: {error.strerror}; free it, or set CUSTOMER_MATRIX_HOME"
        ) from None
    with lock:
        yield


def _prepare(
    dataset: Dataset,
    as_of: dt.date | None,
    given: Iterable[str],
    progress: Progress,
    new_cycle: bool = False,
    trial: str = "",
) -> Run:
    written = [f"{name}={value}" for name, value in dataset.parameters.items()]
    chosen = parameters.parse([*written, *given])
    for values in chosen.values():
        runs.overruled(dataset, values)
    say.speak(dataset.language, dataset.currency)
    folder = runs.gather(dataset, progress.line, progress.reading)
    log = store.typed(folder, "transactions")
    newest = dataset.as_of or cleaning.last_complete_day(log, dataset)
    day = as_of or newest
    cleaning.check_as_of(log, dataset, day)
    this = Run(dataset, day, folder, chosen, progress, trial=trial)
    _cycles(this, day >= newest and not [*given], new_cycle)
    this.earlier = runs.earlier_runs(dataset, day)
    _fingerprint(this)
    return this


def _cycles(this: Run, freezes: bool, anew: bool) -> None:
    """Find the frozen cycles, and whether this run freezes one; says what a new one costs."""
    name, day = this.dataset.name, this.as_of
    if this.trial:  # its plan is a draft, drawn as if a cycle began
        this.frozen = runs.frozen_cycles(name, day, anew=True)
        return
    if before := runs.published(name):
        publish.bring_cycle(before)  # where a run was killed before it had
    later = [
        path
        for path in runs.cycle_file(name, "x").parents[1].glob("*/*.parquet")
        if path.parent.name > str(day)
    ]
    this.freezes = freezes and not later
    if anew and not this.freezes:
        raise InputError(
            "--new-cycle begins a cycle on the newest day of the data, with all parameters as in"
            " the dataset file; leave out --as-of and -p"
        )
    this.frozen = runs.frozen_cycles(name, day)
    if anew:
        if this.cycle and this.cycle in this.frozen:
            held = cycles.lost_by_new(runs.read_table("cycle", this.frozen[this.cycle]))
            line = say(
                "The cycle begun on {first:date} ends today and is not measured: {held:int}"
                " customers were held back in it for nothing.",
                first=dt.date.fromisoformat(this.cycle),
                held=held,
            )
            this.progress.line(line)
        this.frozen = runs.frozen_cycles(name, day, anew)


def _fingerprint(this: Run) -> None:
    """Of all that a stage's result depends on, the stages before included."""
    package = (p for p in Path(__file__).parents[1].rglob("*") if p.is_file())
    sources = sorted(p for p in package if p.suffix not in (".pyc", ".ipynb", ".part"))
    lock = [path for path in [ROOT / "requirements.lock"] if path.is_file()]
    common = [
        this.read["sha256"],
        str(this.as_of),
        this.dataset.model_dump_json(),
        store.sha256(sources),
        platform.python_version(),
        store.sha256(lock),
    ]
    # what is frozen on this day comes of this day, so that a second run finds all unchanged
    earlier = {f: p for f, p in this.frozen.items() if f < str(this.as_of)}
    frozen = [this.cycle, *earlier, store.sha256(list(earlier.values()))]
    told = [Path(path) for paths in this.earlier.values() for path in paths.values()]
    record = [*this.earlier, store.sha256(told)]
    for stage, (needs, _) in STAGES.items():
        chosen = json.dumps(this.chosen[stage], sort_keys=True)
        own = [notebook.source(stage), chosen, *(this.fingerprints[need] for need in needs)]
        own += frozen if stage == runs.MAKER["cycle"] else []
        own += record if stage == runs.MAKER["record"] else []
        this.fingerprints[stage] = files.sha256_text("\n".join([*common, *own]))[:12]


def _execute(this: Run, redo: set[str], jobs: int, kernels: "Kernels") -> None:
    """Run the stages that are not there yet, side by side where they do not need one another; a
    failure lets those under way end.
    """
    this.progress.begin(list(STAGES))
    waiting = [stage for stage in STAGES if stage in redo or not _reused(this, stage)]
    waiting.sort(key=lambda stage: stage not in LONGEST)
    running = set[Future[None]]()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while waiting or running:
                for stage in [s for s in waiting if all(n in this.stages for n in STAGES[s][0])]:
                    running.add(pool.submit(_make, this, stage, kernels))
                    waiting.remove(stage)
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    each.result()
        except Exception:
            pool.shutdown(cancel_futures=True)
            raise
        except BaseException:  # stopped: kernels that were about to start have to end, too
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(each.done() for each in running):
                stopping.end_children()
                time.sleep(0.1)
            raise


def _reused(this: Run, stage: str) -> bool:
    """Take the stage's result if it is there, whole and unchanged: by size and hash."""
    folder = _whole(this, stage, this.folder)
    if folder is None and this.trial:
        made = _whole(this, stage, files.processed(this.dataset.name, this.as_of))
        folder = made and _copied(this, stage, made)
    if folder:
        _keep(this, stage, folder, reused=True)
        this.progress.done(stage, "unchanged")
    return bool(folder)


def _whole(this: Run, stage: str, where: Path) -> Path | None:
    """The folder of the stage's result, unchanged and whole, among those of a run."""
    folders = sorted(where.glob(f"{stage}-{this.fingerprints[stage]}-*"))
    made = {folder: runs.read_json(folder / FACTS).get("files") for folder in folders}
    there = [folder for folder in folders if made[folder] and made[folder] == _files(folder)]
    return there[-1] if there else None


def _copied(this: Run, stage: str, made: Path) -> Path:
    """A copy for the trial of what the run of its day has made."""
    folder, part = _new_folder(this, stage)
    shutil.copytree(made, part)
    _close(part, runs.read_json(part / FACTS), folder)
    return folder


def _keep(this: Run, stage: str, folder: Path, reused: bool) -> None:
    facts = {k: v for k, v in runs.read_json(folder / FACTS).items() if k != "files"}
    this.folders[stage], this.stages[stage] = folder, facts | {"reused": reused}


def _files(folder: Path) -> dict[str, Any]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != FACTS)
    found = files.fingerprint(paths).items()
    return {Path(path).relative_to(folder).as_posix(): facts for path, facts in found}


def _make(this: Run, stage: str, kernels: "Kernels") -> None:
    """Execute a notebook into a folder that gets its name only when everything in it is checked."""
    began = time.monotonic()
    folder, part = _new_folder(this, stage)
    part.mkdir(parents=True)
    given = {"dataset": str(this.dataset.file), "as_of": str(this.as_of)}
    tables = {table: str(path) for table, path in this.tables(STAGES[stage][0]).items()}
    frozen = {first: str(path) for first, path in this.frozen.items()}
    inputs: dict[str, Any] = given | {"tables": tables, "records": str(this.records)}
    inputs |= {
        "language": this.dataset.language,
        "frozen": frozen,
        "freezes": this.freezes,
        "earlier": this.earlier,
    }
    (part / "inputs.json").write_text(json.dumps(inputs), "utf-8")
    given = this.chosen[stage] | given | {"run": str(part)}
    with kernels.one() as kernel:
        notebook.execute(stage, given, part, kernel, partial(this.progress.cell, stage))
    facts = runs.read_json(part / FACTS) | {"seconds": round(time.monotonic() - began, 1)}
    _close(part, facts, folder)
    _keep(this, stage, folder, reused=False)
    this.progress.done(stage, f"{facts['seconds']:6.1f} s {facts['peak_mb']:6,} MB")


def _new_folder(this: Run, stage: str) -> tuple[Path, Path]:
    """A folder for the stage's result, and the one it is made in."""
    name = f"{stage}-{this.fingerprints[stage]}"
    folder = next(f for n in range(1, 10**6) if not (f := this.folder / f"{name}-{n}").exists())
    return folder, folder.with_name(f"{folder.name}.part")


def _close(part: Path, facts: dict[str, Any], folder: Path) -> None:
    """Add facts to what a notebook has made, and give it its name."""
    (part / FACTS).write_text(json.dumps(facts | {"files": _files(part)}), "utf-8")
    files.move(part, folder)
