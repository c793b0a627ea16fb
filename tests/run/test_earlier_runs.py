"""What published runs of earlier days foretold stays, and is held against what came."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import files
from analysis.intake import dataset
from analysis.run import stage as runs
from tests.run.shop import AS_OF, say, tree

EARLY = "2024-02-29"


def run_of(day: str, place: str = "", **other: Any) -> Path:
    """A published run with empty files; returns its folder."""
    folder = files.processed("shop", place or day)
    folder.mkdir(parents=True)
    tables = {}
    for name in runs.FORETOLD:
        (folder / name).write_bytes(b"")
        tables[name] = (folder / name).relative_to(files.home()).as_posix()
    settings = {"horizon_days": 91, "churn": "horizon", "currency": "USD"} | other
    made = {"as_of": day, "tables": tables, "settings": settings}
    made["parameters"] = {"03_lifetime_value": other.get("given", {})}
    (folder / runs.MANIFEST).write_text(json.dumps(made))
    return folder


def test_runs_a_month_apart_whose_horizon_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Path
) -> None:
    """Trials, runs of another horizon or definition, and what is not over are none of them; of one
    that is damaged nothing is known, and the next takes its place.
    """
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    company = dataset.load(shop)
    assert runs.earlier_runs(company, dt.date(2024, 6, 30)) == {}
    for day in ("2024-01-01", "2024-01-10", "2024-01-29", "2024-02-27", "2024-03-31", "2024-04-01"):
        run_of(day)
    run_of("2024-01-05", "trials/one")
    run_of("2023-11-01", given={"horizon_days": 30})
    run_of("2023-11-02", churn="rhythm")
    run_of("2023-11-03", currency="EUR")
    (run_of("2023-11-04") / runs.MANIFEST).write_text("{")
    (run_of("2023-11-05") / "clv").unlink()
    (run_of("2023-11-06") / "clv_total").unlink()
    found = runs.earlier_runs(company, dt.date(2024, 6, 30))
    judged = ["2023-11-06", "2024-01-01", "2024-01-29", "2024-02-27", "2024-03-31"]
    assert [day for day, paths in found.items() if paths] == judged
    assert [day for day, paths in found.items() if not paths] == ["2023-11-04", "2023-11-05"]
    assert set(runs.FORETOLD) - set(found["2023-11-06"]) == {"clv_total"}
    assert "2024-03-31" not in runs.earlier_runs(company, dt.date(2024, 6, 29))


@pytest.fixture
def earlier(copied: Path) -> Path:
    """The published run again as one of four months ago. Returns the folder of its tables."""
    now, then = files.processed("shop", AS_OF), files.processed("shop", EARLY)
    shutil.copytree(now, then)
    manifest = then / runs.MANIFEST
    text = manifest.read_text("utf-8").replace(f"shop/{AS_OF}", f"shop/{EARLY}")
    manifest.write_text(text.replace(f'"as_of": "{AS_OF}"', f'"as_of": "{EARLY}"'), "utf-8")
    return then


def test_a_run_of_earlier_days_makes_steering_anew_and_only_once(
    earlier: Path, shop: Path, copied: Path
) -> None:
    """Nor does `clean` remove what it told. A damaged table is left out with a word."""
    code, printed = say("run", shop, "--jobs", "1")
    assert code == 0 and printed.count("unchanged") == len(runs.STAGES) - 1, printed
    record = runs.read_table("record", runs.table_path("shop", "record")).set_index("quantity")
    told = pd.read_parquet(runs.table_path("shop", "clv", EARLY))
    assert (record.day.dt.date == dt.date.fromisoformat(EARLY)).all()
    assert record.foretold["orders"] == pytest.approx(told.expected_orders.sum(), rel=0.05)
    total = runs.read_table("clv_total", runs.table_path("shop", "clv_total", EARLY))
    assert record.low["orders"] == pytest.approx(total.low.item(), rel=0.05)
    before = tree(copied / "data")
    assert say("clean")[0] == 0
    code, printed = say("run", shop)
    assert code == 0 and printed.count("unchanged") == len(runs.STAGES)
    after = tree(copied / "data")
    manifests = {path for path in before if path.endswith(runs.MANIFEST)}
    assert {p: after[p] for p in before if p not in manifests} == {
        p: content for p, content in before.items() if p not in manifests
    }
    clv = runs.table_path("shop", "clv", EARLY)
    clv.write_bytes(clv.read_bytes()[:-50])
    code, printed = say("run", shop, "--jobs", "1")
    assert code == 0 and printed.count("unchanged") == len(runs.STAGES) - 1, printed
    assert runs.read_table("record", runs.table_path("shop", "record")).empty
    page = copied / "reports" / "shop" / AS_OF / "08_steering.html"
    assert "Runs left out" in page.read_text("utf-8") and EARLY in page.read_text("utf-8")
