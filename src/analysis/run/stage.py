"""Where the things of a run lie, and what a notebook sees of it.

A stage writes to a folder of its own: tables, models/, pages/. A run is published by one atomic
replacement of its manifest, run.json, which names the folders. A notebook run by hand writes a
draft and touches no published run.
"""

import datetime as dt
import json
import sys
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Table
from pydantic import ValidationError

from analysis import files, schema
from analysis.engine import connect
from analysis.errors import InputError, RunError, did_you_mean
from analysis.files import ROOT, home, processed
from analysis.intake import cleaning, store
from analysis.intake import dataset as dataset_file
from analysis.intake.dataset import Dataset
from analysis.models.history import may_contact
from analysis.report import exports
from analysis.report.page import Page
from analysis.report.text import say
from analysis.schema import KEPT_AS, RECORDS
from analysis.segments import registry

NOTEBOOKS = ROOT / "notebooks"
MANIFEST, FACTS = "run.json", "stage.json"  # of a run, of a stage
TRIALS = "trials"  # the folder beside the days
SCHEMA = 1  # of manifests and models

# Tables that a stage makes only where the company has such records.
OPTIONAL = tuple(KEPT_AS.values())
STRATEGY = ("matrix", "plan", "cycle", "campaign_effects", "recommendations", "tier_history")
# Each stage: the stages whose tables it reads, and the tables it makes.
STAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "01_data_quality": ((), ("transactions", "rejects", "customers", *OPTIONAL)),
    "02_segments": (("01_data_quality",), ("segments",)),
    "03_lifetime_value": (("01_data_quality",), ("clv", "clv_total")),
    "04_churn": (("01_data_quality",), ("churn", "churn_total", "foretold", "earlier_risk")),
    "05_strategy": (("01_data_quality", "02_segments", "03_lifetime_value", "04_churn"), STRATEGY),
    "06_campaigns": (("01_data_quality", "03_lifetime_value", "05_strategy"), ("trial_design",)),
    "07_customer_care": (
        ("01_data_quality", "04_churn", "05_strategy"),
        ("winback", "care", "scorecard"),
    ),
    "08_steering": (
        ("01_data_quality", "02_segments", "03_lifetime_value", "04_churn", "05_strategy"),
        ("kpis", "record", "lessons", "moves"),
    ),
}
# What of published runs is held against what came; runs that had no totals yet tell no interval.
FORETOLD = ("clv", "churn", "segments", "clv_total", "churn_total")
APART_DAYS = 28  # between two of these runs: those of every night would tell nothing new
MOST_EARLIER = 24
# Contracts that are put together from the entries of a registry; all others are in schema.TABLES.
CONTRACTS = {"segments": registry.CONTRACT}
MAKER = {table: stage for stage, (_, made) in STAGES.items() for table in made}


def place(as_of: dt.date | str, trial: str = "") -> str:
    """The folder of a run below its dataset's: that of its day, or of a trial."""
    return f"{TRIALS}/{trial}" if trial else str(as_of)


def gather(
    dataset: Dataset,
    echo: Callable[[str], None] = lambda line: None,
    progress: store.Progress = lambda name, rows: None,
) -> Path:
    """The folder of a dataset's records, read anew where they have changed."""
    return store.gather(dataset, processed(dataset.name, "any").parent, echo, progress)


def judged_records(folder: Path, dataset: Dataset, as_of: dt.date) -> dict[str, Table]:
    """Every row of gathered records, by table, judged as of a day."""
    engine = connect()
    typed = {table: store.typed(folder, table, engine) for table in RECORDS if dataset.files(table)}
    cleaning.check_as_of(typed["transactions"], dataset, as_of)
    return {table: cleaning.judge(rows, as_of, table) for table, rows in typed.items()}


