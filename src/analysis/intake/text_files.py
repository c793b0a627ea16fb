"""Text files: encodings, packed files, CSV, and fields between blanks."""

import codecs
import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from analysis.errors import InputError
from analysis.intake.rows import EMPTY, MEGABYTE, Piece, Rows, batch_of, batch_of_rows, headed
from analysis.intake.rows import opened as opened_rows

# read at once of a text file: enough to be fast, little beside the memory of a laptop
BLOCK_BYTES = 1 << 24
ENCODINGS = ("utf-8-sig", "gb18030")  # tried in this order where no byte order mark says it
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# bytes beyond ASCII that are right UTF-8: a wrong one after them is damage, and no other encoding
SURELY = 30
LONGEST_LINE = 1 << 26  # bytes; a longer one is no line of records


def _chunks(path: Path, max_unpacked_mb: int) -> Iterator[bytes]:
    packed, left = path.suffix.lower() == ".gz", max_unpacked_mb * MEGABYTE
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while chunk := file.read(BLOCK_BYTES):
                left -= len(chunk)
                if packed and left < 0:
                    raise InputError(
                        f"unpacks to more than {max_unpacked_mb:,} MB; if that is right, raise"
                        " max_unpacked_mb"
                    )
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        if not packed:
            raise
        raise InputError(f"not readable as gzip: {error}; pack it again") from None


def encoding_of(path: Path, max_unpacked_mb: int = 4_000) -> str:
    """UTF-8 (with or without a byte order mark), UTF-16 (with one) or GB18030; InputError for
    anything else.
    """
    start = next(_chunks(path, max_unpacked_mb), b"")
    marked = [encoding for mark, encoding in MARKS.items() if start.startswith(mark)]
    first = 0
    for encoding in marked or ENCODINGS:
        line, beyond = broken_line(path, encoding, max_unpacked_mb)
        if not line:
            return encoding
        first = first or line
        if beyond >= SURELY:
            break
    raise InputError(
        f"line {first}: neither UTF-8, UTF-16 nor GB18030; save the file as UTF-8, or name its"
        " encoding"
    )


def broken_line(path: Path, encoding: str, max_unpacked_mb: int) -> tuple[int, int]:
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
    for chunk in itertools.chain(_chunks(path, max_unpacked_mb), [b""]):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            good = error.object[: error.start]
            plain = good.decode("ascii", "ignore")
            return line + good.count(b"\n"), beyond + len(good) - len(plain)
        line += text.count("\n")
        beyond += 0 if text.isascii() else SURELY
    return 0, beyond


def _encoding(piece: Piece) -> str:
    """The encoding that is named for a piece, if it is that, or the one found."""
    path, file = piece.path, piece.file
    if not file.encoding:
        return encoding_of(path, file.max_unpacked_mb)
    if line := broken_line(path, file.encoding, file.max_unpacked_mb)[0]:
        raise InputError(
            f"line {line} is not {file.encoding}; correct encoding, or leave it out so that it is"
            " found"
        )
    return file.encoding


