import datetime as dt
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _

from analysis import schema as tables
from analysis.errors import InputError, RunError
from analysis.intake import cleaning, quality
from tests.intake.reading import parsed

AS_OF = dt.date(2024, 12, 31)
LINE = ["customer_id", "date", "amount"]


@pytest.fixture(scope="module")
def full(company, judge_all):
    """A company of two files of orders and one of customers, with gaps and faults, and its tables
    judged.
    """
    files = {
        "a.csv": (
            "id,day,eur,n,item\n7,2024-01-05,5,1,P\n8,2024-01-06,x,two,\n"
            ",2024-01-06,7,1,P\n9,2024-01-07,-2,,Q,extra\n9,soon,1,,Q\n"
        ),
        "b.csv": (
            "who,when,price,n,won\n7,2024-01-05,5,1,much\n8,2024-01-06,2.50,2,1\n8,2024-01-07,,2,1\n"
        ),
        "c.csv": "id,region,born,no\n7,North,1980-01-01,no\n8,,never,yes\n9,South,,\n",
    }
    first = {"date": "day", "amount": "eur", "quantity": "n", "product": "item"}
    second = {"date": "when", "unit_price": "price", "quantity": "n", "profit": "won"}
    profiles = {"region": "region", "birthday": "born", "opt_out": "no"}
    web = {"constants": {"channel": "web"}}
    orders = [
        {"path": "a.csv", "columns": {"customer_id": "id"} | first},
        {"path": "b.csv", "columns": {"customer_id": "who"} | second} | web,
    ]
    people = {"path": "c.csv", "columns": {"customer_id": "id"} | profiles}
    settings = company(files, {"transactions": orders, "customers": people})
    return settings, judge_all(settings)


def judged_lines(*rows, names=LINE):
    return cleaning.judge(parsed(rows, names), AS_OF).cache()


def counted(judged):
    return quality.oddities(judged, cleaning.transactions(judged)).set_index("oddity").rows


# Accounts


def test_cdnow_is_kept_to_the_cent_and_its_oddities_stay(cdnow):
    account = quality.account({"transactions": cdnow})
    expected = {"outcome": "kept", "rows": 69_659, "money": Decimal("2500315.63")}
    assert account[[*expected]].to_dict("records") == [expected]
    assert cleaning.transactions(cdnow).customer_id.nunique().execute() == 23_570
    assert counted(cdnow).tolist() == [80, 255, 0, 0]
    assert quality.period(cdnow) == {"start": dt.date(1997, 1, 1), "end": dt.date(1998, 6, 30)}


def test_rows_and_money_of_the_invented_company_stand_where_the_truth_says(crm_demo):
    account = quality.account(crm_demo.judged)
    assert set(account.table) == set(crm_demo.judged)
    found = {source.split(":")[0]: of for source, of in account.groupby("source")}
    assert found.keys() == crm_demo.truth["files"].keys()
    rates = {"CNY": Decimal(1), "USD": Decimal("7.2")}
    for source, truth in crm_demo.truth["files"].items():
        of = found[source].set_index(["outcome", "reason"])
        expected = {(one["outcome"], one["reason"]): one["rows"] for one in truth["outcomes"]}
        assert (source, of.rows.to_dict()) == (source, expected)
        if set(of.table) == {"transactions"}:
            money = sum(Decimal(m) * rates[code] for code, m in truth["money_kept"].items())
            assert (source, of.money["kept", ""]) == (source, money)
    log = crm_demo.judged["transactions"]
    sums = quality.reconcile(log, crm_demo.transactions, crm_demo.rejects)
    assert sums["kept"] + sums["apart"] == sums["money"] == account.money.dropna().sum()
    tables.conform("rejects", crm_demo.rejects.to_pyarrow())
    apart = crm_demo.rejects.filter(_.outcome != "mended").count().execute()
    assert apart == account.rows[account.outcome != "kept"].sum()


def test_reconcile_notices_one_lost_row_and_one_lost_cent():
    judged = judged_lines(
        ("7", "2024-01-05", "5"), ("8", "2024-01-05", "0"), ("9", "2024-01-05", "x")
    )
    kept, apart = cleaning.transactions(judged).cache(), cleaning.rejects(judged).cache()
    expected = {"money": Decimal(5), "kept": Decimal(5), "apart": Decimal(0)}
    assert quality.reconcile(judged, kept, apart) == expected
    cent = kept.mutate(amount=(kept.amount - Decimal("0.01")).cast(kept.amount.type()))
    other = apart.mutate(table=ibis.literal("customers"))
    for lost in (kept.filter(_.customer_id != "8"), apart), (cent, apart), (kept, other):
        with pytest.raises(RunError, match="rows and money"):
            quality.reconcile(judged, *lost)


