"""A trial is a run by itself: nothing that is published changes, and it goes as drafts do."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis import files
from analysis.errors import InputError
from analysis.run import publish, trials
from analysis.run import stage as runs
from tests.run.shop import AS_OF, say, tree


@pytest.mark.parametrize("name", ["half", "Rabatt-2", "半年", "a", "x" * 40])
def test_a_plain_name_is_taken(name: str) -> None:
    assert trials.named(name) == name


ODD = ["", " ", "2026-09-30", "20260930", "2026", ".", "..", "../x", "a/b", "a\\b", "/etc", "a.b"]
ODD += ["-p", "_x", "a b", "a\n", "x" * 41, "con", "NUL", "com1", "a:b", "\u202ea", "a\u0301"]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_refused_in_a_plain_sentence(name: str, shop: Path, inside: Path) -> None:
    before = tree(inside)
    code, printed = say("run", shop, f"--trial={name}")
    assert code == 2 and "cannot be the name of a trial; begin it with a letter" in printed
    assert tree(inside) == before


@given(st.text(max_size=12))
def test_whatever_name_is_taken_is_one_folder_and_no_day(name: str) -> None:
    try:
        assert trials.named(name) == name
    except InputError:
        return
    assert Path(name).name == name and name.isprintable() and not name.startswith((".", "-"))
    with pytest.raises(ValueError):
        dt.date.fromisoformat(name)


def test_a_trial_begins_no_cycle(shop: Path, inside: Path) -> None:
    code, printed = say("run", shop, "--trial", "half", "--new-cycle")
    assert code == 2 and "a trial freezes no plan" in printed


def published(home: Path) -> dict[str, bytes]:
    """All files but those of trials and comparisons, by path below the home."""
    found = tree(home / "data", home / "reports", home / "models")
    below = {str(Path(path).relative_to(home)): content for path, content in found.items()}
    by_themselves = ("/trials/", "/comparisons/")
    return {p: content for p, content in below.items() if not any(n in p for n in by_themselves)}


def test_a_trial_leaves_all_that_is_published(with_trial: Path) -> None:
    assert published(with_trial) == published(with_trial.with_name("before"))
    manifest = runs.published("shop", "trials/half")
    assert manifest is not None and manifest["trial"] == "half" and manifest["status"] == "trial"
    assert "cycle" not in manifest and manifest["as_of"] == AS_OF
    assert runs.published("shop")["status"] == "published"  # type: ignore[index]


def test_a_trial_is_whole_in_folders_of_its_own(with_trial: Path) -> None:
    manifest = runs.published("shop", "trials/half")
    assert manifest is not None
    folder = files.processed("shop", "trials/half")
    made = {folder / Path(facts["folder"]).name for facts in manifest["stages"].values()}
    indexes = {path for path in folder.iterdir() if path.name.startswith("pages-")}
    assert {path for path in folder.iterdir() if path.is_dir()} == made | indexes
    trial, newest = analysis.open("shop", "half"), analysis.open("shop")
    assert {*trial} == {*newest}
    for table in trial:  # each held against its stage's facts
        assert (len(trial[table]) > 0) == (len(newest[table]) > 0) or table in ("winback", "care")
    assert trial.customers.equals(newest.customers)
    assert not trial.matrix.tier.equals(newest.matrix.tier)
    pages = with_trial / "reports" / "shop" / "trials" / "half"
    assert {path.name for path in pages.glob("*.html")} == {f"{s}.html" for s in runs.STAGES} | {
        "index.html"
    }
    for page in pages.glob("*.html"):
        assert "Jun 30, 2024, trial half" in page.read_text("utf-8"), page
    for stage in list(runs.STAGES)[:4]:  # copied: but for what the page is called all is the same
        ours, theirs = (
            (folder / f"{stage}.html")
            .read_text("utf-8")
            .partition("<main>")[2]
            .partition("</main>")
            for folder in (pages, with_trial / "reports" / "shop" / AS_OF)
        )
        assert len(ours[0]) > 1_000 and ours[0] == theirs[0], stage
    assert "05_strategy.html" in (pages / "index.html").read_text("utf-8")
    assert "This plan is a draft" in (pages / "05_strategy.html").read_text("utf-8")
    assert list((with_trial / "models" / "shop" / "trials" / "half").glob("*.json"))


def test_a_trial_plans_as_if_a_cycle_began(with_trial: Path) -> None:
    trial = analysis.open("shop", "half")
    assert (trial.cycle["first"].dt.date == trial.as_of).all()
    assert not trial.plan.status.eq("next_cycle").any()
    assert [*runs.frozen_cycles("shop", trial.as_of)] == [AS_OF]


def test_the_next_night_keeps_a_trial_and_clean_removes_it(
    shop: Path, with_trial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(with_trial, home)
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(home))
    gone = {home / top / "shop" / "trials" for top in ("data/processed", "models", "reports")}
    before = tree(*gone)
    code, printed = say("run", shop)
    assert code == 0 and printed.count("unchanged") == len(runs.STAGES)
    assert tree(*gone) == before and len(before) > 50
    rest = set(tree(home)) - set(before)
    code, printed = say("clean")
    assert code == 0
    assert {Path(line.removeprefix("removed ")) for line in printed.splitlines()} == gone
    assert set(tree(home)) == rest
    assert not any(path.exists() for path in gone) and runs.published("shop") is not None


def test_a_trial_is_never_the_page_that_opens_first(copied: Path) -> None:
    """Not even where nothing is published."""
    manifest = runs.published("shop")
    assert manifest is not None
    (files.processed("shop", AS_OF) / runs.MANIFEST).unlink()
    front = copied / "reports" / "shop" / "index.html"
    front.unlink()
    pages = {"trials/x/index.html": manifest["pages"]["index.html"]}
    page = publish.bring_pages(manifest | {"trial": "x", "pages": pages})
    assert page == copied / "reports" / "shop" / "trials" / "x" / "index.html" and page.is_file()
    assert not front.exists()
    assert (copied / "models" / "shop" / "trials" / "x").is_dir()


def test_a_trial_named_draft_is_no_day_of_a_draft(copied: Path, shop: Path) -> None:
    (files.processed("shop", "trials/draft")).mkdir(parents=True)
    assert runs.open_stage("08_steering", str(shop)).as_of == dt.date.fromisoformat(AS_OF)
