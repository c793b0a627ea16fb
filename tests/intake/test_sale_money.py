"""What of a sale's money is the line's, the order's, taken off or paid back."""

import random
import re
from decimal import Decimal
from pathlib import Path

import pytest

from analysis.intake import dataset
from tests.intake.reading import kept

SHOPIFY = ["Name", "Email", "Financial Status", "Currency", "Subtotal", "Shipping", "Total"]
SHOPIFY += ["Discount Amount", "Refunded Amount", "Created at", "Lineitem quantity"]
SHOPIFY += ["Lineitem name", "Lineitem price", "Source"]


def shopify(orders=120, seed=1):
    """An export with a row per item, whose first has what is the order's; its orders, and the net
    money of those that came to something.
    """
    draw, rows, net = random.Random(seed), [SHOPIFY], {}
    statuses = ["paid"] * 16 + ["partially_refunded", "refunded", "voided", "pending"]
    for number in range(orders):
        order, status = f"#{1000 + number}", statuses[number % len(statuses)]
        lines = [
            (draw.randint(1, 4), draw.randint(1, 9), Decimal(draw.randint(100, 5000)) / 100)
            for _ in range(draw.randint(1, 4))
        ]
        goods = sum((pieces * price for pieces, _, price in lines), Decimal(0))
        off = (goods / 10).quantize(Decimal("0.01")) if number % 3 == 0 else Decimal(0)
        shipping = Decimal("4.90") * (number % 2)
        total = goods - off + shipping
        back = {"refunded": total, "partially_refunded": (total / 4).quantize(Decimal("0.01"))}
        paid_back = back.get(status, Decimal(0))
        first = [status, "EUR", goods - off, shipping, total, off, paid_back]
        for n, (pieces, tea, price) in enumerate(lines):
            own = [f"2024-{number % 12 + 1:02}-05 10:00:00 +0100", pieces, f"tea {tea}", price]
            of_order = first if n == 0 else [""] * len(first)
            rows.append([order, f"c{number % 30}@x.example", *of_order, *own, "web" * (n == 0)])
        if status not in ("refunded", "voided"):
            net[order] = goods - off - paid_back
    return rows, net


def test_a_shopify_export_comes_to_goods_less_discounts_less_refunds(described):
    rows, net = shopify()
    file, said = described(orders=rows)
    assert "question" not in said and "as Subtotal shows" in said
    lines = kept(file)
    assert lines.groupby("order_id").amount.sum().to_dict() == net
    assert (lines.amount >= 0).all() and set(lines.channel) == {"web"}
    for column in ("Subtotal", "Total", "Shipping"):  # which of the totals are there is no matter
        place = SHOPIFY.index(column)
        file, said = described(orders=[row[:place] + row[place + 1 :] for row in rows])
        assert kept(file).amount.sum() == sum(net.values()), column


