import datetime as dt
from collections import Counter
from decimal import Decimal, InvalidOperation

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers
from analysis import schema as tables
from analysis.errors import InputError, RunError
from analysis.intake import cleaning, quality
from analysis.report.text import say
from tests.intake.reading import fold, parsed

AS_OF = dt.date(2024, 12, 31)
DAY_OF_SALE = dt.date(2024, 1, 5)
HEADER = "id,day,eur\n"
ORDER_COLUMNS = {"customer_id": "id", "date": "day", "amount": "eur", "order_id": "order"}
ORDER_HEADER = "id,day,eur,order\n"
SALES = {"path": "*.csv", "columns": {"customer_id": "id", "date": "day", "amount": "eur"}}


def outcomes(judged):
    found = judged.order_by("line").select("outcome", "reason", "column").to_pyarrow()
    return [list(row.values()) for row in found.to_pylist()]


def kept_lines(judged, *columns):
    return (
        cleaning.transactions(judged)
        .order_by("source", "line")
        .to_pandas()[list(columns)]
        .to_numpy()
        .tolist()
    )


def judged_lines(rows, names, **file):
    return cleaning.judge(parsed(rows, names, **file), AS_OF).cache()


# Rules


REJECTED = {
    ",2024-01-05,5": ("no_customer", "customer_id"),
    "'  ',2024-01-05,5": ("no_customer", "customer_id"),
    "\u00a0,2024-01-05,5": ("no_customer", "customer_id"),  # a no-break space
    "\u3000,2024-01-05,5": ("no_customer", "customer_id"),  # an ideographic one
    "7,05.01.2024,5": ("date_unreadable", "date"),
    "7,2024-02-30,5": ("date_unreadable", "date"),
    "7,2024-01-05x,5": ("date_unreadable", "date"),
    "7,,5": ("date_unreadable", "date"),
    "7,1900-01-01,5": ("date_impossible", "date"),
    "7,9999-12-31,5": ("date_impossible", "date"),
    "7,infinity,5": ("date_impossible", "date"),
    "7,2025-01-01,5": ("after_as_of", "date"),
    "7,2024-01-05,": ("amount_unreadable", "amount"),
    "7,2024-01-05,'12,50'": ("amount_unreadable", "amount"),
    "7,2024-01-05,nan": ("amount_unreadable", "amount"),
    "7,2024-01-05,TBD": ("amount_unreadable", "amount"),
    "7,2024-01-05,five": ("amount_unreadable", "amount"),
    "7,2024-01-05,about 5 EUR": ("amount_unreadable", "amount"),  # and no line in another currency
    "7,2024-01-05": ("wrong_field_count", ""),
    "7,2024-01-05,5,6": ("wrong_field_count", ""),
    ",never,none": ("no_customer", "customer_id"),  # the first rule that holds
    ",": ("wrong_field_count", ""),
}
POSSIBLE = [
    "7,2024-12-31,5",
    "7,1970-01-01,5",
    "7, 2024-01-05 , 5 ",
    "007,2024-01-05,-5",
    "Null,2024-01-05,0",
    "NA,2024-01-05,.5",
]


def test_each_rule_rejects_with_its_reason_and_odd_but_possible_lines_stay(judge):
    rows = [
        *POSSIBLE,
        *POSSIBLE,
        *POSSIBLE,
        *POSSIBLE,
        *REJECTED,
    ]  # most lines have as many fields as the header
    found = outcomes(judge(HEADER + "".join(row.replace("'", '"') + "\n" for row in rows)))
    assert found[: -len(REJECTED)] == [["kept", "", ""]] * (4 * len(POSSIBLE))
    assert dict(zip(REJECTED, found[-len(REJECTED) :], strict=True)) == {
        r: ["rejected", *why] for r, why in REJECTED.items()
    }


TABLES = {  # rows of each table that break rules which no order line of one file can
    "customers": (["customer_id", "region"], [("7", "N"), ("7", "S")]),
    "products": (["product", "category"], [("P", "x"), ("P", "y"), (None, "z")]),
    "campaigns": (["customer_id", "campaign_id", "date", "arm"], [("7", None, "2024-01-05", "t")]),
    "transactions": (
        ["customer_id", "date", "amount", "order_id", "status"],
        [
            ("7", "2024-01-05", "5", "A", "paid"),
            ("7", "2024-01-05", "5", "A", "paid"),
            ("7", "2024-01-05", "5", "B", "void"),
            ("7", "2024-01-05", "0", "C", "refunded"),
        ],
    ),
}


def test_every_rule_has_a_label_of_its_own_and_can_occur(judge):
    marks = {
        "order_key": ["order_id"],
        "void_status": ["void"],
        "returns": {"status": ["refunded"]},
    }
    seen = set()
    for table, (names, rows) in TABLES.items():
        file = marks if table == "transactions" else {}
        judged = cleaning.judge(parsed(rows, names, table, **file), AS_OF, table)
        seen |= {tuple(row) for row in outcomes(judged)}
    text = "".join(row.replace("'", '"') + "\n" for row in [*POSSIBLE * 4, *REJECTED])
    seen |= {tuple(row) for row in outcomes(judge(HEADER + text))}
    assert seen == {("kept", "", ""), *((r.outcome, r.reason, r.column) for r in cleaning.RULES)}
    assert [say.word(rule.reason) for rule in cleaning.RULES] == [r.label for r in cleaning.RULES]
    assert len({rule.label for rule in cleaning.RULES} - {""}) == len(cleaning.RULES)


