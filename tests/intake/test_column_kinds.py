"""What columns are taken for, at the borders of every rule: by their values, and by their names."""

import datetime as dt

import pyarrow as pa
import pytest

from analysis.intake import column_matching, column_names, value_formats
from analysis.intake.columns import FIRST_ROWS, Column, files_of


def column(name, *values):
    places = [(n + 2, "f.csv") for n in range(len(values))]
    return Column(name, pa.chunked_array([pa.array(values, pa.string())]), places)


def look(**columns):
    return {
        name.replace("_", " "): column(name.replace("_", " "), *of) for name, of in columns.items()
    }


def of(n, all_, value, other="x"):
    """So many of all rows hold a value, the rest another."""
    return [value] * n + [other] * (all_ - n)


# By values
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([""] * 5, "empty"),
        (of(4, 5, "2024-01-31", "9 of 9"), "date"),  # four fifths are enough of dates
        (of(7, 9, "2024-01-31", "9 of 9"), "text"),
        (of(4, 5, "a@b.example"), "e-mail"),
        (of(7, 9, "a@b.example"), "text"),
        (of(19, 20, "999"), "count"),  # and 19 of 20 of the others
        (of(9, 10, "999"), "text"),
        (["1000"] * 5, "id"),
        (["-5.0", "0", "12"], "count"),
        (["007"] * 5, "id"),
        (["1000"] * 19 + ["1.50"], "decimal"),
        (of(18, 20, "1.50"), "text"),
        (of(4, 5, "+44 20 7946 0958"), "telephone"),
        (of(7, 9, "+44 20 7946 0958"), "text"),
        (["13812345678"] * 3, "telephone"),
        (["12812345678"] * 3, "id"),
        (of(19, 20, "A-17"), "id"),
        (of(9, 10, "A-17"), "text"),
        (["A 17"] * 5, "text"),
    ],
)
def test_what_a_column_is_by_its_values(values, kind):
    assert column("c", *values).kind == kind
    assert column("c", *values, *[""] * 9).kind == kind  # empty cells say nothing


def test_a_column_is_sparse_where_less_than_half_is_filled():
    assert [column("c", *of(n, 10, "v", "")).sparse for n in (4, 5)] == [True, False]


def test_flags_numbers_and_moments_are_what_nearly_all_values_are():
    for value, kind in (("Yes", "flag"), ("1,200.50", "money")):
        enough = of(19, 20, value, "perhaps")
        assert column("c", *enough).reads_as(kind)
        assert not column("c", *enough, "perhaps").reads_as(kind)
    assert column("c", *of(4, 5, "2024-01-31", "9 of 9")).reads_as("moment")
    assert not column("c", "", "").reads_as("text") and column("c", "", "x").reads_as("text")
    assert column("c", *"aab", "").share(str.isalpha) == 1
    assert column("c").share(str.isalpha) == 0


def test_the_first_rows_tell_what_a_column_is_and_files_are_theirs():
    whole = column("c", *["5"] * FIRST_ROWS, "x")
    assert whole.counts == {"5": FIRST_ROWS} and len(whole.texts) == FIRST_ROWS + 1
    assert files_of({"c": whole}) == ["f.csv"] * FIRST_ROWS


# By names
def ours(table, **columns):
    """Which columns may have which meaning, the best first."""
    found = column_matching.options_of(table, look(**columns))
    return {meaning: [c.name for _, c in some] for meaning, some in found.items()}


def test_a_name_counts_whatever_its_case_its_marks_and_a_unit_in_brackets():
    for name in ("Order Date", "ORDER_DATE", "order-date", "Order Date (UTC)", "ＯＲＤＥＲ date"):
        assert column_names.rank(name, "transactions", "date") == 0, name
    ranks = [column_names.rank(n, "transactions", "date") for n in ("date", "paid at", "hue")]
    assert ranks == [1, 2, None]


def test_the_better_name_comes_first_and_a_column_mostly_empty_last():
    found = ours("transactions", amount=["1.50"] * 4, sales=["2.50"] * 4)
    assert found["amount"] == ["sales", "amount"]
    found = ours("transactions", amount=["1.50"] * 4, sales=["2.50", "", "", ""])
    assert found["amount"] == ["amount", "sales"]


def test_a_customers_name_is_a_companys_where_a_fifth_are_called_so():
    for n, expected in ((4, True), (3, False)):
        found = ours("customers", client=of(n, 20, "Tea Ltd", "Ann Bee"))
        assert ("company" in found) is expected
    assert "company" in ours("customers", company=["Ann Bee"] * 9)  # the name says it


