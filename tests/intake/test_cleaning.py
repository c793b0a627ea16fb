import datetime as dt
import decimal
import random
from collections import Counter
from decimal import Decimal

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis import customers
from analysis import schema as tables
from analysis.errors import InputError, RunError
from analysis.intake import cleaning, dataset, quality
from analysis.report.text import say
from tests.intake.reading import fold, parsed

AS_OF = dt.date(2024, 12, 31)
HEADER = "id,day,eur\n"
LINE = ["customer_id", "date", "amount"]
ORDER = [*LINE, "order_id"]
KEPT = ["kept", "", ""]


def outcomes(judged):
    found = judged.order_by("line").select("outcome", "reason", "column").to_pyarrow()
    return [list(row.values()) for row in found.to_pylist()]


def reasons(judged):
    return [reason for _, reason, _ in outcomes(judged)]


def kept_lines(judged, *columns):
    kept = cleaning.transactions(judged).order_by("source", "line").to_pandas()
    return kept[list(columns)].to_numpy().tolist()


def judged_lines(rows, names, table="transactions", **file):
    return cleaning.judge(parsed(rows, names, table, **file), AS_OF, table).cache()


def sold(*rows):
    """Order lines of one customer on one day."""
    return [("7", "2024-01-05", *row) for row in rows]


# Rules


REJECTED = {
    ",2024-01-05,5": ("no_customer", "customer_id"),
    "'  ',2024-01-05,5": ("no_customer", "customer_id"),
    "\u00a0,2024-01-05,5": ("no_customer", "customer_id"),  # a no-break space
    "\u3000,2024-01-05,5": ("no_customer", "customer_id"),  # an ideographic one
    "7,05.01.2024,5": ("date_unreadable", "date"),
    "7,2024-02-30,5": ("date_unreadable", "date"),
    "7,,5": ("date_unreadable", "date"),
    "7,1970-01-01,5": ("date_missing", "date"),
    "7,1900-01-01 10:00,5": ("date_missing", "date"),
    "7,0000-00-00,5": ("date_missing", "date"),
    "7,0000-00-00 00:00:00,5": ("date_missing", "date"),
    "7,1969-12-31,5": ("date_impossible", "date"),
    "7,2100-01-02,5": ("date_impossible", "date"),
    "7,9999-12-31,5": ("date_impossible", "date"),
    "7,infinity,5": ("date_impossible", "date"),
    "7,2025-01-01,5": ("after_as_of", "date"),
    "7,2100-01-01,5": ("after_as_of", "date"),
    "7,2024-01-05,": ("amount_unreadable", "amount"),
    "7,2024-01-05,'12,50'": ("amount_unreadable", "amount"),
    "7,2024-01-05,1000000000000001": ("amount_impossible", "amount"),
    "7,2024-01-05,-1000000000000000.25": ("amount_impossible", "amount"),
    "7,2024-01-05,99999999999999999999999999": ("amount_impossible", "amount"),
    "7,2024-01-05,1e26": ("amount_unreadable", "amount"),
    "7,2024-01-05,nan": ("amount_unreadable", "amount"),
    "7,2024-01-05,about 5 EUR": ("amount_unreadable", "amount"),  # and no line in another currency
    "7,2024-01-05": ("wrong_field_count", ""),
    "7,2024-01-05,5,6": ("wrong_field_count", ""),
    ",never,none": ("no_customer", "customer_id"),  # the first rule that holds
    ",": ("wrong_field_count", ""),
    **{
        f"{name},2024-01-05,5": ("no_customer", "customer_id")
        for name in ("NULL", "Na", "nan", "-", "#N/A", "Guest", "散客")
    },
    "Grand Total:,2024-01-05,5": ("total_row", ""),
    "Sub-total,,5": ("total_row", ""),
    "Total for 张三,,5": ("total_row", ""),
    "Total Café 3,,5": ("total_row", ""),
    "K1 Ergebnis,,5": ("total_row", ""),
    "Gesamt,,5": ("total_row", ""),
    "张三 汇总,,5": ("total_row", ""),
    "TOTAL:,,5": ("total_row", ""),
}
POSSIBLE = [
    "7,2024-12-31,5",
    "7,1970-01-02,5",
    "7, 2024-01-05 , 5 ",
    "007,2024-01-05,-5",
    "7,2024-01-05,999999999999999.99",
]
IDS = ["1234567890123456789", "12345678901234567890", "null set", "1e5", "张三", "７", "Total Ltd"]
OTHERS = {  # rows of each table that break rules which no order line of one file can
    "customers": (["customer_id", "region"], [("7", "N"), ("7", "S")]),
    "products": (["product", "category"], [("P", "x"), ("P", "y"), (None, "z")]),
    "campaigns": (["customer_id", "campaign_id", "date", "arm"], [("7", None, "2024-01-05", "t")]),
    "transactions": (
        [*ORDER, "status"],
        sold(("5", "A", "paid"), ("5", "A", "paid"), ("5", "B", "void"), ("0", "C", "refunded")),
    ),
}
MARKS = {"order_key": ["order_id"], "void_status": ["void"], "returns": {"status": ["refunded"]}}