def read_json(path: Path) -> dict[str, Any]:
    """What a file of a run says; nothing where it is missing or damaged."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def published(name: str, as_of: dt.date | str | None = None) -> dict[str, Any] | None:
    """The manifest of the published run at a day (or the newest), or of the trial in a folder
    trials/NAME; None where there is none.
    """
    found = sorted(processed(name, "any").parent.glob(f"{as_of or '*'}/{MANIFEST}"))
    readable = (manifest for path in reversed(found) if (manifest := read_json(path)))
    return next(readable, None)


def cycle_file(name: str, first: dt.date | str) -> Path:
    """Where the plan of a cycle lies, by its first day."""
    return processed(name, "cycles") / str(first) / "cycle.parquet"


def frozen_cycles(name: str, as_of: dt.date, anew: bool = False) -> dict[str, Path]:
    """The files of the cycles begun by a day, by first day (the oldest first), but for those that
    the next one ended early; `anew`: a cycle begins on the day in any case.
    """
    paths = sorted(processed(name, "cycles").glob("*/cycle.parquet"))
    begun = [path for path in paths if path.parent.name <= str(as_of)]
    begun = [path for path in begun if not (anew and path.parent.name == str(as_of))]
    nexts = [path.parent.name for path in begun[1:]] + [str(as_of) if anew else "9999-12-31"]
    pairs = zip(begun, nexts, strict=False)
    return {path.parent.name: path for path, after in pairs if last_day(path) < after}


def earlier_runs(dataset: Dataset, as_of: dt.date) -> dict[str, dict[str, str]]:
    """Where the tables FORETOLD lie of the published runs whose horizon is over by a day, by day:
    the latest of those APART_DAYS apart from the oldest on. Of runs with the horizon, the currency
    and the definition of leaving of today; of one that is damaged nothing.
    """
    paths = processed(dataset.name, "any").parent.glob(f"[0-9]*/{MANIFEST}")
    over = str(as_of - dt.timedelta(days=dataset.horizon_days))
    found: dict[str, dict[str, str]] = {}
    free = ""
    for day in sorted(path.parent.name for path in paths if path.parent.name <= over):
        manifest = read_json(processed(dataset.name, day) / MANIFEST) if day >= free else {}
        if day < free or (manifest and not _alike(manifest, dataset)):
            continue
        named = {t: home() / path for t, path in manifest.get("tables", {}).items()}
        there = {t: str(named[t]) for t in FORETOLD if t in named and named[t].is_file()}
        whole = {"clv", "churn", "segments"} <= {*there}
        found[day] = there if whole else {}
        if whole:
            free = str(dt.date.fromisoformat(day) + dt.timedelta(days=APART_DAYS))
    return {day: found[day] for day in [*found][-MOST_EARLIER:]}


def _alike(manifest: dict[str, Any], dataset: Dataset) -> bool:
    """Whether a run foretold what a run of today does."""
    told, now = manifest.get("settings", {}), dict(dataset)
    own = [chosen.get("horizon_days") for chosen in manifest.get("parameters", {}).values()]
    days = {given or told.get("horizon_days") for given in [0, *own]}
    same = all(told.get(name) == now[name] for name in ("churn", "currency"))
    return same and days == {dataset.horizon_days}


def last_day(cycle: Path) -> str:
    """The last day of a frozen cycle."""
    return str(_read_cycle(cycle)["last"].iloc[0].date())


def _read_cycle(path: Path) -> pd.DataFrame:
    try:
        return read_table("cycle", path)
    except (OSError, pa.ArrowInvalid):
        raise RunError(
            f"the frozen plan {path} cannot be read; bring it back from a backup, or remove its"
            " folder to begin a new cycle"
        ) from None


def _read_earlier(paths: Mapping[str, str], table: str) -> pd.DataFrame:
    try:
        return read_table(table, Path(paths[table]))
    except (KeyError, OSError, pa.ArrowInvalid):
        raise RunError(f"an earlier run has no whole table {table}") from None


def table_path(name: str, table: str, as_of: str | None = None) -> Path:
    """Where a published table lies. Raises InputError for a table or run that is not there."""
    if table not in MAKER:
        raise InputError(f"no table {table!r}; {did_you_mean(table, MAKER)}")
    manifest = published(name, as_of)
    if manifest is None:
        raise InputError(
            f"no published run of {name}{f' at {as_of}' if as_of else ''}; run customer-matrix run"
            f" data/{name}.yml"
        )
    if table not in manifest["tables"]:
        raise InputError(f"{name} has no {table}; name its file under tables in the dataset file")
    path = home() / manifest["tables"][table]
    if not path.is_file():
        raise InputError(f"{path} is gone; run customer-matrix run data/{name}.yml again")
    return path


def read_table(table: str, path: Path) -> pd.DataFrame:
    """A table of a run as a checked frame."""
    return schema.read(table, path, CONTRACTS.get(table))


def settings(dataset: Dataset, **knobs: Any) -> Dataset:
    """The dataset with the knobs that are given (0 or empty: as the file says), checked again."""
    given = {name: value for name, value in knobs.items() if value not in (0, "", None)}
    try:
        return Dataset.model_validate({**dict(dataset), **given})
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})"
            for e in error.errors()
        ]
        raise InputError("; ".join(found)) from None


def overruled(dataset: Dataset, chosen: dict[str, Any]) -> Dataset:
    """The dataset with those of a notebook's parameters that are its own knobs."""
    return settings(dataset, **{n: v for n, v in chosen.items() if n in Dataset.model_fields})


