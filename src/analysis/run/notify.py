"""What a run ends with: its alerts, a line each, and the user's command that passes on new ones."""

import csv
import datetime as dt
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.errors import InputError
from analysis.files import home, processed
from analysis.report.privacy import UNSEEN
from analysis.report.text import say
from analysis.run import stage as runs

FILE = "alerts.csv"
LOOKS_BACK = 100  # published runs
PATIENCE_SECONDS = 300  # that the command may take, lest the next night waits for it

Key = tuple[str, str]  # alert and group


def command(text: str) -> list[str]:
    """The words of a command as a shell would part them, though none runs it. Raises InputError."""
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError as error:
        raise InputError(f"--notify {text}: {error}; close what is quoted") from None
    if text and not words:
        raise InputError("--notify names no command")
    return [word.strip('"') for word in words] if os.name == "nt" else words


def standing(name: str, as_of: dt.date) -> dict[Key, str]:
    """The alerts of the last published run up to a day, and since which day each has stood."""
    since: dict[Key, str] = {}
    for path in sorted(processed(name, "any").parent.glob(f"*/{runs.MANIFEST}"))[-LOOKS_BACK:]:
        manifest = runs.read_json(path)
        if (day := manifest.get("as_of", "9999")) <= str(as_of):
            listed = manifest["pages"].get(f"{day}/{FILE}")
            since = {row: since.get(row, day) for row in alerts(home() / listed)} if listed else {}
    return since


def tell(
    manifest: dict[str, Any], told: list[str], echo: Callable[[str], None], before: dict[Key, str]
) -> None:
    """Say each alert of a run in a line, those first that did not stand `before`; of one of them or
    more call a command with the path of the list as its last word. What goes wrong with it is one
    more line.
    """
    place = runs.place(manifest["as_of"], manifest.get("trial", ""))
    if f"{place}/{FILE}" not in manifest["pages"]:
        return
    path = home() / "reports" / manifest["dataset"] / place / FILE
    found = alerts(path)
    for key in sorted(found, key=lambda key: key in before):
        since = dt.date.fromisoformat(before[key]) if key in before else None
        echo(
            say("{text:text} (since {since:date})", text=found[key], since=since)
            if since
            else found[key]
        )
    if told and found.keys() - before.keys() and (fault := _call([*told, str(path)])):
        echo(f"--notify {told[0]}: {fault}; the report is there all the same")


def alerts(path: Path) -> dict[Key, str]:
    """The texts of a list of alerts by alert and group, each on one line and without what a
    terminal would obey; none where there is no list.
    """
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = {
            (r.get("alert") or "", r.get("group") or ""): r.get("text") or ""
            for r in csv.DictReader(file)
        }
    return {key: " ".join(UNSEEN.sub("", text).split()) for key, text in rows.items()}


def _call(words: list[str]) -> str:
    """What went wrong with a command; empty where nothing did."""
    try:
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"stopped after {PATIENCE_SECONDS} seconds"
    except (OSError, ValueError) as error:
        return f"cannot be run ({getattr(error, 'strerror', None) or error})"
    return f"ended with exit code {ended.returncode}" if ended.returncode else ""