@pytest.fixture(scope="module")
def faulty(judge):
    """Lines of a file that break each rule, below many that break none."""
    usual = [*POSSIBLE * 5, *(f"{name},2024-01-05,5" for name in IDS)]
    full_width = [
        "7,２０２４-０１-０５,１２３",
        '7,2024-01-05,"1，234.50"',
        "7,2024-01-05,（5.00）",
    ]
    rows = [*usual, *full_width, *(row.replace("'", '"') for row in REJECTED)]
    return judge(HEADER + "".join(row + "\n" for row in rows))


def test_each_rule_rejects_with_its_reason_and_odd_but_possible_lines_stay(faulty):
    found = outcomes(faulty)
    assert found[: -len(REJECTED)] == [KEPT] * (len(found) - len(REJECTED))
    assert dict(zip(REJECTED, found[-len(REJECTED) :], strict=True)) == {
        row: ["rejected", *why] for row, why in REJECTED.items()
    }
    kept = kept_lines(faulty, "customer_id", "amount")
    assert [name for name, _ in kept[len(POSSIBLE) * 5 : -3]] == IDS  # text, as it stands there
    assert [amount for _, amount in kept[-3:]] == [123, Decimal("1234.50"), -5]
    account = quality.account({"transactions": faulty}).set_index("reason")
    assert (account.rows["no_customer"], account.money["no_customer"]) == (12, 55)


def test_a_row_that_is_the_sum_of_all_others_is_a_total_wherever_it_stands(judge):
    usual = [f"C{n},2024-01-{n + 1:02},{n}.25" for n in range(1, 9)]  # together 38.00
    total = "Total,2024-02-01,38.00"
    for rows, expected in (
        ([*usual, total], 1),
        ([total, *usual], 1),
        ([*usual, "Total,2024-02-01,38.01"], 0),
        ([*usual[:4], "Total,2024-02-01,11.00"], 0),  # of so few it may be chance
        ([*usual, total, total], 0),
        ([f"C{n},2024-01-05,{n}e12" for n in range(1, 40)] + ["T,2024-01-05,7.8e14"], 1),
        ([f"C{n},2024-01-05,0.000{n}" for n in range(1, 9)] + ["T,2024-01-05,0.0036"], 1),
        ([f"C{n},2024-01-05,0.000{n}" for n in range(1, 9)] + ["T,2024-01-05,0.0037"], 0),
    ):
        found = reasons(judge(HEADER + "".join(row + "\n" for row in rows)))
        assert found.count("total_row") == expected, rows


def test_every_rule_has_a_label_of_its_own_and_can_occur(faulty):
    seen = set(map(tuple, outcomes(faulty)))
    headed = [("7", None, None), ("7", "2024-01-05", "5")]
    names = ["customer_id", "date", "amount"]
    seen |= set(map(tuple, outcomes(judged_lines(headed, names, fill_down=["customer_id"]))))
    for table, (names, rows) in OTHERS.items():
        file = MARKS if table == "transactions" else {}
        seen |= set(map(tuple, outcomes(judged_lines(rows, names, table, **file))))
    assert seen == {tuple(KEPT), *((r.outcome, r.reason, r.column) for r in cleaning.RULES)}
    labels = [rule.label for rule in cleaning.RULES]
    assert [say.word(rule.reason) for rule in cleaning.RULES] == labels
    assert len({*labels} - {""}) == len(labels)


def test_a_return_of_no_money_is_no_sale():
    """Pieces given back for nothing are a return; where none are counted, nothing shows it."""
    file, rows = {"returns": {"status": ["back"]}}, sold(("0", "back"), ("0", "done"))
    judged = judged_lines(rows, [*LINE, "status"], **file)
    assert outcomes(judged) == [["rejected", "return_without_amount", ""], KEPT]
    counted = judged_lines([(*row, "2") for row in rows], [*LINE, "status", "quantity"], **file)
    kept = cleaning.transactions(counted).order_by("line")
    assert kept.quantity.to_pyarrow().to_pylist() == [-2, 2]
    bought = customers.order_days(kept, AS_OF).bought.to_pyarrow().to_pylist()
    assert bought == [dt.date(2024, 1, 5)]
    assert kept.filter(customers.is_return(kept)).line.to_pyarrow().to_pylist() == [2]