def test_mended_cells_do_not_count_as_rows(full):
    _, judged = full
    log = judged["transactions"]
    apart = ibis.union(*(cleaning.rejects(rows, table) for table, rows in judged.items()))
    assert (apart.outcome == "mended").any().execute()
    sums = quality.reconcile(log, cleaning.transactions(log), apart)
    assert sums["kept"] + sums["apart"] == sums["money"]


def test_a_log_without_money_reconciles_its_rows():
    judged = judged_lines(("7", "2024-01-05"), (None, "2024-01-06"), names=LINE[:2])
    kept, apart = cleaning.transactions(judged), cleaning.rejects(judged)
    assert all(np.isnan(money) for money in quality.reconcile(judged, kept, apart).values())
    with pytest.raises(RunError, match="rows and money"):
        quality.reconcile(judged, kept, apart.filter(apart.line < 0))
    assert quality.account({"transactions": judged}).money.isna().all()
    assert counted(judged).tolist() == [0, 0, 0, 0]
    days = quality.daily(kept, dt.date(2024, 1, 6))
    assert days.lines.tolist() == [1, 0]


def test_a_log_of_which_nothing_is_kept_is_an_input_error_with_the_reasons():
    judged = judged_lines(("7", "2024-01-05", "12,5"), ("8", "2024-01-05", "1,5"), ("9", "x", "1"))
    reasons = r"no order line is kept \(amount_unreadable 2, date_unreadable 1\); correct"
    with pytest.raises(InputError, match=reasons):
        quality.period(judged)


def test_oddities_are_counted():
    days = {"5": "05", "5.00": "05", "5.0": "05", "0": "06", "-5": "07"}
    rows = [("7", f"2024-01-{day}", amount) for amount, day in days.items()]
    judged = judged_lines(*rows, ("8", "2024-01-07", "-5"))
    assert counted(judged).to_dict() == {
        "zero_value": 1,
        "repeated_row": 2,
        "below_zero": 2,
        "return_without_sale": 1,
    }


# Completeness


def test_completeness_by_file_and_column(full):
    found = quality.completeness(full[1], full[0])
    assert found.groupby("source").table.unique().str[0].tolist() == [
        *["transactions"] * 2,
        "customers",
    ]
    shares = {
        # a row with too many fields says nothing about its columns
        "a.csv": {"customer_id": 3, "date": 3, "amount": 3, "quantity": 2, "product": 3},
        # the cost is known of one line
        "b.csv": {
            "customer_id": 3,
            "date": 3,
            "unit_price": 2,
            "quantity": 3,
            "profit": 1,
            "channel": 3,
        },
        "c.csv": {"customer_id": 3, "region": 2, "birthday": 1, "opt_out": 2},
    }
    for source, of in found.set_index("column").groupby("source"):
        rows = 4 if source == "a.csv" else 3
        assert set(of.rows) == {rows}
        expected = {column: n / rows for column, n in shares[source].items()}
        assert of.filled.to_dict() == pytest.approx(expected)


def test_completeness_of_the_invented_company(crm_demo):
    found = quality.completeness(crm_demo.judged, crm_demo.dataset).set_index(["table", "column"])
    account = crm_demo.truth["files"]["accounts.xlsx"]
    columns = {"industry": "Industry", "city": "Billing City", "birthday": "Birthday"}
    for ours, theirs in columns.items():
        empty = account["planted"][f"empty_{theirs}"]["rows"]
        assert found.filled["customers", ours] == pytest.approx(1 - empty / account["rows"])
    assert found.filled["customers", "customer_id"] == 1


