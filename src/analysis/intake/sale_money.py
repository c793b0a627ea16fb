"""The money of order lines: where it stands, what of it is the whole order's, and what is still to
be taken off; decided where the data prove it.
"""

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.intake.column_matching import CENTS
from analysis.intake.column_names import is_rate, plain, rank, says
from analysis.intake.columns import SEVERAL, Choice, Column, Entry, Look, files_of, values_of
from analysis.intake.order_lines import SHARES
from analysis.intake.value_formats import ASK, MOST, decimal_mark, mark, number
from analysis.report.text import N_, say

# Products of which several quantities were sold, and how alike a line's money is for each piece
FEWEST_PRODUCTS, ALIKE = 3, 0.05
# How a column shows that it is the order's
FIRST = N_("{column:text} stands only in the first row of an order")
ALL = N_("{column:text} is the same in all rows of an order")
BLANK = re.compile(r"0*[.,]?0*")
MONEY = ("amount", "discount", "refund", "cost", "profit")
ORDERS_OWN = ("order", "cart", "订单")  # as names begin that are the order's even where few differ
Way = bool | str  # as before_discount is written
OF_LINES = ("order_id", "product", "category", "quantity", "unit_price")


def money_of_sales(columns: list[Entry], look: Look) -> tuple[list[Entry], list[Entry], list[str]]:
    """The money of a line in one way only, its amount or price times quantity; keys of the file
    for what is the whole order's, or is still to be taken off; and what had to be settled.
    """
    have = {entry.key: entry for entry in columns}
    notes, of_file, whole = list[str](), list[Entry](), list[str]()
    amount, price, pieces = (have.get(name) for name in ("amount", "unit_price", "quantity"))
    if price and _grows_with_pieces(look, have):
        if not amount or (not amount.question and _level(look, have, amount.value)):
            doubt = say("it grows with the quantity: the money of a line, not of a piece")
            amount = have["amount"] = price._replace(key="amount", doubt=doubt)
        del have["unit_price"]
        price = None
    refunds = _are_refunds(have, look)
    if refunds and not amount and "refund" in have:
        amount = have["amount"] = have.pop("refund")._replace(key="amount")
    if amount and not amount.question:
        whole, notes = _amount_once(have, look)
    elif price and not pieces:
        doubt = say("the price, since there is no quantity")
        have["amount"] = have.pop("unit_price")._replace(key="amount", doubt=doubt)
    if "amount" in have:
        have.pop("unit_price", None)
    if refunds:
        notes.append(say("a file of refunds: each row takes back some of the order that it names"))
        of_file.append(Entry("returns", {"all": True}, say("by the columns' names")))
    if "discount" not in have and (shares := _discount_shares(look)):
        have["discount"] = Entry("discount", shares.name)
    for meaning, entry in have.items():
        if meaning not in ("amount", *OF_LINES) and not entry.question:
            level = _level(look, have, entry.value)
            whole += [meaning] * bool(level == FIRST or (level and meaning in MONEY))
    more, less = _taken_off(have, look, whole)
    if whole := [meaning for meaning in whole if meaning in have]:
        of_file.append(Entry("of_order", whole, say("once an order")))
    return list(have.values()), of_file + less, notes + more


def _taken_off(
    have: dict[str, Entry], look: Look, whole: list[str]
) -> tuple[list[str], list[Entry]]:
    """What is still to be taken off the money, as notes and keys of the file; what is off already
    leaves `have`.
    """
    settled = {meaning: entry.value for meaning, entry in have.items() if not entry.question}
    if not settled.keys() & {"discount", "refund"}:
        return [], []
    notes, of_file, net = list[str](), list[Entry](), ""
    ways = _ways(look[settled["discount"]]) if "discount" in settled else [False]
    for way in ways:
        orders = _by_order(look, settled, whole, way)
        off = orders[orders["our discount"] > 0]
        if net := _shown_by(off, off["our amount"] - off["our discount"]):
            break
    if net:
        note = say(
            "{discount:text} is not in the money of the lines yet, as {net:text} shows: it is taken"
            " off",
            discount=settled["discount"],
            net=net,
        )
        notes.append(f"discount: {note}")
        of_file.append(Entry("before_discount", way, say("by {column:text}", column=net)))
    elif "unit_price" in settled and len(off):
        notes.append(f"discount: {_not_shown(settled, ways)}")
    if (way if net else ways[0]) in SHARES:
        whole[:] = [meaning for meaning in whole if meaning != "discount"]
    if not net and ways[0] in SHARES:
        del have["discount"]
    back = orders[orders["our refund"] > 0]
    if "amount" in settled and (gross := _shown_by(back, back["our amount"] + back["our refund"])):
        note = say(
            "{refund:text} is taken off already, as {gross:text} shows",
            refund=settled["refund"],
            gross=gross,
        )
        notes.append(f"refund: {note}")
        del have["refund"]
    elif "refund" in settled:
        note = say("{refund:text} is taken off the money of its sale", refund=settled["refund"])
        notes.append(f"refund: {note}")
    return notes, of_file


