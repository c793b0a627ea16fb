"""The parameters of notebooks: what there is, and what a run was given."""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from analysis.errors import InputError, did_you_mean
from analysis.run import notebook
from analysis.run.stage import STAGES

GIVEN_BY_THE_RUN = ("dataset", "as_of", "run")
TYPES: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a notebook as its parameters cell states it."""

    name: str
    type: str
    default: Any
    comment: str


def parameters(stage: str) -> dict[str, Parameter]:
    """The parameters of a stage's notebook, by name: annotated literals with a comment each."""
    cells = notebook.read(stage).cells
    source = next(c.source for c in cells if "parameters" in c.metadata.get("tags", ()))
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body:
        assert isinstance(node, ast.AnnAssign) and node.value is not None
        default, kind = ast.literal_eval(node.value), ast.unparse(node.annotation)
        comment = lines[node.end_lineno - 1].partition("  # ")[2]  # type: ignore[operator]
        name = ast.unparse(node.target)
        found[name] = Parameter(name, kind, default, comment)
    return found


def parse(given: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Typed values by stage, of `name=value` for all notebooks or `02_segments.name=value` for one.

    Raises InputError for a name no notebook has and for a value of another type.
    """
    known = {stage: parameters(stage) for stage in STAGES}
    chosen: dict[str, dict[str, Any]] = {stage: {} for stage in STAGES}
    for pair in given:
        full, equals, text = pair.partition("=")
        if not equals:
            raise InputError(f"parameter {pair!r} has no value; write name=value")
        stage, dot, name = full.rpartition(".")
        if name in GIVEN_BY_THE_RUN:
            raise InputError(
                f"parameter {name} is given by the run itself; use the dataset file and --as-of"
            )
        having = [s for s in STAGES if name in known[s] and stage in ("", s)]
        if not having:
            free = [(s, n) for s in STAGES for n in known[s] if n not in GIVEN_BY_THE_RUN]
            names = {f"{s}.{n}" if dot else n for s, n in free}
            raise InputError(f"no notebook has a parameter {full}; {did_you_mean(full, names)}")
        for s in having:
            chosen[s][name] = _typed(full, text, known[s][name].type)
    return chosen


def _typed(name: str, text: str, type_name: str) -> Any:
    try:
        return TYPES[type_name](text)
    except ValueError:
        raise InputError(f"parameter {name}={text!r} is no {type_name}") from None
