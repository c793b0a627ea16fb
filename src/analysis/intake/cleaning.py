"""A company's records judged as of a day: each row is kept, merged into the one it repeats, or
rejected, with the reason.
"""

import datetime as dt
from dataclasses import dataclass
from functools import reduce
from operator import or_

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.common.deferred import Deferred
from ibis.expr.types import BooleanValue, Table

from analysis.customers import is_return
from analysis.errors import InputError, RunError
from analysis.intake.dataset import Dataset
from analysis.intake.order_lines import MONEY
from analysis.intake.parsing import NO_DAYS
from analysis.report.text import N_, labelled, say

EARLIEST, LATEST = dt.date(1970, 1, 2), dt.date(2100, 1, 1)  # a date outside is a typing error
# A day so long after the one before, with so few lines from there on, is mistyped.
STRAY_DAYS, STRAY_SHARE = 180, 0.01
FEWEST_OF_A_TOTAL = 5  # rows; of fewer one may be the sum of the others by chance
# Rows that were never meant to count
NO_LOSS = ("void_status", "total_row", "group_heading", "after_as_of")
MOST_LOST = 0.05  # of rows, or of money, that are set apart before a run asks whether that is right


@dataclass(frozen=True, eq=False)
class Rule:
    """Rows for which `broken` holds (by default: where `needs` is empty) are set apart; the first
    rule that holds gives the reason.

    `label` is what pages call it, `column` where the fault is. A rule is for tables that have the
    column `needs`, or for one table `only`. `broken` may also ask for `as_of` and `is_return`. One
    with a `key` merges rows in which all columns of the key are equal; the first of them is
    compared first, as few rows share it.
    """

    reason: str
    label: str
    column: str
    needs: str
    broken: Deferred | None = None
    only: str = ""
    key: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """What becomes of the rows."""
        return "merged" if self.key else "rejected"


def _repeats(reason: str, label: str, column: str, table: str, *key: str) -> Rule:
    return Rule(reason, label, column, "copy", _.copy, table, key or (column,))


LINE = ("mark", "customer_id", "day", "amount")
APART = ("product", "moment")  # another of these is another line, whatever the order key says
NOTHING = _.returned & (_.amount.isnull() | ~_.is_return)
RULES = (
    Rule("wrong_field_count", N_("too few or too many fields"), "", "fields", _.fields.notnull()),
    Rule("total_row", N_("sums up other rows"), "", "total", _.total),
    Rule("group_heading", N_("names the rows below it"), "", "heading", _.heading),
    Rule("no_customer", N_("no customer id"), "customer_id", "customer_id"),
    Rule("no_campaign", N_("no campaign"), "campaign_id", "campaign_id"),
    Rule("no_product", N_("no product"), "product", "product", only="products"),
    Rule("date_unreadable", N_("date not readable"), "date", "day"),
    Rule(
        "date_missing",
        N_("no date: a placeholder, as 1970-01-01"),
        "date",
        "day",
        _.day.isin(NO_DAYS),
    ),
    Rule(
        "date_impossible",
        N_("date before 1970 or after 2100"),
        "date",
        "day",
        ~_.day.between(EARLIEST, LATEST),
    ),
    Rule("after_as_of", N_("later than the day of the picture"), "date", "day", _.day > _.as_of),
    Rule("void_status", N_("never became a sale"), "status", "void", _.void),
    Rule(
        "amount_impossible",
        N_("amount of more than 1,000,000,000,000,000"),
        "amount",
        "beyond",
        _.beyond,
        "transactions",
    ),
    Rule(
        "amount_unreadable",
        N_("amount not readable"),
        "amount",
        "found_amount",
        _.amount.isnull(),
        "transactions",
    ),
    Rule("return_without_amount", N_("a return, but no amount"), "", "returned", NOTHING),
    _repeats("repeats_order_line", N_("repeats an order line"), "order_id", "transactions", *LINE),
    _repeats("repeats_customer", N_("repeats a customer's profile"), "customer_id", "customers"),
    _repeats("repeats_product", N_("repeats a product"), "product", "products"),
)
labelled({rule.reason: rule for rule in RULES})


