"""Runs go on, stop, and are killed; what was published before stays whole."""

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import nbformat
import pandas as pd
import psutil
import pytest

import analysis
from analysis import files
from analysis.errors import RunError, Stopped
from analysis.run import kernels, notebook, pipeline, publish
from analysis.run import stage as runs
from analysis.run.progress import Progress
from analysis.run.stopping import stoppable
from tests.run.shop import AS_OF, COMMAND, command, say, shop_log, tree, write_company

ONE_KERNEL = ("--jobs", "1")  # for few short notebooks a second would only be started


def test_a_second_run_changes_nothing_but_brings_missing_pages_back(
    shop: Path, inside: Path
) -> None:
    before = tree(inside / "reports", inside / "models")
    (inside / "reports" / "shop" / "index.html").unlink()
    (inside / "reports" / "shop" / AS_OF / "04_churn.html").unlink()
    code, printed = say("run", shop)
    assert code == 0 and printed.count("unchanged") == len(runs.STAGES)
    assert tree(inside / "reports", inside / "models") == before


def test_an_earlier_day_does_not_take_the_place_of_the_newest(inside: Path) -> None:
    before, manifest = tree(inside / "reports"), runs.published("shop")
    early = {k: v for k, v in manifest["pages"].items() if k == "index.html"}  # type: ignore[index]
    early["2024-03-31/index.html"] = early["index.html"]
    page = publish.bring_pages(manifest | {"as_of": "2024-03-31", "pages": early, "models": {}})  # type: ignore[operator]
    assert page == inside / "reports" / "shop" / "2024-03-31" / "index.html" and page.is_file()
    files.remove(page.parent)
    assert tree(inside / "reports") == before


def test_notebooks_by_hand_write_drafts_and_leave_the_published_run(
    shop: Path,
    copied: Path,
    perform,  # type: ignore[no-untyped-def]
) -> None:
    before = tree(copied)
    _, left = perform(["06_campaigns"], shop, horizon_days=30)
    draft = files.processed("shop", AS_OF) / "draft" / "06_campaigns"
    assert left["stage"].folder == draft and left["settings"].horizon_days == 30
    assert len(runs.read_table("trial_design", draft / "trial_design.parquet")) > 0
    after = tree(copied)
    assert {path: after[path] for path in before} == before


