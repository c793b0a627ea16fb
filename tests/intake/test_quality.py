import datetime as dt
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import schema as tables
from analysis.errors import InputError, RunError
from analysis.intake import cleaning, parsing, quality

AS_OF = dt.date(2024, 12, 31)
HEADER = "id,day,eur\n"
SALES = {"path": "o.csv", "columns": {"customer_id": "id", "date": "day", "amount": "eur"}}


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
    first = {
        "customer_id": "id",
        "date": "day",
        "amount": "eur",
        "quantity": "n",
        "product": "item",
    }
    second = {
        "customer_id": "who",
        "date": "when",
        "unit_price": "price",
        "quantity": "n",
        "profit": "won",
    }
    profiles = {"customer_id": "id", "region": "region", "birthday": "born", "opt_out": "no"}
    orders = [
        {"path": "a.csv", "columns": first},
        {"path": "b.csv", "columns": second, "constants": {"channel": "web"}},
    ]
    settings = company(
        files, {"transactions": orders, "customers": {"path": "c.csv", "columns": profiles}}
    )
    return settings, judge_all(settings)


# Accounts


def test_cdnow_is_kept_to_the_cent(cdnow):
    account = quality.account({"transactions": cdnow})
    assert account.outcome.tolist() == ["kept"]
    assert account.rows.tolist() == [69_659]
    assert account.money.tolist() == [Decimal("2500315.63")]
    assert cleaning.transactions(cdnow).customer_id.nunique().execute() == 23_570


def test_cdnow_oddities_are_counted_and_stay(cdnow):
    assert quality.oddities(cdnow, cleaning.transactions(cdnow)).set_index(
        "oddity"
    ).rows.to_dict() == {
        "zero_value": 80,
        "repeated_row": 255,
        "below_zero": 0,
        "return_without_sale": 0,
    }


def test_cdnow_period(cdnow):
    assert quality.period(cdnow) == {"start": dt.date(1997, 1, 1), "end": dt.date(1998, 6, 30)}


def test_every_row_of_the_invented_company_stands_where_the_truth_says(crm_demo):
    account = quality.account(crm_demo.judged)
    assert set(account.table) == set(crm_demo.judged)
    found = {source.split(":")[0]: of for source, of in account.groupby("source")}
    assert found.keys() == crm_demo.truth["files"].keys()
    for source, truth in crm_demo.truth["files"].items():
        expected = {(of["outcome"], of["reason"]): of["rows"] for of in truth["outcomes"]}
        assert (source, found[source].set_index(["outcome", "reason"]).rows.to_dict()) == (
            source,
            expected,
        )


def test_money_kept_of_the_invented_company_is_the_truth_to_the_cent(crm_demo):
    account = (
        quality.account(crm_demo.judged)
        .query("outcome == 'kept' and table == 'transactions'")
        .set_index("source")
    )
    rates = {"CNY": Decimal(1), "USD": Decimal("7.2")}
    for source, money in account.money.items():
        told = crm_demo.truth["files"][source]["money_kept"]
        assert (source, money) == (
            source,
            sum(Decimal(amount) * rates[code] for code, amount in told.items()),
        )


def test_all_money_of_the_invented_company_is_accounted_for(crm_demo):
    sums = quality.reconcile(
        crm_demo.judged["transactions"], crm_demo.transactions, crm_demo.rejects
    )
    assert sums["kept"] + sums["apart"] == sums["money"]
    account = quality.account(crm_demo.judged)
    assert account.money.dropna().sum() == sums["money"]