def test_a_return_of_no_money_is_no_sale():
    """Pieces given back for nothing are a return; where none are counted, nothing shows it."""
    columns, file = ["customer_id", "date", "amount", "status"], {"returns": {"status": ["back"]}}
    rows = [("7", "2024-01-05", "0", "back"), ("7", "2024-01-05", "0", "done")]
    assert outcomes(judged_lines(rows, columns, **file)) == [
        ["rejected", "return_without_amount", ""],
        ["kept", "", ""],
    ]
    counted = judged_lines([(*row, "2") for row in rows], [*columns, "quantity"], **file)
    kept = cleaning.transactions(counted).order_by("line")
    assert kept.quantity.to_pyarrow().to_pylist() == [-2, 2]
    assert customers.order_days(kept, AS_OF).bought.to_pyarrow().to_pylist() == [DAY_OF_SALE]
    assert kept.filter(customers.is_return(kept)).line.to_pyarrow().to_pylist() == [2]


def test_fault_16_after_the_day_and_in_no_possible_year():
    days = [
        "1900-01-01",
        "1969-12-31",
        "1970-01-01",
        "2024-12-31",
        "2025-01-01",
        "2100-01-02",
        "9999-12-31",
    ]
    found = outcomes(judged_lines([("7", day) for day in days], ["customer_id", "date"]))
    reasons = [
        "date_impossible",
        "date_impossible",
        "",
        "",
        "after_as_of",
        "date_impossible",
        "date_impossible",
    ]
    assert [reason for _, reason, _ in found] == reasons


IDS = [
    "007",
    "7",
    "1234567890123456789",
    "12345678901234567890",
    "Null",
    "NULL",
    "NA",
    "None",
    "nan",
    "-",
    "1e5",
    "张三",
]


def test_fault_11_ids_are_text_and_only_blanks_are_missing(judge):
    judged = judge(HEADER + "".join(f"{name},2024-01-05,5\n" for name in ["", *IDS]))
    assert [name for (name,) in kept_lines(judged, "customer_id")] == IDS


def test_fault_12_rows_without_a_customer_are_rejected_and_never_pooled(judge):
    judged = judge(
        HEADER + "7,2024-01-05,5\n,2024-01-05,5\n   ,2024-01-06,7\n\u3000,2024-01-06,8\n"
    )
    assert kept_lines(judged, "customer_id") == [["7"]]
    account = quality.account({"transactions": judged}).set_index("reason")
    assert (account.rows["no_customer"], account.money["no_customer"]) == (3, Decimal(20))


def test_fault_10_full_width_digits_in_a_file(company, judge_all):
    files = {
        "a.csv": (
            'id,day,eur\n7,２０２４-０１-０５,１２３\n7,2024-01-05,"￥1，'
            '234.50"\n７,2024-01-05,（5.00）\n'
        )
    }
    judged = judge_all(company(files, {"transactions": SALES}, currency="CNY"))["transactions"]
    assert kept_lines(judged, "customer_id", "amount") == [
        ["7", Decimal(123)],
        ["7", Decimal("1234.50")],
        ["７", Decimal(-5)],
    ]


def test_a_value_that_is_not_needed_is_left_empty_and_noted(judge):
    columns = ORDER_COLUMNS | {"quantity": "n", "profit": "won", "discount": "off"}
    judged = judge(
        "id,day,eur,order,n,won,off\n7,2024-01-05,5,A,two,much,3%\n8,2024-01-05,5,B,,,\n",
        columns=columns,
    )
    assert [outcome for outcome, *_ in outcomes(judged)] == ["kept", "kept"]
    noted = cleaning.rejects(judged).order_by("column").to_pandas()
    assert noted[["line", "outcome", "reason", "column", "value"]].to_numpy().tolist() == [
        [2, "mended", "left_empty", "cost", "xxxx"],
        [2, "mended", "left_empty", "discount", "9%"],
        [2, "mended", "left_empty", "quantity", "xxx"],
    ]


def test_constants_hold_for_every_row_and_attributes_stay_as_written():
    lines = parsed(
        [("7", "2024-01-05")],
        ["customer_id", "date"],
        constants={"channel": "shop", "amount": "5.50"},
    )
    assert kept_lines(cleaning.judge(lines, AS_OF), "channel", "amount") == [
        ["shop", Decimal("5.50")]
    ]
    file = {"columns": {"customer_id": "id"}, "attributes": {"floor": "storey"}}
    profiles = parsed([("7", "05")], ["customer_id", "floor"], "customers", **file)
    assert cleaning.records(cleaning.judge(profiles, AS_OF, "customers")).to_pyarrow()[
        "floor"
    ].to_pylist() == ["05"]


# Order lines


RETURN_COLUMNS = ["customer_id", "date", "order_id", "quantity", "amount", "cost", "status"]
MARKED = {"returns": {"status": ["Refunded", "退货"], "prefix": "C"}, "void_status": ["cancelled"]}