def _blocks(piece: Piece, encoding: str) -> Iterator[bytes]:
    """The file as UTF-8 without a mark, in blocks that end with a line."""
    chunks = _chunks(piece.path, piece.file.max_unpacked_mb)
    if codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
        chunks = (text.encode() for text in codecs.iterdecode(chunks, encoding))
    first = next(chunks, b"").removeprefix(codecs.BOM_UTF8)
    return whole_lines(itertools.chain([first], chunks))


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks put together, or cut, so that each ends with a line."""
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


def read_words(piece: Piece) -> Rows:
    """The rows of a text file whose fields stand between blanks."""
    encoding = _encoding(piece)
    lines = itertools.chain.from_iterable(block.splitlines() for block in _blocks(piece, encoding))
    words = ((number, line.decode().split()) for number, line in enumerate(lines, start=1))
    return opened_rows(*headed(filter(lambda row: row[1], words), piece.file.header), encoding)


def read_csv(piece: Piece) -> Rows:
    """The rows of a CSV file."""
    separator = piece.file.separator or ("\t" if ".tsv" in piece.name.lower() else ",")
    encoding = _encoding(piece)
    rows = csv_rows(_blocks(piece, encoding), separator, piece.file.header)
    return rows._replace(encoding=encoding)


def csv_rows(blocks: Iterator[bytes], separator: str, header_line: int) -> Rows:
    """The rows of CSV in UTF-8, in blocks that end with a line."""
    lines = next(blocks, b"").splitlines(keepends=True)
    above = max(header_line - 1, 0)
    reader = csv.reader((line.decode() for line in lines[above:]), delimiter=separator, strict=True)
    try:
        names = next((fields for fields in reader if fields), [])
    except csv.Error as error:
        raise _csv_error(header_line, error) from None
    if not names:
        raise InputError(EMPTY)
    if any("\0" in name for name in names):
        raise InputError(
            f"line {header_line or 1}: holds zero bytes; if it is UTF-16 without a mark, write"
            " encoding: utf-16-le"
        )
    below = above + reader.line_num if header_line else 0
    header = names if header_line else [str(number + 1) for number in range(len(names))]
    body = b"".join(lines[below:])
    rest = itertools.chain([body] if body else [], blocks)
    return Rows(header, lambda places: _Csv(separator, len(names), places).batches(rest, below + 1))


def _csv_error(line: int, error: csv.Error) -> InputError:
    return InputError(f"line {line}: {error}; look for a quote that is not closed")


@dataclass(frozen=True)
class _Csv:
    """How blocks of CSV are read: the fields of a line, and the places of those wanted."""

    separator: str
    width: int
    places: Sequence[int]

    def batches(self, blocks: Iterator[bytes], line: int) -> Iterator[pa.RecordBatch]:
        """The rows of some blocks, of which the first begins at a line."""
        first = line
        for block in blocks:
            batch = self.parsed(block, line)
            while batch is None:
                batch, begins = self.parsed_exactly(block, line)
                if batch is None:
                    if not (more := next(blocks, b"")):
                        raise InputError(
                            f"line {begins}: a quote that opens there is not closed; close it"
                        )
                    block += more
            if line == first:
                _check_header(batch, self.width)
            yield batch
            line += _lines(block)

    def parsed(self, block: bytes, line: int) -> pa.RecordBatch | None:
        """A block by Arrow's parser, or None where it may read other than Python's, or the line of
        a row cannot be told.

        Every row takes at least one line, so rows and the line breaks inside their fields must add
        up to the lines.
        """
        quoted = b'"' in block
        blank = block[:1] in b"\r\n" or any(pair in block for pair in (b"\n\n", b"\n\r", b"\r\r"))
        if blank or not self.separator.isascii() or (quoted and not self._well_quoted(block)):
            return None
        names, wrong = [str(place) for place in range(self.width)], list[Any]()

        def skip(row: Any) -> str:
            wrong.append(row)
            return "skip"

        found = arrow_csv.read_csv(
            io.BytesIO(block),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            arrow_csv.ParseOptions(
                delimiter=self.separator,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                include_columns=names if quoted else sorted({str(p) for p in self.places}),
            ),
        )
        if any("\n" in row.text or "\r" in row.text for row in wrong):
            return None
        total, lines = len(found) + len(wrong), _lines(block)
        at = np.delete(np.arange(total), [row.number - 1 for row in wrong])
        breaks = np.zeros(total, np.int64)  # inside the fields of each row
        if quoted and total != lines:
            ends = {"\n": 1, "\r": 1, "\r\n": -1}
            breaks[at] = sum(
                sign * pc.count_substring(column, end).to_numpy()
                for column in found.columns
                for end, sign in ends.items()
            )
        if total + breaks.sum() != lines:
            return None
        begins = line + np.arange(total) + np.cumsum(breaks) - breaks
        broken = [(begins[row.number - 1], row.actual_columns) for row in wrong]
        texts = [found[str(place)].combine_chunks() for place in self.places]
        return batch_of(begins[at], texts, broken)

    def _well_quoted(self, block: bytes) -> bool:
        """Whether each quote opens a field, closes it, or is doubled inside it, and none is open at
        the end.

        Taken in turns as opening and closing, a doubled quote closes and opens again at once.
        """
        text = np.frombuffer(block, np.uint8)
        quotes = np.flatnonzero(text == ord('"'))
        edge = np.isin(np.arange(256), list(f'{self.separator}\r\n"'.encode()))
        opening, closing = quotes[::2], quotes[1::2]
        paired = len(opening) == len(closing)
        return bool(paired and edge[text[opening - 1]].all() and edge[text[closing + 1]].all())

    def parsed_exactly(self, block: bytes, line: int) -> tuple[pa.RecordBatch | None, int]:
        """A block by Python's parser, which tells the line of each row; none where a quote is open
        at its end, and the line where the last row begins.
        """
        text = io.StringIO(block.decode(), newline="")
        reader = csv.reader(text, delimiter=self.separator, strict=True)
        rows, begins = [], line
        try:
            for fields in reader:
                if fields:
                    rows.append((begins, fields))
                begins = line + reader.line_num
        except csv.Error as error:
            if "unexpected end" in str(error):
                return None, begins
            raise _csv_error(begins, error) from None
        return batch_of_rows(rows, self.width, self.places), begins


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


def _lines(block: bytes) -> int:
    """How many lines a block has, whichever system ended them."""
    return block.count(b"\n") + (block.count(b"\r") - block.count(b"\r\n") if b"\r" in block else 0)
