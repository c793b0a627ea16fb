import ast
import concurrent.futures
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import yaml

from analysis.errors import InputError
from analysis.intake import dataset, readers, store
from analysis.intake.formats import FORMATS
from analysis.intake.rows import opened
from analysis.schema import RECORDS

COLUMNS = {"customer_id": "id", "date": "day", "amount": "eur"}
ORDERS = "id,day,eur\n7,2024-01-05,5.00\n8,2024-01-06,6.50\n"


@pytest.fixture
def shop(company):
    """A dataset of one file of orders, and further settings."""

    def write(content=ORDERS, *, table=None, files=None, tables=None, **settings):
        described = {"path": "orders.csv", "columns": COLUMNS} | (table or {})
        return company(
            {"orders.csv": content} | (files or {}),
            {"transactions": described} | (tables or {}),
            **settings,
        )

    return write


@pytest.fixture
def reads(monkeypatch):
    """The names of the pieces that are read."""
    names, stream = [], readers.stream

    def noted(piece, *rest):
        names.append(piece.name)
        return stream(piece, *rest)

    monkeypatch.setattr(readers, "stream", noted)
    return names


def again(found, **changed):
    """The dataset file with some keys written anew, loaded."""
    content = yaml.safe_load(found.file.read_text("utf-8"))
    found.file.write_text(yaml.safe_dump(content | changed, sort_keys=False), "utf-8")
    return dataset.load(found.file)


def rows(folder, table="transactions"):
    return store.typed(folder, table).order_by("source", "line").to_pyarrow().to_pylist()


# --- what was read before


def test_what_has_not_changed_is_not_read_again(shop, tmp_path, reads):
    found, said = shop(), []
    first = store.gather(found, tmp_path, said.append)
    assert reads == ["orders.csv"] and "2 rows" in said[0]
    os.utime(found.file.parent / "orders.csv", (1, 1))
    assert store.gather(dataset.load(found.file), tmp_path, said.append) == first
    assert reads == ["orders.csv"] and len(said) == 1


def test_the_same_files_in_another_place_are_the_same(shop, tmp_path):
    assert store.gather(shop(), tmp_path).name == store.gather(shop(), tmp_path).name
    assert len(list(tmp_path.iterdir())) == 1


def test_only_keys_that_decide_what_is_read_matter(shop, tmp_path):
    found = shop()
    (found.file.parent / "same.csv").write_text("customer_id,same_as,accept\n")
    before = store.gather(found, tmp_path)
    written = found.file.read_text("utf-8")
    table = {"path": "orders.csv", "columns": COLUMNS}
    for key, same in [
        ({"title": "A shop", "seed": 2, "horizon_days": 9, "as_of": "2024-12-31"}, True),
        ({"max_staleness_days": 9_999}, True),
        ({"currency": "EUR"}, False),
        ({"rates": {"EUR": 1.1}}, False),
        ({"time_zone": "Asia/Shanghai"}, False),
        ({"same_customers": "same.csv"}, False),
        ({"tables": {"transactions": table | {"decimal": ","}}}, False),
        ({"tables": {"transactions": table | {"path": ["orders.csv", "same.csv"]}}}, False),
    ]:
        changed = again(found, **key)
        pieces = [piece for t in RECORDS for piece in readers.pieces(changed, t)]
        whole = store._fingerprint(changed, pieces)
        assert (store._folder(tmp_path, whole) == before) == same, key
        found.file.write_text(written, "utf-8")


def test_a_changed_file_is_read_again(shop, tmp_path):
    found = shop()
    before = store.gather(found, tmp_path)
    (found.file.parent / "orders.csv").write_text(ORDERS.replace("6.50", "6.51"))
    after = store.gather(found, tmp_path)
    assert after != before and [row["amount"] for row in rows(after)] == [
        Decimal(5),
        Decimal("6.51"),
    ]
    assert [row["amount"] for row in rows(before)] == [Decimal(5), Decimal("6.50")]


def test_a_new_version_of_the_code_that_reads_reads_again(shop, tmp_path, monkeypatch, reads):
    found = shop()
    store.gather(found, tmp_path)
    monkeypatch.setattr(store, "CODE", (*store.CODE, readers))
    store.gather(found, tmp_path)
    assert reads == ["orders.csv"] * 2


