"""A published run or a trial, opened in a notebook or a script: its tables as frames, each read
when it is asked for and held against what the run wrote.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import files, schema
from analysis.errors import InputError, RunError, did_you_mean
from analysis.intake import dataset as dataset_file
from analysis.run import stage as runs
from analysis.schema import RECORDS
from analysis.steering import comparison

MOST_NAMED = 12  # days, and trials, in an error
OTHER_DAYS = ("foretold", "earlier_risk", "cycle")  # tables that say what was known on another day
PERSONS = {name for name, meaning in RECORDS["customers"].columns.items() if meaning.person}


class OpenedRun:
    """The tables of a run, by attribute and by name, with what one asks of them together."""

    def __init__(self, dataset: str | Path, run: str | dt.date = "") -> None:
        self.name = _name(dataset)
        self.manifest = _manifest(self.name, run)
        self.as_of = dt.date.fromisoformat(self.manifest["as_of"])
        self.trial: str = self.manifest.get("trial", "")
        self._frames: dict[str, pd.DataFrame] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.manifest["tables"])

    def __len__(self) -> int:
        return len(self.manifest["tables"])

    def __contains__(self, table: object) -> bool:
        return table in self.manifest["tables"]

    def __getitem__(self, table: str) -> pd.DataFrame:
        """A table as a frame of your own. Raises InputError for one that this run has not."""
        if table not in self._frames:
            path = self.path(table)
            try:
                self._frames[table] = runs.read_table(table, path)
            except RunError as error:
                raise RunError(f"{error}: another version made it; {self._again}") from None
        return self._frames[table].copy(deep=False)

    def path(self, table: str) -> Path:
        """Where a table lies as a file. Raises InputError for one that this run has not."""
        if table not in self:
            absent = "name its file under tables in the dataset file"
            hint = absent if table in runs.OPTIONAL else did_you_mean(str(table), self)
            raise InputError(f"{self.name} has no table {table!r}; {hint}")
        return self._whole(files.home() / self.manifest["tables"][table])

    def __getattr__(self, table: str) -> pd.DataFrame:
        if table.startswith("_"):
            raise AttributeError(table)
        try:
            return self[table]
        except InputError as error:
            raise AttributeError(str(error)) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        trial = f", trial {self.trial}" if self.trial else ""
        return f"<{self.name} as of {self.as_of}{trial}: {', '.join(self)}>"

    @property
    def picture(self) -> pd.DataFrame:
        """One row a customer, with the columns of all tables that are keyed by customer, but for
        contact details: see joined.
        """
        return self._picture.copy(deep=False)

    @cached_property
    def _picture(self) -> pd.DataFrame:
        keyed = [table for table in self if _is_by_customer(table)]
        last = "profiles"  # what is computed goes before what the company has written
        return joined({table: self[table] for table in sorted(keyed, key=last.__eq__)})

    @cached_property
    def figures(self) -> pd.DataFrame:
        """The key figures of the pages, in their order: label, form, value, by name."""
        stages = sorted(self.manifest["stages"].items())  # there they are as they were done
        folders = [files.home() / facts["folder"] for _, facts in stages]
        pages = [runs.read_json(self._whole(folder / "page.json")) for folder in folders]
        every = {name: facts for page in pages for name, facts in page.get("figures", {}).items()}
        return pd.DataFrame.from_dict(every, "index", columns=["label", "form", "value"])

    def compare(self, other: "OpenedRun | str | dt.date" = "") -> pd.DataFrame:
        """What is different in another run of the dataset, by default the newest: see
        steering.comparison.measures.
        """
        return comparison.measures(self, self.against(other))

    def moved(self, other: "OpenedRun | str | dt.date" = "") -> pd.DataFrame:
        """Whose class or action is another there: see steering.comparison.moved."""
        return comparison.moved(self, self.against(other))

    def against(self, other: "OpenedRun | str | dt.date") -> "OpenedRun":
        """The run to compare with, which is of the same dataset; else InputError."""
        run = other if isinstance(other, OpenedRun) else OpenedRun(self.name, other)
        if run.name != self.name:
            raise InputError(f"{run.name} is another company than {self.name}; compare runs of one")
        return run

    def _whole(self, path: Path) -> Path:
        """The file, if it is by size and hash what the run wrote; else RunError."""
        kept = runs.read_json(path.parent / runs.FACTS).get("files", {}).get(path.name)
        there = path.is_file()
        if not there or kept is None or [kept] != list(files.fingerprint([path]).values()):
            raise RunError(f"{path} is {'damaged' if there else 'gone'}; {self._again}")
        return path

    @property
    def _again(self) -> str:
        which = f"--trial {self.trial}" if self.trial else f"--as-of {self.as_of}"
        return f"run customer-matrix run data/{self.name}.yml {which}"


def _is_by_customer(table: str) -> bool:
    contract = runs.CONTRACTS.get(table) or schema.TABLES[table]
    return contract.key == ("customer_id",) and table not in OTHER_DAYS


# One row a customer
def joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables keyed by customer_id side by side, for the customers of the table `customers`.

    A column that several have with the same values stands once; one that differs has its table's
    name before its own, unless it is there already under another.
    """
    whole = tables["customers"].reset_index(drop=True)
    for name, table in tables.items():
        if name != "customers":
            whole = _beside(
                whole, table.drop(columns={*PERSONS, "source", "line"} & {*table}), name
            )
    return whole


