import shutil

import nbformat
import pytest

from analysis.report import page
from analysis.report.text import say
from analysis.run.stage import NOTEBOOKS
from tests.run.shop import AS_OF, command, shop_log, write_company
from tests.run.shop import say as say_command


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    return write_company(tmp_path_factory.mktemp("shop"), {}, transactions=shop_log())


@pytest.fixture(scope="session")
def home(shop, tmp_path_factory):
    """A home with one published run of the shop."""
    folder = tmp_path_factory.mktemp("home")
    done = command("run", shop, home=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("reports/shop/index.html")
    return folder


@pytest.fixture
def inside(home, monkeypatch):
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(home))
    return home


@pytest.fixture
def copied(home, tmp_path, monkeypatch):
    """A home of its own with the published run, whose tables may be changed."""
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tried(shop, home, tmp_path_factory):
    """A home of its own with the published run and a trial: tiers by half a year. Beside it, as it
    was before the trial.
    """
    folder = tmp_path_factory.mktemp("tried") / "home"
    for copy in (folder, folder.with_name("before")):
        shutil.copytree(home, copy)
    given = ("--trial", "half", "-p", "05_strategy.value_window_days=182", "--jobs", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUSTOMER_MATRIX_HOME", str(folder))
        code, printed = say_command("run", shop, *given)
    assert code == 0, printed
    assert printed.strip().endswith("reports/shop/trials/half/index.html")
    assert printed.count("unchanged") == 4, "what the published run has made is taken from it"
    return folder


@pytest.fixture
def with_trial(tried, monkeypatch):
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tried))
    return tried


@pytest.fixture
def perform(monkeypatch):
    """Performs the cells of notebooks on a dataset, as drafts, in this process: a kernel would only
    add its start. Returns the texts shown, and the names that the last notebook left.
    """
    shown = []

    def performed(stages, dataset, **given):
        given = {"dataset": str(dataset), "as_of": AS_OF} | given
        for stage in stages:
            space = {}
            for cell in nbformat.read(NOTEBOOKS / f"{stage}.ipynb", as_version=4).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, f"{stage}:{cell.id}", "exec"), space)
                if cell.id == "parameters":
                    space |= given
        return shown, space

    monkeypatch.setattr(page, "_show", lambda fragment, text: shown.append(text))
    yield performed
    say.speak("en", "USD")