def test_a_value_that_is_not_needed_is_left_empty_and_noted():
    names = [*LINE, "quantity", "profit", "discount"]
    judged = judged_lines(sold(("5", "two", "much", "3%"), ("5", None, None, None)), names)
    assert outcomes(judged) == [KEPT, KEPT]
    noted = cleaning.rejects(judged).order_by("column").to_pandas()
    assert noted[["line", "outcome", "reason", "column", "value"]].to_numpy().tolist() == [
        [2, "mended", "left_empty", "cost", "xxxx"],
        [2, "mended", "left_empty", "discount", "9%"],
        [2, "mended", "left_empty", "quantity", "xxx"],
    ]


def test_constants_hold_for_every_row_and_attributes_stay_as_written():
    constants = {"channel": "shop", "amount": "5.50"}
    lines = judged_lines([("7", "2024-01-05")], LINE[:2], constants=constants)
    assert kept_lines(lines, "channel", "amount") == [["shop", Decimal("5.50")]]
    file = {"columns": {"customer_id": "id"}, "attributes": {"floor": "storey"}}
    people = judged_lines([("7", "05")], ["customer_id", "floor"], "customers", **file)
    assert cleaning.records(people).to_pyarrow()["floor"].to_pylist() == ["05"]


# Order lines


def test_returns_in_their_forms_void_orders_and_sales():
    names = ["customer_id", "date", "order_id", "quantity", "amount", "cost", "status"]
    marked = {
        "returns": {"status": ["Refunded", "退货"], "prefix": "C"},
        "void_status": ["cancelled"],
    }
    returns = [  # order, quantity, amount, status
        ("A", "-2", "-10", "done"),
        ("A", "-2", "10", "done"),
        ("A", "2", "-10", "done"),
        ("A", "2", "(10.00)", "done"),
        ("A", "2", "10", "refunded"),
        ("A", "2", "10", "退货"),
        ("CA", "2", "10", "done"),
        ("CA", "-2", "-10", "refunded"),
    ]
    others = [("A", "2", "10", status) for status in ("done", None, "CANCELLED")]
    rows = sold(*((*row[:3], "6", row[3]) for row in [*returns, *others]))
    judged = judged_lines(rows, names, **marked)
    assert outcomes(judged) == [KEPT] * 10 + [["rejected", "void_status", "status"]]
    found = kept_lines(judged, "amount", "quantity", "cost")
    assert dict(zip(returns, found, strict=False)) == {mark: [-10, -2, -6] for mark in returns}
    assert found[8:] == [[10, 2, 6]] * 2


def test_price_times_quantity_where_there_is_no_amount():
    prices = {
        ("1.25", "3"): Decimal("3.75"),
        ("0.001", "1000000"): 1000,
        ("-2", "-3"): -6,
        ("2", "-3"): -6,
        ("1e15", "1"): Decimal("1e15"),
        ("x", "3"): None,
        ("2", "x"): None,
        ("2", None): None,
        ("1000000000000000", "100000000000"): None,  # too large, and no end of the run
    }
    judged = judged_lines(sold(*prices), [*LINE[:2], "unit_price", "quantity"])
    assert kept_lines(judged, "amount") == [[n] for n in prices.values() if n is not None]
    wrong = ["" if n is not None else "amount_unreadable" for n in prices.values()]
    assert reasons(judged) == wrong
    noted = cleaning.rejects(judged).order_by("line").to_pandas()
    assert noted.value.fillna("").tolist() == ["x", "x", "", ""]
    names = [*LINE, "unit_price", "quantity", "discount"]
    both = judged_lines(sold(("10", "3", "4", "free")), names)
    assert kept_lines(both, "amount", "discount") == [[Decimal(10), None]]


def test_cost_is_given_or_what_profit_leaves():
    judged = judged_lines(sold(("10", "4"), ("-10", "-4")), [*LINE, "profit"])
    assert kept_lines(judged, "cost") == [[Decimal(6)], [Decimal(-6)]]
    both = judged_lines(sold(("10", "4", "5")), [*LINE, "profit", "cost"])
    assert kept_lines(both, "cost") == [[Decimal(5)]]