def test_fault_13_returns_in_their_forms():
    marks = [  # order, quantity, amount, status
        ("A", "-2", "-10", "done"),
        ("A", "-2", "10", "done"),
        ("A", "2", "-10", "done"),
        ("A", "2", "(10.00)", "done"),
        ("A", "2", "10", "refunded"),
        ("A", "2", "10", "退货"),
        ("CA", "2", "10", "done"),
        ("CA", "-2", "-10", "refunded"),
    ]
    rows = [
        ("7", "2024-01-05", order, quantity, amount, "6", status)
        for order, quantity, amount, status in marks
    ]
    found = kept_lines(judged_lines(rows, RETURN_COLUMNS, **MARKED), "amount", "quantity", "cost")
    assert dict(zip(marks, found, strict=True)) == {
        mark: [Decimal(-10), -2, Decimal(-6)] for mark in marks
    }


def test_a_sale_is_no_return_and_a_void_order_is_neither():
    rows = [
        ("7", "2024-01-05", "A", "2", "10", "6", status) for status in ("done", "CANCELLED", None)
    ]
    judged = judged_lines(rows, RETURN_COLUMNS, **MARKED)
    assert outcomes(judged) == [
        ["kept", "", ""],
        ["rejected", "void_status", "status"],
        ["kept", "", ""],
    ]
    assert kept_lines(judged, "amount", "cost") == [[Decimal(10), Decimal(6)]] * 2


def test_fault_13_a_return_before_its_sale_is_kept_and_linked_to_none():
    rows = [("7", "2024-01-05", "-5"), ("7", "2024-01-09", "5")]
    judged = judged_lines(rows, ["customer_id", "date", "amount"])
    assert kept_lines(judged, "amount", "sale_day") == [[Decimal(-5), pd.NaT], [Decimal(5), pd.NaT]]
    assert (
        quality.oddities(judged, cleaning.transactions(judged))
        .set_index("oddity")
        .rows["return_without_sale"]
        == 1
    )


def test_price_times_quantity_where_there_is_no_amount():
    rows = [
        ("1.25", "3"),
        ("0.001", "1000000"),
        ("-2", "-3"),
        ("2", "-3"),
        ("x", "3"),
        ("2", "x"),
        ("2", None),
    ]
    lines = parsed(
        [("7", "2024-01-05", *row) for row in rows],
        ["customer_id", "date", "unit_price", "quantity"],
    )
    judged = cleaning.judge(lines, AS_OF)
    assert kept_lines(judged, "amount") == [
        [Decimal("3.75")],
        [Decimal(1000)],
        [Decimal(-6)],
        [Decimal(-6)],
    ]
    assert [reason for _, reason, _ in outcomes(judged)][4:] == ["amount_unreadable"] * 3
    assert cleaning.rejects(judged).order_by("line").to_pandas().value.fillna("").tolist()[:2] == [
        "x",
        "x",
    ]


def test_an_amount_outranks_price_and_quantity():
    row = ("7", "2024-01-05", "10", "3", "4", "free")
    lines = parsed([row], ["customer_id", "date", "amount", "unit_price", "quantity", "discount"])
    assert kept_lines(cleaning.judge(lines, AS_OF), "amount", "discount") == [[Decimal(10), None]]


def test_products_too_large_are_rejected_and_do_not_stop_the_run():
    rows = [
        ("7", "2024-01-05", "1000000000000000", "100000000000"),
        ("7", "2024-01-05", "1e15", "1"),
        ("7", "2024-01-05", "1", "1"),
    ]
    judged = judged_lines(rows, ["customer_id", "date", "unit_price", "quantity"])
    assert [reason for _, reason, _ in outcomes(judged)] == ["amount_unreadable", "", ""]


def test_cost_is_given_or_what_profit_leaves():
    lines = parsed(
        [("7", "2024-01-05", "10", "4"), ("7", "2024-01-06", "-10", "-4")],
        ["customer_id", "date", "amount", "profit"],
    )
    assert kept_lines(cleaning.judge(lines, AS_OF), "cost") == [[Decimal(6)], [Decimal(-6)]]
    both = parsed(
        [("7", "2024-01-05", "10", "4", "5")], ["customer_id", "date", "amount", "profit", "cost"]
    )
    assert kept_lines(cleaning.judge(both, AS_OF), "cost") == [[Decimal(5)]]


def test_a_log_without_amounts_keeps_its_orders_and_rejects_returns():
    lines = parsed(
        [("7", "2024-01-05", "2"), ("7", "2024-01-06", "-1")], ["customer_id", "date", "quantity"]
    )
    judged = cleaning.judge(lines, AS_OF)
    assert outcomes(judged) == [["kept", "", ""], ["rejected", "return_without_amount", ""]]
    kept = cleaning.transactions(judged)
    assert kept.amount.to_pyarrow().to_pylist() == [None]
    tables.conform("transactions", kept.to_pyarrow())
    tables.conform("rejects", cleaning.rejects(judged).to_pyarrow())


def test_fault_17_amounts_of_any_size_add_up_exactly():
    amounts = [
        "1000000000000000",
        "0.01",
        "-1000000000000000",
        "0.000000000001",
        "1e15",
        "-1e15",
        "999999999999999.999999999999",
    ]
    judged = judged_lines(
        [("7", "2024-01-05", amount) for amount in amounts], ["customer_id", "date", "amount"]
    )
    assert kept_lines(judged, "amount") == [[Decimal(amount)] for amount in amounts]
    assert quality.account({"transactions": judged}).money.tolist() == [sum(map(Decimal, amounts))]