def test_reconcile_notices_one_lost_row_and_one_lost_cent(judge):
    judged = judge(HEADER + "7,2024-01-05,5\n8,2024-01-05,0\n9,2024-01-05,x\n")
    kept, apart = cleaning.transactions(judged), cleaning.rejects(judged)
    assert quality.reconcile(judged, kept, apart) == {
        "money": Decimal(5),
        "kept": Decimal(5),
        "apart": Decimal(0),
    }
    with pytest.raises(RunError, match="rows and money"):
        quality.reconcile(judged, kept.filter(kept.customer_id != "8"), apart)
    with pytest.raises(RunError, match="rows and money"):
        quality.reconcile(
            judged, kept.mutate(amount=(kept.amount - Decimal("0.01")).cast(parsing.MONEY)), apart
        )
    with pytest.raises(RunError, match="rows and money"):
        quality.reconcile(judged, kept, apart.filter(apart.line < 0))


def test_mended_cells_do_not_count_as_rows(full):
    _, judged = full
    log = judged["transactions"]
    apart = ibis.union(*(cleaning.rejects(rows, table) for table, rows in judged.items()))
    assert (apart.outcome == "mended").any().execute()
    sums = quality.reconcile(log, cleaning.transactions(log), apart)
    assert sums["kept"] + sums["apart"] == sums["money"]


def test_a_log_without_money_reconciles_its_rows(judge):
    judged = judge(
        "id,day\n7,2024-01-05\n,2024-01-06\n", columns={"customer_id": "id", "date": "day"}
    )
    kept, apart = cleaning.transactions(judged), cleaning.rejects(judged)
    assert all(np.isnan(money) for money in quality.reconcile(judged, kept, apart).values())
    with pytest.raises(RunError, match="rows and money"):
        quality.reconcile(judged, kept, apart.filter(apart.line < 0))
    assert quality.account({"transactions": judged}).money.isna().all()
    assert quality.oddities(judged, kept).rows.tolist() == [0, 0, 0, 0]


def test_a_log_of_which_nothing_is_kept_is_an_input_error_with_the_reasons(judge):
    judged = judge(HEADER + '7,2024-01-05,"12,50"\n8,2024-01-05,"1,50"\n9,soon,1\n')
    with pytest.raises(
        InputError,
        match=r"no order line is kept \(amount_unreadable 2, date_unreadable 1\); correct",
    ):
        quality.period(judged)


def test_oddities_are_counted(judge):
    judged = judge(
        HEADER
        + "7,2024-01-05,5\n7,2024-01-05,5\n7,2024-01-05,5.0\n7,2024-01-06,0\n7,2024-01-07,-5\n8,2024-01-07,-5\n"
    )
    assert quality.oddities(judged, cleaning.transactions(judged)).set_index(
        "oddity"
    ).rows.to_dict() == {
        "zero_value": 1,
        "repeated_row": 2,
        "below_zero": 2,
        "return_without_sale": 1,
    }


# Completeness


def test_completeness_by_file_and_column(full):
    found = dict(list(quality.completeness(full[1], full[0]).set_index("column").groupby("source")))
    first, second, people = (found[name] for name in ("a.csv", "b.csv", "c.csv"))
    assert first.filled.to_dict() == {
        "customer_id": 0.75,
        "date": 0.75,
        "amount": 0.75,
        "quantity": 0.5,
        "product": 0.75,
    }
    assert set(first.rows) == {4}  # a row with too many fields says nothing about its columns
    shares = {"customer_id": 1, "date": 1, "unit_price": 2 / 3, "quantity": 1, "channel": 1}
    assert second.filled.to_dict() == pytest.approx(
        shares | {"profit": 1 / 3}
    )  # the cost is known of one line
    assert people.filled.to_dict() == pytest.approx(
        {"customer_id": 1, "region": 2 / 3, "birthday": 1 / 3, "opt_out": 2 / 3}
    )
    assert [set(of.table) for of in (first, second, people)] == [
        {"transactions"},
        {"transactions"},
        {"customers"},
    ]


def test_completeness_of_the_invented_company(crm_demo):
    found = quality.completeness(crm_demo.judged, crm_demo.dataset).set_index(["table", "column"])
    account = crm_demo.truth["files"]["accounts.xlsx"]
    for ours, theirs in {
        "industry": "Industry",
        "city": "Billing City",
        "credit_rating": "Rating",
        "birthday": "Birthday",
    }.items():
        empty = account["planted"][f"empty_{theirs}"]["rows"]
        assert found.filled["customers", ours] == pytest.approx(1 - empty / account["rows"])
    assert found.filled["customers", "customer_id"] == 1


