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
from analysis.intake.settings import (
    Care,
    Count,
    Days,
    Loyalty,
    Planning,
    Retention,
    Strict,
)
from analysis.intake.table_files import TableFile, Tables

MAX_YAML_BYTES = 1_000_000  # a dataset file is a page of text; more is a mistake or an attack
MOST_MISTAKES = 20  # that are said at once
# What `init` writes as comments above a ?, in any language: the question, and each answer
QUESTION, ANSWER = re.compile(r"^# [^:]+: (.+)"), "#   "
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # it becomes a folder


def _zone(name: str) -> str:
    if name not in (known := zoneinfo.available_timezones()):
        raise ValueError(f"no such time zone; {did_you_mean(name, known)[:80]}")
    return name


# Instead of a customer's number, in any case: nobody's.
NOBODY = (
    *("null", "none", "nil", "nan", "n/a", "#n/a", "na", "undefined", "unknown", "(not set)"),
    *("-", "--", "–", "—", "?", "guest", "guest user", "guest customer", "guest checkout"),
    *("walk-in", "walk in", "walkin", "walk-in customer", "walk in customer", "anonymous"),
    *("cash", "(blank)", "(none)", "#ref!", "#value!", "laufkundschaft", "barverkauf", "unbekannt"),
    *("client comptoir", "client de passage", "consumidor final", "público en general"),
    *("cash customer", "cash sale", "gast", "laufkunde", "invité", "invitado"),
    *("散客", "普通散客", "匿名", "匿名用户", "匿名买家", "游客", "非会员", "临时客户", "零售客户"),
    *("无", "未知"),
)

Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Rate = Annotated[float, Field(gt=0)]
# Why an order line is set apart though it should not be; cleaning says them in words
Reason = Literal[
    "wrong_field_count", "no_customer", "date_unreadable", "date_missing", "date_impossible",
    "amount_unreadable", "amount_impossible", "return_without_amount",
]  # fmt: skip
Measure = Literal["recency", "frequency", "money"]


class Dataset(Strict):
    """A dataset file, checked. Times are in days, money in `currency`."""

    name: str = Field("", pattern=NAME)
    """of its folders; by default the file's name"""
    title: str = ""
    """what the reports call the company"""
    tables: Tables
    same_customers: str = ""
    """file of accepted suggestions: ids to be read as one customer"""
    plain_ids: bool = False
    """whether customers' numbers are the same without zeros in front and .0 behind, as 007 and 7"""
    nobody: list[str] = []
    """values in place of a customer's number that are nobody's, besides NULL, N/A, guest, 散客 and
    the like"""
    somebody: list[str] = []
    """of such values those that are a customer's number all the same"""
    accept: list[Reason] = []
    """reasons for which more than a twentieth of the order lines, or of their money, may be set
    apart, as no_customer"""
    currency: Currency = "USD"
    """ISO 4217 code"""
    rates: dict[Currency, Rate] = {}
    """what one unit of another currency is worth in `currency`, as USD: 7.2"""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    """in which days are cut"""
    engine: Literal["duckdb"] = "duckdb"
    """that works on the records"""
    language: str = "en"
    """of the reports: a folder of report/locale"""
    as_of: dt.date | None = None
    """the day of the picture; by default the last complete day"""
    max_staleness_days: Days = 7
    """refuse a log whose newest order is older than this"""
    horizon_days: Count = 91
    """how far ahead orders and churn are predicted"""
    value_window_days: Days = 365
    """trailing days that count as value today; 0: all history"""
    value_days: Count = 1095
    """how far ahead lifetime value counts"""
    annual_discount_rate: float = Field(0.1, ge=0, lt=1)
    """at which future money is discounted"""
    margin: float | None = Field(None, gt=0, le=1)
    """gross margin on revenue; unknown: value is revenue, and whether an action pays is not told"""
    rfm_scores: int = Field(5, ge=3, le=10)
    """levels of each RFM score"""
    rfm_weights: dict[Measure, Rate] = {}
    """of recency, frequency and money; 1 unless given"""
    rfm_cuts: dict[Measure, list[float]] = {}
    """ascending cut points, one less than rfm_scores, instead of the customer's own limits
    (recency, in days) and of ranks (orders, money)"""
    rfm_segments: list[list[str]] = []
    """names: a row for each recency score, the best first, with one for each of the other two,
    worst first"""
    abc_a: float = Field(0.8, gt=0, lt=1)
    """share of the total that the A customers bring"""
    abc_b: float = Field(0.95, gt=0, lt=1)
    """share of the total that A and B bring together"""
    silent_days: Days = 0
    """without an order, after which a customer is silent; 0: by own rhythm and by who came back"""
    lost_days: Days = 0
    """without an order, after which a customer is lost; 0: by own rhythm and by who came back"""
    churn: Literal["horizon", "rhythm", "contract"] = "horizon"
    """what leaving is: no order within horizon_days; none within the own usual pause; the
    contract's end, or the flag churned, in the profiles"""
    plan: Planning = Planning()
    """what the plan of actions may cost, and what it goes by"""
    loyalty: Loyalty = Loyalty()
    """a programme of points and levels, to be judged before it is begun"""
    care: Care = Care()
    """how often customers are looked after, and by how many"""
    retention: Retention = Retention()
    """what reaching a customer costs, and how often it keeps one"""
    never_offer: list[str] = []
    """products, or categories, that are never recommended"""
    segmentations: list[str] = []
    """to make besides RFM, ABC and stages; by default all that the columns allow"""
    persons: bool | None = None
    """whether customers are persons; by default where no column names a company"""
    profile_max_age_days: Count = 365
    """a profile not updated for longer is on the list to refresh"""
    seed: Days = 1997
    """of everything drawn by chance"""
    parameters: dict[str, Any] = {}
    """of notebooks, as in -p: 02_segments.clusters: 5"""
    assumed: list[str] = []
    """keys whose values nobody has confirmed; the first page names them"""
    file: Path = Field(Path(), exclude=True)
    """where this was read; set by load"""

    @model_validator(mode="after")
    def _fits(self) -> "Dataset":
        for name, cuts in self.rfm_cuts.items():
            if len(cuts) != self.rfm_scores - 1 or sorted(set(cuts)) != cuts:
                raise ValueError(
                    f"rfm_cuts: {name}: {self.rfm_scores} scores need {self.rfm_scores - 1}"
                    " ascending cut points"
                )
        if len({len(self.rfm_segments), *map(len, self.rfm_segments)}) > 1:
            raise ValueError("rfm_segments: needs as many names in each row as there are rows")
        if strange := [key for key in self.assumed if key not in type(self).model_fields]:
            raise ValueError(f"assumed: no key {did_you_mean(strange[0], type(self).model_fields)}")
        if self.abc_a >= self.abc_b:
            raise ValueError(f"abc_b: {self.abc_b:g} must be above abc_a, {self.abc_a:g}")
        ended = (self.has("customers", name) for name in ("contract_end", "churned"))
        if self.churn == "contract" and not any(ended):
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
    def no_customers(self) -> list[str]:
        """What stands, in small letters, in place of a customer's number where there is none."""
        there = {*NOBODY, *map(str.lower, self.nobody)}
        return sorted(there - {*map(str.lower, self.somebody)})

    @property
    def of_persons(self) -> bool:
        """Whether the customers are natural persons, whose small groups reports must not show."""
        return not self.has("customers", "company") if self.persons is None else self.persons

    @property
    def playbook(self) -> str:
        """The playbook asked for, or b2b where accounts have owners, or retail."""
        firms = self.has("customers", "company", "owner")
        return self.plan.playbook or ("b2b" if firms else "retail")

    @property
    def has_money(self) -> bool:
        """Whether the order lines say what was paid."""
        paid = (("amount",), ("unit_price", "quantity"))
        return any(self.has("transactions", *columns) for columns in paid)


