"""Reading from a real PostgreSQL server, which .ci/with-postgres starts."""

import os
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from analysis.errors import InputError
from analysis.intake import databases, dataset, readers, store

ADDRESS = os.environ.get("CUSTOMER_MATRIX_TEST_POSTGRES", "")
if not ADDRESS:
    pytest.skip(
        "no PostgreSQL server: run .ci/with-postgres make test, as .ci/run does",
        allow_module_level=True,
    )

ORDERS = """
DROP SCHEMA IF EXISTS crm CASCADE;
CREATE SCHEMA crm;
CREATE TABLE crm.orders (
    id text, number numeric(20), ordered timestamptz, billed date,
    amount numeric(12, 2), "Note" text
);
INSERT INTO crm.orders VALUES
    ('007', 12345678901234567890, '2024-01-05 23:30:00+00', '2024-01-05', 1234.50,
     'says "fast",\nand soon'),
    ('Null', 8, '2024-06-30 22:15:00+02', '2024-06-30', -5.00, E'张三\tü'),
    ('', NULL, NULL, NULL, NULL, NULL),
    (NULL, 9, 'infinity', '2024-07-01', 7, '\\.');
CREATE TABLE "An ""odd"" 表" AS SELECT id, billed FROM crm.orders WHERE id > '0';
CREATE TABLE empty (id text, day date);
CREATE SEQUENCE counter;
"""


@pytest.fixture(scope="module")
def server():
    """The address without its password."""
    with psycopg.connect(ADDRESS) as base:
        base.execute('DROP TABLE IF EXISTS "An ""odd"" 表", empty; DROP SEQUENCE IF EXISTS counter')
        base.execute(ORDERS)
    parts = urlsplit(ADDRESS)
    return parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}").geturl()


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", urlsplit(ADDRESS).password or "")


@pytest.fixture
def shop(server, password, tmp_path):
    """A dataset whose orders lie on the server; what is given is put into its description."""

    def write(columns=None, zone="UTC", **table):
        described = {
            "connection": server,
            "columns": columns or {"customer_id": "id", "date": "ordered", "amount": "amount"},
        }
        content = {"time_zone": zone, "tables": {"transactions": described | table}}
        (tmp_path / "shop.yml").write_text(yaml.safe_dump(content), "utf-8")
        return dataset.load(tmp_path / "shop.yml")

    return write


@pytest.fixture
def read(shop):
    def lines(*columns, **table):
        found = shop(*columns, **table)
        (piece,) = readers.pieces(found, "transactions")
        return readers.stream(piece, "transactions", found.file).read_all().to_pylist()

    return lines


def typed(found, folder):
    rows = store.typed(store.gather(found, folder), "transactions").order_by("line")
    times = {name: rows[name].cast("string") for name in ("day", "moment") if name in rows.columns}
    return rows.mutate(**times).to_pyarrow().to_pylist()


def counter():
    """How often the sequence was taken forward."""
    with psycopg.connect(ADDRESS) as base:
        return base.execute("SELECT last_value, is_called FROM counter").fetchone()


def test_a_table_is_read_as_text_with_the_number_of_its_row(read):
    columns = {
        "customer_id": "id",
        "date": "billed",
        "amount": "amount",
        "order_id": "number",
        "product": "Note",
    }
    rows = read(columns, table="crm.orders")
    assert [row["line"] for row in rows] == [1, 2, 3, 4] and {row["fields"] for row in rows} == {
        None
    }
    assert [row["customer_id"] for row in rows] == ["007", "Null", None, None]
    assert [row["order_id"] for row in rows] == ["12345678901234567890", "8", None, "9"]
    assert [row["amount"] for row in rows] == ["1234.50", "-5.00", None, "7.00"]
    assert [row["product"] for row in rows] == ['says "fast",\nand soon', "张三\tü", None, "\\."]
    assert [row["date"] for row in rows] == ["2024-01-05", "2024-06-30", None, "2024-07-01"]


@pytest.mark.parametrize(
    ("zone", "moments"),
    [
        ("UTC", ["2024-01-05 23:30", "2024-06-30 20:15"]),
        ("Asia/Shanghai", ["2024-01-06 07:30", "2024-07-01 04:15"]),
        ("America/New_York", ["2024-01-05 18:30", "2024-06-30 16:15"]),
    ],
)
@pytest.mark.parametrize("of_server", ["UTC", "Asia/Kathmandu"])
def test_a_moment_is_told_in_the_zone_of_the_dataset_whatever_that_of_the_server(
    shop, tmp_path, monkeypatch, zone, moments, of_server
):
    monkeypatch.setenv("PGTZ", of_server)
    rows = typed(shop(table="crm.orders", zone=zone), tmp_path)
    assert [row["moment"] for row in rows[:3]] == [f"{moment}:00" for moment in moments] + [None]
    assert [row["day"] for row in rows] == [moment[:10] for moment in moments] + [None, "infinity"]


def test_money_and_ids_arrive_whole(shop, tmp_path):
    rows = typed(
        shop({"customer_id": "number", "date": "billed", "amount": "amount"}, table="crm.orders"),
        tmp_path,
    )
    assert [row["customer_id"] for row in rows] == ["12345678901234567890", "8", None, "9"]
    assert [row["amount"] for row in rows] == [Decimal("1234.5"), Decimal(-5), None, Decimal(7)]


@pytest.mark.parametrize("end", ["", ";", " ;\n", " -- the newest first"])
def test_a_query_is_read_in_its_order(read, end):
    query = (
        "SELECT id, ordered, amount * 2 AS amount FROM crm.orders WHERE id > '' ORDER BY ordered"
        f" DESC{end}"
    )
    assert [(row["line"], row["customer_id"], row["amount"]) for row in read(query=query)] == [
        (1, "Null", "-10.00"),
        (2, "007", "2469.00"),
    ]


