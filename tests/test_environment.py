"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analysis.files import ROOT

CONDA_NAMES = {
    "duckdb": "python-duckdb",
    "matplotlib": "matplotlib-base",
}  # where conda-forge calls them otherwise
PYTHON = "3.11"


def declared() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(line)
        for line in project["dependencies"] + project["optional-dependencies"]["dev"]
    ]


def locked() -> dict[str, str]:
    """Versions locked for Linux and the Python of environment.yml."""
    here = {
        "python_full_version": f"{PYTHON}.7",
        "python_version": PYTHON,
        "sys_platform": "linux",
        "os_name": "posix",
    }
    pins = re.findall(
        r"^([\w.-]+)==([\w.]+)(?: ; (.+?))? \\$",
        (ROOT / "requirements.lock").read_text(),
        re.MULTILINE,
    )
    return {
        canonicalize_name(name): version
        for name, version, marker in pins
        if not marker or Marker(marker).evaluate(here)
    }


def conda() -> dict[str, str]:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines = [line for line in listed if isinstance(line, str)] + next(
        line["pip"] for line in listed if isinstance(line, dict)
    )
    return dict(
        re.fullmatch(r"([\w-]+)=+([\w.]+)", line).groups() for line in lines if line != "pip"
    )


def test_lock_and_environment_hold_what_the_project_declares() -> None:
    pins, listed = locked(), conda()
    for requirement in declared():
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(pins[name]), name
        assert listed[CONDA_NAMES.get(name, name)] == pins[name], name


def test_the_environment_names_nothing_else() -> None:
    names = {
        CONDA_NAMES.get(name, name) for name in (canonicalize_name(r.name) for r in declared())
    }
    assert set(conda()) - {"python"} == names
    assert conda()["python"] == PYTHON


@pytest.mark.parametrize(
    "file", ["requirements.lock", "environment.yml", "pyproject.toml", "Makefile"]
)
def test_no_file_names_an_index(file: str) -> None:
    assert not re.search(r"https?://|index-url|find-links|file://", (ROOT / file).read_text())


def test_every_pin_has_a_hash() -> None:
    entries = re.split(r"\n(?=[\w-]+==)", (ROOT / "requirements.lock").read_text().strip())
    assert all("--hash=sha256:" in entry for entry in entries)


def test_no_date_is_written_with_what_only_some_systems_know() -> None:
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")]
    assert not [path for path in sources if re.search("%[-#][a-zA-Z]", path.read_text("utf-8"))]