# What is set apart


def test_examples_are_the_first_rows_of_each_reason(judge):
    judged = judge(
        HEADER
        + "7,2024-01-05,5\n"
        + "".join(f"7,2024-01-0{n},{'x' * n}\n" for n in range(1, 6))
        + ",2024-01-05,1\n"
    )
    found = quality.examples(cleaning.rejects(judged), each=2)
    assert found[["reason", "rows", "line", "value"]].fillna("").to_numpy().tolist() == [
        ["amount_unreadable", 5, 3, "x"],
        ["amount_unreadable", 5, 4, "xx"],
        ["no_customer", 1, 8, ""],
    ]
    assert quality.foremost(found) == {"reasons": 2, "most": "amount_unreadable", "rows": 5}


def test_nothing_set_apart_has_no_foremost_reason(judge):
    assert (
        quality.foremost(quality.examples(cleaning.rejects(judge(HEADER + "7,2024-01-05,5\n"))))
        == {}
    )


def test_the_foremost_reason_counts_all_files(crm_demo):
    account = quality.account(crm_demo.judged)
    apart = account[account.outcome != "kept"].groupby("reason").rows.sum()
    found = quality.foremost(quality.examples(crm_demo.rejects))
    assert (
        (found["most"], found["rows"])
        == (apart.idxmax(), apart.max())
        == ("repeats_order_line", 14_856)
    )
    assert found["reasons"] == len(apart) + 1  # and values left empty


def test_summary_names_every_file_reason_gap_and_want(full):
    settings, judged = full
    lines = quality.summary(judged, settings)
    text = "\n".join(lines)
    for words in (
        "a.csv",
        "b.csv",
        "c.csv",
        "Rejected: no customer id",
        "a.csv line 3",
        "(amount: x)",
        "a.csv: quantity in 50.0\xa0%",
    ):
        assert words in text
    assert "transactions.order_id" in text and "interactions.customer_id" in text
    assert "transactions.cost" not in text and "transactions.product" not in text


def test_fault_34_the_summary_shows_no_value(full):
    settings, judged = full
    text = "\n".join(quality.summary(judged, settings))
    for found in ("two", "never", "soon", "much"):
        assert found not in text


def test_what_is_left_out_for_want_of_a_column(company):
    columns = {"customer_id": "id", "date": "day"}
    bare = company({}, {"transactions": {"path": "o.csv", "columns": columns}})
    assert quality.left_out(bare).part.tolist() == [part.label for part in quality.PARTS]
    columns |= {"unit_price": "p", "quantity": "n", "profit": "w", "product": "i"}
    people = {"path": "c.csv", "columns": {"customer_id": "id", "opt_out": "no", "email": "mail"}}
    some = company({}, {"transactions": {"path": "o.csv", "columns": columns}, "customers": people})
    assert quality.left_out(some)[["table", "columns"]].to_numpy().tolist() == [
        ["transactions_records", "channel"],
        ["transactions_records", "discount"],
        ["transactions_records", "order_id"],
        ["customers_records", "owner"],
        ["customers_records", "updated"],
        ["interactions_records", "customer_id"],
        ["feedback_records", "customer_id"],
        ["campaigns_records", "customer_id"],
    ]


def test_the_invented_company_wants_nothing(crm_demo):
    assert quality.left_out(crm_demo.dataset).empty


# Days


def log_of(counts, first):
    """The table `transactions` with so many lines of one unit on each day."""
    days = np.repeat([first + dt.timedelta(days=n) for n in range(len(counts))], counts)
    people = [str(n % 97) for n in range(len(days))]
    return ibis.memtable(
        pd.DataFrame({"customer_id": people, "day": days, "amount": 1.0}).assign(
            day=lambda f: pd.to_datetime(f.day)
        )
    )


