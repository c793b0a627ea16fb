"""Files for people and CRM systems: safe to open in a spreadsheet, ids as text."""

import datetime as dt
import io
import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from analysis.errors import InputError
from analysis.report.text import printable

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet would run such a text
SHEET_ROWS, SHEET_NAME, CELL_TEXT = 1_048_576, 31, 32_767  # the most that a spreadsheet takes
PLAIN_TEXTS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
    "use_zip64": True,
}


def neutral(text: object) -> object:
    """The text, made one that a spreadsheet shows instead of running; numbers and dates stay as
    they are.
    """
    if not isinstance(text, str):
        return text
    clean = printable(text)
    return f"'{clean}" if clean.lstrip("\ufeff").startswith(FORMULA_STARTS) else clean


def _neutral_frame(frame: pd.DataFrame) -> pd.DataFrame:
    known = (is_numeric_dtype, is_bool_dtype, is_datetime64_any_dtype)
    texts = [column for column in frame if not any(kind(frame[column]) for kind in known)]
    safe = frame.assign(**{column: frame[column].astype(object).map(neutral) for column in texts})
    return safe.rename(columns=lambda name: neutral(str(name)))


def write(frame: pd.DataFrame, path: Path) -> None:
    """As CSV or XLSX, by the file's ending. Raises InputError for another one."""
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise InputError(
            f"{path}: {path.suffix or 'no ending'} is no format for a list; name it .csv or .xlsx"
        )
    if path.suffix.lower() == ".csv":
        write_csv(frame, path)
    else:
        write_xlsx(frame, path, path.stem, [c for c in ("customer_id", "phone") if c in frame])


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8 with a byte order mark, which Excel needs to see that it is UTF-8."""
    _neutral_frame(frame).to_csv(
        path, index=False, encoding="utf-8-sig", date_format="%Y-%m-%d", lineterminator="\r\n"
    )


def write_xlsx(
    frame: pd.DataFrame, path: Path | IO[bytes], sheet: str, ids: Collection[str] = ("customer_id",)
) -> None:
    """One sheet, or several where one cannot hold the rows; texts are never formulas, links or
    error values.

    Columns of `ids` are formatted as text, so that 007 stays 007 when somebody edits it. The file's
    bytes depend on the frame only.
    """
    from xlsxwriter import Workbook  # few notebooks write one
    from xlsxwriter.exceptions import FileCreateError

    safe, room = _neutral_frame(frame), SHEET_ROWS - 1
    try:
        with Workbook(path, PLAIN_TEXTS) as book:
            book.set_properties({"created": dt.datetime(2000, 1, 1)})
            text = book.add_format({"num_format": "@"})
            styles = [text if column in ids else None for column in safe]
            for number, first in enumerate(range(0, max(len(safe), 1), room), start=1):
                page = book.add_worksheet(_sheet_name(sheet, number))
                page.write_row(0, 0, map(_cell, safe.columns))
                rows = safe.iloc[first : first + room].itertuples(index=False, name=None)
                for line, row in enumerate(rows, start=1):
                    for place, (value, style) in enumerate(zip(row, styles, strict=True)):
                        page.write(line, place, _cell(value), style)
    except FileCreateError as error:  # a full disk is one, whoever writes
        raise error.args[0] from None


def _sheet_name(name: str, number: int) -> str:
    """A name that every spreadsheet takes, numbered from the second sheet on."""
    end = f" {number}" if number > 1 else ""
    return (re.sub(r"[\[\]:*?/\\']", "_", printable(name)) or "list")[: SHEET_NAME - len(end)] + end


def _cell(value: Any) -> Any:
    """A value as XlsxWriter is to write it; nothing for what is not known."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, Number):
        return value if math.isfinite(value) else None  # type: ignore[arg-type]
    if isinstance(value, dt.date):  # a moment is one too
        return dt.datetime(value.year, value.month, value.day)
    text = str(value if isinstance(value, str) else neutral(str(value)))
    text = text.replace("\r\n", "\n").replace("\r", "\n")[:CELL_TEXT]
    # XlsxWriter takes such a text for XML of its own.
    return f"'{text}" if text.startswith("<r>") and text.endswith("</r>") else text


# Update lists for CRM systems
@dataclass(frozen=True)
class Crm:
    """How a CRM system wants an update list: our columns by its fields, the key first, and its
    limits of one file.
    """

    fields: dict[str, str]  # customer_id and whatever else is to be updated: its field
    file: str  # csv or xlsx
    max_rows: int
    max_columns: int
    max_bytes: int
    no_yes: tuple[str, str]  # of a check box
    date_format: str = ""  # of a csv, as in strftime
    refused: str = ""  # characters that it does not take in a text


