"""A company's records read once: each piece becomes a typed Arrow file in a folder named after the
content.

Arrow and not Parquet: the files are read once or twice more, and are written in a third of the
time.
"""

import datetime as dt
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
from ibis.expr.types import Table

from analysis import engine, errors, schema
from analysis.engine import connect
from analysis.errors import InputError
from analysis.intake import databases, identity, ids, parsing, readers
from analysis.intake.dataset import Dataset
from analysis.intake.rows import Piece
from analysis.report.text import say
from analysis.schema import RECORDS

BATCH_ROWS = 20_000  # that are written, and later read, at once
LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")
# Of those encodings that are found, for people.
ENCODING_NAMES = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "gb18030": "GB18030"}
# Code that decides what is read, besides all that lies beside this file; and the libraries.
CODE = (schema, engine, errors)
LIBRARIES = ("duckdb", "ibis-framework", "pyarrow", "python-calamine")

Progress = Callable[[str, int], None]  # the name of a piece, and how many of its rows are read


def gather(
    dataset: Dataset,
    folder: Path,
    echo: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda name, rows: None,
) -> Path:
    """Read all pieces of all tables; returns the folder `records-<fingerprint>` in `folder` that
    holds them. `echo` gets a line for each piece read, `progress` the rows while it is read.

    What was read before and has not changed is not read again; a database server always is.
    Raises InputError for what cannot be read, with its file, line and remedy.
    """
    pieces = {table: readers.pieces(dataset, table) for table in RECORDS}
    content = _fingerprint(dataset, [piece for some in pieces.values() for piece in some])
    if content and _folder(folder, content).is_dir():
        return _folder(folder, content)
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="reading-", suffix=".part", dir=folder))
    try:
        read: dict[str, list[dict[str, Any]]] = {table: [] for table in RECORDS}
        newest, base = None, connect()
        for table, piece in [(name, piece) for name in pieces for piece in pieces[name]]:
            path = part / f"{table}-{len(read[table]):03}.arrow"
            if table != "transactions" and newest is None:
                newest = parsing.newest_day(typed(part, "transactions", base))
            found = _read(piece, table, dataset, path, base, progress, newest)
            read[table].append(found)
            rows = say("{n:int} rows", n=found["rows"])
            echo(f"{piece.name:<40} {rows:>17}  {table:<12}  {found['encoding']}".rstrip())
        if not sum(piece["rows"] for piece in read["transactions"]):
            raise InputError(
                f"{', '.join(p.name for p in pieces['transactions'])}: no rows below the header;"
                " export again"
            )
        unkeyed = [p.path for p in pieces["transactions"] if p.location and not p.file.order_key]
        check_twice(unkeyed)
        orders = typed(part, "transactions", base)
        parsing.check_currencies(orders, dataset)
        ids.check_ids(orders, dataset)
        have = [name for name in read if read[name]]
        content = content or _fingerprint_of_values(part, have, base)
        known = {"sha256": content, "pieces": read}
        (part / "records.json").write_text(json.dumps(known, indent=1), "utf-8")
        return _settle(part, _folder(folder, content))
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_twice(paths: list[Path]) -> None:
    """Refuse (InputError) two files with the same bytes, where no key tells their rows apart."""
    sizes = Counter(path.stat().st_size for path in {*paths})
    seen: dict[str, Path] = {}
    for path in sorted({*paths}):
        if sizes[path.stat().st_size] > 1:
            first = seen.setdefault(sha256([path]), path)
            if first != path:
                raise InputError(
                    f"{first} and {path.name} are the same, byte for byte, and every order would"
                    " count twice; leave one out, or name what tells order lines apart as order_key"
                )


def _folder(folder: Path, content: str) -> Path:
    return folder / f"records-{content[:12]}"


def _settle(part: Path, target: Path) -> Path:
    try:
        os.replace(part, target)
    except OSError:
        if not target.is_dir():  # by another that read the same at the same time
            raise
    return target


