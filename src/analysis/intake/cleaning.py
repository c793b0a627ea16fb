"""A company's records read and judged: each row is kept, merged into the one it repeats, or
rejected, with the reason.

First the texts of a row are read as what their columns mean (`parse`), once for all days. Then the
rows are judged as of a day (`judge`). A value that cannot be read and is not needed is left empty:
the row is kept, mended.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.datatypes as dtype
import pandas as pd
from babel.core import get_global
from ibis import _
from ibis.expr.types import BooleanValue, IntegerValue, StringValue, Table, TimestampValue, Value

from analysis.errors import InputError, RunError
from analysis.intake.dataset import Dataset, TableFile
from analysis.schema import RECORDS

MONEY = "decimal(38, 12)"
# Factors whose products cannot overflow: money up to 1e16, pieces up to 1e10, rates up to 1e6.
PRICE, PIECES = "decimal(22, 6)", "decimal(16, 6)"
ABROAD, RATE = "decimal(24, 8)", "decimal(14, 8)"
EARLIEST, LATEST = dt.date(1970, 1, 1), dt.date(2100, 1, 1)  # a date outside is a typing error
STRAY_DAYS, STRAY_SHARE = (
    180,
    0.01,
)  # a day so long after the one before, with so few lines from there on, is mistyped
EXCEL_EPOCH = dt.datetime(
    1899, 12, 30
)  # day 0 of Excel's serial numbers, its 29 February 1900 included
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
}
NO_MONEY = {"XXX", "XTS"}  # codes that stand for none, and for tests
YES = ("true", "yes", "y", "1", "t", "x", "是", "有", "已")
NO = ("false", "no", "n", "0", "f", "否", "无", "未")


@ibis.udf.scalar.builtin
def try_strptime(text: str, format: str) -> dtype.timestamp:
    """The moment a text names in a format, or nothing."""


@ibis.udf.scalar.builtin(name="try_strptime")
# type: ignore[valid-type]
def try_strptime_zoned(text: str, format: str) -> dtype.Timestamp(timezone="UTC"):
    """The same where the format says the offset from UTC."""


@ibis.udf.scalar.builtin
# type: ignore[valid-type]
def timezone(zone: str, moment: dtype.Timestamp(timezone="UTC")) -> dtype.timestamp:
    """The clock time of a moment in a zone."""


# --- reading texts as what they mean
# ----------------------------------------------------------------------------------


def parse(raw: Table, table: str, file: TableFile, dataset: Dataset, source: str) -> Table:
    """The rows of one piece with their columns typed, `source` and `line`, for any day.

    `fields` is the number of fields of a line that has too few or too many. For each column not
    read as text `found_<column>` is the shape of what was found where it is not readable.
    """
    known = RECORDS[table].columns
    texts = {name: raw[name] for name in (*file.columns, *file.attributes)}
    texts |= {name: ibis.literal(value) for name, value in file.constants.items()}
    kinds = {name: known[name].reads_as if name in known else "text" for name in texts}
    read = {name: _read(kinds[name], text, name, file, dataset) for name, text in texts.items()}
    written = {f"text_{name}": text for name, text in texts.items() if kinds[name] != "text"}
    typed = raw.select(
        source=ibis.literal(source), line=raw.line, fields=raw.fields, **read, **written
    )
    found = {
        f"found_{n[5:]}": ibis.ifelse(typed[n[5:]].isnull(), mask(typed[n]), None) for n in written
    }
    if table == "transactions" and (money := [n for n in ("amount", "unit_price") if n in kinds]):
        text = typed[f"text_{money[0]}"]
        signed = typed[money[0]].notnull() & text.try_cast("float64").isnull()
        found["sign"] = ibis.ifelse(signed, currency_in(text, dataset.currency), None)
    typed = typed.mutate(**found).drop(*written)
    if "date" in typed.columns:
        day = typed.date.cast("date")
        clock = (
            {"moment": typed.date.nullif(day.cast("timestamp"))}
            if kinds["date"] == "moment"
            else {}
        )
        typed = typed.mutate(day=day, **clock).drop("date")
    if "opt_out" in typed.columns:
        agreed = [typed.consent] if "consent" in typed.columns else []
        typed = typed.mutate(consent=reduce(and_, agreed, ~typed.opt_out)).drop("opt_out")
    return _order_lines(typed, file, dataset) if table == "transactions" else typed


def _read(reads_as: str, text: StringValue, name: str, file: TableFile, dataset: Dataset) -> Value:
    if reads_as in ("moment", "day"):
        moment = read_moment(text, file.format_of(name), dataset.time_zone)
        return moment if reads_as == "moment" else moment.date()
    if reads_as == "money":
        return read_number(text, file.decimal, MONEY)
    if reads_as == "number":
        number = read_number(text, file.decimal, "float64")
        return ibis.ifelse(number.isinf() | number.isnan(), None, number)
    return read_flag(text) if reads_as == "flag" else text


def read_moment(text: StringValue, date_format: str, time_zone: str) -> TimestampValue:
    """The clock time in the dataset's zone that a text names; nothing where it names none in this
    format.

    A text without an offset from UTC is taken as clock time of that zone already.
    """
    zone = ibis.literal(time_zone)
    iso = ibis.ifelse(
        text.contains(":")
        & text.re_search(":.*[A-Za-z+-]"),  # an offset or a zone, which the other cast passes over
        timezone(zone, text.try_cast(dtype.Timestamp(timezone="UTC"))),
        text.try_cast("timestamp"),
    )
    if date_format == "iso":
        return iso
    if date_format == "excel":
        days = text.try_cast("float64")
        serial = ibis.literal(EXCEL_EPOCH) + (days * 86_400).round().cast("int64").as_interval("s")
        return ibis.coalesce(ibis.ifelse(days.between(1, 2_958_465), serial, None), iso)
    if date_format in ("epoch_s", "epoch_ms"):
        seconds = text.try_cast("float64") / (1_000 if date_format == "epoch_ms" else 1)
        possible = ibis.ifelse(seconds.between(-1e11, 1e11), seconds, None)
        return timezone(
            zone,
            possible.floor().cast("int64").as_timestamp("s").cast(dtype.Timestamp(timezone="UTC")),
        )
    if "%z" in date_format or "%Z" in date_format:
        return timezone(zone, try_strptime_zoned(text, date_format))
    return try_strptime(text, date_format)


def read_number(text: StringValue, decimal: str, kind: str) -> Value:
    """The number a text names: 1,234.50, ¥1,234.50, (5.00), 5.00-; with a decimal comma 1.234,50."""
    pointed = text.translate(".,", ",.") if decimal == "," else text
    number = ibis.coalesce(pointed.try_cast(kind), _bare(pointed).try_cast(kind))
    return ibis.ifelse(text.contains("_"), None, number)  # 12_50, which the engine reads as 1250


def _bare(text: StringValue) -> StringValue:
    """A number without currency and grouping, its minus in front; nothing where groups are not of
    three digits.

    One chain, in which nothing stands twice: the engine then works it out only for the texts that
    need it.
    """
    plain = text.re_replace(rf"(?i)^([-−–+(]*)\s*({_CURRENCY})\s*", r"\1").re_replace(
        rf"(?i)\s*({_CURRENCY})([-−–)]*)$", r"\2"
    )
    open_ = plain.re_replace(r"^[-−–]?\s*[(]\s*([^-]*?)\s*[)]$", r"-\1")
    signed = open_.re_replace(r"^([^-].*?)\s*[-−–]$", r"-\1").re_replace(r"^[-−–]\s*", "-")
    whole = signed.re_extract(
        r"^[+-]?([1-9]\d{0,2}((,\d{3})+|(['’]\d{3})+|( \d{3})+)|\d*)(\.\d+)?$", 0
    )
    return whole.re_replace("[,'’ ]", "")


_CURRENCY = "|".join(
    [
        *(f"[{sign}]" if len(sign) == 1 else sign for sign in SIGNS),
        *sorted(set(get_global("all_currencies")) - NO_MONEY),
    ]
)


def currency_in(text: StringValue, home: str) -> StringValue:
    """The ISO code of the currency that stands in an amount; nothing where none does."""
    return text.upper().re_extract(rf"({_CURRENCY})", 1).substitute(_codes(home)).nullif("")


def _codes(home: str) -> dict[str, str]:
    return {sign: home if home in shared else shared[0] for sign, shared in SIGNS.items()}


def read_flag(text: StringValue) -> BooleanValue:
    """Yes or no; nothing for another word."""
    return ibis.cases(
        (text.lower().isin(YES), True), (text.lower().isin(NO), False), else_=ibis.null("boolean")
    )


def mask(text: StringValue) -> StringValue:
    """The shape of a text without its content: letters become x, digits 9."""
    return text.re_replace(r"[\p{L}\p{M}]", "x").re_replace(r"\p{N}", "9")


def _order_lines(typed: Table, file: TableFile, dataset: Dataset) -> Table:
    """Order lines with their money signed and in the dataset's currency, and what marks them."""
    currency = _currency(typed, dataset)
    amount = _amount(typed)
    money = None if amount is None else _converted(amount, currency, dataset)
    returned = _marked_as_return(typed, file)
    if money is not None:
        returned |= (money < 0).fill_null(False)
    known: dict[str, Value] = {}
    if "quantity" in typed.columns:
        known["quantity"] = _signed(typed.quantity, returned)
    if (cost := _cost(typed, amount)) is not None:
        known["cost"] = _signed(_converted(cost, currency, dataset), returned)
    if "discount" in typed.columns:
        known["discount"] = _converted(typed.discount, currency, dataset)
    if file.returns.prefix:
        known["sale_id"] = typed.order_id.re_replace(f"^{re.escape(file.returns.prefix)}", "")
    if money is not None:
        known["amount"] = _signed(money, returned)
    if "found_unit_price" in typed.columns and "amount" not in typed.columns:
        known["found_amount"] = ibis.coalesce(typed.found_unit_price, typed.found_quantity)
    if "found_profit" in typed.columns and "cost" not in typed.columns:
        known["found_cost"] = typed.found_profit
    if file.void_status:
        known["void"] = _one_of(typed, "status", file.void_status)
    lines = typed.mutate(returned=returned, foreign=currency.nullif(dataset.currency), **known)
    if file.order_key:
        lines = lines.mutate(
            mark=_mark(lines, ["day" if name == "date" else name for name in file.order_key])
        )
    done = (
        "unit_price",
        "found_unit_price",
        "profit",
        "found_profit",
        "status",
        "sign",
        "currency",
    )
    return lines.drop([c for c in done if c in lines.columns])


