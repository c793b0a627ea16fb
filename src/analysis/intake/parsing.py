"""Texts of a company's records read as what their columns mean, once for all days.

A value that cannot be read is left empty; what was found there is kept as a mask.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.datatypes as dtype
from babel.core import Locale, get_global
from ibis import _
from ibis.expr.types import BooleanValue, StringValue, Table, TimestampValue, Value

from analysis.errors import InputError
from analysis.intake.dataset import Dataset
from analysis.intake.ids import read_id
from analysis.intake.order_lines import MONEY, MOST_MONEY, SHARES, order_lines, order_of
from analysis.intake.table_files import TableFile
from analysis.schema import RECORDS, Meaning

NEARLY_ALL = 0.99
# Days that programs write where there is none: what 0 means to them, and a date of zeros
NO_DAYS = (dt.date(1, 1, 1), dt.date(1900, 1, 1), dt.date(1970, 1, 1))
ZERO_DAY = r"^(0{4}[-/.]0{1,2}[-/.]0{1,2}|0{1,2}[-/.]0{1,2}[-/.]0{2,4})([T ]|$)"
# Day 0 of Excel's serial numbers, its 29 February 1900 included
EXCEL_EPOCH = dt.datetime(1899, 12, 30)
# What a currency is written as beside its ISO code. A sign that several share is taken as the
# dataset's own.
SIGNS = {
    "¥": ("CNY", "JPY"),
    "元": ("CNY",),
    "円": ("JPY",),
    "$": ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN"),
    "€": ("EUR",),
    "£": ("GBP",),
    "₩": ("KRW",),
    "₹": ("INR",),
    "RMB": ("CNY",),
    "R$": ("BRL",),
    **dict.fromkeys(("RS.", "RS"), ("INR",)),
    **{
        "ZŁ": ("PLN",),
        "KČ": ("CZK",),
        "FT": ("HUF",),
        "RP": ("IDR",),
        "₽": ("RUB",),
        "₺": ("TRY",),
    },
    **{"₫": ("VND",), "฿": ("THB",), "₱": ("PHP",), "₪": ("ILS",)},
}
NO_MONEY = {"XXX", "XTS"}  # codes that stand for none, and for tests
_SIGNED = {*SIGNS, *map(str.lower, SIGNS), *get_global("all_currencies")} - NO_MONEY
CURRENCY = "|".join(map(re.escape, sorted(_SIGNED, key=lambda one: (-len(one), one))))
# Dates with a month's name, as 5. Januar 2024 or 5 de enero de 2024, become 5 Jan 2024
LANGUAGES = ("de", "fr", "es", "pt", "it", "nl", "en")


def _month_names(month: int) -> str:
    """What a month is called and shortened to, with accents and without, long names first."""
    names = {
        forms[width][month].strip(".").casefold()
        for language in LANGUAGES
        for forms in Locale(language).months.values()
        for width in ("wide", "abbreviated")
    }
    names |= {unicodedata.normalize("NFD", n).encode("ascii", "ignore").decode() for n in names}
    return "|".join(sorted(names, key=lambda name: (-len(name), name)))


NAMED_DATE_STEPS = (
    (r"^[^\d,]+, *(\d)", r"\1"),  # the weekday
    (r"^(\d{1,2})\. +", r"\1 "),
    *(
        (rf"(?i)\b(?:de )?(?:{_month_names(month)})\b\.?(?: de\b)?", name)
        for month, name in Locale("en").months["format"]["abbreviated"].items()
    ),
    (r" (\d{1,2})\.(\d\d)\.(\d\d)(\.\d{1,6})?\d*", r" \1:\2:\3\4"),  # the clock of Oracle
)
# What a number is: texts are bared of currency and grouping, and the minus comes to the front.
# Patterns that the engine and Python read alike. The currencies stand in one of them only: a
# pattern of hundreds of codes takes longer to set up than the rows of a small file to read.
MONEY_SIGN = "¤"  # the sign of any currency
NUMBER_STEPS = (
    (rf"(?i){CURRENCY}", MONEY_SIGN),
    (r"/-$", ""),  # as in 1,200/-
    (r"^'", ""),  # by which spreadsheets mark a text
    (rf"^{MONEY_SIGN}\s*[-−–]$", "0"),  # as their accounting format writes it
    (rf"^([-−–+(]*)\s*{MONEY_SIGN}\s*", r"\1"),
    (rf"\s*{MONEY_SIGN}([-−–)]*)$", r"\1"),
    (r"^[-−–]?\s*[(]\s*([^-]*?)\s*[)]$", r"-\1"),
    (r"^([^-].*?)\s*[-−–]$", r"-\1"),
    (r"^[-−–]\s*", "-"),
)
NUMERAL = (
    r"^[+-]?([1-9]\d{0,2}((,\d{3})+|(['’]\d{3})+|( \d{3})+)"
    r"|[1-9]\d?(,\d\d)+,\d{3}"  # lakh and crore
    r"|\d*)(\.\d+)?$"
)
GROUPING = "[,'’ ]"  # to be taken out of a numeral
IDS = ("customer_id", "referrer")
# What stands in a row that sums up others; a word that could be a name is left to the money (judge)
TOTAL_CELLS = ("customer_id", "order_id", "product", "date")
TOTALS = (
    r"(?i)^\s*((grand|sub|report)[- ]?totals?|total (for|of) .*|gesamtsumme|zwischensumme"
    r"|总计|合计|小计)\s*:?\s*$"
)
# The same with a name, and as spreadsheets write them: sums where the row has no date
SUMS = (
    r"(?i)^\s*((total|sum|suma|somme|gesamt|ergebnis|\w*summe)([ :].*)?|(总计|合计|小计|汇总).*"
    r"|.*[ _](total|sum|summe|gesamt|ergebnis)\s*:?|.*(总计|合计|小计|汇总)\s*[:：]?)\s*$"
)
YES = ("true", "yes", "y", "1", "t", "x", "是", "有", "已")
NO = ("false", "no", "n", "0", "f", "否", "无", "未")
UTC = dtype.Timestamp(timezone="UTC")


@ibis.udf.scalar.builtin
def try_strptime(text: str, format: str) -> dtype.timestamp:
    """The moment a text names in a format, or nothing."""


@ibis.udf.scalar.builtin(name="try_strptime")
def try_strptime_zoned(text: str, format: str) -> UTC:  # type: ignore[valid-type]
    """The same where the format says the offset from UTC."""


@ibis.udf.scalar.builtin
def timezone(zone: str, moment: UTC) -> dtype.timestamp:  # type: ignore[valid-type]
    """The clock time of a moment in a zone."""


def newest_day(orders: Table) -> dt.date | None:
    """The day by which nearly all order lines were, so that a few mistyped ones move nothing."""
    found = orders.filter(_.day.notnull()).group_by("day").agg(rows=_.count()).order_by("day")
    days = found.to_pandas()
    if days.empty:
        return None
    late = days.day[days.rows.cumsum() >= NEARLY_ALL * days.rows.sum()]
    return dt.date.fromisoformat(str(late.iloc[0])[:10])


def parse(
    raw: Table,
    table: str,
    file: TableFile,
    dataset: Dataset,
    source: str,
    newest: dt.date | None = None,
) -> Table:
    """The rows of one piece with their columns typed, `source` and `line`, for any day. `newest` is
    the newest day of the orders: a birthday with a year of two digits is before it, an order's date
    is before tomorrow.

    `fields` is the number of fields of a line that has too few or too many. For each column not
    read as text `found_<column>` masks what was found where it is not readable.
    """
    known = RECORDS[table].columns
    raw = _of_order(raw, file, known)
    texts = {name: raw[name] for name in (*file.columns, *file.attributes)}
    if file.before_discount in SHARES:
        texts["discount"] = texts["discount"].re_replace(" *%$", "")
    texts |= {name: ibis.literal(value) for name, value in file.constants.items()}
    kinds = {name: known[name].reads_as if name in known else "text" for name in texts}
    read = {name: _read(kinds[name], text, name, file, dataset) for name, text in texts.items()}
    latest = {"birthday": newest} if newest else {}
    if table == "transactions":
        latest["date"] = dt.date.today()
    for name in read.keys() & latest.keys():
        if "%y" in file.format_of(name):
            read[name] = _before(latest[name], read[name])
    ids = {name: read_id(texts[name], dataset) for name in IDS if name in texts}
    written = {
        f"text_{name}": text
        for name, text in texts.items()
        if kinds[name] != "text" or name == "customer_id"
    }
    if table == "transactions":
        cells = [texts[name] for name in TOTAL_CELLS if name in texts]
        undated = texts["date"].isnull()
        sums = (c.re_search(TOTALS) | (undated & c.re_search(SUMS)) for c in cells)
        read["total"] = reduce(or_, (one.fill_null(False) for one in sums))
        others = [raw[name].isnull() for name in file.columns if name not in file.fill_down]
        if file.fill_down and others:
            read["heading"] = reduce(and_, [*others, raw.fields.isnull()])
    typed = raw.select(
        source=ibis.literal(source), line=raw.line, fields=raw.fields, **read | ids, **written
    )
    found = {}
    for name in (text.removeprefix("text_") for text in written):
        text = typed[f"text_{name}"]
        was = text if name == "customer_id" else mask(text)  # a word that stands for nobody
        found[f"found_{name}"] = ibis.ifelse(typed[name].isnull(), was, None)
    if table == "transactions":
        found["currency"] = _currency(typed, dataset)
    typed = typed.mutate(**found).drop(*written)
    if table == "transactions":
        typed = typed.mutate(currency=typed.currency.substitute(_codes(dataset)))
    if "date" in kinds:
        day = typed.date.cast("date")
        clock = {"moment": typed.date.nullif(day.cast("timestamp"))}
        typed = typed.mutate(day=day, **(clock if kinds["date"] == "moment" else {})).drop("date")
    if "opt_out" in kinds:
        agreed = [typed.consent] if "consent" in kinds else []
        typed = typed.mutate(consent=reduce(and_, agreed, ~typed.opt_out)).drop("opt_out")
    return order_lines(typed, file, dataset) if table == "transactions" else typed


def _before(latest: dt.date, read: Value) -> Value:
    """Dates or moments with a year of two digits in the century in which they are no later."""
    earlier = (read - ibis.interval(years=100)).cast(read.type())
    return ibis.ifelse(read.cast("date") > latest, earlier, read)


def _of_order(raw: Table, file: TableFile, known: Mapping[str, Meaning]) -> Table:
    """The texts with what stands for a whole order in its rows: each sum of money in the first row
    that has it, 0 in the others; another value where the row has none.
    """
    made = {}
    order = order_of(raw, file)
    for name in file.of_order:
        first = raw[name].argmin(raw.line).over(group_by=order)
        if known[name].reads_as == "money":
            here = raw.line == raw.line.min().over(group_by=[order, raw[name]])
            zero = ibis.ifelse(first.isnull(), None, "0")
            made[name] = ibis.ifelse(raw[name].notnull() & here, raw[name], zero)
        else:
            made[name] = ibis.coalesce(raw[name], first)
    return raw.mutate(**made)


def _read(reads_as: str, text: StringValue, name: str, file: TableFile, dataset: Dataset) -> Value:
    if reads_as in ("moment", "day"):
        moment = read_moment(text, file.format_of(name), dataset.time_zone)
        if name == "date":
            none = ibis.literal(NO_DAYS[0]).cast("timestamp")
            moment = ibis.ifelse(text.re_search(ZERO_DAY), none, moment)
        return moment if reads_as == "moment" else moment.date()
    if reads_as == "money":
        money = read_number(text, file.decimal, MONEY)
        of_line = name in ("amount", "unit_price")  # judged by what they come to (order_lines)
        return money if of_line else ibis.ifelse(money.abs() <= MOST_MONEY, money, None)
    if reads_as == "number":
        number = read_number(text, file.decimal, "float64")
        return ibis.ifelse(number.isinf() | number.isnan(), None, number)
    return read_flag(text) if reads_as == "flag" else text


def read_moment(text: StringValue, date_format: str, time_zone: str) -> TimestampValue:
    """The clock time in the dataset's zone that a text names; nothing where it names none.

    A text without an offset from UTC is taken as clock time of that zone already.
    """
    zone = ibis.literal(time_zone)
    if date_format in ("iso", "excel"):
        # The plain cast passes over an offset or a zone.
        zoned = text.contains(":") & text.re_search(":.*[A-Za-z+-]")
        iso = ibis.ifelse(zoned, timezone(zone, text.try_cast(UTC)), text.try_cast("timestamp"))
        if date_format == "iso":
            return iso
        days = text.replace(",", ".").try_cast("float64")
        serial = ibis.literal(EXCEL_EPOCH) + (days * 86_400).round().cast("int64").as_interval("s")
        return ibis.coalesce(ibis.ifelse(days.between(1, 2_958_465), serial, None), iso)
    if date_format in ("epoch_s", "epoch_ms"):
        seconds = text.try_cast("float64") / (1_000 if date_format == "epoch_ms" else 1)
        possible = ibis.ifelse(seconds.between(-1e11, 1e11), seconds, None)
        return timezone(zone, possible.floor().cast("int64").as_timestamp("s").cast(UTC))
    if "%Z" in date_format:  # PST, CST, CET: the clock there, as it stands
        text, date_format = text.re_replace(" *[A-Za-z]+$", ""), date_format.replace("%Z", "")
        return read_moment(text, date_format.rstrip(), time_zone)
    if "%b" in date_format:
        text = reduce(lambda named, step: named.re_replace(*step), NAMED_DATE_STEPS, text)
    if "%z" in date_format:
        return timezone(zone, try_strptime_zoned(text, date_format))
    return try_strptime(text, date_format)


def read_number(text: StringValue, decimal: str, kind: str) -> Value:
    """The number a text names, as 1,234.50, ¥1,234.50, (5.00), 5.00-, or with a comma 1.234,50."""
    pointed = text.translate(".,", ",.") if decimal == "," else text
    # One chain, in which nothing stands twice: worked out only for the texts that need it
    bared = reduce(lambda bare, step: bare.re_replace(*step), NUMBER_STEPS, pointed)
    bare = bared.re_extract(NUMERAL, 0).re_replace(GROUPING, "")
    number = ibis.coalesce(pointed.try_cast(kind), bare.try_cast(kind))
    return ibis.ifelse(text.contains("_"), None, number)  # 12_50, which the engine reads as 1250


def read_flag(text: StringValue) -> BooleanValue:
    """Yes or no; nothing for another word."""
    word = text.lower()
    return ibis.cases((word.isin(YES), True), (word.isin(NO), False), else_=ibis.null("boolean"))


def mask(text: StringValue) -> StringValue:
    """The outline of a text without its content: letters become x, digits 9."""
    return text.re_replace(r"[\p{L}\p{M}]", "x").re_replace(r"\p{N}", "9")


def _currency(typed: Table, dataset: Dataset) -> StringValue:
    """The currency of a line as written: in its column, or in its amount; or the dataset's."""
    said = []
    if "currency" in typed.columns:
        said.append(typed.currency.upper())
    if money := [name for name in ("amount", "unit_price") if f"text_{name}" in typed.columns]:
        text = typed[f"text_{money[0]}"]
        signed = typed[money[0]].notnull() & text.try_cast("float64").isnull()
        sign = text.upper().re_extract(rf"({CURRENCY})", 1).nullif("")
        said.append(ibis.ifelse(signed, sign, None))
    return ibis.coalesce(*said, ibis.literal(dataset.currency))


def _codes(dataset: Dataset) -> dict[str, str]:
    """The currency that each sign means to a dataset: its own where several share the sign."""
    home = dataset.currency
    return {sign: home if home in shared else shared[0] for sign, shared in SIGNS.items()}


def check_currencies(typed: Table, dataset: Dataset) -> None:
    """Refuse (InputError) order lines in a currency that the dataset file gives no rate for."""
    strange = typed.filter(_.foreign.notnull() & ~_.foreign.isin([*dataset.rates]))
    plain = strange.foreign.re_search("^[A-Z]{3}$")  # if not, another column's text
    code = ibis.ifelse(plain, strange.foreign, mask(strange.foreign))
    counted = strange.group_by(currency=code).agg(rows=_.count())
    foreign = counted.order_by(ibis.desc("rows"), "currency").to_pandas()
    if len(foreign):
        found = ", ".join(f"{row.rows:,} in {row.currency}" for row in foreign[:5].itertuples())
        raise InputError(
            f"{dataset.file}: besides lines in {dataset.currency} there are {found}; say under"
            f" rates what one unit is worth in {dataset.currency}, as {foreign.currency[0]}: 7.2"
        )