def _are_refunds(have: Mapping[str, Entry], look: Look) -> bool:
    """Whether a file holds refunds only: its money or its dates are called so and nothing else is
    there, or each row has a number of its own that is.
    """
    priced = {"unit_price", "quantity"} <= have.keys()
    if "refund" in have:
        return "amount" not in have and not priced
    if not priced and all(says(name, "refund_files") for name in {*files_of(look)}):
        return True
    names = [have[name].value for name in ("amount", "date") if name in have]
    names += [c.name for c in look.values() if len(c.counts) == len(c.values) > 1]
    return any(says(name, "refunds") for name in names if name)


def _amount_once(have: dict[str, Entry], look: Look) -> tuple[list[str], list[str]]:
    """Settles in `have` whether the amount is a line's or the whole order's; returns it as a column
    of the order where it is one, and notes.
    """
    price, pieces = (have.get(name) for name in ("unit_price", "quantity"))
    name, product = have["amount"].value, ""
    if price and pieces and not price.question and not pieces.question:
        product = f"{price.value} x {pieces.value}"
    how = "" if product and _multiplies(look, have) else _level(look, have, name)
    if not how:
        return [], []
    if product:
        del have["amount"]
        note = say("{product:text} is taken as the money of a line", product=product)
        return [], [f"amount: {say(how, column=name)}; {note}"]
    if how == FIRST or says(name, "order_money"):
        note = say("it is the order's, and counts once")
        return ["amount"], [f"amount: {say(how, column=name)}: {note}"]
    asked = say("is it the money of the line, or of the whole order?")
    question = f"{say(how, column=name)}: {asked}"
    order = {"amount": name, "of_order": ["amount"]}
    choices = (
        Choice(say("of the whole order"), order),
        Choice(say("of the line"), {"amount": name}),
    )
    have["amount"] = Entry("amount", ASK, question=question, choices=choices)
    return [], []


def _not_shown(settled: Mapping[str, str], ways: Sequence[Way]) -> str:
    """What is said of a discount where nothing shows whether the prices are before it."""
    discount, price = settled["discount"], settled["unit_price"]
    if ways[0] in SHARES:
        return say(
            "{discount:text} holds percentages, and no column shows the money after them:"
            " {price:text} is taken to be after them; if it is not, write discount:"
            " {discount:text} under columns and before_discount: {way:text}",
            discount=discount,
            price=price,
            way=ways[0],
        )
    if len(ways) > 1:
        return say(
            "{discount:text} is taken to be in {price:text} already; if it is not, write"
            " before_discount: true where it is money, before_discount: percent where 10 is 10 %",
            discount=discount,
            price=price,
        )
    return say(
        "{discount:text} is taken to be in {price:text} already; if it is not, write"
        " before_discount: true",
        discount=discount,
        price=price,
    )


def _discount_shares(look: Look) -> Column | None:
    """The column called a discount that holds shares, as 0.1 or 10%, and no money."""
    called = [c for c in look.values() if rank(c.name, "transactions", "discount") is not None]
    return next((c for c in called if _ways(c)[0] in SHARES), None)


def _ways(column: Column) -> list[Way]:
    """What a column called a discount may hold, the likeliest first: money (True), percent or share
    of it, or nothing to be taken off (False).
    """
    texts = [text.rstrip("% ") for text in column.counts]
    numbers = [n for text in texts if (n := number(text, mark(text) or ".")) is not None]
    most = max(numbers, default=0)
    if len(numbers) < MOST * len(texts) or min(numbers, default=0) < 0 or most > 100:
        return [True]
    if any(text.endswith("%") for text in column.counts):
        return ["percent"]
    if most <= 1:
        return ["share"] if any(0 < n < 1 for n in numbers) else [False]
    return ["percent"] if is_rate(column.name) else [True, "percent"]


def _grows_with_pieces(look: Look, have: Mapping[str, Entry]) -> bool:
    """Whether a column called a price is that of all pieces of its row: of the same product, more
    pieces have as much more.
    """
    entries = [have.get(name) for name in ("product", "unit_price", "quantity")]
    if any(entry is None or entry.question for entry in entries):
        return False
    three = {
        meaning: look[have[meaning].value] for meaning in ("product", "unit_price", "quantity")
    }
    cells = values_of(three)
    decimal = decimal_mark([three[name].seen for name in ("unit_price", "quantity")]).value
    rows = pd.DataFrame({"product": cells["product"]})
    for name in ("unit_price", "quantity"):
        found = {text: number(text, decimal) for text in set(cells[name])}
        rows[name] = [np.nan if (n := found[text]) is None else float(n) for text in cells[name]]
    rows = rows[(rows.quantity > 0) & (rows.unit_price > 0)]
    prices = rows.groupby(["product", "quantity"], as_index=False).unit_price.median()
    ends = prices.groupby("product").agg(["first", "last"])
    ends = ends[ends.quantity["last"] > ends.quantity["first"]]
    more = ends.xs("last", axis=1, level=1) / ends.xs("first", axis=1, level=1)
    return len(more) >= FEWEST_PRODUCTS and bool(
        ((more.unit_price / more.quantity - 1).abs() <= ALIKE).mean() >= MOST
    )