def test_what_is_left_out_for_want_of_a_column(company, crm_demo):
    columns = {"customer_id": "id", "date": "day"}
    bare = company({}, {"transactions": {"path": "o.csv", "columns": columns}})
    assert quality.left_out(bare).part.tolist() == list(quality.PARTS.values())
    columns |= {"unit_price": "p", "quantity": "n", "profit": "w", "product": "i"}
    people = {"path": "c.csv", "columns": {"customer_id": "id", "opt_out": "no", "email": "mail"}}
    some = company({}, {"transactions": {"path": "o.csv", "columns": columns}, "customers": people})
    wanted = ["channel", "discount", "order_id", "owner", "updated", *["customer_id"] * 3]
    found = quality.left_out(some)
    assert found["columns"].tolist() == wanted
    assert found.table.unique().tolist() == [
        f"{table}_records"
        for table in ("transactions", "customers", "interactions", "feedback", "campaigns")
    ]
    assert quality.left_out(crm_demo.dataset).empty


# What is set apart


def test_examples_are_the_first_rows_of_each_reason():
    rows = [("7", "2024-01-05", amount) for amount in ("5", "x", "xx", "xxx", "xxxx", "xxxxx")]
    rejects = cleaning.rejects(judged_lines(*rows, (None, "2024-01-05", "1"))).cache()
    found = quality.examples(rejects)
    assert found[["reason", "rows", "line", "value"]].fillna("").to_numpy().tolist() == [
        ["amount_unreadable", 5, 3, "x"],
        ["amount_unreadable", 5, 4, "xx"],
        ["no_customer", 1, 8, ""],
    ]
    assert quality.foremost(found) == {"reasons": 2, "most": "amount_unreadable", "rows": 5}
    assert quality.foremost(quality.examples(rejects.filter(_.line < 0))) == {}


def test_the_foremost_reason_counts_all_files(crm_demo):
    account = quality.account(crm_demo.judged)
    apart = account[account.outcome != "kept"].groupby("reason").rows.sum()
    found = quality.foremost(quality.examples(crm_demo.rejects))
    assert (found["most"], found["rows"]) == (apart.idxmax(), apart.max())
    assert (found["most"], found["rows"]) == ("repeats_order_line", 14_856)
    assert found["reasons"] == len(apart) + 1  # and values left empty


def test_summary_names_every_file_reason_gap_and_want_and_shows_no_value(full):
    settings, judged = full
    text = "\n".join(quality.summary(judged, settings))
    files = ("a.csv", "b.csv", "c.csv", "a.csv line 3", "a.csv: quantity in 50.0\xa0%")
    wants = ("transactions.order_id", "interactions.customer_id")
    assert [
        word for word in (*files, *wants, "no customer id", "(amount: x)") if word not in text
    ] == []
    others = ("transactions.cost", "transactions.product", "two", "never", "soon", "much")
    assert [word for word in others if word in text] == []


# Days


def daily_of(counts):
    """What is odd about days with so many lines of one unit, from a Monday on."""
    first = pd.Timestamp(2023, 1, 2)
    days = np.repeat(pd.date_range(first, periods=len(counts)), counts)
    people = [str(n % 97) for n in range(len(days))]
    log = pd.DataFrame({"customer_id": people, "day": days, "amount": 1.0})
    found = quality.daily(ibis.memtable(log), (first + pd.Timedelta(days=len(counts) - 1)).date())
    assert len(found) == len(counts)
    return found.oddity.to_numpy()


def test_planted_holes_and_jumps_are_found_and_little_else():
    """Weekdays of a shop with about 60 lines, Saturdays 20, closed on Sundays. Of the 700 other
    days, scattered as Poisson's law says, 3.5 standard deviations are passed by chance on 0.05 to
    0.1 % (the median moves with them): 4 is far beyond.
    """
    counts = np.random.default_rng(7).poisson(np.resize([60, 60, 60, 60, 60, 20, 0], 728))
    holes, jumps = [70, 71, 72, 302, 500], [150, 151, 403, 660]
    counts[holes] = 0
    counts[jumps] = counts[jumps] * 3
    oddity = daily_of(counts)
    assert oddity[holes].tolist() == ["silent_day"] * 5
    assert oddity[jumps].tolist() == ["jump"] * 4
    assert (np.delete(oddity, [*holes, *jumps]) != "").sum() <= 4


def test_few_false_alarms_on_counts_of_pure_chance():
    """Beyond 3.5 roots of the rate lie at most 1 % of the days (at a rate of 2, seven or more
    lines: 0.5 %).
    """
    for rate in (2, 30):
        alarms = (daily_of(np.random.default_rng(rate).poisson(rate, 1_000)) != "").mean()
        assert alarms <= 0.01, f"{alarms:.1%} of the days at a rate of {rate}"


