import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import schema as tables
from analysis.errors import RunError
from analysis.schema import KEPT_AS, RECORDS, TABLES

CLV = {
    "customer_id": ["007", "7"],
    "expected_orders": [1.5, 0],
    "orders_low": [0.0, 0],
    "orders_high": [3.0, 1],
    "expected_order_value": [9.0, 1],
    "expected_spend": [13.5, 0],
    "clv": [20.0, 0.0],
    "clv_low": [18.0, 0.0],
    "clv_high": [22.0, 0.0],
}


def clv_frame(**changed):
    return pd.DataFrame(CLV | changed)


def transactions_frame(amounts):
    lines = range(1, len(amounts) + 1)
    day = dt.date(2024, 2, 29)
    return pd.DataFrame(
        {"customer_id": "007", "day": day, "amount": amounts, "source": "o.csv", "line": lines}
    )


@pytest.mark.parametrize("name", TABLES)
def test_every_key_is_a_column_that_is_always_filled(name):
    contract = TABLES[name]
    assert contract.key
    for column in contract.key:
        assert not contract.columns[column].empty
        assert not contract.columns[column].optional


@pytest.mark.parametrize("name", TABLES)
def test_every_table_may_be_empty(name, tmp_path):
    """A shop without returns has no rejects; all columns and types are there all the same."""
    columns = TABLES[name].columns
    tables.write(name, pd.DataFrame(columns=list(columns)), tmp_path / "t.parquet")
    stored = pq.read_schema(tmp_path / "t.parquet")
    assert {field.name: field.type for field in stored} == {
        c: spec.type for c, spec in columns.items()
    }
    assert tables.read(name, tmp_path / "t.parquet").empty


TYPES = {
    "text": pa.string(),
    "moment": pa.timestamp("us"),
    "day": pa.date32(),
    "money": pa.decimal128(38, 12),
    "number": pa.float64(),
    "flag": pa.bool_(),
}


@pytest.mark.parametrize("kind", KEPT_AS)
def test_records_are_kept_as_they_are_read(kind):
    """Each meaning is a column of its type, but for those that only serve to make others; a date is
    a day, with its clock.
    """
    columns = TABLES[KEPT_AS[kind]].columns
    for name, meaning in RECORDS[kind].columns.items():
        if meaning.read_only or name == "date":
            assert name not in columns
            continue
        spec = columns[name]
        assert (spec.type, spec.meaning) == (TYPES[meaning.reads_as], meaning.words)
        assert spec.empty == spec.optional == (not meaning.needed)
    dated = RECORDS[kind].columns.get("date")
    assert ("day" in columns) == bool(dated)
    assert ("moment" in columns) == bool(dated and dated.reads_as == "moment")
    assert {"source", "line"} <= set(columns)


@pytest.mark.parametrize("kind", ["interactions", "feedback"])
def test_a_contact_without_a_clock_time_may_stand_beside_one_with_it(kind):
    rows = {
        "customer_id": "7",
        "day": dt.date(2024, 1, 5),
        "moment": [dt.datetime(2024, 1, 5, 9), None],
        "source": "a",
    }
    tables.conform(kind, pd.DataFrame(rows | {"line": [2, 3]}))


def test_orders_are_kept_with_all_that_is_not_only_read():
    meanings = RECORDS["transactions"].columns
    kept = {name for name, meaning in meanings.items() if not meaning.read_only} - {"date"} | {
        "day",
        "moment",
        "sale_day",
    }
    assert set(TABLES["transactions"].columns) == kept | {"source", "line"}
    for name in kept & set(meanings):
        assert TABLES["transactions"].columns[name].type == TYPES[meanings[name].reads_as]


def test_only_customer_and_date_of_orders_are_needed():
    assert [
        name for name, meaning in RECORDS["transactions"].columns.items() if meaning.needed
    ] == ["customer_id", "date"]
    for kind in ("customers", "interactions", "feedback"):
        assert {name for name, meaning in RECORDS[kind].columns.items() if meaning.needed} <= {
            "customer_id",
            "date",
        }