def test_a_log_without_amounts_keeps_its_orders_and_rejects_returns():
    judged = judged_lines(sold(("2",), ("-1",)), [*LINE[:2], "quantity"])
    assert outcomes(judged) == [KEPT, ["rejected", "return_without_amount", ""]]
    kept = cleaning.transactions(judged)
    assert kept.amount.to_pyarrow().to_pylist() == [None]
    tables.conform("transactions", kept.to_pyarrow())
    tables.conform("rejects", cleaning.rejects(judged).to_pyarrow())


def test_amounts_of_any_size_add_up_exactly():
    amounts = ["1e15", "0.01", "-1e15", "0.000000000001", "999999999999999.999999999999"]
    judged = judged_lines(sold(*((amount,) for amount in amounts)), LINE)
    assert kept_lines(judged, "amount") == [[Decimal(amount)] for amount in amounts]
    assert quality.account({"transactions": judged}).money.tolist() == [sum(map(Decimal, amounts))]


def test_with_a_rate_all_money_of_a_line_is_converted():
    rates = {"USD": 7.2, "EUR": 7.81, "IDR": 0.0000613, "VND": 0.00003937}
    rows = {
        ("5", "CNY", "1", "0.5"): ["5", "1", "0.5"],
        ("5", "USD", "1", "0.5"): ["36", "7.2", "3.6"],
        ("-€5", None, "1", None): ["-39.05", "-7.81", None],
        ("5", "¥", "1", "0"): ["5", "1", "0"],
        ("IDR 1,000,000", None, "0", "0"): ["61.3", "0", "0"],
        ("1000000 VND", None, "0", "0"): ["39.37", "0", "0"],
        ("IDR 1e25", None, "0", "0"): None,
    }
    names, within = [*LINE, "currency", "cost", "discount"], {"currency": "CNY", "rates": rates}
    found = kept_lines(
        judged_lines(sold(*rows), names, within=within), "amount", "cost", "discount"
    )
    expected = [[n and Decimal(n) for n in money] for money in rows.values() if money]
    assert found == expected


# Copies


def test_equal_lines_are_merged_only_where_an_order_key_proves_them_the_same():
    rows = sold(("5.0", "A"), ("5.00", "A"), ("5", "B"), ("6", "A"), ("5", None), ("5", None))
    assert outcomes(judged_lines(rows, ORDER)) == [KEPT] * 6
    merged = ["merged", "repeats_order_line", "order_id"]
    proven = judged_lines(rows, ORDER, order_key=["order_id"])
    assert outcomes(proven) == [KEPT, merged, *[KEPT] * 4]


def test_lines_of_another_product_or_minute_are_never_merged():
    names = [*ORDER, "product"]
    for rows, columns in (
        (sold(("5", "A", "tea"), ("5", "A", "Tea")), names),
        ([("7", f"2024-01-05 09:0{n}", "5", "A", "tea") for n in (0, 1)], names),
    ):
        assert outcomes(judged_lines(rows, columns, order_key=["order_id"])) == [KEPT] * 2


def test_an_overlapping_export_counts_an_order_once_with_a_key_and_is_odd_without(
    company, judge_all
):
    columns = {"customer_id": "id", "date": "day", "amount": "eur", "order_id": "order"}
    files = {
        "a.csv": "id,day,eur,order\n7,2024-01-05,5,A\n8,2024-02-05,6,B\n8,2024-02-05,6,C\n",
        "b.csv": "id,day,eur,order\n8,2024-02-05,6,B\n8,2024-02-05,6,C \n9,2024-03-05,7,D\n",
    }
    table = {"path": "*.csv", "columns": columns, "order_key": ["order_id"]}
    judged = judge_all(company(files, {"transactions": table}))
    assert kept_lines(judged["transactions"], "order_id") == [["A"], ["B"], ["C"], ["D"]]
    account = quality.account(judged).set_index(["source", "outcome"]).rows.to_dict()
    assert account == {("a.csv", "kept"): 3, ("b.csv", "kept"): 1, ("b.csv", "merged"): 2}
    log = judge_all(company(files, {"transactions": table | {"order_key": []}}))["transactions"]
    kept = cleaning.transactions(log)
    assert kept.count().execute() == 6
    assert quality.oddities(log, kept).set_index("oddity").rows["repeated_row"] == 2


def test_copies_are_found_in_a_log_without_amounts_by_any_key():
    names = ["customer_id", "date", "order_id", "quantity", "status"]
    rows = sold(*((order, "1", "done") for order in ("A", "A", "B")))
    for key in (["order_id", "date"], ["order_id", "customer_id", "quantity", "status"]):
        found = reasons(judged_lines(rows, names, order_key=key))
        assert found == ["", "repeats_order_line", ""]