class Stage:
    """What a notebook sees of its run: dataset, day, tables in and out, and the page it shows."""

    def __init__(
        self,
        name: str,
        dataset: Dataset,
        as_of: dt.date,
        folder: Path,
        inputs: dict[str, str],
        store: str = "",
        frozen: Mapping[str, str | Path] | None = None,
        freezes: bool = False,
        earlier: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.name, self.settings, self.as_of, self.folder = name, dataset, as_of, folder
        self.inputs, self._records = inputs, store
        self._frozen, self.freezes, self._earlier = frozen or {}, freezes, earlier or {}
        say.speak(dataset.language, dataset.currency)
        say.labels.update(registry.labels())
        self.page = Page()
        for inside in ("models", "pages"):
            (folder / inside).mkdir(parents=True, exist_ok=True)
        if not dataset.has_money:
            self.page.caveat(
                "The order lines have no amounts (no column is named for amount): orders are"
                " counted, and all that rests on money is left out."
            )

    def judged_records(self) -> dict[str, Table]:
        """Every row of the company's records, by table, judged as of the day."""
        records = Path(self._records) if self._records else gather(self.settings)
        return judged_records(records, self.settings, self.as_of)

    def save_records(self, judged: dict[str, Table]) -> None:
        """Write the kept rows of each table, and all others as `rejects`. Raises InputError where
        these are too many.
        """
        cleaning.check_losses(judged["transactions"], self.settings)
        kept = {name: cleaning.records(rows) for name, rows in judged.items() if name in KEPT_AS}
        products = kept.get("products")
        if "interactions" in kept:
            kept["interactions"] = cleaning.categorised(kept["interactions"], products)
        for name, rows in kept.items():
            self.save(KEPT_AS[name], rows)
        self.save("transactions", cleaning.transactions(judged["transactions"], products))
        rejects = [cleaning.rejects(rows, name) for name, rows in judged.items()]
        self.save("rejects", ibis.union(*rejects))

    def has(self, table: str) -> bool:
        """Whether there is such a table, which not every company has."""
        return table in self.inputs

    def columns(self) -> set[str]:
        """The columns of the records, as the dataset file calls them: customers.region."""
        named = {"transactions": "transactions"} | KEPT_AS
        there = {name: self.expression(kept) for name, kept in named.items() if self.has(kept)}
        return {f"{name}.{column}" for name, rows in there.items() for column in rows.columns}

    def _input(self, table: str) -> Path:
        if table not in self.inputs:
            raise InputError(
                f"no table {table} yet: run notebooks/{MAKER[table]}.ipynb first, or"
                f" customer-matrix run {self.settings.file}"
            )
        return Path(self.inputs[table])

    def expression(self, table: str) -> Table:
        """A table for work on records, all on one engine; no rows where the company has none."""
        if table in OPTIONAL and not self.has(table):
            return ibis.memtable(schema.empty(table))
        return self._engine.read_parquet(self._input(table))

    @cached_property
    def _engine(self) -> Any:
        return connect()

    def read(self, table: str) -> pd.DataFrame:
        """A table of an earlier stage as a checked frame, for work on customers."""
        return read_table(table, self._input(table))

    def profiles(self) -> pd.DataFrame:
        """The profiles as a frame; only an empty column customer_id where there are none."""
        if self.has("profiles"):
            return self.read("profiles")
        return pd.DataFrame({"customer_id": pd.Series(dtype="str")})

    def cycles(self) -> pd.DataFrame:
        """The table `cycle` of all cycles frozen by the day, one below the other."""
        frames = [_read_cycle(Path(path)) for path in self._frozen.values()]
        return pd.concat(frames or [schema.empty("cycle").to_pandas(date_as_object=False)])

    def earlier_runs(self) -> dict[dt.date, Callable[[str], pd.DataFrame]]:
        """What published runs of earlier days foretold, by day: gives a table by its name, or
        raises RunError where it is gone or damaged.
        """
        days = {dt.date.fromisoformat(day): paths for day, paths in self._earlier.items()}
        return {day: partial(_read_earlier, paths) for day, paths in days.items()}

    def save(self, table: str, content: pd.DataFrame | Table) -> None:
        """Write a table of this stage; records as an expression are streamed."""
        path = self.folder / f"{table}.parquet"
        if isinstance(content, pd.DataFrame):
            schema.write(table, content, path, CONTRACTS.get(table))
        else:
            content.to_parquet(path)
            schema.check_schema(table, pq.read_schema(path))
        self.inputs[table] = str(path)

    def save_model(self, name: str, parameters: dict[str, Any]) -> None:
        """Keep fitted parameters and metrics as JSON."""
        kept = {"schema": SCHEMA, "model": name, "as_of": str(self.as_of), "parameters": parameters}
        text = json.dumps(kept, indent=1, sort_keys=True)
        (self.folder / "models" / f"{name}.json").write_text(text, "utf-8")

    def export(self, name: str, frame: pd.DataFrame, read_back: bool = False) -> None:
        """A list for people as CSV and XLSX, beside the pages; none where it has no rows. One that
        is `read_back` when somebody has filled it in keeps the names of its columns.
        """
        write = exports.write if read_back else exports.write_list
        for ending in ("csv", "xlsx") if len(frame) else ():
            write(frame, self.folder / "pages" / f"{name}.{ending}")

    def write(self, name: str, content: bytes) -> None:
        """A file beside the pages; none without content."""
        if content:
            (self.folder / "pages" / name).write_bytes(content)

    def export_updates(self, *found: pd.DataFrame) -> pd.DataFrame:
        """Lists that bring what was found to CRM systems, beside the pages; returns their rows."""
        allowed = found[0][["customer_id"]].assign(
            may_contact=may_contact(self.profiles(), found[0].customer_id)
        )
        updates = exports.crm_updates(*found, allowed)
        for crm in exports.CRMS:
            exports.write_updates(updates, crm, self.folder / "pages")
        return updates

    def finish(self, **summary: Any) -> dict[str, Any]:
        """Close the stage, all its tables made. Returns their rows and the summary, rounded."""
        rows = {}
        for table in STAGES[self.name][1]:
            path = self.folder / f"{table}.parquet"
            if path.exists():
                rows[table] = pq.read_metadata(path).num_rows
            elif table not in OPTIONAL:
                raise RunError(
                    f"{self.name} ends without its table {table}; save it before the summary"
                )
        self.page.save(self.folder / "page.json")
        (self.folder / FACTS).write_text(json.dumps({"rows": rows, "peak_mb": _peak_mb()}), "utf-8")
        plain = {n: v.item() if hasattr(v, "item") else v for n, v in (rows | summary).items()}
        return {n: float(f"{v:.4g}") if isinstance(v, float) else v for n, v in plain.items()}


def _peak_mb() -> int:
    """The most memory that this process has held."""
    if sys.platform == "win32":
        import psutil

        return round(psutil.Process().memory_info().peak_wset / 1024**2)
    import resource  # which Windows lacks, and psutil knows no peak elsewhere

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def open_stage(name: str, dataset: str, as_of: str = "", run: str = "", **knobs: Any) -> Stage:
    """The stage of a notebook: in the run in progress whose folder is given, else as a draft.

    `knobs` are the dataset's (horizon_days, …) where the notebook overrules them; 0 leaves them.
    """
    if run:
        folder, work = Path(run).resolve(), home() / "data" / "processed"
        given = read_json(folder / "inputs.json") if folder.is_relative_to(work) else {}
        if not given:
            raise InputError(
                f"{run} is no run in progress under {work}; leave the parameter run empty"
            )
        found, day = dataset_file.load(given["dataset"]), dt.date.fromisoformat(given["as_of"])
        kept = given["records"], given["frozen"], given["freezes"], given["earlier"]
        knobs["language"] = given["language"]
        return Stage(name, settings(found, **knobs), day, folder, given["tables"], *kept)
    path = Path(dataset)
    path = path if path.is_absolute() or path.is_file() else ROOT / path
    found = settings(dataset_file.load(path), **knobs)
    day = parse_day(as_of) or _draft_day(name, found)
    folder = processed(found.name, day) / "draft" / name
    files.remove(folder)
    tables, frozen = _newest_tables(name, found.name, day), frozen_cycles(found.name, day)
    earlier = earlier_runs(found, day)
    return Stage(name, found, day, folder, tables, frozen=frozen, earlier=earlier)


def parse_day(text: str) -> dt.date | None:
    """The day a text names, None for an empty one. Raises InputError for anything else."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise InputError(f"{text!r} is no date; write it as YYYY-MM-DD, e.g. 1998-06-30") from None


def _draft_day(name: str, dataset: Dataset) -> dt.date:
    """Of what was last published or drafted, so that the stages before are found."""
    folder = processed(dataset.name, "any").parent
    made = [*folder.glob(f"*/{MANIFEST}"), *folder.glob("[0-9]*/draft")]
    days = sorted(path.parent.name for path in made)
    if days and STAGES[name][0]:
        return dt.date.fromisoformat(days[-1])
    log = store.typed(gather(dataset), "transactions")
    return dataset.as_of or cleaning.last_complete_day(log, dataset)


def _newest_tables(name: str, dataset: str, day: dt.date) -> dict[str, str]:
    """Of each table that the stage may read, the published or the draft one, whichever is newer."""
    known = (published(dataset, day) or {"tables": {}})["tables"]
    newest = {}
    for table in (table for earlier in STAGES[name][0] for table in STAGES[earlier][1]):
        draft = processed(dataset, day) / "draft" / MAKER[table] / f"{table}.parquet"
        found = [path for path in (draft, home() / known.get(table, "none")) if path.is_file()]
        if found:
            newest[table] = str(max(found, key=lambda path: path.stat().st_mtime))
    return newest