def test_ids_that_are_masked_or_rounded_identify_nobody():
    for bad in ("138****5678", "1.38E+11"):
        one, two = (ours("transactions", customer_id=of(n, 20, bad, "C7")) for n in (1, 2))
        assert one == {"customer_id": ["customer id"]} and two == {}


def test_a_record_is_an_order_by_its_id_only_where_it_has_digits():
    for name, n, expected in (("record_id", 19, True), ("record_id", 18, False)):
        assert ("order_id" in ours("transactions", **{name: of(n, 20, "Z9", "Z")})) is expected
    assert "order_id" in ours("transactions", sub_order_id=["Z"] * 9)


def test_a_status_has_at_most_fifty_values():
    names = [f"s{n}" for n in range(51)]
    assert "status" in ours("transactions", status=names[:50])
    assert "status" not in ours("transactions", status=names)


def test_a_share_or_a_flag_is_no_money_taken_off():
    """Unless nothing has been refunded yet."""
    for values, discount, refund in (
        (["0", "0.2", "1"], False, False),
        (["0", "-1"], False, False),
        (["0", "0.2", "1.01"], True, True),
        (["0", "0.00"], False, True),
    ):
        assert ("discount" in ours("transactions", discount=values)) is discount
        assert ("refund" in ours("transactions", refund_amount=values)) is refund


def test_an_attribute_has_two_to_twenty_values_and_of_each_two_rows():
    def asked(values, name="hair", meanings=()):
        found = column_matching.attributes_of(look(**{name: values}), dict(meanings))
        return [entry.key for entry in found]

    twenty, more = ([f"v{n}" for n in range(count)] for count in (20, 21))
    assert asked(twenty * 2) == ["hair"] and asked(more * 2) == []
    assert asked(["a", "b", "a", "b"]) == ["hair"] and asked(["a", "b", "a"]) == []
    assert asked(["a"] * 9) == []
    assert asked(["a", "b"] * 9, "hair", {"city": "hair"}.items()) == []
    assert asked(["a", "b"] * 9, "region") == []  # a name of ours
    assert asked(["1.50", "2.50"] * 9) == asked(["2024-01-31", "2024-02-29"] * 9) == []


def test_a_file_is_the_table_that_its_columns_speak_for():
    day, who = ["2024-01-31", "2024-02-01"] * 5, [f"C{n % 3}" for n in range(10)]
    each = [f"C{n}" for n in range(10)]
    tables = {
        "transactions": look(customer_id=who, order_date=day, amount=["1.50"] * 10),
        "customers": look(customer_id=each, city=["Leeds"] * 10, birthday=day),
        "interactions": look(customer_id=who, contact_date=day, outcome=["met"] * 10),
        "products": look(product_id=each, brand=["x"] * 10, price=["1.50"] * 10),
    }
    for table, seen in tables.items():
        assert column_matching.table_of(seen) == (table, True, []), table
    # of one row each at least four fifths: exports hold doubles
    for n, sure in ((8, True), (7, False)):
        doubles = [f"C{n}" for n in range(n)] + ["C0"] * (10 - n)
        seen = look(customer_id=doubles, city=["Leeds"] * 10, birthday=day)
        assert column_matching.table_of(seen)[1] is sure


def test_numbers_without_a_name_may_be_money_unless_they_flag_or_number_something():
    def may_be(name, *values):
        return column_matching._may_be_sum(column(name, *values), "transactions", ["cost"])

    assert may_be("points", "0", "1", "2") and may_be("points", "5.00", "0.50")
    assert not may_be("points", "0", "1") and not may_be("points", "1.0", "0.0", "1")
    assert not may_be("points", "1", "1")
    for name in ("store no", "Shipping", "week", "StoreID", "编号", "total cost"):
        assert not may_be(name, "5", "7"), name
    whole = [str(n) for n in (5, 5, 6, 7, 8, 9)]
    assert column_matching._is_free_sum(column("points", *whole), "transactions")
    # six rows with a number each, as ids have; of five that may be chance
    own = [column("points", *map(str, range(5, last))) for last in (11, 10)]
    assert [column_matching._is_free_sum(one, "transactions") for one in own] == [False, True]
    assert not column_matching._is_free_sum(column("points", *whole, "5.5"), "transactions")


def test_customers_are_several_stand_in_most_rows_and_of_orders_not_in_one_each():
    for values, of_orders, of_profiles in (
        (["C1", "C2", "C1"], True, True),
        (["C1"] * 9, False, False),
        ([f"C{n}" for n in range(6)], False, True),
        ([f"C{n}" for n in range(5)], True, True),
        (["C1", "C2", "", "", ""], False, False),
    ):
        for table, expected in (("transactions", of_orders), ("customers", of_profiles)):
            found = column_matching._may_be_customers(column("c", *values), table)
            assert found is expected, (table, values)