def load(path: str | Path) -> Dataset:
    """Read and check a dataset file.

    Raises InputError that names the key, what was found, and the nearest right key.
    """
    path = Path(path)
    text, content = _read(path)
    open_keys = [key for key, value in _leaves(content) if value == "?"]
    questions = itertools.chain(questions_in(text), itertools.repeat(list[str]()))
    faults = [
        f"{key} is not answered yet. {'; '.join(question) or 'Write the answer instead of ?'}"
        for key, question in zip(open_keys, questions, strict=False)
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


class _NoRepeats(yaml.SafeLoader):
    """Refuses a key written twice, of which YAML readers keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(str(key.value) for key, _ in node.value)
        if repeated := [key for key, count in keys.items() if count > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {repeated[0]} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
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
    return text, content


def _leaves(content: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """What is not made of further values, with its key."""
    inside = dict(enumerate(content)) if isinstance(content, list) else content
    if not isinstance(inside, dict):
        yield where, content
        return
    for key, value in inside.items():
        yield from _leaves(value, f"{where}.{key}" if where else str(key))


def questions_in(text: str) -> Iterator[list[str]]:
    """What `init` asks above each value that is still ?, in whatever language: the question, and
    the answers there are; nothing where a person wrote the ?.
    """
    asked: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith(ANSWER):
            asked.append(line.removeprefix(ANSWER))
        elif line.startswith("#"):
            asked = QUESTION.findall(line)
        else:
            if re.search(r":\s*[\"']\?[\"']", line):
                yield asked
            asked = []


def _explain(error: Any, content: dict[str, Any]) -> str:
    """A mistake that pydantic found, with its key and the remedy."""
    loc = _written(error["loc"], content)
    where, kind = ".".join(map(str, loc)), error["type"]
    said = error["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown key {where}; {did_you_mean(str(loc[-1]), _keys_at(loc[:-1]))}"
    if kind == "missing":
        return f"{where} is missing; add it"
    if kind == "value_error":  # it may begin with the key below, or the number of a description
        while (key := said.partition(": ")[0]).isdigit() or key in _keys_at(loc):
            where, said = f"{where}.{key}", said.partition(": ")[2]
        return f"{where}: {said}"
    if kind == "model_type":
        said = "holds no keys; write them below it, indented"
    found = re.sub(r"://.*@|password.*", "…", repr(error["input"]), flags=re.I)
    return f"{where}: {said} (found {found if len(found) <= 80 else f'{found[:80]}…'})"


def _written(loc: tuple[Any, ...], content: Any) -> list[Any]:
    """Where an error is, as it was written: without the number of a table's only description."""
    kept: list[Any] = []
    for part in loc:
        if isinstance(part, int) and not isinstance(content, list):
            continue
        kept.append(part)
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            content = None
    return kept


def _keys_at(loc: Any) -> list[str]:
    """The keys that are known at a place."""
    model: Any = Dataset
    for part in loc:
        if isinstance(part, str) and part in getattr(model, "model_fields", ()):
            model = model.model_fields[part].annotation
            while get_args(model):
                model = get_args(model)[0]
    return [key for key in getattr(model, "model_fields", ()) if key != "file"]
