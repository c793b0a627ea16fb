"""Runs on a small shop, through the command as a scheduler would call it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
from click.testing import CliRunner

from analysis import files, schema
from analysis.errors import InputError, RunError, Stopped
from analysis.run import pipeline
from analysis.run import stage as runs
from analysis.run.cli import main
from analysis.run.progress import Progress
from analysis.run.stopping import stoppable

AS_OF = "2024-06-30"
YAML = (
    "tables:\n  transactions:\n    path: {name}.csv\n    columns: {{customer_id: id, date: date,"
    " amount: amount}}\n"
)


def write_shop(folder: Path, log: pd.DataFrame, name: str = "shop") -> Path:
    log.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.yml").write_text(YAML.format(name=name))
    return folder / f"{name}.yml"


def shop_log(customers: int = 250, seed: int = 5) -> pd.DataFrame:
    """Gamma rates of buying over two years, exponential lifetimes, log-normal amounts."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        born, rate, left = rng.integers(0, 600), rng.gamma(1.2, 1 / 40), rng.exponential(400)
        days = born + np.append(0, rng.exponential(1 / rate, 60).cumsum())
        rows += [
            (f"{number:04d}", int(day), round(rng.lognormal(3, 0.6), 2))
            for day in days
            if day <= min(730, born + left)
        ]
    log = pd.DataFrame(rows, columns=["id", "day", "amount"])
    log.insert(
        1,
        "date",
        (pd.Timestamp("2022-07-01") + pd.to_timedelta(log.day, unit="D")).dt.strftime("%Y-%m-%d"),
    )
    last = pd.DataFrame([("0000", AS_OF, 730, 20.0)], columns=["id", "date", "day", "amount"])
    return pd.concat([log, last], ignore_index=True).drop(columns="day")


def command(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    call = [str(Path(sys.executable).with_name("customer-matrix")), *map(str, arguments)]
    return subprocess.run(
        call, env=os.environ | {"CUSTOMER_MATRIX_HOME": str(home)}, capture_output=True, text=True
    )


def tree(*folders: Path) -> dict[str, bytes]:
    return {
        str(p): p.read_bytes()
        for folder in folders
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), shop_log())