CRMS = {
    # Rows, columns and bytes: Zoho's limits of bulk write; 25 MB are read as the smaller of what
    # that may mean. UTF-8 is its default, a byte order mark is not mentioned: none is written,
    # because elsewhere it becomes part of the first heading, which here is the key. The only date
    # format that bulk write and its older import both take. Import finds a record by Account Number
    # only where that field is marked as unique.
    "zoho": Crm(
        fields={
            "customer_id": "Account Number",
            "rfm_segment": "Customer Segment",
            "tier": "Customer Tier",
            "stage": "Lifecycle Stage",
            "risk_band": "Churn Risk",
            "churn_percent": "Churn Risk Percent",
            "clv": "Lifetime Value",
            "action": "Next Action",
            "due": "Next Action Due",
            "held_back": "Held Back",
        },
        file="csv",
        max_rows=25_000,
        max_columns=200,
        max_bytes=25_000_000,
        no_yes=("false", "true"),
        date_format="%m/%d/%Y",
        refused='"|<>',
    ),
    # Its import takes Excel files; headings, limits and the words of a check box are not
    # documented, hence assumed.
    "fxiaoke": Crm(
        fields={
            "customer_id": "客户编号",
            "rfm_segment": "客户细分",
            "tier": "客户层级",
            "stage": "生命周期阶段",
            "risk_band": "流失风险",
            "churn_percent": "流失概率(%)",
            "clv": "客户终身价值",
            "action": "下一步行动",
            "due": "行动截止日期",
            "held_back": "对照组",
        },
        file="xlsx",
        max_rows=5_000,
        max_columns=100,
        max_bytes=10_000_000,
        no_yes=("否", "是"),
    ),
}
WORDS = ("rfm_segment", "tier", "stage", "risk_band")  # classes, for which the catalogue has words
LOOKED_AT = (*WORDS, "churn_risk", "clv", "action", "due", "arm", "consent")
WIDE = {
    ord(mark): wide for mark, wide in zip('"|<>', "＂｜＜＞", strict=True)
}  # the same to a reader


def crm_updates(word: Callable[[str], str], *tables: pd.DataFrame) -> pd.DataFrame:
    """One row for each customer of the first table, with what is computed of them; nobody's name or
    contact details.

    `word` says a class in words. Columns: customer_id, may_contact (False where consent is
    recorded, but not this customer's), and as far as the tables tell: rfm_segment, tier, stage,
    risk_band, churn_percent (0 to 100), clv (money), action, due, held_back (by lot, to measure the
    effect). Who is held back or may not be contacted gets no due date, and the reason for an
    action.
    """
    found = tables[0][["customer_id"]].sort_values("customer_id", ignore_index=True)
    for table in tables:
        new = [column for column in LOOKED_AT if column in table and column not in found]
        found = found.merge(table[["customer_id", *new]], "left", "customer_id", validate="1:1")
    for column in found.columns.intersection(WORDS):
        found[column] = found[column].astype(object).map(word, na_action="ignore")
    if "churn_risk" in found:
        found["churn_percent"] = (found.pop("churn_risk").astype(float) * 100).round(1)
    if "clv" in found:
        found["clv"] = found.clv.astype(float).round(2)
    if "arm" in found:
        found["held_back"] = found.pop("arm").eq("control").fillna(False).astype(bool)
    found["may_contact"] = (
        found.pop("consent").eq(True).fillna(False).astype(bool) if "consent" in found else True
    )
    held_back = found.held_back if "held_back" in found else ~found.may_contact
    if "action" in found:
        found["action"] = (
            found.action.astype(object)
            .mask(held_back, word("held_back"))
            .mask(~found.may_contact, word("no_consent"))
        )
    if "due" in found:
        found["due"] = found.due.mask(held_back | ~found.may_contact)
    return found


def write_updates(updates: pd.DataFrame, crm: str, folder: Path) -> list[Path]:
    """Write the update list for one of CRMS, as several numbered files where its limits ask for
    that; none without rows.

    An id that begins like a formula gets an apostrophe as any text does, and so finds no record
    there.
    """
    wants = CRMS[crm]
    fields = {column: field for column, field in wants.fields.items() if column in updates}
    if len(fields) > wants.max_columns:
        raise ValueError(
            f"{crm}: {len(fields)} fields, but it takes {wants.max_columns}; take some out of"
            " exports.CRMS"
        )
    contents = _neutral_frame(_as_wanted(updates[list(fields)], wants).rename(columns=fields))
    parts = list(_parts(contents, wants))
    ends = [
        f"_{n:0{len(str(len(parts)))}d}" if len(parts) > 1 else "" for n in range(1, len(parts) + 1)
    ]
    paths = [folder / f"{crm}_updates{end}.{wants.file}" for end in ends]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    return paths


def _as_wanted(updates: pd.DataFrame, wants: Crm) -> pd.DataFrame:
    """Check boxes in the CRM's words, texts without the characters it refuses; ids stay."""
    refused = {mark: wide for mark, wide in WIDE.items() if chr(mark) in wants.refused}
    said = {}
    for column in updates.columns.drop("customer_id"):
        if is_bool_dtype(updates[column]):
            said[column] = np.where(updates[column], wants.no_yes[1], wants.no_yes[0])
        elif not (is_numeric_dtype(updates[column]) or is_datetime64_any_dtype(updates[column])):
            said[column] = (
                updates[column]
                .astype(object)
                .map(lambda text: str(text).translate(refused), na_action="ignore")
            )
    return updates.assign(**said)


def _parts(contents: pd.DataFrame, wants: Crm) -> Iterator[bytes]:
    """The files of all rows: as many rows in each as the CRM takes, halved until each is small
    enough.
    """
    waiting = [
        contents.iloc[first : first + wants.max_rows]
        for first in range(0, len(contents), wants.max_rows)
    ]
    while waiting:
        part = waiting.pop(0)
        content = _content(part, wants)
        if len(content) > wants.max_bytes and len(part) > 1:
            half = len(part) // 2
            waiting[:0] = [part.iloc[:half], part.iloc[half:]]
        else:
            yield content


def _content(part: pd.DataFrame, wants: Crm) -> bytes:
    if wants.file == "csv":
        return part.to_csv(
            index=False, date_format=wants.date_format, lineterminator="\r\n"
        ).encode()
    file = io.BytesIO()
    write_xlsx(part, file, "updates", ids=[wants.fields["customer_id"]])
    return file.getvalue()
