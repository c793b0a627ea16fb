import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.errors import InputError
from analysis.intake import databases
from tests.intake.reading import HEADER, ROW, of

DAY = dt.datetime(2024, 1, 5)


def parquet(**columns):
    def write(path):
        pq.write_table(
            pa.table(columns or {"id": ["007"], "day": [dt.date(2024, 1, 5)], "eur": [5.0]}), path
        )

    return write


def test_parquet_columns_are_texts(read_all):
    columns = {
        "id": pa.array([7.0, None, 1e16, 0.5]),
        "day": pa.array([DAY, dt.datetime(2024, 1, 5, 10, 30), None, DAY]),
        "eur": pa.array([5, 5, 5, 5], pa.int64()),
    }
    (found,) = read_all({"path": "o.parquet"}, make={"o.parquet": parquet(**columns)}).values()
    assert of(found, "customer_id") == [
        "7",
        None,
        "1e+16",
        "0.5",
    ]  # ids beside an empty cell are kept as floating numbers
    assert of(found, "date") == [
        "2024-01-05 00:00:00",
        "2024-01-05 10:30:00",
        None,
        "2024-01-05 00:00:00",
    ]
    assert of(found, "line") == [1, 2, 3, 4] and of(found, "amount") == ["5"] * 4


def test_numbers_have_the_decimal_mark_that_is_declared_for_the_texts(read_all):
    columns = {
        "id": pa.array([1234567890123456.0, 7.0, 0.5]),
        "day": [DAY] * 3,
        "eur": pa.array([Decimal("1234.50"), Decimal("-0.25"), None], pa.decimal128(12, 2)),
    }
    made = {"o.parquet": parquet(**columns)}
    (found,) = read_all({"path": "o.parquet", "decimal": ","}, make=made).values()
    assert of(found, "customer_id") == ["1,234567890123456e+15", "7", "0,5"]
    assert of(found, "amount") == ["1234,50", "-0,25", None]
    rows = "CREATE TABLE orders AS SELECT 7 id, '2024-01-05' day, 1234.5 eur UNION ALL"
    described = {"path": "o.sqlite", "table": "orders", "decimal": ","}
    made = {"o.sqlite": sqlite(f"{rows} SELECT 8, '2024-01-05', '1.234,50'")}
    (found,) = read_all(described, make=made).values()
    assert of(found, "amount") == ["1234,5", "1.234,50"]