def test_of_two_exports_the_later_one_says_what_became_of_an_order(company, judge_all):
    columns = {"customer_id": "id", "date": "day", "amount": "eur", "order_id": "order"}
    files = {
        "z.csv": "id,day,eur,order,state\n7,2024-01-05,5,A,open\n8,2024-02-05,6,B,done\n",
        "a.csv": "id,day,eur,order,state\n7,2024-01-05,5,A,done\n8,2024-02-05,6,B,open\n"
        "9,2024-03-05,7,D,done\n",
    }
    table = {"path": "*.csv", "columns": columns | {"status": "state"}, "void_status": ["open"]}
    judged = judge_all(company(files, {"transactions": table | {"order_key": ["order_id"]}}))
    log = judged["transactions"]
    assert kept_lines(log, "source", "order_id") == [["a.csv", "A"], ["a.csv", "D"]]
    found = log.order_by("source", "line").select("source", "order_id", "reason").to_pandas()
    assert [tuple(row) for row in found.to_numpy()] == [
        ("a.csv", "A", ""), ("a.csv", "B", "void_status"), ("a.csv", "D", ""),
        ("z.csv", "A", "void_status"), ("z.csv", "B", "repeats_order_line"),
    ]  # fmt: skip


def test_a_sale_does_not_vanish_in_a_line_that_was_not_yet_one():
    file = {"order_key": ["order_id"], "void_status": ["open"]}
    rows = sold(*(("5", "A", status) for status in ("open", "paid", "paid")))
    found = outcomes(judged_lines(rows, [*ORDER, "status"], **file))
    assert [outcome for outcome, *_ in found] == ["rejected", "kept", "merged"]


WITH_PRODUCT = {"order_key": ["order_id", "product"], "void_status": ["void"]}
FILES = {"a.csv": WITH_PRODUCT, "b.csv": WITH_PRODUCT, "c.csv": {"order_key": ["order_id"]}}
LOG_COLUMNS = [*ORDER, "product", "status"]
LOG = st.lists(
    st.tuples(
        st.sampled_from(list(FILES)),
        st.tuples(
            st.sampled_from(["7", "8", None]),
            st.sampled_from(["2024-01-05", "2024-01-06", "2025-01-05", "never"]),
            st.sampled_from(["5", "5.0", "-5", "6", "0.000000000001", "1e15", "free"]),
            st.sampled_from(["A", "B", None]),
            st.sampled_from(["P", "Q", None]),
            st.sampled_from(["void", "done", None]),
        ),
    ),
    min_size=15,
    max_size=50,
).map(lambda log: [*log, *log[::3], *(("b.csv", row) for _, row in log[::4])])  # twice


def read_log(log):
    """The typed rows of the files, those that are read alike at once."""
    lines, read = Counter(), []
    placed = [(source, lines.update([source]) or lines[source] + 1, row) for source, row in log]
    for sources in (("a.csv", "b.csv"), ("c.csv",)):
        if mine := [one for one in placed if one[0] in sources]:
            rows = parsed([row for *_, row in mine], LOG_COLUMNS, **FILES[sources[0]])
            typed = rows.order_by("line").to_pyarrow()
            origin = {
                "source": [source for source, *_ in mine],
                "line": pa.array([line for _, line, _ in mine], pa.int64()),
            }
            columns = {name: origin.get(name, typed[name]) for name in typed.column_names}
            read.append(pa.table(columns))
    return ibis.memtable(pa.concat_tables(read, promote_options="default"))


def key_of(source, line):
    key, amount = FILES[source]["order_key"], line["amount"].removesuffix(".0")
    named = *(line[name] for name in key), line["product"]
    return (*key, *named, line["customer_id"], line["date"], amount)