def test_fault_18_with_a_rate_all_money_of_a_line_is_converted(company, judge_all):
    lines = "7,2024-01-05,5,CNY,1,0.5\n7,2024-01-05,5,USD,1,0.5\n7,2024-01-05,-€5,,1,\n7,2024-01-06,5,¥,1,0\n"
    money = {"currency": "cur", "cost": "cost", "discount": "off"}
    table = SALES | {"columns": SALES["columns"] | money}
    shop = company(
        {"a.csv": "id,day,eur,cur,cost,off\n" + lines},
        {"transactions": table},
        currency="CNY",
        rates={"USD": 7.2, "EUR": 7.81},
    )
    found = kept_lines(judge_all(shop)["transactions"], "amount", "cost", "discount")
    assert found == [
        [Decimal(5), Decimal(1), Decimal("0.5")],
        [Decimal(36), Decimal("7.2"), Decimal("3.6")],
        [Decimal("-39.05"), Decimal("-7.81"), None],
        [Decimal(5), Decimal(1), Decimal(0)],
    ]


def test_small_rates_keep_their_digits():
    within = {"rates": {"IDR": 0.0000613, "VND": 0.00003937}}
    rows = [
        ("7", "2024-01-05", "IDR 1,000,000"),
        ("7", "2024-01-05", "1000000 VND"),
        ("7", "2024-01-05", "IDR 1e25"),
    ]
    judged = judged_lines(rows, ["customer_id", "date", "amount"], within=within)
    assert kept_lines(judged, "amount") == [[Decimal("61.3")], [Decimal("39.37")]]


# Copies


def test_fault_14_equal_lines_are_merged_only_where_an_order_key_proves_them_the_same():
    rows = [
        ("7", "2024-01-05", *line)
        for line in (("5.0", "A"), ("5.00", "A"), ("5", "B"), ("6", "A"), ("5", None), ("5", None))
    ]
    columns = ["customer_id", "date", "amount", "order_id"]
    assert outcomes(judged_lines(rows, columns)) == [["kept", "", ""]] * 6
    proven = outcomes(judged_lines(rows, columns, order_key=["order_id"]))
    assert proven == [
        ["kept", "", ""],
        ["merged", "repeats_order_line", "order_id"],
        *[["kept", "", ""]] * 4,
    ]


FIRST = ORDER_HEADER + "7,2024-01-05,5,A\n8,2024-02-05,6,B\n8,2024-02-05,6,C\n"
LATER = ORDER_HEADER + "8,2024-02-05,6,B\n8,2024-02-05,6,C\n9,2024-03-05,7,D\n"


@pytest.mark.parametrize(
    ("second", "orders"),
    [(FIRST, "ABC"), (LATER, "ABCD")],
    ids=["the same export", "an overlapping one"],
)
def test_fault_14_two_exports_count_an_order_once_with_a_key(company, judge_all, second, orders):
    table = SALES | {"columns": ORDER_COLUMNS, "order_key": ["order_id"]}
    judged = judge_all(company({"a.csv": FIRST, "b.csv": second}, {"transactions": table}))
    assert [order for (order,) in kept_lines(judged["transactions"], "order_id")] == list(orders)
    account = quality.account(judged).set_index(["source", "outcome"]).rows.to_dict()
    assert account["a.csv", "kept"] == 3
    assert account["b.csv", "merged"] == 6 - len(orders)


def test_fault_14_without_a_key_repeated_rows_are_reported_and_stay(company, judge_all):
    judged = judge_all(
        company(
            {"a.csv": FIRST, "b.csv": LATER}, {"transactions": SALES | {"columns": ORDER_COLUMNS}}
        )
    )
    log = judged["transactions"]
    assert cleaning.transactions(log).count().execute() == 6
    assert (
        quality.oddities(log, cleaning.transactions(log)).set_index("oddity").rows["repeated_row"]
        == 2
    )


def test_blanks_around_an_order_key_do_not_hide_a_repeated_line(judge):
    judged = judge(
        ORDER_HEADER + "7,2024-01-05,5,A\n7,2024-01-05,5,A \n",
        columns=ORDER_COLUMNS,
        order_key=["order_id"],
    )
    assert [outcome for outcome, *_ in outcomes(judged)] == ["kept", "merged"]


@pytest.mark.parametrize(
    "key", [["order_id"], ["order_id", "date"], ["order_id", "customer_id", "quantity", "status"]]
)
def test_copies_are_found_in_a_log_without_amounts_by_any_key(key):
    rows = [("7", "2024-01-05", order, "1", "done") for order in ("A", "A", "B")]
    judged = judged_lines(
        rows, ["customer_id", "date", "order_id", "quantity", "status"], order_key=key
    )
    assert [outcome for outcome, *_ in outcomes(judged)] == ["kept", "merged", "kept"]


def test_a_sale_does_not_vanish_in_a_line_that_was_not_yet_one():
    file = {"order_key": ["order_id"], "void_status": ["open"]}
    rows = [("7", "2024-01-05", "5", "A", status) for status in ("open", "paid", "paid")]
    judged = judged_lines(rows, ["customer_id", "date", "amount", "order_id", "status"], **file)
    assert [outcome for outcome, *_ in outcomes(judged)] == ["rejected", "kept", "merged"]


