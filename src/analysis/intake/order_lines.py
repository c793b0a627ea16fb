"""Order lines once their texts are read: their money in one currency, less discounts and refunds,
and what says what each line is.
"""

import re
from functools import reduce
from operator import add, and_

import ibis
from ibis.expr.types import BooleanValue, StringValue, Table, Value

from analysis.intake.dataset import Dataset
from analysis.intake.table_files import TableFile

MONEY = "decimal(38, 12)"
# Factors whose products cannot overflow: money up to 1e16, pieces up to 1e10, rates up to 1e6.
PRICE, PIECES = "decimal(22, 6)", "decimal(16, 6)"
ABROAD, RATE = "decimal(24, 8)", "decimal(14, 8)"
MOST_MONEY = 10**15  # of a line; sums of more would not fit
# Columns that serve to make others and are not kept.
MADE_USE_OF = (
    *("unit_price", "found_unit_price", "profit", "found_profit", "refund", "found_refund"),
    *("status", "currency"),
)
TAKEN_OFF = ("discount", "refund")  # of the amount
SHARES = {"percent": 100, "share": 1}  # what all of the amount is, where a discount is part of it
SMALLEST = 4  # digits of the smallest part of any currency


def order_of(rows: Table, file: TableFile) -> StringValue:
    """What the rows of an order share, and no row that names none."""
    alone = "\0" + rows.line.cast("string")
    return ibis.coalesce(rows.order_id, alone) if "order_id" in file.columns else alone


def order_lines(typed: Table, file: TableFile, dataset: Dataset) -> Table:
    """Order lines with their money in the dataset's currency, and what says what each line is.

    `void`: it never became a sale. `returned`: it takes a sale back; then money and pieces are
    below zero, and `sale_id` is the order it names. `mark`: equal where the order key is.
    `beyond`: its money is too much to be true, and left empty.
    """
    have, known = set(typed.columns), dict[str, Value]()
    money = _money(typed, file, dataset)
    pieces = {"quantity": typed.quantity} if "quantity" in have else {}
    returned = ibis.literal(file.returns.all) | _one_of(typed, file.returns.status)
    for value in (*pieces.values(), *(money[name] for name in money if name == "amount")):
        returned |= (value < 0).fill_null(False)
    if prefix := file.returns.prefix:
        returned |= typed.order_id.startswith(prefix).fill_null(False)
        known["sale_id"] = typed.order_id.re_replace(f"^{re.escape(prefix)}", "")
    for name, value in (money | pieces).items():
        back = ibis.ifelse(returned & (value > 0), -value, value)
        known[name] = value if name in TAKEN_OFF else back
    if "amount" in known:
        known["beyond"] = (known["amount"].abs() > MOST_MONEY).fill_null(False)
        known["amount"] = ibis.ifelse(known["beyond"], None, known["amount"])
    if "unit_price" in have and "amount" not in have:
        known["found_amount"] = ibis.coalesce(typed.found_unit_price, typed.found_quantity)
    if "profit" in have and "cost" not in have:
        known["found_cost"] = typed.found_profit
    if file.void_status:
        known["void"] = _one_of(typed, file.void_status)
    foreign = typed.currency.nullif(dataset.currency)
    lines = _less(typed.mutate(returned=returned, foreign=foreign, **known), file)
    if file.order_key:
        named = {name: lines["day" if name == "date" else name] for name in file.order_key}
        filled = reduce(and_, (value.notnull() for value in named.values()))
        key = {"key": ibis.literal(",".join(file.order_key))}
        lines = lines.mutate(mark=ibis.ifelse(filled, ibis.struct(named | key).hash(), None))
    return lines.drop([name for name in MADE_USE_OF if name in lines.columns])


def _less(lines: Table, file: TableFile) -> Table:
    """Order lines less what was paid back, and less the discount where it is not yet taken off.

    What stands for the whole order is taken off its lines in proportion to their money, and ends
    at nothing: what goes beyond the goods was for shipping or tax. Void rows stay as they are.
    """
    asked = {"refund": "refund" in file.columns, "discount": file.before_discount}
    live = ~lines.void if file.void_status else ibis.literal(True)
    off = {
        name: ibis.ifelse(live, lines[name].abs().fill_null(0), 0)
        for name in TAKEN_OFF
        if asked[name]
    }
    if not off or "amount" not in lines.columns:
        return lines
    own = [value for name, value in off.items() if name not in file.of_order]
    shared = [value for name, value in off.items() if name in file.of_order]
    sign = ibis.ifelse(lines.returned, -1, 1)
    lines = lines.mutate(
        part=(lines.amount * sign - reduce(add, own, ibis.literal(0))).cast(MONEY),
        off=reduce(add, shared, ibis.literal(0)).cast(MONEY),
        sign=sign,
        order=order_of(lines, file),
    )
    if shared:
        same = [lines.order, lines.returned]
        lines = lines.mutate(
            off=lines.off.sum().over(group_by=same),
            of_all=lines.part.sum().over(group_by=same),
            reached=lines.part.sum().over(group_by=same, order_by=lines.line, rows=(None, 0)),
        )
        taken = [_taken(lines, upto) for upto in (lines.reached, lines.reached - lines.part)]
        lines = lines.mutate(part=lines.part - (taken[0] - taken[1]))
        lines = lines.drop("of_all", "reached")
    amount = (lines.part * lines.sign).cast(MONEY)
    return lines.mutate(amount=amount).drop("part", "off", "sign", "order")


def _taken(lines: Table, upto: Value) -> Value:
    """What of an order's deduction is taken off its lines up to a sum of their money; the parts
    of all lines together are the deduction, to the last digit.
    """
    share = upto.cast("float64") * lines.off.cast("float64") / lines.of_all.cast("float64")
    return ibis.cases(
        (lines.off >= lines.of_all, upto),
        (upto >= lines.of_all, lines.off),
        else_=share.round(SMALLEST).cast(MONEY),
    )


def _money(typed: Table, file: TableFile, dataset: Dataset) -> dict[str, Value]:
    """amount, cost, discount and refund of a line in the dataset's currency, where known."""
    have = set(typed.columns)
    money = {name: typed[name] for name in ("amount", "cost", *TAKEN_OFF) if name in have}
    if "amount" not in have and {"unit_price", "quantity"} <= have:
        price, pieces = typed.unit_price.try_cast(PRICE), typed.quantity.try_cast(PIECES)
        money["amount"] = (price * pieces).try_cast(MONEY)
    if "cost" not in have and "profit" in have and "amount" in money:
        money["cost"] = (money["amount"] - typed.profit).try_cast(MONEY)
    if "amount" in money and (whole := SHARES.get(str(file.before_discount))):
        share = (typed.discount.cast("float64") / whole).try_cast(PIECES)
        money["discount"] = (money["amount"].try_cast(PRICE) * share).try_cast(MONEY)
    for code, rate in dataset.rates.items():
        one = ibis.literal(f"{rate:.8f}").cast(RATE)
        for name, value in money.items():
            there = (value.try_cast(ABROAD) * one).try_cast(MONEY)
            money[name] = ibis.ifelse(typed.currency == code, there, value)
    return money


def _one_of(typed: Table, words: list[str]) -> BooleanValue:
    """Whether the status of a line is one of some words."""
    if not words:
        return ibis.literal(False)
    return typed.status.lower().isin([word.strip().lower() for word in words]).fill_null(False)