# How dates and numbers are written
def test_days_are_of_the_years_1900_to_2100():
    read = [bool(value_formats.days_in(f"{year}-12-31")) for year in (1899, 1900, 2100, 2101)]
    assert read == [False, True, True, False]
    assert not value_formats.days_in("31/31/2024") and not value_formats.days_in("1/2-2024")


def written(*texts):
    """What `date_format` says of texts in lines 2, 3, …"""
    placed = [(text, (n + 2, "f.csv")) for n, text in enumerate(texts)]
    return value_formats.date_format(placed)


def test_numbers_are_days_seconds_or_milliseconds_between_1980_or_so_and_2100():
    """A spreadsheet's day 10,000 is of 1927, 73,050 the last of 2099; seconds begin in 1980."""
    since = dt.datetime(1970, 1, 1)
    first, last = (int((dt.datetime(y, 1, 1) - since).total_seconds()) for y in (1980, 2100))
    for form, low, high in (
        ("excel", 10_000, 73_050),
        ("epoch_s", first, last),
        ("epoch_ms", 1_000 * first, 1_000 * last),
    ):
        for number, inside in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
            found = written(*[str(number)] * 3)
            assert (found is not None and found.value == form) is inside, number
    assert written(*["45322.5"] * 19, "7").value == "excel"
    assert written(*["45322.5"] * 18, "7", "7") is None


def test_what_is_written_otherwise_is_said_and_from_a_twentieth_on_asked_for():
    few = written(*["2024-01-31"] * 19, "31.01.2024")
    assert (few.value, few.evidence) == ("iso", "1 of 20 are written otherwise")
    many = written(*["2024-01-31"] * 18, *["31.01.2024"] * 2)
    assert many.value == value_formats.ASK and "18 of 20" in many.question
    assert "31.01.2024 in line 20 of f.csv" in many.question
    assert [form for _, form in many.choices] == ["iso"]


def test_dates_of_a_spreadsheet_that_took_days_for_months_are_recognised():
    """Texts all have a day above 12, and the dates beside them none."""
    for text, date, swapped in (
        ("13/01/2024", "2024-12-12", True),
        ("12/01/2024", "2024-12-12", False),
        ("13/01/2024", "2024-12-13", False),
    ):
        found = written(*["14/01/2024"] * 9, text, *[date] * 9)
        assert ("with day and month exchanged" in found.question) is swapped, (text, date)


def test_of_a_text_its_first_thirty_letters_are_outlined():
    assert value_formats.mask("Ab 7é王-" + "x" * 30) == "xx 9xx-" + "x" * 23


def test_percentages_and_money_paid_back_are_no_quantity():
    for name in ("Probability (%)", "Win rate", "折扣率", "Converted Amount Refunded"):
        some = {
            "customer id": [f"C{n % 9}" for n in range(40)],
            name: [str(n % 7) for n in range(40)],
        }
        some["order date"] = [f"2024-01-{n % 28 + 1:02}" for n in range(40)]
        some["amount"] = [f"{n}.50" for n in range(40)]
        found = column_matching.columns_of("transactions", look(**some))
        assert "quantity" not in [entry.key for entry in found]
    some["tins"] = some.pop(name)
    found = column_matching.columns_of("transactions", look(**some))
    assert {"quantity": "tins"}.items() <= {entry.key: entry.value for entry in found}.items()


def test_neither_dates_nor_money_are_offered_as_the_customer():
    some = {"order date": [f"2024-01-{n % 28 + 1:02}" for n in range(40)]}
    some |= {"shipped": some["order date"], "amount": [f"{n}.50" for n in range(40)]}
    some |= {"fee": some["amount"], "desk": [f"desk {n % 9}" for n in range(40)]}
    found = column_matching.columns_of("transactions", look(**some))
    (asked,) = [entry for entry in found if entry.key == "customer_id"]
    assert [choice.words.split(" (")[0] for choice in asked.choices] == ["desk", "none of these"]


def test_whole_yen_tell_what_groups_their_thousands():
    def verdict(*texts):
        return value_formats.decimal_mark([[(text, (2, "f.csv")) for text in texts]])

    for texts in (["12,345円"], ["￥1,980", "900"], ["JPY 1,980"], ["₩15,000"]):
        assert verdict(*texts).value == "."
    assert verdict("12,345").value == verdict("€1,980").value == value_formats.ASK
    assert verdict("12,5円").value == ","