def _amount(typed: Table) -> Value | None:
    if "amount" in typed.columns:
        return typed.amount
    if {"unit_price", "quantity"} <= set(typed.columns):
        return (typed.unit_price.try_cast(PRICE) * typed.quantity.try_cast(PIECES)).try_cast(MONEY)
    return None


def _cost(typed: Table, amount: Value | None) -> Value | None:
    if "cost" in typed.columns:
        return typed.cost
    return (
        (amount - typed.profit).try_cast(MONEY)
        if "profit" in typed.columns and amount is not None
        else None
    )


def _signed(value: Value, returned: BooleanValue) -> Value:
    return ibis.ifelse(returned & (value > 0), -value, value)


def _marked_as_return(typed: Table, file: TableFile) -> BooleanValue:
    marks = [_one_of(typed, "status", file.returns.status)]
    if "quantity" in typed.columns:
        marks.append((typed.quantity < 0).fill_null(False))
    if file.returns.prefix:
        marks.append(typed.order_id.startswith(file.returns.prefix).fill_null(False))
    return reduce(or_, marks)


def _one_of(typed: Table, column: str, words: list[str]) -> BooleanValue:
    if not words:
        return ibis.literal(False)
    return typed[column].lower().isin([word.strip().lower() for word in words]).fill_null(False)


