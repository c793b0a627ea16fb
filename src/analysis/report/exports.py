"""Files for people and CRM systems: safe to open in a spreadsheet, ids as text. Lists for people
have headings, words and money as people write them; what programs read lies in data/processed.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd
from babel.numbers import get_currency_precision
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from analysis import schema
from analysis.errors import InputError
from analysis.report.text import SHARES, printable, say

IDS = ("customer_id", "same_as", "phone")  # a spreadsheet must not take them for numbers
TEXT = "@"  # as a spreadsheet calls a cell of text
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet would run such a text


def neutral(value: object) -> object:
    """A text that a spreadsheet shows instead of running; numbers and dates stay as they are."""
    if not isinstance(value, str):
        return value
    clean = printable(value)
    return f"'{clean}" if clean.lstrip("\ufeff").startswith(FORMULA_STARTS) else clean


def _neutral_frame(frame: pd.DataFrame) -> pd.DataFrame:
    safe = frame.assign(**{c: _each(frame[c], neutral) for c in _texts(frame)})
    return safe.rename(columns=lambda name: neutral(str(name)))


def _each(values: pd.Series, change: Callable[[Any], object]) -> pd.Series:
    """The values that are known, changed; each distinct one once, as a column repeats a few."""
    known = values.astype(object)
    return known.map({value: change(value) for value in known.dropna().unique()})


def _texts(frame: pd.DataFrame) -> list[str]:
    known = (is_numeric_dtype, is_bool_dtype, is_datetime64_any_dtype)
    return [column for column in frame if not any(kind(frame[column]) for kind in known)]


def write(frame: pd.DataFrame, path: Path, formats: Mapping[str, str] | None = None) -> None:
    """As CSV or XLSX, by the file's ending. Raises InputError for another one. `formats` of columns
    are a workbook's; by default ids are text.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".xlsx"):
        raise InputError(
            f"{path}: {path.suffix or 'no ending'} is no format for a list; name it .csv or .xlsx"
        )
    if ending == ".csv":
        write_csv(frame, path)
    else:
        write_xlsx(frame, path, path.stem, formats)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """UTF-8 with a byte order mark, which Excel needs to see that it is UTF-8."""
    _neutral_frame(frame).to_csv(
        path, index=False, encoding="utf-8-sig", date_format="%Y-%m-%d", lineterminator="\r\n"
    )


def write_xlsx(
    frame: pd.DataFrame,
    path: Path | IO[bytes],
    sheet: str,
    formats: Mapping[str, str] | None = None,
) -> None:
    """A workbook; columns of `formats` are written so, by default ids as text also for who edits
    it.
    """
    from analysis.report import workbook  # few notebooks write one

    formats = dict.fromkeys(IDS, TEXT) if formats is None else formats
    workbook.write_xlsx(_neutral_frame(frame), path, sheet, formats)


# Lists for people
MONEY = ("money", "exact", "compact")


def write_list(frame: pd.DataFrame, path: Path) -> None:
    """A list for people, as CSV or XLSX by the file's ending: see for_people."""
    shown, formats = for_people(frame)
    if path.suffix.lower() == ".csv":  # which has no formats of cells
        shares = [name for name, form in formats.items() if form.endswith("%")]
        shown = shown.assign(**{name: _percentages(shown[name], formats[name]) for name in shares})
    write(shown, path, formats)


def for_people(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The list in the language of the reports, as schema.SHOWN says: headings, words for coded
    values, money in the currency's decimals; texts and ids as they are. And the format in a
    spreadsheet of those headings that need one.
    """
    shown, formats = {}, {}
    for column, form in _forms(frame).items():
        heading = say.heading(column)
        heading = f"{heading} ({column})" if heading in shown else heading
        shown[heading], format_ = _as_written(frame[column], form)
        formats[heading] = TEXT if column in IDS else format_
    return pd.DataFrame(shown, index=frame.index), {n: form for n, form in formats.items() if form}


def _forms(frame: pd.DataFrame) -> dict[str, str]:
    """The form of each column; of an interval's ends that of the column before them."""
    forms, before = {}, ""
    for column in frame:
        form = schema.SHOWN.get(column, ("", ""))[1]
        forms[column] = before = before if form == "beside" else form
    return forms


def _as_written(values: pd.Series, form: str) -> tuple[pd.Series, str]:
    """The values as people write them, and their format in a spreadsheet."""
    if is_bool_dtype(values):
        return values.map({True: say.word("yes"), False: say.word("no")}), ""
    if not is_numeric_dtype(values):
        to_words = {"word": say.word, "field": say.field}.get(form)
        return _each(values, to_words) if to_words else values, ""
    if form == "int":
        return values.astype(float).round().astype("Int64"), "#,##0"
    if form in SHARES:
        return values.astype(float).round(SHARES[form] + 2), _decimals("0", SHARES[form]) + "%"
    digits = {"number": 2} | dict.fromkeys(MONEY, get_currency_precision(say.currency))
    if form not in digits:
        return values, ""
    return values.astype(float).round(digits[form]), _decimals("#,##0", digits[form])


def _decimals(whole: str, digits: int) -> str:
    return f"{whole}.{'0' * digits}" if digits else whole


def _percentages(shares: pd.Series, form: str) -> pd.Series:
    digits = form.count("0") - 1
    return shares.map(lambda share: f"{share:.{digits}%}", na_action="ignore")


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
TAKEN = (*CLASSES, "churn_risk", "clv", "action", "due", "held_back", "may_contact")
WIDE = dict(zip('"|<>', "＂｜＜＞", strict=True))  # the same to a reader


def crm_updates(*tables: pd.DataFrame) -> pd.DataFrame:
    """One row for each customer of the first table, with what is computed of them (TAKEN, of
    whichever table has it first); nobody's name or contact details.

    Columns: customer_id, may_contact, rfm_segment, tier, stage, risk_band (in words), churn_percent
    (0 to 100), clv (money), action, due, held_back (by lot, to measure the effect). Who may not be
    contacted gets that as action, and no due date.
    """
    found = tables[0][["customer_id"]].sort_values("customer_id", ignore_index=True)
    for table in tables:
        new = [column for column in TAKEN if column in table and column not in found]
        found = found.merge(table[["customer_id", *new]], "left", "customer_id", validate="1:1")
    for column in CLASSES:
        found[column] = _each(found[column], say.word)
    found["churn_percent"] = (found.pop("churn_risk").astype(float) * 100).round(1)
    found["clv"] = found.clv.astype(float).round(2)
    found["held_back"] = found.held_back.eq(True).astype(bool)
    found["action"] = found.action.astype(object).mask(~found.may_contact, say.word("no_consent"))
    found["due"] = found.due.mask(~found.may_contact)
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
        changed[name] = _each(updates[name], lambda text: str(text).translate(wide))
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

        workbook.write_xlsx(rows, file, "updates", {wants.fields["customer_id"]: TEXT})
    half = len(rows) // 2
    if len(file.getvalue()) <= wants.max_bytes or not half:
        return [file.getvalue()]
    return _small_enough(rows.iloc[:half], wants) + _small_enough(rows.iloc[half:], wants)