WITH_PRODUCT = {"order_key": ["order_id", "product"], "void_status": ["void"]}
FILES = {"a.csv": WITH_PRODUCT, "b.csv": WITH_PRODUCT, "c.csv": {"order_key": ["order_id"]}}
LOG_COLUMNS = ["customer_id", "date", "amount", "order_id", "product", "status"]
LOG = st.lists(
    st.tuples(
        st.sampled_from(list(FILES)),
        st.tuples(
            st.sampled_from(["7", "8", None]),
            st.sampled_from(["2024-01-05", "2024-01-06", "2025-01-05", "never"]),
            st.sampled_from(["5", "5.0", "-5", "6", "free"]),
            st.sampled_from(["A", "B", None]),
            st.sampled_from(["P", "Q", None]),
            st.sampled_from(["void", "done", None]),
        ),
    ),
    min_size=1,
    max_size=80,
)


def read_log(log):
    """The typed rows of the files, those that are read alike at once."""
    lines, read = Counter(), []
    placed = [(source, lines.update([source]) or lines[source] + 1, row) for source, row in log]
    for sources in (("a.csv", "b.csv"), ("c.csv",)):
        if mine := [one for one in placed if one[0] in sources]:
            typed = (
                parsed([row for *_, row in mine], LOG_COLUMNS, **FILES[sources[0]])
                .order_by("line")
                .to_pyarrow()
            )
            origin = {
                "source": [source for source, *_ in mine],
                "line": pa.array([line for _, line, _ in mine], pa.int64()),
            }
            read.append(
                pa.table({name: origin.get(name, typed[name]) for name in typed.column_names})
            )
    return ibis.memtable(pa.concat_tables(read, promote_options="default"))


def reasons_by_hand(log):
    """The reason of each row by source and line, in plain Python: an earlier row kept with the same
    key is repeated.
    """
    reasons, seen, lines = {}, set(), Counter()
    for source, row in sorted(log, key=lambda one: one[0]):
        line = dict(zip(LOG_COLUMNS, row, strict=True))
        lines[source] += 1
        key, void = FILES[source]["order_key"], "void_status" in FILES[source]
        same = (
            *key,
            *(line[name] for name in key),
            line["customer_id"],
            line["date"],
            line["amount"].removesuffix(".0"),
        )
        reason = ""
        if line["customer_id"] is None:
            reason = "no_customer"
        elif line["date"] == "never":
            reason = "date_unreadable"
        elif line["date"] > str(AS_OF):
            reason = "after_as_of"
        elif void and line["status"] == "void":
            reason = "void_status"
        elif line["amount"] == "free":
            reason = "amount_unreadable"
        elif key and all(line[name] for name in key) and same in seen:
            reason = "repeats_order_line"
        if not reason:
            seen.add(same)
        reasons[source, lines[source] + 1] = reason
    return reasons


def found_reasons(judged):
    found = judged.select("source", "line", "reason").to_pandas()
    return {(row.source, row.line): row.reason for row in found.itertuples()}


@given(LOG)
@settings(max_examples=6)
def test_copies_over_several_files_agree_with_plain_python(log):
    assert found_reasons(cleaning.judge(read_log(log), AS_OF)) == reasons_by_hand(log)


@given(LOG)
@settings(max_examples=4)
def test_nothing_from_after_the_day_changes_what_is_kept_of_a_log(log):
    typed = read_log(log).cache()
    before = typed.filter(typed.day.fill_null(AS_OF) <= AS_OF)
    whole, then = (cleaning.judge(rows, AS_OF).cache() for rows in (typed, before))
    assert {
        row: reason for row, reason in found_reasons(whole).items() if row in found_reasons(then)
    } == found_reasons(then)
    both = [
        cleaning.transactions(rows).order_by("source", "line").to_pyarrow()
        for rows in (whole, then)
    ]
    assert both[0] == both[1]


PROFILES = st.lists(
    st.tuples(
        st.sampled_from(["7", "8", "9"]),
        st.sampled_from([None, "2024-03-01", "2024-12-31", "2025-01-01", "2025-06-01"]),
        st.sampled_from(["North", "South"]),
    ),
    min_size=1,
    max_size=12,
)


def profile_by_hand(rows, as_of):
    """Of each customer the profile updated last by the day; one of unknown or later date only where
    there is no other.
    """
    best = {}
    for line, (customer, updated, _) in enumerate(rows, start=2):
        known = updated if updated and updated <= str(as_of) else ""
        if customer not in best or known > best[customer][0]:
            best[customer] = (known, line)
    return sorted(line for _, line in best.values())


@given(PROFILES)
@settings(max_examples=8)
def test_of_several_profiles_the_one_updated_last_by_the_day_stays(rows):
    judged = cleaning.judge(
        parsed(rows, ["customer_id", "updated", "region"], "customers"), AS_OF, "customers"
    )
    kept = cleaning.records(judged)
    assert sorted(kept.line.to_pyarrow().to_pylist()) == profile_by_hand(rows, AS_OF)
    tables.conform("profiles", kept.to_pyarrow())


def test_a_product_that_stands_there_twice_is_merged():
    judged = cleaning.judge(
        parsed([("P", "x"), ("P", "y"), (None, "z")], ["product", "category"], "products"),
        AS_OF,
        "products",
    )
    assert [reason for _, reason, _ in outcomes(judged)] == ["", "repeats_product", "no_product"]