@pytest.fixture(scope="module")
def home(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one published run of the shop."""
    folder = tmp_path_factory.mktemp("home")
    done = command("run", shop, home=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("reports/shop/index.html")
    return folder


@pytest.fixture
def inside(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(home))
    return home


def say(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    return done.exit_code, done.output


# Of a small shop without products, owners and outcomes to measure.
MAY_BE_EMPTY = (
    "rejects",
    "winback",
    "campaign_effects",
    "foretold",
    "recommendations",
    "care",
    "scorecard",
)


def test_every_table_is_published_and_keeps_its_contract(inside: Path) -> None:
    for table in runs.MAKER:
        code, printed = say("path", "shop", table)
        if table in runs.OPTIONAL:
            assert code == 2 and f"shop has no {table}" in printed
            continue
        assert code == 0
        assert len(runs.read_table(table, Path(printed.strip()))) > 0 or table in MAY_BE_EMPTY


def test_tables_agree_on_the_customers(inside: Path) -> None:
    ids = {
        t: set(runs.read_table(t, runs.table_path("shop", t)).customer_id)
        for t in ("customers", "segments", "matrix", "plan")
    }
    assert ids["customers"] == ids["segments"] == ids["matrix"] == ids["plan"]
    assert ids["customers"] == set(shop_log().id)


def test_the_manifest_says_what_was_run(inside: Path) -> None:
    manifest = runs.published("shop")
    assert manifest is not None
    assert manifest["status"] == "published" and manifest["as_of"] == AS_OF
    assert manifest["data"]["pieces"]["transactions"] == [
        {"name": "shop.csv", "rows": len(shop_log()), "encoding": "UTF-8"}
    ]
    assert all(
        stage["peak_mb"] > 0 and stage["seconds"] > 0 for stage in manifest["stages"].values()
    )
    assert {"pandas", "duckdb", "Python"} <= set(manifest["versions"])


def test_pages_stand_alone(inside: Path) -> None:
    for page in (inside / "reports" / "shop").rglob("*.html"):
        text = page.read_text("utf-8")
        assert "<script" not in text and "Content-Security-Policy" in text
        assert "src=" not in text and "@import" not in text and "url(http" not in text
        assert "open_stage" not in text, "code belongs into the notebook, not the page"


def test_a_second_run_changes_nothing(shop: Path, inside: Path) -> None:
    before = tree(inside / "reports")
    code, printed = say("run", shop)
    assert code == 0 and printed.count("unchanged") == len(runs.STAGES)
    assert tree(inside / "reports") == before


def test_missing_pages_are_brought_back(shop: Path, inside: Path) -> None:
    before = tree(inside / "reports", inside / "models")
    (inside / "reports" / "shop" / "index.html").unlink()
    (inside / "reports" / "shop" / AS_OF / "04_churn.html").unlink()
    assert say("run", shop)[0] == 0
    assert tree(inside / "reports", inside / "models") == before


def test_row_order_and_jobs_do_not_matter(shop: Path, inside: Path, tmp_path: Path) -> None:
    shuffled = write_shop(tmp_path, shop_log().sample(frac=1, random_state=1))
    assert command("run", shuffled, "--jobs", 1, home=tmp_path / "home").returncode == 0
    for table in ("customers", "segments", "clv", "churn", "matrix", "plan", "tier_history"):
        other = next((tmp_path / "home").rglob(f"{table}.parquet"))
        key = list(schema.TABLES[table].key)
        ours, theirs = (
            runs.read_table(table, p).sort_values(key, ignore_index=True)
            for p in (runs.table_path("shop", table), other)
        )
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)
    findings = [sorted(folder.rglob("page.json")) for folder in (inside, tmp_path / "home")]
    for one, two in zip(*findings, strict=True):
        assert json.loads(one.read_text())["findings"] == json.loads(two.read_text())["findings"]


def begun(shop: Path) -> subprocess.Popen[str]:
    """A run of the shop with another horizon, in the middle of its work."""
    call = [str(Path(sys.executable).with_name("customer-matrix")), "run", str(shop)]
    running = subprocess.Popen(
        [*call, "-p", "horizon_days=60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    folder, deadline = files.processed("shop", AS_OF), time.monotonic() + 120
    while time.monotonic() < deadline:
        kernels = psutil.Process(running.pid).children(recursive=True)
        if kernels and list(folder.glob("03_*.part/inputs.json")):
            return running
        time.sleep(0.05)
    running.kill()
    raise AssertionError("03 never began")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_with_one_line_and_leaves_no_child(
    number: signal.Signals, shop: Path, inside: Path
) -> None:
    before = tree(inside / "reports", inside / "models")
    running = begun(shop)
    family = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(number)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert said.strip() == "stopped; what was published before stays as it was"
    assert not [child for child in family if child.is_running() and child.status() != "zombie"]
    assert tree(inside / "reports", inside / "models") == before


def test_kill_in_the_middle_leaves_the_last_report_whole_and_the_next_run_finishes(
    shop: Path, inside: Path
) -> None:
    before = tree(inside / "reports", inside / "models")
    manifest, folder = runs.published("shop"), files.processed("shop", AS_OF)
    running = begun(shop)
    running.kill()
    running.wait()
    assert tree(inside / "reports", inside / "models") == before
    assert runs.published("shop") == manifest
    (folder / ".run.json.part").write_text("{")  # as a kill in the moment of publishing leaves it
    done = command("run", shop, "-p", "horizon_days=60", home=inside)
    assert done.returncode == 0, done.stderr
    assert "01_data_quality      unchanged" in done.stdout
    assert not list(folder.glob("*.part"))
    assert "60 days" in (inside / "reports" / "shop" / "index.html").read_text("utf-8")


def test_what_is_damaged_is_made_anew_and_never_published(shop: Path, inside: Path) -> None:
    def facts() -> dict[str, bool]:
        manifest = runs.published("shop", AS_OF) or {"stages": {}}
        return {stage: facts["reused"] for stage, facts in manifest["stages"].items()}

    assert say("run", shop)[0] == 0
    before = tree(inside / "reports")
    folders = {s: inside / f["folder"] for s, f in runs.published("shop")["stages"].items()}  # type: ignore[index]
    table = folders["02_segments"] / "segments.parquet"
    table.write_bytes(table.read_bytes()[:-100])
    model = next((folders["03_lifetime_value"] / "models").iterdir())
    model.write_text(model.read_text("utf-8").replace("1", "2", 1), "utf-8")
    (folders["08_steering"] / "stage.json").write_text('{"rows": ')
    manifest = files.processed("shop", AS_OF) / "run.json"
    manifest.write_text(manifest.read_text("utf-8")[:500], "utf-8")
    assert runs.published("shop", AS_OF) is None
    done = command("run", shop, home=inside)
    assert done.returncode == 0, done.stderr
    remade = {stage for stage, reused in facts().items() if not reused}
    assert {"02_segments", "03_lifetime_value", "08_steering"} <= remade
    assert facts()["01_data_quality"] and facts()["04_churn"]
    runs.read_table("segments", runs.table_path("shop", "segments"))
    after = tree(inside / "reports")
    assert {path for path in before if "index" in path} <= set(after)


def test_a_manifest_names_tables_that_are_there(inside: Path) -> None:
    path = runs.table_path("shop", "clv")
    away = path.rename(path.with_suffix(".away"))
    with pytest.raises(InputError, match="is gone; run"):
        runs.table_path("shop", "clv")
    away.rename(path)


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


def test_two_runs_do_not_meet(shop: Path, inside: Path) -> None:
    with filelock.FileLock(inside / "data" / "processed" / "shop" / ".lock"):
        done = command("run", shop, home=inside)
    assert done.returncode == 1 and "in progress" in done.stderr


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


def test_an_earlier_day_does_not_take_the_place_of_the_newest(shop: Path, inside: Path) -> None:
    newest = (inside / "reports" / "shop" / "index.html").read_bytes()
    done = command("run", shop, "--as-of", "2024-03-31", home=inside)
    assert done.returncode == 0 and done.stdout.strip().endswith("2024-03-31/index.html")
    assert (inside / "reports" / "shop" / "index.html").read_bytes() == newest
    early = schema.read("customers", runs.table_path("shop", "customers", "2024-03-31"))
    assert early.last_order.max() <= pd.Timestamp("2024-03-31")


def test_notebooks_by_hand_write_drafts_and_leave_the_published_run(
    shop: Path, inside: Path
) -> None:
    before = tree(inside / "reports", inside / "models")
    manifest, published = runs.published("shop", AS_OF), tree(files.processed("shop", AS_OF))
    call = [
        sys.executable,
        "-m",
        "papermill",
        runs.NOTEBOOKS / "02_segments.ipynb",
        os.devnull,
        "-p",
        "dataset",
        shop,
    ]
    done = subprocess.run(
        [*map(str, call), "-p", "as_of", AS_OF, "-p", "k", "3"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    draft = files.processed("shop", AS_OF) / "draft" / "02_segments" / "segments.parquet"
    assert runs.read_table("segments", draft).cluster.nunique() == 3
    assert (
        tree(inside / "reports", inside / "models") == before
        and runs.published("shop", AS_OF) == manifest
    )
    assert all(
        tree(files.processed("shop", AS_OF))[path] == content for path, content in published.items()
    )


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
        notebook = nbformat.read(path, as_version=4)
        if path.stem.startswith("01"):
            notebook.cells.insert(2, nbformat.v4.new_code_cell(code))
        nbformat.write(notebook, tmp_path / path.name)
    monkeypatch.setattr(pipeline.notebook, "NOTEBOOKS", tmp_path)
    with pytest.raises(RunError, match=f"01_data_quality.*{words}"):
        pipeline.run(str(shop), echo=lambda line: None)
    assert runs.published("shop") is None


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    done = command("run", write_shop(tmp_path, shop_log().head(0)), home=tmp_path / "home")
    assert done.returncode == 2 and "no rows" in done.stderr


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


def test_a_signal_stops_once_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_every_module_can_be_imported_where_there_is_no_posix() -> None:
    """On Windows, that is."""
    code = """
import importlib, pkgutil, sys
for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
import analysis
for module in pkgutil.walk_packages(analysis.__path__, "analysis."):
    importlib.import_module(module.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
