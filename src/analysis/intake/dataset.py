"""The dataset file: where a company's records are, what their columns mean, and the knobs of its
runs.
"""

import datetime as dt
import itertools
import re
import zoneinfo
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from analysis.errors import InputError, did_you_mean
from analysis.intake.settings import Care, Loyalty, Planning, Retention, Strict
from analysis.intake.table_files import TableFile, Tables

MAX_YAML_BYTES = 1_000_000  # a dataset file is a page of text; more is a mistake or an attack
MOST_MISTAKES = 20  # that are said at once
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # it becomes a folder
CURRENCY = "^[A-Z]{3}$"


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError(
            f"no such time zone; {did_you_mean(name, zoneinfo.available_timezones())[:80]}"
        )
    return name


Rate = Annotated[float, Field(gt=0)]
Measure = Literal["recency", "frequency", "money"]


class Dataset(Strict):
    """A dataset file, checked. Times are in days, money in `currency`."""

    name: str = Field("", pattern=NAME, description="of its folders; by default the file's name")
    title: str = Field("", description="what the reports call the company")
    tables: Tables
    same_customers: str = Field(
        "", description="file of accepted suggestions: ids to be read as one customer"
    )
    currency: str = Field("USD", pattern=CURRENCY, description="ISO 4217 code")
    rates: dict[Annotated[str, Field(pattern=CURRENCY)], Rate] = Field(
        {}, description="what one unit of another currency is worth in `currency`, as USD: 7.2"
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="in which days are cut"
    )
    engine: Literal["duckdb"] = Field("duckdb", description="that works on the records")
    language: str = Field("en", description="of the reports: a file in messages/")
    as_of: dt.date | None = Field(
        None, description="the day of the picture; by default the last complete day"
    )
    max_staleness_days: int = Field(
        7, ge=0, description="refuse a log whose newest order is older than this"
    )
    horizon_days: int = Field(91, ge=1, description="how far ahead orders and churn are predicted")
    value_window_days: int = Field(
        365, ge=0, description="trailing days that count as value today; 0: all history"
    )
    value_days: int = Field(1095, ge=1, description="how far ahead lifetime value counts")
    annual_discount_rate: float = Field(
        0.1, ge=0, lt=1, description="at which future money is discounted"
    )
    margin: float | None = Field(
        None, gt=0, le=1, description="gross margin on revenue; unknown: value is revenue"
    )
    rfm_scores: int = Field(5, ge=3, le=10, description="levels of each RFM score")
    rfm_weights: dict[Measure, Rate] = Field(
        {}, description="of recency, frequency and money; 1 unless given"
    )
    rfm_cuts: dict[Measure, list[float]] = Field(
        {},
        description=(
            "ascending cut points instead of ranks, one less than rfm_scores: days of recency,"
            " orders, money"
        ),
    )
    rfm_segments: list[list[str]] = Field(
        [],
        description=(
            "names: a row for each recency score, the best first, with one for each of the other"
            " two, worst first"
        ),
    )
    abc_a: float = Field(
        0.8, gt=0, lt=1, description="share of the total that the A customers bring"
    )
    abc_b: float = Field(
        0.95, gt=0, lt=1, description="share of the total that A and B bring together"
    )
    silent_days: int = Field(
        0, ge=0, description="without an order, after which a customer is silent; 0: by own rhythm"
    )
    lost_days: int = Field(
        0, ge=0, description="without an order, after which a customer is lost; 0: by own rhythm"
    )
    churn: Literal["horizon", "rhythm", "contract"] = Field(
        "horizon",
        description=(
            "what leaving is: no order within horizon_days; none within the own usual pause; the"
            " contract's end, or the flag churned, in the profiles"
        ),
    )
    plan: Planning = Field(
        Planning(), description="what the plan of actions may cost, and what it goes by"
    )
    loyalty: Loyalty = Field(
        Loyalty(), description="a programme of points and levels, to be judged before it is begun"
    )
    care: Care = Field(Care(), description="how often customers are looked after, and by how many")
    retention: Retention = Field(
        Retention(), description="what reaching a customer costs, and how often it keeps one"
    )
    never_offer: list[str] = Field(
        [], description="products, or categories, that are never recommended"
    )
    segmentations: list[str] = Field(
        [], description="to make besides RFM, ABC and stages; by default all that the columns allow"
    )
    persons: bool | None = Field(
        None,
        description="whether customers are persons; by default where no column names a company",
    )
    profile_max_age_days: int = Field(
        365, ge=1, description="a profile not updated for longer is on the list to refresh"
    )
    seed: int = Field(1997, ge=0, description="of everything drawn by chance")
    parameters: dict[str, Any] = Field(
        {}, description="of notebooks, as in -p: 02_segments.clusters: 5"
    )
    file: Path = Field(Path(), exclude=True, description="where this was read; set by load")

    @model_validator(mode="after")
    def _cut_points(self) -> "Dataset":
        for name, cuts in self.rfm_cuts.items():
            if len(cuts) != self.rfm_scores - 1 or sorted(set(cuts)) != cuts:
                raise ValueError(
                    f"rfm_cuts: {name}: {self.rfm_scores} scores need {self.rfm_scores - 1}"
                    " ascending cut points"
                )
        if len({len(self.rfm_segments), *map(len, self.rfm_segments)}) > 1:
            raise ValueError("rfm_segments: needs as many names in each row as there are rows")
        if self.abc_a >= self.abc_b:
            raise ValueError(f"abc_b: {self.abc_b:g} must be above abc_a, {self.abc_a:g}")
        if self.churn == "contract" and not (
            self.has("customers", "contract_end") or self.has("customers", "churned")
        ):
            raise ValueError(
                "churn: contract needs a column for contract_end or churned in the table customers"
            )
        if 0 < self.lost_days < self.silent_days:
            raise ValueError(
                f"lost_days: {self.lost_days} must not be below silent_days, {self.silent_days}"
            )
        return self

    def files(self, table: str) -> list[TableFile]:
        """The file descriptions of one of RECORDS; none where the company has no such records."""
        return list(getattr(self.tables, table))

    def has(self, table: str, *columns: str) -> bool:
        """Whether some file of a table fills all these columns."""
        return any(set(columns) <= set(file.meanings) for file in self.files(table))

    @property
    def of_persons(self) -> bool:
        """Whether the customers are natural persons, whose small groups reports must not show."""
        return not self.has("customers", "company") if self.persons is None else self.persons

    @property
    def playbook(self) -> str:
        """The playbook asked for; without, that for firms where accounts have owners, else that for
        consumers.
        """
        return self.plan.playbook or (
            "b2b" if self.has("customers", "company", "owner") else "retail"
        )

    @property
    def has_money(self) -> bool:
        """Whether the order lines say what was paid."""
        return self.has("transactions", "amount") or self.has(
            "transactions", "unit_price", "quantity"
        )


