"""A run opened as frames: every table as it was written, and one row a customer."""

import copy
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis import files, schema
from analysis.errors import InputError, RunError
from analysis.run import opened
from analysis.run import stage as runs
from analysis.run.opened import OpenedRun, joined
from tests.run.shop import AS_OF


def test_every_table_is_there_by_attribute_and_by_name(inside: Path) -> None:
    shop = analysis.open("shop")
    assert {*shop} == set(runs.MAKER) - set(runs.OPTIONAL) and len(shop) == len([*shop])
    assert {*shop} <= {*dir(shop)} and shop._ipython_key_completions_() == [*shop]
    for name in shop:
        written = runs.read_table(name, runs.table_path("shop", name))
        pd.testing.assert_frame_equal(shop[name], written)
        pd.testing.assert_frame_equal(getattr(shop, name), written)
    assert "shop as of 2024-06-30" in repr(shop) and "clv" in shop and "feedback" not in shop


def test_frames_are_the_readers_own(inside: Path) -> None:
    shop = analysis.open("shop")
    for read in (lambda: shop.clv, lambda: shop.picture):
        frame, before = read(), read()["clv"].tolist()
        frame["clv"] = -1.0
        frame.loc[0, "customer_id"] = "somebody"
        assert read()["clv"].tolist() == before and "somebody" not in set(read().customer_id)


def test_no_table_is_hidden_by_a_method_and_what_is_none_is_said(inside: Path) -> None:
    assert not set(runs.MAKER) & {*dir(OpenedRun)}
    shop = analysis.open("shop")
    with pytest.raises(InputError, match=r"shop has no table 'clvs'; did you mean clv\?"):
        shop["clvs"]
    with pytest.raises(AttributeError, match="did you mean churn"):
        _ = shop.chrun
    with pytest.raises(InputError, match="'feedback'; name its file under tables"):
        shop["feedback"]
    assert not hasattr(shop, "__array__") and copy.copy(shop).name == "shop"


def test_one_dataset_is_named_in_many_ways(inside: Path, shop: Path) -> None:
    newest = analysis.open("shop").manifest
    for dataset, run in (("shop", AS_OF), (shop, ""), ("shop", dt.date(2024, 6, 30))):
        assert analysis.open(dataset, run).manifest == newest
    assert analysis.open(str(shop), pd.Timestamp(AS_OF)).as_of == dt.date(2024, 6, 30)