def judge(typed: Table, as_of: dt.date, table: str = "transactions") -> Table:
    """Adds `copy`, `outcome` (kept, merged, rejected) and the rule's `reason` and `column` to every
    row of a table.
    """
    asked = {"as_of": ibis.literal(as_of)}
    if table == "transactions":
        if "amount" not in typed.columns:
            typed = typed.mutate(amount=ibis.null(MONEY))
        typed = _with_buyers(typed, as_of)
        asked["is_return"] = is_return(typed)
        typed = typed.mutate(total=typed.total | _is_unnamed_total(typed))
    rules = [rule for rule in RULES if rule.only in ("", table)]
    key = next((rule.key for rule in rules if rule.key), ())
    if key == LINE:
        key += tuple(name for name in APART if name in typed.columns)
    rows = _mark_copies(typed, as_of, key)
    rows = rows.mutate(**asked)
    rules = [rule for rule in rules if rule.needs in rows.columns]
    broken = [
        rows.bind(_[rule.needs].isnull() if rule.broken is None else rule.broken)[0].fill_null(
            False
        )
        for rule in rules
    ]
    verdict = {
        name: ibis.cases(
            *((b, getattr(rule, name)) for b, rule in zip(broken, rules, strict=True)),
            else_=otherwise,
        )
        for name, otherwise in {"outcome": "kept", "reason": "", "column": ""}.items()
    }
    return rows.mutate(**verdict).drop(*asked)


def _with_buyers(typed: Table, as_of: dt.date) -> Table:
    """The lines with a return that names its order but no customer as its order's customer's, where
    lines up to the day tell one.
    """
    if not {"order_id", "returned"} <= {*typed.columns}:
        return typed
    named = ibis.coalesce(*(typed[c] for c in ("sale_id", "order_id") if c in typed.columns))
    asked = typed.returned & typed.customer_id.isnull() & named.notnull()
    if not asked.any().execute():
        return typed
    sold = typed.filter(~typed.returned, typed.day <= as_of, typed.customer_id.notnull())
    buyers = sold.group_by(of_order="order_id").agg(
        buyer=_.customer_id.max(), buyers=_.customer_id.nunique()
    )
    lines = typed.mutate(named=ibis.ifelse(asked, named, None))
    found = lines.left_join(buyers.filter(_.buyers == 1), lines.named == buyers.of_order)
    found = found.mutate(customer_id=ibis.coalesce(_.customer_id, _.buyer))
    return found.select(typed.columns)


def _is_unnamed_total(typed: Table) -> BooleanValue:
    """Whether a row's money, the largest of its file, is the sum of all others: a total with no
    word for it, or one that could be a customer's name.
    """
    lines = typed.filter(~typed.total, typed.amount.notnull())
    sums = lines.group_by("source").agg(
        rows=_.count(), money=_.amount.sum(), top=_.amount.argmax(_.amount.abs())
    )
    found = sums.filter((_.rows > FEWEST_OF_A_TOTAL) & (_.top != 0) & (_.money == 2 * _.top))
    tops = [
        (typed.source == row.source)
        & (typed.amount == ibis.literal(str(row.top)).cast(typed.amount.type()))
        for row in found.to_pandas().itertuples()
    ]
    alone = [top for top in tops if typed.filter(top).count().execute() == 1]
    return reduce(or_, alone, ibis.literal(False)).fill_null(False)


def losses(judged: Table, dataset: Dataset) -> pd.DataFrame:
    """The reasons for which more than MOST_LOST of the rows or of the money is set apart together
    and which the dataset file does not accept; none where it is less.

    Columns: reason, rows, rows_share, money_share (nan where money is not known), most first.
    """
    counted = judged.filter(~_.reason.isin(NO_LOSS)).group_by("reason", "outcome")
    found = counted.agg(rows=_.count(), money=_.amount.abs().sum()).to_pandas()
    shares = found[["rows", "money"]].astype(float)
    found[["rows_share", "money_share"]] = shares / shares.sum().where(lambda sums: sums > 0)
    lost = found[(found.outcome == "rejected") & ~found.reason.isin(dataset.accept)]
    much = (lost[["rows_share", "money_share"]].sum() > MOST_LOST).any()
    columns = ["reason", "rows", "rows_share", "money_share"]
    return lost.sort_values("rows", ascending=False)[columns].head(len(lost) if much else 0)