def test_a_shop_with_nearly_the_same_lines_each_day_has_no_jumps():
    """Without any scatter every change is infinitely many standard deviations; counts scatter by
    their root at least: 3.5 roots of 60 are 27.
    """
    counts = np.full(200, 60)
    counts[[50, 51, 120]] = 62, 57, 87
    assert set(daily_of(counts)) == {""}
    counts[120] = 88
    assert np.flatnonzero(daily_of(counts) == "jump").tolist() == [120]


def test_every_day_to_the_day_of_the_picture_is_there_with_its_money(ledger):
    rows = [(1, "5"), (1, "-2"), (1, "1.5"), (3, "4")]
    log = ledger([("7", dt.date(2024, 1, day), money) for day, money in rows])
    found = quality.daily(log, dt.date(2024, 1, 5))
    assert found.day.dt.day.tolist() == [1, 2, 3, 4, 5]
    assert found.lines.tolist() == [3, 0, 1, 0, 0]
    assert found.revenue.tolist() == [4.5, 0, 4, 0, 0]
    assert set(found.oddity) == {""}  # nothing is usual yet


# Profiles


def profiles_of(rows, *columns):
    frame = pd.DataFrame(rows, columns=["customer_id", *columns])
    types = {c: "date" if c in ("updated", "birthday") else "string" for c in frame}
    return ibis.memtable(frame, schema=types)


def people_of(**revenue):
    return pd.DataFrame({"customer_id": list(revenue), "window_revenue": list(revenue.values())})


def test_staleness_counts_days_since_the_last_update(crm_demo, monkeypatch):
    ages = [0, 30, 31, 90, 91, 181, 365, 366, None]
    days = [None if age is None else AS_OF - dt.timedelta(days=age) for age in ages]
    rows = [(str(n), day) for n, day in enumerate(days)]
    found = quality.staleness(profiles_of(rows, "updated"), AS_OF).set_index("older_than_days")
    assert found.customers.to_dict() == {30: 6, 90: 4, 180: 3, 365: 1}
    assert found.share[30] == 6 / 8  # of the profiles that say when they were updated
    assert quality.staleness(profiles_of([("7", "North")], "region"), AS_OF).empty
    assert quality.staleness(profiles_of([("7", None)], "updated"), AS_OF).empty
    truth = crm_demo.truth["files"]["accounts.xlsx"]
    monkeypatch.setattr(quality, "STALE_SHARES", (truth["stale_days"],))
    people = cleaning.records(crm_demo.judged["customers"])
    assert quality.staleness(people, crm_demo.dataset.as_of).customers.tolist() == [truth["stale"]]


def test_to_refresh_lists_old_and_incomplete_profiles_the_best_customers_first():
    old, new = AS_OF - dt.timedelta(days=401), AS_OF - dt.timedelta(days=400)
    rows = [
        ("a", "North", "x@y.example", None, old, "Li"),
        ("b", None, "x@y.example", None, new, "Li"),
        ("c", "South", None, None, new, "Wu"),
        ("d", "South", "x@y.example", None, new, "Wu"),
        ("e", None, None, None, None, None),
    ]
    profiles = profiles_of(rows, "region", "email", "phone", "updated", "owner")
    due = quality.to_refresh(profiles, people_of(a=1.0, b=30.0, c=2.0, d=9.0), AS_OF, 400)
    assert due.customer_id.tolist() == ["b", "c", "a", "e"]
    # nobody has a telephone: no gap of one customer
    assert due.missing.tolist() == ["region", "email", "", "email, region, owner"]
    assert due.window_revenue.tolist()[:3] == [30, 2, 1]
    assert list(due) == ["customer_id", "owner", "updated", "missing", "window_revenue"]


def test_to_refresh_shows_no_contact_details():
    rows = [("a", "Anna", "13800138000", None), ("b", None, None, "a@b.example")]
    profiles = profiles_of(rows, "name", "phone", "email")
    due = quality.to_refresh(profiles, people_of(a=1.0, b=1.0), AS_OF, 400)
    assert not {"Anna", "13800138000", "a@b.example"} & set(due.astype(str).to_numpy().ravel())
    assert due.missing.tolist() == ["email", "name, phone"]
