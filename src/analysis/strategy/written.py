"""The YAML files of a plan that people write, read and checked."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, ValidationError

from analysis.errors import InputError
from analysis.intake.settings import Strict


def _has_english(text: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(text, dict) and "en" not in text:
        raise ValueError("give at least the English text, en")
    return text


Text = Annotated[str | dict[str, str], AfterValidator(_has_english)]


Written = TypeVar("Written", bound=Strict)


def in_language(text: Text, language: str) -> str:
    """The text in a language, in English where it has not been translated."""
    return text if isinstance(text, str) else text.get(language, text["en"])


def content(path: Path) -> dict[str, Any]:
    """What a file says; InputError where it is not there or holds no keys."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a file that is there") from None
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{path.name}: not readable as YAML: {problem}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path.name}: holds no keys; start with `rules:` or `goals:`")
    return found


def checked(model: type[Written], found: dict[str, Any], file: str) -> Written:
    """The content as its model; InputError that names each place which is wrong."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise InputError(f"{file}: {wrong}") from None