def test_the_log_gets_its_categories_from_the_products():
    lines = parsed(
        [("7", "2024-01-05", "P"), ("7", "2024-01-05", "?"), ("7", "2024-01-05", None)],
        ["customer_id", "date", "product"],
    )
    products = parsed([("P", "tools"), ("P", "toys")], ["product", "category"], "products")
    kept = cleaning.records(cleaning.judge(products, AS_OF, "products"))
    found = cleaning.transactions(cleaning.judge(lines, AS_OF), kept).order_by("line").to_pyarrow()
    assert found["category"].to_pylist() == ["tools", None, None]


# Returns and their sales


LINK_COLUMNS = ["customer_id", "date", "amount", "order_id", "product"]


def sale_days(rows, columns=LINK_COLUMNS, **file):
    judged = judged_lines(rows, columns, **file)
    return cleaning.transactions(judged).order_by("line").to_pyarrow()["sale_day"].to_pylist()


def test_a_return_belongs_to_the_sale_of_its_order_and_product():
    rows = [
        ("7", "2024-01-01", "5", "A", "P"),
        ("7", "2024-01-02", "5", "B", "P"),
        ("7", "2024-01-03", "5", "A", "Q"),
        ("7", "2024-01-09", "-3", "A", "P"),
    ]
    assert sale_days(rows)[-1] == dt.date(2024, 1, 1)


def test_a_cancellation_names_its_order_behind_a_prefix():
    rows = [
        ("7", "2024-01-01", "5", "A", "P"),
        ("7", "2024-01-02", "5", "B", "P"),
        ("7", "2024-01-09", "5", "CA", "P"),
    ]
    assert sale_days(rows, returns={"prefix": "C"})[-1] == dt.date(2024, 1, 1)


def test_without_its_order_a_return_belongs_to_the_latest_sale_of_the_same_money():
    rows = [
        ("7", "2024-01-01", "5", "A", "P"),
        ("7", "2024-01-02", "5", "B", "P"),
        ("7", "2024-01-03", "5", "C", "Q"),
        ("7", "2024-01-04", "6", "D", "P"),
        ("8", "2024-01-05", "5", "E", "P"),
        ("7", "2024-01-10", "5", "F", "P"),
        ("7", "2024-01-09", "-5", "R", "P"),
    ]
    assert sale_days(rows)[-1] == dt.date(2024, 1, 2)


def test_a_return_on_the_day_of_its_sale_is_linked_and_one_of_another_customer_is_not():
    rows = [
        ("7", "2024-01-01", "5"),
        ("7", "2024-01-01", "-5"),
        ("8", "2024-01-02", "-5"),
        ("7", "2024-01-02", "-4"),
    ]
    assert sale_days(rows, LINK_COLUMNS[:3]) == [None, dt.date(2024, 1, 1), None, None]


def sale_day_by_hand(line, rows):
    customer, day, amount, order, product = rows[line]
    if Decimal(amount) >= 0 or product is None:
        return None
    sales = [
        r
        for r in rows
        if Decimal(r[2]) >= 0 and (r[0], r[4]) == (customer, product) and r[1] <= day
    ]
    of_order = [r[1] for r in sales if order is not None and r[3] == order]
    of_money = [r[1] for r in sales if Decimal(r[2]) == -Decimal(amount)]
    found = of_order or of_money
    return dt.date.fromisoformat(max(found)) if found else None


SALES_AND_RETURNS = st.lists(
    st.tuples(
        st.sampled_from(["7", "8", "9"]),
        st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 12)).map(str),
        st.sampled_from(["5", "-5", "5.00", "-5.0", "6", "-6", "0", "-4"]),
        st.sampled_from(["A", "B", "C", "D", None]),
        st.sampled_from(["P", "Q", None]),
    ),
    min_size=1,
    max_size=60,
)


@given(SALES_AND_RETURNS)
@settings(max_examples=12)
def test_links_of_returns_agree_with_plain_python(rows):
    customer, day, amount, order, product = zip(*rows, strict=True)
    money = pa.array(map(Decimal, amount), pa.decimal128(38, 12))
    days = pa.array(map(dt.date.fromisoformat, day), pa.date32())
    texts = {"customer_id": customer, "order_id": order, "product": pa.array(product, pa.string())}
    texts["order_id"] = pa.array(order, pa.string())
    lines = {
        "line": range(len(rows)),
        "source": ["o.csv"] * len(rows),
        "returned": [Decimal(a) < 0 for a in amount],
    }
    linked = cleaning.link_returns(
        ibis.memtable(pa.table(texts | lines | {"day": days, "amount": money}))
    )
    found = linked.order_by("line").select("sale_day").to_pyarrow()["sale_day"].to_pylist()
    assert found == [sale_day_by_hand(line, rows) for line in range(len(rows))]


# Whole logs


