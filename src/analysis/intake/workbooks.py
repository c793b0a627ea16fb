"""Workbooks: .xlsx, .xlsm, .xlsb, .xls and .ods."""

import itertools
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import InputError
from analysis.intake.rows import (
    MEGABYTE,
    Piece,
    Row,
    Rows,
    as_typed,
    headed,
    named_columns,
    normal,
    one_line,
    opened,
)

if TYPE_CHECKING:
    from analysis.intake.table_files import TableFile

HEAD_ROWS = 40  # in which init looks for the column names
MOST_CELLS = 30_000_000  # from A1 to the last cell: the library holds them all, some 30 bytes each
LAST_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')
REPEATED = re.compile(rb'number-(?:rows|columns)-repeated="(\d{4,})"[^>]*(?:value-type)')
PARTS = ("xl/worksheets/", "content.xml")  # of a packed workbook, that hold cells


def sheets(path: Path) -> dict[str, list[list[str]]]:
    """The first rows of each sheet that may hold cells, as texts, by its name."""
    book = _workbook(path)
    return {
        name: [fields for _, fields in itertools.islice(_cells(book, name), HEAD_ROWS)]
        for name in _names(book)
    }


def sheets_like(path: Path, file: "TableFile") -> list[str]:
    """The sheets that a name with * stands for. One that has fewer than half of the columns is
    another table; one that has more must have all of them, and is read.
    """
    book = _workbook(path, file.max_unpacked_mb)
    found = []
    for name in filter(lambda name: fnmatchcase(name, file.sheet), _names(book)):
        rows = [fields for _, fields in itertools.islice(_cells(book, name), HEAD_ROWS)]
        names = {normal(text) for fields in rows for text in fields}
        meant = (file.columns | file.attributes).values()
        columns = {name for column in meant for name in named_columns(column, names)}
        if len(columns & names) * 2 >= len(columns) or (not file.header and names - {""}):
            found.append(name)
    if not found:
        raise InputError(
            f"has no sheet {file.sheet!r} with these columns; correct sheet or columns"
        )
    return found


def read(piece: Piece) -> Rows:
    """The rows of a sheet; the only one, unless one is named."""
    book, sheet = _workbook(piece.path, piece.file.max_unpacked_mb), piece.file.sheet
    names = _names(book)
    if len(names) > 1 and not sheet:
        raise InputError(
            f"has several sheets; name one as sheet: {', '.join(names)}; or * for all that have"
            " these columns"
        )
    if sheet and sheet not in _names(book, hidden=True):
        raise InputError(f"has no sheet {sheet!r}; found: {', '.join(names)}")
    cells = _cells(book, sheet or names[0], piece.file.decimal)
    header, rest = headed(cells, piece.file.header)
    width = _filled(header)
    return opened(header[:width], _padded(rest, width))


@contextmanager
def _as_workbook() -> Iterator[None]:
    """What is raised for a damaged file, also in the midst of it, as an InputError."""
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError:
        raise InputError("locked by a password; save it again without one") from None
    except (CalamineError, OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(
            f"not readable as a workbook ({one_line(error)}); save it again as .xlsx"
        ) from None
    except BaseException as error:  # what the library did not expect in a file is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise InputError("not readable as a workbook (damaged); save it again as .xlsx") from None


def _workbook(path: Path, max_unpacked_mb: int = 4_000) -> Any:
    """The workbook, unless a few bytes unfold into gigabytes, or a cell far away into a sheet of
    blanks.
    """
    from python_calamine import CalamineWorkbook  # few companies keep records in workbooks

    with _as_workbook():
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                if sum(part.file_size for part in packed.infolist()) > max_unpacked_mb * MEGABYTE:
                    raise InputError(
                        f"unpacks to more than {max_unpacked_mb:,} MB; if that is right, raise"
                        " max_unpacked_mb"
                    )
                parts = [name for name in packed.namelist() if name.startswith(PARTS)]
                if (cells := max((_spanned(packed, p) for p in parts), default=0)) > MOST_CELLS:
                    raise InputError(
                        f"a sheet spans {cells:,} cells, more than {MOST_CELLS:,}; delete what"
                        " stands far below or beside the records, or export them as CSV"
                    )
        with path.open("rb") as file:
            return CalamineWorkbook.from_filelike(file)


def _spanned(packed: zipfile.ZipFile, name: str) -> int:
    """How many cells lie between the first and the last of a sheet."""
    rows = columns = repeated = 1
    rest = b""
    with packed.open(name) as sheet:
        for block in iter(lambda: sheet.read(MEGABYTE), b""):
            text = rest + block
            for letters, row in set(LAST_CELL.findall(text)):
                rows, columns = max(rows, int(row)), max(columns, _position(letters))
            repeated = max([repeated, *map(int, REPEATED.findall(text))])
            rest = text[-200:]
    return max(rows * columns, repeated * 1_000 if repeated > 1 else 0)


def _position(letters: bytes) -> int:
    """The number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _names(book: Any, hidden: bool = False) -> list[str]:
    """The sheets that are not hidden, or all where they are, or where asked for."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    every = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    shown = [one for one in every if one.visible == SheetVisibleEnum.Visible]
    return [one.name for one in (every if hidden else shown or every)]


def _cells(book: Any, name: str, decimal: str = ".") -> Iterator[Row]:
    """Rows of a sheet, its numbers with the decimal mark that the texts have."""
    with _as_workbook():
        page = book.get_sheet_by_name(name)
        left = [""] * (page.start[1] if page.start else 0)
        for number, row in enumerate(page.iter_rows(), start=1):
            yield number, left + [as_typed(value, decimal) for value in row]


def _filled(fields: list[str]) -> int:
    """How many fields there are up to the last that is not empty."""
    return max((number for number, text in enumerate(fields, start=1) if text), default=0)


def _padded(rows: Iterator[Row], width: int) -> Iterator[Row]:
    """Rows as wide as the header, or wider where something stands there; none for empty ones."""
    for number, fields in rows:
        if last := _filled(fields):
            yield number, (fields + [""] * (width - len(fields)))[: max(width, last)]