def begun(shop: Path, days: int) -> subprocess.Popen[str]:
    """A run of the shop in the middle of its work: steering compares with so many days ago."""
    running = subprocess.Popen(
        [COMMAND, "run", str(shop), "-p", f"moved_days={days}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder, deadline = files.processed("shop", AS_OF), time.monotonic() + 300
    while running.poll() is None and time.monotonic() < deadline:
        family = psutil.Process(running.pid).children(recursive=True)
        if family and list(folder.glob("08*.part/inputs.json")):
            return running
        time.sleep(0.05)
    running.kill()
    raise AssertionError(f"no kernel began: {running.communicate()}")


def test_a_stopped_run_ends_with_one_line_and_leaves_no_child(shop: Path, inside: Path) -> None:
    before = tree(inside / "reports", inside / "models")
    running = begun(shop, 4)
    family = psutil.Process(running.pid).children(recursive=True)
    try:
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 128 + signal.SIGINT
    assert said.strip() == "stopped; what was published before stays as it was"
    assert not [child for child in family if child.is_running() and child.status() != "zombie"]
    assert tree(inside / "reports", inside / "models") == before


def test_a_killed_run_leaves_the_last_whole_and_the_next_makes_what_is_missing_or_damaged(
    shop: Path, copied: Path
) -> None:
    """Damaged: a table cut short, a page's notebook with another letter, a manifest half written,
    and what a kill in the moment of publishing leaves.
    """
    before = tree(copied / "reports", copied / "models")
    manifest, folder = runs.published("shop"), files.processed("shop", AS_OF)
    running = begun(shop, 5)
    running.kill()
    running.wait()
    with filelock.FileLock(folder.parent / ".lock", timeout=30):
        pass  # a kernel that was just being started may have held what its parent did
    assert tree(copied / "reports", copied / "models") == before
    assert runs.published("shop") == manifest
    folders = {s: copied / f["folder"] for s, f in manifest["stages"].items()}  # type: ignore[index]
    care = folders["07_customer_care"] / "care.parquet"
    care.write_bytes(care.read_bytes()[:-100])
    page = folders["06_campaigns"] / "06_campaigns.ipynb"  # as executed: the page is made of it
    page.write_text(page.read_text("utf-8").replace("a", "o", 1), "utf-8")
    (folder / ".run.json.part").write_text("{")
    written = folder / "run.json"
    written.write_text(written.read_text("utf-8")[:500], "utf-8")
    assert runs.published("shop", AS_OF) is None
    code, printed = say("run", shop, "-p", "moved_days=5", *ONE_KERNEL)
    assert code == 0, printed
    stages = runs.published("shop", AS_OF)["stages"]  # type: ignore[index]
    remade = {stage for stage, facts in stages.items() if not facts["reused"]}
    assert remade == {"06_campaigns", "07_customer_care", "08_steering"}
    assert printed.count("unchanged") == len(runs.STAGES) - len(remade)
    runs.read_table("care", runs.table_path("shop", "care"))
    assert not list(folder.glob("*.part"))
    assert set(tree(copied / "reports", copied / "models")) == set(before)
    assert "moved_days = 5" in (copied / "reports" / "shop" / AS_OF / "08_steering.html").read_text(
        "utf-8"
    )


def test_a_signal_stops_once_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_clean_waits_for_no_run_and_says_what_it_did(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    day = files.processed("shop", AS_OF)
    draft, part, kept = day / "draft" / "x", day / ".run.json.part", day / "run.json"
    half, report = day / "01-1.part" / "models", tmp_path / "reports" / "shop" / "index.html"
    for path in (draft, part, kept, half / "m.json", report):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    with filelock.FileLock(day.parent / ".lock"):
        code, said = say("clean")
    assert code == 1 and "in progress" in said and part.exists() and draft.exists()
    code, said = say("clean")
    assert code == 0 and kept.exists() and report.exists()
    removed = {day / "draft", part, day / "01-1.part"}
    assert {Path(line.removeprefix("removed ")) for line in said.splitlines()} == removed
    assert not any(path.exists() for path in removed)
    assert say("clean", "--all")[0] == 0
    assert not day.exists() and not report.parent.exists()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    files.replace(tmp_path / "deep" / "run.json", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.replace(tmp_path / "deep" / "run.json", b"new")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["run.json"]
    assert (tmp_path / "deep" / "run.json").read_bytes() == b"old"


def test_a_file_that_another_program_holds_open_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0)
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(RunError, match=r"plan\.xlsx cannot be replaced; close it"):
        files.replace(tmp_path / "plan.xlsx", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "nowhere.yml"], 2, "no such dataset file"),
        (["run", "{shop}", "-p", "horizon_day=60"], 2, "did you mean horizon_days?"),
        (["run", "{shop}", "-p", "02_segments.kk=3"], 2, "did you mean 02_segments.k?"),
        (["run", "{shop}", "-p", "k=many"], 2, "no int"),
        (["run", "{shop}", "-p", "k"], 2, "write name=value"),
        (["run", "{shop}", "-p", "__import__('os')=1"], 2, "no notebook has a parameter"),
        (["run", "{shop}", "-p", "horizon_days=-5"], 2, "horizon_days"),
        (["run", "{shop}", "-p", "run=/etc"], 2, "given by the run itself"),
        (["run", "{shop}", "--as-of", "2024-13-01"], 2, "is no date"),
        (["run", "{shop}", "--as-of", "2001-01-01"], 2, "before the data"),
        (["run", "{shop}", "--as-of", "2024-07-20"], 1, "max_staleness_days"),
        (["run", "{shop}", "--from", "09"], 2, "names no stage"),
        (["path", "shop", "custommers"], 2, "did you mean customers?"),
        (["path", "nobody", "customers"], 2, "no published run"),
    ],
)
def test_bad_input_ends_in_one_line_and_leaves_the_report(
    arguments: list[str], code: int, words: str, shop: Path, inside: Path
) -> None:
    before = tree(inside / "reports")
    ended, printed = say(*(a.format(shop=shop) for a in arguments))
    assert ended == code and words in printed
    assert len(printed.strip().splitlines()) == 1 and "Traceback" not in printed
    assert tree(inside / "reports") == before


