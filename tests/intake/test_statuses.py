"""What never became a sale, and what takes one back, by words in a column of any name."""

from analysis.intake import dataset
from tests.intake.reading import kept

HEADER = ["Order No", "Customer ID", "Order Date", "Amount"]
SALES = [[f"N{n}", f"C{n % 7}", f"2024-{n % 12 + 1:02}-05", f"{n + 1}.50"] for n in range(40)]


def log(name, usual, *others):
    """Sales with a further column; each of `others` is what one more row says there, and its money,
    of the customer and the day of a sale.
    """
    rows = [[*row, usual] for row in SALES]
    more = [[f"G{n}", *SALES[n][1:3], money, word] for n, (word, money) in enumerate(others)]
    return [[*HEADER, name], *rows, *more]


SOLD = sum(range(1, 41)) + 40 / 2


def told(file):
    return dataset.load(file).files("transactions")[0]


def test_rows_that_came_to_nothing_are_told_by_their_words(described):
    for name, usual, void in (
        ("Bestellstatus", "versendet", "storniert"),
        ("Statut", "Terminée", "Annulée"),
        ("Estado", "Completado", "Cancelado"),
        ("受注ステータス", "発送済み", "キャンセル"),
        ("生命状态", "正常", "作废"),
        ("Invoice Status", "Paid", "Void"),
        ("State", "shipped", "cancelled"),
        ("Cancelled", "No", "Yes"),
        ("Is Voided", "0", "1"),
    ):
        file, said = described(orders=log(name, usual, (void, "99.00"), (void, "77.00")))
        assert f"status: {name}; by its values, {void}" in said and "question" not in said
        assert (told(file).columns["status"], told(file).void_status) == (name, [void])
        if name in ("受注ステータス", "Is Voided"):  # what is described is read alike
            assert float(kept(file).amount.sum()) == SOLD


def test_money_that_a_word_says_was_paid_back_is_below_zero(described):
    for name, usual, back in (
        ("Transaction Type", "Sale", "Refund"),
        ("Belegart", "Rechnung", "Gutschrift"),
        ("Document", "Invoice", "Credit Note"),
        ("伝票", "売上", "返品"),
    ):
        same = (back, SALES[0][3])  # the money of the sale that it takes back
        below = (back, "-3.25")  # of no sale, but below zero
        for row, money in ((same, 1.5), (below, 3.25)):
            file, said = described(orders=log(name, usual, row))
            assert f"status: {name}; by its values, {back}" in said and "question" not in said
            assert told(file).returns.status == [back]
            if name == "Document":  # what is described is read alike
                assert float(kept(file).amount.sum()) == SOLD - money


def test_a_column_called_a_status_wins_only_where_it_says_something(described):
    rows = log("Type", "Sale", ("Refund", "-3.25"))
    for status, found in (("shipped", "Type"), ("cancelled", "Order Status")):
        table = [[*rows[0], "Order Status"], *([*row, "shipped"] for row in rows[1:])]
        table[5][-1] = status
        file, said = described(orders=table)
        assert ("by its values, Refund" in said) == (found == "Type")
        off = 5.5 if status == "cancelled" else 0
        assert float(kept(file).amount.sum()) == SOLD - off - 3.25


def test_words_of_no_status_are_no_status(described):
    for name, usual, other in (
        ("Source of Sale", "web", "shop"),
        ("Shade", "Cancun", "Void black"),
        ("Gift", "No", "Yes"),
    ):
        _, said = described(orders=log(name, usual, (other, "5.00")))
        assert "status" not in said and "question" not in said
    _, said = described(orders=log("Shade", "refunded"))  # all of them
    assert "status" not in said


def test_what_moves_money_out_of_an_account_is_no_sale(described):
    for word in ("General Withdrawal", "Payout", "General Currency Conversion", "提现"):
        file, said = described(orders=log("Type", "Payment", (word, "-99.00"), (word, "-7.00")))
        assert f"status: Type; by its values, {word}" in said and "question" not in said
        assert told(file).void_status == [word]
    file, said = described(orders=log("Paid by", "Card", ("Bank transfer", "9.00")))
    assert "status" not in said  # a way to pay
    assert float(kept(file).amount.sum()) == SOLD + 9
