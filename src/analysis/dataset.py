"""The dataset file: where a company's records are, what their columns mean, and the knobs of its runs."""

import datetime as dt
import re
import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from analysis.errors import InputError, did_you_mean

MAX_YAML_BYTES = 1_000_000  # a dataset file is a page of text; more is a mistake or an attack
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # it becomes a folder


NEEDED = ("customer_id", "date", "amount")
KNOWN = (*NEEDED, "quantity", "order_id")  # what a column of the transactions may mean
DATE_DIRECTIVES = set("YymdHMSfpIbBjzZ%-")  # of strftime, that the engine reads


def _meant(columns: dict[str, str]) -> dict[str, str]:
    if unknown := [f"{name}; {did_you_mean(name, KNOWN)}" for name in columns if name not in KNOWN]:
        raise ValueError(f"unknown meaning {', '.join(unknown)}")
    if missing := [name for name in NEEDED if not columns.get(name, "").strip()]:
        raise ValueError(f"no column is named for {', '.join(missing)}")
    return columns


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError(f"no such time zone; {did_you_mean(name, zoneinfo.available_timezones())[:80]}")
    return name


def _date_format(text: str) -> str:
    if wrong := sorted(set(re.findall(r"%(.?)", text)) - DATE_DIRECTIVES):
        raise ValueError(f"%{wrong[0]} is no part of a date; write e.g. %Y-%m-%d or %d/%m/%Y %H:%M")
    return text


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableFile(_Strict):
    """One table of records as it lies on the disk."""

    path: Path | None = Field(None, description="file, relative to the dataset file")
    sample: str | None = Field(None, description="a sample that comes with a package, instead of path")
    format: Literal["csv", "whitespace"] = Field("csv", description="how the fields of a line are separated")
    separator: str = Field(",", description="between the fields of a csv line", min_length=1, max_length=1)
    columns: Annotated[dict[str, str], AfterValidator(_meant)] = Field(
        description="our column: the file's column (customer_id, date, amount; order_id, quantity, … if known)"
    )
    date_format: Annotated[str, AfterValidator(_date_format)] = Field("%Y-%m-%d", description="as in strftime")
    order_key: list[str] = Field([], description="our columns that name one order line, as order_id and product")

    @model_validator(mode="after")
    def _whole(self) -> "TableFile":
        if (self.path is None) == (self.sample is None):
            raise ValueError("write either path or sample")
        if unknown := [name for name in self.order_key if name not in self.columns]:
            raise ValueError(f"order_key: {', '.join(unknown)} is not among columns")
        return self


class Tables(_Strict):
    transactions: TableFile


class Dataset(_Strict):
    """A dataset file, checked. Times are in days, money in `currency`."""

    name: str = Field("", pattern=NAME, description="of its folders; by default the file's name")
    title: str = Field("", description="what the reports call the company")
    tables: Tables
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="in which days are cut")
    language: str = Field("en", description="of the reports: a file in messages/")
    as_of: dt.date | None = Field(None, description="the day of the picture; by default the last complete day")
    max_staleness_days: int = Field(7, ge=0, description="refuse a log whose newest order is older than this")
    horizon_days: int = Field(91, ge=1, description="how far ahead orders and churn are predicted")
    value_window_days: int = Field(365, ge=0, description="trailing days that count as value today; 0: all history")
    value_days: int = Field(1095, ge=1, description="how far ahead lifetime value counts")
    annual_discount_rate: float = Field(0.1, ge=0, lt=1, description="at which future money is discounted")
    margin: float | None = Field(None, gt=0, le=1, description="gross margin on revenue; unknown: value is revenue")
    seed: int = Field(1997, description="of everything drawn by chance")
    parameters: dict[str, Any] = Field({}, description="of notebooks, as in -p: 02_segments.clusters: 5")
    file: Path = Field(Path(), exclude=True, description="where this was read; set by load")


def load(path: str | Path) -> Dataset:
    """Read and check a dataset file.

    Raises InputError that names the key, what was found, and the nearest right key.
    """
    path = Path(path)
    content = _read(path)
    if odd := [key for key in content if key == "file" or not isinstance(key, str)]:
        raise InputError(f"{path}: unknown key {odd[0]!r}; {did_you_mean(str(odd[0]), _keys_at(()))}")
    try:
        return Dataset.model_validate({"name": path.stem, **content, "file": path.resolve()})
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {_explain(e)}" for e in error.errors())) from None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        near = sorted(str(p) for p in path.parent.glob("*.yml"))
        raise InputError(f"{path}: no such dataset file; found beside it: {', '.join(near) or 'none'}")
    if path.stat().st_size > MAX_YAML_BYTES:
        raise InputError(f"{path}: {path.stat().st_size:,} bytes; a dataset file has at most {MAX_YAML_BYTES:,}")
    try:
        text = path.read_text("utf-8-sig")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InputError(f"{path}: YAML aliases (*name) are not used here; write the value out")
        content = yaml.load(text, _NoRepeats)  # noqa: S506  a SafeLoader
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; a dataset file has three levels") from None
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no keys; start with `tables:` (see data/cdnow.yml)")
    return content


class _NoRepeats(yaml.SafeLoader):
    """A SafeLoader that refuses a key written twice, of which YAML readers keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if repeated := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated[0]} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}; {did_you_mean(str(error['loc'][-1]), _keys_at(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{where} is missing; add it"
    return f"{where}: {said}" if error["type"] == "value_error" else f"{where}: {said} (found {error['input']!r})"


def _keys_at(loc: tuple[Any, ...]) -> list[str]:
    model: Any = Dataset
    for part in loc:
        model = model.model_fields[part].annotation
    return [key for key in model.model_fields if key != "file"]