def loss_in_words(row: pd.Series) -> str:
    """One of `losses`: how many lines, their share, their money's, and why."""
    if np.isnan(row.money_share):
        text = N_("{rows:int} order lines ({rows_share:percent}) are set apart: {reason:word}")
    else:
        text = N_(
            "{rows:int} order lines ({rows_share:percent}, with {money_share:percent} of the money)"
            " are set apart: {reason:word}"
        )
    return say(text, **row)


def check_losses(judged: Table, dataset: Dataset) -> None:
    """Refuse (InputError) a log of which too much is set apart, as from losses."""
    lost = losses(judged, dataset)
    if len(lost):
        raise InputError(
            f"{dataset.file}: {'; '.join(map(loss_in_words, (row for _, row in lost.iterrows())))}."
            f" If that is right, write accept: [{', '.join(lost.reason)}]; else correct the"
            " description, or export again"
        )


def _mark_copies(typed: Table, as_of: dt.date, key: tuple[str, ...]) -> Table:
    """Adds `copy`: whether a row repeats another one, where a key proves that they are the same.

    Of a customer's profiles the one updated last by the day stays.
    """
    if not key or key[0] not in typed.columns:
        return typed
    counted = typed.group_by(key[0]).agg(rows=_.count())
    suspects = counted.filter((_.rows > 1) & _[key[0]].notnull()).cache()
    if not suspects.count().execute():
        return typed
    alike, order = typed.filter(_.fields.isnull()).semi_join(suspects, key[0]), ["source", "line"]
    if "updated" in typed.columns:
        order = [ibis.desc(ibis.ifelse(alike.updated <= as_of, alike.updated, None)), *order]
    elif "void" in typed.columns:  # where a later export says that nothing came of it, that stands
        newest = typed.group_by("source").agg(newest=_.day.max(where=_.day <= as_of))
        alike, of = alike.join(newest, "source"), ibis.window(group_by=key)
        void, live = (alike.newest.max(where=which).over(of) for which in (_.void, ~_.void))
        alike = alike.mutate(ended=void > live).cache()
        order = [ibis.ifelse(alike.ended, ~alike.void, alike.void), *order]
    alike = alike.mutate(number=ibis.row_number().over(group_by=key, order_by=order))
    copies = alike.filter(_.number > 0).select("source", "line", copy=ibis.literal(True)).cache()
    joined = typed.left_join(copies, ["source", "line"]).drop("source_right", "line_right")
    return joined.mutate(copy=joined.copy.fill_null(False))


def transactions(judged: Table, products: Table | None = None) -> Table:
    """The kept lines as the table `transactions`; `products` (kept rows) gives the category where
    the log has none.
    """
    kept = categorised(judged.filter(_.outcome == "kept"), products)
    clock = ["moment"] if has_clock(judged) else []
    wanted = [*clock, "quantity", "cost", "discount", "order_id", "product", "category", "channel"]
    have = [name for name in wanted if name in kept.columns]
    columns = ["customer_id", "day", "amount", *have, "sale_day", "source", "line"]
    return link_returns(kept).select(columns)


def categorised(log: Table, products: Table | None) -> Table:
    """The log with the category of the product where a row names none; `products` has one row per
    product.
    """
    if products is None or "product" not in log.columns or "category" not in products.columns:
        return log
    joined = log.left_join(products.select("product", product_category=_.category), "product")
    said = joined.category if "category" in log.columns else ibis.null("string")
    columns = [*log.columns, *({"category"} - {*log.columns})]
    return joined.mutate(category=ibis.coalesce(said, joined.product_category)).select(columns)


