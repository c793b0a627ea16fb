"""Where the files of runs lie, and how one is written whole or not at all."""

import datetime as dt
import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def home() -> Path:
    """The folder that holds data/processed, models and reports: the checkout, or
    CUSTOMER_MATRIX_HOME.
    """
    return Path(os.environ.get("CUSTOMER_MATRIX_HOME") or ROOT).resolve()


def processed(name: str, as_of: dt.date | str) -> Path:
    """The folder of a dataset's runs at a day."""
    return home() / "data" / "processed" / name / str(as_of)


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
