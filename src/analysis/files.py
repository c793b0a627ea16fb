"""Where the files of runs lie, and how one is written whole or not at all, on any system."""

import datetime as dt
import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from analysis.errors import RunError

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 2  # that a file may be held open by a virus scanner, which Windows waits for


def home() -> Path:
    """The folder of data/processed, models and reports: CUSTOMER_MATRIX_HOME or the checkout."""
    return Path(os.environ.get("CUSTOMER_MATRIX_HOME") or ROOT).resolve()


def processed(name: str, as_of: dt.date | str) -> Path:
    """The folder of a dataset's runs at a day."""
    return home() / "data" / "processed" / name / str(as_of)


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move(part, path)
    except BaseException:  # a full disk, say: what was written is of no use
        remove(part)
        raise


def move(source: Path, target: Path) -> None:
    """Give a file or folder its name. Raises RunError where another program holds it open."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:  # only Windows refuses because of a reader
            if time.monotonic() > deadline:
                raise RunError(
                    f"{target} cannot be replaced; close it where it is open, and run again"
                ) from None
            time.sleep(0.1)


def remove(path: Path) -> bool:
    """Remove a file or a folder with all in it. Whether it is gone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return False
    return not path.exists()


def fingerprint(paths: Iterable[Path]) -> dict[str, list[int | str]]:
    """Size and sha256 of every file, by its path."""
    found: dict[str, list[int | str]] = {}
    for path in sorted(paths):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[str(path)] = [path.stat().st_size, digest]
    return found


def sha256_text(text: str) -> str:
    """The fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
