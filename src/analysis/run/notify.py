"""What a run ends with: its alerts, a line each, and the user's command that passes them on."""

import csv
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.errors import InputError
from analysis.files import home
from analysis.report.privacy import UNSEEN
from analysis.run import stage as runs

FILE = "alerts.csv"
PATIENCE_SECONDS = 300  # that the command may take, lest the next night waits for it


def command(text: str) -> list[str]:
    """The words of a command as a shell would part them, though none runs it. Raises InputError."""
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError as error:
        raise InputError(f"--notify {text}: {error}; close what is quoted") from None
    if text and not words:
        raise InputError("--notify names no command")
    return [word.strip('"') for word in words] if os.name == "nt" else words


def tell(manifest: dict[str, Any], told: list[str], echo: Callable[[str], None]) -> None:
    """Say each alert of a run in a line, and call a command with the path of their list as its
    last word. What goes wrong with it is one more line; a run without alerts calls nobody.
    """
    place = runs.place(manifest["as_of"], manifest.get("trial", ""))
    if f"{place}/{FILE}" not in manifest["pages"]:
        return
    path = home() / "reports" / manifest["dataset"] / place / FILE
    for line in lines(path):
        echo(line)
    if told and (fault := _call([*told, str(path)])):
        echo(f"--notify {told[0]}: {fault}; the report is there all the same")


def lines(path: Path) -> list[str]:
    """The texts of a list of alerts, each on one line and without what a terminal would obey."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        texts = [row.get("text") or "" for row in csv.DictReader(file)]
    return [" ".join(UNSEEN.sub("", text).split()) for text in texts]


def _call(words: list[str]) -> str:
    """What went wrong with a command; empty where nothing did."""
    try:
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"stopped after {PATIENCE_SECONDS} seconds"
    except (OSError, ValueError) as error:
        return f"cannot be run ({getattr(error, 'strerror', None) or error})"
    return f"ended with exit code {ended.returncode}" if ended.returncode else ""
