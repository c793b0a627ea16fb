"""What several test files need: a shop's files on the disk, order lines as a table, and the CDNOW
logs.
"""

import datetime as dt
import gc
import json
import os
from decimal import Decimal
from pathlib import Path
from queue import Empty
from types import SimpleNamespace

import ibis
import lifetimes
import pyarrow as pa
import pytest
import yaml
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from nbval import plugin as nbval_plugin
from nbval.kernel import RunningKernel

from analysis import files
from analysis.engine import connect
from analysis.intake import cleaning, dataset, readers, store
from analysis.run.kernels import AFRESH
from analysis.schema import RECORDS

COLUMNS = {"customer_id": "id", "date": "day", "amount": "eur"}
CDNOW_END = dt.date(1998, 6, 30)

gc.set_threshold(
    50_000, 20, 50
)  # expressions are many small objects: looking for garbage took a fifth of the time

# A busy machine is no fault of the code: no test fails because it took long. Where CI is set the
# examples are always the same and are shown as found; elsewhere each run tries new ones, and makes
# what fails smaller, which takes minutes where a query is asked.
FIXED = bool(os.environ.get("CI"))
hypothesis_settings.register_profile(
    "unhurried",
    deadline=None,
    max_examples=25,
    derandomize=FIXED,
    phases=[phase for phase in Phase if not (FIXED and phase in (Phase.shrink, Phase.explain))],
)
hypothesis_settings.load_profile("unhurried")


class LastingKernel(RunningKernel):
    """A kernel that performs all notebooks, as loading libraries takes longer than many of them.
    Each finds no names of those before it, as in a run.
    """

    def stop(self):
        try:
            asked = self.execute_cell_input(AFRESH)
            self.await_reply(asked, timeout=60)
            self.await_idle(asked, timeout=60)
        except Empty:
            self.end()

    def end(self):
        super().stop()


_kernels = []


def _kernel(*named, **options):
    if not (_kernels and _kernels[-1].is_alive()):
        _kernels.append(LastingKernel(*named, **options))
    return _kernels[-1]


def pytest_configure():
    nbval_plugin.RunningKernel = _kernel


def pytest_unconfigure():
    for kernel in _kernels:
        if kernel.is_alive():
            kernel.end()


@pytest.fixture(scope="session")
def engine():
    return ibis.duckdb.connect()


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """Writes a file of orders and a dataset file beside it, and loads the latter."""

    def write(content, columns=COLUMNS, **table):
        folder = tmp_path_factory.mktemp("shop")
        (folder / "orders.csv").write_bytes(
            content.encode() if isinstance(content, str) else content
        )
        written = {"tables": {"transactions": {"path": "orders.csv", "columns": columns} | table}}
        (folder / "shop.yml").write_text(yaml.safe_dump(written, sort_keys=False), "utf-8")
        return dataset.load(folder / "shop.yml")

    return write


@pytest.fixture(scope="session")
def judge(shop):
    """Reads and judges a file of orders."""

    def judged(content, as_of=dt.date(2024, 12, 31), columns=COLUMNS, **table):
        return _judged(shop(content, columns, **table), as_of)

    return judged


def _judged(settings, as_of):
    folder = store.gather(settings, settings.file.parent)
    return cleaning.judge(store.typed(folder, "transactions"), as_of).cache()


@pytest.fixture(scope="session")
def company(tmp_path_factory):
    """Writes a company's files and its dataset file, and loads the latter."""

    def write(files, tables, **settings):
        folder = tmp_path_factory.mktemp("company")
        for name, content in files.items():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        (folder / "company.yml").write_text(
            yaml.safe_dump({"tables": tables} | settings, sort_keys=False), "utf-8"
        )
        return dataset.load(folder / "company.yml")

    return write


@pytest.fixture(scope="session")
def judge_all():
    """Reads all tables of a dataset and judges them, on one engine."""

    def judged(settings, as_of=dt.date(2024, 12, 31)):
        folder, engine = store.gather(settings, settings.file.parent), connect()
        have = [table for table in RECORDS if settings.files(table)]
        return {
            table: cleaning.judge(store.typed(folder, table, engine), as_of, table).cache()
            for table in have
        }

    return judged


@pytest.fixture(scope="session")
def crm_demo(tmp_path_factory):
    """The invented company: its dataset, its tables judged, and the truth about its files."""
    settings = dataset.load(files.ROOT / "data" / "crm_demo.yml")
    folder, engine = store.gather(settings, tmp_path_factory.mktemp("crm_demo")), connect()
    judged = {
        t: cleaning.judge(store.typed(folder, t, engine), settings.as_of, t).cache()
        for t in RECORDS
    }
    truth = json.loads((readers.sample_path("crm_demo/truth") / "truth.json").read_text("utf-8"))
    rejects = ibis.union(*(cleaning.rejects(rows, table) for table, rows in judged.items())).cache()
    sold = cleaning.transactions(judged["transactions"]).cache()
    return SimpleNamespace(
        dataset=settings, judged=judged, transactions=sold, rejects=rejects, truth=truth
    )


@pytest.fixture(scope="session")
def ledger():
    """The table `transactions` from (customer_id, day, amount)."""

    def table(lines):
        ids, days, amounts = zip(*lines, strict=True)
        money = pa.array([Decimal(str(amount)) for amount in amounts], pa.decimal128(38, 12))
        return ibis.memtable(
            pa.table({"customer_id": ids, "day": pa.array(days, pa.date32()), "amount": money})
        )

    return table


@pytest.fixture(scope="session")
def cdnow(tmp_path_factory):
    """The whole CDNOW log, judged."""
    file = tmp_path_factory.mktemp("cdnow") / "cdnow.yml"
    columns = {
        "customer_id": "customer_id",
        "date": "date",
        "quantity": "number_of_cds",
        "amount": "dollar_value",
    }
    table = {"sample": "cdnow", "format": "whitespace", "date_format": "%Y%m%d", "columns": columns}
    file.write_text(yaml.safe_dump({"tables": {"transactions": table}}), "utf-8")
    return _judged(dataset.load(file), CDNOW_END)


@pytest.fixture(scope="session")
def cdnow_sample(judge):
    """Transactions of the 1/10 sample that the literature uses; its file has no header and a second
    id.
    """
    text = (Path(lifetimes.__file__).parent / "datasets/CDNOW_sample.txt").read_text()
    columns = {"customer_id": "sample_id", "date": "date", "amount": "dollars"}
    header = "master_id sample_id date cds dollars\n"
    return cleaning.transactions(
        judge(header + text, CDNOW_END, columns, format="whitespace", date_format="%Y%m%d")
    ).cache()