def test_a_discount_that_nothing_shows_is_left_and_said(described):
    names = ["order id", "customer id", "order date", "product", "quantity", "unit price"]
    rows = [
        [n // 2, n % 9, "2024-01-31", f"tea {n}", 2, f"{n + 5}.00", f"{n % 2 * 3}.00"]
        for n in range(40)
    ]
    file, said = described(orders=[[*names, "discount"], *rows])
    assert "discount is taken to be in unit price already; if it is not" in said
    assert kept(file).amount.sum() == sum(2 * (n + 5) for n in range(40))
    net = [2 * (n + 5) - n % 2 * 3 for n in range(40)]  # each line's
    with_net = [[*row, f"{paid}.00"] for row, paid in zip(rows, net, strict=True)]
    file, said = described(orders=[[*names, "discount", "to pay"], *with_net])
    assert "as to pay shows" in said
    assert kept(file).sort_values("line").amount.tolist() == net


def test_money_with_a_decimal_comma_shows_it_as_well(described):
    """Prices from 5,05 on, and 3,50 off every other line."""
    names = ["order id", "customer id", "order date", "product", "quantity", "unit price"]

    def written(cents):
        return f"{cents // 100},{cents % 100:02}"

    net = [2 * (505 + 10 * n) - n % 2 * 350 for n in range(40)]
    rows = [
        [n // 2, n % 9, "2024-01-31", f"tea {n}", 2, written(505 + 10 * n), written(n % 2 * 350)]
        for n in range(40)
    ]
    rows = [[*row, written(paid)] for row, paid in zip(rows, net, strict=True)]
    file, said = described(orders=[[*names, "discount", "to pay"], *rows])
    assert "question" not in said and "as to pay shows" in said
    assert kept(file).sort_values("line").amount.tolist() == [Decimal(n) / 100 for n in net]


def test_refunds_in_the_sales_row_are_taken_off_unless_they_are_already(described):
    names = ["order id", "customer id", "order date", "net amount", "refunded amount"]
    money = [(Decimal(900 + 10 * n) / 100, Decimal(n % 4)) for n in range(40)]
    rows = [[n, n % 9, "2024-01-31", a, r] for n, (a, r) in enumerate(money)]
    file, said = described(orders=[names, *rows])
    assert "is taken off the money" in said
    assert kept(file).amount.sum() == sum(a - r for a, r in money)
    gross = [[*row, row[3] + row[4]] for row in rows]
    file, said = described(orders=[[*names, "charged"], *gross])
    assert "is taken off already, as charged shows" in said
    assert kept(file).amount.sum() == sum(a for a, _ in money)


def test_a_refund_that_is_off_an_orders_total_already_is_left_aside_in_all_its_rows(described):
    names = ["order id", "customer id", "order date", "product", "order total", "refunded amount"]
    money = [(n // 2, 20 + n // 2, n // 2 % 7 + 1) for n in range(40)]
    rows = [[o, o % 9, "2024-01-31", f"tea {n % 2}", t, b] for n, (o, t, b) in enumerate(money)]
    charged = [[*row, row[4] + row[5]] for row in rows]
    file, said = described(orders=[[*names, "charged"], *charged])
    assert "is taken off already, as charged shows" in said
    assert kept(file).amount.sum() == sum(20 + order for order in range(20))
    file, said = described(orders=[names, *rows])
    assert kept(file).amount.sum() == sum(20 + order - order % 7 - 1 for order in range(20))


def whole_orders(name):
    header = ["order id", "customer id", "order date", "product", name]
    rows = [
        [n // 3, f"00{n // 3 % 7}", "2024-01-31", f"tea {n}", f"{n // 3}.50"] for n in range(30)
    ]
    return [header, *rows], Decimal("50.00"), Decimal("150.00")


def test_an_orders_total_that_repeats_in_its_lines_counts_once(described):
    for name in ("order total", "total", "订单金额", "Order Value"):
        rows, once, _ = whole_orders(name)
        file, said = described(orders=rows)
        assert "is the same in all rows of an order: it is the order's, and counts once" in said
        (told,) = dataset.load(file).files("transactions")
        assert (told.columns["amount"], told.of_order) == (name, ["amount"])
    lines = kept(file)
    assert (len(lines), lines.amount.sum()) == (30, once)
    assert (lines.amount > 0).sum() == 10


def test_money_that_repeats_in_an_order_and_is_not_called_its_total_is_asked_for(described):
    rows, once, each = whole_orders("amount")
    for answer, money in (("of the whole order", once), ("of the line", each)):
        file, _ = described([answer], orders=rows)
        assert kept(file).amount.sum() == money
    file, said = described(orders=rows)
    assert "is it the money of the line, or of the whole order?" in said
    assert "write amount, and of_order: [amount] for: of the whole order" in said


def test_an_order_that_two_exports_share_counts_once(described):
    rows, once, _ = whole_orders("order total")
    header, *lines = rows
    file, _ = described(first=[header, *lines[:21]], second=[header, *lines[12:]])
    assert kept(file).amount.sum() == once


def test_orders_that_stand_in_two_exports_are_judged_within_each(described):
    """What is once in each file is a key, and no total that repeats, whatever became of it."""
    names = ["order id", "customer id", "order date", "status", "order total"]
    rows = [
        [n, n % 9, f"2024-{n // 28 + 1:02}-{n % 28 + 1:02}", "processing", f"{n}.50"]
        for n in range(60)
    ]
    later = [[*row[:3], "cancelled" if row[0] % 5 == 0 else "completed", row[4]] for row in rows]
    file, said = described(first=[names, *rows[:40]], second=[names, *later[20:]])
    assert "question" not in said and "counts once" not in said
    live = [row for row in (*rows[:20], *later[20:]) if row[3] != "cancelled"]
    lines = kept(file)
    assert lines.order_id.is_unique
    assert lines.amount.sum() == sum(Decimal(row[4]) for row in live)


def test_a_file_of_refunds_takes_back_from_the_orders_it_names(described):
    orders = [["Order ID", "Order Date", "Customer ID", "Order Total"]]
    orders += [[n, "2024-01-31", f"C{n % 7}", f"{n + 10}.00"] for n in range(30)]
    back = [[f"R{n}", "2024-02-05", n, f"C{n % 7}", f"{n + 1}.50", "late"] for n in range(0, 30, 5)]
    meanings = ["date", "order_id", "customer_id", "amount"]
    for names in (
        ["refund_id", "date", "order_id", "customer_id", "amount", "reason"],
        ["退款编号", "退款时间", "订单编号", "客户编号", "退款金额", "原因"],
        ["Return no", "created at", "order no", "customer no", "total", "why"],
        ["Refund ID", "Refund Date", "Order ID", "Customer ID", "Refund Amount", "Reason"],
    ):
        wanted = dict(zip(meanings, names[1:5], strict=True))
        file, said = described(orders=orders, refunds=[names, *back])
        told = dataset.load(file).files("transactions")[1]
        assert "a file of refunds" in said and told.returns.all and told.columns == wanted
        if names[0] == "Refund ID":  # what is described is read alike
            lines = kept(file)
        unnamed = [row[:3] + row[4:] for row in [names, *back]]  # customers: those of the orders
        file, said = described(orders=orders, refunds=unnamed)
        told = dataset.load(file).files("transactions")[1]
        del wanted["customer_id"]
        assert "question" not in said and told.returns.all and told.columns == wanted
    assert lines.amount.sum() == sum(n + 10 for n in range(30)) - sum(
        Decimal(row[4]) for row in back
    )
    theirs = kept(file).groupby("customer_id").amount.sum()
    assert theirs.to_dict() == lines.groupby("customer_id").amount.sum().to_dict()
    returns = lines[lines.returned]
    assert len(returns) == 6 and lines[~lines.returned].order_id.nunique() == 30


def test_a_price_that_grows_with_the_quantity_is_the_lines_money(described):
    """As marketplaces write it; a price of a piece stays one, whatever is given off for many."""
    header = ["order id", "buyer id", "purchase date", "sku", "quantity", "item price"]
    draw, lines, pieces = random.Random(7), [], []
    for n in range(80):
        sku, count = draw.randrange(4), draw.randint(1, 4)
        price = Decimal(f"{sku + 3}.99")
        start = [f"N{n}", f"B{n % 9}", "2024-01-31", f"tea {sku}", count]
        lines.append([*start, price * count])
        pieces.append([*start, (price * (100 - 5 * count) / 100).quantize(Decimal("0.01"))])
    file, said = described(orders=[header, *lines])
    assert "item price; it grows with the quantity: the money of a line" in said
    assert "question" not in said
    assert kept(file).amount.sum() == sum(row[-1] for row in lines)
    file, said = described(orders=[header, *pieces])
    assert "note" not in said and "question" not in said
    assert kept(file).amount.sum() == sum(row[-1] * row[-2] for row in pieces)


def test_a_balance_that_goes_on_by_the_money_of_each_row_is_no_money(described):
    header = ["order id", "client id", "order date", "worth", "total"]
    draw, rows, balance = random.Random(8), [], Decimal("1000.00")
    for n in range(40):
        worth = Decimal(draw.randint(-300, 5000)) / 100
        balance += worth
        rows.append([f"N{n}", f"B{n % 9}", f"2024-{n // 4 + 1:02}-05", worth, balance])
    for some in (rows, rows[::-1]):  # newest last, or first
        file, said = described(orders=[header, *some])
        assert "amount: worth" in said and "question" not in said
        assert kept(file).amount.sum() == balance - 1000
    other = [[*row[:-1], row[-2] + 5] for row in rows]  # shipping is in it
    file, _ = described(orders=[header, *other])
    assert kept(file).amount.sum() == balance - 1000 + 5 * 40


def test_a_file_is_of_refunds_by_its_columns_or_its_own_name(described):
    orders = [["order id", "customer id", "order date", "amount"]]
    orders += [[f"N{n}", f"C{n % 9}", "2024-01-05", f"{n + 5}.00"] for n in range(40)]
    sold = sum(n + 5 for n in range(40))
    back = [[f"N{n}", f"C{n % 9}", "2024-02-05", "4.00"] for n in range(6)]
    for names, file in (
        (["order id", "customer id", "return_date", "return_value"], "back"),
        (["order id", "customer id", "date", "credit memo total"], "back"),
        (orders[0], "returns_2024"),  # of the same layout as the orders
        (orders[0], "退款"),
    ):
        found, said = described(orders=orders, **{file: [names, *back]})
        assert f"{file}.csv: a file of refunds" in said and "question" not in said
        told = {Path(one.path[0]).stem: one for one in dataset.load(found).files("transactions")}
        assert told[file].returns.all and not told["orders"].returns.all
        meanings = dict(zip(["order_id", "customer_id", "date", "amount"], names, strict=True))
        assert told[file].columns == meanings
    assert kept(found).amount.sum() == sold - 6 * 4
    found, said = described(orders=orders, more=[orders[0], *back])
    assert "refunds" not in said


def test_money_with_the_signs_of_more_countries_is_read(described):
    """And what is left unread is never left out in silence."""
    header = ["invoice no", "client id", "invoice date", "worth"]

    def log(form):
        return [
            header,
            *([f"N{n}", f"B{n % 9}", "2024-01-31", form.format(f"{n + 1}")] for n in range(30)),
        ]

    for form, code in (
        ("R$ 1.00{},50", "BRL"),
        ("Rs. 1,20{}/-", "INR"),
        ("Rs {}.50", "INR"),
        ("{},50 zł", "PLN"),
        ("{},50 Kč", "CZK"),
        ("₺{}.50", "TRY"),
    ):
        file, said = described(orders=log(form)[:10])
        assert "question" not in said and f"currency: {code}" in file.read_text("utf-8")
        first = {"R": "1001.5" if "$" in form else "1201"}.get(form[0], "1.5")
        first = "1.5" if form == "Rs {}.50" else first
        assert min(kept(file).amount) == Decimal(first)
    _, said = described(orders=log("{}.00 DR"))
    assert "worth looks like money, but its values are no numbers, as 9.99 xx" in said
    _, said = described(["go on without money"], orders=log("kr {},-"))
    assert "transactions with customer_id, date, order_id" in said
    _, said = described(orders=log("v{}"))  # of no money at all
    assert "question" not in said


def test_a_discount_of_the_order_in_each_row_counts_once_though_few_differ(described):
    names = ["order id", "customer id", "order date", "sku", "quantity", "item price"]
    names += ["cart discount amount", "order shipping amount", "order total amount"]
    rows, net = [names], Decimal(0)
    for n in range(60):
        goods = [Decimal(f"{n + 5}.00"), Decimal(f"{n + 9}.00")]
        off = Decimal("2.00") * (n % 3 == 0)
        net += sum(goods) - off
        own = [off, "4.90", sum(goods) - off + Decimal("4.90")]
        rows += [[f"N{n}", f"C{n % 9}", "2024-01-31", f"tea {p}", 1, p, *own] for p in goods]
    file, said = described(orders=rows)
    assert "it is taken off" in said and "question" not in said
    assert kept(file).amount.sum() == net


def test_sums_of_months_in_german_are_no_customers(described):
    rows = [["Datum", "Kunde", "Umsatz"]]
    for month in range(1, 6):
        rows += [[f"2024-0{month}-{n + 1:02}", f"Firma {n}", f"{n + month}.50"] for n in range(8)]
        rows += [["", f"Monatssumme {month}", sum(n + month + 0.5 for n in range(8))]]
    file, _ = described(orders=rows)
    assert kept(file).customer_id.nunique() == 8


def test_rows_that_stand_in_two_exports_without_a_key_are_asked_about(described):
    header = ["client id", "sales date", "item", "sales"]
    rows = [
        [f"C{n % 9}", f"2024-{n // 20 + 1:02}-{n % 20 + 1:02}", f"tea {n % 3}", f"{n % 50 + 5}.50"]
        for n in range(200)
    ]
    exports = {"first": [header, *rows[:120]], "second": [header, *rows[100:]]}
    _, said = described(**exports)
    assert "question: order_key: 20 rows stand in more than one file: are they the same" in said
    for answer, twice in (("yes, each counts once", 0), ("no, each is a sale", 20)):
        file, _ = described([answer], **exports)
        assert len(kept(file)) == 200 + twice
    _, said = described(first=[header, *rows[:104]], second=[header, *rows[100:]])
    assert "question" not in said
    _, said = described(all=[header, *rows, *rows[:30]])  # in one file, as tills write them
    assert "question" not in said


def discounted(name, shares, whole, total=None):
    """Two pieces of 40 lines of 5 to 44 each, a column of discounts, and maybe what is to pay; the
    sum after them."""
    names = ["order id", "customer id", "order date", "product", "quantity", "unit price", name]
    rows, net = [names + [total] * bool(total)], Decimal(0)
    for n in range(40):
        share = shares[n % len(shares)]
        pay = 2 * (n + 5) * (1 - Decimal(share.rstrip("%")) / whole)
        row = [n // 2, n % 9, "2024-01-31", f"tea {n}", 2, f"{n + 5}.00", share]
        rows.append([*row, *[f"{pay:.2f}"] * bool(total)])
        net += pay
    return rows, net


SHARES = (
    ("discount", ["0", "0.1", "0.25"], 1),
    ("discount (%)", ["0%", "10%", "25%"], 100),
    ("Discount Percent", ["0", "10", "20"], 100),
    ("折扣率", ["0", "5", "10"], 100),
)


@pytest.mark.parametrize(("name", "shares", "whole"), [*SHARES, ("discount", ["0", "10"], 100)])
def test_a_discount_of_shares_is_taken_off_where_a_column_shows_it(described, name, shares, whole):
    rows, net = discounted(name, shares, whole, "to pay")
    file, said = described(orders=rows)
    assert "as to pay shows: it is taken off" in said and "question" not in said
    (told,) = dataset.load(file).files("transactions")
    assert told.columns["discount"] == name
    assert told.before_discount == ("share" if whole == 1 else "percent")
    if (name, shares) not in [told[:2] for told in SHARES[:2]]:
        return  # what is described alike is read alike
    lines = kept(file).sort_values("line")
    assert lines.amount.sum() == net
    pay = [Decimal(row[-1]) for row in rows[1:]]
    assert lines.amount.tolist() == pay
    before = [Decimal(row[4]) * Decimal(row[5]) for row in rows[1:]]
    off = [gross - left for gross, left in zip(before, pay, strict=True)]
    assert lines.discount.tolist() == off  # in money


@pytest.mark.parametrize(("name", "shares", "whole"), SHARES)
def test_a_discount_of_shares_that_nothing_shows_is_said(described, name, shares, whole):
    rows, net = discounted(name, shares, whole)
    file, said = described(orders=rows)
    assert f"{name} holds percentages, and no column shows the money after them" in said
    assert "discount" not in dataset.load(file).files("transactions")[0].columns
    (way,) = re.findall("before_discount: (percent|share)", said)
    assert way == ("share" if whole == 1 else "percent")
    if (name, shares, whole) not in SHARES[:2]:
        return  # what is described alike is read alike
    text = file.read_text("utf-8").replace(
        "      quantity:", f"      discount: '{name}'\n      quantity:"
    )
    assert f"discount: '{name}'" in text  # what was said to write takes it off
    columns = next(line for line in text.splitlines() if "columns:" in line)
    file.write_text(text.replace(columns, f"    before_discount: {way}\n{columns}"), "utf-8")
    assert kept(file).amount.sum() == net


def test_of_a_discount_that_is_money_or_percents_both_ways_are_said(described):
    _, said = described(orders=discounted("discount", ["0", "10"], 100)[0])
    assert "before_discount: true where it is money" in said
    _, said = described(orders=discounted("discount", ["0", "1", "0"], 100)[0])  # a flag
    assert "before_discount" not in said and "percentages" not in said


def test_an_orders_percentage_is_taken_off_each_line(described):
    names = ["order id", "customer id", "order date", "product", "quantity", "unit price"]
    rows = []
    for n in range(40):
        off, prices = (0, 10, 20)[n % 3], (n + 5, n + 8)
        total = Decimal(sum(prices) * (100 - off)) / 100
        for tea, price in enumerate(prices):
            row = [n, n % 9, "2024-01-31", f"tea {tea}", 1, f"{price}.00", off, f"{total:.2f}"]
            rows.append(row)
    file, said = described(orders=[[*names, "discount", "order total"], *rows])
    assert "as order total shows: it is taken off" in said
    net = sum(Decimal(r[-1]) for r in rows[::2])
    assert kept(file).amount.sum() == net
