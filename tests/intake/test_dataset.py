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

SHOP = """\
tables:
  transactions:
    path: orders.csv
    columns: {customer_id: id, date: day, amount: eur}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, name="shop.yml"):
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return dataset.load(tmp_path / name)

    return write_and_load


def test_name_is_the_files_and_paths_are_relative_to_it(load, tmp_path):
    shop = load(SHOP, "north-shop.yml")
    assert shop.name == "north-shop"
    (tmp_path / "orders.csv").touch()
    (piece,) = readers.pieces(shop, "transactions")
    assert piece.path == tmp_path.resolve() / "orders.csv"


def test_a_written_name_wins_over_the_files(load):
    assert load(SHOP + "name: south\n").name == "south"


def test_byte_order_mark_is_no_part_of_the_first_key(load):
    assert load(b"\xef\xbb\xbf" + SHOP.encode()) == load(SHOP)


def test_bundled_sample_lies_on_the_disk(load):
    (piece,) = readers.pieces(
        load(SHOP.replace("path: orders.csv", "sample: cdnow")), "transactions"
    )
    assert piece.path.is_file()


def test_settings_cannot_be_changed_after_reading(load):
    with pytest.raises(ValueError, match="frozen"):
        load(SHOP).horizon_days = 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP + "curency: EUR\n", ["unknown key curency", "did you mean currency?"]),
        (SHOP + "zzz: 1\n", ["unknown key zzz", "known:", "horizon_days", "time_zone"]),
        (
            SHOP.replace("path:", "pth:"),
            ["unknown key tables.transactions.pth", "did you mean path?"],
        ),
        (
            SHOP.replace("  transactions:", "  transaction:"),
            ["tables.transactions is missing", "did you mean transactions?"],
        ),
        ("currency: EUR\n", ["tables is missing"]),
        (SHOP + "horizon_days: soon\n", ["horizon_days", "integer", "'soon'"]),
        (SHOP + "horizon_days: 0\n", ["horizon_days", "greater than or equal to 1", "found 0"]),
        (SHOP + "margin: 1.2\n", ["margin", "less than or equal to 1", "1.2"]),
        (SHOP + "margin: .nan\n", ["margin", "nan"]),
        (SHOP + "annual_discount_rate: 1\n", ["annual_discount_rate", "less than 1"]),
        (SHOP + "currency: eur\n", ["currency", "'eur'"]),
        (SHOP + "title: 2024\n", ["title", "string", "2024"]),
        (SHOP + "as_of: yesterday\n", ["as_of", "date", "'yesterday'"]),
        (SHOP + "name: ../up\n", ["name", "'../up'"]),
        (
            SHOP.replace("date: day", "date: ' '"),
            ["tables.transactions.columns", "no column is named for date"],
        ),
        (
            SHOP.replace("date: day", "date: 3"),
            ["tables.transactions.columns.date", "string", "found 3"],
        ),
        ("tables:\n", ["tables", "None"]),
        ("", ["holds no keys", "tables:"]),
        ("- tables\n", ["holds no keys", "tables:"]),
        ("tables: [\n", ["not readable as YAML", "line 2"]),
        (
            "title: !!python/object/apply:os.system [id]\n",
            ["not readable as YAML", "python/object"],
        ),
        (b"title: \xd5\xc5\xc8\xfd\n", ["not readable as YAML", "utf-8"]),
    ],
)
def test_a_mistake_is_named_with_its_key_and_remedy(load, text, said):
    with pytest.raises(InputError) as error:
        load(text)
    assert "shop.yml: " in str(error.value)
    for words in said:
        assert words in str(error.value)


def test_all_mistakes_are_said_at_once(load):
    with pytest.raises(InputError) as error:
        load(SHOP + "seeed: 1\nhorizon_days: 0\n")
    assert len(str(error.value).splitlines()) == 2


def test_missing_file_lists_its_neighbours(load, tmp_path):
    load(SHOP, "shop.yml")
    with pytest.raises(
        InputError, match=r"shp\.yml: no such dataset file; found beside it: .*shop\.yml"
    ):
        dataset.load(tmp_path / "shp.yml")


def test_missing_folder_is_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such dataset file; found beside it: none"):
        dataset.load(tmp_path / "nowhere" / "shop.yml")


def test_alias_bomb_is_refused_before_it_unfolds(load):
    """Nine levels of nine: a few hundred bytes that stand for 387 million values."""
    levels = ["a0: &a0 [" + ", ".join("x" * 9) + "]"]
    levels += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)]
    with pytest.raises(InputError, match="aliases"):
        load(SHOP + "parameters:\n  " + "\n  ".join(levels) + "\n")


def test_huge_file_is_refused_unread(load):
    with pytest.raises(InputError, match="at most 1,000,000"):
        load(SHOP + "#" * 1_000_000)


def test_unknown_sample_suggests_the_nearest(load):
    with pytest.raises(InputError, match="did you mean cdnow"):
        readers.pieces(load(SHOP.replace("path: orders.csv", "sample: cdnw")), "transactions")


@pytest.mark.parametrize("line", ["2024: x", "yes: 1", "file: orders.csv"])
def test_a_key_that_is_no_python_keyword_is_an_input_error(load, line):
    with pytest.raises(InputError):
        load(SHOP + line + "\n")


def test_a_day_that_does_not_exist_is_an_input_error(load):
    with pytest.raises(InputError, match=r"as_of|day is out of range"):
        load(SHOP + "as_of: 2026-02-30\n")


def test_deep_nesting_is_an_input_error(load):
    with pytest.raises(InputError):
        load(SHOP + "parameters: " + "[" * 2_000 + "]" * 2_000 + "\n")


@pytest.mark.parametrize("column", ["customer_id: id, ", "date: day, "])
def test_a_meaning_that_every_log_needs_must_be_named(load, column):
    with pytest.raises(
        InputError, match=f"columns: no column is named for {column.partition(':')[0]}"
    ):
        load(SHOP.replace(column, ""))


def test_amounts_are_no_need(load):
    shop = load(SHOP.replace(", amount: eur", ""))
    assert not shop.has_money and load(SHOP).has_money
    assert load(SHOP.replace("amount: eur", "unit_price: eur, quantity: n")).has_money


def test_an_unknown_meaning_suggests_the_nearest(load):
    with pytest.raises(InputError, match="did you mean quantity"):
        load(SHOP.replace("amount: eur", "amount: eur, quantty: n"))


def test_an_order_key_of_unmapped_columns_is_an_input_error(load):
    with pytest.raises(InputError, match="order_id"):
        load(SHOP + "    order_key: [order_id]\n")


def test_an_unknown_time_zone_is_an_input_error(load):
    with pytest.raises(InputError, match="time_zone"):
        load(SHOP + "time_zone: Mars/Olympus\n")


def test_a_key_written_twice_is_an_input_error(load):
    with pytest.raises(InputError, match="horizon_days"):
        load(SHOP + "horizon_days: 30\nhorizon_days: 90\n")


def test_errors_carry_the_exit_code():
    assert (InputError("").exit_code, RunError("").exit_code) == (2, 1)


def test_nearest_word_or_all_words():
    assert did_you_mean("sead", ["seed", "margin"]) == "did you mean seed?"
    assert did_you_mean("zzz", ["seed", "margin"]) == "known: margin, seed"


# --- every key ------------------------------------------------------------------------------------
# --------------------

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
care: {strategic_days: 14, important_days: 30, ordinary_days: 90, days_ahead: 60, per_owner_per_day: 2, country: SG}
retention:
  message: {cost: 0.5, success: 0.02}
  call: {share: 0.1, success: 0.2}
  calls: 50
  on_silent: 0.25
  on_lost: 0
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
      columns: {customer_id: "1", date: "2", order_id: "3", status: "4", amount: "5"}
      constants: {channel: shop}
      date_format: {date: "%d/%m/%Y %H:%M"}
      decimal: ","
      returns: {status: [back], prefix: C}
      void_status: [void]
      order_key: [order_id, channel]
    - connection: postgresql://ann@host:5432/shop
      table: crm.orders
      columns: {customer_id: id, date: day}
      date_format: epoch_ms
  customers: {path: c.xlsx, sheet: A, columns: {customer_id: id, region: r}, attributes: {sort: s}, static: [region, sort]}
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
    assert first.meanings == ["customer_id", "date", "order_id", "status", "amount", "channel"]
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
        (Returns, {"status", "prefix"}),
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
    assert (retention.calls, retention.on_silent, retention.on_lost) == (50, 0.25, 0)


@pytest.mark.parametrize("way", ["message", "call"])
def test_what_is_not_written_of_a_way_to_reach_customers_is_as_without_a_word_of_it(load, way):
    usual = load(SHOP).retention
    for key, value in (("cost", 3), ("share", 0.5), ("success", 0.5)):
        written = load(SHOP + f"retention: {{{way}: {{{key}: {value}}}}}\n").retention
        assert written == usual.model_copy(
            update={way: getattr(usual, way).model_copy(update={key: value})}
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retention: {mesage: {cost: 1}}", ["retention.mesage", "did you mean message?"]),
        ("retention: {call: {costs: 1}}", ["retention.call.costs", "did you mean cost?"]),
        ("retention: {call: {cost: -1}}", ["retention.call.cost", "greater than or equal to 0"]),
        ("retention: {call: {cost: .inf}}", ["retention.call.cost", "finite"]),
        ("retention: {call: {success: 0}}", ["retention.call.success", "greater than 0"]),
        (
            "retention: {call: {success: 1.1}}",
            ["retention.call.success", "less than or equal to 1"],
        ),
        ("retention: {call: 5}", ["retention.call", "5"]),
        ("retention: {calls: 0}", ["retention.calls", "greater than or equal to 1"]),
        ("retention: {on_lost: 2}", ["retention.on_lost", "less than or equal to 1"]),
        ("retention: {call: {share: .nan}}", ["retention.call.share"]),
        ("retention: {call: {share: .inf}}", ["retention.call.share", "finite"]),
        ("churn: gone", ["churn", "'horizon', 'rhythm' or 'contract'", "'gone'"]),
        ("churn: contract", ["contract_end or churned"]),
    ],
)
def test_a_mistake_in_what_leaving_is_or_costs_is_named(load, text, said):
    with pytest.raises(InputError) as error:
        load(SHOP + text + "\n")
    for words in said:
        assert words in str(error.value)


@pytest.mark.parametrize("meaning", ["contract_end", "churned"])
def test_contracts_need_profiles_that_say_when_or_whether_they_ended(load, meaning):
    customers = f"  customers: {{path: c.csv, columns: {{customer_id: id, {meaning}: x}}}}\n"
    assert load(SHOP + customers + "churn: contract\n").churn == "contract"


def test_a_list_of_one_is_the_same_as_that_one(load):
    one = yaml.safe_load(SHOP)
    table = one["tables"]["transactions"]
    several = yaml.safe_dump({"tables": {"transactions": [table | {"path": ["orders.csv"]}]}})
    assert load(several) == load(SHOP)
    assert load(SHOP).files("customers") == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("orders.csv", "csv"),
        ("orders.2024.01.CSV.GZ", "csv"),
        ("orders.tsv", "csv"),
        ("orders", "csv"),
        ("orders.xlsm", "excel"),
        ("b/*.parquet", "parquet"),
        ("o.db", "sqlite"),
        ("o.sqlite", "sqlite"),
        ("o.duckdb", "duckdb"),
    ],
)
def test_the_format_is_seen_from_the_name(name, kind):
    table = {"table": "orders"} if kind in ("sqlite", "duckdb") else {}
    assert TableFile(path=name, columns={}, **table).kind == kind


def wrong(line, indent=4):
    return SHOP + " " * indent + line + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (wrong("colums: {}"), "unknown key tables.transactions.colums; did you mean columns?"),
        (
            wrong("returns: {stats: [x]}"),
            "unknown key tables.transactions.returns.stats; did you mean status?",
        ),
        (wrong("password: x"), "unknown key tables.transactions.password; "),
        (
            wrong("custmers: {path: c.csv, columns: {customer_id: id}}", 2),
            "unknown key tables.custmers; did you mean customers?",
        ),
        (
            wrong("format: exel"),
            "tables.transactions.format: no format 'exel'; did you mean excel?",
        ),
        (
            wrong("header: -1"),
            "tables.transactions.header: Input should be greater than or equal to 0 (found -1)",
        ),
        (
            wrong("separator: ';;'"),
            "tables.transactions.separator: String should have at most 1 character",
        ),
        (
            wrong("separator: '\"'"),
            "tables.transactions.separator: '\"' cannot stand between fields",
        ),
        (wrong("max_unpacked_mb: 0"), "tables.transactions.max_unpacked_mb: "),
        (wrong("decimal: ';'"), "tables.transactions.decimal: Input should be '.' or ','"),
        (
            wrong("sheet: 2024"),
            "tables.transactions.sheet: Input should be a valid string (found 2024)",
        ),
        (wrong("sheet: Orders"), "tables.transactions: sheet belongs to excel, but this is csv"),
        (
            wrong("table: orders"),
            "tables.transactions: table belongs to sqlite or duckdb or postgresql, but this is csv",
        ),
        (
            wrong("query: SELECT 1"),
            "tables.transactions: query belongs to sqlite or duckdb or postgresql or parquet, but",
        ),
        (
            SHOP.replace("orders.csv", "o.xlsx") + "    encoding: gbk\n",
            "encoding belongs to csv or whitespace, but this is excel",
        ),
        (
            SHOP.replace("orders.csv", "o.xlsx") + "    separator: ;\n",
            "separator belongs to csv, but this is excel",
        ),
        (
            wrong("date_format: dd.mm.yyyy"),
            "tables.transactions.date_format: 'dd.mm.yyyy' is no date format; write e.g. %Y-%m-%d",
        ),
        (wrong("date_format: '%d.%Q'"), "tables.transactions.date_format: %Q is no part of a date"),
        (wrong("date_format: 5"), "tables.transactions.date_format: 5 is no date format"),
        (wrong("date_format: {date: 5}"), "tables.transactions.date_format: 5 is no date format"),
        (
            wrong("date_format: {dat: iso}"),
            "tables.transactions.date_format: no such column dat; did you mean date?",
        ),
        (
            wrong("constants: {chanel: web}"),
            "tables.transactions.columns: unknown meaning chanel; did you mean channel?",
        ),
        (
            wrong("constants: {channel: 5}"),
            "tables.transactions.constants.channel: Input should be a valid string (found 5)",
        ),
        (
            wrong("constants: {amount: '5'}"),
            "tables.transactions: amount stands in columns and in constants; keep one",
        ),
        (
            wrong("attributes: {sort: s}"),
            "tables.transactions: attributes belong to the table customers",
        ),
        (
            wrong("static: [region]"),
            "tables.transactions.static: region is not among columns or attributes",
        ),
        (
            wrong("order_key: [order_id]"),
            "tables.transactions.order_key: order_id is not among columns",
        ),
        (
            wrong("order_key: order_id"),
            "tables.transactions.order_key: Input should be a valid list (found 'order_id')",
        ),
        (
            wrong("returns: {status: [back]}"),
            "tables.transactions: returns.status and void_status need a column for status",
        ),
        (
            wrong("void_status: [void]"),
            "tables.transactions: returns.status and void_status need a column for status",
        ),
        (
            wrong("returns: {prefix: C}"),
            "tables.transactions: returns.prefix needs a column for order_id",
        ),
        (
            wrong("returns: {status: back}"),
            "tables.transactions.returns.status: Input should be a valid list",
        ),
        (wrong("sample: cdnow"), "tables.transactions: write one of path, sample and connection"),
        (
            SHOP.replace("path: orders.csv", "path:"),
            "tables.transactions.path: Input should be a valid string (found None)",
        ),
        (
            SHOP.replace("path: orders.csv", "path: []"),
            "tables.transactions: write one of path, sample and connection",
        ),
        (
            SHOP.replace("path: orders.csv", "path: ''"),
            "tables.transactions: write one of path, sample and connection",
        ),
        (
            SHOP.replace("    path: orders.csv\n", ""),
            "tables.transactions: write one of path, sample and connection",
        ),
        (
            SHOP.replace("orders.csv", "[a.csv, b.xlsx]"),
            "tables.transactions: files of several kinds (csv, excel); describe each",
        ),
        (
            SHOP.replace("orders.csv", "o.sqlite"),
            "tables.transactions: a database needs either table or query",
        ),
        (
            SHOP.replace("path: orders.csv", "connection: host=h"),
            "tables.transactions: a database needs either table or query",
        ),
        (
            SHOP.replace("orders.csv", "o.duckdb") + "    table: t\n    query: SELECT 1\n",
            "tables.transactions: a database needs either table or query",
        ),
        (
            SHOP.replace("orders.csv", "'*.parquet'") + "    query: SELECT 1\n",
            "a query of several parquet files",
        ),
        (
            wrong("customers: {path: c.csv, columns: {}}", 2),
            "tables.customers.columns: no column is named for customer_id",
        ),
        (
            wrong("customers: c.csv", 2),
            "tables.customers: holds no keys; write them below it, indented (found 'c.csv')",
        ),
        ("tables: {transactions: }\n", "tables.transactions: holds no keys"),
        ("tables: {transactions: []}\n", "tables.transactions: List should have at least 1 item"),
        (
            wrong(
                "customers: {path: c.csv, columns: {customer_id: id}, attributes: {region: r}}", 2
            ),
            "tables.customers.attributes: region is known; move it to columns",
        ),
        (
            wrong(
                "feedback: [{path: a.csv, columns: {customer_id: i, date: d}}, {path: b.csv,"
                " columns: {date: d}}]",
                2,
            ),
            "tables.feedback.1.columns: no column is named for customer_id",
        ),
        (
            wrong(
                "feedback: [{path: a.csv, columns: {customer_id: i, date: d}}, {pth: b.csv,"
                " columns: {date: d}}]",
                2,
            ),
            "unknown key tables.feedback.1.pth; did you mean path?",
        ),
        (SHOP + "rates: {USD: 0}\n", "rates.USD: Input should be greater than 0 (found 0)"),
        (SHOP + "rates: {USD: .nan}\n", "rates.USD: Input should be a finite number"),
        (SHOP + "rates: {usd: 7}\n", "rates.usd"),
        (SHOP + "seed: -1\n", "seed: Input should be greater than or equal to 0 (found -1)"),
        (SHOP + "engine: spark\n", "engine: Input should be 'duckdb' (found 'spark')"),
        (
            SHOP + "time_zone: Asia/Shangai\n",
            "time_zone: no such time zone; did you mean Asia/Shanghai?",
        ),
        (SHOP + "max_staleness_days: -1\n", "max_staleness_days: "),
        (SHOP + "value_window_days: -1\n", "value_window_days: "),
        (SHOP + "value_days: 0\n", "value_days: "),
        (SHOP + "profile_max_age_days: 0\n", "profile_max_age_days: "),
        (SHOP + "parameters: [1]\n", "parameters: Input should be a valid dictionary (found [1])"),
        (SHOP + "same_customers: [a]\n", "same_customers: Input should be a valid string"),
        (SHOP + "language: 5\n", "language: Input should be a valid string (found 5)"),
    ],
)
def test_a_mistake_in_any_key_is_one_line_that_names_it(load, text, said):
    with pytest.raises(InputError) as error:
        load(text)
    assert said in str(error.value)
    assert re.fullmatch(r".*shop\.yml: [^\n]*", str(error.value))


def test_a_wrong_name_of_the_file_is_told(load):
    with pytest.raises(InputError, match=r"my shop\.yml: name: .*found 'my shop'"):
        load(SHOP, "my shop.yml")


@pytest.mark.parametrize(
    "connection",
    [
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
    ],
)
def test_a_password_in_the_dataset_file_is_refused_and_not_repeated(load, connection):
    with pytest.raises(InputError, match=r"put it into PGPASSWORD or ~/\.pgpass") as error:
        load(SHOP.replace("path: orders.csv", f'connection: "{connection}"\n    table: orders'))
    assert "tables.transactions.connection: a password stands in it" in str(error.value)
    assert "hush" not in str(error.value)


def test_a_password_in_the_wrong_place_is_not_repeated(load):
    address = "postgresql://ann:hu?sh@host/shop"
    for line in (
        f"path: {address}",
        f"path: [{{a: '{address}'}}]",
        f"connection: ['{address}']",
        f"path: orders.csv\n    returns: {address}",
        "connection: [host=h password=hu?sh]",
    ):
        with pytest.raises(InputError) as error:
            load(SHOP.replace("path: orders.csv", line))
        assert "sh@" not in str(error.value) and "hu?sh" not in str(error.value), line


@pytest.mark.parametrize(
    "connection",
    [
        "postgresql://ann@host:5432/shop",
        "postgresql://host:5432/shop?user=ann@here",
        "postgresql:///shop",
        "postgresql://ann@host:5432/shop?application_name=a@b",
        "host=h user=ann",
    ],
)
def test_a_connection_without_password_is_kept(load, connection):
    shop = load(SHOP.replace("path: orders.csv", f"connection: {connection}\n    table: orders"))
    assert shop.files("transactions")[0].connection == connection


def test_a_question_of_init_is_repeated_until_it_is_answered(load):
    text = (
        SHOP
        + '    # QUESTION: which comes first?\n    date_format: "?"\ncurrency: "?"\nparameters:\n '
        ' a: [1, "?"]\n'
    )
    with pytest.raises(InputError) as error:
        load(text)
    keys = ["tables.transactions.date_format", "currency", "parameters.a.1"]
    asked = str(error.value).splitlines()
    assert [
        line.partition(" is not answered yet. ")[0].rpartition(" ")[2] for line in asked
    ] == keys
    assert asked[0].endswith("which comes first?") and asked[1].endswith(
        "Write the answer instead of ?"
    )


def test_very_many_mistakes_are_counted(load):
    with pytest.raises(InputError, match="and 980 more") as error:
        load(SHOP + "".join(f"key{n}: 1\n" for n in range(1_000)))
    assert len(str(error.value).splitlines()) == dataset.MOST_MISTAKES + 1


def test_what_was_found_is_shown_in_short(load):
    with pytest.raises(InputError) as error:
        load(SHOP + f"horizon_days: {'x' * 100_000}\n")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", ["source", "line"])
def test_an_attribute_called_like_the_origin_of_a_row_is_refused(load, name):
    with pytest.raises(InputError, match=f"{name} is where a row came from"):
        load(
            SHOP
            + f"  customers: {{path: c.csv, columns: {{customer_id: id}}, attributes: {{{name}:"
            " x}}\n"
        )