def _read(
    piece: Piece,
    table: str,
    dataset: Dataset,
    path: Path,
    base: Any,
    progress: Progress,
    newest: dt.date | None = None,
) -> dict[str, Any]:
    """Write the typed rows of a piece; returns its name, rows and encoding."""
    failures: list[Exception] = []
    lines = readers.stream(piece, table, dataset.file)

    def overheard() -> Iterator[pa.RecordBatch]:
        try:
            yield from lines
        except InputError as error:  # which the engine passes on as an error of its own
            failures.append(error)
            raise

    count = 0
    base.con.register("lines", pa.RecordBatchReader.from_batches(lines.schema, overheard()))
    rows = parsing.parse(base.table("lines"), table, piece.file, dataset, piece.name, newest)
    ask = base.compile(identity.as_one(rows, dataset))
    try:
        batches = base.con.sql(ask).to_arrow_reader(BATCH_ROWS)
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, batches.schema, options=LZ4) as out,
        ):
            for batch in batches:
                out.write_batch(batch)
                count += len(batch)
                progress(piece.name, count)
    except Exception as error:
        raise (failures or [error])[0] from None
    encoding = lines.schema.metadata[b"encoding"].decode()
    return {
        "name": piece.name,
        "rows": count,
        "encoding": ENCODING_NAMES.get(encoding, encoding),
    }


def facts(folder: Path) -> dict[str, Any]:
    """What was read: sha256, and pieces by table with name, rows and encoding (of text files)."""
    return json.loads((folder / "records.json").read_text("utf-8"))


def typed(folder: Path, table: str, base: Any = None) -> Table:
    """The typed rows of a table, of all its pieces, on an engine (by default one of its own)."""
    base = base or connect()
    base.con.register(table, _Rescanned(sorted(folder.glob(f"{table}-*.arrow"))))
    return base.table(table)


class _Rescanned:
    """Arrow files as one stream of batches that begins anew each time it is asked for.

    pyarrow's own dataset reads ahead by a gigabyte; this holds one batch.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.schema = pa.unify_schemas([pa.ipc.open_file(str(path)).schema for path in paths])

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = pa.RecordBatchReader.from_batches(self.schema, self._batches())
        return stream.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self.paths:
            with pa.OSFile(str(path)) as file:
                piece = pa.ipc.open_file(file)
                for batch in map(piece.get_batch, range(piece.num_record_batches)):
                    columns = [
                        batch[field.name]
                        if field.name in batch.schema.names
                        else pa.nulls(len(batch), field.type)
                        for field in self.schema
                    ]
                    yield pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _fingerprint(dataset: Dataset, pieces: list[Piece]) -> str:
    """Of everything that decides what is read, or nothing where a database server does."""
    if any(piece.location is None for piece in pieces):
        return ""
    files = [path for piece in pieces for path in databases.files(piece)]
    settings = dataset.model_dump_json(
        include={
            *("tables", "currency", "rates", "time_zone", "same_customers"),
            *("plain_ids", "nobody", "somebody"),
        }
    )
    names = [piece.name for piece in pieces]
    contents = sha256([*files, *identity.files(dataset), *_code()])
    versions = [version(library) for library in LIBRARIES]
    return hashlib.sha256("\n".join([settings, *names, *versions, contents]).encode()).hexdigest()


def _code() -> list[Path]:
    """The source files that decide what is read."""
    others = [Path(str(module.__file__)) for module in CODE]
    return [*sorted(Path(__file__).parent.rglob("*.py")), *others, schema.FILE]


def _fingerprint_of_values(folder: Path, tables: list[str], base: Any) -> str:
    """Of the rows themselves: the bytes of their files also hold what happens to lie in empty
    places.
    """
    found = []
    for table in tables:
        columns = typed(folder, table, base).schema()
        ask = f"SELECT count(*), bit_xor(hash(t)), sum(hash(t)::HUGEINT) FROM {table} t"
        found.append(f"{table} {columns} {base.con.sql(ask).fetchall()}")
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def sha256(paths: Iterable[Path]) -> str:
    """One fingerprint of the contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