def test_fault_34_what_describes_a_person_stays_in_the_table_it_was_read_into():
    persons = {
        name
        for kind in RECORDS.values()
        for name, meaning in kind.columns.items()
        if meaning.person
    }
    assert {"name", "contact", "phone", "email", "tax_id", "birthday", "note", "comment"} == persons
    for name in TABLES.keys() - set(KEPT_AS.values()):
        assert not persons & TABLES[name].columns.keys()


def test_attributes_of_records_are_kept_behind_the_contracts_columns():
    rows = {
        "floor": ["3"],
        "line": [2],
        "source": ["c.csv"],
        "region": ["North"],
        "customer_id": ["7"],
    }
    assert tables.conform("profiles", pa.table(rows)).column_names == [
        "customer_id",
        "region",
        "source",
        "line",
        "floor",
    ]
    assert tables.conform("profiles", pd.DataFrame(rows)).column_names == [
        "customer_id",
        "region",
        "source",
        "line",
    ]


def test_a_schema_alone_can_be_checked():
    whole = tables.empty("profiles").schema
    tables.check_schema("profiles", whole)
    tables.check_schema(
        "profiles",
        pa.schema([field for field in whole if field.name in ("customer_id", "source", "line")]),
    )
    with pytest.raises(RunError, match="table profiles: no column line"):
        tables.check_schema(
            "profiles", pa.schema([field for field in whole if field.name != "line"])
        )
    with pytest.raises(RunError, match="birthday is string, not date32"):
        tables.check_schema(
            "profiles",
            whole.set(whole.get_field_index("birthday"), pa.field("birthday", pa.string())),
        )


def test_a_log_without_money_keeps_its_contract():
    frame = transactions_frame([None, None])
    assert tables.conform("transactions", frame)["amount"].null_count == 2


def test_conform_orders_columns_as_the_contract_and_drops_others():
    shuffled = clv_frame(remark="x")[["remark", *reversed(CLV)]]
    assert tables.conform("clv", shuffled).column_names == list(TABLES["clv"].columns)


def test_missing_columns_are_named():
    with pytest.raises(RunError, match="table clv: no column expected_spend, clv"):
        tables.conform("clv", clv_frame().drop(columns=["expected_spend", "clv"]))


def test_optional_columns_may_be_absent_but_not_wrong():
    frame = transactions_frame([Decimal(1)])
    assert "order_id" not in tables.conform("transactions", frame).column_names
    assert "order_id" in tables.conform("transactions", frame.assign(order_id="A1")).column_names


def test_empty_cells_are_counted_by_column():
    with pytest.raises(RunError, match="expected_orders is empty in 2 of 2 rows"):
        tables.conform("clv", clv_frame(expected_orders=[None, float("nan")]))


def test_repeated_keys_are_counted():
    with pytest.raises(RunError, match="2 rows repeat the key customer_id"):
        tables.conform("clv", pd.concat([clv_frame(), clv_frame()]))


def test_a_key_of_two_columns_repeats_only_as_a_whole():
    history = {
        "customer_id": ["a", "a"],
        "tier": "ordinary",
        "line": 7,
        "stage": "loyal",
        "window_orders": 1,
        "window_revenue": 1.0,
        "full_window": True,
    }
    months = [dt.date(2024, 1, 31), dt.date(2024, 2, 29)]
    assert len(tables.conform("tier_history", pd.DataFrame(history | {"month_end": months}))) == 2
    with pytest.raises(RunError, match="1 rows repeat the key customer_id, month_end"):
        tables.conform("tier_history", pd.DataFrame(history | {"month_end": months[:1] * 2}))


def test_check_names_column_and_both_types():
    table = tables.conform("clv", clv_frame())
    wrong = table.set_column(
        table.column_names.index("clv"), "clv", table["clv"].cast(pa.float32())
    )
    with pytest.raises(RunError, match="clv is float, not double"):
        tables.check("clv", wrong)