def test_all_code_that_decides_what_is_read_is_looked_at():
    """Whatever of the package is loaded to gather records: a new or moved module is not forgotten,
    but for what only finds files (files, samples) or says what was read (text, privacy).
    """
    code = """
import sys
from analysis.intake import store
loaded = [m.__file__ for n, m in sys.modules.items() if n.startswith("analysis.") and m.__file__]
known = {str(path) for path in store._code()}
print(sorted(file for file in loaded if file not in known and not file.endswith("__init__.py")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [Path(name).name for name in ast.literal_eval(done.stdout)]
    assert found == ["files.py", "privacy.py", "text.py"]


def test_progress_is_told_while_a_piece_is_read(shop, tmp_path):
    found = shop(ORDERS + "".join(f"{n},2024-01-07,1\n" for n in range(45_000)))
    told = []
    store.gather(found, tmp_path, progress=lambda name, rows: told.append((name, rows)))
    assert {name for name, _ in told} == {"orders.csv"} and len(told) > 2
    counts = [rows for _, rows in told]
    assert counts == sorted(set(counts)) and counts[-1] == 45_002


def test_a_file_that_a_query_names_is_watched_too(shop, tmp_path):
    def parquet(name, **columns):
        return lambda folder: duckdb.from_arrow(pa.table(columns)).write_parquet(str(folder / name))

    query = "SELECT id, day, eur * rate AS eur FROM 'o.parquet', 'rate.parquet'"
    found = shop(table={"path": "o.parquet", "query": query})
    parquet("o.parquet", id=["7"], day=["2024-01-05"], eur=[5])(found.file.parent)
    parquet("rate.parquet", rate=[2])(found.file.parent)
    before = store.gather(found, tmp_path)
    parquet("rate.parquet", rate=[3])(found.file.parent)
    assert [rows(f)[0]["amount"] for f in (before, store.gather(found, tmp_path))] == [10, 15]


def test_what_a_database_file_has_not_yet_taken_up_is_read(shop, tmp_path):
    import sqlite3

    found = shop(table={"path": "o.sqlite", "table": "orders"})
    base = sqlite3.connect(found.file.parent / "o.sqlite", isolation_level=None)
    base.execute("PRAGMA journal_mode = wal")
    base.execute("CREATE TABLE orders (id, day, eur)")
    base.execute("INSERT INTO orders VALUES ('7', '2024-01-05', 5)")
    before = store.gather(found, tmp_path)
    base.execute("INSERT INTO orders VALUES ('8', '2024-01-05', 5)")
    after = store.gather(found, tmp_path)
    assert [len(rows(folder)) for folder in (before, after)] == [1, 2]
    base.close()


def test_a_server_is_always_read_anew(shop, tmp_path, monkeypatch):
    content = [("7", "2024-01-05", "5"), ("8", "2024-01-06", "6")]
    asked = []

    def server(piece):
        asked.append(piece.name)
        return opened([*COLUMNS.values()], [(n, [*row]) for n, row in enumerate(content, start=1)])

    served = dataclasses.replace(FORMATS["postgresql"], read=server)
    monkeypatch.setitem(FORMATS, "postgresql", served)
    found = shop(table={"path": [], "connection": "postgresql://host/shop", "table": "orders"})
    first = store.gather(found, tmp_path)
    assert store.gather(found, tmp_path) == first and asked == ["orders"] * 2
    content.append(("9", "2024-01-07", "7"))
    assert store.gather(found, tmp_path) != first and len(asked) == 3


# --- what a folder of records holds


def test_rows_are_counted_by_piece(shop, tmp_path):
    files = {"a-1.csv": ORDERS, "a-2.csv": ORDERS + "9,2024-01-07\n", "c.csv": "no,town\n7,Rome\n"}
    tables = {"customers": {"path": "c.csv", "columns": {"customer_id": "no", "city": "town"}}}
    folder = store.gather(shop(table={"path": "a-*.csv"}, files=files, tables=tables), tmp_path)
    facts = store.facts(folder)
    assert folder.name == f"records-{facts['sha256'][:12]}"
    assert facts["pieces"] == {table: [] for table in RECORDS} | {
        "transactions": [
            {"name": "a-1.csv", "rows": 2, "encoding": "UTF-8"},
            {"name": "a-2.csv", "rows": 3, "encoding": "UTF-8"},
        ],
        "customers": [{"name": "c.csv", "rows": 1, "encoding": "UTF-8"}],
    }
    assert store.typed(folder, "transactions").count().execute() == 5


def test_pieces_with_other_columns_are_put_together(shop, tmp_path):
    described = [
        {"path": "orders.csv", "columns": COLUMNS, "constants": {"channel": "shop"}},
        {
            "path": "web.csv",
            "columns": {"customer_id": "who", "date": "on", "quantity": "n", "unit_price": "each"},
        },
        {"path": "visits.csv", "columns": {"customer_id": "id", "date": "day"}},
    ]
    files = {
        "web.csv": "on,who,n,each\n2024-01-08 10:30,9,3,1.5\n",
        "visits.csv": "id,day\n5,2024-01-09\n",
    }
    found = shop(files=files, tables={"transactions": described})
    read = {(row["source"], row["customer_id"]): row for row in rows(store.gather(found, tmp_path))}
    assert {key: str(row["amount"].normalize()) for key, row in read.items() if row["amount"]} == {
        ("orders.csv", "7"): "5",
        ("orders.csv", "8"): "6.5",
        ("web.csv", "9"): "4.5",
    }
    assert read["orders.csv", "7"]["channel"] == "shop" and read["web.csv", "9"]["channel"] is None
    assert read["web.csv", "9"]["quantity"] == 3 and read["visits.csv", "5"]["amount"] is None


def test_records_can_be_read_several_times_and_joined_with_themselves(shop, tmp_path):
    typed = store.typed(store.gather(shop(), tmp_path), "transactions")
    assert [typed.count().execute() for _ in range(3)] == [2, 2, 2]
    assert typed.join(typed.view(), "customer_id").count().execute() == 2


def test_a_wrong_field_count_is_kept_with_its_line(shop, tmp_path):
    (wrong,) = [
        row
        for row in rows(store.gather(shop(ORDERS + "9,2024-01-07\n"), tmp_path))
        if row["line"] == 4
    ]
    assert wrong["fields"] == 2 and wrong["customer_id"] is None


# --- what goes wrong


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,day,eur\n", r"^orders\.csv: no rows below the header; export again$"),
        ("", r"^orders\.csv: the file is empty; export it again$"),
        ("id,day\n7,2024-01-05\n", r"orders\.csv has no column amount \(eur\); found: id, day\."),
        (
            ORDERS + '"9,2024-01-07,5\n',
            r"^orders\.csv: line 4: a quote that opens there is not closed; close it$",
        ),
        (ORDERS + "7,2024-01-05,5\n" * 60_000 + '"9,2024\n', r"^orders\.csv: line 60004: a quote"),
        (ORDERS.encode() + b"\xff\xff\n", r"^orders\.csv: line 4: neither UTF-8"),
        (
            ORDERS + "9,2024-01-07,GBP 5\n",
            r"besides lines in USD there are 1 in GBP; say under rates",
        ),
    ],
    ids=["header only", "empty", "column", "quote", "quote far down", "encoding", "currency"],
)
def test_what_cannot_be_read_is_one_line_and_leaves_nothing(shop, tmp_path, content, said):
    with pytest.raises(InputError, match=said) as error:
        store.gather(shop(content), tmp_path)
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []


def test_all_files_without_rows_are_named(shop, tmp_path):
    files = {"a-1.csv": "id,day,eur\n", "a-2.csv": "id,day,eur\n"}
    with pytest.raises(InputError, match=r"^a-1\.csv, a-2\.csv: no rows below the header"):
        store.gather(shop(table={"path": "a-*.csv"}, files=files), tmp_path)


def test_other_tables_may_be_empty(shop, tmp_path):
    tables = {"customers": {"path": "c.csv", "columns": {"customer_id": "no"}}}
    folder = store.gather(shop(files={"c.csv": "no\n"}, tables=tables), tmp_path)
    assert store.typed(folder, "customers").count().execute() == 0


def test_a_failure_of_the_code_is_not_taken_for_one_of_the_input(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "_trimmed", lambda texts, narrow: 1 / 0)
    with pytest.raises(Exception, match="division by zero") as error:
        store.gather(shop(), tmp_path)
    assert not isinstance(error.value, InputError) and list(tmp_path.iterdir()) == []


KILLED = """
import os, sys, signal
from pathlib import Path
from analysis.intake import dataset
from analysis.intake import store
store._settle = lambda part, target: os.kill(os.getpid(), signal.SIGKILL)
store.gather(dataset.load(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_reading_that_was_killed_is_never_taken_for_whole(shop, tmp_path, reads):
    found = shop()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, found.file, tmp_path], capture_output=True, text=True
    )
    assert done.returncode == -9, done.stderr
    (left,) = tmp_path.iterdir()
    assert (
        left.name.startswith("reading-")
        and left.name.endswith(".part")
        and (left / "records.json").is_file()
    )
    folder = store.gather(found, tmp_path)
    assert reads == ["orders.csv"] and len(rows(folder)) == 2