def reasons_by_hand(log):
    """The reason of each row by source and line, in plain Python: a row with the key of an earlier
    one that is kept is repeated, and any with the key of one that is void in a later export.
    """
    by_row, seen, lines, newest, rows = {}, set(), Counter(), {}, []
    named = [(source, dict(zip(LOG_COLUMNS, row, strict=True))) for source, row in log]
    sold = [one for _, one in named if one["amount"] >= "0" and one["date"] <= str(AS_OF)]
    for source, line in named:
        buyers = {one["customer_id"] for one in sold if one["order_id"] == line["order_id"]} - {
            None
        }
        if (
            line["amount"] < "0"
            and line["order_id"]
            and not line["customer_id"]
            and len(buyers) == 1
        ):
            (line["customer_id"],) = buyers  # of a return that names its order
        lines[source] += 1
        dropped = "void_status" in FILES[source] and line["status"] == "void"
        rows.append((source, dropped, lines[source] + 1, line))
        if line["date"] <= str(AS_OF):
            newest[source] = max(newest.get(source, ""), line["date"])
    rows.sort(key=lambda one: one[:3])
    ended = {}
    for source, void, _, line in rows:
        same = key_of(source, line)
        ended.setdefault(same, {True: "", False: ""})
        ended[same][void] = max(ended[same][void], newest.get(source, ""))
    for source, void, number, line in rows:
        key, amount, same = FILES[source]["order_key"], line["amount"], key_of(source, line)
        reason = ""
        if line["customer_id"] is None:
            reason = "no_customer"
        elif line["date"] == "never":
            reason = "date_unreadable"
        elif line["date"] > str(AS_OF):
            reason = "after_as_of"
        elif void:
            reason = "void_status"
        elif amount == "free":
            reason = "amount_unreadable"
        elif all(line[name] for name in key) and (
            same in seen or ended[same][True] > ended[same][False] > ""
        ):
            reason = "repeats_order_line"
        else:
            seen.add(same)
        by_row[source, number] = (reason, 0 if amount == "free" else Decimal(amount))
    return by_row


def found_reasons(judged):
    found = judged.select("source", "line", "reason").to_pandas()
    return {(row.source, row.line): row.reason for row in found.itertuples()}


SPREAD = [  # 16 digits before the point and 12 behind it are more than Python adds up by itself
    ("a.csv", ("7", "2024-01-05", money, None, None, status))
    for money, status in [("1e15", "done"), ("0.000000000001", "void")]
    for _ in range(11)
]


@given(LOG, st.randoms(use_true_random=False))
@example(SPREAD, random.Random(1))
@settings(max_examples=2)
def test_every_row_and_every_cent_of_several_dirty_files_is_accounted_for(log, mixer):
    """And neither later rows nor the order of rows change what is kept."""
    typed = read_log(log).cache()
    judged = cleaning.judge(typed, AS_OF).cache()
    by_hand = reasons_by_hand(log)
    assert found_reasons(judged) == {row: reason for row, (reason, _) in by_hand.items()}
    account, kept = quality.account({"transactions": judged}), cleaning.transactions(judged).cache()
    sums = quality.reconcile(judged, kept, cleaning.rejects(judged))
    with decimal.localcontext(prec=38):
        for (source, reason), found in account.groupby(["source", "reason"]):
            money = [m for (s, _), (r, m) in by_hand.items() if (s, r) == (source, reason)]
            assert (found.rows.sum(), found.money.fillna(0).sum()) == (len(money), sum(money))
        assert account.rows.sum() == len(log)
        if any(money for _, money in by_hand.values()):
            total = sum(money for _, money in by_hand.values())
            assert sums["kept"] + sums["apart"] == sums["money"] == total
    then = cleaning.judge(typed.filter(typed.day.fill_null(AS_OF) <= AS_OF), AS_OF).cache()
    known = found_reasons(then)
    assert {row: by_hand[row][0] for row in known} == known
    in_order = [rows.order_by("source", "line") for rows in (kept, cleaning.transactions(then))]
    assert in_order[0].to_pyarrow() == in_order[1].to_pyarrow()
    mixed = cleaning.judge(read_log(mixer.sample(log, len(log))), AS_OF).cache()
    columns = ["customer_id", "day", "amount", "order_id", "product"]
    contents = [
        Counter(
            tuple(map(str, row)) for row in rows.select(columns).to_pandas().itertuples(index=False)
        )
        for rows in (kept, cleaning.transactions(mixed))
    ]
    assert contents[0] == contents[1]


PROFILES = st.lists(
    st.tuples(
        st.sampled_from(["7", "8", "9"]),
        st.sampled_from([None, "2024-03-01", "2024-12-31", "2025-01-01", "2025-06-01"]),
        st.sampled_from(["North", "South"]),
    ),
    min_size=4,
    max_size=12,
)


def profile_by_hand(rows):
    """Of each customer the profile updated last by the day; one of unknown or later date only where
    there is no other.
    """
    best = {}
    for line, (customer, updated, _) in enumerate(rows, start=2):
        known = updated if updated and updated <= str(AS_OF) else ""
        if customer not in best or known > best[customer][0]:
            best[customer] = (known, line)
    return sorted(line for _, line in best.values())


@given(PROFILES)
@settings(max_examples=6)
def test_of_several_profiles_the_one_updated_last_by_the_day_stays(rows):
    judged = judged_lines(rows, ["customer_id", "updated", "region"], "customers")
    kept = cleaning.records(judged)
    assert sorted(kept.line.to_pyarrow().to_pylist()) == profile_by_hand(rows)
    tables.conform("profiles", kept.to_pyarrow())


