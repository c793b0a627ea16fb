"""The embedded engine that works on records."""

import tempfile
from pathlib import Path
from typing import Any

import ibis

ENGINE_MEMORY = "400MB"  # beyond it the engine works on the disk, so that any log fits a laptop
SPILL = Path(tempfile.gettempdir()) / "customer-matrix"  # where it does


def connect() -> ibis.BaseBackend:
    """The embedded engine, with its memory bounded."""
    engine = ibis.duckdb.connect(memory_limit=ENGINE_MEMORY, temp_directory=str(SPILL))
    quiet(engine.con)
    return engine


def quiet(base: Any) -> None:
    """Let DuckDB draw no progress bar into the output of what takes long. In a notebook it draws
    none, and must not be told.
    """
    if base.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
        base.execute("SET enable_progress_bar = false")
