import gzip
import itertools

import pandas as pd
import pyarrow as pa
import pytest

from analysis import files
from analysis.errors import InputError
from analysis.intake import dataset, readers
from analysis.schema import RECORDS
from tests.intake.reading import HEADER, ROW, of
from tests.intake.test_databases import ORDERS, duck, parquet, sqlite
from tests.intake.test_workbooks import DAY, NAMES, workbook


def test_several_files_keep_their_order_and_a_star_that_of_the_names(read_all):
    files = dict.fromkeys(("b.csv", "a.csv", "x-2.csv", "x-10.csv", "x-1.csv"), HEADER + ROW)
    assert list(read_all({"path": ["b.csv", "x-*.csv", "a.csv"]}, files)) == [
        "b.csv",
        "x-1.csv",
        "x-10.csv",
        "x-2.csv",
        "a.csv",
    ]


def test_a_file_that_is_named_twice_is_read_once(read_all):
    files = {"a.csv": HEADER + ROW, "b.csv": HEADER + ROW}
    assert list(read_all({"path": ["b.csv", "*.csv", "./a.csv"]}, files)) == ["b.csv", "a.csv"]


def test_a_star_passes_over_folders_and_goes_into_them_where_it_is_doubled(read_all):
    def folder(path):
        path.mkdir()
        (path / "deep.csv").write_text(HEADER + ROW)

    files = {"a.csv": HEADER + ROW}
    assert list(read_all({"path": "*.csv"}, files, {"year.csv": folder})) == ["a.csv"]
    assert list(read_all({"path": "**/*.csv"}, files, {"year.csv": folder})) == [
        "a.csv",
        "deep.csv",
    ]


def test_files_of_the_same_name_are_told_apart_by_their_folders(read_all):
    def folder(path):
        path.mkdir()
        (path / "orders.csv").write_text(HEADER + ROW)

    found = read_all(
        {"path": ["2023/orders.csv", "2024/*.csv"]}, make={"2023": folder, "2024": folder}
    )
    assert list(found) == ["2023/orders.csv", "2024/orders.csv"]


def test_paths_may_be_absolute_or_lead_upwards(read_all, tmp_path):
    (tmp_path / "orders.csv").write_text(HEADER + ROW)
    assert list(read_all({"path": str(tmp_path / "orders.csv")})) == ["orders.csv"]
    assert list(read_all({"path": str(tmp_path / "*.csv")})) == ["orders.csv"]
    found = read_all({"path": "../*/here.csv"}, {"here.csv": HEADER + ROW})
    assert "here.csv" in {name.rpartition("/")[2] for name in found}


def test_descriptions_in_a_list_are_read_each_in_its_own_way(read_all):
    table = [
        {"path": "a.csv"},
        {"path": "b.txt", "separator": ";", "columns": {"customer_id": "Kunde", "date": "Tag"}},
    ]
    found = read_all(table, {"a.csv": HEADER + ROW, "b.txt": "Tag;Kunde\n05.01.2024;9\n"})
    assert of(found["b.txt"], "customer_id") == ["9"] and of(found["b.txt"], "date") == [
        "05.01.2024"
    ]


@pytest.mark.parametrize("path", ["none.csv", "none/*.csv", ["orders.csv", "none.csv"]])
def test_a_missing_file_names_the_key_to_correct(read_all, path):
    with pytest.raises(
        InputError,
        match=r"none.*\.csv: no such file; correct tables\.transactions\.path in .*company\.yml",
    ):
        read_all({"path": path}, {"orders.csv": HEADER + ROW})


def test_a_folder_is_no_file(read_all):
    with pytest.raises(
        InputError,
        match=r"year: a folder; name its files in .*company\.yml \(tables\.transactions\.path\)",
    ):
        read_all({"path": "year"}, make={"year": lambda path: path.mkdir()})


def test_cdnow_is_read_whole(cdnow):
    assert cdnow.count().execute() == 69_659


def test_complete_journey_is_read_whole():
    found = dataset.load(files.ROOT / "data" / "complete_journey.yml")
    every = [(piece, table) for table in RECORDS for piece in readers.pieces(found, table)]
    assert {
        piece.name: sum(map(len, readers.stream(piece, table, found.file)))
        for piece, table in every
    } == {
        "transactions.parquet": 1_469_307,
        "demographics.parquet": 801,
        "campaigns.parquet": 6_589,
        "products.parquet": 92_331,
    }


def test_the_demo_company_is_read_whole_with_the_lines_that_were_spoilt(crm_demo):
    rows = pd.concat(
        [
            judged.select("source", "line", "fields").to_pandas()
            for judged in crm_demo.judged.values()
        ]
    )
    truth = crm_demo.truth["files"]
    assert rows.groupby(rows.source.str.partition(":")[0]).size().to_dict() == {
        name: f["rows"] for name, f in truth.items()
    }
    for name, file in truth.items():
        spoilt = [
            file["planted"].get(kind, {"lines": []})["lines"]
            for kind in ("one_field_more", "one_field_less")
        ]
        wrong = rows[rows.fields.notna() & (rows.source == name)]
        assert sorted(wrong.line) == sorted(itertools.chain(*spoilt))


def test_an_unknown_sample_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"no sample 'cdnov'; did you mean cdnow\?"):
        readers.sample_path("cdnov")
    with pytest.raises(InputError, match=r"known: cdnow, complete_journey, crm_demo"):
        readers.sample_path("xyz/orders.csv")


def test_a_sample_without_its_package_is_told(monkeypatch):
    monkeypatch.setitem(readers.SAMPLES, "cdnow", ("no_such_package", "x"))
    with pytest.raises(
        InputError, match=r"needs the package no_such_package; install requirements\.lock"
    ):
        readers.sample_path("cdnow")


def test_no_source_alters_what_it_reads(read_all):
    files = {"a.csv": HEADER + ROW, "b.csv.gz": gzip.compress((HEADER + ROW).encode())}
    make = {"c.xlsx": workbook({"Sheet": [NAMES, ["7", DAY, 5]]}), "d.parquet": parquet()}
    make |= {"e.sqlite": sqlite(*ORDERS), "f.duckdb": duck(*ORDERS)}
    seen = {}

    def remember(path):
        for name in [*files, *make]:
            seen[path.parent / name] = (path.parent / name).read_bytes()

    table = [
        {"path": name} | ({"table": "orders"} if name[0] in "ef" else {})
        for name in [*files, *make]
    ]
    assert len(read_all(table, files, make | {"remembered": remember})) == 6
    assert all(path.read_bytes() == content for path, content in seen.items()) and len(seen) == 6
    assert {p.name for p in next(iter(seen)).parent.iterdir()} == {p.name for p in seen} | {
        "company.yml"
    }


def test_what_stands_above_is_filled_down_alike_in_batches_of_any_size():
    ids = ["A", None, "Total A", None, None, "B", None, None]
    days = ["1", "2", None, None, "3", "4", None, "5"]
    texts = {"customer_id": pa.array(ids), "date": pa.array(days)}
    for size in (1, 2, 3, 8):
        above, found = {}, []
        for begin in range(0, 8, size):
            part = {name: column[begin : begin + size] for name, column in texts.items()}
            found += readers._filled_down(part, ["customer_id"], above)["customer_id"].to_pylist()
        # Below a sum nobody is named until the next name.
        assert found == ["A", "A", "Total A", None, None, "B", "B", "B"]