def test_the_log_gets_its_categories_from_the_products_of_which_the_first_stays():
    lines = judged_lines(sold(("P",), ("?",), (None,)), [*LINE[:2], "product"])
    rows = [("P", "tools"), ("P", "toys"), (None, "z")]
    products = judged_lines(rows, ["product", "category"], "products")
    assert reasons(products) == ["", "repeats_product", "no_product"]
    found = cleaning.transactions(lines, cleaning.records(products)).order_by("line").to_pyarrow()
    assert found["category"].to_pylist() == ["tools", None, None]


# Returns and their sales


def test_a_cancellation_names_its_order_behind_a_prefix():
    rows = [("7", f"2024-01-0{n}", "5", order, "P") for n, order in ((1, "A"), (2, "B"), (9, "CA"))]
    judged = judged_lines(rows, [*ORDER, "product"], returns={"prefix": "C"})
    assert kept_lines(judged, "sale_day")[-1] == [dt.datetime(2024, 1, 1)]


def test_without_its_order_a_return_belongs_to_the_latest_earlier_sale_of_the_same_money():
    rows = [
        ("7", "2024-01-01", "5", "A", "P"),
        ("7", "2024-01-02", "5", "B", "P"),
        ("7", "2024-01-03", "5", "C", "Q"),  # another product
        ("7", "2024-01-04", "6", "D", "P"),
        ("8", "2024-01-05", "5", "E", "P"),
        ("7", "2024-01-10", "5", "F", "P"),
        ("7", "2024-01-09", "-5", "R", "P"),
        ("7", "2024-01-04", "-1", "D", "P"),  # on the day of its sale
        ("7", "2024-01-09", "-4", "R", "P"),
    ]
    judged = judged_lines(rows, [*ORDER, "product"])
    kept = cleaning.transactions(judged).order_by("line")
    days = kept.sale_day.to_pyarrow().to_pylist()[-3:]
    assert days == [dt.date(2024, 1, 2), dt.date(2024, 1, 4), None]
    odd = quality.oddities(judged, kept).set_index("oddity").rows
    assert odd["return_without_sale"] == 1


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
    return max(of_order or of_money, default=None)


SALES_AND_RETURNS = st.lists(
    st.tuples(
        st.sampled_from(["7", "8"]),
        st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 12)),
        st.sampled_from(["5", "-5", "5.00", "-5.0", "6", "-6", "0", "-4"]),
        st.sampled_from(["A", "B", "C", None]),
        st.sampled_from(["P", "Q", None]),
    ),
    min_size=30,
    max_size=80,
)


@given(SALES_AND_RETURNS)
@settings(max_examples=6)
def test_links_of_returns_agree_with_plain_python(rows):
    customer, day, amount, order, product = zip(*rows, strict=True)
    money = pa.array(map(Decimal, amount), pa.decimal128(38, 12))
    lines = {
        "customer_id": customer,
        "order_id": pa.array(order, pa.string()),
        "product": pa.array(product, pa.string()),
        "line": range(len(rows)),
        "source": ["o.csv"] * len(rows),
        "day": pa.array(day, pa.date32()),
        "amount": money,
    }
    linked = cleaning.link_returns(ibis.memtable(pa.table(lines)))
    found = linked.order_by("line").select("sale_day").to_pyarrow()["sale_day"].to_pylist()
    assert found == [sale_day_by_hand(line, rows) for line in range(len(rows))]


# What is set apart


def test_rejects_show_the_shape_of_a_value_and_keep_its_money(judge):
    judged = judge(
        HEADER + "7,le 5 janvier,5.50\n7,2024-01-05,Ｍüller 12\n,2024-01-05,1\n7,2024-01-05\n"
    )
    frame = cleaning.rejects(judged).order_by("line").to_pandas()
    assert frame.value.fillna("").tolist() == ["xx 9 xxxxxxx", "xxxxxx 99", "", "2 fields"]
    assert frame.amount[[0, 2]].tolist() == [Decimal("5.50"), Decimal(1)]
    assert pd.isna(frame.amount[1])


PERSON = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Mn"]), min_size=3, max_size=8)
PERSON = PERSON.filter(lambda name: name.lower() not in dataset.NOBODY)  # which are shown


