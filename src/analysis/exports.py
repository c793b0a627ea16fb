"""Files for people and CRM systems: safe to open in a spreadsheet, ids as text."""

from pathlib import Path

import pandas as pd

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet would run such a text
CONTROL = {code: None for code in range(32) if chr(code) not in "\t\n\r"}


def neutral(text: object) -> object:
    """The text, made one that a spreadsheet shows instead of running; numbers and dates stay as they are."""
    if not isinstance(text, str):
        return text
    clean = text.translate(CONTROL)
    return f"'{clean}" if clean.startswith(FORMULA_STARTS) else clean


def _neutral_frame(frame: pd.DataFrame) -> pd.DataFrame:
    texts = frame.select_dtypes(include=["str", "object"]).columns
    return frame.assign(**{column: frame[column].map(neutral) for column in texts}).rename(columns=neutral)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8 with a byte order mark, which Excel needs to see that it is UTF-8."""
    _neutral_frame(frame).to_csv(path, index=False, encoding="utf-8-sig", date_format="%Y-%m-%d", lineterminator="\r\n")


def write_xlsx(frame: pd.DataFrame, path: Path, sheet: str) -> None:
    """One sheet, streamed. Neutral texts never begin with =, so none becomes a formula."""
    from openpyxl import Workbook  # few notebooks write one

    book = Workbook(write_only=True)
    page = book.create_sheet(sheet)
    safe = _neutral_frame(frame).astype(object)
    page.append(list(safe.columns))
    for row in safe.where(safe.notna(), None).itertuples(index=False, name=None):
        page.append([value.date() if isinstance(value, pd.Timestamp) else value for value in row])
    book.save(path)
