"""The plan of a cycle is frozen by the run of its first day and holds in the nights after it."""

import datetime as dt
import json
from pathlib import Path

import pandas as pd
import pytest

from analysis import files, schema
from analysis.intake import dataset
from analysis.run import pipeline, publish
from analysis.run import stage as runs
from analysis.run.progress import Progress
from tests.run.shop import AS_OF, say, shop_log, write_company

NEXT = "2024-07-01"


def table(name: str, as_of: str) -> pd.DataFrame:
    return runs.read_table(name, runs.table_path("shop", name, as_of))


def test_the_first_run_freezes_the_plan_of_a_cycle(inside: Path) -> None:
    kept = runs.cycle_file("shop", AS_OF)
    cycle = runs.read_table("cycle", kept)
    assert (cycle["first"].dt.date == dt.date.fromisoformat(AS_OF)).all()
    assert (cycle["last"].dt.date == dt.date(2024, 7, 27)).all()
    plan = table("plan", AS_OF)
    same = [name for name in plan if name in cycle]
    pd.testing.assert_frame_equal(cycle[same], plan[same], check_dtype=False)


def test_a_second_night_keeps_the_plan_of_the_first(copied: Path, tmp_path: Path) -> None:
    """A new customer orders, and so do those of whom one is held back; the first day is kept, too,
    for a run of a past day.
    """
    log = shop_log()
    more = pd.DataFrame({"id": ["9999", *log.id.unique()[:40]], "date": NEXT, "amount": 25.0})
    company = write_company(tmp_path, {}, transactions=pd.concat([log, more]))
    before = runs.cycle_file("shop", AS_OF).read_bytes()
    code, said = say("run", company, "--jobs", "1")
    assert code == 0, said
    first, now = (table("plan", day).set_index("customer_id") for day in (AS_OF, NEXT))
    assert now.status["9999"] == "next_cycle" and now.arm["9999"] == "none"
    old = now.drop("9999")
    urgent = old.arm == "urgent"
    assert urgent.mean() < 0.2
    for name in ("rule", "status", "arm", "due", "cost", "action"):
        pd.testing.assert_series_equal(old[name][~urgent], first[name][~urgent])
    assert runs.cycle_file("shop", AS_OF).read_bytes() == before
    assert [path.parent.name for path in runs.cycle_file("shop", AS_OF).parents[1].glob("*/*")] == [
        AS_OF
    ]
    page = (copied / "reports" / "shop" / NEXT / "05_strategy.html").read_text("utf-8")
    assert "1 new customers join the next cycle on Jul 28, 2024" in page
    assert set(table("trial_design", NEXT).day.dt.date) == {dt.date.fromisoformat(AS_OF)}


def test_a_published_cycle_is_brought_where_a_run_was_killed_before_it_had(copied: Path) -> None:
    manifest, kept = runs.published("shop"), runs.cycle_file("shop", AS_OF)
    assert manifest is not None
    content = kept.read_bytes()
    files.remove(kept.parent)
    publish.bring_cycle(manifest)
    assert kept.read_bytes() == content
    assert not [*kept.parents[1].glob("*.part")]
    code, said = say("clean", "--cycles")
    assert code == 0 and str(kept) in said and not kept.exists()
    publish.bring_cycle(manifest)  # nobody who removed it finds it back
    assert not kept.exists()
    publish.bring_cycle(manifest, anew=True)
    assert kept.read_bytes() == content
    assert say("clean")[0] == 0 and kept.exists()


def test_a_cycle_ended_early_is_void(copied: Path) -> None:
    kept = runs.cycle_file("shop", AS_OF)
    for day in ("2024-05-20", "2024-07-20"):  # 42 days before, and before the cycle's last
        later = runs.read_table("cycle", kept)
        length = later["last"] - later["first"]
        later["first"] = pd.Timestamp(day)
        later["last"] = later["first"] + length
        path = runs.cycle_file("shop", day)
        path.parent.mkdir()
        schema.write("cycle", later, path)
    days = {
        dt.date(2024, 7, 19): ["2024-05-20", AS_OF],
        dt.date(2024, 7, 20): ["2024-05-20", "2024-07-20"],
    }
    for day, live in days.items():
        assert [*runs.frozen_cycles("shop", day)] == live
    assert [*runs.frozen_cycles("shop", dt.date(2024, 7, 1), anew=True)] == ["2024-05-20"]
    assert [*runs.frozen_cycles("shop", dt.date(2024, 8, 17), anew=True)] == [
        "2024-05-20",
        "2024-07-20",
    ]


def test_a_new_cycle_says_what_it_costs_and_forgets_the_old_one(copied: Path, shop: Path) -> None:
    cycle = table("cycle", AS_OF)
    cycle.loc[cycle.index[:7], ["arm", "status"]] = ["control", "held_back"]
    cycle.loc[cycle.index[:7], "drawn_on"] = pd.Timestamp(AS_OF)
    cycle.loc[cycle.index[7:], "arm"] = "none"
    kept = runs.cycle_file("shop", AS_OF)
    schema.write("cycle", cycle, kept)
    manifest = runs.read_json(files.processed("shop", AS_OF) / runs.MANIFEST)
    del manifest["cycle"]  # else it brings its own back
    files.replace(files.processed("shop", AS_OF) / runs.MANIFEST, json.dumps(manifest).encode())
    said: list[str] = []
    for anew, frozen in ((False, [AS_OF]), (True, [])):
        with Progress(said.append) as progress:
            day = dt.date.fromisoformat(NEXT)
            this = pipeline.Run(dataset.load(shop), day, copied, {}, progress)
            pipeline._cycles(this, True, anew)
        assert [*this.frozen] == frozen and this.cycle == (AS_OF if frozen else NEXT)
    assert said == [
        "The cycle begun on Jun 30, 2024 ends today and is not measured: 7 customers were held back"
        " in it for nothing."
    ]


def test_without_a_cycle_a_trial_of_parameters_is_a_draft(copied: Path, shop: Path) -> None:
    files.remove(runs.cycle_file("shop", AS_OF).parent)
    manifest = files.processed("shop", AS_OF) / runs.MANIFEST
    files.remove(manifest)
    for freezes, cycle in ((False, ""), (True, AS_OF)):
        with Progress(print) as progress:
            day = dt.date.fromisoformat(AS_OF)
            this = pipeline.Run(dataset.load(shop), day, copied, {}, progress)
            pipeline._cycles(this, freezes, False)
        assert this.cycle == cycle


@pytest.mark.parametrize("given", [("--as-of", "2024-03-31"), ("-p", "horizon_days=30")])
def test_a_past_day_or_a_trial_of_parameters_begins_no_cycle(
    shop: Path, inside: Path, given: tuple[str, str]
) -> None:
    code, said = say("run", shop, "--new-cycle", *given)
    assert code == 2 and "--new-cycle begins a cycle on the newest day" in said
