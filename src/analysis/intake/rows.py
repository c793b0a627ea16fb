"""What every format is read into: a stream of Arrow batches of texts with the line of each row."""

import datetime as dt
import itertools
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.errors import InputError

if TYPE_CHECKING:
    from analysis.intake.table_files import TableFile

BATCH_ROWS = 50_000  # that stream through Python at once
MEGABYTE = 1_000_000
EMPTY = "the file is empty; export it again"

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
    """An opened piece: its column names, and a function that streams those at some places, after
    `line` and `fields` (empty, or how many fields a line has whose number is not the header's).
    """

    header: list[str]
    batches: Callable[[Sequence[int]], Iterator[pa.RecordBatch]]
    encoding: str = ""  # of a text file


def normal(name: str) -> str:
    """A column name without full-width letters, line breaks and doubled or outer blanks."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def named_columns(column: str, header: Collection[str]) -> list[str]:
    """The file's columns that a description means: one, or several with + between them."""
    name = normal(column)
    return [name] if name in header else list(map(normal, name.split(" + ")))


def as_typed(value: Any, decimal: str = ".") -> str:
    """A value as the text a person would have typed: 7, not 7.0, with the decimal mark that the
    texts have; no time at midnight. A number beyond 15 digits, which are all that a spreadsheet
    keeps, is told by its exponent.
    """
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return str(value.date() if value.time() == dt.time() else value)
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e16
        text = (
            f"{value:.15e}" if whole and abs(value) >= 1e15 else str(int(value) if whole else value)
        )
        return text.replace(".", decimal)
    return str(value)


def one_line(error: Exception) -> str:
    """What a library says, on one line of bearable length."""
    return " ".join(str(error).split())[:300]


def headed(rows: Iterator[Row], header_line: int) -> tuple[list[str], Iterator[Row]]:
    """The column names, that stand in a line of the rows or nowhere (0), and the rows below."""
    first = next((row for row in rows if row[0] >= header_line and any(row[1])), None)
    if first is None:
        raise InputError(EMPTY)
    if header_line:
        return first[1], rows
    return [str(number + 1) for number in range(len(first[1]))], itertools.chain([first], rows)


def opened(header: list[str], rows: Iterable[Row], encoding: str = "") -> Rows:
    """Rows that come through Python."""
    rest = iter(rows)

    def batches(places: Sequence[int]) -> Iterator[pa.RecordBatch]:
        while some := list(itertools.islice(rest, BATCH_ROWS)):
            yield batch_of_rows(some, len(header), places)

    return Rows(header, batches, encoding)


def batch_of_rows(rows: list[Row], width: int, places: Sequence[int]) -> pa.RecordBatch:
    """Some rows as a batch of the columns at some places."""
    whole = [row for row in rows if len(row[1]) == width]
    wrong = [(line, len(fields)) for line, fields in rows if len(fields) != width]
    texts = [pa.array([fields[place] for _, fields in whole], pa.string()) for place in places]
    return batch_of([line for line, _ in whole], texts, wrong)


def batch_of(
    lines: Sequence[int] | np.ndarray, texts: list[pa.Array], wrong: list[tuple[int, int]]
) -> pa.RecordBatch:
    """A batch of the whole rows, and of the (line, number of fields) of those that are not."""
    none = pa.nulls(len(wrong), pa.string())
    at = [pa.array(some, pa.int64()) for some in (lines, [line for line, _ in wrong])]
    counts = pa.array([count for _, count in wrong], pa.int64())
    columns = [pa.concat_arrays(at), pa.concat_arrays([pa.nulls(len(lines), pa.int64()), counts])]
    columns += [pa.concat_arrays([text, none]) if wrong else text for text in texts]
    return pa.RecordBatch.from_arrays(columns, ["line", "fields", *map(str, range(len(texts)))])