def reason_by_hand(row, seen):
    customer, day, amount, order = row
    try:
        day = dt.date.fromisoformat(day)
    except ValueError:
        day = None
    try:
        money = Decimal(amount)
    except InvalidOperation:
        money = None
    if not customer.strip():
        return "no_customer", money
    if day is None:
        return "date_unreadable", money
    if not dt.date(1970, 1, 1) <= day <= dt.date(2100, 1, 1):
        return "date_impossible", money
    if day > AS_OF:
        return "after_as_of", money
    if money is None:
        return "amount_unreadable", money
    line = (order, customer.strip(), day, money)
    if order is not None and line in seen:
        return "repeats_order_line", money
    seen.add(line)
    return "", money


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["7", "007", "张三", "", "  ", "NA"]),
        st.sampled_from(
            [
                "2024-01-05",
                "2024-12-31",
                "2025-01-01",
                "1969-12-31",
                "9999-01-01",
                "2024-02-30",
                "soon",
                "",
            ]
        ),
        st.sampled_from(
            [
                "5",
                "5.00",
                "-5",
                "0",
                "1e3",
                "0.000000000001",
                "1000000000000000.01",
                "-1e15",
                "12,50",
                "",
                "free",
            ]
        ),
        st.sampled_from(["A", "B"]),
    ),
    min_size=1,
    max_size=120,
)


@given(ROWS, st.booleans())
@settings(max_examples=4)
def test_every_row_and_every_cent_of_a_dirty_log_is_accounted_for(judge, rows, keyed):
    text = ORDER_HEADER + "".join(",".join(f'"{field}"' for field in row) + "\n" for row in rows)
    judged = judge(text, AS_OF, ORDER_COLUMNS, order_key=["order_id"] if keyed else [])

    seen = set()
    by_hand = [reason_by_hand(row if keyed else (*row[:3], None), seen) for row in rows]
    account = quality.account({"transactions": judged})
    assert dict(zip(account.reason, account.rows, strict=True)) == Counter(
        reason for reason, _ in by_hand
    )
    for reason, money in zip(account.reason, account.money, strict=True):
        assert (money or 0) == sum(amount or 0 for why, amount in by_hand if why == reason)

    kept, apart = cleaning.transactions(judged), cleaning.rejects(judged)
    assert kept.count().execute() + apart.count().execute() == len(rows)
    sums = quality.reconcile(judged, kept, apart)
    if any(amount is not None for _, amount in by_hand):
        assert (
            sums["kept"] + sums["apart"]
            == sums["money"]
            == sum(amount or 0 for _, amount in by_hand)
        )


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=3)
def test_order_of_the_files_rows_does_not_change_what_is_kept(rows, random):
    def content(rows):
        texts = [[field.strip() or None for field in row] for row in rows]
        judged = judged_lines(
            texts, ["customer_id", "date", "amount", "order_id"], order_key=["order_id"]
        )
        kept = (
            cleaning.transactions(judged)
            .select("customer_id", "day", "amount", "order_id")
            .to_pandas()
        )
        account = quality.account({"transactions": judged}).to_numpy().tolist()
        return sorted(kept.itertuples(index=False, name=None)), account

    assert content(rows) == content(random.sample(rows, len(rows)))


def test_rejects_show_the_shape_of_a_value_and_keep_its_money(judge):
    judged = judge(
        HEADER + "7,le 5 janvier,5.50\n7,2024-01-05,Ｍüller 12\n,2024-01-05,1\n7,2024-01-05\n"
    )
    frame = cleaning.rejects(judged).order_by("line").to_pandas()
    assert frame.value.fillna("").tolist() == ["xx 9 xxxxxxx", "xxxxxx 99", "", "2 fields"]
    assert frame.amount[[0, 2]].tolist() == [Decimal("5.50"), Decimal(1)]
    assert pd.isna(frame.amount[1])


PERSON = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Mn"]), min_size=3, max_size=8)


@given(st.lists(st.tuples(PERSON, PERSON), min_size=1, max_size=30))
@settings(max_examples=4)
def test_fault_34_rejects_hold_no_personal_data(people):
    columns = ["customer_id", "company", "birthday", "consent"]
    rows = [
        (who, name, f"{number}@{name}", f"{name}-{number}")
        for name, number in people
        for who in (None, name)
    ]
    judged = cleaning.judge(parsed(rows, columns, "customers"), AS_OF, "customers")
    noted = cleaning.rejects(judged, "customers").to_pyarrow()
    shown = [text for text in noted["value"].to_pylist() if text is not None]
    assert len(shown) == 2 * len({name for name, _ in people})
    assert {fold(character) for text in shown for character in text} <= {"x", "9", "@", "-"}
    assert set(noted["column"].to_pylist()) == {"customer_id", "birthday", "consent"}


# The day of the picture


def test_last_complete_day_is_the_newest_possible_day(shop):
    days = [("7", day) for day in ("2024-01-05", "9999-01-01", "soon")]
    assert cleaning.last_complete_day(
        parsed(days, ["customer_id", "date"]), shop(HEADER)
    ) == dt.date(2024, 1, 5)


def log_on(*days):
    return parsed([("7", str(day)) for day in days], ["customer_id", "date"])


def test_one_mistyped_year_does_not_move_the_day_of_the_picture(shop):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n // 10) for n in range(1_500)]
    log = log_on(*days, dt.date(2042, 1, 5), dt.date(2062, 1, 5)), shop(HEADER)
    assert cleaning.last_complete_day(*log) == days[-1]
    with pytest.raises(RunError, match=rf"8 days after the newest order \({days[-1]}\)"):
        cleaning.check_as_of(*log, days[-1] + dt.timedelta(days=8))


