"""How a file is to be read, seen from its first bytes and rows, or asked."""

import csv
import gzip
import io
import itertools
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from analysis.errors import InputError
from analysis.intake import encodings, formats, readers, text_files
from analysis.intake.column_names import rank
from analysis.intake.columns import EMAIL, Choice, Entry
from analysis.intake.table_files import TableFile
from analysis.intake.value_formats import ASK, days_in, mark
from analysis.report.text import say
from analysis.schema import RECORDS

HEAD_BYTES, HEAD_ROWS = 1 << 18, 40  # in which separator and header are seen
# Of those that fit alike the one more seldom inside a text; blanks last
SEPARATORS = ("\t", ";", "|", ",", " ")
BOOKS = {"xl/workbook.xml", "xl/workbook.bin", "content.xml"}  # one of which a workbook holds


def form_of(path: Path) -> tuple[TableFile, list[Entry]]:
    """How a file is to be read, and what of that is asked; InputError for what is no table."""
    begins = _first_bytes(path)
    form = formats.of_bytes(begins)
    if _plain(begins).startswith("<"):
        raise InputError(
            f"{path}: a web page or XML, whatever its name says; open it in Excel and save it as"
            " .xlsx"
        )
    if form == "excel":
        if path.suffix.lower() not in (*formats.FORMATS["excel"].endings, ".zip"):
            ending = ".xlsx" if begins.startswith(b"PK") else ".xls"
            raise InputError(f"{path}: a workbook; rename it to {ending}")
        if zipfile.is_zipfile(path) and not BOOKS & {*zipfile.ZipFile(path).namelist()}:
            raise InputError(f"{path}: a packed folder; unpack it and give the files in it")
    usual = TableFile.model_construct(path=[path.name], columns={})
    settings: dict[str, Any] = {} if usual.kind == form else {"format": form}
    asked: list[Entry] = []
    if form == "csv":
        encoding, asked = _encoding(path, begins)
        text = begins.decode(encoding, "ignore")
        whole = text if len(begins) < HEAD_BYTES else text[: text.rfind("\n") + 1]
        separator = separator_of(whole)
        if separator == " ":
            settings["format"] = "whitespace"
        elif separator != ("\t" if ".tsv" in path.name.lower() else ","):
            settings["separator"] = separator
        settings["header"] = header_line(_split(text, separator))
        settings["encoding"] = encoding if asked else ""
    return usual.model_copy(update=settings), asked


def parts_of(path: Path, file: TableFile) -> Iterator[TableFile]:
    """A description for each sheet or table of a file that has some, else the file's own."""
    form = formats.FORMATS[file.kind]
    if not form.parts:
        yield file
        return
    with readers.named(str(path)):
        found = form.parts(path)
    for name, rows in found.items():
        alone = form.part == "sheet" and len(found) == 1
        header = {"header": header_line(rows)} if rows else {}
        yield file.model_copy(update={form.part: "" if alone else name} | header)


def _first_bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            begins = file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: not readable: {error}") from None
    if not begins.strip():
        raise InputError(f"{path}: the file is empty; export it again")
    return begins


def _plain(begins: bytes) -> str:
    """A file's first letters, without a mark and blanks before them."""
    marked = next((name for mark, name in text_files.MARKS.items() if begins.startswith(mark)), "")
    return begins[:1000].decode(marked or "latin-1", "ignore").lstrip("\ufeff \t\r\n")


def _encoding(path: Path, begins: bytes) -> tuple[str, list[Entry]]:
    """The encoding, and the question about it where it is not found by itself: much of the world
    reads as Chinese without an error, but with characters that nobody uses.
    """
    try:
        usual = text_files.encoding_of(path)
    except InputError:
        usual = ""
    if usual and (usual != "gb18030" or encodings.is_chinese(begins)):
        return usual, []
    possible = encodings.possible(path, begins)
    samples = {name: _sample(begins, name) for name in possible}
    choices = [
        Choice(f"{sample} ({say(encodings.ENCODINGS[name].words)})", {"encoding": name})
        for name, sample in samples.items()
    ]
    question = say("which of these is written as it should be?")
    return possible[0], [Entry("encoding", ASK, question=question, choices=(*choices,))]


def _sample(begins: bytes, encoding: str) -> str:
    """A name of a column or a cell with letters beyond ASCII; of no person's column where others
    have some.
    """
    text = begins.decode(encoding, "ignore")
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=separator_of(text)))
    except (InputError, csv.Error):
        rows = [line.split() for line in text.splitlines()]
    line = max(header_line(rows[:HEAD_ROWS]) - 1, 0)
    persons = [place for place, name in enumerate(rows[line]) if _is_persons(name)]
    cells = [(n in persons, cell) for row in rows[line:] for n, cell in enumerate(row)]
    return min((one for one in cells if not one[1].isascii()), key=lambda one: one[0])[1][:40]


def _is_persons(name: str) -> bool:
    return any(
        rank(name, table, meaning) is not None
        for table, records in RECORDS.items()
        for meaning, spec in records.columns.items()
        if spec.person or meaning == "customer_id"
    )


def separator_of(text: str) -> str:
    """What stands between the fields: what gives nearly all lines the same number of them."""
    usual, even = dict[str, int](), dict[str, float]()
    for separator in SEPARATORS:
        widths = [len(row) for row in _split(text, separator) if any(row)]
        width = max(set(widths), key=widths.count, default=0)
        if width > 1:
            usual[separator], even[separator] = width, widths.count(width) / len(widths)
    good = [one for one in even if even[one] >= 0.9 * max(even.values())]
    if not good:
        raise InputError(
            "only one column is seen; save it as CSV, with a separator between the columns"
        )
    return max(good, key=lambda one: (one != " ", usual[one], -SEPARATORS.index(one)))


def _split(text: str, separator: str) -> list[list[str]]:
    lines = io.StringIO(text, newline=None)
    rows = map(str.split, lines) if separator == " " else csv.reader(lines, delimiter=separator)
    try:
        return list(itertools.islice(rows, HEAD_ROWS))
    except csv.Error:
        return []


def header_line(rows: Sequence[Sequence[str]]) -> int:
    """The line of the column names: the first nearly as full as the others are; 0 where that is
    data already.
    """
    full = [sum(bool(cell.strip()) for cell in row) for row in rows]
    enough = 0.7 * max(filter(None, full), key=full.count, default=0)
    line = next((n for n, filled in enumerate(full, start=1) if filled and filled >= enough), 1)
    first = rows[line - 1] if rows else ()
    data = any(days_in(c) or mark(c) is not None or EMAIL.fullmatch(c.strip()) for c in first)
    meanings = [(table, meaning) for table in RECORDS for meaning in RECORDS[table].columns]
    known = (rank(name, *one) is not None for name in first for one in meanings)
    return 0 if data and line == 1 and not any(known) else line
