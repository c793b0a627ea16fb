import datetime as dt
import re

import pytest
import yaml

from analysis.errors import InputError, RunError, did_you_mean
from analysis.intake import dataset, readers
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Care, Contact, Level, Loyalty, Retention
from analysis.intake.table_files import Returns, TableFile, Tables
from analysis.schema import RECORDS

PATH = "path: orders.csv"
SHOP = f"""\
tables:
  transactions:
    {PATH}
    columns: {{customer_id: id, date: day, amount: eur}}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, name="shop.yml"):
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return dataset.load(tmp_path / name)

    return write_and_load


@pytest.fixture
def fault(load):
    """What is said of a dataset file, without its name."""

    def said(text):
        with pytest.raises(InputError) as error:
            load(text)
        return "\n".join(
            re.fullmatch(r".*shop\.yml: ([^\n]*)", line)[1]
            for line in str(error.value).splitlines()
        )

    return said


def test_a_file_is_read_with_its_name_and_its_folder(load, tmp_path):
    shop = load(SHOP, "north-shop.yml")
    assert shop.name == "north-shop" and load(SHOP + "name: south\n").name == "south"
    (tmp_path / "orders.csv").touch()
    (piece,) = readers.pieces(shop, "transactions")
    assert piece.path == tmp_path.resolve() / "orders.csv"
    assert load(b"\xef\xbb\xbf" + SHOP.encode()) == load(SHOP)
    (sample,) = readers.pieces(load(SHOP.replace(PATH, "sample: cdnow")), "transactions")
    assert sample.path.is_file()
    with pytest.raises(ValueError, match="frozen"):
        shop.horizon_days = 7
    with pytest.raises(InputError, match=r"my shop\.yml: name: .*found 'my shop'"):
        load(SHOP, "my shop.yml")


def test_a_list_of_one_is_the_same_as_that_one(load):
    table = yaml.safe_load(SHOP)["tables"]["transactions"]
    several = yaml.safe_dump({"tables": {"transactions": [table | {"path": ["orders.csv"]}]}})
    assert load(several) == load(SHOP)
    assert load(SHOP).files("customers") == []


def test_what_a_company_has_is_told(load):
    assert load(SHOP).has_money and not load(SHOP.replace(", amount: eur", "")).has_money
    assert load(SHOP.replace("amount: eur", "unit_price: eur, quantity: n")).has_money
    assert not load(SHOP.replace("amount: eur", "unit_price: eur")).has_money
    people, firms = (
        load(SHOP),
        "  customers: {path: c.csv, columns: {customer_id: i, company: c%s}}\n",
    )
    assert (people.of_persons, people.playbook) == (True, "retail")
    firm, owned = load(SHOP + firms % ""), load(SHOP + firms % ", owner: o")
    assert (firm.of_persons, firm.playbook, owned.playbook) == (False, "retail", "b2b")
    assert load(SHOP + firms % "" + "persons: true\n").of_persons
    assert load(SHOP + "plan: {playbook: lending}\n").playbook == "lending"
    for meaning in ("contract_end", "churned"):
        profiles = f"  customers: {{path: c.csv, columns: {{customer_id: id, {meaning}: x}}}}\n"
        assert load(SHOP + profiles + "churn: contract\n").churn == "contract"


def test_the_format_is_seen_from_the_name():
    for name, kind in {
        "orders.csv": "csv",
        "orders.2024.01.CSV.GZ": "csv",
        "orders.tsv": "csv",
        "orders": "csv",
        "orders.xlsm": "excel",
        "b/*.parquet": "parquet",
        "o.db": "sqlite",
        "o.sqlite": "sqlite",
        "o.duckdb": "duckdb",
    }.items():
        table = {"table": "orders"} if kind in ("sqlite", "duckdb") else {}
        assert TableFile(path=name, columns={}, **table).kind == kind


def test_errors_carry_the_exit_code_and_the_nearest_word():
    assert (InputError("").exit_code, RunError("").exit_code) == (2, 1)
    assert did_you_mean("sead", ["seed", "margin"]) == "did you mean seed?"
    assert did_you_mean("zzz", ["seed", "margin"]) == "known: margin, seed"


# --- every key

FULL = """\
name: full
title: A company
currency: CNY
rates: {USD: 7.2, EUR: 7.8}
time_zone: Asia/Shanghai
engine: duckdb
language: zh
as_of: 2025-12-31
same_customers: same.csv
plain_ids: true
nobody: [walk up]
somebody: ["Null"]
accept: [no_customer]
assumed: [currency]
max_staleness_days: 0
horizon_days: 30
value_window_days: 0
value_days: 365
annual_discount_rate: 0
margin: 1
rfm_scores: 3
rfm_weights: {recency: 2}
rfm_cuts: {money: [10, 20]}
rfm_segments: [[a, b, c], [d, e, f], [g, h, i]]
abc_a: 0.7
abc_b: 0.9
silent_days: 30
lost_days: 60
churn: rhythm
plan: {contacts: 3}
loyalty:
  points: 2
  point_value: 0.05
  expiry_days: 730
  redeemed: 0.8
  levels:
    - {name: base, multiplier: 1, benefit_share: 0.001, lift: 0}
    - {name: top, from_amount: 1000, from_share: 0, benefit_cost: 5}
