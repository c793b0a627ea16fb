"""Files for people and CRM systems: safe to open in a spreadsheet, ids as text."""

import io
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from analysis.errors import InputError
from analysis.report.text import printable, say

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet would run such a text


def neutral(value: object) -> object:
    """A text that a spreadsheet shows instead of running; numbers and dates stay as they are."""
    return _neutral(value) if isinstance(value, str) else value


@lru_cache(10_000)  # a column repeats a few
def _neutral(text: str) -> str:
    clean = printable(text)
    return f"'{clean}" if clean.lstrip("\ufeff").startswith(FORMULA_STARTS) else clean


def _neutral_frame(frame: pd.DataFrame) -> pd.DataFrame:
    safe = frame.assign(**{c: frame[c].astype(object).map(neutral) for c in _texts(frame)})
    return safe.rename(columns=lambda name: neutral(str(name)))


def _texts(frame: pd.DataFrame) -> list[str]:
    known = (is_numeric_dtype, is_bool_dtype, is_datetime64_any_dtype)
    return [column for column in frame if not any(kind(frame[column]) for kind in known)]


def write(frame: pd.DataFrame, path: Path) -> None:
    """As CSV or XLSX, by the file's ending. Raises InputError for another one."""
    ending = path.suffix.lower()
    if ending not in (".csv", ".xlsx"):
        raise InputError(
            f"{path}: {path.suffix or 'no ending'} is no format for a list; name it .csv or .xlsx"
        )
    if ending == ".csv":
        write_csv(frame, path)
    else:
        write_xlsx(frame, path, path.stem, ("customer_id", "phone"))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8 with a byte order mark, which Excel needs to see that it is UTF-8."""
    _neutral_frame(frame).to_csv(
        path, index=False, encoding="utf-8-sig", date_format="%Y-%m-%d", lineterminator="\r\n"
    )


def write_xlsx(
    frame: pd.DataFrame, path: Path | IO[bytes], sheet: str, ids: Collection[str] = ("customer_id",)
) -> None:
    """A workbook in which columns of `ids` are text also for who edits it."""
    from analysis.report import workbook  # few notebooks write one

    workbook.write_xlsx(_neutral_frame(frame), path, sheet, ids)


# Update lists for CRM systems
@dataclass(frozen=True)
class Crm:
    """How a CRM system wants an update list."""

    fields: dict[str, str]  # its field for each of our columns, the key first
    file: str  # csv or xlsx
    max_rows: int  # of one file, as max_bytes
    max_bytes: int
    no_yes: tuple[str, str]  # of a check box
    date_format: str = ""  # of a csv, as in strftime
    refused: str = ""  # characters that it does not take in a text


CRMS = {
    # Rows and bytes: Zoho's limits of bulk write; 25 MB are read as the smaller of what that may
    # mean. UTF-8 is its default, a byte order mark is not mentioned: none is written, because
    # elsewhere it becomes part of the first heading, which here is the key. The only date format
    # that bulk write and its older import both take. Import finds a record by Account Number only
    # where that field is marked as unique.
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
        max_bytes=10_000_000,
        no_yes=("否", "是"),
    ),
}
CLASSES = ("rfm_segment", "tier", "stage", "risk_band")
TAKEN = (*CLASSES, "churn_risk", "clv", "action", "due", "arm", "may_contact")
WIDE = dict(zip('"|<>', "＂｜＜＞", strict=True))  # the same to a reader


def crm_updates(*tables: pd.DataFrame) -> pd.DataFrame:
    """One row for each customer of the first table, with what is computed of them (TAKEN, of
    whichever table has it first); nobody's name or contact details.

    Columns: customer_id, may_contact, rfm_segment, tier, stage, risk_band (in words), churn_percent
    (0 to 100), clv (money), action, due, held_back (by lot, to measure the effect). Who is held
    back or may not be contacted gets the reason as action, and no due date.
    """
    found = tables[0][["customer_id"]].sort_values("customer_id", ignore_index=True)
    for table in tables:
        new = [column for column in TAKEN if column in table and column not in found]
        found = found.merge(table[["customer_id", *new]], "left", "customer_id", validate="1:1")
    for column in CLASSES:
        found[column] = found[column].astype(object).map(say.word, na_action="ignore")
    found["churn_percent"] = (found.pop("churn_risk").astype(float) * 100).round(1)
    found["clv"] = found.clv.astype(float).round(2)
    held_back = found["held_back"] = found.pop("arm").eq("control").fillna(False).astype(bool)
    reason = found.action.astype(object).mask(held_back, say.word("held_back"))
    found["action"] = reason.mask(~found.may_contact, say.word("no_consent"))
    found["due"] = found.due.mask(held_back | ~found.may_contact)
    return found


def write_updates(updates: pd.DataFrame, crm: str, folder: Path) -> None:
    """Write the update list for one of CRMS, as several numbered files where its limits ask for
    that; none without rows.

    An id that begins like a formula gets an apostrophe as any text does, and so finds no record
    there.
    """
    wants = CRMS[crm]
    wanted = _as_wanted(updates[list(wants.fields)], wants).rename(columns=wants.fields)
    whole, most = _neutral_frame(wanted), wants.max_rows
    pieces = [whole.iloc[first : first + most] for first in range(0, len(whole), most)]
    parts = [part for piece in pieces for part in _small_enough(piece, wants)]
    digits = len(str(len(parts)))
    for number, part in enumerate(parts, start=1):
        end = f"_{number:0{digits}d}" if len(parts) > 1 else ""
        (folder / f"{crm}_updates{end}.{wants.file}").write_bytes(part)


def _as_wanted(updates: pd.DataFrame, wants: Crm) -> pd.DataFrame:
    """Check boxes in the CRM's words, texts without the characters it refuses; ids stay."""
    wide = str.maketrans({mark: WIDE[mark] for mark in wants.refused})
    changed = updates.assign(
        held_back=updates.held_back.map(dict(zip((False, True), wants.no_yes, strict=True)))
    )
    for name in _texts(updates.drop(columns=["customer_id", "held_back"])):
        texts = updates[name].astype(object)
        changed[name] = texts.map(lambda text: str(text).translate(wide), na_action="ignore")
    return changed


def _small_enough(rows: pd.DataFrame, wants: Crm) -> list[bytes]:
    """A file of some rows of a neutral frame, halved until each half is small enough."""
    file = io.BytesIO()
    if wants.file == "csv":
        rows.to_csv(
            file, index=False, date_format=wants.date_format, lineterminator="\r\n", mode="wb"
        )
    else:
        from analysis.report import workbook

        workbook.write_xlsx(rows, file, "updates", [wants.fields["customer_id"]])
    half = len(rows) // 2
    if len(file.getvalue()) <= wants.max_bytes or not half:
        return [file.getvalue()]
    return _small_enough(rows.iloc[:half], wants) + _small_enough(rows.iloc[half:], wants)