@given(st.lists(st.tuples(PERSON, PERSON), min_size=10, max_size=30))
@settings(max_examples=2)
def test_rejects_hold_no_personal_data(people):
    columns = ["customer_id", "company", "birthday", "consent"]
    rows = [
        (who, name, f"{number}@{name}", f"{name}-{number}")
        for name, number in people
        for who in (None, name)
    ]
    noted = cleaning.rejects(judged_lines(rows, columns, "customers"), "customers").to_pyarrow()
    shown = [text for text in noted["value"].to_pylist() if text is not None]
    assert len(shown) == 2 * len({name for name, _ in people})
    assert {fold(character) for text in shown for character in text} <= {"x", "9", "@", "-"}
    assert set(noted["column"].to_pylist()) == {"customer_id", "birthday", "consent"}


# The day of the picture


@pytest.fixture(scope="module")
def empty(shop):
    return shop(HEADER)


def log_on(*days, **file):
    return parsed([("7", str(day)) for day in days], LINE[:2], **file)


def test_the_last_complete_day_is_the_newest_possible_one_and_no_mistyped_year(empty):
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n // 10) for n in range(1_500)]
    late = [dt.date(2024, 1, n) for n in (1, 2, 3)]
    logs = {
        dt.date(2024, 1, 5): ("2024-01-05", "9999-01-01", "soon"),
        days[-1]: (*days, "2042-01-05", "2062-01-05"),
        late[-1]: (*["2020-01-01"] * 5, *late),  # days that many orders share
        late[-2]: ("1970-01-01", *late[:2]),
        dt.date(2024, 6, 1): (*late, "2024-06-01"),
    }
    for day, log in logs.items():
        assert cleaning.last_complete_day(log_on(*log), empty) == day
    times = ["2024-01-02 12:00", "2024-01-05 09:30"]  # a day may be cut short
    for log, day in ((times, dt.date(2024, 1, 4)), (times[:1], dt.date(2024, 1, 2))):
        clocked = log_on(*log, date_format="%Y-%m-%d %H:%M")
        assert cleaning.last_complete_day(clocked, empty) == day
    with pytest.raises(InputError, match=r"column day reads as iso .*'99\.99\.9999'") as error:
        cleaning.last_complete_day(log_on("05.01.2024"), empty)
    assert "tables.transactions.date_format" in str(error.value)


def test_as_of_must_lie_in_the_data_and_not_far_beyond(empty):
    log = log_on("2024-01-05", "2024-03-01", "9999-01-01"), empty
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
        "date_missing": ("year_1900",),
        "date_impossible": ("year_9999",),
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
                known = [line for kind in kinds for line in truth.get(kind, {"lines": []})["lines"]]
                apart = sorted(of.line[of.reason == reason])
                assert (table, source, reason, apart) == (table, source, reason, sorted(known))
            copies = set(of.line[of.reason == "repeats_order_line"])
            for kind in ("exact_duplicate", "overlap") if len(copies) else ():
                assert set(truth.get(kind, {"lines": []})["lines"]) <= copies


def test_the_planted_returns_of_the_invented_company_are_below_zero(crm_demo):
    names = ["amount", "quantity", "cost"]
    numbers = {name: crm_demo.transactions[name].cast("float64") for name in names}
    kept = crm_demo.transactions.select("source", "line", **numbers).to_pandas()
    back = "negative_amount negative_quantity amount_in_brackets status_word before_sale"
    kinds = [*back.split(), "cancellation_number", "cancellation_number_only"]
    for source, of in kept.groupby("source"):
        truth = crm_demo.truth["files"][source]["planted"]
        lines = [line for kind in kinds if kind in truth for line in truth[kind]["lines"]]
        returned = of.line.isin(lines)
        assert (of[returned][names] < 0).all(axis=None)
        assert (of[~returned][names].fillna(1) > 0).all(axis=None)


def test_what_is_noted_of_the_invented_company_is_what_was_planted_and_unreadable(crm_demo):
    noted = crm_demo.rejects.to_pandas()
    mended = noted[noted.outcome == "mended"]
    assert set(mended.table) == {"transactions"}
    for source, lines in mended.groupby("source").line:
        assert sorted(lines) == crm_demo.truth["files"][source]["planted"]["quantity_word"]["lines"]
    shown = noted.value[noted.reason != "wrong_field_count"].dropna()
    assert set("".join(shown)) <= set("x9 /.-")


def test_tables_of_the_invented_company_keep_their_contracts(crm_demo):
    tables.conform("transactions", crm_demo.transactions.to_pyarrow())
    tables.conform("rejects", crm_demo.rejects.to_pyarrow())
    for table in tables.RECORDS:
        if table != "transactions":
            kept = cleaning.records(crm_demo.judged[table]).to_pyarrow()
            tables.conform(tables.KEPT_AS[table], kept)