care:
  {strategic_days: 14, important_days: 30, ordinary_days: 90, days_ahead: 60,
   per_owner_per_day: 2, country: SG}
retention:
  message: {cost: 0.5, success: 0.02}
  call: {share: 0.1, success: 0.2}
  calls: 50
segmentations: [rfm]
never_offer: [packaging]
persons: true
profile_max_age_days: 1
seed: 0
parameters: {02_segments.clusters: 5}
tables:
  transactions:
    - path: [a.csv, b/*.csv]
      format: csv
      encoding: gb18030
      separator: "\\t"
      header: 0
      max_unpacked_mb: 1
      columns: {customer_id: "1", date: "2", order_id: "3", status: "4", amount: "5", discount: "6"}
      of_order: [amount, status]
      before_discount: true
      constants: {channel: shop}
      date_format: {date: "%d/%m/%Y %H:%M"}
      decimal: ","
      fill_down: [customer_id]
      returns: {status: [back], prefix: C, all: false}
      void_status: [void]
      order_key: [order_id, channel]
    - connection: postgresql://ann@host:5432/shop
      table: crm.orders
      columns: {customer_id: id, date: day}
      date_format: epoch_ms
  customers:
    {path: c.xlsx, sheet: A, columns: {customer_id: id, region: r}, attributes: {sort: s},
     static: [region, sort]}
  interactions: {path: i.sqlite, query: SELECT 1, columns: {customer_id: id, date: day}}
  feedback: {path: f.duckdb, table: f, columns: {customer_id: id, date: day, score: n}}
  campaigns: {sample: crm_demo/campaigns.csv, columns: {campaign_id: c, customer_id: id, date: d}}
  products: {path: p.parquet, query: FROM 'p.parquet', columns: {product: p}}
"""


def test_every_key_has_its_place(load):
    full = load(FULL)
    assert (full.name, full.currency, full.rates, full.as_of) == (
        "full",
        "CNY",
        {"USD": 7.2, "EUR": 7.8},
        dt.date(2025, 12, 31),
    )
    first, second = full.files("transactions")
    assert first.path == ["a.csv", "b/*.csv"] and (first.kind, first.separator, first.header) == (
        "csv",
        "\t",
        0,
    )
    columns = ["customer_id", "date", "order_id", "status", "amount", "discount"]
    assert first.meanings == [*columns, "channel"]
    assert (first.format_of("date"), second.format_of("date"), second.kind) == (
        "%d/%m/%Y %H:%M",
        "epoch_ms",
        "postgresql",
    )
    kinds = {
        table: [file.kind for file in full.files(table)]
        for table in RECORDS
        if table != "transactions"
    }
    assert kinds == {
        "customers": ["excel"],
        "interactions": ["sqlite"],
        "feedback": ["duckdb"],
        "campaigns": ["csv"],
        "products": ["parquet"],
    }
    assert full.has("transactions", "amount", "channel") and not full.has(
        "transactions", "amount", "product"
    )


def test_no_key_is_left_out_above_and_each_is_explained():
    written = yaml.safe_load(FULL)
    described = written["tables"]["transactions"] + [
        t for name, t in written["tables"].items() if name != "transactions"
    ]
    for model, keys in [
        (Dataset, {*written, "file"}),
        (Tables, {*written["tables"]}),
        (TableFile, {key for table in described for key in table}),
        (Returns, {"status", "prefix", "all"}),
        (Retention, {*written["retention"]}),
        (Loyalty, {*written["loyalty"]}),
        (Level, {key for level in written["loyalty"]["levels"] for key in level}),
        (Care, {*written["care"]}),
        (Contact, {key for way in ("message", "call") for key in written["retention"][way]}),
    ]:
        assert keys == set(model.model_fields)
        assert all(
            field.description for name, field in model.model_fields.items() if name != "tables"
        )


def test_what_reaching_a_customer_costs_and_how_often_it_works_are_read(load):
    retention = load(FULL).retention
    assert (retention.message.cost, retention.message.success) == (0.5, 0.02)
    assert (retention.call.cost, retention.call.share, retention.call.success) == (None, 0.1, 0.2)
    assert retention.calls == 50


# --- mistakes: what is written, and what is said

TOP = """\
curency: EUR => unknown key curency; did you mean currency?
zzz: 1 => unknown key zzz; known: abc_a, abc_b, accept
horizon_days: soon => horizon_days: Input should be a valid integer
horizon_days: 0 => horizon_days: Input should be greater than or equal to 1 (found 0)
margin: 1.2 => margin: Input should be less than or equal to 1 (found 1.2)
margin: .nan => margin: Input should be
annual_discount_rate: 1 => annual_discount_rate: Input should be less than 1
currency: eur => currency: String should match pattern '^[A-Z]{3}$' (found 'eur')
title: 2024 => title: Input should be a valid string (found 2024)
as_of: yesterday => as_of: Input should be a valid date
as_of: 2026-02-30 => day is out of range
name: ../up => name: String should match pattern
2024: x => unknown key 2024; known:
yes: 1 => unknown key True; known:
file: orders.csv => unknown key 'file';
horizon_days: 30\\nhorizon_days: 90 => \
not readable as YAML: line 1: the key horizon_days stands twice
rates: {USD: 0} => rates.USD: Input should be greater than 0 (found 0)
rates: {USD: .nan} => rates.USD: Input should be a finite number
rates: {usd: 7} => rates.usd
seed: -1 => seed: Input should be greater than or equal to 0 (found -1)
engine: spark => engine: Input should be 'duckdb' (found 'spark')
time_zone: Asia/Shangai => time_zone: no such time zone; did you mean Asia/Shanghai?
max_staleness_days: -1 => max_staleness_days:
value_window_days: -1 => value_window_days:
value_days: 0 => value_days:
profile_max_age_days: 0 => profile_max_age_days:
parameters: [1] => parameters: Input should be a valid dictionary (found [1])
same_customers: [a] => same_customers: Input should be a valid string
language: 5 => language: Input should be a valid string (found 5)
rfm_cuts: {money: [1, 2]} => rfm_cuts: money: 5 scores need 4 ascending cut points
rfm_cuts: {money: [1, 3, 2, 4]} => rfm_cuts: money: 5 scores need 4 ascending cut points
rfm_segments: [[a, b], [c]] => rfm_segments: needs as many names in each row as there are rows
abc_a: 0.95 => abc_b: 0.95 must be above abc_a, 0.95
silent_days: 9\\nlost_days: 8 => lost_days: 8 must not be below silent_days, 9
churn: gone => churn: Input should be 'horizon', 'rhythm' or 'contract' (found 'gone')
churn: contract => churn: contract needs a column for contract_end or churned in the table
retention: {mesage: {cost: 1}} => unknown key retention.mesage; did you mean message?
retention: {call: {costs: 1}} => unknown key retention.call.costs; did you mean cost?
retention: {call: {cost: -1}} => retention.call.cost: Input should be greater than or equal to 0
retention: {call: {cost: .inf}} => retention.call.cost: Input should be a finite number
retention: {call: {success: 0}} => retention.call.success: Input should be greater than 0
retention: {call: {success: 1.1}} => retention.call.success: Input should be less than or equal to 1
retention: {call: 5} => retention.call: holds no keys; write them below it, indented (found 5)
retention: {calls: 0} => retention.calls: Input should be greater than or equal to 1
retention: {call: {success: 2}} => retention.call.success: Input should be less than or equal to 1
retention: {call: {share: .nan}} => retention.call.share: Input should be
loyalty: {levels: [{name: a, from_share: 0.1}]} => levels: everybody is in the first, so a begins
loyalty: {levels: [{name: a}, {name: b}]} => levels: each must begin above the one before
loyalty: {levels: [{name: a}, {name: a, from_share: 0.1}]} => levels: two have the same name
care: {country: XX} => care.country: no public holidays are known of it;
"""
IN_TABLES = """\
custmers: {path: c.csv, columns: {customer_id: id}} => tables.custmers; did you mean customers?
customers: {path: c.csv, columns: {}} => customers.columns: no column is named for customer_id
customers: c.csv => tables.customers: holds no keys; write them below it, indented (found 'c.csv')
customers: {path: c, columns: {customer_id: i}, attributes: {region: r}} => region is known; move it
customers: {path: c, columns: {customer_id: i}, attributes: {line: r}} => line is where a row came
customers: {path: c, columns: {customer_id: i}, attributes: {source: r}} => source is where a row
feedback: [{path: a, columns: {customer_id: i, date: d}}, {path: b, columns: {date: d}}] => \
tables.feedback.1.columns: no column is named for customer_id
feedback: [{path: a, columns: {customer_id: i, date: d}}, {pth: b, columns: {date: d}}] => \
unknown key tables.feedback.1.pth; did you mean path?
"""
IN_FILE = """\
colums: {} => unknown key tables.transactions.colums; did you mean columns?
returns: {stats: [x]} => unknown key tables.transactions.returns.stats; did you mean status?
password: x => unknown key tables.transactions.password;
format: exel => tables.transactions.format: no format 'exel'; did you mean excel?
header: -1 => tables.transactions.header: Input should be greater than or equal to 0 (found -1)
separator: ';;' => tables.transactions.separator: String should have at most 1 character
separator: '"' => tables.transactions.separator: '"' cannot stand between fields
max_unpacked_mb: 0 => tables.transactions.max_unpacked_mb:
decimal: ';' => tables.transactions.decimal: Input should be '.' or ','
sheet: 2024 => tables.transactions.sheet: Input should be a valid string (found 2024)
sheet: Orders => tables.transactions: sheet belongs to excel, but this is csv
table: orders => tables.transactions: table belongs to sqlite or duckdb or postgresql, but this
query: SELECT 1 => tables.transactions: query belongs to sqlite or duckdb or postgresql or parquet
date_format: dd.mm.yyyy => date_format: 'dd.mm.yyyy' is no date format; write e.g. %Y-%m-%d
date_format: '%d.%Q' => tables.transactions.date_format: %Q is no part of a date
date_format: 5 => tables.transactions.date_format: 5 is no date format
date_format: {date: 5} => tables.transactions.date_format: 5 is no date format
date_format: {dat: iso} => date_format: no such column dat; did you mean date?
constants: {chanel: web} => columns: unknown meaning chanel; did you mean channel?
constants: {channel: 5} => constants.channel: Input should be a valid string (found 5)
constants: {amount: '5'} => tables.transactions: amount stands in columns and in constants; keep one
attributes: {sort: s} => tables.transactions: attributes belong to the table customers
static: [region] => tables.transactions.static: region is not among columns or attributes
order_key: [order_id] => tables.transactions.order_key: order_id is not among columns
order_key: order_id => order_key: Input should be a valid list (found 'order_id')
fill_down: [status] => fill_down: status is not among columns
returns: {status: [back]} => returns.status and void_status need a column for status
void_status: [void] => returns.status and void_status need a column for status
returns: {prefix: C} => tables.transactions: returns.prefix needs a column for order_id
of_order: [status] => tables.transactions.of_order: status is not among columns
of_order: [amount] => tables.transactions: of_order needs a column for order_id, and other columns
before_discount: true => tables.transactions: before_discount needs a column for discount
before_discount: percent => tables.transactions: before_discount needs a column for discount
returns: {status: back} => tables.transactions.returns.status: Input should be a valid list
sample: cdnow => tables.transactions: write one of path, sample and connection
"""
INSTEAD_OF_PATH = """\
pth: orders.csv => unknown key tables.transactions.pth; did you mean path?
path: => tables.transactions.path: Input should be a valid string (found None)
path: [] => tables.transactions: write one of path, sample and connection
path: '' => tables.transactions: write one of path, sample and connection
decimal: . => tables.transactions: write one of path, sample and connection
path: [a.csv, b.xlsx] => files of several kinds (csv, excel); describe each kind apart
path: postgresql://host/shop => path: an address is no file; write a database server's as connection
path: o.sqlite => tables.transactions: a database needs either table or query
connection: host=h => tables.transactions: a database needs either table or query
{path: o.duckdb, table: t, query: SELECT 1} => a database needs either table or query
{path: '*.parquet', query: SELECT 1} => a query of several parquet files
{path: o.xlsx, encoding: gbk} => encoding belongs to csv or whitespace, but this is excel
{path: o.xlsx, separator: ;} => separator belongs to csv, but this is excel
"""
WHOLE = {
    SHOP.replace("  transactions:", "  transaction:"): "tables.transactions is missing; add it",
    SHOP.replace("date: day", "date: ' '"): "columns: no column is named for date",
    SHOP.replace("date: day", "date: 3"): "columns.date: Input should be a valid string (found 3)",
    SHOP.replace("date: day, ", ""): "columns: no column is named for date",
    SHOP.replace("customer_id: id, ", ""): "columns: no column is named for customer_id",
    SHOP.replace("amount: eur", "amount: eur, quantty: n"): "did you mean quantity?",
    "currency: EUR\n": "tables is missing; add it",
    "tables:\n": "tables: holds no keys; write them below it, indented (found None)",
    "tables: {transactions: }\n": "tables.transactions: holds no keys",
    "tables: {transactions: []}\n": "tables.transactions: List should have at least 1 item",
    "": "holds no keys; start with `tables:`",
    "- tables\n": "holds no keys; start with `tables:`",
    "tables: [\n": "not readable as YAML: line 2",
    "title: !!python/object/apply:os.system [id]\n": "python/object",
    b"title: \xd5\xc5\xc8\xfd\n": "not readable as YAML: 'utf-8'",
    SHOP + "#" * 1_000_000: "a dataset file has at most 1,000,000",
    SHOP + "parameters: " + "[" * 500 + "]" * 500: "nested too deeply",
    # nine levels of nine: a few hundred bytes that stand for 387 million values
    "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 30)): (
        "YAML aliases (*name) are not used here; write the value out"
    ),
}


def test_a_mistake_in_any_key_is_named_with_its_remedy(fault):
    cases = dict(WHOLE)
    for lines, text in (
        (TOP, SHOP + "{}\n"),
        (IN_TABLES, SHOP + "  {}\n"),
        (IN_FILE, SHOP + "    {}\n"),
        (INSTEAD_OF_PATH, SHOP),
    ):
        for line in lines.splitlines():
            written, _, said = line.partition(" => ")
            if text is SHOP:
                keys = written.strip("{}").replace(", ", "\n    ") if written[0] == "{" else written
                cases[SHOP.replace(PATH, keys)] = said
            else:
                cases[text.replace("{}", written.replace("\\n", "\n"))] = said
    for text, said in cases.items():
        found = fault(text)
        assert said in found, (text, said, found)


def test_all_mistakes_are_said_at_once_up_to_a_limit_and_in_short(fault, load):
    assert len(fault(SHOP + "seeed: 1\nhorizon_days: 0\n").splitlines()) == 2
    many = fault(SHOP + "".join(f"key{n}: 1\n" for n in range(1_000))).splitlines()
    assert len(many) == dataset.MOST_MISTAKES + 1 and many[-1] == "and 980 more"
    assert len(fault(SHOP + f"horizon_days: {'x' * 100_000}\n")) < 500


def test_a_missing_file_lists_its_neighbours(load, tmp_path):
    load(SHOP)
    said = r"shp\.yml: no such dataset file; found beside it: .*shop\.yml"
    with pytest.raises(InputError, match=said):
        dataset.load(tmp_path / "shp.yml")
    with pytest.raises(InputError, match="no such dataset file; found beside it: none"):
        dataset.load(tmp_path / "nowhere" / "shop.yml")


def test_what_is_not_written_of_a_way_to_reach_customers_is_as_without_a_word_of_it(load):
    usual = load(SHOP).retention
    for way in ("message", "call"):
        for key, value in (("cost", 3), ("share", 0.5), ("success", 0.5)):
            written = load(SHOP + f"retention: {{{way}: {{{key}: {value}}}}}\n").retention
            changed = getattr(usual, way).model_copy(update={key: value})
            assert written == usual.model_copy(update={way: changed})


def test_a_password_in_the_dataset_file_is_refused_and_not_repeated(fault):
    for connection in (
        "postgresql://ann:hush@host/shop",
        "postgresql://ann:hu/sh@host/shop",
        "postgresql://ann:@host/shop",
        "postgresql://ann:hu?sh@host/shop",
        "postgresql://ann:hu?sh=1@host/shop",
        "postgresql://ann:hush@host:5432/shop?application_name=a@b",
        "postgresql://ann%3Ahush@host/shop",
        "postgresql://host/shop?%70assword=hush",
        "POSTGRESQL://host/shop?PASSWORD=hush",
        "postgresql://host/shop?user=ann&password=hush",
        "host=h user=ann password=hush",
        "host=h user=ann password = 'hush hush'",
    ):
        said = fault(SHOP.replace(PATH, f'connection: "{connection}"\n    table: orders'))
        assert said.startswith("tables.transactions.connection: a password stands in it;")
        assert said.endswith("put it into PGPASSWORD or ~/.pgpass") and "hush" not in said
    address = "postgresql://ann:hu?sh@host/shop"
    for line in (
        f"path: {address}",
        f"path: [{{a: '{address}'}}]",
        f"connection: ['{address}']",
        f"path: orders.csv\n    returns: {address}",
        "connection: [host=h password=hu?sh]",
        "connection: [host=h PASSWORD=hu?sh]",
    ):
        assert "hu?sh" not in fault(SHOP.replace(PATH, line)), line


def test_a_connection_without_password_is_kept(load):
    for connection in (
        "postgresql://ann@host:5432/shop",
        "postgresql://host:5432/shop?user=ann@here",
        "postgresql:///shop",
        "postgresql://ann@host:5432/shop?application_name=a@b",
        "host=h user=ann",
    ):
        shop = load(SHOP.replace(PATH, f"connection: {connection}\n    table: orders"))
        assert shop.files("transactions")[0].connection == connection


def test_a_question_of_init_is_repeated_until_it_is_answered(fault):
    asked = '    # QUESTION: which comes first?\n    date_format: "?"\ncurrency: "?"\n'
    assert fault(SHOP + asked + 'parameters:\n  a: [1, "?"]\n').splitlines() == [
        "tables.transactions.date_format is not answered yet. which comes first?",
        "currency is not answered yet. Write the answer instead of ?",
        "parameters.a.1 is not answered yet. Write the answer instead of ?",
    ]
