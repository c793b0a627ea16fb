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
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from analysis.errors import InputError, did_you_mean
from analysis.schema import RECORDS

MAX_YAML_BYTES = 1_000_000  # a dataset file is a page of text; more is a mistake or an attack
MOST_MISTAKES = 20  # that are said at once
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"  # it becomes a folder
CURRENCY = "^[A-Z]{3}$"
DATE_DIRECTIVES = set("YymdHMSfpIbBjzZ%-")  # of strftime, that the engine reads
DATE_WORDS = ("iso", "excel", "epoch_s", "epoch_ms")  # what is not written with directives
ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".parquet": "parquet",
    ".sqlite": "sqlite",
    ".db": "sqlite",
    ".duckdb": "duckdb",
}
DATABASES = ("sqlite", "duckdb", "postgresql")
ONLY_OF = {  # keys that mean nothing for other formats
    "table": DATABASES,
    "query": (*DATABASES, "parquet"),
    "sheet": ("excel",),
    "separator": ("csv",),
    "encoding": ("csv", "whitespace"),
}


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError(
            f"no such time zone; {did_you_mean(name, zoneinfo.available_timezones())[:80]}"
        )
    return name


def _date_format(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError(
            f"{text!r} is no date format; write e.g. %Y-%m-%d, or one by column, as {{date: excel}}"
        )
    if text in DATE_WORDS:
        return text
    if "%" not in text:
        raise ValueError(
            f"{text!r} is no date format; write e.g. %Y-%m-%d, %d/%m/%Y %H:%M, or one of"
            f" {', '.join(DATE_WORDS)}"
        )
    if wrong := sorted(set(re.findall(r"%(.?)", text)) - DATE_DIRECTIVES):
        raise ValueError(f"%{wrong[0]} is no part of a date; write e.g. %Y-%m-%d or %d/%m/%Y %H:%M")
    return text


def _no_password(address: str) -> str:
    if re.search(r"://[^/?@]*:[^?]*@|password\s*=", address):
        raise ValueError(
            "a password stands in it; take it out and put it into PGPASSWORD or ~/.pgpass"
        )
    return address


def _several(found: Any) -> Any:
    return found if isinstance(found, list) else [found]


def _date_formats(found: Any) -> str | dict[str, str]:
    return (
        {str(column): _date_format(f) for column, f in found.items()}
        if isinstance(found, dict)
        else _date_format(found)
    )


DateFormats = Annotated[str | dict[str, str], PlainValidator(_date_formats)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Measure = Literal["recency", "frequency", "money"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Returns(_Strict):
    """What marks a line as a return, besides an amount or a quantity below zero."""

    status: list[str] = Field([], description="values of the status column")
    prefix: str = Field(
        "", description="how the order id of a cancellation begins, before the id of its sale"
    )


class TableFile(_Strict):
    """Some records of one kind as they lie on the disk or in a database."""

    path: Annotated[list[str], BeforeValidator(_several)] = Field(
        [], description="file or files, relative to the dataset file; * stands for any text"
    )
    sample: Annotated[list[str], BeforeValidator(_several)] = Field(
        [], description="data that come with a package or are generated, instead of path"
    )
    connection: Annotated[str, AfterValidator(_no_password)] = Field(
        "",
        description=(
            "postgresql://user@host/database, instead of path; the password comes from PGPASSWORD"
            " or ~/.pgpass"
        ),
    )
    table: str = Field(
        "",
        description=(
            "of a database (also sqlite, duckdb): the table to read, as orders or crm.orders"
        ),
    )
    query: str = Field(
        "",
        description=(
            "of a database, instead of table: the SELECT to read; of a parquet file: it may also"
            " name those beside it"
        ),
    )
    format: (
        Literal["csv", "whitespace", "excel", "parquet", "sqlite", "duckdb", "postgresql"] | None
    ) = Field(None, description="by default what the file's name ends with")
    encoding: str = Field(
        "",
        description=(
            "of a text file; by default UTF-8, UTF-16 with its mark, or GB18030, whichever it is"
        ),
    )
    separator: str = Field(
        "",
        description="between the fields of a csv line; by default a comma, in .tsv a tab",
        max_length=1,
    )
    header: int = Field(
        1,
        ge=0,
        description="line of the column names; 0: there is none, columns are named 1, 2, 3, …",
    )
    sheet: str = Field("", description="of a workbook; needed where there are several")
    max_unpacked_mb: int = Field(
        4_000, ge=1, description="refuse a packed file (gz, xlsx) that unpacks to more"
    )
    columns: dict[str, str] = Field(description="our column: the file's column")
    attributes: dict[str, str] = Field(
        {}, description="of customers, further columns to group by: our name: the file's column"
    )
    constants: dict[str, str] = Field(
        {}, description="our column: a value that all rows share, as channel: shop"
    )
    static: list[str] = Field(
        [], description="of customers, columns that do not change, and so hold for past dates too"
    )
    date_format: DateFormats = Field(
        "iso",
        description=(
            "as in strftime, or iso, excel (serial number), epoch_s, epoch_ms; one, or one by"
            " column"
        ),
    )
    decimal: Literal[".", ","] = Field(".", description="decimal mark of the numbers")
    returns: Returns = Field(
        Returns(), description="what marks a return besides an amount or quantity below zero"
    )
    void_status: list[str] = Field(
        [], description="values of the status column whose rows never became a sale"
    )
    order_key: list[str] = Field(
        [], description="our columns that name one order line, as order_id and product"
    )

    @model_validator(mode="after")
    def _whole(self) -> "TableFile":
        if (
            bool(self.path) + bool(self.sample) + bool(self.connection) != 1
            or "" in self.path + self.sample
        ):
            raise ValueError("write one of path, sample and connection")
        if (
            len(kinds := {_kind_of(name) for name in self.path + self.sample}) > 1
            and not self.format
        ):
            raise ValueError(
                f"files of several kinds ({', '.join(sorted(kinds))}); describe each kind apart, as"
                " a list"
            )
        if odd := [
            key for key, kinds in ONLY_OF.items() if getattr(self, key) and self.kind not in kinds
        ]:
            raise ValueError(
                f"{odd[0]} belongs to {' or '.join(ONLY_OF[odd[0]])}, but this is {self.kind}"
            )
        if (
            self.kind == "parquet"
            and self.query
            and (len(self.path + self.sample) > 1 or "*" in "".join(self.path))
        ):
            raise ValueError(
                "a query of several parquet files would read them once for each; name one as path,"
                " the rest in it"
            )
        if self.separator in ('"', "\n", "\r", "\0"):
            raise ValueError(
                f'separator: {self.separator!r} cannot stand between fields; write e.g. ; or "\\t"'
            )
        if self.kind in DATABASES and bool(self.table) == bool(self.query):
            raise ValueError("a database needs either table or query")
        if empty := [name for name, column in self.columns.items() if not column.strip()]:
            raise ValueError(f"columns: no column is named for {', '.join(empty)}")
        if twice := sorted(set(self.columns) & set(self.constants)):
            raise ValueError(f"{', '.join(twice)} stands in columns and in constants; keep one")
        if unknown := [name for name in self.order_key if name not in self.meanings]:
            raise ValueError(f"order_key: {', '.join(unknown)} is not among columns")
        if (self.returns.status or self.void_status) and "status" not in self.meanings:
            raise ValueError("returns.status and void_status need a column for status")
        if self.returns.prefix and "order_id" not in self.meanings:
            raise ValueError("returns.prefix needs a column for order_id")
        return self

    @property
    def kind(self) -> str:
        """The format, declared or seen from the name."""
        if self.format or self.connection:
            return self.format or "postgresql"
        return _kind_of((self.path or self.sample)[0])

    @property
    def meanings(self) -> list[str]:
        """Our columns that this file fills."""
        return [*self.columns, *self.attributes, *self.constants]

    def format_of(self, column: str) -> str:
        """How the dates of one of our columns are written."""
        return (
            self.date_format
            if isinstance(self.date_format, str)
            else self.date_format.get(column, "iso")
        )


def _kind_of(name: str) -> str:
    endings = [ending.lower() for ending in Path(name).suffixes if ending.lower() != ".gz"]
    return ENDINGS.get(endings[-1] if endings else "", "csv")


Files = Annotated[list[TableFile], BeforeValidator(_several)]


class Tables(_Strict):
    """Each of RECORDS: one file description, or a list of them."""

    transactions: Files = Field(min_length=1, description="order lines")
    customers: Files = Field([], description="customer profiles")
    interactions: Files = Field([], description="calls, visits, messages, visits to the web site")
    feedback: Files = Field([], description="satisfaction scores, comments, complaints, tickets")
    campaigns: Files = Field([], description="who was treated, who was held back")
    products: Files = Field([], description="what is sold")

    @field_validator("*")
    @classmethod
    def _meant(cls, files: list[TableFile], info: ValidationInfo) -> list[TableFile]:
        for number, file in enumerate(files):
            try:
                _check_meanings(str(info.field_name), file)
            except ValueError as error:
                raise ValueError(f"{number}: {error}" if len(files) > 1 else str(error)) from None
        return files


def _check_meanings(table: str, file: TableFile) -> None:
    known = RECORDS[table].columns
    if unknown := [
        f"{name}; {did_you_mean(name, known)}"
        for name in (*file.columns, *file.constants)
        if name not in known
    ]:
        raise ValueError(f"columns: unknown meaning {', '.join(unknown)}")
    if missing := [
        name for name, column in known.items() if column.needed and name not in file.meanings
    ]:
        raise ValueError(f"columns: no column is named for {', '.join(missing)}")
    formats = file.date_format if isinstance(file.date_format, dict) else {}
    if unknown := [
        f"{name}; {did_you_mean(name, file.columns)}"
        for name in formats
        if name not in file.meanings
    ]:
        raise ValueError(f"date_format: no such column {', '.join(unknown)}")
    if file.attributes and table != "customers":
        raise ValueError("attributes belong to the table customers")
    if reserved := sorted(set(file.attributes) & {"source", "line"}):
        raise ValueError(
            f"attributes: {', '.join(reserved)} is where a row came from; give the attribute"
            " another name"
        )
    if clash := sorted(set(file.attributes) & set(known)):
        raise ValueError(f"attributes: {', '.join(clash)} is known; move it to columns")
    if unknown := sorted(set(file.static) - set(file.meanings)):
        raise ValueError(f"static: {', '.join(unknown)} is not among columns or attributes")


class Contact(_Strict):
    """A way to keep a customer who may leave: what it costs, and how often it works."""

    cost: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="money, for each customer reached"
    )
    share: float = Field(
        0.05,
        ge=0,
        allow_inf_nan=False,
        description=(
            "instead of cost, where that is not given: a share of what the average customer brings"
            " within the horizon"
        ),
    )
    success: float = Field(gt=0, le=1, description="share of the leavers reached who then stay")


class Retention(_Strict):
    """The cheap way and the costly one. The risks from which they pay are the bands of risk:
    assumptions, until measured.
    """

    message: Contact = Field(Contact(share=0.01, success=0.03), description="a letter or an e-mail")
    call: Contact = Field(Contact(share=0.05, success=0.08), description="a call or a visit")
    calls: int = Field(200, ge=1, description="customers that the team can call in a month")
    on_silent: float = Field(
        0.5, ge=0, le=1, description="of that success, what is left with silent customers"
    )
    on_lost: float = Field(0.1, ge=0, le=1, description="and with lost ones")

    @field_validator("message", "call", mode="before")
    @classmethod
    def _filled(cls, way: Any, info: ValidationInfo) -> Any:
        """What is not written of a way is as above, of each its own."""
        return (
            {**dict(cls.model_fields[str(info.field_name)].default), **way}
            if isinstance(way, dict)
            else way
        )


class Planning(_Strict):
    """What the plan of actions may cost, and what it goes by."""

    playbook: str = Field(
        "",
        description=(
            "retail, b2b, lending, or a file beside this one; by default b2b where companies have"
            " owners, else retail"
        ),
    )
    budget: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="money for one cycle; by default as much as pays",
    )
    capacity: dict[Literal["channel", "account_owner"], dict[str, Annotated[int, Field(ge=0)]]] = (
        Field(
            {},
            description=(
                "most customers in a cycle, by channel or account owner, as {channel: {phone: 200}}"
            ),
        )
    )
    contacts: int = Field(
        2, ge=1, description="campaigns that may reach a customer within contact_days"
    )
    contact_days: int = Field(30, ge=1, description="see contacts")
    campaigns: dict[str, str] = Field(
        {},
        description=(
            "rule of the playbook: campaign_id or kind of the campaign that measured its effect"
        ),
    )
    smallest_effect: float = Field(
        0.03, gt=0, description="extra orders a customer that are worth finding in a campaign"
    )
    goals: str = Field("", description="file of goals beside this one")


class Level(_Strict):
    """A level of the loyalty programme: who is in it, what members get, and what that is assumed to
    bring.
    """

    name: str = Field(min_length=1, description="bronze, silver, gold, platinum, or own words")
    from_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description=(
            "share of those who spent within the value window who spend less: 0.9 is the top tenth"
        ),
    )
    from_amount: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="instead of from_share: money within the value window",
    )
    multiplier: float = Field(1.0, ge=0, allow_inf_nan=False, description="of the points")
    benefit_share: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="cost of benefits, as a share of what the level's members spend",
    )
    benefit_cost: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="instead of benefit_share: money a year, for each member",
    )
    lift: float = Field(
        0.01,
        ge=0,
        allow_inf_nan=False,
        description="share of orders that members are assumed to place besides",
    )


