"""Notebook 02 on data that are not as it hopes: all cells as they stand, in this process."""

import re
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
import yaml

from analysis import customers
from analysis.report import charts, page
from analysis.run.stage import NOTEBOOKS, open_stage, read_table
from analysis.segments import clusters

LAST_DAY = pd.Timestamp("2024-06-30")
CELLS = nbformat.read(NOTEBOOKS / "02_segments.ipynb", as_version=4).cells
CODE = [cell for cell in CELLS if cell.cell_type == "code"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the cells over files of orders and profiles; what they leave, and the text they show."""

    def run(orders, profiles=None, **parameters):
        tables = {"transactions": orders} | ({} if profiles is None else {"customers": profiles})
        named = {}
        for name, frame in tables.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
            columns = {"customer_id": "id"} | {c: c for c in frame if c != "id"}
            named[name] = {"path": f"{name}.csv", "columns": columns}
        (tmp_path / "odd.yml").write_text(yaml.safe_dump({"tables": named}))
        monkeypatch.setattr(clusters, "DRAWS", 2)  # the rest of ten would only take time
        monkeypatch.setattr(clusters, "STARTS", 2)
        monkeypatch.setattr(charts, "svg", lambda ax: "")  # as would pictures, drawn all the same
        monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))
        shown = []
        monkeypatch.setattr(page, "_show", lambda fragment, text: shown.append(text))
        given = {"dataset": str(tmp_path / "odd.yml"), "as_of": str(LAST_DAY.date())}
        first = open_stage("01_data_quality", **given)
        first.save_records(first.judged_records())
        known = [first.expression(name) for name in ("transactions", "profiles")]
        first.save(
            "customers",
            customers.at(known[0], first.as_of, 365).pipe(
                customers.with_prospects, known[1], first.as_of
            ),
        )
        space = {}
        for cell in CODE:
            exec(compile(cell.source, cell.id, "exec"), space)
            space |= given | parameters if cell.id == "parameters" else {}
        return SimpleNamespace(**space, text="\n".join(shown), space=space)

    return run


def orders(count):
    """Two orders of each of so many customers, half a year apart."""
    ids = [f"{n:03}" for n in range(count)] * 2
    days = pd.date_range("2024-01-01", LAST_DAY, 2).repeat(count)
    return pd.DataFrame({"id": ids, "date": days.date, "amount": range(1, 2 * count + 1)})


def back_after(*last):
    """Of 40 customers each who ordered weekly until a day, all come back on the last
    day.
    """
    days = [[*pd.date_range(end=day, periods=9, freq="7D"), LAST_DAY] for day in last]
    rows = [
        (f"{day}{n:02}", date, 5) for day, of in enumerate(days) for date in of for n in range(40)
    ]
    log = pd.DataFrame(rows, columns=["id", "date", "amount"])
    return log.assign(date=pd.to_datetime(log.date).dt.date)


def profiles(ids):
    regions = ["north" if n % 2 else "south" for n in range(len(ids))]
    return pd.DataFrame({"id": ids, "region": regions})


UNCOMPARED = "tell of fewer than 20 customers"


@pytest.mark.parametrize(
    ("log", "known", "said"),
    [
        (orders(18), profiles([f"{n:03}" for n in range(18)]), UNCOMPARED),
        (orders(40), profiles([f"x{n:03}" for n in range(40)]), UNCOMPARED),
        (orders(1).tail(1).assign(amount=-5), profiles(["000"]), UNCOMPARED),
        (orders(30).drop(columns="amount"), None, "have no amounts"),
        (back_after("2023-12-03", "2024-01-28"), None, "So only longer ones count, if any."),
    ],
    ids=["18 customers", "profiles match nobody", "one return", "no amounts", "all come back"],
)
def test_it_says_what_it_cannot_tell_and_goes_on(run, log, known, said):
    found = run(log, known)
    assert said in found.text
    assert not re.search(r"\b(nan|NaN|inf|∞)\b", "".join(f["text"] for f in found.page.findings))
    saved = read_table("segments", found.stage.folder / "segments.parquet")
    assert set(log.id) <= set(saved.customer_id)


def test_cells_can_be_run_again_and_tell_the_same(run):
    """No cell takes a parameter or a module away from the others."""
    known = profiles([f"{n:03}" for n in range(40)])
    found = run(orders(40), known, attribute="region", k=2)
    modules = {name: found.space[name] for name in ("rfm", "clusters", "interests", "attribute")}
    for cell in CODE[3:-2]:
        exec(compile(cell.source, cell.id, "exec"), found.space)
    assert {name: found.space[name] for name in modules} == modules
    assert found.space["segmented"].equals(found.segmented)
    assert set(found.segmented.attribute) == {"north", "south"}