def test_two_readings_at_once_do_no_harm(shop, tmp_path):
    found = shop(ORDERS + "".join(f"{n},2024-01-07,1\n" for n in range(20_000)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: store.gather(found, tmp_path), range(4)))
    (folder,) = folders
    assert (
        list(tmp_path.iterdir()) == [folder]
        and store.typed(folder, "transactions").count().execute() == 20_002
    )


def test_the_second_of_two_readings_takes_what_the_first_has_put_there(shop, tmp_path, monkeypatch):
    found, check = shop(), store.parsing.check_currencies

    def faster(*given):
        monkeypatch.setattr(store.parsing, "check_currencies", check)
        store.gather(found, tmp_path)

    monkeypatch.setattr(store.parsing, "check_currencies", faster)
    folder = store.gather(found, tmp_path)
    assert list(tmp_path.iterdir()) == [folder] and len(rows(folder)) == 2


def test_a_folder_that_cannot_be_put_in_its_place_is_a_failure(shop, tmp_path, monkeypatch):
    def full(part, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.gather(shop(), tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- much data

MEASURED = """
import json, resource, sys
from pathlib import Path
from analysis.intake import dataset
from analysis.intake import store
folder = store.gather(dataset.load(sys.argv[1]), Path(sys.argv[2]))
rows = sum(piece["rows"] for piece in store.facts(folder)["pieces"]["transactions"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
print(json.dumps({"rows": rows, "peak_mb": peak}))
"""


@pytest.mark.slow
def test_a_file_of_300_megabytes_is_read_in_little_memory(tmp_path: Path):
    line = "K%07d,2024-01-%02d,%d.50,3,SO%08d,P%04d,web shop\n"
    some = "".join(line % (n % 50_000, 1 + n % 28, n % 900, n, n % 5_000) for n in range(100_000))
    with (tmp_path / "orders.csv").open("w") as file:
        file.write("id,day,eur,n,order,product,channel\n")
        for _ in range(55):
            file.write(some)
    assert (tmp_path / "orders.csv").stat().st_size > 290_000_000
    columns = COLUMNS | {
        "quantity": "n",
        "order_id": "order",
        "product": "product",
        "channel": "channel",
    }
    (tmp_path / "shop.yml").write_text(
        yaml.safe_dump({"tables": {"transactions": {"path": "orders.csv", "columns": columns}}})
    )
    call = [sys.executable, "-c", MEASURED, tmp_path / "shop.yml", tmp_path / "out"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "orders.csv").unlink()
    measured = json.loads(done.stdout)  # and nothing else is said: no bar of progress
    assert measured["rows"] == 5_500_000 and measured["peak_mb"] < 1_500


@pytest.mark.parametrize(("codec", "said"), [("gb18030", "GB18030"), ("cp1252", "cp1252")])
def test_the_encoding_is_said(shop, tmp_path, codec, said):
    city = "Zürich" if codec == "cp1252" else "北京"
    found = shop(
        f"id,day,eur\n{city},2024-01-05,5\n".encode(codec),
        table={"encoding": codec} if codec == "cp1252" else None,
    )
    lines = []
    folder = store.gather(found, tmp_path, lines.append)
    assert store.facts(folder)["pieces"]["transactions"][0]["encoding"] == said
    assert lines[0].endswith(said)


def test_a_year_of_two_digits_is_none_to_come_and_a_birthday_is_before_the_orders(company):
    orders = "id,day,eur\n" + "".join(f"{n % 5},{n % 28 + 1:02}/03/24,5\n" for n in range(200))
    born = {"0": "31/12/45", "1": "01/03/24", "2": "29/03/24", "3": "13/12/68", "4": "02/02/99"}
    people = "id,born\n" + "".join(f"{who},{day}\n" for who, day in born.items())
    found = company(
        {"o.csv": orders + "1,01/01/68,5\n", "c.csv": people},
        {
            "transactions": {
                "path": "o.csv",
                "columns": {"customer_id": "id", "date": "day", "amount": "eur"},
                "date_format": "%d/%m/%y",
            },
            "customers": {
                "path": "c.csv",
                "columns": {"customer_id": "id", "birthday": "born"},
                "date_format": {"birthday": "%d/%m/%y"},
            },
        },
    )
    folder = store.gather(found, found.file.parent)
    orders = store.typed(folder, "transactions").to_pandas()
    assert (str(orders.day.min())[:10], str(orders.day.max())[:10]) == ("1968-01-01", "2024-03-28")
    rows = store.typed(folder, "customers").to_pandas()
    years = dict(zip(rows.customer_id, rows.birthday.astype(str).str[:4], strict=True))
    assert years == {"0": "1945", "1": "2024", "2": "1924", "3": "1968", "4": "1999"}