def _currency(typed: Table, dataset: Dataset) -> StringValue:
    """The currency of a line: its column, or the sign in its amount, or the dataset's."""
    named = (
        [typed.currency.upper().substitute(_codes(dataset.currency))]
        if "currency" in typed.columns
        else []
    )
    signs = [typed.sign] if "sign" in typed.columns else []
    return ibis.coalesce(*named, *signs, ibis.literal(dataset.currency))


def _converted(money: Value, currency: StringValue, dataset: Dataset) -> Value:
    for code, rate in dataset.rates.items():
        there = (money.try_cast(ABROAD) * ibis.literal(f"{rate:.8f}").cast(RATE)).try_cast(MONEY)
        money = ibis.ifelse(currency == code, there, money)
    return money


def check_currencies(typed: Table, dataset: Dataset) -> None:
    """Refuse (InputError) order lines in a currency that the dataset file gives no rate for."""
    strange = typed.filter(_.foreign.notnull() & ~_.foreign.isin([*dataset.rates]))
    code = ibis.ifelse(
        strange.foreign.re_search("^[A-Z]{3}$"), strange.foreign, mask(strange.foreign)
    )  # or another column's
    foreign = (
        strange.group_by(currency=code)
        .agg(rows=_.count())
        .order_by(ibis.desc("rows"), "currency")
        .to_pandas()
    )
    if len(foreign):
        found = ", ".join(f"{row.rows:,} in {row.currency}" for row in foreign[:5].itertuples())
        raise InputError(
            f"{dataset.file}: besides lines in {dataset.currency} there are {found}; say under"
            f" rates what one unit is worth in {dataset.currency}, as {foreign.currency[0]}: 7.2"
        )


