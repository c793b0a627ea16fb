"""Reads a company's files as they are: every field as text, with the file and the line it came from."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa
from ibis.expr.types import Table

from analysis.dataset import Dataset, TableFile
from analysis.errors import InputError, did_you_mean

SAMPLES = {"cdnow": ("lifetimes", "datasets/CDNOW_master.txt")}
BATCH_LINES = 100_000  # of a file that streams through Python


def sample_path(name: str) -> Path:
    """Where the file of a bundled sample lies; the package that holds it is not imported."""
    if name not in SAMPLES:
        raise InputError(f"no sample {name!r}; {did_you_mean(name, SAMPLES)}")
    package, inside = SAMPLES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"sample {name} needs the package {package}; install requirements.lock")
    return Path(spec.origin).parent / inside


def read_log(dataset: Dataset, engine: ibis.BaseBackend) -> Table:
    """The transactions file: our columns as text, `source` (file name) and `line` (the first is 1).

    Raises InputError for a file or column that is not there, or a file without rows.
    """
    table, path = dataset.tables.transactions, dataset.source()
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct tables.transactions.path in {dataset.file}")
    raw = SOURCES[table.format](path, table, engine)
    log = raw.select(source=ibis.literal(path.name), line=raw.line, **_meant(raw, table, dataset.file)).cache()
    if not log.count().execute():
        raise InputError(f"{path}: no rows below the header; export it again")
    return log


def _meant(raw: Table, table: TableFile, file: Path) -> dict[str, ibis.Value]:
    headers = {header.strip(): header for header in raw.columns if header != "line"}
    if missing := [f"{ours} ({header})" for ours, header in table.columns.items() if header not in headers]:
        raise InputError(
            f"{file}: the data has no column {', '.join(missing)}; found: {', '.join(headers)}."
            " Correct tables.transactions.columns"
        )
    return {ours: raw[headers[header]] for ours, header in table.columns.items()}


def _csv(path: Path, table: TableFile, engine: ibis.BaseBackend) -> Table:
    try:
        text = engine.read_csv(path, all_varchar=True, header=True, delim=table.separator, quote='"', strict_mode=True)
    except duckdb.Error as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    return text.mutate(line=ibis.row_number() + 2)  # counted from 0, below the header


def _whitespace(path: Path, table: TableFile, engine: ibis.BaseBackend) -> Table:
    with path.open(encoding="utf-8-sig") as lines:
        header = next(lines, "").split()
        schema = pa.schema([("line", pa.int64()), *((name, pa.string()) for name in header)])
        batches = pa.RecordBatchReader.from_batches(schema, _batches(path, lines, schema))
        return engine.create_table(ibis.util.gen_name("lines"), batches.read_all())


def _batches(path: Path, lines: Iterator[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[object, ...]] = []
    for number, line in enumerate(lines, start=2):
        fields = line.split()
        if len(fields) != len(schema) - 1:
            raise InputError(f"{path}, line {number}: {len(fields)} fields where the header has {len(schema) - 1}")
        rows.append((number, *fields))
        if len(rows) == BATCH_LINES:
            yield _batch(rows, schema)
            rows = []
    if rows:
        yield _batch(rows, schema)


def _batch(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


SOURCES: dict[str, Callable[[Path, TableFile, ibis.BaseBackend], Table]] = {"csv": _csv, "whitespace": _whitespace}
