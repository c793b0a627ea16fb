"""Alerts at the end of a run, and the command that passes them on."""

import datetime as dt
import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import files
from analysis.errors import InputError
from analysis.report import exports
from analysis.run import notify
from analysis.run import stage as runs
from tests.run.shop import AS_OF, say, tree

TEXTS = ["Revenue fell by 20.0 %", "$(rm -rf /); `id`\n\x1b[31mred\x1b[0m \u202eback", "=1+1"]
TOLD = "import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]))"


def written(home: Path, texts: list[str], place: str) -> dict[str, object]:
    """The manifest of a run with such alerts, of a group each."""
    path = home / "reports" / "shop" / place / notify.FILE
    path.parent.mkdir(parents=True)
    groups = [f"group {n}" for n in range(len(texts))]
    exports.write(
        pd.DataFrame({"alert": "revenue", "group": groups, "text": texts, "p": 0.001}), path
    )
    pages = {f"{place}/{notify.FILE}": path.relative_to(home).as_posix()}
    return {"dataset": "shop", "as_of": "2024-06-30", "pages": pages}


@pytest.mark.parametrize("trial", ["", "mine"])
def test_alerts_are_said_and_passed_on_without_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trial: str
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    place, said = "trials/mine" if trial else "2024-06-30", list[str]()
    manifest = written(tmp_path, TEXTS, place) | {"trial": trial}
    out = tmp_path / "told.json"
    words = f"'{sys.executable}' -c \"{TOLD}\" '{out}' 'a; b' $HOME '*'"
    notify.tell(manifest, notify.command(words), said.append, {})
    assert said == ["Revenue fell by 20.0 %", "$(rm -rf /); `id` [31mred[0m back", "'=1+1"]
    path = tmp_path / "reports" / "shop" / place / "alerts.csv"
    assert json.loads(out.read_text()) == ["a; b", "$HOME", "*", str(path)]


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ([sys.executable, "-c", "import sys; sys.exit(3)"], "ended with exit code 3"),
        (["no-such-command"], "cannot be run (No such file or directory)"),
        (["nul\0byte"], "cannot be run (embedded null byte)"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "stopped after 0.2 seconds"),
    ],
)
def test_a_command_that_fails_is_one_line(
    command: list[str],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    monkeypatch.setattr(notify, "PATIENCE_SECONDS", 0.2 if "stopped" in fault else 60)
    said = list[str]()
    notify.tell(written(tmp_path, ["One"], "2024-06-30"), command, said.append, {})
    assert said == ["One", f"--notify {command[0]}: {fault}; the report is there all the same"]


def test_new_alerts_come_first_and_only_they_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nights of June: what was gone for a night is new when it is back, and a second run of the
    same day tells nobody again.
    """
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    nights = {10: ["a"], 11: ["a", "b"], 12: ["b"], 13: ["b", "a"]}

    def since(day: int) -> dict[str, str]:
        found = notify.standing("shop", dt.date(2024, 6, day))
        return {alert: since for (alert, group), since in found.items()}

    for day, names in nights.items():
        place = f"2024-06-{day}"
        manifest = written(tmp_path, names, place) | {"as_of": place}
        path = tmp_path / "reports" / "shop" / place / notify.FILE
        exports.write(pd.DataFrame({"alert": names, "group": "", "text": names}), path)
        files.replace(files.processed("shop", place) / runs.MANIFEST, json.dumps(manifest).encode())
    assert since(11) == {"a": "2024-06-10", "b": "2024-06-11"}
    assert since(13) == {"b": "2024-06-11", "a": "2024-06-13"}
    assert since(9) == {}

    def told(before: dict[notify.Key, str]) -> list[str]:
        said = list[str]()
        notify.tell(manifest, ["no-such-command"], said.append, before)
        return said

    fault = "--notify no-such-command: cannot be run (No such file or directory)"
    fault += "; the report is there all the same"
    assert told(notify.standing("shop", dt.date(2024, 6, 12))) == [
        "a", "b (since Jun 11, 2024)", fault
    ]  # fmt: skip
    assert told(notify.standing("shop", dt.date(2024, 6, 13))) == [
        "b (since Jun 11, 2024)", "a (since Jun 13, 2024)"
    ]  # fmt: skip


def test_without_alerts_nobody_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though a list of an earlier run still lies there."""
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    manifest, said = written(tmp_path, ["Old"], "2024-06-30") | {"pages": {}}, list[str]()
    notify.tell(manifest, ["no-such-command"], said.append, {})
    assert said == []


@pytest.mark.parametrize("command", ["mail 'boss", "  ", '"'])
def test_what_is_no_command_is_refused_before_the_run(
    command: str, shop: Path, inside: Path
) -> None:
    before = tree(inside)
    code, printed = say("run", shop, "--notify", command)
    assert code == 2 and printed.startswith("--notify") and len(printed.splitlines()) == 1
    assert tree(inside) == before


def test_a_run_ends_with_its_alerts_and_stays_well(
    shop: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "alerts", lambda path: {("a", ""): f"from {path.name}"})
    monkeypatch.setattr(notify, "FILE", "plan.csv")  # a list that there is
    monkeypatch.setattr(notify, "standing", lambda name, as_of: {})
    code, printed = say("run", shop, "--notify", "no-such-command")
    *_, alert, fault, page = printed.strip().splitlines()
    assert code == 0 and alert == "from plan.csv" and "cannot be run" in fault
    assert page.endswith("reports/shop/index.html")


def test_alerts_that_a_day_has_no_more_do_not_stay_beside_its_pages(
    shop: Path, copied: Path
) -> None:
    """What somebody else has put there does."""
    path = files.processed("shop", AS_OF) / runs.MANIFEST
    kept, pages = runs.read_json(path), copied / "reports" / "shop" / AS_OF
    listed = kept["pages"] | {f"{AS_OF}/{notify.FILE}": kept["pages"][f"{AS_OF}/plan.csv"]}
    files.replace(path, json.dumps(kept | {"pages": listed}).encode())
    before = {file.name for file in pages.iterdir()}
    for name in (notify.FILE, "notes.csv"):
        (pages / name).write_text("x")
    for _ in range(2):
        code, printed = say("run", shop)
        assert code == 0, printed
        assert {file.name for file in pages.iterdir()} == before | {"notes.csv"}
        assert f"{AS_OF}/{notify.FILE}" not in runs.read_json(path)["pages"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=3))
def test_each_alert_is_one_line(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    home = tmp_path_factory.mktemp("home")
    written(home, texts, "2024-06-30")
    found = notify.alerts(home / "reports" / "shop" / "2024-06-30" / notify.FILE)
    lines = list(found.values())
    assert len(lines) == len(texts)
    assert all(len(line.splitlines()) <= 1 and "\x1b" not in line for line in lines)


def test_words_are_parted_as_a_shell_does() -> None:
    assert notify.command("") == []
    assert notify.command("mail -s 'Big news' me") == ["mail", "-s", "Big news", "me"]
    with pytest.raises(InputError, match="close what is quoted"):
        notify.command("'")