def load(path: str | Path) -> Dataset:
    """Read and check a dataset file.

    Raises InputError that names the key, what was found, and the nearest right key.
    """
    path = Path(path)
    content = _read(path)
    faults = [
        f"{key} is not answered yet. {remedy}"
        for key, remedy in zip(_unanswered(content), _questions(path), strict=False)
    ] or [
        f"unknown key {key!r}; {did_you_mean(str(key), _keys_at(()))}"
        for key in content
        if key == "file" or not isinstance(key, str)
    ]
    if not faults:
        try:
            return Dataset.model_validate({"name": path.stem, **content, "file": path.resolve()})
        except ValidationError as error:
            faults = [_explain(one, content) for one in error.errors()]
    more = [f"and {len(faults) - MOST_MISTAKES:,} more"] if len(faults) > MOST_MISTAKES else []
    raise InputError("\n".join(f"{path}: {fault}" for fault in faults[:MOST_MISTAKES] + more))


def _unanswered(content: Any, where: str = "") -> Iterator[str]:
    """The keys whose value is still ?, as init leaves what it must not guess."""
    if isinstance(content, list):
        content = dict(enumerate(content))
    for key, value in content.items() if isinstance(content, dict) else ():
        here = f"{where}.{key}" if where else str(key)
        if value == "?":
            yield here
        yield from _unanswered(value, here)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        near = sorted(str(p) for p in path.parent.glob("*.yml"))
        raise InputError(
            f"{path}: no such dataset file; found beside it: {', '.join(near) or 'none'}"
        )
    if path.stat().st_size > MAX_YAML_BYTES:
        raise InputError(
            f"{path}: {path.stat().st_size:,} bytes; a dataset file has at most {MAX_YAML_BYTES:,}"
        )
    try:
        text = path.read_text("utf-8-sig")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise InputError(f"{path}: YAML aliases (*name) are not used here; write the value out")
        content = yaml.load(text, _NoRepeats)  # noqa: S506  a SafeLoader
    except RecursionError:
        raise InputError(f"{path}: nested too deeply; a dataset file has five levels") from None
    except yaml.MarkedYAMLError as error:  # without the text there, which may hold a password
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}: not readable as YAML: line {line}: {error.problem}") from None
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no keys; start with `tables:` (see data/cdnow.yml)")
    return content


