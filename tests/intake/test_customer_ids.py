"""What says who bought, and what whole numbers are: told from values, or asked."""

import random

import pytest

from analysis.errors import InputError
from analysis.intake import dataset
from tests.intake.reading import kept

HEADER = ["order_id", "date", "customer_id", "billing_email", "order_total"]


def shop(guests=90, members=60, guest="0"):
    """Orders of members with a number and of guests without; both have an e-mail address."""
    draw = random.Random(3)
    rows = []
    for n in range(guests + members):
        one = draw.randrange(20) if n < members else 100 + draw.randrange(40)
        number = str(200 + one) if n < members else guest
        rows.append([n, f"2024-{n % 12 + 1:02}-05", number, f"p{one}@x.example", f"{n + 5}.50"])
    return rows


def test_guests_of_one_number_are_asked_for_and_the_answer_is_read(described):
    masked = "xxxx-xx-9"  # what could be a name
    for guest, shown in (("000", "000"), ("99999", "99999"), ("walk-in-1", masked), ("0", "0")):
        rows = shop(guest=guest)
        members = [row for row in rows if row[2] != guest]
        file, said = described(orders=[HEADER, *rows])
        assert f"90 of 150 rows are of a customer {shown}," in said
        answers = [(f"leave the rows of {shown} out", len({row[2] for row in members}), 60)]
        if guest == "0":  # the other answers hold whatever the number
            answers += [("billing_email", len({row[3] for row in rows}), 150)]
            answers += [(f"{shown} is one customer", len({row[2] for row in rows}), 150)]
        for answer, customers, orders in answers:
            file, _ = described([answer], orders=[HEADER, *rows])
            lines = kept(file)
            assert (lines.customer_id.nunique(), len(lines)) == (customers, orders)
    assert dataset.load(file).somebody == ["0"]


def test_one_number_with_many_addresses_is_asked_for_however_few_its_rows(described):
    rows = [[n, "2024-01-05", n % 30, f"p{n % 30}@x.example", "5.00"] for n in range(90)]
    rows += [[100 + n, "2024-01-05", 7, f"g{n}@x.example", "5.00"] for n in range(9)]
    _, said = described(orders=[HEADER, *rows])
    assert "12 of 99 rows are of a customer 7" in said


def test_customers_of_many_orders_are_not_asked_for(described):
    """Nor firms from which several people order, nor a customer called 0 among its likes."""
    draw = random.Random(5)
    weights = [1 / (n + 1) for n in range(60)]  # as customers' orders are: a few have many
    ids = draw.choices(range(60), weights, k=900)
    rows = [
        [n, "2024-01-05", one, f"p{draw.randrange(one % 5 + 1)}@{one}.example", "5.00"]
        for n, one in enumerate(ids)
    ]
    for names, some in ((HEADER, rows), (HEADER[:3] + HEADER[4:], [r[:3] + r[4:] for r in rows])):
        file, said = described(orders=[names, *some])
        assert "question" not in said
        assert kept(file).customer_id.nunique() == len(set(ids))


@pytest.mark.parametrize("masked", ["小***{}", "1.38{}E+11", "a***{}@x.example"])
def test_masked_and_rounded_columns_are_no_customers(described, masked):
    names = ["买家会员名", "下单时间", "实付金额", "物流单号"]
    rows = [[masked.format(n % 10), "2024-01-05", "5.50", f"SF{n // 2:07}"] for n in range(60)]
    file, said = described(orders=[names, *rows])
    assert "no column identifies a customer (买家会员名" in said
    rows = [[*row, f"C{n % 10}"] for n, row in enumerate(rows)]
    file, said = described(orders=[[*names, "客户编号"], *rows])
    assert "question" not in said and kept(file).customer_id.nunique() == 10


def test_rounded_numbers_of_orders_tell_none(described):
    names = ["customer id", "order date", "total", "order no"]
    rows = [[f"C{n % 9}", "2024-01-05", "5.50", f"6.2220{n % 3}E+18"] for n in range(60)]
    file, said = described(orders=[names, *rows])
    assert "order no is rounded by a spreadsheet" in said and "question" not in said
    assert "order_id" not in kept(file)
    text = file.read_text("utf-8").replace("columns:", "columns:\n      order_id: order no")
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match="60 of 60 order lines have the number of an order that"):
        kept(file)