def test_parquet_keeps_text_ids_decimals_and_moments_with_their_zone(read_all):
    moment = pa.array([dt.datetime(2024, 1, 5, 23, 30, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    columns = {"id": ["007"], "day": moment, "eur": pa.array([5], pa.decimal128(12, 2))}
    (found,) = read_all({"path": "o.parquet"}, make={"o.parquet": parquet(**columns)}).values()
    assert found[0]["customer_id"] == "007" and found[0]["amount"] == "5.00"
    assert dt.datetime.fromisoformat(found[0]["date"]) == dt.datetime(
        2024, 1, 5, 23, 30, tzinfo=dt.UTC
    )


def test_several_parquet_files_and_a_folder_of_them(read_all):
    def folder(path):
        path.mkdir()
        for name in "ab":
            parquet(id=[name], day=[DAY], eur=[5])(path / f"{name}.parquet")

    make = {"2023.parquet": parquet(), "2024.parquet": parquet()}
    assert list(read_all({"path": "20*.parquet"}, make=make)) == ["2023.parquet", "2024.parquet"]
    found = read_all({"path": "orders", "format": "parquet"}, make={"orders": folder})
    assert of(found["orders"], "customer_id") == ["a", "b"] and of(found["orders"], "line") == [
        1,
        2,
    ]


def test_a_query_of_parquet_names_the_files_beside_it(read_all):
    make = {"o.parquet": parquet(), "rate.parquet": parquet(rate=[2.5])}
    query = "SELECT id, day, eur * rate AS eur FROM 'o.parquet', 'rate.parquet' ;"
    assert of(
        read_all({"path": "o.parquet", "query": query}, make=make)["o.parquet"], "amount"
    ) == ["12.5"]


def sqlite(*statements):
    def write(path):
        with closing(sqlite3.connect(path)) as base:
            for statement in statements:
                base.execute(statement)
            base.commit()

    return write


def duck(*statements):
    def write(path):
        with duckdb.connect(str(path)) as base:
            for statement in statements:
                base.execute(statement)

    return write


WHY = r"^the query (must be one SELECT|calls \w+, which reaches)"
ORDERS = (
    "CREATE TABLE orders (id TEXT, day TEXT, eur REAL)",
    (
        "INSERT INTO orders VALUES ('007', '2024-01-05', 5), ('Null', '2024-01-06', 5.25), (NULL,"
        " '2024-01-07', NULL)"
    ),
)
FILES = pytest.mark.parametrize(
    ("name", "made"), [("o.sqlite", sqlite), ("o.db", sqlite), ("o.duckdb", duck)]
)


@FILES
def test_a_table_and_a_query_of_a_database_file(read_all, name, made):
    whole = read_all({"path": name, "table": "orders"}, make={name: made(*ORDERS)})
    assert of(whole[f"{name}:orders"], "customer_id") == ["007", "Null", None]
    assert of(whole[f"{name}:orders"], "amount") == ["5", "5.25", None] and of(
        whole[f"{name}:orders"], "line"
    ) == [1, 2, 3]
    query = "SELECT id, day, eur + 1 AS eur FROM orders ORDER BY day DESC -- newest first"
    assert of(
        read_all({"path": name, "query": query}, make={name: made(*ORDERS)})[name], "customer_id"
    ) == [None, "Null", "007"]


@FILES
def test_tables_of_one_database_are_told_apart(read_all, name, made):
    query = "SELECT * FROM orders WHERE id = '007'"
    both = [
        {"path": name, "table": "orders"},
        {"path": name, "query": query},
        {"path": name, "query": query},
    ]
    found = read_all(both, make={name: made(*ORDERS)})
    assert [len(rows) for rows in found.values()] == [3, 1, 1] and len(found) == 3


@FILES
def test_a_table_may_have_a_name_of_any_letters(read_all, name, made):
    statements = [statement.replace("orders", '"order ""lines"" 订单"') for statement in ORDERS]
    found = read_all({"path": name, "table": 'order "lines" 订单'}, make={name: made(*statements)})
    assert [len(rows) for rows in found.values()] == [3]


@FILES
def test_columns_of_a_database_may_have_any_name(read_all, name, made):
    statements = (
        'CREATE TABLE orders ("line" TEXT, "fields" TEXT, "ｉｄ " TEXT, "an ""odd"" one" TEXT)',
    )
    statements += ("INSERT INTO orders VALUES ('a', '2024-01-05', '007', 'b')",)
    columns = {"customer_id": "id", "date": "fields", "product": "line", "channel": 'an "odd" one'}
    (found,) = read_all(
        {"path": name, "table": "orders", "columns": columns}, make={name: made(*statements)}
    ).values()
    assert found == [
        {"line": 1, "customer_id": "007", "date": "2024-01-05", "product": "a", "channel": "b"}
    ]


def test_a_table_may_be_named_with_its_schema(read_all):
    make = {
        "o.duckdb": duck("CREATE SCHEMA crm", *(s.replace("orders", "crm.orders") for s in ORDERS))
    }
    assert (
        len(read_all({"path": "o.duckdb", "table": "crm.orders"}, make=make)["o.duckdb:crm.orders"])
        == 3
    )


@FILES
@pytest.mark.parametrize(
    "asked",
    [
        {"table": "order"},
        {"query": "SELECT * FROM nowhere"},
        {"query": "SELEC * FROM orders"},
        {"query": "DELETE FROM orders"},
        {"query": "DROP TABLE orders"},
        {"query": "SELECT 1; DELETE FROM orders"},
        {"query": "CREATE TEMP TABLE x (y TEXT)"},
        {"query": "COPY orders TO 'orders.csv'"},
    ],
)
def test_a_query_that_cannot_be_read_is_one_line_and_alters_nothing(
    read_all, tmp_path, monkeypatch, name, made, asked
):
    monkeypatch.chdir(tmp_path)
    made(*ORDERS)(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(
        InputError,
        match=rf"{name}.*: ((SQLite|DuckDB) says: .*; correct|the query must be one SELECT)",
    ) as error:
        read_all({"path": str(tmp_path / name)} | asked)
    assert "\n" not in str(error.value)
    assert (tmp_path / name).read_bytes() == before and [
        path.name for path in tmp_path.iterdir()
    ] == [name]


def test_what_goes_wrong_between_rows_is_an_input_error(read_all):
    bad = "INSERT INTO orders VALUES (CAST(x'ff41' AS TEXT), '2024-01-05', 1)"
    with pytest.raises(InputError, match=r"o\.sqlite:orders: SQLite says: Could not decode"):
        read_all({"path": "o.sqlite", "table": "orders"}, make={"o.sqlite": sqlite(*ORDERS, bad)})
    query = "SELECT id, day, CAST('x' || id AS INTEGER) AS eur FROM orders"
    with pytest.raises(
        InputError,
        match=r"o\.duckdb: DuckDB says: Conversion Error.*; correct path, table or query",
    ):
        read_all({"path": "o.duckdb", "query": query}, make={"o.duckdb": duck(*ORDERS)})


@pytest.mark.parametrize("format", ["parquet", "sqlite", "duckdb"])
def test_a_file_of_another_format_is_an_input_error(read_all, format):
    table = {} if format == "parquet" else {"table": "orders"}
    with pytest.raises(
        InputError, match=r"o\.csv.*: (SQLite|DuckDB) says: .*; correct path, table or query"
    ):
        read_all({"path": "o.csv", "format": format} | table, {"o.csv": HEADER + ROW * 1_000})


def test_a_column_that_a_query_gives_twice_is_an_input_error(read_all):
    query = "SELECT a.id, b.id, a.day, a.eur FROM orders a, orders b"
    with pytest.raises(InputError, match="the header repeats 'id'"):
        read_all({"path": "o.sqlite", "query": query}, make={"o.sqlite": sqlite(*ORDERS)})


def test_the_tables_of_an_sqlite_file(tmp_path):
    sqlite(*ORDERS, "CREATE VIEW newest AS SELECT * FROM orders")(tmp_path / "o.db")
    assert list(databases.sqlite_tables(tmp_path / "o.db")) == ["newest", "orders"]


# Fault 60: a query that leaves its brackets, writes, or reads elsewhere. {out} is a folder
# elsewhere, which holds secret.csv, secret.parquet and secret.sqlite.
ESCAPES = [
    "SELECT 1) ; COPY (SELECT 1 AS x) TO '{out}/made.csv'; SELECT (1",
    "SELECT * FROM orders; COPY orders TO '{out}/made.csv'",
    "COPY (SELECT 1) TO '{out}/made.csv'",
    "COPY (SELECT 1) TO 'made.csv'",
    "VACUUM INTO '{out}/made.db'",
    "ATTACH '{out}/made.db' AS other",
    "ATTACH '{out}/secret.sqlite' AS other; SELECT * FROM other.secret",
    "EXPORT DATABASE '{out}/made'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA journal_mode = wal",
    "SET enable_external_access = true",
    "-- nothing",
    "DELETE FROM orders RETURNING id, day, eur",
    "WITH x AS (SELECT 1) INSERT INTO orders SELECT 1, 2, 3",
    "SELECT load_extension('{out}/made')",
]
READ_ELSEWHERE = [  # with DuckDB
    "SELECT * FROM read_csv('{out}/secret.csv')",
    "SELECT * FROM '{out}/secret.parquet'",
    "SELECT * FROM '../{folder}/secret.parquet'",
    "SELECT * FROM 'secret.parquet'",
    "SELECT content AS id FROM read_text('{out}/secret.csv')",
    "SELECT file AS id FROM glob('{out}/*')",
    "SELECT * FROM 'https://127.0.0.1:9/secret.parquet'",
    "SELECT * FROM sqlite_scan('{out}/secret.sqlite', 'secret')",
    "SELECT * FROM COLUMNS",
]


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder elsewhere, which also is the working one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.csv").write_text("id,day,eur\n7,2024-01-05,5\n")
    parquet()(folder / "secret.parquet")
    sqlite("CREATE TABLE secret (id, day, eur)")(folder / "secret.sqlite")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "made"),
    [("o.sqlite", sqlite(*ORDERS)), ("o.duckdb", duck(*ORDERS)), ("o.parquet", parquet())],
)
def test_fault_60_a_query_is_one_select_over_its_file_and_those_beside_it(
    read_all, outside, tmp_path, name, made
):
    inside = tmp_path / "inside"
    inside.mkdir()
    made(inside / name)
    before = {path: path.read_bytes() for path in [*inside.iterdir(), *outside.iterdir()]}
    elsewhere = ["SELECT * FROM pragma_database_list"] if name == "o.sqlite" else READ_ELSEWHERE
    COLUMNS = [1]  # a variable that DuckDB could see  # noqa: F841
    for escape in [*ESCAPES, *elsewhere]:
        query = escape.format(out=outside, folder=outside.name)
        with pytest.raises(InputError, match=rf"^{name}: .*correct") as error:
            read_all({"path": str(inside / name), "query": query})
        assert "\n" not in str(error.value), query
    assert {p: p.read_bytes() for p in [*inside.iterdir(), *outside.iterdir()]} == before


def test_a_query_of_duckdb_may_read_a_file_beside_and_is_read_anew_with_it(company, tmp_path):
    from analysis.intake import store

    query = "SELECT id, day, eur * rate AS eur FROM orders, 'rate.csv'"
    columns = {"customer_id": "id", "date": "day", "amount": "eur"}
    table = {"path": "o.duckdb", "query": query, "columns": columns}
    found = company({"rate.csv": "rate\n2\n"}, {"transactions": table})
    duck(*ORDERS[:1], "INSERT INTO orders VALUES ('7', '2024-01-05', 5)")(
        found.file.parent / "o.duckdb"
    )
    folders = [store.gather(found, tmp_path)]
    (found.file.parent / "rate.csv").write_text("rate\n3\n")
    folders.append(store.gather(found, tmp_path))
    amounts = [store.typed(f, "transactions").amount.execute()[0] for f in folders]
    assert amounts == [10, 15]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1) TO STDOUT; COMMIT; BEGIN READ WRITE; DROP TABLE orders; --",
        "SELECT 1; SELECT 2",
        "",
        "DELETE FROM orders RETURNING id",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "SELECT * INTO made FROM orders",
        "SELECT * FROM orders FOR UPDATE",
        "COPY orders TO '/tmp/made'",
        "SELEC 1",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/made')",
        "SELECT * FROM dblink('host=elsewhere', 'SELECT 1') AS t(id text)",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT \"pg_read_file\"('/etc/passwd')",
        "SELECT PG_SLEEP(9)",
    ],
)
def test_a_query_of_a_server_that_is_no_select_is_refused_before_it_is_asked(query):
    with pytest.raises(InputError, match=WHY) as error:
        databases._check_select(query)
    assert str(error.value).isprintable()


def test_a_query_of_a_server_may_be_any_select():
    for query in (
        "SELECT id, day FROM crm.orders -- newest",
        "WITH x AS (SELECT 1 AS id) SELECT * FROM x UNION ALL SELECT 2 ORDER BY 1",
        "(SELECT id FROM a) EXCEPT (SELECT id FROM b)",
        "SELECT date_trunc('day', at)::date, sum(eur) FILTER (WHERE eur > 0) FROM o GROUP BY 1",
        "SELECT n FROM generate_series(1, 9) AS n WHERE n = ANY(ARRAY[1, 2])",
    ):
        databases._check_select(query)
