"""A dataset file as text: entries as lines of YAML with their comments, and the reference of all
keys.
"""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from analysis.intake.columns import Choice, Entry
from analysis.intake.dataset import Dataset
from analysis.intake.table_files import Returns, TableFile, Tables
from analysis.intake.value_formats import ASK
from analysis.report.text import N_, say
from analysis.schema import RECORDS

TYPES = {
    str: N_("text"),
    int: N_("whole number"),
    float: N_("number"),
    dt.date: N_("date"),
    Any: N_("any value"),
}
MODELS: dict[str, type[BaseModel]] = {
    N_("Every key of a dataset file, with its default."): Dataset,
    N_("In tables:"): Tables,
    N_("A description of files, as tables.transactions holds one or a list of them:"): TableFile,
    N_("In its returns:"): Returns,
}


def printable(text: str) -> str:
    """A text without what no screen shows."""
    return "".join(c if c.isprintable() else " " for c in text)


def comment(text: str) -> str:
    """A line that YAML passes over."""
    return f"# {printable(text)}"


def indented(lines: Sequence[str], depth: int = 1) -> list[str]:
    """Lines of what stands below a key."""
    return ["  " * depth + line for line in lines]


def flow(value: Any) -> str:
    """A value on one line, in quotes where YAML needs them."""
    text = yaml.safe_dump(
        [value], default_flow_style=True, allow_unicode=True, width=1_000_000, sort_keys=False
    )
    return text.strip()[1:-1]


def lines_of(entries: Iterable[Entry]) -> list[str]:
    """Entries as lines, each question above the key that it asks for."""
    lines = []
    for entry in entries:
        if entry.question:
            lines.append(comment(f"{say('QUESTION')}: {entry.key}: {entry.question}"))
            lines += [comment(f"  {_answer(entry, choice)}") for choice in entry.choices]
        asked = entry.question or entry.value == ASK
        remark = "; ".join(filter(None, (entry.comment, entry.doubt)))
        line = f"{flow(entry.key)}: {json.dumps(ASK) if asked else flow(entry.value)}"
        lines.append(f"{line}  {comment(remark)}" if remark else line)
    return lines


def _answer(entry: Entry, choice: Choice) -> str:
    """What to write for an answer, and what it says."""
    others = {key: value for key, value in choice.keys.items() if key != entry.key}
    if entry.key in choice.keys:
        write = flow(choice.keys[entry.key])
    else:
        write = say("nothing, and remove the line")
    for key, value in others.items():
        line = f"{key}: {flow(value)}"
        if key in Dataset.model_fields:
            line = say("{line:text} at the top of the file", line=line)
        write = say("{answer:text}, and {line:text}", answer=write, line=line)
    return say("write {answer:text} for: {words:text}", answer=write, words=choice.words)


def key_line(model: type[BaseModel], name: str) -> str:
    """A key with its default, meaning and type."""
    spec = model.model_fields[name]
    default = spec.get_default(call_default_factory=True)
    plain = default.model_dump() if isinstance(default, BaseModel) else default
    value = "" if plain in (PydanticUndefined, None, "") else f" {flow(plain)}"
    needed = f", {say('needed')}" if spec.is_required() else ""
    meaning = say(" ".join((spec.description or N_("the files of records")).split()))
    return f"{name}:{value}  # {meaning} ({_type(spec.annotation)}{needed})"


def reference() -> str:
    """Every key of the dataset file with its default, meaning and type, as comments of a YAML
    text.
    """
    lines: list[str] = []
    for title, model in MODELS.items():
        names = [name for name, spec in model.model_fields.items() if not spec.exclude]
        lines += ["", say(title), *indented([key_line(model, name) for name in names])]
    for table, records in RECORDS.items():
        heading = say(
            "In columns of tables.{table:text}, where {what:text} is a row (our column: the file's"
            " column):",
            table=table,
            what=say(records.row),
        )
        lines += ["", heading]
        for name, meaning in records.columns.items():
            more = {
                say(meaning.reads_as): True,
                say("needed"): meaning.needed,
                say("a person's, never shown"): meaning.person,
                say("serves to make others"): meaning.read_only,
            }
            said = ", ".join(word for word, holds in more.items() if holds)
            lines.append(f"  {name}:  # {say(meaning.words)} ({said})")
    return "".join(comment(line).rstrip() + "\n" for line in lines[1:])


def _type(annotation: Any) -> str:
    """A type in words."""
    origin = get_origin(annotation)
    inside = [_type(a) for a in get_args(annotation) if a is not type(None)]
    if origin is Annotated:
        return inside[0]
    if origin is list:
        return say("list of {kind:text}", kind=inside[0])
    if origin is dict:
        return f"{inside[0]}: {inside[1]}"
    if origin:
        return say(" or ").join(dict.fromkeys(inside))
    if annotation in TYPES:
        return say(TYPES[annotation])
    return say("keys, see below") if isinstance(annotation, type) else str(annotation)
