"""The embedded engine that works on records."""

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import ibis

# DuckDB merges a chain of selections itself, in less time than Ibis takes to
ibis.options.sql.fuse_selects = False
ENGINE_MEMORY = "400MB"  # beyond it the engine works on the disk, so that any log fits a laptop
SPILL = Path(tempfile.gettempdir()) / "customer-matrix"  # where it does


def connect() -> ibis.BaseBackend:
    """An engine with tables of its own. All those of a process share its bounded memory, and what
    takes longest to start: the functions they know.
    """
    engine = ibis.duckdb.from_connection(_embedded(os.getpid()).cursor())
    quiet(engine.con)
    return engine


@cache
def _embedded(process: int) -> duckdb.DuckDBPyConnection:
    """The one of a process: what a forked one inherits has lost its threads."""
    return duckdb.connect(config={"memory_limit": ENGINE_MEMORY, "temp_directory": str(SPILL)})


def quiet(base: Any) -> None:
    """Let DuckDB draw no progress bar into the output of what takes long. In a notebook it draws
    none, and must not be told.
    """
    if base.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
        base.execute("SET enable_progress_bar = false")