def test_two_runs_do_not_meet(shop: Path, inside: Path) -> None:
    with filelock.FileLock(inside / "data" / "processed" / "shop" / ".lock"):
        code, said = say("run", shop)
    assert code == 1 and "in progress" in said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; sys.exit(0)", "did not run"),
        ("1 / 0", "ZeroDivisionError"),
        ("import os; os._exit(1)", "died"),
    ],
)
def test_a_cell_that_does_not_finish_is_a_failure(
    code: str, words: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))
    for path in runs.NOTEBOOKS.glob("0*.ipynb"):
        cells = nbformat.read(path, as_version=4)
        if path.stem.startswith("01"):
            cells.cells.insert(2, nbformat.v4.new_code_cell(code))
        nbformat.write(cells, tmp_path / path.name)
    monkeypatch.setattr(notebook, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(kernels, "WARM", "")
    with pytest.raises(RunError, match=f"01_data_quality.*{words}"):
        pipeline.run(str(shop), jobs=1, echo=lambda line: None)
    assert runs.published("shop") is None


def test_an_empty_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))
    code, said = say("run", write_company(tmp_path, {}, transactions=shop_log(1).head(0)))
    assert code == 2 and "no rows" in said


def test_params_lists_every_parameter_with_its_comment() -> None:
    code, printed = say("params")
    assert code == 0
    assert "k: int = 0" in printed and "number of clusters; 0: chosen by four criteria" in printed


def test_a_path_outside_the_run_is_refused(shop: Path, inside: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no run in progress"):
        runs.open_stage("02_segments", str(shop), run=str(tmp_path))


def test_further_arguments_of_lab_go_to_jupyterlab(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda call: calls.append(call) or 0)
    assert say("lab", "--no-browser", "--port", 9999, "--help")[0] == 0
    assert calls[0][-4:] == ["--no-browser", "--port", "9999", "--help"]


def test_every_module_can_be_imported_where_there_is_no_posix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows, that is; libraries are there already, as only our own imports are in question."""
    for name in ("resource", "fcntl", "pwd", "grp", "termios"):
        monkeypatch.setitem(sys.modules, name, None)
    before = {name: m for name, m in sys.modules.items() if name.partition(".")[0] == "analysis"}
    try:
        for name in before:
            del sys.modules[name]
        package = importlib.import_module("analysis")
        found = {module.name for module in pkgutil.walk_packages(package.__path__, "analysis.")}
        for name in found:
            importlib.import_module(name)
    finally:  # other tests hold classes of these
        for name in [n for n in sys.modules if n.partition(".")[0] == "analysis"]:
            del sys.modules[name]
        sys.modules.update(before)
    assert before.keys() - {"analysis"} <= found and package is not analysis


def test_on_a_terminal_bars_live_and_elsewhere_lines_stand(capsys) -> None:  # type: ignore[no-untyped-def]
    lines: list[str] = []
    with Progress(lines.append, live=False) as plain:
        plain.reading("orders.csv", 5)
        plain.begin(["a", "b"])
        plain.cell("a", "Who", 0.5)
        plain.done("a", "1 s")
    assert lines == ["a                    1 s"] and capsys.readouterr().err == ""
    with Progress(lines.append, live=True) as live:
        live.reading("orders.csv", 1_000)
        live.begin(["a", "b"])
        live.cell("a", "Who leaves", 0.5)
        live.done("a", "2 s")
        live.done("b", "unchanged")
    shown = capsys.readouterr()
    assert "reading orders.csv  1,000 rows" in shown.err
    assert "Who leaves" in shown.err and " 25 %" in shown.err and "100 %" in shown.err
    assert "a                    2 s" in shown.out


@pytest.mark.slow
def test_row_order_and_jobs_do_not_matter(shop: Path, inside: Path, tmp_path: Path) -> None:
    assert command("run", shop, home=inside).returncode == 0
    log = shop_log().sample(frac=1, random_state=1)
    shuffled = write_company(tmp_path, {}, transactions=log)
    assert command("run", shuffled, "--jobs", 1, home=tmp_path / "home").returncode == 0
    for name in ("customers", "segments", "clv", "churn", "matrix", "plan", "tier_history"):
        paths = runs.table_path("shop", name), next((tmp_path / "home").rglob(f"{name}.parquet"))
        one, two = (runs.read_table(name, path) for path in paths)
        key = [c for c in ("customer_id", "month_end") if c in one]
        one, two = (table.sort_values(key, ignore_index=True) for table in (one, two))
        pd.testing.assert_frame_equal(one, two, rtol=1e-9)
    manifest = runs.published("shop")
    for facts in manifest["stages"].values():  # type: ignore[index]
        name = Path(facts["folder"]).name.partition("-")[0]
        one, two = inside / facts["folder"], next((tmp_path / "home").rglob(f"{name}-*/page.json"))
        kept = [json.loads(path.read_text()) for path in (one / "page.json", two)]
        assert kept[0]["findings"] == kept[1]["findings"], name