def link_returns(kept: Table) -> Table:
    """Adds `sale_day`: the day of the sale that a return takes back, where one can be found, on or
    before its own day.

    A return belongs to the latest sale of the customer with the same order (and product), else to
    the latest with the same money (and product).
    """
    if not is_return(kept).any().execute():
        return kept.mutate(sale_day=ibis.null("date"))
    orders = [kept[name] for name in ("sale_id", "order_id") if name in kept.columns]
    lines = kept.mutate(order=ibis.coalesce(*orders, ibis.null("string")), money=kept.amount.abs())
    returns, sales = lines.filter(is_return(lines)).cache(), lines.filter(~is_return(lines))
    pairs = []
    for way in ("order", "money"):
        same = ["customer_id", way, *({"product"} & {*kept.columns})]
        found = returns.select(*same, "day", "source", "line")
        found = found.join(sales.select(*same, sold=sales.day), same)
        before = found.filter(found.sold <= found.day)
        pairs.append(before.select("source", "line", "sold", way=ibis.literal(way)))
    every = ibis.union(*pairs)
    latest = [every.sold.max(where=every.way == way) for way in ("order", "money")]
    links = every.group_by("source", "line").agg(sale_day=ibis.coalesce(*latest)).cache()
    return kept.left_join(links, ["source", "line"]).drop("source_right", "line_right")


def has_clock(typed: Table) -> bool:
    """Whether the log says the time of day."""
    return "moment" in typed.columns and bool(typed.moment.notnull().any().execute())


def records(judged: Table) -> Table:
    """The kept rows of a table other than the transactions, in its contract's columns, and
    attributes.
    """
    own = {"fields", "copy", "outcome", "reason", "column"}
    dropped = [c for c in judged.columns if c in own or c.startswith("found_")]
    return judged.filter(_.outcome == "kept").drop(dropped)


def rejects(judged: Table, table: str = "transactions") -> Table:
    """The other rows as the table `rejects`, and the values of kept rows that were left empty
    (mended).
    """
    shown = [c for c in judged.columns if c.startswith("found_")]
    of_note = reduce(or_, (judged[c].notnull() for c in shown), judged.outcome != "kept")
    amount = judged.amount if table == "transactions" else ibis.null(MONEY)
    noted = judged.filter(of_note).select(
        *("source", "line", "outcome", "column", "reason", "fields"),
        *shown,
        table=ibis.literal(table),
        amount=amount,
    )
    noted = noted.cache()  # few: read once
    apart = noted.filter(_.outcome != "kept")
    values = [(apart.column == c.removeprefix("found_"), apart[c]) for c in shown]
    count = apart.fields.cast("string") + " fields"
    every = [apart.mutate(value=ibis.cases(*values, else_=count) if values else count)]
    for name in shown:
        empty = noted.filter((_.outcome == "kept") & _[name].notnull())
        said = {"outcome": "mended", "reason": "left_empty", "column": name[6:]}
        mended = {key: ibis.literal(word) for key, word in said.items()}
        every.append(empty.mutate(value=_[name], **mended))
    columns = ["table", "source", "line", "outcome", "column", "reason", "value", "amount"]
    parts = [rows.select(columns) for rows in every]
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


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
    return max(span[0], span[1] - dt.timedelta(days=has_clock(typed)))


def _span(typed: Table) -> tuple[dt.date, dt.date] | None:
    """The first and the last day with lines; a few far beyond all others are mistyped, and do not
    move the last.
    """
    possible = typed.filter(_.day.between(EARLIEST, LATEST))
    lines = possible.group_by("day").agg(lines=_.count()).order_by("day").to_pandas()
    if lines.empty:
        return None
    days = pd.to_datetime(lines.day)
    share_from_here = lines.lines[::-1].cumsum()[::-1] / lines.lines.sum()
    stray = (days.diff().dt.days > STRAY_DAYS) & (share_from_here < STRAY_SHARE)
    return days.iloc[0].date(), days[~stray.cummax()].iloc[-1].date()


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
