"""The formats that records come in: an entry each, and all that is to be known of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.intake import databases, json_files, text_files, workbooks
from analysis.intake.rows import Piece, Rows


@dataclass(frozen=True)
class Format:
    """How records of one format are known and read."""

    read: Callable[[Piece], Rows]
    endings: tuple[str, ...] = ()  # of files' names
    begins: str = ""  # of files' bytes whatever their names: a regular expression
    keys: tuple[str, ...] = ()  # of a description, that mean nothing for other formats
    # What init finds in a file: the first rows of each part, where its column names stand in a row;
    # and the key that names a part.
    parts: Callable[[Path], dict[str, list[list[str]]]] | None = None
    part: str = ""


FORMATS = {
    "csv": Format(
        text_files.read_csv, endings=(".csv", ".tsv", ".txt"), keys=("separator", "encoding")
    ),
    "whitespace": Format(text_files.read_words, keys=("encoding",)),
    "excel": Format(
        workbooks.read,
        endings=(".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
        begins="PK\x03\x04|\xd0\xcf\x11\xe0",
        keys=("sheet",),
        parts=workbooks.sheets,
        part="sheet",
    ),
    "sqlite": Format(
        databases.read_sqlite,
        endings=(".sqlite", ".db"),
        begins="SQLite format 3",
        keys=("table", "query"),
        parts=databases.sqlite_tables,
        part="table",
    ),
    "duckdb": Format(
        databases.read_duckdb,
        endings=(".duckdb",),
        begins=".{8}DUCK",
        keys=("table", "query"),
        parts=databases.duckdb_tables,
        part="table",
    ),
    "json": Format(
        json_files.read,
        endings=(".json", ".jsonl", ".ndjson"),
        begins=r'{"|(\xef\xbb\xbf)?\s*([\[]\s*)?[{]\s*("|$)',
    ),
    "postgresql": Format(databases.read_postgresql, keys=("table", "query")),
    "parquet": Format(
        databases.read_parquet, endings=(".parquet",), begins="PAR1", keys=("query",)
    ),
}
ENDINGS = {ending: name for name, form in FORMATS.items() for ending in form.endings}


def of_name(name: str) -> str:
    """The format that a file's name tells: csv without an ending, "" where that is unknown."""
    endings = [ending.lower() for ending in Path(name).suffixes if ending.lower() != ".gz"]
    return ENDINGS.get(endings[-1], "") if endings else "csv"


def of_bytes(begins: bytes) -> str:
    """The format that a file's first bytes tell: csv where none is recognised."""
    text = begins[:20].decode("latin-1")
    known = (name for name, form in FORMATS.items() if form.begins)
    return next((n for n in known if re.match(FORMATS[n].begins, text, re.DOTALL)), "csv")


def with_key(key: str) -> list[str]:
    """The formats whose descriptions may hold a key; none where all may."""
    return [name for name, form in FORMATS.items() if key in form.keys]