def test_days_that_many_orders_share_are_no_mistyping(shop):
    early, late = [dt.date(2020, 1, 1)] * 5, [dt.date(2024, 1, n) for n in (1, 2, 3)]
    assert cleaning.last_complete_day(log_on(*early, *late), shop(HEADER)) == late[-1]
    assert cleaning.last_complete_day(log_on(dt.date(1970, 1, 1), *late), shop(HEADER)) == late[-1]
    assert cleaning.last_complete_day(log_on(*late, dt.date(2024, 6, 1)), shop(HEADER)) == dt.date(
        2024, 6, 1
    )


def test_with_clock_times_the_newest_day_may_be_cut_short(shop):
    log = parsed([("7", "2024-01-05 09:30")], ["customer_id", "date"], date_format="%Y-%m-%d %H:%M")
    assert cleaning.last_complete_day(log, shop(HEADER)) == dt.date(2024, 1, 4)


def test_no_readable_date_names_column_format_and_an_example(shop):
    with pytest.raises(InputError) as error:
        cleaning.last_complete_day(
            parsed([("7", "05.01.2024")], ["customer_id", "date"]), shop(HEADER)
        )
    for words in ("column day", "iso", "'99.99.9999'", "tables.transactions.date_format"):
        assert words in str(error.value)


def test_fault_40_as_of_must_lie_in_the_data_and_not_far_beyond(shop):
    days = [("7", day) for day in ("2024-01-05", "2024-03-01", "9999-01-01")]
    log = parsed(days, ["customer_id", "date"]), shop(HEADER)
    cleaning.check_as_of(*log, dt.date(2024, 1, 5))
    cleaning.check_as_of(*log, dt.date(2024, 3, 8))
    with pytest.raises(InputError, match="begins on 2024-01-05"):
        cleaning.check_as_of(*log, dt.date(2024, 1, 4))
    with pytest.raises(RunError, match=r"8 days after the newest order \(2024-03-01\)"):
        cleaning.check_as_of(*log, dt.date(2024, 3, 9))


# The invented company


def test_the_planted_lines_of_the_invented_company_are_those_set_apart(crm_demo):
    planted = {
        "no_customer": ("customer_empty", "customer_blank", "visitor_unknown"),
        "date_unreadable": ("date_other_format", "date_word", "date_empty"),
        "date_impossible": ("year_1900", "year_9999"),
        "after_as_of": ("after_as_of",),
        "amount_unreadable": ("amount_word", "amount_empty", "price_word"),
        "wrong_field_count": ("one_field_more", "one_field_less"),
        "void_status": ("void_status",),
    }
    for table, judged in crm_demo.judged.items():
        found = judged.select("source", "line", "reason").to_pandas()
        for source, of in found.groupby("source"):
            truth = crm_demo.truth["files"][source.split(":")[0]]["planted"]
            for reason, kinds in planted.items():
                lines = sorted(
                    line for kind in kinds if kind in truth for line in truth[kind]["lines"]
                )
                assert (table, source, reason, sorted(of.line[of.reason == reason])) == (
                    table,
                    source,
                    reason,
                    lines,
                )


def test_the_planted_copies_of_the_invented_company_are_merged(crm_demo):
    found = (
        crm_demo.judged["transactions"]
        .filter(ibis._.reason == "repeats_order_line")
        .select("source", "line")
        .to_pandas()
    )
    for source, lines in found.groupby("source").line:
        truth = crm_demo.truth["files"][source]["planted"]
        for kind in ("exact_duplicate", "overlap"):
            assert set(truth.get(kind, {"lines": []})["lines"]) <= set(lines)


def test_the_planted_returns_of_the_invented_company_are_below_zero(crm_demo):
    numbers = {
        name: crm_demo.transactions[name].cast("float64") for name in ("amount", "quantity", "cost")
    }
    kept = crm_demo.transactions.select("source", "line", **numbers).to_pandas()
    back = (
        "negative_amount",
        "negative_quantity",
        "amount_in_brackets",
        "status_word",
        "before_sale",
        "cancellation_number",
    )
    for source, of in kept.groupby("source"):
        truth = crm_demo.truth["files"][source]["planted"]
        lines = {
            line
            for kind in (*back, "cancellation_number_only")
            if kind in truth
            for line in truth[kind]["lines"]
        }
        returned = of.line.isin(lines)
        assert (of[returned][[*numbers]] < 0).all(axis=None)
        assert (of[~returned][[*numbers]].fillna(1) > 0).all(axis=None)


def test_mended_cells_of_the_invented_company_are_those_planted(crm_demo):
    mended = crm_demo.rejects.filter(ibis._.outcome == "mended").to_pandas()
    assert set(mended.table) == {"transactions"}
    for source, lines in mended.groupby("source").line:
        assert sorted(lines) == crm_demo.truth["files"][source]["planted"]["quantity_word"]["lines"]


def test_fault_34_nothing_that_was_found_in_the_invented_company_is_readable(crm_demo):
    shown = crm_demo.rejects.filter(ibis._.reason != "wrong_field_count").value.to_pandas().dropna()
    assert set("".join(shown)) <= set("x9 /.-")


@pytest.mark.parametrize("table", tables.RECORDS)
def test_tables_of_the_invented_company_keep_their_contracts(crm_demo, table):
    if table == "transactions":
        tables.conform("transactions", crm_demo.transactions.to_pyarrow())
        tables.conform("rejects", crm_demo.rejects.to_pyarrow())
    else:
        tables.conform(tables.KEPT_AS[table], cleaning.records(crm_demo.judged[table]).to_pyarrow())