@pytest.mark.parametrize("values", [["high", "low"], [{"a": 1}, {"a": 2}]])
def test_values_of_another_type_are_a_run_error(values):
    with pytest.raises(RunError, match="clv"):
        tables.conform("clv", clv_frame(clv=values))


def test_ids_stay_text_and_days_become_datetime64(tmp_path):
    tables.write("transactions", transactions_frame([Decimal("1.10")]), tmp_path / "t.parquet")
    back = tables.read("transactions", tmp_path / "t.parquet")
    assert back.customer_id.tolist() == ["007"]
    assert back.day.dtype.kind == "M"
    assert back.day.tolist() == [pd.Timestamp(2024, 2, 29)]


@given(st.lists(st.decimals(Decimal("-1e15"), Decimal("1e15"), places=12), min_size=1, max_size=20))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_money_comes_back_exactly_and_adds_up_exactly(tmp_path, amounts):
    tables.write("transactions", transactions_frame(amounts), tmp_path / "t.parquet")
    back = tables.read("transactions", tmp_path / "t.parquet").amount
    assert back.tolist() == amounts
    assert sum(back) == sum(amounts)


def test_read_refuses_a_file_that_breaks_its_contract(tmp_path):
    tables.write("clv", clv_frame(), tmp_path / "clv.parquet")
    with pytest.raises(RunError, match="table churn: no column churn_risk, risk_band"):
        tables.read("churn", tmp_path / "clv.parquet")


def test_write_leaves_no_file_behind_when_the_contract_is_broken(tmp_path):
    with pytest.raises(RunError):
        tables.write("clv", clv_frame(customer_id=["a", "a"]), tmp_path / "clv.parquet")
    assert not list(tmp_path.iterdir())


# Of a customer: what may be empty, and what may not
WITHIN = ("within_30", "within_91", "within_182", "within_365")
RISK = {
    "customer_id": ["007"],
    "churn_risk": [0.5],
    "risk_band": "low",
    "lost": False,
    "risk_before": [0.25],
} | {
    "value_at_stake": [9.0],
    "expected_loss": [4.5],
    "risen": True,
    "warned": True,
    "reasons": "",
    "opening": "",
    **{name: [0.5] for name in WITHIN},
}
AWAY = {
    "customer_id": ["007"],
    "stage": "lost",
    "last_order": [pd.Timestamp("2024-02-29")],
    "recency_days": [60],
} | {
    "last_items": ["tea"],
    "action": "Call",
    "channel": "phone",
    "owner": "sales",
    "account_owner": "Li",
    "due": [pd.Timestamp("2024-03-29")],
    "opening": [""],
    "reasons": [""],
    "cost": [1.0],
    "expected_value": [2.0],
}


@pytest.mark.parametrize(
    ("name", "row", "may_be_empty"),
    [
        (
            "churn",
            RISK,
            {"churn_risk", "risk_before", "value_at_stake", "expected_loss", *WITHIN},
        ),
        ("winback", AWAY, {"last_order", "recency_days", "last_items", "opening", "reasons"}),
    ],
)
def test_what_of_a_risk_and_of_a_win_back_may_be_empty(name, row, may_be_empty):
    assert set(row) == set(TABLES[name].columns)
    tables.conform(name, pd.DataFrame(row))
    for column in row:
        holed = pd.DataFrame(row).astype({column: object}).assign(**{column: [None]})
        if column in may_be_empty:
            assert tables.conform(name, holed)[column].null_count == 1
        else:
            with pytest.raises(RunError, match=f"{column} is empty in 1 of 1 rows"):
                tables.conform(name, holed)
    with pytest.raises(RunError, match="1 rows repeat the key customer_id"):
        tables.conform(name, pd.concat([pd.DataFrame(row)] * 2))
