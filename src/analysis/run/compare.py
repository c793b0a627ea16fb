"""Two runs of a company compared: lines for a terminal, and a page with its lists in reports/."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis import files
from analysis.report import exports
from analysis.report import page as report
from analysis.report.text import N_, say
from analysis.run import publish
from analysis.run.opened import OpenedRun
from analysis.steering import comparison
from analysis.steering.comparison import COUNTED, LISTS, PARTS

FOLDER = "comparisons"  # of the dataset's reports
ROWS = 12  # of customers in a table of the page; the list has them all
HEADED = {
    "label": (N_("Measure"), "text"),
    "what": (N_("What"), "text"),
    "before": (N_("Before"), "word"),
    "after": (N_("After"), "word"),
    "change": (N_("Change"), "figure"),
    "joined": (N_("Joined"), "int"),
    "left": (N_("Left since"), "int"),
    "changed": (N_("Another action"), "int"),
}
NUMBERS = ["before", "after", "change"]
FIGURES = {name: (HEADED[name][0], "figure") for name in NUMBERS}


def compare(dataset: str, before: str, after: str = "") -> tuple[Path, list[str]]:
    """Compare two runs, each a day or a trial, by default with the newest. Returns the page, and
    what changed as lines of text; all measures and all customers who moved stand beside the page
    as CSV.
    """
    then = OpenedRun(dataset, before)
    now = then.against(after)
    say.speak(now.manifest["settings"]["language"], now.manifest["settings"]["currency"])
    measures, moved = comparison.measures(then, now), comparison.moved(then, now)
    folder = files.home() / "reports" / then.name / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    stem = "_to_".join(one.trial or str(one.as_of) for one in (then, now))
    page, lists = folder / f"{stem}.html", [f"{stem}.csv", f"{stem}_customers.csv"]
    exports.write(measures, folder / lists[0])
    exports.write(_in_words(moved), folder / lists[1])
    files.replace(page, _page(then, now, measures, moved, lists).encode())
    told = [*comparison.findings(moved), *_doubts(then, now)]
    return page, [
        _title(then, now),
        *aligned(measures),
        "",
        *(say(text, **values) for text, values in told),
    ]


def _in_words(moved: pd.DataFrame) -> pd.DataFrame:
    """Who moved as a list for people; ids as they are."""
    classes = {n: moved[n].map(say.word, na_action="ignore") for n in ("before", "after")}
    shown = moved.assign(what=moved.what.map(_called), **classes, revenue=moved.revenue.round(2))
    return shown.rename(columns=_heading)


def _called(what: str) -> str:
    return say({**PARTS, **LISTS}[what])


def _heading(column: str) -> str:
    return say(HEADED[column][0]) if column in HEADED else say.heading(column)


def written(measures: pd.DataFrame) -> pd.DataFrame:
    """The measures with their numbers as people write them."""
    rows = measures[["form", *NUMBERS]].itertuples(index=False)
    texts = [
        [say.form(form, before), say.form(form, after), say.moved(form, change)]
        for form, before, after, change in rows
    ]
    return measures.assign(**pd.DataFrame(texts, measures.index, NUMBERS))


def aligned(measures: pd.DataFrame) -> list[str]:
    """The measures as lines of a table, each part below its heading."""
    shown, columns = written(measures), [*NUMBERS, *COUNTED]
    counts = [
        [say.form("int", n) if n == n else "" for n in measures[c].astype(float)] for c in COUNTED
    ]
    shown = shown.assign(**dict(zip(COUNTED, counts, strict=True)))
    rows = [["", *map(_heading, columns)]]
    for part, some in shown.groupby("part", sort=False):
        rows.append([say(PARTS[str(part)]), *("" for _ in columns)])
        rows += [[f"  {label}", *texts] for label, *texts in some[["label", *columns]].to_numpy()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    firsts = (row[0].ljust(widths[0]) for row in rows)
    others = (map(str.rjust, row[1:], widths[1:]) for row in rows)
    return ["  ".join([one, *more]).rstrip() for one, more in zip(firsts, others, strict=True)]


# What the runs themselves make of the changes
def _doubts(then: OpenedRun, now: OpenedRun) -> list[tuple[str, dict[str, Any]]]:
    said: list[tuple[str, dict[str, Any]]] = []
    if differing := _differing(then, now):
        text = N_("The runs have other parameters, from which changes come, too: {named:text}.")
        said.append((text, {"named": differing}))
    if then.trial or now.trial:
        text = N_("The plan of a trial is drawn anew, as if a cycle began on its day.")
        said.append((text, {}))
    if then.figures.empty or now.figures.empty:
        text = N_("An older version made one of the runs and kept no key figures; run it again.")
        said.append((text, {}))
    return said


def _differing(then: OpenedRun, now: OpenedRun) -> str:
    """The parameters that are not the same, as name before → after."""
    old, new = (parameters(run.manifest) for run in (then, now))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return "; ".join(f"{name} {old.get(name, '–')} → {new.get(name, '–')}" for name in names)


def parameters(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a run was made with, by name."""
    given = {n: value for chosen in manifest["parameters"].values() for n, value in chosen.items()}
    knobs = ("currency", *publish.KNOBS_SHOWN)
    return {name: manifest["settings"].get(name) for name in knobs} | given


# The page
def _title(then: OpenedRun, now: OpenedRun) -> str:
    names = [publish.day_in_words(run.as_of, run.trial) for run in (then, now)]
    return say("What changed: {before:text} to {after:text}", before=names[0], after=names[1])


def _page(
    then: OpenedRun, now: OpenedRun, measures: pd.DataFrame, moved: pd.DataFrame, lists: list[str]
) -> str:
    title, page = _title(then, now), report.Page([])
    page.heading(title, level=1)
    for text, values in comparison.findings(moved):
        page.finding(text, **values)
    for text, values in _doubts(then, now):
        page.caveat(text, **values)
    page.heading(say("Measures"))
    for part, some in measures.groupby("part", sort=False):
        shown = written(some).dropna(axis=1, how="all")
        headed = HEADED | FIGURES
        columns = ["label", *NUMBERS, *COUNTED]
        page.table(shown, PARTS[str(part)], columns, shown_as=headed, folded=False)
    page.heading(say("Who moved"))
    for what, some in moved.groupby("what", sort=False):
        columns = ["customer_id", "before", "after", "revenue"]
        page.table(some, {**PARTS, **LISTS}[what], columns, rows=ROWS, shown_as=HEADED)
    page.heading(say("Lists to work with"))
    page.links(lists)
    data = "; ".join(run.manifest["data"]["sha256"][:12] for run in (then, now))
    title_of = now.manifest["settings"]["title"] or now.name
    facts = {"title": title_of, "as_of": str(now.as_of)}
    facts["day"] = publish.day_in_words(now.as_of, now.trial)
    facts["lines"] = [(say("Data"), data), (say("Versions"), publish.versions_in_words())]
    home = "../index.html" if (files.home() / "reports" / now.name / "index.html").is_file() else ""
    return report.page(title, "\n".join(page.body or []), facts, home)