def test_planted_holes_and_jumps_are_found_and_little_else():
    """Weekdays of a shop with about 60 lines, Saturdays 20, closed on Sundays. Of the 700 other
    days, scattered as Poisson's law says, 3.5 standard deviations are passed by chance on 0.05 to
    0.1 % (the median moves with them): 4 is far beyond.
    """
    rng, first = np.random.default_rng(7), dt.date(2023, 1, 2)
    usual = np.resize([60, 60, 60, 60, 60, 20, 0], 728)
    counts = rng.poisson(usual)
    holes, jumps = [70, 71, 72, 302, 500], [150, 151, 403, 660]
    counts[holes] = 0
    counts[jumps] = counts[jumps] * 3
    found = quality.daily(log_of(counts, first), first + dt.timedelta(days=727))
    assert len(found) == 728
    oddity = found.oddity.to_numpy()
    assert oddity[holes].tolist() == ["silent_day"] * 5
    assert oddity[jumps].tolist() == ["jump"] * 4
    rest = np.delete(oddity, [*holes, *jumps])
    assert (rest != "").sum() <= 4, f"{(rest != '').sum()} false alarms"


@pytest.mark.parametrize("rate", [2, 8, 30, 400])
def test_few_false_alarms_on_counts_of_pure_chance(rate):
    """Beyond 3.5 roots of the rate lie at most 1 % of the days (at a rate of 2, seven or more
    lines: 0.5 %).
    """
    counts = np.random.default_rng(rate).poisson(rate, 1_000)
    found = quality.daily(
        log_of(counts, dt.date(2022, 1, 1)), dt.date(2022, 1, 1) + dt.timedelta(days=999)
    )
    alarms = (found.oddity != "").mean()
    assert alarms <= 0.01, f"{alarms:.1%} of the days"


def test_a_shop_with_nearly_the_same_lines_each_day_has_no_jumps():
    """Without any scatter every change is infinitely many standard deviations; counts scatter by
    their root at least.
    """
    counts = np.full(200, 60)
    counts[[50, 51, 120]] = 62, 57, 80
    found = quality.daily(
        log_of(counts, dt.date(2024, 1, 1)), dt.date(2024, 1, 1) + dt.timedelta(days=199)
    )
    assert set(found.oddity) == {""}
    counts[120] = 90  # 3.5 roots of 60 are 27
    found = quality.daily(
        log_of(counts, dt.date(2024, 1, 1)), dt.date(2024, 1, 1) + dt.timedelta(days=199)
    )
    assert found.index[found.oddity == "jump"].tolist() == [120]


def test_every_day_to_the_day_of_the_picture_is_there_with_its_money(ledger):
    log = ledger([("7", dt.date(2024, 1, 1), "5"), ("7", dt.date(2024, 1, 1), "-2"), ("8", dt.date(2024, 1, 1), "1.5"),
                  ("8", dt.date(2024, 1, 3), "4")])  # fmt: skip
    found = quality.daily(log, dt.date(2024, 1, 5))
    assert found.day.dt.day.tolist() == [1, 2, 3, 4, 5]
    assert found.lines.tolist() == [3, 0, 1, 0, 0]
    assert found.revenue.tolist() == [4.5, 0, 4, 0, 0]
    assert set(found.oddity) == {""}  # nothing is usual yet


def test_a_log_without_money_has_days_too(judge):
    judged = judge(
        "id,day\n7,2024-01-05\n8,2024-01-05\n", columns={"customer_id": "id", "date": "day"}
    )
    found = quality.daily(cleaning.transactions(judged), dt.date(2024, 1, 6))
    assert found.lines.tolist() == [2, 0]


# Profiles


def profiles_of(rows, *columns):
    frame = pd.DataFrame(rows, columns=["customer_id", *columns])
    types = {c: "date" if c in ("updated", "birthday") else "string" for c in frame}
    return ibis.memtable(frame, schema=types)