def test_a_table_may_have_a_name_of_any_letters(read):
    assert len(read({"customer_id": "id", "date": "billed"}, table='An "odd" 表')) == 2


def test_many_rows_stream_through(read):
    query = (
        "SELECT n AS id, DATE '2024-01-05' AS ordered, n / 4.0 AS amount FROM generate_series(1,"
        " 200000) AS n"
    )
    rows = read(query=query)
    assert [row["line"] for row in rows] == list(range(1, 200_001))
    assert rows[-1]["customer_id"] == "200000" and Decimal(rows[-1]["amount"]) == 50_000


def test_the_search_path_may_stand_in_the_connection(server, read):
    assert len(read(connection=f"{server}?options=-csearch_path%3Dcrm", table="orders")) == 4


def test_a_server_is_read_anew_each_time_and_an_unchanged_table_is_the_same(shop, tmp_path):
    found = shop(table="crm.orders")
    first = store.gather(found, tmp_path)
    assert store.gather(found, tmp_path) == first
    with psycopg.connect(ADDRESS) as base:
        base.execute(
            "INSERT INTO crm.orders (id, ordered) VALUES ('new', '2024-08-01 00:00:00+00')"
        )
    try:
        assert store.gather(found, tmp_path) != first
    finally:
        with psycopg.connect(ADDRESS) as base:
            base.execute("DELETE FROM crm.orders WHERE id = 'new'")


def test_an_empty_table_has_no_rows(shop, tmp_path):
    with pytest.raises(InputError, match=r"^empty: no rows below the header"):
        store.gather(shop({"customer_id": "id", "date": "day"}, table="empty"), tmp_path)


def test_a_missing_column_is_named_and_the_found_ones_listed(read):
    with pytest.raises(
        InputError,
        match=r"crm\.orders has no column date \(day\); found: id, number, ordered, billed",
    ):
        read({"customer_id": "id", "date": "day"}, table="crm.orders")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"table": "crm.order"}, 'relation "crm.order" does not exist'),
        (
            {"table": "crm.orders", "connection": "postgresql://matrix@127.0.0.1:1/postgres"},
            "[Cc]onnection refused",
        ),
        (
            {
                "table": "crm.orders",
                "connection": "postgresql://matrix@no-such-host.invalid/postgres",
            },
            "no-such-host.invalid",
        ),
        (
            {"table": "crm.orders", "connection": "postgresql://matrix@127.0.0.1:port/postgres"},
            "port",
        ),
        ({"query": "SELECT ids FROM crm.orders"}, 'column "ids" does not exist'),
        (
            {
                "query": (
                    "SELECT 1 / (n - 5) AS id, now() AS ordered, 1 AS amount FROM"
                    " generate_series(1, 9) n"
                )
            },
            "division by zero",
        ),
    ],
)
def test_what_the_server_refuses_is_one_line_with_its_remedy(read, asked, said):
    pattern = (
        rf"^(crm\.orders?|query): PostgreSQL says: .*{said}.*; correct connection, table or query$"
    )
    with pytest.raises(InputError, match=pattern) as error:
        read(**asked)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO crm.orders (id) VALUES ('x') RETURNING id, ordered, amount",
        "DELETE FROM crm.orders RETURNING id, ordered, amount",
        "WITH gone AS (DELETE FROM crm.orders RETURNING *) SELECT id, ordered, amount FROM gone",
        "SELECT nextval('counter') AS id, now() AS ordered, 1 AS amount",
        "SELECT 1) TO STDOUT; DROP TABLE crm.orders; --",
        (
            "SELECT set_config('transaction_read_only', 'off', false) AS id, now() AS ordered,"
            " nextval('counter') AS amount"
        ),
    ],
)
def test_a_query_that_writes_is_refused(read, query):
    before = counter()
    with pytest.raises(
        InputError, match=r"^query: (PostgreSQL says|the query) .*; (correct|leave)"
    ):
        read(query=query)
    assert counter() == before and len(read(table="crm.orders")) == 4


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1) TO STDOUT; COMMIT; BEGIN READ WRITE; DROP TABLE crm.orders; --",
        "SELECT 1 AS id; DROP TABLE crm.orders",
        "DELETE FROM crm.orders RETURNING id, ordered, amount",
        "SELECT nextval('counter') AS id, now() AS ordered, 1 AS amount",
    ],
)
def test_the_server_itself_refuses_what_the_look_at_the_query_did_not(read, monkeypatch, query):
    monkeypatch.setattr(databases, "_check_select", lambda query: None)
    before = counter()
    with pytest.raises(InputError, match=r"^query: PostgreSQL says: .*; correct"):
        read(query=query)
    assert counter() == before and len(read(table="crm.orders")) == 4


def test_the_password_comes_from_the_environment_only(read, monkeypatch):
    assert len(read(table="crm.orders")) == 4
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(InputError, match="password authentication failed"):
        read(table="crm.orders")
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with pytest.raises(InputError, match="no password supplied"):
        read(table="crm.orders")


def test_the_password_file_serves_too(read, server, monkeypatch, tmp_path):
    parts = urlsplit(ADDRESS)
    (tmp_path / "pgpass").write_text(
        f"{parts.hostname}:{parts.port}:*:{parts.username}:{parts.password}\n"
    )
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert len(read(table="crm.orders")) == 4


def test_the_password_shows_nowhere(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hush-hush")
    with pytest.raises(InputError) as error:
        store.gather(shop(table="crm.orders"), tmp_path / "out")
    assert "hush-hush" not in str(error.value)
    assert not any(
        b"hush-hush" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )
