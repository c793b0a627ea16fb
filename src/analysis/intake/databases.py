"""Databases and Parquet files. A query is one SELECT that reads, and reads nothing elsewhere."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.engine import ENGINE_MEMORY, SPILL, quiet
from analysis.errors import InputError
from analysis.intake.rows import BATCH_ROWS, Piece, Row, Rows, as_typed, one_line, opened
from analysis.intake.text_files import BLOCK_BYTES, csv_rows, whole_lines

ONE_SELECT = "the query must be one SELECT that only reads; correct query"
SQLITE_MAY = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
SQLITE_REFUSES = re.compile("not authorized|prohibited|one statement")
SQLITE_FUNCTIONS = re.compile("load_extension|readfile|writefile|edit|fts3_tokenizer", re.I)
# PostgreSQL's functions that reach beyond its tables, also from a transaction that only reads.
SERVER_FUNCTIONS = re.compile(
    r"pg_(read|ls|stat|file|terminate|cancel|reload|rotate|logical|notify|switch|create|drop|"
    r"replication|promote|wal|backup|advisory|try_advisory|sleep)\w*|lo_\w+|dblink\w*|set_config"
    r"|query_to_\w+|table_to_\w+|schema_to_\w+|database_to_\w+|cursor_to_\w+|nextval|setval",
    re.I,
)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _select(piece: Piece) -> str:
    """The query of a database; a table may be named with its schema, as crm.orders."""
    table = ".".join(map(_quoted, piece.file.table.split(".")))
    return piece.file.query.strip().rstrip("; \n") or f"SELECT * FROM {table}"


@contextmanager
def _as_said_by(database: str, *errors: type[Exception]) -> Iterator[None]:
    """A database's errors, also those in the midst of its rows, as an InputError of one line."""
    try:
        yield
    except errors as error:
        place = "connection" if database == "PostgreSQL" else "path"
        raise InputError(
            f"{database} says: {one_line(error)}; correct {place}, table or query"
        ) from None


# --- SQLite


def _sqlite_may(action: int, first: str | None, function: str | None, *_: str | None) -> int:
    """What a statement may do in SQLite: read this file's tables, and calculate."""
    calls = action == sqlite3.SQLITE_FUNCTION and not SQLITE_FUNCTIONS.fullmatch(function or "")
    return sqlite3.SQLITE_OK if action in SQLITE_MAY or calls else sqlite3.SQLITE_DENY


def _sqlite(path: Path) -> sqlite3.Connection:
    """It reads only. The engine fetches rows in threads of its own, one after the other."""
    base = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    base.set_authorizer(_sqlite_may)
    return base


def sqlite_tables(path: Path) -> dict[str, list[list[str]]]:
    """The tables and views of an SQLite file, in the order of their names."""
    with _as_said_by("SQLite", sqlite3.Error):
        return _tables(_sqlite(path))


def _tables(base: Any) -> dict[str, list[list[str]]]:
    ask = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
    with closing(base):
        return {name: [] for (name,) in base.execute(ask).fetchall()}


def read_sqlite(piece: Piece) -> Rows:
    """The rows of a table or query of an SQLite file."""
    with _as_said_by("SQLite", sqlite3.Error):
        try:
            found = _sqlite(piece.path).execute(_select(piece))
        except sqlite3.Error as error:
            if SQLITE_REFUSES.search(str(error)):
                raise InputError(f"{ONE_SELECT} ({one_line(error)})") from None
            raise
    if found.description is None:  # a comment only
        raise InputError(ONE_SELECT)

    def rows() -> Iterator[Row]:
        with _as_said_by("SQLite", sqlite3.Error):
            for number, row in enumerate(found, start=1):
                yield number, [as_typed(value, piece.file.decimal) for value in row]

    return opened([column[0] for column in found.description], rows())


# --- DuckDB and Parquet


def files(piece: Piece) -> list[Path]:
    """The files that decide what is read: the file or all of a folder, what a database has not yet
    taken up, and what a query may name.
    """
    path = piece.path
    if path.is_dir():
        return sorted(inside for inside in path.rglob("*") if inside.is_file())
    elsewhere = piece.file.query and piece.file.kind != "sqlite"
    beside = sorted(path.parent.iterdir()) if elsewhere else []
    logs = [Path(f"{path}{end}") for end in (".wal", "-wal")]
    return [path, *(other for other in dict.fromkeys([*logs, *beside]) if other.is_file())]


def _engine(piece: Piece, database: Path | str = ":memory:", read_only: bool = False) -> Any:
    """A DuckDB that reads one file and those beside it: no other, none of a network, no extension,
    no variable of this program; and that cannot be told otherwise.
    """
    import duckdb

    base = duckdb.connect(str(database), read_only=read_only)
    quiet(base)
    whole = piece.path.is_dir()
    folder, pattern = piece.path if whole else piece.path.parent, f"*{piece.path.suffix}"
    beside = [path.name for path in folder.iterdir()] if piece.file.query else []
    allowed = [*beside, pattern, piece.path, *(folder / name for name in (*beside, pattern))]
    for setting, value in {
        "memory_limit": _literal(ENGINE_MEMORY),
        "temp_directory": _literal(SPILL),
        "file_search_path": _literal(folder),
        "allowed_directories": f"[{_literal(folder) if whole else ''}]",
        "allowed_paths": f"[{', '.join(map(_literal, allowed))}]",
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }.items():
        base.execute(f"SET {setting} = {value}")
    return base


def duckdb_tables(path: Path) -> dict[str, list[list[str]]]:
    """The tables and views of a DuckDB file, in the order of their names."""
    import duckdb

    with _as_said_by("DuckDB", duckdb.Error):
        return _tables(duckdb.connect(str(path), read_only=True))


def read_duckdb(piece: Piece) -> Rows:
    """The rows of a table or query of a DuckDB file."""
    import duckdb

    with _as_said_by("DuckDB", duckdb.Error):
        base = _engine(piece, piece.path, read_only=True)
    return _engine_rows(base, _select(piece), piece.file.decimal)


def read_parquet(piece: Piece) -> Rows:
    """The rows of a Parquet file, of a folder of them, or of a query that names those beside it."""
    whole = f"SELECT * FROM read_parquet({_literal(piece.path)})"
    query = _select(piece) if piece.file.query else whole
    return _engine_rows(_engine(piece), query, piece.file.decimal)


def _engine_rows(base: Any, query: str, decimal: str) -> Rows:
    import duckdb

    with _as_said_by("DuckDB", duckdb.Error):
        kinds = [statement.type for statement in base.extract_statements(query)]
        if kinds != [duckdb.StatementType.SELECT]:
            raise InputError(ONE_SELECT)
        asked = f"({query}\n)"  # it may end with a comment
        found = base.sql(f"FROM {asked}")

    def batches(places: Sequence[int]) -> Iterator[pa.RecordBatch]:
        texts = ", ".join(
            _as_text(found.columns[place], found.types[place], decimal) for place in places
        )
        ask = f"SELECT row_number() OVER () AS line, NULL::BIGINT AS fields, {texts} FROM {asked}"
        with _as_said_by("DuckDB", duckdb.Error, OSError, pa.ArrowException):
            yield from base.sql(ask).to_arrow_reader(BATCH_ROWS)

    return Rows(list(found.columns), batches)


def _as_text(name: str, kind: Any, decimal: str) -> str:
    """A column as text, as `rows.as_typed` writes it: whole also where ids beside empty cells are
    kept as floating numbers.
    """
    column = _quoted(name)
    text = f"{column}::VARCHAR"
    if str(kind) in ("DOUBLE", "FLOAT"):
        whole = f"{column} <> trunc({column}) OR abs({column}) >= 1e16 THEN {text}"
        text = (
            f"CASE WHEN {whole} WHEN abs({column}) < 1e15 THEN {column}::BIGINT::VARCHAR"
            f" ELSE format('{{:.15e}}', {column}::DOUBLE) END"
        )
    if str(kind).startswith(("DOUBLE", "FLOAT", "DECIMAL")) and decimal != ".":
        text = f"replace({text}, '.', {_literal(decimal)})"
    return text


# --- PostgreSQL


def read_postgresql(piece: Piece) -> Rows:
    """A server's rows, which it writes itself as CSV; the connection reads only."""
    query = _select(piece)
    _check_select(query)
    rows = csv_rows(whole_lines(_copied(piece.file.connection, query)), ",", 1)
    decimal = piece.file.decimal
    real = set[int]() if decimal == "." else _real_columns(piece.file.connection, query)

    def batches(places: Sequence[int]) -> Iterator[pa.RecordBatch]:
        count = 0
        for batch in rows.batches(places):
            for n, place in enumerate(places, start=2):
                if place in real:
                    name, marked = (
                        batch.schema.names[n],
                        pc.replace_substring(batch[n], ".", decimal),
                    )
                    batch = batch.set_column(n, name, marked)
            line = pa.array(np.arange(count + 1, count + len(batch) + 1))
            yield batch.set_column(0, "line", line)
            count += len(batch)

    return Rows(rows.header, batches)


def _real_columns(connection: str, query: str) -> set[int]:
    """The places of the columns that are numbers with decimals."""
    import psycopg

    with _as_said_by("PostgreSQL", psycopg.Error), psycopg.connect(connection) as base:
        base.read_only = True
        asked = base.execute(f"SELECT * FROM ({query}\n) AS asked LIMIT 0".encode(), prepare=True)
        kinds = {psycopg.adapters.types[name].oid for name in ("float4", "float8", "numeric")}
        return {n for n, c in enumerate(asked.description or ()) if c.type_code in kinds}


def _check_select(query: str) -> None:
    """Raises InputError unless a query of a server is one SELECT, with functions of tables only."""
    import sqlglot
    from sqlglot import exp

    try:
        found = sqlglot.parse(query, dialect="postgres")
    except sqlglot.errors.SqlglotError as error:
        plain = re.sub("\x1b\\[[0-9]*m", "", one_line(error))  # its colours
        raise InputError(f"{ONE_SELECT} ({plain})") from None
    writes = (exp.DML, exp.DDL, exp.Into, exp.Command, exp.Lock)
    if len(found) != 1 or not isinstance(found[0], exp.Query) or found[0].find(*writes):
        raise InputError(ONE_SELECT)
    for call in found[0].find_all(exp.Func):
        name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
        if SERVER_FUNCTIONS.fullmatch(name):
            raise InputError(
                f"the query calls {name}, which reaches beyond the tables; leave it out"
            )


def _copied(connection: str, query: str) -> Iterator[bytes]:
    """What the server writes, its small chunks put together to blocks."""
    import psycopg

    with _as_said_by("PostgreSQL", psycopg.Error), psycopg.connect(connection) as base:
        base.read_only = True
        with base.cursor() as cursor:
            cursor.execute("SET datestyle = ISO")
            # The server itself prepares no more than one statement, and none that is not whole.
            cursor.execute(f"EXPLAIN SELECT FROM ({query}\n) AS asked".encode(), prepare=True)
            written = f"COPY ({query}\n) TO STDOUT WITH (FORMAT csv, HEADER, ENCODING 'UTF8')"
            block = bytearray()
            with cursor.copy(written.encode()) as copied:
                for chunk in copied:
                    block += chunk
                    if len(block) >= BLOCK_BYTES:
                        yield bytes(block)
                        block.clear()
            yield bytes(block)