def test_first_and_last_names_are_offered_joined(described):
    names = ["First Name", "Last Name", "Order Date", "Total"]
    who = [(f"F{n % 6}", f"L{n % 7}" if n % 7 else "") for n in range(84)]
    rows = [[*one, f"2024-01-{n % 27 + 1:02}", "5.50"] for n, one in enumerate(who)]
    profiles = [["first name", "last name", "segment"], *([*one, "x"] for one in sorted({*who}))]
    file, said = described(["First Name + Last Name"], orders=[names, *rows], people=profiles)
    assert "people.csv: customers with customer_id" in said
    lines = kept(file)
    assert set(lines.customer_id) == {f"{first} {last}".strip() for first, last in who}
    assert len(lines) == 84
    people = dataset.load(file).files("customers")[0]
    assert people.columns["customer_id"] == "first name + last name"
    file, said = described(orders=[["id", *names], *([n % 9, *row] for n, row in enumerate(rows))])
    assert "question" not in said and kept(file).customer_id.nunique() == 9


@pytest.mark.parametrize(
    ("zones", "place"),
    [
        (["PST", "PDT"], None),
        (["CST", "CDT"], "America/Chicago"),
        (["BST", "GMT"], "Europe/London"),
        (["CST"], "Asia/Shanghai"),
    ],
)
def test_names_of_zones_that_mean_two_are_asked(described, zones, place):
    rows = [
        [f"C{n % 9}", f"Jan {n % 27 + 1}, 2024 9:{n % 60:02}:07 PM {zones[n % len(zones)]}", "5.50"]
        for n in range(60)
    ]
    rows.insert(0, ["customer id", "order date", "total"])
    asked = zones == ["CST"]
    _, said = described(orders=rows)
    assert ("CST: where is that?" in said) == ("question" in said) == asked
    file, _ = described(["Shanghai"] * asked, orders=rows)
    assert (dataset.load(file).time_zone == place) == bool(place)
    assert {day.day for day in kept(file).day} == {*range(1, 28)}  # the clock as it stands