class Loyalty(_Strict):
    """A programme of points and levels, as it might be. What it brings is assumed, until a campaign
    has measured it.
    """

    points: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="for each unit of money spent"
    )
    point_value: float = Field(
        0.01, ge=0, allow_inf_nan=False, description="money that a point is worth when redeemed"
    )
    expiry_days: int = Field(365, ge=1, le=36_500, description="after which a point expires")
    redeemed: float = Field(
        0.7, ge=0, le=1, description="share of the points that are redeemed before they expire"
    )
    levels: list[Level] = Field(
        [
            Level(name="bronze"),
            Level(name="silver", from_share=0.6, multiplier=1.25, benefit_share=0.002, lift=0.02),
            Level(name="gold", from_share=0.9, multiplier=1.5, benefit_share=0.005, lift=0.03),
        ],
        min_length=1,
        description="the lowest first, in which everybody is",
    )

    @model_validator(mode="after")
    def _ascending(self) -> "Loyalty":
        first, *higher = self.levels
        if first.from_share or first.from_amount:
            raise ValueError(f"levels: everybody is in the first, so {first.name} begins at 0")
        if len({level.from_amount is None for level in higher}) > 1:
            raise ValueError(
                "levels: write either from_share or from_amount for all after the first"
            )
        starts = [
            0.0,
            *(
                level.from_share if level.from_amount is None else level.from_amount
                for level in higher
            ),
        ]
        if sorted(set(starts)) != starts:
            raise ValueError("levels: each must begin above the one before")
        if len({level.name for level in self.levels}) < len(self.levels):
            raise ValueError("levels: two have the same name")
        return self


