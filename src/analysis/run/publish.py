"""What a run has made becomes the published one: manifest, pages, models, and nothing left over."""

import datetime as dt
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel import Locale

from analysis import files
from analysis.files import home
from analysis.report import page as report
from analysis.report.text import say
from analysis.run import notebook
from analysis.run import stage as runs
from analysis.run.stage import STAGES

if TYPE_CHECKING:
    from analysis.run.pipeline import Run

VERSIONS_SHOWN = ("pandas", "scikit-learn", "lifetimes", "duckdb", "ibis-framework", "numpy")
KNOBS_SHOWN = [
    "horizon_days",
    "value_window_days",
    "value_days",
    "annual_discount_rate",
    "margin",
    "seed",
]


def versions() -> dict[str, str]:
    """Of this package, Python, and what the numbers rest on."""
    names = ("customer-matrix", *VERSIONS_SHOWN)
    return {name: importlib.metadata.version(name) for name in names} | {
        "Python": platform.python_version()
    }


def versions_in_words() -> str:
    return "; ".join(f"{name} {version}" for name, version in versions().items())


def day_in_words(as_of: dt.date, trial: str = "") -> str:
    """What a run is called: by its day, and by its name where it is a trial."""
    day = say.form("date", as_of)
    return say("{day:text}, trial {name:text}", day=day, name=trial) if trial else day


def page_facts(this: "Run", stage: str, languages: dict[str, str]) -> dict[str, Any]:
    """The facts at the end of a page: data, day, parameters, versions; and where the others are, in
    this language and in `languages`, folders of pages below that of the run.
    """
    own = this.chosen.get(stage, {})
    settings = runs.overruled(this.dataset, own)
    parameters = {name: getattr(settings, name) for name in KNOBS_SHOWN} | own
    read = []
    for piece in (piece for some in this.read["pieces"].values() for piece in some):
        rows = say("{n:int} row", "{n:int} rows", n=piece["rows"])
        read.append(f"{piece['name']} ({', '.join(filter(None, [rows, piece['encoding']]))})")
    lines = [
        (say("Data"), "; ".join([*read, this.read["sha256"][:12]])),
        (say("Day of the picture"), say.form("date", this.as_of)),
        (say("Currency and time zone"), f"{this.dataset.currency}, {this.dataset.time_zone}"),
        (say("Parameters"), "; ".join(f"{name} = {value}" for name, value in parameters.items())),
        (say("Versions"), versions_in_words()),
    ]
    page, up = f"{stage or 'index'}.html", "../" if this.beside else ""
    return {
        "title": this.dataset.title or this.dataset.name,
        "as_of": str(this.as_of),
        "day": day_in_words(this.as_of, this.trial),
        "as_of_date": this.as_of,
        "pages": [(f"{name}.html", report.title(notebook.read(name))) for name in STAGES],
        "languages": {
            Locale.parse(name, sep="-").get_display_name(): f"{up}{folder and folder + '/'}{page}"
            for name, folder in languages.items()
            if folder != this.beside
        },
        "lines": lines,
    }


def publish(this: "Run", seconds: float) -> dict[str, Any]:
    """Write the manifest: the one step that makes this run the published one."""
    made = [p for stage in STAGES for p in sorted((this.folders[stage] / "models").iterdir())]
    pages: dict[str, Path] = {}
    for each in [this, *this.others]:
        each.said()
        pages |= _pages(each, this.languages)
    this.said()
    manifest: dict[str, Any] = {
        "schema": runs.SCHEMA,
        "status": "trial" if this.trial else "published",
        "dataset": this.dataset.name,
        "as_of": str(this.as_of),
        "data": this.read,
        "parameters": this.chosen,
        "settings": this.dataset.model_dump(mode="json", exclude={"tables", "parameters"}),
        "versions": versions(),
        "seconds": round(seconds, 1),
        "stages": {
            s: facts | {"folder": _below_home(this.folders[s])} for s, facts in this.stages.items()
        },
        "tables": {table: _below_home(path) for table, path in this.tables(STAGES).items()},
        "pages": {where: _below_home(path) for where, path in pages.items()},
        "models": {path.name: _below_home(path) for path in made},
    }
    manifest |= {"trial": this.trial} if this.trial else {}
    before = runs.published(this.dataset.name, this.place) or {}
    gone = {*before.get("pages", ()), *before.get("gone", ())} - {*pages}
    manifest |= {"gone": sorted(gone)} if gone else {}
    if this.cycle == str(this.as_of):
        manifest["cycle"] = manifest["tables"]["cycle"]
    files.replace(this.folder / runs.MANIFEST, json.dumps(manifest, indent=1).encode())
    return manifest


