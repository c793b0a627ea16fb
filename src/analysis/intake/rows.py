"""What every format is read into: a stream of Arrow batches of texts with the line of each row."""

import datetime as dt
import itertools
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.errors import InputError

if TYPE_CHECKING:
    from analysis.intake.table_files import TableFile

BATCH_ROWS = 50_000  # that stream through Python at once

# A row of what is no CSV file: its line (the first is 1) and its fields.
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Piece:
    """One file, sheet or query that holds rows of a table."""

    name: str  # as the reports show it
    file: "TableFile"
    location: Path | None  # None for a database server

    @property
    def path(self) -> Path:
        """The file, of what is one."""
        assert self.location is not None
        return self.location


class Rows(NamedTuple):
    """An opened piece: its column names, and a function that streams some of them, after `line` and
    `fields` (empty, or how many fields a line has whose number of fields is not the header's).
    """

    header: list[str]
    batches: Callable[[list[str]], Iterator[pa.RecordBatch]]
    encoding: str = ""  # of a text file


def normal(name: str) -> str:
    """A column name without full-width letters, line breaks and doubled or outer blanks."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def column_names(header: list[str]) -> list[str]:
    """The names made normal; a column without one is called by its position."""
    names = [normal(name) or str(number) for number, name in enumerate(header, start=1)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"the header repeats {', '.join(map(repr, repeated))}; give each column a name of"
            " its own"
        )
    return names


def as_typed(value: Any) -> str:
    """A value as the text a person would have typed: 7, not 7.0; 2024-01-05, not 2024-01-05
    00:00:00; nothing for none.
    """
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return str(value.date() if value.time() == dt.time() else value)
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value) if whole else value)


def one_line(error: Exception) -> str:
    """What a library says, on one line of bearable length."""
    return " ".join(str(error).split())[:300]


def headed(rows: Iterator[Row], header_line: int) -> tuple[list[str], Iterator[Row]]:
    """The column names, that stand in a line of the rows or nowhere (0), and the rows below."""
    first = next((row for row in rows if row[0] >= header_line and any(row[1])), None)
    if first is None:
        raise InputError("the file is empty; export it again")
    if header_line:
        return first[1], rows
    return [str(number + 1) for number in range(len(first[1]))], itertools.chain([first], rows)


def row_batches(
    rows: Iterator[Row], header: list[str], wanted: list[str]
) -> Iterator[pa.RecordBatch]:
    """Rows that come through Python, as batches of the columns wanted."""
    while some := list(itertools.islice(rows, BATCH_ROWS)):
        yield batch_of_rows(some, header, wanted)


def batch_of_rows(rows: list[Row], header: list[str], wanted: list[str]) -> pa.RecordBatch:
    """Some rows as a batch of the columns wanted."""
    whole = [row for row in rows if len(row[1]) == len(header)]
    columns = list(zip(*(fields for _, fields in whole), strict=True)) or [()] * len(header)
    found = pa.table([pa.array(column, pa.string()) for column in columns], names=header)
    wrong = [(line, len(fields)) for line, fields in rows if len(fields) != len(header)]
    return batch_of(np.array([line for line, _ in whole], np.int64), found, wanted, wrong)


def batch_of(
    lines: np.ndarray, found: pa.Table, wanted: list[str], wrong: list[tuple[int, int]]
) -> pa.RecordBatch:
    """A batch of the whole rows, and of the (line, number of fields) of those that are not."""
    none = pa.nulls(len(wrong), pa.string())
    texts = [pa.concat_arrays([*found[name].chunks, none]) for name in wanted]
    at = pa.array(np.concatenate([lines, [line for line, _ in wrong]]).astype(np.int64))
    counts = pa.array([count for _, count in wrong], pa.int64())
    fields = pa.concat_arrays([pa.nulls(len(found), pa.int64()), counts])
    return pa.RecordBatch.from_arrays([at, fields, *texts], ["line", "fields", *wanted])
