"""A small shop, and the command as a scheduler would call it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from click.testing import CliRunner

from analysis import files, schema
from analysis.run import stage as runs
from analysis.run.cli import main

AS_OF = "2024-06-30"
COMMAND = str(Path(sys.executable).with_name("customer-matrix"))


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
    log = pd.DataFrame([*rows, ("0000", 730, 20.0)], columns=["id", "day", "amount"])
    date = pd.Timestamp("2022-07-01") + pd.to_timedelta(log.pop("day"), unit="D")
    log.insert(1, "date", date.dt.strftime("%Y-%m-%d"))
    return log


def write_company(folder: Path, options: dict, **tables: pd.DataFrame) -> Path:
    """The dataset file of a company with these tables, whose columns are named as ours but id."""
    described = {}
    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
        columns = {"customer_id": "id"} | {c: c for c in frame if c != "id"}
        described[name] = {"path": f"{name}.csv", "columns": columns}
    file = folder / "shop.yml"
    file.write_text(yaml.safe_dump({"tables": described} | options), "utf-8")
    return file


def command(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        env=os.environ | {"CUSTOMER_MATRIX_HOME": str(home)},
        capture_output=True,
        text=True,
    )


def say(*arguments: object) -> tuple[int, str]:
    """The command in this process: its exit code and what it prints."""
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception  # nobody expects it, and pytest shows where it was raised
    return done.exit_code, done.output


def tree(*folders: Path) -> dict[str, bytes]:
    """All files below, by path."""
    found = (path for folder in folders for path in sorted(folder.rglob("*")))
    return {str(path): path.read_bytes() for path in found if path.is_file()}


def later(title: str = "", **tables: Any) -> str:
    """The day of a run that is the published one but for its title and these tables."""
    day, before = "2024-07-31", runs.published("shop")
    assert before is not None
    folder, paths = files.processed("shop", day) / "made", {}
    folder.mkdir(parents=True)
    for name, frame in tables.items():
        schema.write(name, frame, folder / f"{name}.parquet", runs.CONTRACTS.get(name))
        paths[name] = str(folder.relative_to(files.home()) / f"{name}.parquet")
    facts = files.fingerprint(folder.iterdir()).items()
    made = {"files": {Path(path).name: fact for path, fact in facts}}
    (folder / runs.FACTS).write_text(json.dumps(made), "utf-8")
    changed = before | {"as_of": day, "tables": before["tables"] | paths}
    changed["settings"] = before["settings"] | {"title": title}
    files.replace(folder.parent / runs.MANIFEST, json.dumps(changed).encode())
    return day