@pytest.mark.parametrize(
    ("dataset", "run", "words"),
    [
        ("shp", "", r"no run of shp; did you mean shop\?"),
        ("../shop", "", "no run of ../shop; "),
        ("*", "", r"no run of \*; "),
        ("shop", "2024-06-29", "shop has no run '2024-06-29'; there are 2024-06-30"),
        ("shop", "mine", "shop has no run 'mine'; there are 2024-06-30"),
        ("shop", "../shop/2024-06-30", "shop has no run '../shop/2024-06-30'; there are"),
        ("shop", "cycles", "shop has no run 'cycles'"),
        ("nowhere.yml", "", "no run of nowhere.yml; known: shop"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(
    inside: Path, dataset: str, run: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        analysis.open(dataset, run)


def test_before_any_run_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    with pytest.raises(InputError, match="customer-matrix run DATASET makes one"):
        analysis.open("shop")
    only = tmp_path / "data" / "processed" / "shop" / "trials" / "mine" / runs.MANIFEST
    files.replace(only, b"{")
    with pytest.raises(InputError, match="shop has no published run; there are mine"):
        analysis.open("shop")
    with pytest.raises(RunError, match="cannot be read; run shop again"):
        analysis.open("shop", "mine")


def test_many_days_are_not_all_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    for day in pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d"):
        files.replace(files.processed("shop", day) / runs.MANIFEST, b"{}")
    with pytest.raises(InputError, match=r"there are 2024-02-09, 2024-02-08.* and 28 more$"):
        analysis.open("shop", "2023-01-01")


def test_a_table_is_read_when_asked_for_and_held_against_what_was_written(copied: Path) -> None:
    shop = analysis.open("shop")
    churn, plan = (copied / shop.manifest["tables"][name] for name in ("churn", "plan"))
    content = bytearray(churn.read_bytes())
    content[len(content) // 2] ^= 1  # of the same size
    churn.write_bytes(content)
    plan.unlink()
    (plan.parent / "page.json").write_text("{}", "utf-8")
    assert len(shop.clv) == len(shop.customers)
    with pytest.raises(RunError, match=r"churn.parquet is damaged; run .* --as-of 2024-06-30"):
        _ = shop.churn
    with pytest.raises(RunError, match=r"plan.parquet is gone; run customer-matrix run"):
        _ = shop.plan
    with pytest.raises(RunError, match=r"page.json is damaged"):
        _ = shop.figures


def test_a_table_of_another_version_says_what_to_do(copied: Path) -> None:
    path = copied / analysis.open("shop").manifest["tables"]["clv"]
    pd.read_parquet(path).drop(columns="clv_low").to_parquet(path)
    facts = runs.read_json(path.parent / runs.FACTS)
    facts["files"][path.name] = next(iter(files.fingerprint([path]).values()))
    (path.parent / runs.FACTS).write_text(json.dumps(facts), "utf-8")
    with pytest.raises(RunError, match=r"no column clv_low: another version made it; run .*-as-of"):
        _ = analysis.open("shop").clv


# One row a customer
def test_the_picture_has_every_column_once(inside: Path) -> None:
    shop = analysis.open("shop")
    picture = shop.picture.set_index("customer_id")
    assert picture.index.is_unique and picture.columns.is_unique
    assert set(picture.index) == set(shop.customers.customer_id)
    for name in ("customers", "segments", "clv", "churn", "matrix", "plan", "winback"):
        table = shop[name].set_index("customer_id")
        for column in table:
            found = [
                other
                for other in (column, f"{name}_{column}", f"window_{column}")
                if other in picture and same(picture[other].reindex(table.index), table[column])
            ]
            assert found, f"{name}.{column}"
    assert not [column for column in picture if column.endswith(("_x", "_y"))]
    assert "matrix_stage" not in picture and "drawn_on" not in picture and "left" not in picture


def same(one: pd.Series, two: pd.Series) -> bool:
    known = two.notna()
    return bool((one[known].astype(object) == two[known].astype(object)).all())


def test_columns_that_differ_have_their_tables_name() -> None:
    """Revenue of the window stands there already, as window_revenue; an owner is a role in one
    table and a person in another.
    """
    ids = ["a", "b", "c"]
    customers = pd.DataFrame(
        {"customer_id": ids, "revenue": [5.0, 7.0, np.nan], "window_revenue": [1.0, 0.0, np.nan]}
    )
    matrix = pd.DataFrame({"customer_id": ["c", "a", "b"], "revenue": [np.nan, 1.0, 0.0]})
    churn = pd.DataFrame({"customer_id": ["b"], "lost": [True], "orders": [3], "band": ["low"]})
    plan = pd.DataFrame({"customer_id": ids, "owner": ["sales"] * 3, "band": ["none", "low", "no"]})
    profiles = pd.DataFrame({"customer_id": ["a"], "owner": ["Ann"], "phone": ["0"], "line": [1]})
    whole = joined(
        {
            "customers": customers.set_axis([7, 8, 9]),
            "matrix": matrix,
            "churn": churn,
            "plan": plan,
            "profiles": profiles.assign(region=["North"]),
        }
    )
    assert list(whole) == [
        "customer_id",
        *("revenue", "window_revenue", "lost", "orders", "band"),
        *("owner", "profiles_owner", "region"),
    ]
    assert whole.revenue.tolist()[:2] == [5.0, 7.0]
    assert whole.band.tolist() == ["none", "low", "no"]
    assert whole[whole.lost].customer_id.tolist() == ["b"] and whole.orders.sum() == 3
    assert whole.profiles_owner.dropna().tolist() == ["Ann"]


@given(st.data())
def test_whatever_is_joined_nothing_is_lost_or_doubled(data: st.DataObject) -> None:
    ids = [str(number) for number in range(4)]
    values = st.sampled_from([None, 1.0, 2.0])
    tables = {}
    for name in ("customers", "clv", "plan"):
        whom = ids if name == "customers" else data.draw(st.permutations(ids))[:3]
        columns = data.draw(st.lists(st.sampled_from("abc"), unique=True))
        drawn = {c: data.draw(st.lists(values, min_size=len(whom), max_size=4)) for c in columns}
        made = {c: pd.Series(v[: len(whom)], dtype="float64") for c, v in drawn.items()}
        tables[name] = pd.DataFrame({"customer_id": whom} | made)
    before = copy.deepcopy(tables)
    whole = joined(tables)
    assert whole.customer_id.tolist() == ids and whole.columns.is_unique
    by_id = whole.set_index("customer_id")
    for name, table in tables.items():
        pd.testing.assert_frame_equal(table, before[name])
        for column in table.columns.drop("customer_id"):
            values_of = table.set_index("customer_id")[column]
            assert any(same(by_id[c].reindex(values_of.index), values_of) for c in by_id)
        for column in set(by_id) & {f"{name}_{c}" for c in "abc"}:
            bare = by_id[column.rpartition("_")[2]]
            assert not same(bare, by_id[column].where(bare.notna()))


def test_who_can_be_reached_where_is_not_in_the_picture() -> None:
    persons = {name for name, m in schema.RECORDS["customers"].columns.items() if m.person}
    assert {"name", "phone", "email", "contact"} <= persons == opened.PERSONS
    row = {name: ["x"] for name in ("customer_id", *sorted(persons), "region", "source")}
    whole = joined({"customers": pd.DataFrame({"customer_id": ["x"]}), "p": pd.DataFrame(row)})
    assert list(whole) == ["customer_id", "region"]


def test_importing_the_package_loads_no_library() -> None:
    code = "import sys, analysis; print(*{n.partition('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pandas", "numpy", "pyarrow", "ibis", "duckdb", "sklearn", "babel", "click", "yaml"}
    loaded = set(done.stdout.split())
    assert "analysis" in loaded and not loaded & heavy
