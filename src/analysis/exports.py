"""Files for people and CRM systems: safe to open in a spreadsheet, ids as text."""

from pathlib import Path

import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from analysis.messages import printable

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet would run such a text


def neutral(text: object) -> object:
    """The text, made one that a spreadsheet shows instead of running; numbers and dates stay as they are."""
    if not isinstance(text, str):
        return text
    clean = printable(text)
    return f"'{clean}" if clean.lstrip("\ufeff").startswith(FORMULA_STARTS) else clean


def _neutral_frame(frame: pd.DataFrame) -> pd.DataFrame:
    known = (is_numeric_dtype, is_bool_dtype, is_datetime64_any_dtype)
    texts = [column for column in frame if not any(kind(frame[column]) for kind in known)]
    safe = frame.assign(**{column: frame[column].astype(object).map(neutral) for column in texts})
    return safe.rename(columns=lambda name: neutral(str(name)))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8 with a byte order mark, which Excel needs to see that it is UTF-8."""
    _neutral_frame(frame).to_csv(path, index=False, encoding="utf-8-sig", date_format="%Y-%m-%d", lineterminator="\r\n")


def write_xlsx(frame: pd.DataFrame, path: Path, sheet: str) -> None:
    """One sheet, streamed; texts are written as texts, never as formulas or error values."""
    from openpyxl import Workbook  # few notebooks write one
    from openpyxl.cell import WriteOnlyCell

    def cell(value: object) -> object:
        if isinstance(value, str) and value.startswith("#"):  # openpyxl would take #N/A for an error value
            text = WriteOnlyCell(page, value)
            text.data_type = "s"
            return text
        return value.date() if isinstance(value, pd.Timestamp) else value

    book = Workbook(write_only=True)
    page = book.create_sheet(sheet)
    safe = _neutral_frame(frame).astype(object)
    page.append([cell(name) for name in safe.columns])
    for row in safe.where(safe.notna(), None).itertuples(index=False, name=None):
        page.append([cell(value) for value in row])
    book.save(path)