def _beside(whole: pd.DataFrame, table: pd.DataFrame, name: str) -> pd.DataFrame:
    if not whole.customer_id.isin(table.customer_id).all():  # else gaps would change the types
        gapless = {"bool": "boolean", "int64": "Int64"}
        kinds = {column: str(kind) for column, kind in table.dtypes.items()}
        table = table.astype({c: gapless[kind] for c, kind in kinds.items() if kind in gapless})
    table = table.set_index("customer_id").reindex(whole.customer_id).reset_index(drop=True)
    added = {}
    for column, values in table.items():
        if column not in whole:
            added[str(column)] = values
        elif _same(whole[column], values):
            if (whole[column].isna() & values.notna()).any():
                whole = whole.assign(**{str(column): whole[column].combine_first(values)})
        elif not any(_same(whole[other], values, gaps=True) for other in whole):
            added[f"{name}_{column}"] = values
    return pd.concat([whole, pd.DataFrame(added, whole.index)], axis=1)


def _same(one: pd.Series, two: pd.Series, gaps: bool = False) -> bool:
    """Whether two columns are equal where both are known, and with `gaps` known of the same."""
    if gaps and not one.isna().equals(two.isna()):
        return False
    known = one.notna() & two.notna()
    return bool((one[known].astype(object) == two[known].astype(object)).all())


# Which run is meant
def _name(dataset: str | Path) -> str:
    """The name of a dataset that has a run. Raises InputError."""
    path = Path(dataset)
    path = path if path.is_absolute() or path.is_file() else files.ROOT / path
    is_file = path.suffix in (".yml", ".yaml") and path.is_file()
    name = dataset_file.load(path).name if is_file else str(dataset)
    known = {manifest.relative_to(_work()).parts[0] for manifest in _manifests("*")}
    if name not in known:
        hint = did_you_mean(name, known) if known else "customer-matrix run DATASET makes one"
        raise InputError(f"no run of {name}; {hint}")
    return name


def _work() -> Path:
    return files.home() / "data" / "processed"


def _manifests(name: str) -> list[Path]:
    """Those of the days, and those of the trials."""
    days = _work().glob(f"{name}/*/{runs.MANIFEST}")
    return [*days, *_work().glob(f"{name}/{runs.TRIALS}/*/{runs.MANIFEST}")]


def _manifest(name: str, run: str | dt.date) -> dict[str, Any]:
    """The manifest of a day's run, of a trial, or of the newest run. Raises InputError for one that
    there is not, and RunError where it cannot be read.
    """
    asked = f"{run:%Y-%m-%d}" if isinstance(run, dt.date) else run
    there = {path.parent.name: path for path in _manifests(name)}
    days = [each for each, path in there.items() if path.parents[1].name == name]
    if asked not in there if asked else not days:
        named = [*sorted(days, reverse=True)[:MOST_NAMED], *sorted({*there} - {*days})[:MOST_NAMED]]
        more = f" and {len(there) - len(named):,} more" if len(there) > len(named) else ""
        no = f"no run {asked!r}" if asked else "no published run"
        raise InputError(f"{name} has {no}; there are {', '.join(named)}{more}")
    found = runs.read_json(there[asked]) if asked else runs.published(name)
    if not found:
        raise RunError(f"{there[asked or max(days)]} cannot be read; run {name} again")
    return found