# --- judging rows as of a day
# -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """Rows for which `broken` holds are set apart; the first rule that holds gives the reason.

    A rule is for tables that have the column `needs`, or for one table `only`.
    """

    reason: str
    column: str
    needs: str
    broken: Callable[[Table, dt.date], BooleanValue]
    outcome: str = "rejected"
    only: str = ""


RULES = (
    Rule("wrong_field_count", "", "fields", lambda t, as_of: t.fields.notnull()),
    Rule("no_customer", "customer_id", "customer_id", lambda t, as_of: t.customer_id.isnull()),
    Rule("no_campaign", "campaign_id", "campaign_id", lambda t, as_of: t.campaign_id.isnull()),
    Rule("no_product", "product", "product", lambda t, as_of: t.product.isnull(), only="products"),
    Rule("date_unreadable", "date", "day", lambda t, as_of: t.day.isnull()),
    Rule("date_impossible", "date", "day", lambda t, as_of: ~t.day.between(EARLIEST, LATEST)),
    Rule("after_as_of", "date", "day", lambda t, as_of: t.day > as_of),
    Rule("void_status", "status", "void", lambda t, as_of: t.void),
    Rule(
        "amount_unreadable",
        "amount",
        "found_amount",
        lambda t, as_of: t.amount.isnull(),
        only="transactions",
    ),
    Rule("return_without_amount", "", "returned", lambda t, as_of: t.returned & t.amount.isnull()),
    Rule(
        "repeats_order_line",
        "order_id",
        "copy",
        lambda t, as_of: t.copy,
        "merged",
        only="transactions",
    ),
    Rule(
        "repeats_customer",
        "customer_id",
        "copy",
        lambda t, as_of: t.copy,
        "merged",
        only="customers",
    ),
    Rule("repeats_product", "product", "copy", lambda t, as_of: t.copy, "merged", only="products"),
)


# What must be equal for two rows to be the same: the first column is compared first, as few rows
# share it.
COPY_KEYS = {
    "transactions": ["mark", "customer_id", "day", "amount"],
    "customers": ["customer_id"],
    "products": ["product"],
}


def judge(typed: Table, as_of: dt.date, table: str = "transactions") -> Table:
    """Adds `copy`, `outcome` (kept, merged, rejected) and the rule's `reason` and `column` to every
    row of a table.
    """
    if table == "transactions" and "amount" not in typed.columns:
        typed = typed.mutate(amount=ibis.null(MONEY))
    numbered = _mark_copies(typed, as_of, table)
    rules = [rule for rule in RULES if rule.needs in numbered.columns and rule.only in ("", table)]
    broken = [rule.broken(numbered, as_of).fill_null(False) for rule in rules]
    verdict = {"outcome": "kept", "reason": "", "column": ""}
    return numbered.mutate(
        **{
            name: ibis.cases(
                *((b, getattr(rule, name)) for b, rule in zip(broken, rules, strict=True)),
                else_=otherwise,
            )
            for name, otherwise in verdict.items()
        }
    )


def _mark(lines: Table, order_key: list[str]) -> IntegerValue:
    """A number that order lines share where all columns of the order key are filled and the same;
    none if they are void.
    """
    filled = reduce(
        and_,
        (lines[name].notnull() for name in order_key),
        ~lines.void if "void" in lines.columns else True,
    )
    named = {name: lines[name] for name in order_key}
    return ibis.ifelse(
        filled, fingerprint(lines, named | {"key": ibis.literal(",".join(order_key))}), None
    )


def fingerprint(rows: Table, columns: dict[str, Value]) -> IntegerValue:
    """A number that is the same for the same values, and another for others but by the rarest
    chance.
    """
    return ibis.struct(columns).hash()


def _mark_copies(typed: Table, as_of: dt.date, table: str) -> Table:
    """Adds `copy`: whether a row repeats an earlier one, where a key proves that they are the same.

    An order line repeats another if the order key, customer, day and money are equal; of a
    customer's profiles the one updated last by the day stays.
    """
    key = COPY_KEYS.get(table, [])
    if not key or key[0] not in typed.columns:
        return typed
    suspects = (
        typed.group_by(key[0])
        .agg(rows=_.count())
        .filter((_.rows > 1) & _[key[0]].notnull())
        .cache()
    )
    if not suspects.count().execute():
        return typed
    known = (
        [ibis.ifelse(typed.updated <= as_of, typed.updated, None)]
        if "updated" in typed.columns
        else []
    )
    order = [*map(ibis.desc, known), "source", "line"]
    number = ibis.row_number().over(group_by=key, order_by=order)
    alike = typed.filter(_.fields.isnull()).semi_join(suspects, key[0]).mutate(number=number)
    copies = alike.filter(_.number > 0).select("source", "line", copy=ibis.literal(True)).cache()
    joined = typed.left_join(copies, ["source", "line"]).drop("source_right", "line_right")
    return joined.mutate(copy=joined.copy.fill_null(False))


def transactions(judged: Table, products: Table | None = None) -> Table:
    """The kept lines as the table `transactions`; `products` (kept rows) gives the category where
    the log has none.
    """
    kept = categorised(judged.filter(_.outcome == "kept"), products)
    linked = link_returns(kept)
    clock = ["moment"] if has_clock(judged) else []
    wanted = [*clock, "quantity", "cost", "discount", "order_id", "product", "category", "channel"]
    have = [name for name in wanted if name in kept.columns]
    return linked.select(
        "customer_id",
        "day",
        "amount",
        *have,
        sale_day=linked.sale_day,
        source=linked.source,
        line=linked.line,
    )


def categorised(log: Table, products: Table | None) -> Table:
    """The log with the category of the product where a row names none; `products` has one row per
    product.
    """
    if products is None or "product" not in log.columns or "category" not in products.columns:
        return log
    joined = log.left_join(products.select("product", product_category=_.category), "product")
    said = joined.category if "category" in log.columns else ibis.null("string")
    return joined.mutate(category=ibis.coalesce(said, joined.product_category)).select(
        *log.columns, *({"category"} - {*log.columns})
    )


def link_returns(kept: Table) -> Table:
    """Adds `sale_day`: the day of the sale that a return takes back, where one can be found, on or
    before its own day.

    A return belongs to the latest sale of the customer with the same order (and product), else to
    the latest with the same money (and product).
    """
    if not kept.returned.any().execute():
        return kept.mutate(sale_day=ibis.null("date"))
    returns = kept.filter(_.returned).cache()
    product = ["product"] if "product" in kept.columns else []
    sales, links = kept.filter(~_.returned), []
    if "order_id" in kept.columns:
        links.append(
            _latest_sale(_by_sale(returns), _by_sale(sales), ["customer_id", "sale_id", *product])
        )
    links.append(
        _latest_sale(
            returns.mutate(amount=-returns.amount), sales, ["customer_id", "amount", *product]
        )
    )
    for number, link in enumerate(links):
        kept = kept.left_join(
            link.rename({f"sale_{number}": "sale"}).cache(), ["source", "line"]
        ).drop("source_right", "line_right")
    return kept.mutate(
        sale_day=ibis.coalesce(*(kept[f"sale_{number}"] for number in range(len(links))))
    )


def _by_sale(lines: Table) -> Table:
    return lines.mutate(
        sale_id=ibis.coalesce(*(lines[c] for c in ("sale_id", "order_id") if c in lines.columns))
    )


def _latest_sale(returns: Table, sales: Table, same: list[str]) -> Table:
    seen = sales.select(*same, sold=sales.day)
    pairs = returns.select(*same, "day", "source", "line").join(seen, same)
    return pairs.filter(pairs.sold <= pairs.day).group_by("source", "line").agg(sale=_.sold.max())


def has_clock(typed: Table) -> bool:
    """Whether the log says the time of day."""
    return "moment" in typed.columns and bool(typed.moment.notnull().any().execute())


def records(judged: Table) -> Table:
    """The kept rows of a table other than the transactions, in its contract's columns, and
    attributes.
    """
    dropped = {"fields", "copy", "outcome", "reason", "column"} | {
        c for c in judged.columns if c.startswith("found_")
    }
    return judged.filter(_.outcome == "kept").drop([c for c in judged.columns if c in dropped])


def last_complete_day(typed: Table, dataset: Dataset) -> dt.date:
    """The last day with an order; where the log has clock times the day before it, which may be cut
    short.
    """
    if (span := _span(typed)) is None:
        file = dataset.files("transactions")[0]
        example = typed.found_date.first().execute()
        raise InputError(
            f"{dataset.file}: no date in column {file.columns.get('date')} reads as"
            f" {file.format_of('date')} (found e.g. {example!r}, digits masked); correct"
            " tables.transactions.date_format"
        )
    return span[1] - dt.timedelta(days=1) if has_clock(typed) else span[1]


def _span(typed: Table) -> tuple[dt.date, dt.date] | None:
    """The first and the last day with lines; a few far beyond all others are mistyped, and do not
    move the last.
    """
    lines = (
        typed.filter(_.day.between(EARLIEST, LATEST))
        .group_by("day")
        .agg(lines=_.count())
        .order_by("day")
        .to_pandas()
    )
    if lines.empty:
        return None
    days = pd.to_datetime(lines.day)
    share_from_here = lines.lines[::-1].cumsum()[::-1] / lines.lines.sum()
    stray = (days.diff().dt.days > STRAY_DAYS) & (share_from_here < STRAY_SHARE)
    last = days[~stray.cummax()].iloc[-1]
    return days.iloc[0].date(), last.date()


def check_as_of(typed: Table, dataset: Dataset, as_of: dt.date) -> None:
    """Refuse a day before the data begins (InputError) or so far beyond that everyone seems to
    leave (RunError).
    """
    oldest, newest = _span(typed) or (as_of, as_of)
    if as_of < oldest:
        raise InputError(
            f"as-of {as_of} lies before the data, which begins on {oldest}; choose a later day"
        )
    if (stale := (as_of - newest).days) > dataset.max_staleness_days:
        raise RunError(
            f"as-of {as_of} is {stale} days after the newest order ({newest}), more than"
            f" max_staleness_days ({dataset.max_staleness_days}): everyone would seem to leave."
            f" Export again, or pass --as-of {newest}"
        )


def rejects(judged: Table, table: str = "transactions") -> Table:
    """The other rows as the table `rejects`, and the values of kept rows that were left empty
    (mended).
    """
    money = judged.amount if table == "transactions" else ibis.null(MONEY)
    shown = [c for c in judged.columns if c.startswith("found_")]
    of_note = reduce(or_, (judged[c].notnull() for c in shown), judged.outcome != "kept")
    columns = ["source", "line", "outcome", "column", "reason", "fields", *shown]
    noted = (
        judged.filter(of_note).select(*columns, table=ibis.literal(table), amount=money).cache()
    )  # few: read once
    values = [(noted.column == c.removeprefix("found_"), noted[c]) for c in shown]
    count = noted.fields.cast("string") + " fields"
    apart = noted.mutate(value=ibis.cases(*values, else_=count) if values else count).filter(
        _.outcome != "kept"
    )
    kept = noted.filter(_.outcome == "kept").mutate(
        outcome=ibis.literal("mended"), reason=ibis.literal("left_empty")
    )
    mended = [
        kept.filter(kept[c].notnull()).mutate(column=ibis.literal(c[6:]), value=kept[c])
        for c in shown
    ]
    every = [rows.select("table", *columns[:5], "value", "amount") for rows in (apart, *mended)]
    return ibis.union(*every) if mended else every[0]
