"""Reads a company's files as they are: every field as text, with the file and the line it came from."""

import codecs
import csv
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from analysis.dataset import Dataset, TableFile
from analysis.errors import InputError, did_you_mean

SAMPLES = {"cdnow": ("lifetimes", "datasets/CDNOW_master.txt")}
BATCH_LINES = 100_000  # that stream through Python at once
ENCODINGS = ("utf-8-sig", "gb18030")  # tried in this order; a byte order mark decides for UTF-16

# A line of a file: its number (the first is 1) and its fields.
Line = tuple[int, list[str]]


def sample_path(name: str) -> Path:
    """Where the file of a bundled sample lies; the package that holds it is not imported."""
    if name not in SAMPLES:
        raise InputError(f"no sample {name!r}; {did_you_mean(name, SAMPLES)}")
    package, inside = SAMPLES[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"sample {name} needs the package {package}; install requirements.lock")
    return Path(spec.origin).parent / inside


def file_of(dataset: Dataset) -> Path:
    """The file that holds a dataset's transactions."""
    table = dataset.tables.transactions
    return sample_path(table.sample) if table.sample else (dataset.file.parent / str(table.path)).resolve()


def read_log(dataset: Dataset, engine: ibis.BaseBackend) -> Table:
    """The transactions file: our columns as text, `source` (file name) and `line` (the first is 1).

    Raises InputError for a file or column that is not there, or a file without rows.
    """
    table, path = dataset.tables.transactions, file_of(dataset)
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct tables.transactions.path in {dataset.file}")
    with path.open(encoding=encoding_of(path), newline="") as text:
        try:
            raw = _stream(SOURCES[table.format](text, table), engine)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
    log = raw.select(source=ibis.literal(path.name), line=raw[0], **_meant(raw, table, dataset.file)).cache()
    if not log.count().execute():
        raise InputError(f"{path}: no rows below the header; export it again")
    return log


def encoding_of(path: Path) -> str:
    """UTF-8 (with or without a byte order mark), UTF-16 (with one) or GB18030; InputError for anything else."""
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
    for encoding in ENCODINGS:
        if _decodes(path, encoding):
            return encoding
    raise InputError(f"{path}: neither UTF-8, UTF-16 nor GB18030; save it as UTF-8")


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _csv(text: TextIO, table: TableFile) -> Iterator[Line]:
    reader, begins = csv.reader(text, delimiter=table.separator, strict=True), 1
    try:
        for fields in reader:
            if fields:
                yield begins, fields
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"line {begins}: {error}; look for a quote that is not closed") from None


def _whitespace(text: TextIO, table: TableFile) -> Iterator[Line]:
    return ((number, fields) for number, line in enumerate(text, start=1) if (fields := line.split()))


SOURCES: dict[str, Callable[[TextIO, TableFile], Iterator[Line]]] = {"csv": _csv, "whitespace": _whitespace}


def _stream(lines: Iterator[Line], engine: ibis.BaseBackend) -> Table:
    """The lines as a table of texts under the headers of the first, with the line's number in the first column."""
    _, header = next(lines, (0, []))
    if not header:
        raise InputError("the file is empty; export it again")
    names = [name.strip() for name in header]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"the header repeats {', '.join(map(repr, repeated))}; give each column a name of its own")
    schema = pa.schema([(_free_name(names), pa.int64()), *((name, pa.string()) for name in names)])
    batches = pa.RecordBatchReader.from_batches(schema, _batches(lines, schema))
    return engine.create_table(ibis.util.gen_name("lines"), batches.read_all())


def _free_name(names: list[str]) -> str:
    return next(name for name in (f"line{'_' * n}" for n in range(len(names) + 1)) if name not in names)


def _batches(lines: Iterable[Line], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[object, ...]] = []
    for number, fields in lines:
        if len(fields) != len(schema) - 1:
            raise InputError(
                f"line {number}: {len(fields)} fields where the first line has {len(schema) - 1};"
                " mend the line, or delete a title above the header"
            )
        rows.append((number, *fields))
        if len(rows) == BATCH_LINES:
            yield _batch(rows, schema)
            rows = []
    if rows:
        yield _batch(rows, schema)


def _batch(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _meant(raw: Table, table: TableFile, file: Path) -> dict[str, ibis.Value]:
    headers = raw.columns[1:]
    if missing := [f"{ours} ({header})" for ours, header in table.columns.items() if header.strip() not in headers]:
        raise InputError(
            f"{file}: the data has no column {', '.join(missing)}; found: {', '.join(headers)}."
            " Correct tables.transactions.columns"
        )
    return {ours: raw[header.strip()] for ours, header in table.columns.items()}
