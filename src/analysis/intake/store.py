"""A company's records read once: each piece becomes a typed Arrow file in a folder named after the
content.

Arrow and not Parquet: the files are read once or twice more, and are written in a third of the
time.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from ibis.expr.types import Table

from analysis import schema
from analysis.engine import connect
from analysis.errors import InputError
from analysis.intake import identity, parsing, readers
from analysis.intake.dataset import Dataset
from analysis.intake.readers import Piece
from analysis.schema import RECORDS

BATCH_ROWS = 20_000  # that are written, and later read, at once
ENCODING_NAMES = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "gb18030": "GB18030",
}  # of those that are found, for people


def gather(dataset: Dataset, folder: Path, echo: Callable[[str], None] = lambda line: None) -> Path:
    """Read all pieces of all tables; returns the folder `records-<fingerprint>` in `folder` that
    holds them.

    What was read before and has not changed is not read again; a database always is.
    Raises InputError for what cannot be read, with its file, line and remedy.
    """
    pieces = {table: readers.pieces(dataset, table) for table in RECORDS}
    content = _fingerprint(dataset, pieces)
    if content and (folder / f"records-{content[:12]}").is_dir():
        return folder / f"records-{content[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="reading-", suffix=".part", dir=folder))
    try:
        read = {
            table: [_read(p, table, dataset, part, n, echo) for n, p in enumerate(ps)]
            for table, ps in pieces.items()
        }
        if not sum(piece["rows"] for piece in read["transactions"]):
            raise InputError(
                f"{', '.join(p.name for p in pieces['transactions'])}: no rows below the header;"
                " export again"
            )
        parsing.check_currencies(typed(part, "transactions"), dataset)
        content = content or _fingerprint_of_values(
            part, [table for table, found in pieces.items() if found]
        )
        facts = {"sha256": content, "pieces": read}
        (part / "records.json").write_text(json.dumps(facts, indent=1), "utf-8")
        return _settle(part, folder / f"records-{content[:12]}")
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _settle(part: Path, target: Path) -> Path:
    try:
        os.replace(part, target)
    except OSError:
        if not target.is_dir():  # by another that read the same at the same time
            raise
    return target


def _read(
    piece: Piece, table: str, dataset: Dataset, part: Path, number: int, echo: Callable[[str], None]
) -> dict[str, Any]:
    said: list[InputError] = []
    lines = readers.stream(piece, table, dataset.file)
    found = lines.schema.metadata[b"encoding"].decode()
    encoding = ENCODING_NAMES.get(found, found)
    try:
        count = _write(_overheard(lines, said), piece, table, dataset, part, number)
    except Exception:
        if said:
            raise said[0] from None
        raise
    echo(f"{piece.name:<40} {count:12,} rows  {table:<12}  {encoding}".rstrip())
    return {"name": piece.name, "rows": count, "encoding": encoding}


def _overheard(lines: pa.RecordBatchReader, said: list[InputError]) -> pa.RecordBatchReader:
    """The same lines; their InputError is kept in `said`, because the engine passes it on as an
    error of its own.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from lines
        except InputError as error:
            said.append(error)
            raise

    return pa.RecordBatchReader.from_batches(lines.schema, batches())


def _write(
    lines: pa.RecordBatchReader, piece: Piece, table: str, dataset: Dataset, part: Path, number: int
) -> int:
    engine = connect()
    engine.con.register("lines", lines)
    rows = parsing.parse(engine.table("lines"), table, piece.file, dataset, piece.name)
    batches = engine.con.sql(engine.compile(identity.as_one(rows, dataset))).to_arrow_reader(
        BATCH_ROWS
    )
    count = 0
    path, options = (
        str(part / f"{table}-{number:03}.arrow"),
        pa.ipc.IpcWriteOptions(compression="lz4"),
    )
    with (
        pa.OSFile(path, "wb") as file,
        pa.ipc.new_file(file, batches.schema, options=options) as out,
    ):
        for batch in batches:
            out.write_batch(batch)
            count += len(batch)
    return count


def facts(folder: Path) -> dict[str, Any]:
    """What was read: sha256, and pieces by table with name, rows and encoding (of text files)."""
    return json.loads((folder / "records.json").read_text("utf-8"))


def typed(folder: Path, table: str, engine: Any = None) -> Table:
    """The typed rows of a table, of all its pieces, on an engine (by default one of its own)."""
    engine = engine or connect()
    engine.con.register(table, _Rescanned(sorted(folder.glob(f"{table}-*.arrow"))))
    return engine.table(table)


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
        return pa.RecordBatchReader.from_batches(self.schema, self._batches()).__arrow_c_stream__(
            requested_schema
        )

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for path in self.paths:
            with pa.OSFile(str(path)) as file:
                piece = pa.ipc.open_file(file)
                for number in range(piece.num_record_batches):
                    batch = piece.get_batch(number)
                    yield pa.RecordBatch.from_arrays(
                        [_column(batch, field) for field in self.schema], schema=self.schema
                    )


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    there = field.name in batch.schema.names
    return batch[field.name] if there else pa.nulls(len(batch), field.type)


def _fingerprint(dataset: Dataset, pieces: dict[str, list[Piece]]) -> str:
    """Of everything that decides what is read, or nothing where a database does."""
    every = [piece for some in pieces.values() for piece in some]
    if any(piece.path is None for piece in every):
        return ""
    files = [path for piece in every for path in _files_of(piece)]
    settings = dataset.model_dump_json(
        include={"tables", "currency", "rates", "time_zone", "same_customers"}
    )
    own = [*sorted(Path(__file__).parent.glob("*.py")), Path(schema.__file__)]
    text = "\n".join(
        [
            settings,
            *(piece.name for piece in every),
            sha256([*files, *identity.files(dataset), *own]),
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _fingerprint_of_values(folder: Path, tables: list[str]) -> str:
    """Of the rows themselves: the bytes of their files also hold what happens to lie in empty
    places.
    """
    engine, told = connect(), []
    for table in tables:
        schema = typed(folder, table, engine).schema()
        sums = engine.con.sql(
            f"SELECT count(*), bit_xor(hash(t)), sum(hash(t)::HUGEINT) FROM {table} t"
        ).fetchall()
        told.append(f"{table} {schema} {sums}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


def _files_of(piece: Piece) -> list[Path]:
    """The files a piece is read from: with those a query may name, and what a database has not yet
    put into its own.
    """
    path = cast(Path, piece.path)
    if path.is_dir():
        return sorted(inside for inside in path.rglob("*") if inside.is_file())
    if piece.file.kind == "parquet" and piece.file.query:
        return sorted(path.parent.glob(f"*{path.suffix}"))
    return [path, *(log for log in (Path(f"{path}-wal"), Path(f"{path}.wal")) if log.is_file())]


def sha256(paths: Iterable[Path]) -> str:
    """One fingerprint of the contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