def _country(code: str) -> str:
    from holidays import list_supported_countries  # few dataset files name a country

    if code and code not in (known := list_supported_countries(include_aliases=False)):
        raise ValueError(f"no public holidays are known of it; {did_you_mean(code, known)[:80]}")
    return code


class Care(_Strict):
    """The calendar of visits, greetings and profiles to refresh."""

    strategic_days: int = Field(
        30,
        ge=0,
        description="after the last contact or order a strategic customer is visited; 0: never",
    )
    important_days: int = Field(60, ge=0, description="and an important one")
    ordinary_days: int = Field(0, ge=0, description="and an ordinary one")
    days_ahead: int = Field(30, ge=1, le=365, description="that the calendar covers")
    per_owner_per_day: int = Field(
        4, ge=1, description="most visits of an account owner on a working day, and most profiles"
    )
    country: Annotated[str, AfterValidator(_country)] = Field(
        "",
        description=(
            "ISO 3166 code: whose public holidays count; by default of Asia/Shanghai CN, of"
            " America/New_York US"
        ),
    )


class Dataset(_Strict):
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
    rfm_weights: dict[Measure, Weight] = Field(
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
    if asked := list(_questions(content)):
        raise InputError(
            "\n".join(
                f"{path}: {key} is not answered yet. {said}"
                for key, said in zip(asked, _asked(path), strict=False)
            )
        )
    if odd := [key for key in content if key == "file" or not isinstance(key, str)]:
        raise InputError(
            f"{path}: unknown key {odd[0]!r}; {did_you_mean(str(odd[0]), _keys_at(()))}"
        )
    try:
        return Dataset.model_validate({"name": path.stem, **content, "file": path.resolve()})
    except ValidationError as error:
        said = [f"{path}: {_explain(e, content)}" for e in error.errors()[:MOST_MISTAKES]]
        more = (
            [f"{path}: and {error.error_count() - MOST_MISTAKES:,} more"]
            if error.error_count() > MOST_MISTAKES
            else []
        )
        raise InputError("\n".join(said + more)) from None


def _questions(content: Any, where: str = "") -> Iterator[str]:
    """The keys whose value is still ?, as init leaves what it must not guess."""
    inside = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for key, value in inside:
        here = f"{where}.{key}" if where else str(key)
        if value == "?":
            yield here
        yield from _questions(value, here)


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
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no keys; start with `tables:` (see data/cdnow.yml)")
    return content


def _asked(path: Path) -> Iterator[str]:
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
    loc = _written(error["loc"], content)
    where = ".".join(str(part) for part in loc)
    said = error["msg"].removeprefix("Value error, ")
    while error["type"] == "value_error" and (
        (key := said.partition(": ")[0]).isdigit() or key in _keys_at(loc)
    ):
        where, said = f"{where}.{key}", said.partition(": ")[2]
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}; {did_you_mean(str(loc[-1]), _keys_at(loc[:-1]))}"
    if error["type"] == "missing":
        return f"{where} is missing; add it"
    if error["type"] == "model_type":
        return (
            f"{where}: holds no keys; write them below it, indented (found"
            f" {_short(error['input'])})"
        )
    return (
        f"{where}: {said}"
        if error["type"] == "value_error"
        else f"{where}: {said} (found {_short(error['input'])})"
    )


def _short(found: Any) -> str:
    text = repr(found)
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
        inside = isinstance(content, dict) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        )
        content = (
            (content.get(part) if isinstance(content, dict) else content[part]) if inside else None
        )
    return tuple(kept)


def _keys_at(loc: tuple[Any, ...]) -> list[str]:
    model: Any = Dataset
    for part in loc:
        if model and isinstance(part, str) and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation)
    return [key for key in model.model_fields if key != "file"] if model else []


def _model_of(annotation: Any) -> Any:
    inside = get_args(annotation)
    return (
        annotation
        if hasattr(annotation, "model_fields")
        else _model_of(inside[0])
        if inside
        else None
    )