def people_of(**revenue):
    return pd.DataFrame({"customer_id": list(revenue), "window_revenue": list(revenue.values())})


def test_staleness_counts_days_since_the_last_update():
    ages = [0, 30, 31, 90, 91, 181, 365, 366, None]
    rows = [
        (str(n), None if age is None else AS_OF - dt.timedelta(days=age))
        for n, age in enumerate(ages)
    ]
    found = quality.staleness(profiles_of(rows, "updated"), AS_OF).set_index("older_than_days")
    assert found.customers.to_dict() == {30: 6, 90: 4, 180: 3, 365: 1}
    assert found.share[30] == pytest.approx(
        6 / 8
    )  # of the profiles that say when they were updated


def test_without_updates_nothing_is_said_of_staleness():
    assert quality.staleness(profiles_of([("7", "North")], "region"), AS_OF).empty


def test_staleness_of_the_invented_company_is_the_truth(crm_demo, monkeypatch):
    truth = crm_demo.truth["files"]["accounts.xlsx"]
    monkeypatch.setattr(quality, "STALE_SHARES", (truth["stale_days"],))
    found = quality.staleness(
        cleaning.records(crm_demo.judged["customers"]), crm_demo.dataset.as_of
    )
    assert found.customers.tolist() == [truth["stale"]]


def test_to_refresh_lists_old_and_incomplete_profiles_the_best_customers_first():
    old, new = AS_OF - dt.timedelta(days=401), AS_OF - dt.timedelta(days=400)
    rows = [
        ("a", "North", "x@y.example", None, old, "Li"),
        ("b", None, "x@y.example", None, new, "Li"),
        ("c", "South", None, None, new, "Wu"),
        ("d", "South", "x@y.example", None, new, "Wu"),
        ("e", None, None, None, None, None),
    ]
    people = people_of(a=1.0, b=30.0, c=2.0, d=9.0)
    due = quality.to_refresh(
        profiles_of(rows, "region", "email", "phone", "updated", "owner"), people, AS_OF, 400
    )
    assert due.customer_id.tolist() == [
        "b",
        "c",
        "a",
        "e",
    ]  # nobody has a telephone: no gap of one customer
    assert due.missing.tolist() == ["region", "email", "", "email, region, owner"]
    assert due.window_revenue.tolist()[:3] == [30, 2, 1]
    assert list(due) == ["customer_id", "owner", "updated", "missing", "window_revenue"]


def test_fault_34_to_refresh_shows_no_contact_details():
    rows = [("a", "Anna", "13800138000", None), ("b", None, None, "a@b.example")]
    due = quality.to_refresh(
        profiles_of(rows, "name", "phone", "email"), people_of(a=1.0, b=1.0), AS_OF, 400
    )
    assert not {"Anna", "13800138000", "a@b.example"} & set(due.astype(str).to_numpy().ravel())
    assert due.missing.tolist() == ["email", "name, phone"]


@given(
    st.lists(
        st.tuples(st.sampled_from([None, "N", "S"]), st.integers(0, 800)), min_size=1, max_size=20
    )
)
@settings(max_examples=8)
def test_to_refresh_agrees_with_plain_python(people):
    rows = [
        (str(n), region, AS_OF - dt.timedelta(days=age)) for n, (region, age) in enumerate(people)
    ]
    due = quality.to_refresh(
        profiles_of(rows, "region", "updated"),
        people_of(**{row[0]: 1.0 for row in rows}),
        AS_OF,
        365,
    )
    some = any(region for region, _ in people)
    assert set(due.customer_id) == {
        str(n) for n, (region, age) in enumerate(people) if age > 365 or (some and not region)
    }


def test_rejects_of_the_invented_company_have_one_row_per_fault(crm_demo):
    tables.conform("rejects", crm_demo.rejects.to_pyarrow())
    account = quality.account(crm_demo.judged)
    apart = crm_demo.rejects.filter(ibis._.outcome != "mended").count().execute()
    assert apart == account.rows[account.outcome != "kept"].sum()