def _questions(path: Path) -> Iterator[str]:
    """The questions that stand above the values that are still ?, in order; a plain remedy where
    there are none.
    """
    above = ""
    for line in path.read_text("utf-8-sig").splitlines():
        if re.search(r":\s*[\"']\?[\"']", line):
            yield (above.partition("QUESTION:")[2] or "Write the answer instead of ?").strip()
        above = line
    yield from itertools.repeat("Write the answer instead of ?")


class _NoRepeats(yaml.SafeLoader):
    """A SafeLoader that refuses a key written twice, of which YAML readers keep the last without a
    word.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(str(key.value) for key, _ in node.value)
        if repeated := [key for key, count in keys.items() if count > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {repeated[0]} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _explain(error: Any, content: dict[str, Any]) -> str:
    """A mistake that pydantic found, with its key and the remedy."""
    loc = _written(error["loc"], content)
    where, kind = ".".join(map(str, loc)), error["type"]
    said = error["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown key {where}; {did_you_mean(str(loc[-1]), _keys_at(loc[:-1]))}"
    if kind == "missing":
        return f"{where} is missing; add it"
    if kind == "value_error":
        while (key := said.partition(": ")[0]).isdigit() or key in _keys_at(loc):
            where, said = f"{where}.{key}", said.partition(": ")[2]
        return f"{where}: {said}"
    if kind == "model_type":
        said = "holds no keys; write them below it, indented"
    return f"{where}: {said} (found {_short(error['input'])})"


def _short(found: Any) -> str:
    """What was found, without passwords of addresses."""
    text = re.sub(r"://.*@|password.*", "…", repr(found), flags=re.IGNORECASE | re.DOTALL)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _written(loc: tuple[Any, ...], content: Any) -> tuple[Any, ...]:
    """Where an error is, as the person wrote it: without the number of the only description of a
    table.
    """
    kept: list[Any] = []
    for part in loc:
        if isinstance(part, int) and not isinstance(content, list):
            continue
        kept.append(part)
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            content = None
    return tuple(kept)


def _keys_at(loc: tuple[Any, ...]) -> list[str]:
    model: Any = Dataset
    for part in loc:
        if model and isinstance(part, str) and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation)
    return [key for key in model.model_fields if key != "file"] if model else []


def _model_of(annotation: Any) -> Any:
    if hasattr(annotation, "model_fields"):
        return annotation
    inside = get_args(annotation)
    return _model_of(inside[0]) if inside else None