def test_an_id_on_several_days_is_a_customers_and_on_one_an_orders(described):
    rows = [[n % 20, f"2024-01-{n % 27 + 1:02}", f"{n}.50"] for n in range(100)]
    file, said = described(orders=[["Id", "Date", "Amount"], *rows])
    assert "customer_id: Id; it stands on several days" in said
    assert kept(file).customer_id.nunique() == 20
    rows = [[n // 2, f"C{n // 2 % 9}", "2024-01-05", f"{n}.50"] for n in range(100)]
    file, _ = described(orders=[["Id", "Customer", "Date", "Amount"], *rows])
    assert kept(file).order_id.nunique() == 50


WHOLE = [[f"CS{n % 30}", f"2024-01-{n % 27 + 1:02}", str(n * 7 % 95 + 10)] for n in range(200)]
SUM = sum(int(row[2]) for row in WHOLE)


def test_whole_numbers_are_not_taken_for_pieces_in_silence(described):
    for files in ([["customer_id", "trans_date", "wert"], *WHOLE], WHOLE):  # or without a header
        _, said = described(orders=files)
        assert "are the whole numbers pieces?" in said
        name = "wert" if files is not WHOLE else "3"
        file, _ = described([f"{name} (as 99): money"], orders=files)
        assert kept(file).amount.sum() == SUM
        file, _ = described([f"{name} (as 99): pieces"], orders=files)
        assert kept(file).quantity.sum() == SUM and kept(file).amount.isna().all()
    for known in ("tran_amount", "Trans Amount", "交易额", "product sales"):
        file, said = described(orders=[["customer_id", "trans_date", known], *WHOLE])
        columns = dataset.load(file).files("transactions")[0].columns
        assert "question" not in said and columns["amount"] == known


def test_neither_ids_nor_flags_are_pieces_or_money(described):
    rows = [[*row[:2], n % 8 + 1, n % 2, 2020 + n % 4] for n, row in enumerate(WHOLE)]
    names = ["customer_id", "date", "till_no", "on promotion", "fiscal year"]
    file, said = described(orders=[names, *rows])
    assert "question" not in said
    assert not {"amount", "quantity"} & set(dataset.load(file).files("transactions")[0].columns)


def test_what_is_called_something_else_is_neither_pieces_nor_money(described):
    rows = [[*row, n % 9 + 20, f"{n % 7}.90"] for n, row in enumerate(WHOLE)]
    names = ["customer_id", "date", "order total", "subtotal", "shipping charge"]
    file, said = described(orders=[names, *rows])
    assert "question" not in said and kept(file).amount.sum() == SUM
    assert "quantity" not in dataset.load(file).files("transactions")[0].columns
    file, _ = described(orders=[names[:2] + names[4:], *[row[:2] + row[4:] for row in rows]])
    assert "amount" not in dataset.load(file).files("transactions")[0].columns


def test_what_was_spent_after_a_mailing_is_not_what_the_mailing_cost(described):
    rows = [[f"C{n}", "mail", "2024-01-05", n % 2, f"{n}.50"] for n in range(40)]
    orders = [["customer id", "order date", "amount"], *[[r[0], r[2], "5.00"] for r in rows]]
    for other, cost in (("visit", False), ("rate", True)):
        mails = [["customer id", "campaign", "sent at", other, "spend"], *rows]
        file, _ = described(orders=orders, mails=mails)
        (campaigns,) = dataset.load(file).files("campaigns")
        assert ("cost" in campaigns.columns) == cost


def test_a_number_of_one_digit_that_many_share_is_asked_for(described):
    for guest in ("99999999", "1111"):
        _, said = described(orders=[HEADER, *shop(guests=20, members=130, guest=guest)])
        assert f"20 of 150 rows are of a customer {guest}," in said
    _, said = described(orders=[HEADER, *shop(guests=20, members=130, guest="98989898")])
    assert "rows are of a customer" not in said or "billing_email" in said


def test_words_for_nobody_in_more_tongues_are_nobody(described):
    rows = [[n, f"2024-{n % 12 + 1:02}-05", f"C{n % 9}", "", f"{n + 5}.50"] for n in range(60)]
    words = ("CASH", "(blank)", "#REF!", "Laufkundschaft", "Consumidor Final", "零售客户")
    theirs = [[90 + n, "2024-01-05", word, "", "7.00"] for n, word in enumerate(words)]
    file, _ = described(orders=[HEADER, *rows, *theirs])
    assert {*kept(file).customer_id} == {f"C{n}" for n in range(9)}


def test_clock_times_are_no_customers(described):
    names = ["Date", "Time", "Transaction Ref", "Payer Address", "Gross"]
    rows = [
        [f"2024-{n % 12 + 1:02}-05", f"{n % 24:02}:{n % 60:02}:09", f"X{n}", f"p{n % 9}@x.example",
         f"{n + 5}.50"]
        for n in range(90)
    ]  # fmt: skip
    file, _ = described(orders=[names, *rows])
    assert kept(file).customer_id.nunique() == 9


@pytest.mark.parametrize(
    "names",
    [
        "Kundennummer,Rechnungsnr.,Belegdatum,Artikel,Menge,Nettobetrag,Bruttobetrag",
        "N° client,N° commande,Date de commande,Produit,Quantité,Montant HT,Montant TTC",
        "Cód. cliente,No Pedido,Fecha,Producto,Cantidad,Importe,Otro",
        "顧客ID,受注番号,受注日時,商品名,数量,小計,備考",
    ],
)
def test_names_of_columns_in_more_tongues(described, names):
    rows = [
        [f"{n % 9 + 1000}", f"R{n}", "2024-03-25", f"tea {n % 3}", 2, f"{n + 5}.50", f"{n + 7}.25"]
        for n in range(60)
    ]
    file, said = described(orders=[names.split(","), *rows])
    meanings = dataset.load(file).files("transactions")[0].columns
    known = ["customer_id", "order_id", "date", "product", "quantity", "amount"]
    assert meanings | dict(zip(known, names.split(","), strict=False)) == meanings
    assert "question" not in said


def test_names_of_several_telephones_each_are_asked_for(described):
    """Of nicknames and persons' names, not of firms, and not where few have a second one."""
    phones = [f"138{n % 7:04}{n % 35:04}" for n in range(210)]
    for name, phone_name, asked in (
        ("买家昵称(微信)", "收货人手机号/提货人手机号", True),
        ("Buyer Name", "Kontakt", True),
        ("客户名称", "收货人手机号", False),
    ):
        header = ["订单号", "订单创建时间", name, phone_name, "订单实付金额"]
        rows = [
            [f"E{n}", "2024-01-05", "赵钱孙李周吴郑"[n % 7] + "伟", phone, f"{n + 5}.50"]
            for n, phone in enumerate(phones)
        ]
        file, said = described(orders=[header, *rows])
        assert (f"7 of 7 names in {name} have several telephones" in said) == asked
        if asked:
            file, _ = described([phone_name], orders=[header, *rows])
            assert kept(file).customer_id.nunique() == 35
        few = [[*row[:3], phones[n % 7 + 7 * (n < 14)], row[-1]] for n, row in enumerate(rows)]
        few = [[*row[:3], phones[n % 7 + 7 * (n == 3)], row[-1]] for n, row in enumerate(few)]
        _, said = described(orders=[header, *few])
        assert "several telephones" not in said