def _pages(this: "Run", languages: dict[str, str]) -> dict[str, Path]:
    """The pages and lists of a run in its language, by where people look for them below reports/.
    Pages are made here, as only the whole run knows where its header leads.
    """
    place = f"{this.place}/{this.beside}/" if this.beside else f"{this.place}/"
    lists = [p for stage in STAGES for p in sorted((this.folders[stage] / "pages").iterdir())]
    written = {
        f"{place}{stage}.html": report.notebook_page(
            notebook.done(this.folders[stage], stage), page_facts(this, stage, languages)
        )
        for stage in STAGES
    }
    kept = {s: runs.read_json(this.folders[s] / "page.json") for s in STAGES}
    titles = {s: report.title(notebook.read(s)) for s in STAGES}
    fronts = {f"{place}index.html": ""}
    fronts |= {} if this.trial or this.beside else {"index.html": place}
    for where, prefix in fronts.items():
        facts = page_facts(this, "", languages)
        names = [path.name for path in lists]
        written[where] = report.index_page(kept, titles, names, facts, prefix)
    made = files.sha256_text(str([sorted(this.folders.values()), languages, this.trial]))[:12]
    pages = {f"{place}{path.name}": path for path in lists}
    for where, content in written.items():
        pages[where] = this.folder / f"pages-{made}" / where.replace("/", "-")
        files.replace(pages[where], content.encode())
    return pages


def _below_home(path: Path) -> str:
    return path.relative_to(home()).as_posix()


def bring_pages(manifest: dict[str, Any]) -> Path:
    """Bring pages and models of a published run, or of a trial, to where people look for them.

    Returns the page to open: reports/<dataset>/index.html, which is always of the newest day.
    """
    name, place = manifest["dataset"], runs.place(manifest["as_of"], manifest.get("trial", ""))
    reports, models = home() / "reports" / name, home() / "models" / name / place
    newest = place == (runs.published(name) or manifest)["as_of"]
    wanted = {reports / where: source for where, source in manifest["pages"].items()}
    wanted |= {models / model: source for model, source in manifest["models"].items()}
    if not newest:
        wanted.pop(reports / "index.html", None)
    for where in manifest.get("gone", ()):  # a list that has no rows any more
        files.remove(reports / where)
    for target, source in wanted.items():
        content = (home() / source).read_bytes()
        if not target.is_file() or target.read_bytes() != content:
            files.replace(target, content)
    return reports / "index.html" if newest else reports / place / "index.html"


def bring_cycle(manifest: dict[str, Any], anew: bool = False) -> None:
    """Keep the plan that a published run has frozen where later runs find it, in one step. One
    whose folder `clean` has emptied is only kept `anew` by a run of its day.
    """
    if "cycle" not in manifest:
        return
    made = home() / manifest["cycle"]
    kept = runs.cycle_file(manifest["dataset"], manifest["as_of"])
    if not made.is_file():
        return
    if not kept.parent.exists():
        part = kept.parent.with_name(f"{kept.parent.name}.part")
        files.replace(part / kept.name, made.read_bytes())
        files.move(part, kept.parent)
    elif (anew or kept.is_file()) and not (
        kept.is_file() and kept.read_bytes() == made.read_bytes()
    ):
        files.replace(kept, made.read_bytes())


def prune(this: "Run", manifest: dict[str, Any]) -> None:
    """Remove results of this day, or of this trial, that the run does not use; drafts stay, and so
    do trials.
    """
    paths = [path for group in ("tables", "pages") for path in manifest[group].values()]
    used = {(home() / path).relative_to(this.folder).parts[0] for path in paths} | {"draft"}
    unused = [f for f in this.folder.iterdir() if f.is_dir() and f.name not in used]
    records = set(this.records.parent.glob("records-*")) - {this.records}
    for folder in [*unused, *records]:
        files.remove(folder)
