import nbformat
import pytest

from analysis.report import page
from analysis.report.text import say
from analysis.run.stage import NOTEBOOKS
from tests.run.shop import AS_OF, command, shop_log, write_company


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
def perform(monkeypatch):
    """Performs the cells of notebooks on a dataset, as drafts, in this process: a kernel would only
    add its start. Returns the texts shown, and the names that the last notebook left.
    """
    shown = []

    def performed(stages, dataset, **given):
        given |= {"dataset": str(dataset), "as_of": AS_OF}
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