def _multiplies(look: Look, have: Mapping[str, Entry]) -> bool:
    """Whether the amount is price times quantity."""
    three = [look[have[name].value] for name in ("amount", "unit_price", "quantity")]
    decimal = decimal_mark(column.seen for column in three).value
    agree = []
    for texts in zip(*values_of({c.name: c for c in three}).values(), strict=True):
        amount, price, pieces = (number(text, decimal) for text in texts)
        if amount is not None and price is not None and pieces is not None:
            agree.append(abs(amount - price * pieces) <= CENTS)
    return bool(agree) and sum(agree) >= MOST * len(agree)


def _level(look: Look, have: Mapping[str, Entry], name: str) -> str:
    """How a column shows that it is the whole order's; nothing where it is a line's."""
    order_id = have.get("order_id")
    if order_id is None or order_id.question:
        return ""
    orders: dict[str, list[str]] = {}
    for key, text in zip(_orders_of(look, order_id.value), values_of(look)[name], strict=True):
        orders.setdefault(key, []).append("" if BLANK.fullmatch(text) else text)
    several = [texts for texts in orders.values() if len(texts) > 1 and any(texts)]
    if len(several) < SEVERAL:
        return ""
    enough = MOST * len(several)
    if sum(bool(texts[0]) and not any(texts[1:]) for texts in several) >= enough:
        return FIRST
    alike = sum(len(set(texts)) == 1 for texts in several) >= enough
    named = plain(name).startswith(ORDERS_OWN)
    different = named or len({texts[0] for texts in several}) >= SEVERAL
    return ALL if alike and different else ""


def _orders_of(look: Look, name: str) -> list[str]:
    """What the rows of an order in one file share, and no row without an id."""
    files = files_of(look)
    ids = values_of(look).get(name, [""] * len(files))
    pairs = enumerate(zip(ids, files, strict=True))
    return [f"{key}\0{file}" if key else str(n) for n, (key, file) in pairs]


def paid_back(
    look: Look, meanings: Mapping[str, str], whole: Sequence[str], statuses: Sequence[str]
) -> bool:
    """Whether orders of some statuses have their whole money paid back in their own rows."""
    if "refund" not in meanings:
        return False
    orders = _by_order(look, meanings, whole)
    order = _orders_of(look, meanings.get("order_id", ""))
    status = pd.Series(values_of(look)[meanings["status"]], order)
    orders = orders[status.groupby(level=0).first().isin(statuses)]
    owed = (orders["our amount"] - orders["our discount"]).clip(lower=CENTS) - CENTS
    return len(orders) > 0 and (orders["our refund"] > owed).mean() >= MOST


def _by_order(
    look: Look, meanings: Mapping[str, str], whole: Sequence[str], way: Way = True
) -> pd.DataFrame:
    """Orders (rows, where they have no id) with what is ours, their amount, discount (meant in a
    `way`) and refund, and what every column of numbers says once and (*) added up.
    """
    cells = values_of(look)
    texts = [name for name, column in look.items() if column.reads_as("money")]
    ours = [name for meaning, name in meanings.items() if meaning in MONEY or name in texts]
    decimal = decimal_mark([(text, (0, "")) for text in cells[name]] for name in ours).value
    found = {text: number(text, decimal) for name in texts for text in set(cells[name])}
    floats = {text: np.nan if n is None else float(n) for text, n in found.items()}
    rows = pd.DataFrame({name: map(floats.get, cells[name]) for name in texts})
    order = _orders_of(look, meanings.get("order_id", ""))
    price, pieces = meanings.get("unit_price"), meanings.get("quantity")
    if "amount" not in meanings and price in rows and pieces in rows:
        rows["amount"] = rows[price] * rows[pieces]
    amount = meanings.get("amount", "amount")
    if way in SHARES and amount in rows:
        shares = [number(text.rstrip("% "), decimal) for text in cells[meanings["discount"]]]
        rows["our off"] = rows[amount] * [float(n or 0) / SHARES[str(way)] for n in shares]
        meanings = {**meanings, "discount": "our off"}
        whole = [name for name in whole if name != "discount"]
        whole += ["discount"] * ("amount" in whole)
    once, added = rows.groupby(order).first(), rows.groupby(order).sum()
    orders = once.join(added.add_suffix("*"))
    for meaning in ("amount", "discount", "refund"):
        name = meanings.get(meaning, meaning)
        told = once if meaning in whole else added
        orders[f"our {meaning}"] = told[name].fillna(0).abs() if name in rows else 0.0
    return orders


def _shown_by(orders: pd.DataFrame, wanted: pd.Series) -> str:
    """The column that says what is wanted in nearly all of some orders, maybe with shipping and
    taxes; nothing where none does.
    """
    columns = [name for name in orders if not name.startswith("our ")]
    more = [name for name in columns if says(name, "extras")][:3]
    sets = [some for n in range(len(more) + 1) for some in itertools.combinations(more, n)]
    for name in columns if len(orders) > 1 else []:
        for some in sets:
            off = (orders[name] - orders[list(some)].sum(axis=1) - wanted).abs()
            if (off <= CENTS).mean() >= MOST:
                return name.removesuffix("*")
    return ""
