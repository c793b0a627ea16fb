import csv
import datetime as dt
import gzip
import io
import re
import sqlite3
import string
import zipfile
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import duckdb
import ibis
import lifetimes
import openpyxl
import pyarrow as pa
import pytest
import yaml
from babel import dates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.intake import (
    cleaning,
    column_matching,
    column_names,
    dataset,
    dataset_text,
    parsing,
    readers,
    store,
    value_formats,
)
from analysis.intake import columns as columns_seen
from analysis.intake import init as onboarding
from analysis.intake.rows import normal
from analysis.intake.table_files import Returns, TableFile, Tables
from analysis.schema import RECORDS

LIFETIMES = Path(lifetimes.__file__).parent / "datasets"
DAY = dt.date(2024, 1, 31)
CLOCKED = dt.datetime(2024, 1, 31, 20, 5)

# Headers as the programs write them; a test fills some of their columns.
TAOBAO = """订单编号,买家会员名,买家支付宝账号,买家应付货款,买家应付邮费,总金额,
买家实际支付金额,订单状态,买家留言,收货人姓名,收货地址 ,联系手机,订单创建时间,订单付款时间 ,
宝贝标题 ,宝贝种类,宝贝总数量,店铺名称,订单备注"""
JD = """订单号,商品ID,商品名称,订购数量,支付方式,下单时间,京东价,订单金额,结算金额,应付金额,
订单状态,下单帐号,客户姓名,客户地址,联系电话"""
ZOHO_DEALS = (
    "Record Id,Deal Name,Deal Owner,Amount,Closing Date,Account Name,Stage,Probability (%),Lead"
    " Source,Contact Name"
)
ZOHO_ACCOUNTS = """Record Id,Account Name,Account Owner,Website,Phone,Industry,Account Type,
Account Number,Employees,Annual Revenue,Billing City,Billing State,Billing Country,
Created Time,Modified Time"""
SHOPIFY = """Name,Email,Financial Status,Paid at,Fulfillment Status,Accepts Marketing,Currency,
Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,Created at,Lineitem quantity,
Lineitem name,Lineitem price,Lineitem sku,Billing Name,Id"""
WOOCOMMERCE = """order_id,order_number,order_date,paid_date,status,shipping_total,order_total,
order_currency,customer_id,customer_email,billing_first_name"""
SUPERSTORE = """行 ID,订单 ID,订单日期,发货日期,邮寄方式,客户 ID,客户名称,细分,城市,省/自治区,
国家,地区,产品 ID,类别,子类别,产品名称,销售额,数量,折扣,利润"""
UCI = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def export(header, filled, rows):
    """A CSV's text with a program's header, where some columns are filled and the others empty."""
    names, given = header.replace("\n", "").split(","), filled.split(",")
    assert set(given) <= {name.strip() for name in names}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows(
        [
            [dict(zip(given, row, strict=True)).get(name.strip(), "") for name in names]
            for row in rows
        ]
    )
    return text.getvalue()


def table(*rows):
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.fixture
def start(tmp_path):
    """Writes files (name: text or bytes), runs init on them, and returns the dataset file's text,
    content and screen lines.
    """

    def run(**files):
        paths = []
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".")
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            paths.append(path)
        return look(paths, tmp_path)

    return run


def look(paths, folder):
    file, said = onboarding.init(paths, "shop", folder / "data")
    text = file.read_text("utf-8")
    return file, text, yaml.safe_load(text), said


def columns(content, name="transactions"):
    return content["tables"][name]["columns"]


def questions(text):
    """The questions of a dataset file, with their answers, by the key below each; every ? must have
    one.
    """
    found, said = {}, []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("# QUESTION: ") or (said and line.startswith("#   write ")):
            said.append(line.removeprefix("# QUESTION: ").removeprefix("#   "))
        elif not line.startswith("#"):
            if line.endswith('"?"'):
                assert said, line
                found[line.partition(":")[0]] = "; ".join(said)
            said = []
    return found


def parsed_log(file, name="transactions"):
    return store.typed(store.gather(dataset.load(file), file.parent), name)


def read(file, name="transactions"):
    """The rows of a table as the program reads them with a dataset file."""
    return parsed_log(file, name).to_pandas()


# --- files as companies have them


TAOBAO_FILLED = (
    "订单编号,买家会员名,买家支付宝账号,收货人姓名,联系手机,买家应付货款,总金额,买家实际支付金额,订单状态,订单创建时间,订单付款时间,"
    "宝贝标题,宝贝总数量,店铺名称"
)


def taobao(order, buyer="tb0099", status="交易成功", paid="2024-01-31 20:05:09"):
    money, bought = ["120.00", "120.00", "110.50"], ["红茶礼盒", 2, "茶叶店"]
    person = [buyer, "x@x.example", "王小明", "13812345678"]
    return [order, *person, *money, status, CLOCKED, paid, *bought]


def test_a_chinese_shops_export_in_gb18030(start):
    rows = [taobao(f"20240131123456789{n:02}", f"tb{n % 7:04}") for n in range(30)]
    rows += [
        taobao("2024013112345678980", status="交易关闭"),
        taobao("2024013112345678981", status="等待买家付款", paid=""),
    ]
    file, text, content, said = start(
        orders__csv=export(TAOBAO, TAOBAO_FILLED, rows).encode("gb18030")
    )
    assert columns(content) == {
        "customer_id": "买家会员名",
        "date": "订单创建时间",
        "amount": "买家实际支付金额",
        "quantity": "宝贝总数量",
        "order_id": "订单编号",
        "product": "宝贝标题",
        "channel": "店铺名称",
        "status": "订单状态",
    }
    described = content["tables"]["transactions"]
    assert (described["void_status"], described["order_key"]) == (
        ["交易关闭", "等待买家付款"],
        ["order_id"],
    )
    assert "kept as sales: 交易成功" in text
    assert "encoding" not in described
    assert content["currency"] == "CNY"
    assert not questions(text)
    assert any("date: 订单创建时间; it could also be 订单付款时间" in line for line in said)
    lines = read(file)
    assert (lines.moment == CLOCKED).all()
    assert set(lines.amount) == {Decimal("110.50")}
    assert lines.void.sum() == 2
    assert (lines.order_id.str.len() == 19).all()


def test_the_screen_and_the_file_show_nobody(start):
    names = ["Account Name", "Contact Name", "Phone", "Email", "Birthday", "Industry"]
    person = ["Acme Ltd", "Ann Bee", "+44 20 7946 0958", "ann@bee.example", "13/02/1984", "Tea"]
    orders = export(TAOBAO, TAOBAO_FILLED, [taobao("2024013112345678901")] * 3)
    _, text, _, said = start(orders__csv=orders, accounts__csv=table(names, *[person] * 3))
    nobody = ["王小明", "138123", "tb0099", "110.50", "x@x", "20240131123"]
    nobody += ["Ann Bee", "Acme", "7946", "ann@bee", "1984"]
    assert [value for value in nobody if value in text + "\n".join(said)] == []
    assert "99/99/9999 in line 2 of accounts.csv: the day comes first" in text


def test_two_columns_of_one_rank_are_asked_for_unless_they_are_the_same(start):
    filled = "订单号,商品ID,订购数量,下单时间,京东价,订单金额,应付金额,结算金额,订单状态,下单帐号"
    for settled, asked in {"110.00": set(), "100.00": {"amount"}}.items():
        money = ["60.00", "120.00", "110.00", settled, "完成"]
        rows = [[1000 + n, "A1", 2, CLOCKED, *money, f"jd_{n % 3}"] for n in range(9)]
        file, text, content, _ = start(orders__csv=export(JD, filled, rows))
        assert columns(content)["customer_id"] == "下单帐号"
        assert set(questions(text)) == asked
        assert columns(content)["amount"] in (["?"] if asked else ["应付金额", "结算金额"])
        file.unlink()
    assert {"结算金额", "应付金额"} <= set(re.findall("[结应].金额", questions(text)["amount"]))


def test_zoho_deals_and_accounts_join_on_the_account(start):
    stages = ["Closed Won", "Closed Lost", "Qualification", "Closed Won"]
    filled = "Record Id,Deal Name,Amount,Closing Date,Account Name,Stage,Lead Source,Contact Name"
    deals = [
        f"zcrm_{n},Deal {n},1200,01/31/2024,Acme {n % 3},{stages[n % 4]},Web,Ann Bee".split(",")
        for n in range(12)
    ]
    profile = (
        "Record Id,Account Name,Account Owner,Phone,Industry,Account Type,Account"
        " Number,Employees,Billing City,Billing Country,Created Time,Modified Time"
    )
    known = (
        "o@x.example,+44 20 7946 0958,Tea,{},0,12,Leeds,UK,01/31/2023 10:00 AM,01/31/2024 10:00 AM"
    )
    accounts = [
        [f"zcrm_9{n}", f"Acme {n}", *known.format("AB"[n % 2]).split(",")] for n in range(6)
    ]
    files = {
        "deals__csv": export(ZOHO_DEALS, filled, deals),
        "accounts__csv": export(ZOHO_ACCOUNTS, profile, accounts),
    }
    file, text, content, _ = start(**files)
    assert not questions(text)
    assert columns(content) == {
        "customer_id": "Account Name",
        "date": "Closing Date",
        "amount": "Amount",
        "order_id": "Record Id",
        "channel": "Lead Source",
        "status": "Stage",
    }
    void = content["tables"]["transactions"]["void_status"]
    assert void == ["Closed Lost", "Qualification"]  # a deal not won is no sale
    assert (
        columns(content, "customers").items()
        >= {
            "customer_id": "Account Name",
            "company": "Account Name",
            "owner": "Account Owner",
            "city": "Billing City",
            "first_contact": "Created Time",
        }.items()
    )
    assert content["tables"]["customers"]["attributes"] == {"account_type": "Account Type"}
    assert read(file).day.dt.date.unique().tolist() == [DAY]
    assert read(file, "customers").updated.dt.date.unique().tolist() == [DAY]


def test_the_customer_column_is_the_one_that_holds_the_customers_of_the_orders(start):
    sold = [[f"00{n % 5}7", "2024-01-31", "5.00"] for n in range(10)]
    orders = table(["customer id", "order date", "amount"], *sold)
    names = ["Record Id", "Account Name", "Kundennr", "Industry"]
    accounts = [[f"z{n}", f"Acme {n}", f"00{n}7", "Tea"] for n in range(8)]
    file, text, content, _ = start(orders__csv=orders, accounts__csv=table(names, *accounts))
    assert columns(content, "customers")["customer_id"] == "Kundennr"
    assert "5 of them with orders" in text
    file.unlink()
    accounts = [[*row[:2], "x", "Tea"] for row in accounts]
    said = start(orders__csv=orders, accounts__csv=table(names, *accounts))[-1]
    assert any("none of the customers seen in the orders was seen in" in line for line in said)


UCI_SALES = [
    [536365 + n // 2, f"8512{n}A", "MUG", 6, "12/13/2010 8:26", 2.55, 17850 + n // 2, "UK"]
    for n in range(20)
]


def test_uci_online_retail_with_its_cancellations(start):
    back = ["C536365", "85120A", "MUG", 1, "12/14/2010 8:26", 2.55, 17850, "UK"]
    file, text, content, _ = start(retail__csv=export(UCI, UCI, [*UCI_SALES, back]))
    assert not questions(text)
    described = content["tables"]["transactions"]
    assert described["returns"] == {"prefix": "C"}
    assert described["order_key"] == ["order_id", "product"]
    assert described["date_format"] == {"date": "%m/%d/%Y %H:%M"}
    assert "12/13/2010 8:26 in line 2 of retail.csv: the month comes first" in text
    assert columns(content) == {
        "customer_id": "CustomerID",
        "date": "InvoiceDate",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
        "order_id": "InvoiceNo",
        "product": "StockCode",
    }
    assert read(file).amount.sum() == Decimal("15.30") * 20 - Decimal("2.55")
    file.unlink()
    rows = [[f"C{row[0]}", *row[1:]] for row in UCI_SALES]  # letters before ids of their own
    *_, content, _ = start(retail__csv=export(UCI, UCI, rows))
    assert "returns" not in content["tables"]["transactions"]


def test_shopify_takes_price_times_quantity_for_a_total_that_is_the_orders(start):
    filled = (
        "Name,Email,Created at,Lineitem quantity,Lineitem name,Lineitem price,Financial"
        " Status,Currency,Subtotal,Total"
    )
    first = ["paid", "EUR", "20.00", "25.00"]  # of the order, in its first row only
    rows = [
        [
            f"#{1000 + n // 2}",
            f"c{n // 2 % 4}@x.example",
            "2024-01-31 20:05:00 +0800",
            2,
            f"Tea {n}",
            "9.90",
            *(first if n % 2 else [""] * 4),
        ]
        for n in range(1, 19)
    ]
    _, text, content, said = start(
        orders__csv=export(SHOPIFY, filled, sorted(rows, key=lambda row: (row[0], row[6] == "")))
    )
    found = columns(content)
    assert (found["customer_id"], found["order_id"], found["date"]) == (
        "Email",
        "Name",
        "Created at",
    )
    assert (found["unit_price"], found["quantity"]) == ("Lineitem price", "Lineitem quantity")
    assert "amount" not in found
    assert any("Total stands only in the first row of an order" in line for line in said)
    assert content["currency"] == "EUR"
    assert content["tables"]["transactions"]["date_format"] == {"date": "%Y-%m-%d %H:%M:%S %z"}
    assert questions(text) == {} and "time_zone" not in content["assumed"]
    zone = ZoneInfo(content["time_zone"])  # that has the offsets of the file
    assert dt.datetime(2024, 1, 31, 20, tzinfo=zone).strftime("%z") == "+0800"


def test_fxiaoke_orders_and_customers_join_on_the_name(tmp_path):
    """Sheets as 纷享销客 exports its objects; what was collected so far is not what was sold."""
    orders = (
        "销售订单编号,客户名称,商机名称,下单日期,销售订单金额(元),回款金额(元),订单状态,生命状态"
    )
    orders += ",负责人（必填）,归属部门,创建时间,最后修改时间,备注"
    statuses = ["已确认", "已发货", "已收货", "已作废"]
    sold = [
        [
            *(
                f"2023{n:06}",
                f"杭州{n % 5}茶业有限公司",
                "",
                f"2024-01-{n + 1:02}",
                f"{n + 100}.50",
            ),
            *(
                f"{n + 50}.00",
                statuses[n % 4],
                "正常",
                "王磊",
                "华东区",
                "2024-02-01 10:11",
                "",
                "",
            ),
        ]
        for n in range(24)
    ]
    profile = "客户名称,客户编号,客户级别,成交状态,行业,电话,邮件,省,市,负责人（必填）,生命状态"
    profile += ",最后跟进时间,创建时间,最后修改时间"
    known = [
        [
            *(
                f"杭州{n}茶业有限公司",
                f"KH{n}",
                "AB"[n % 2],
                "已成交",
                "零售",
                f"0571-8888000{n}",
                "",
            ),
            *("浙江", "杭州", "王磊", "正常", *["2024-01-31 10:00"] * 3),
        ]
        for n in range(6)
    ]
    paths = [
        book(tmp_path / "orders.xlsx", 销售订单=[orders.split(","), *sold]),
        book(tmp_path / "customers.xlsx", 客户=[profile.split(","), *known]),
    ]
    file, text, content, _ = look(paths, tmp_path)
    assert not questions(text)
    assert columns(content) == {
        "customer_id": "客户名称",
        "date": "下单日期",
        "amount": "销售订单金额(元)",
        "order_id": "销售订单编号",
        "status": "订单状态",
    }
    assert content["tables"]["transactions"]["void_status"] == ["已作废"]
    assert (
        columns(content, "customers").items()
        >= {
            "customer_id": "客户名称",
            "company": "客户名称",
            "owner": "负责人(必填)",
            "industry": "行业",
            "updated": "最后修改时间",
        }.items()
    )
    assert content["currency"] == "CNY"
    assert read(file).amount.sum() == sum(Decimal(row[4]) for row in sold)


def test_woocommerce(start):
    filled = (
        "order_id,order_number,order_date,status,order_total,order_currency,customer_id"
        ",customer_email"
    )
    statuses = ["completed", "cancelled", "failed", "processing", "on-hold"]
    rows = [
        [70 + n, 70 + n, CLOCKED, s, "12.50", "GBP", n % 3, f"c{n % 3}@x.example"]
        for n, s in enumerate(statuses)
    ]
    _, text, content, _ = start(woo__csv=export(WOOCOMMERCE, filled, rows))
    assert not questions(text)
    assert (columns(content)["order_id"], columns(content)["amount"]) == ("order_id", "order_total")
    assert content["tables"]["transactions"]["void_status"] == ["cancelled", "failed"]
    assert content["currency"] == "GBP"


def test_a_chinese_superstore_with_a_byte_order_mark(start):
    filled = (
        "订单 ID,订单日期,发货日期,客户 ID,客户名称,产品 ID,类别,产品名称,销售额,数量,折扣,利润"
    )
    dates, money = ["2024年1月31日", "2024年2月2日"], ["¥129.70", "2", "0.4", "-60.70"]
    rows = [
        [f"CN-{n // 2}", *dates, f"曾惠-{n % 5}", "曾惠", f"办公用-{n}", "办公用品", "剪刀", *money]
        for n in range(30)
    ]
    file, text, content, _ = start(超市__csv="\ufeff" + export(SUPERSTORE, filled, rows))
    assert not questions(text)
    assert (columns(content)["customer_id"], columns(content)["amount"]) == ("客户 ID", "销售额")
    assert "discount" not in columns(content)  # a rate, not money
    assert content["currency"] == "CNY"
    assert read(file).day.dt.date.unique().tolist() == [DAY]


def test_cdnow_master(start):
    file, text, content, _ = start(master__txt=(LIFETIMES / "CDNOW_master.txt").read_text())
    known = yaml.safe_load(Path("data/cdnow.yml").read_text("utf-8"))["tables"]["transactions"]
    found = content["tables"]["transactions"]
    assert not questions(text)
    assert found["columns"] == known["columns"]
    assert found["format"] == known["format"]
    assert found["date_format"] == {"date": known["date_format"]}
    assert content["currency"] == "USD"  # dollar_value
    assert read(file).amount.sum() == Decimal("2500315.63")


def test_cdnow_sample_has_no_header_and_two_ids(start):
    file, text, content, said = start(sample__txt=(LIFETIMES / "CDNOW_sample.txt").read_text())
    assert content["tables"]["transactions"]["header"] == 0
    assert columns(content) == {"customer_id": "?", "date": "3", "amount": "5", "quantity": "4"}
    assert re.search(r"1 \(as 99999, .*for: 2 \(as 9999,", questions(text)["customer_id"])
    assert any(line.startswith("question: customer_id") for line in said)
    answered = re.sub(r'customer_id: "\?"', "customer_id: '2'", text)
    file.write_text(answered, "utf-8")
    lines = read(file)
    assert (len(lines), lines.customer_id.nunique()) == (6919, 2357)
    assert lines.day.dt.date.max() == dt.date(1998, 6, 30)


def test_every_table_of_a_company_in_one_database(tmp_path):
    tables = {
        "orders": (
            "100 + i % 9 customer_id, i order_id, DATE '2024-01-31' order_date, i + 0.5 total"
        ),
        "people": "100 + i customer_id, 'Ann' full_name, 'a@b.co' email, 'York' city",
        "calls": "100 + i customer_id, TIMESTAMP '2024-01-31 20:05:00' call_time, 'ok' call_result",
        "campaign": "100 + i customer_id, 'x' campaign_id, DATE '2024-01-31' sent_at, 'treat' arm",
        "product": "'A' || i sku, 'Tea' title, 'X' vendor, 9.9 price",
        "notes": "'nothing to see' remark",
    }
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as base:
        for name, select in tables.items():
            base.execute(
                f"CREATE TABLE {name} AS SELECT {select} FROM"
                f" range({40 if name == 'orders' else 9}) t(i)"
            )
    file, text, content, _ = look([tmp_path / "shop.duckdb"], tmp_path)
    assert not questions(text)
    assert {name: found["table"] for name, found in content["tables"].items()} == {
        "transactions": "orders",
        "customers": "people",
        "interactions": "calls",
        "campaigns": "campaign",
        "products": "product",
    }
    assert read(file).amount.sum() == Decimal(800)


def test_sqlite_parquet_and_gz(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as base:
        base.execute("CREATE TABLE orders (customer_id, order_date, total)")
        base.executemany("INSERT INTO orders VALUES (?, ?, ?)", [("007", "2024-01-31", 5.5)] * 3)
    duckdb.sql(
        "SELECT '007' customer_id, DATE '2024-01-31' order_date, 5.5 total FROM range(3)"
    ).write_parquet(str(tmp_path / "o.parquet"))
    with gzip.open(tmp_path / "o.csv.gz", "wb") as packed:
        packed.write(
            table(
                ["customer_id", "order_date", "total"], *[["007", "2024-01-31", "5.5"]] * 3
            ).encode()
        )
    for name in ("shop.db", "o.parquet", "o.csv.gz"):
        file, text, content, _ = look([tmp_path / name], tmp_path)
        assert columns(content) == {
            "customer_id": "customer_id",
            "date": "order_date",
            "amount": "total",
        }
        assert not questions(text)
        assert read(file).customer_id.tolist() == ["007"] * 3
        file.unlink()


# --- faults of files

ORDERS = table(
    ["Customer ID", "Order Date", "Amount"],
    *[[f"{n % 3:03}", "31.01.2024", "12.50"] for n in range(9)],
)


def test_encodings_found_by_themselves_are_not_written_and_western_text_is_asked_for(start):
    text = ORDERS.replace("Amount", "金额")
    for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16"):
        file, written, content, _ = start(orders__csv=text.encode(encoding))
        assert "encoding" not in content["tables"]["transactions"]
        assert not questions(written)
        file.unlink()
    for name in ("Müller", "Åse", "Señora", "José", "Société"):
        text = "".join(f"{line},{name} {n}\n" for n, line in enumerate(ORDERS.splitlines()))
        file, written, content, _ = start(orders__csv=text.encode("cp1252"))
        assert content["tables"]["transactions"]["encoding"] == "?"
        assert "write cp1252 for: " in questions(written)["encoding"].split(";")[1]
        file.unlink()


TEAS = {
    "gb18030": ("绿茶", "红茶与茶壶", "乌龙茶，大罐"),
    "big5": ("綠茶", "紅茶與茶壺", "臺灣烏龍茶"),
    "shift_jis": ("緑茶", "抹茶アイス", "ほうじ茶"),
    "cp1252": ("Café crème", "Grüner Tee, groß", "Té de señor"),
    "mac_roman": ("Café crème", "Grüner Tee, groß", "Té de señor"),
}


@pytest.mark.parametrize("encoding", TEAS)
def test_an_encoding_that_is_not_found_is_asked_by_what_would_stand_there(tmp_path, encoding):
    head = ["customer id", "customer name", "date", "product", "amount"]
    rows = [
        [
            f"K{n % 3}",
            TEAS[encoding][0] + "!",
            f"2024-01-{n + 1:02}",
            f'"{TEAS[encoding][n % 3]}"',
            n,
        ]
        for n in range(20)
    ]
    path = tmp_path / "o.csv"
    path.write_bytes(table(head, *rows).encode(encoding))
    asked = []

    def first(question, answers):
        asked.append(answers)
        return 0

    file, _ = onboarding.init([path], "tea", tmp_path, first)
    # As it is written, and of no person's column
    assert [answers[0].partition(" (")[0] for answers in asked] == (
        [] if encoding == "gb18030" else [TEAS[encoding][0]]
    )
    assert set(read(file)["product"]) == set(TEAS[encoding])


def test_separators_and_line_ends(start):
    for mark, ends in zip(",;\t|", ("\n", "\r\n", "\r", "\r\n"), strict=True):
        lines = (line.replace(",", mark) + f'{mark}"a, b; c{mark}"' for line in ORDERS.splitlines())
        file, written, content, _ = start(orders__csv="".join(line + ends for line in lines))
        assert content["tables"]["transactions"].get("separator", ",") == mark
        assert not questions(written)
        assert read(file).amount.sum() == Decimal("112.5")
        file.unlink()


def test_a_title_above_the_header_and_no_header(start):
    title = "2024 sales of my shop\nexported 31.01.2024\n\n"
    file, _, content, _ = start(orders__csv=title + ORDERS)
    assert content["tables"]["transactions"]["header"] == 4
    assert len(read(file)) == 9
    file.unlink()
    file, _, content, said = start(orders__csv=ORDERS.partition("\n")[2])
    assert content["tables"]["transactions"]["header"] == 0
    assert columns(content) == {"customer_id": "1", "date": "2", "amount": "3"}
    assert sum("by its values" in line for line in said) == 3
    assert len(read(file)) == 9


def test_headers_with_blanks_full_width_letters_and_no_name(start):
    header = "Ｃｕｓｔｏｍｅｒ　ＩＤ , order_date ,ＡＭＯＵＮＴ（元）,,"
    lines = [header, *(f"{line},x," for line in ORDERS.splitlines()[1:])]
    file, _, content, said = start(orders__csv="".join(line + "\n" for line in lines))
    assert columns(content) == {
        "customer_id": "Customer ID",
        "date": "order_date",
        "amount": "AMOUNT(元)",
    }
    assert content["currency"] == "CNY"
    assert not any("could also be" in line for line in said)
    assert len(read(file)) == 9


NO_TABLES = {
    "": "empty",
    "\n\n": "empty",
    "customer_id,date,amount\n": "no rows below the header",
    "customer_id,date,date\n7,2024-01-31,5\n": "repeats 'date'",
    "one column\nhello\nthere\n": "only one column",
    "<html><table><tr><td>7</td></tr></table>": "web page",
    "\ufeff\n\n  <html><table><tr><td>7</td></tr></table>": "web page",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600): r"a workbook; rename it to \.xls$",
    b"PK\x03\x04 broken": r"a workbook; rename it to \.xlsx$",
    b"PAR1 broken": ".",
    b"SQLite format 3\0 broken": "SQLite says: file is not a database",
    'a,b\n"7,8\n': ".",
}


def test_what_is_no_table_is_an_input_error_that_names_the_file(start, tmp_path):
    for content, said in NO_TABLES.items():
        with pytest.raises(InputError, match=rf"(?s)orders\.csv.*{said}"):
            start(good__csv=ORDERS, orders__csv=content)
    assert not (tmp_path / "data").exists()


LAYOUTS = {
    "Customer No,Customer,Jan-23,Feb-23,Mar-23\nK1,A,,5.00,\nK2,B,,,-2\n": "Jan-23 to Mar-23",
    "客户编号,2023年1月,2023年2月,2023年3月\nK1,5,,\nK2,,3,\n": "3: 2023年1月 to 2023年3月",
    "Client ID,2023-01,2023-02,2023-03,Total\nK1,5,,,5\nK2,,3,,3\n": "a column for each month",
    "Client ID,Q1 2023,Q2 2023,Q3 2023\nK1,5,1,\nK2,,3,4\n": "a column for each month",
    "Client ID,2023-01-01,2023-02-01,2023-03-01\nK1,5,,\nK2,,3,\n": "a column for each month",
    "Subscription ID,Customer ID,Plan,Start Date,End Date,MRR,Status\n"
    + "".join(f"s{n},A{n},Pro,2023-0{n}-01,,99.00,Active\n" for n in range(1, 8)): "each contract",
    "客户编号,合同开始日期,合同到期日,月费\nA1,2023-01-01,2024-01-01,9.50\nA2,2023-02-01,,9.50\n": (
        "合同开始日期, 合同到期日, 月费"
    ),
}


def test_layouts_that_are_no_orders_are_refused_by_name_where_no_file_holds_orders(start):
    for content, said in LAYOUTS.items():
        with pytest.raises(InputError, match=rf"orders\.csv: .*{said}.*: export"):
            start(orders__csv=content)
        file, *_ = start(good__csv=ORDERS, orders__csv=content)
        file.unlink()


def test_orders_beside_columns_of_a_year_or_with_a_fee_are_orders(start):
    rows = "".join(
        f"{n},K{n % 3},2024-01-{n:02},2024-02-01,2024-02-03,5.50,9.50\n" for n in range(1, 9)
    )
    text = f"order id,customer id,order date,start date,end date,fee,amount\n{rows}"
    assert not questions(start(orders__csv=text)[1])


def test_a_zip_and_a_missing_file(start, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("Deals.csv", "x")
    with pytest.raises(InputError, match=r"deals\.zip.*unpack it"):
        start(deals__zip=packed.getvalue())
    with pytest.raises(InputError, match=r"none\.csv.*no such file"):
        onboarding.init([tmp_path / "none.csv"], "shop", tmp_path)
    with pytest.raises(InputError, match="at least one file"):
        onboarding.init([], "shop", tmp_path)


def book(path, **sheets):
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


SHEET = [["客户编号", "下单时间", "实付金额"], *[[f"{n % 3:03}", CLOCKED, 12.5] for n in range(9)]]


def test_of_several_sheets_the_one_that_matches(tmp_path):
    notes = [["note", "note"], ["请勿修改", "导出于今天"]]
    path = book(tmp_path / "orders.xlsx", 说明=notes, 订单=[["销售订单"], *SHEET], 空=[])
    file, text, content, _ = look([path], tmp_path)
    described = content["tables"]["transactions"]
    assert (described["sheet"], described["header"]) == ("订单", 2)
    assert not questions(text)
    assert (read(file).moment == CLOCKED).all()
    assert read(file).customer_id.unique().tolist() == ["000", "001", "002"]


def test_sheets_alike_or_unknown_are_asked_for(tmp_path):
    file, text, _, _ = look([book(tmp_path / "a.xlsx", y2023=SHEET, y2024=SHEET)], tmp_path)
    assert "y2023, y2024" in questions(text)["sheet"]
    assert "9 of 9 rows of y2023 stand in others" in questions(text)["sheet"]
    file.unlink()
    other = [["eins", "zwei"], ["a b", "c d"], ["e f", "g h"]]
    _, text, _, _ = look([book(tmp_path / "b.xlsx", one=other, two=other)], tmp_path)
    assert "one, two" in questions(text)["sheet"]


def test_numbers_beside_texts_with_a_decimal_comma_raise_no_question(tmp_path):
    rows = [[f"K{n % 3}", dt.date(2024, 1, n), 12.25] for n in range(1, 9)]
    texts = [["K1", dt.date(2024, 1, 9), "1.234,50"], ["K2", dt.date(2024, 1, 9), "3,5"]]
    head = ["customer id", "date", "amount"]
    file, text, _, _ = look([book(tmp_path / "o.xlsx", Sheet=[head, *rows, *texts])], tmp_path)
    assert not questions(text)
    assert read(file).amount.sum() == 8 * Decimal("12.25") + Decimal("1238.00")


def sheets_of(*months):
    head = ["customer id", "date", "order no", "amount"]
    return {
        month: [
            [*head],
            *[[f"K{n % 3}", dt.date(2024, m, n), f"{month}{n}", n] for n in range(1, 9)],
        ]
        for m, month in enumerate(months, start=1)
    }


def test_all_sheets_of_one_layout_are_read_as_one_and_hidden_and_other_ones_are_not(tmp_path):
    months = sheets_of("Jan", "Feb", "Mar")
    others = {"Notes": [["note"], ["do not change"]], "Empty": [], "Old": months["Jan"]}
    path = book(tmp_path / "orders.xlsx", **months, **others)
    workbook = openpyxl.load_workbook(path)
    workbook["Old"].sheet_state = "hidden"
    workbook.save(path)
    file, text, content, said = look([path], tmp_path)
    assert content["tables"]["transactions"]["sheet"] == "*"
    assert not questions(text)
    assert any("all 3 sheets of one layout: Jan to Mar" in line for line in said)
    log = read(file)
    assert (len(log), log.amount.sum(), log.source.nunique()) == (24, 3 * 36, 3)


def test_sheets_of_another_layout_are_asked_for_with_all_of_one_first(tmp_path):
    months = sheets_of("Jan", "Feb")
    other = [["customer id", "date", "sales"], *[[f"K{n}", DAY, n] for n in range(9)]]
    _, text, _, _ = look([book(tmp_path / "o.xlsx", **months, Web=other)], tmp_path)
    answers = questions(text)["sheet"].splitlines()
    assert "for: all 2 sheets of one layout: Jan to Feb" in text
    assert "Jan, Feb, Web" in answers[0]


def test_a_new_sheet_is_read_and_one_that_lacks_a_column_is_no_silent_loss(tmp_path):
    file, *_ = look([book(tmp_path / "o.xlsx", **sheets_of("Jan", "Feb"))], tmp_path)
    assert len(read(file)) == 16
    book(tmp_path / "o.xlsx", **sheets_of("Jan", "Feb", "Mar"))
    assert len(read(file)) == 24
    wrong = sheets_of("Jan", "Feb", "Mar")
    wrong["Mar"][0][3] = "total"
    book(tmp_path / "o.xlsx", **wrong)
    with pytest.raises(InputError, match=r"o\.xlsx:Mar has no column amount"):
        read(file)


GROUPS = {"A Ltd": (3, 4), "B Ltd": (5,), "Total Café 3": (6, 7, 8), "D Ltd": (9, 1)}


def grouped(sums=True, headings=False):
    """A report by customer: the name once, the orders below, and the sum."""
    rows, number = [["customer", "invoice date", "invoice no", "amount"]], 0
    for name, amounts in GROUPS.items():
        rows += [[name, "", "", ""]] if headings else []
        for place, amount in enumerate(amounts):
            number += 1
            head = "" if headings or place else name
            rows.append([head, f"2024-01-{30 - number:02}", f"I{number}", amount])
        rows += [[f"Total {name}", "", "", sum(amounts)]] if sums else []
    return table(*rows)


MANY = {f"S{n}": GROUPS["A Ltd"] for n in range(9)}


@pytest.mark.parametrize(("sums", "headings"), [(True, False), (False, True), (True, True)])
def test_a_customer_named_once_holds_for_the_rows_below(start, monkeypatch, sums, headings):
    groups = GROUPS | MANY
    if headings:  # one that is called so would be taken for a sum
        groups["Café 3"] = groups.pop("Total Café 3")
    monkeypatch.setattr("tests.intake.test_init.GROUPS", groups)
    file, text, content, said = start(orders__csv=grouped(sums, headings))
    assert not questions(text)
    assert content["tables"]["transactions"]["fill_down"] == ["customer_id"]
    assert any("each of 13 groups" in line for line in said)
    log = cleaning.judge(parsed_log(file), dt.date(2024, 2, 1)).to_pandas()
    kept = log[log.outcome == "kept"]
    amounts = kept.groupby("customer_id").amount.sum().astype(int).to_dict()
    assert amounts == {name: sum(some) for name, some in GROUPS.items()}
    assert set(log.reason) - {""} == ({"total_row"} if sums else set()) | (
        {"group_heading"} if headings else set()
    )


def test_a_customer_named_once_without_a_proof_is_asked_for_and_guests_are_not(start, monkeypatch):
    monkeypatch.setattr("tests.intake.test_init.GROUPS", GROUPS | MANY)
    file, text, _, _ = start(orders__csv=grouped(sums=False))
    assert "customer stands in the first row of each of 13 groups" in questions(text)["fill_down"]
    file.unlink()
    guests = [[["K1", "", "K2", ""][n % 4], f"2024-01-{n + 1:02}", f"I{n}", n] for n in range(20)]
    _, text, _, _ = start(orders__csv=table(["customer", "date", "invoice no", "amount"], *guests))
    assert not questions(text)


def test_files_of_one_form_become_one_description_and_decide_together(start):
    january = table(
        ["member no", "date", "sales"], *[[f"M{n}", f"0{n}/01/2024", "5.00"] for n in range(1, 10)]
    )
    file, text, content, _ = start(
        january__csv=january, february__csv=january.replace("09/01/2024", "29/02/2024")
    )
    assert content["tables"]["transactions"]["path"] == ["../january.csv", "../february.csv"]
    assert content["tables"]["transactions"]["date_format"] == {"date": "%d/%m/%Y"}
    assert "29/02/2024 in line 10 of february.csv: the day comes first" in text
    assert len(read(file)) == 18


def test_files_of_other_form_are_items_of_a_list(start):
    file, text, content, _ = start(a__csv=ORDERS, b__csv=ORDERS.replace(",", ";"))
    assert [item.get("separator") for item in content["tables"]["transactions"]] == [None, ";"]
    assert not questions(text)
    assert len(read(file)) == 18


def test_without_orders_it_is_asked_where_they_are(start):
    _, text, content, said = start(
        survey__csv=table(
            ["客户编号", "填写时间", "推荐意愿"], *[[f"00{n}", "2024/1/31", n] for n in range(9)]
        )
    )
    assert columns(content, "feedback") == {
        "customer_id": "客户编号",
        "date": "填写时间",
        "score": "推荐意愿",
    }
    assert content["tables"]["feedback"]["constants"] == {"kind": "nps"}
    assert set(questions(text)) == {"path", "customer_id", "date"}
    assert any("where are the orders" in line for line in said)


def test_a_file_of_no_use_is_left_out_with_the_reason(start):
    prices = table(["sku", "week", "shelf"], *[[f"A{n}", n, "top"] for n in range(9)])
    _, text, content, said = start(orders__csv=ORDERS, prices__csv=prices)
    assert list(content["tables"]) == ["transactions"]
    assert "left out: prices.csv, most like products: only one column is known" in said
    assert "# left out: prices.csv" in text


def test_a_table_that_could_be_another_is_noted(start):
    *_, said = start(
        x__csv=table(["customer id", "date"], *[[f"00{n}", "2024-01-31"] for n in range(9)])
    )
    assert any("taken as transactions; it could also be interactions" in line for line in said)


# --- the dataset file


def test_an_existing_dataset_file_is_never_overwritten(start, tmp_path):
    file, text, *_ = start(orders__csv=ORDERS)
    with pytest.raises(InputError, match=r"shop\.yml is there and is not overwritten; .*--name"):
        onboarding.init([tmp_path / "orders.csv"], "shop", tmp_path / "data")
    assert file.read_text("utf-8") == text
    assert re.findall(r"^(?:# )?(\w+):", text, re.M)[:6] == [
        "currency",
        "margin",
        "horizon_days",
        "assumed",
        "title",
        "language",
    ]
    with pytest.raises(InputError, match="--name"):
        onboarding.init([tmp_path / "orders.csv"], "../shop", tmp_path / "data")


def test_a_name_from_a_file(start, tmp_path):
    names = {"orders 2024.csv.gz": "orders_2024", "订单.xlsx": "dataset", "-x.csv": "x"}
    for file, name in names.items():
        assert onboarding.name_of(Path(file)) == name
    start(订单2024__csv=ORDERS)
    written, _ = onboarding.init([tmp_path / "订单2024.csv"], "", tmp_path / "data")
    assert written == tmp_path / "data" / "2024.yml"


def test_a_file_with_open_questions_is_refused_until_they_are_answered(start):
    file, text, *_ = start(
        orders__csv=table(
            ["customer id", "date", "amount"], *[[f"00{n}", "01/02/2024", "5"] for n in range(9)]
        )
    )
    with pytest.raises(InputError, match=r"date_format\.date"):
        dataset.load(file)
    file.write_text(text.replace('date: "?"', "date: '%d/%m/%Y'"), "utf-8")
    assert dataset.load(file).files("transactions")[0].format_of("date") == "%d/%m/%Y"


def test_only_the_first_rows_are_read(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "customer_id,date,amount\n" + "".join(f"{n},2024-01-31,5.00\n" for n in range(260_000))
    )
    look_ = onboarding.read(path, TableFile(path=["orders.csv"], columns={}))
    assert len(look_["date"].texts) == onboarding.MOST_ROWS
    assert len(look_["date"].values) == columns_seen.FIRST_ROWS
    few = onboarding.read(path, TableFile(path=["orders.csv"], columns={}), 7)
    assert few["customer_id"].seen[-1] == ("6", (8, "orders.csv"))


def test_evidence_is_found_far_down(start):
    rows = [f"{n % 900},05/06/2024,5.00\n" for n in range(120_000)] + ["7,05/13/2024,5.00\n"]
    _, text, content, _ = start(orders__csv="customer_id,date,amount\n" + "".join(rows))
    assert content["tables"]["transactions"]["date_format"] == {"date": "%m/%d/%Y"}
    assert "05/13/2024 in line 120002 of orders.csv: the month comes first" in text


def test_the_line_of_the_evidence_is_that_of_the_file(start):
    rows = ['"two\nlines",7,05/06/2024,5.00', "", "x,7,8", "x,8,05/13/2024,6.00"]
    text = "\n".join(["note,customer_id,date,amount", *rows, ""])
    assert "05/13/2024 in line 6 of orders.csv" in start(orders__csv=text)[1]


# --- statuses and money


def order_lines(*rows):
    return table(["order id", "customer id", "order date", "product", "amount", "status"], *rows)


SALES = [[f"SO{n}", f"00{n % 7}", "2024-01-31", "tea", f"{n + 1}.50", "已完成"] for n in range(20)]


def test_returns_beside_their_sales_are_returns(start):
    file, text, content, _ = start(
        orders__csv=order_lines(*SALES, ["TH3", "003", "2024-02-01", "tea", "4.50", "已退款"])
    )
    assert content["tables"]["transactions"]["returns"] == {"status": ["已退款"]}
    assert "1 of 1 rows with 已退款 have their sale in another row" in text
    assert read(file).amount.sum() == sum(Decimal(row[4]) for row in SALES) - Decimal("4.50")


def test_returns_without_sales_are_asked_for(start):
    for order in ("SO99", "SO3"):  # of no other row, of other products
        back = [order, "003", "2024-02-01", "pot", "99.00", "已退款"]
        file, text, _, _ = start(orders__csv=order_lines(*SALES, back))
        assert "已退款" in questions(text)["returns"]
        assert "void_status" in questions(text)["returns"]
        file.unlink()


def test_questions_are_answered_by_their_numbers_and_answers_may_ask_more(tmp_path):
    path = tmp_path / "orders.csv"
    header = ["order no", "buyer id", "customer id", "day", "amount", "status"]
    rows = [
        [f"A{n}", f"B{n % 7}", f"C{n % 5}", f"0{n % 9 + 1}/02/2024", n, "ok"] for n in range(40)
    ]
    path.write_text(table(header, *rows, ["A99", "B1", "C1", "01/02/2024", 5, "refunded"]))
    asked = []

    def ask(question, answers):
        asked.append((question, answers))
        wanted = ("buyer id", "1 February 2024", "that sale itself")
        return next(n for n, one in enumerate(answers) if one.startswith(wanted))

    file, _ = onboarding.init([path], "", tmp_path / "data", ask)
    assert [question.partition(": ")[2].split(",")[0] for question, _ in asked] == [
        "which column is customer_id",
        "day: which day is 01/02/2024 in line 2 of orders.csv? No other value tells",
        "what is a row with refunded?",
    ]
    found = dataset.load(file).files("transactions")[0]
    assert found.columns["customer_id"] == "buyer id"
    assert found.format_of("date") == "%d/%m/%Y"
    assert found.void_status == ["refunded"] and found.returns == Returns()


def test_words_of_statuses():
    void = "交易关闭 已取消 cancelled Canceled unpaid 等待买家付款 作废 voided"
    returned = "已退款 退货 Returned refunded 退款成功"
    kept = "部分退款 partially_refunded 没有申请退款 未退款"
    none = "交易成功 已发货 completed paid pending on-hold Closed"
    for words, key in {void: "void", returned: "returned", kept: "kept", none: ""}.items():
        for word in words.split():
            said = [k for k in column_matching.STATUS_WORDS if column_names.says(word, k)]
            assert (word, said[0] if said else "") == (word, key)


def test_an_amount_that_is_price_times_quantity_is_a_lines(start):
    rows = [
        [n // 3, f"00{n // 3 % 7}", "2024-01-31", f"tea {n}", 2, "5.00", "10.00"] for n in range(30)
    ]
    names = ["order id", "customer id", "order date", "product", "qty", "unit price", "order total"]
    _, text, content, _ = start(orders__csv=table(names, *rows))
    assert not questions(text)
    assert columns(content)["amount"] == "order total"
    assert "unit_price" not in columns(content)


def test_a_price_without_a_quantity_is_the_amount(start):
    rows = [[f"00{n}", "2024-01-31", "5.00"] for n in range(9)]
    *_, content, said = start(orders__csv=table(["customer id", "date", "price"], *rows))
    assert columns(content)["amount"] == "price"
    assert any("since there is no quantity" in line for line in said)


def test_two_currencies_are_asked_for(start):
    rows = [[f"00{n}", "2024-01-31", "5.00", "USD" if n % 2 else "CNY"] for n in range(9)]
    _, text, _, _ = start(orders__csv=table(["customer id", "date", "amount", "currency"], *rows))
    assert "CNY, USD" in questions(text)["currency"]
    assert "rates" in questions(text)["currency"]


def test_currency_by_sign_or_header(start):
    for header, amount, currency in (
        ("amount", "€12.50", "EUR"),
        ("amount", "12.50 £", "GBP"),
        ("金额", "￥12.50", "CNY"),
        ("amount", "¥12.50", "?"),
        ("amount", "$12.50", "USD"),
        ("amount", "CHF 12.50", "CHF"),
        ("amount_gbp", "12.50", "GBP"),
        ("Amount (EUR)", "12.50", "EUR"),
        ("amount", "12.50", "USD"),
    ):
        rows = [[f"00{n}", "2024-01-31", amount] for n in range(9)]
        file, _, content, _ = start(orders__csv=table(["customer id", "date", header], *rows))
        assert (amount, content["currency"]) == (amount, currency)
        assumed = (header, amount) == ("amount", "12.50")
        assert content["assumed"] == ["currency"] * assumed + ["margin", "horizon_days"]
        file.unlink()


def test_a_sheet_most_of_whose_rows_stand_in_others_is_told():
    """More than half, of five rows or more."""

    def sheet(part, rows):
        columns_ = {
            n: SimpleNamespace(texts=list(texts)) for n, texts in enumerate(zip(*rows, strict=True))
        }
        return SimpleNamespace(part=part, look=columns_)

    others = [("a", str(n)) for n in range(10)]
    for shared, own, expected in ((3, 2, "3 of 5"), (3, 3, ""), (4, 0, ""), (5, 0, "5 of 5")):
        rows = others[:shared] + [("b", str(n)) for n in range(own)]
        said = onboarding._repeated([sheet("all", rows), sheet("rest", others)])
        assert said == (f"{expected} rows of all stand in others, too" if expected else "")


# --- dates and numbers, by the way the program reads them


def placed(texts):
    return [(text, (n, "x.csv")) for n, text in enumerate(texts, start=2)]


RECOGNISED = {
    "iso": ["2024-01-31", "2024-01-31 20:05", "2024-01-31T20:05:00.123+08:00"],
    "%Y/%m/%d": ["2024/1/31", "2024/01/31"],
    "%Y-%m-%d": ["2024-1-31", "2024-01-31"],
    "%Y%m%d": ["20240131", "20240201"],
    "%Y%m%d%H%M%S": ["20240131200500"],
    "%Y年%m月%d日": ["2024年1月31日"],
    "%Y年%m月%d日 %H:%M": ["2024年1月31日 20:05"],
    "%d/%m/%Y": ["31/01/2024", "01/02/2024"],
    "%m/%d/%Y %I:%M %p": ["01/31/2024 8:05 PM"],
    "%d.%m.%Y": ["31.1.2024"],
    "%d-%b-%Y": ["31-Jan-2024", "31-JAN-2024"],
    "%d-%b-%y": ["31-Jan-24"],
    "%B %d, %Y": ["January 31, 2024", "May 5, 2024"],
    "%b-%d-%y": ["Jan-31-24", "Feb-01-24"],
    "%b/%d/%Y": ["Jan/31/2024"],
    "%b %d, %Y %I:%M:%S %p %Z": ["Jan 31, 2024 3:14:07 PM PST", "Jul 1, 2024 11:14:07 PM PDT"],
    "%d/%m/%y": ["31/01/24", "13/12/68", "01/02/99"],
    "%y/%m/%d": ["24/01/31", "99/12/13"],
    "%y-%m-%d": ["24-01-31", "24-12-30", "23-11-30"],  # with the day first, of 2030 and 2031
    "%Y-%m-%d %H:%M:%S %z": ["2024-01-31 20:05:00 +0800"],
    "%d %b %Y": [
        *(
            "31 janv. 2024",
            "31. Januar 2024",
            "31 de enero de 2024",
            "31 jan. 2024",
            "31 gennaio 2024",
        ),
        *(
            "5 févr. 2024",
            "1 août 2023",
            "1 aout 2023",
            "04. März 2024",
            "2. Mai 2024",
            "4. August 2023",
        ),
        *("7 dic. 2023", "sáb., 7 de out de 2023", "mercoledì, 7 settembre 2022", "7 mrt. 2022"),
    ],
    "%d-%b-%Y %H:%M": ["31-ene-2024 20:05", "01-mai-2023 07:00"],
    "%d %b %Y %H:%M:%S %z": ["Wed, 31 Jan 2024 15:14:07 +0000", "Fri, 5 Apr 2024 05:14:07 +0000"],
    "%d-%b-%y %I:%M:%S.%f %p": ["31-JAN-24 03.14.07.123000 PM", "05-FEB-24 08.40.27.000000000 AM"],
    "excel": ["45322", "45323.5"],
    "epoch_s": ["1706702700"],
    "epoch_ms": ["1706702700000"],
}
NO_DATES = [
    "5 march teas",
    "tea of 12. May",
    "tea",
    "12.50",
    "007",
    "1234567890123456789",
    "20249999",
    "",
    "99/99/2024",
    "1.2.3.4",
]


def days_read(texts):
    """The days that the program reads in texts by form, each form once."""
    width = max(map(len, texts.values()))
    rows = {form: [*some, *[None] * (width - len(some))] for form, some in texts.items()}
    raw = ibis.memtable(
        pa.table({"n": range(width)} | {f"c{n}": some for n, some in enumerate(rows.values())})
    )
    days = {
        f"c{n}": parsing.read_moment(raw[f"c{n}"], form, "UTC").date()
        for n, form in enumerate(rows)
    }
    found = raw.select("n", **days).order_by("n").to_pyarrow()
    return {form: found[f"c{n}"].to_pylist()[: len(texts[form])] for n, form in enumerate(rows)}


def test_dates_are_recognised_and_read():
    for form, texts in RECOGNISED.items():
        found = value_formats.date_format(placed(texts))
        assert (found.value, found.question) == (form, "")
    assert {days[0] for days in days_read(RECOGNISED).values()} == {DAY}
    assert [text for text in NO_DATES if value_formats.date_format(placed([text]))] == []


def test_a_months_name_is_one_months_in_all_languages():
    """Whole names as Babel writes dates in each language, on every day of a year."""
    days = [dt.date(2023, 1, 1) + dt.timedelta(days=n) for n in range(0, 365, 5)]
    for language in parsing.LANGUAGES:
        for form in ("d MMMM y", "dd MMM y", "d. MMMM y", "dd-MMM-y"):
            texts = [dates.format_date(day, form, language) for day in days]
            found = value_formats.date_format(placed(texts))
            assert days_read({found.value: texts}) == {found.value: days}, (language, form)


def test_dates_that_may_be_two_are_asked_for():
    for texts in (["01/02/2024", "11/12/2024"], ["05/05/2024"], ["01-02-03"], ["01.02.24"]):
        found = value_formats.date_format(placed(texts))
        assert found.value == "?"
        assert len(found.choices) > 1 and all(form for _, form in found.choices)
        for said, form in found.choices:
            assert dt.datetime.strptime(texts[0], form) == dt.datetime.strptime(said, "%d %B %Y")
    mixed = placed(["01/02/2024", "13/02/2024", *["03/04/2024"] * 50, "02/14/2024"])
    question = value_formats.date_format(mixed).question
    assert "13/02/2024 in line 3 of x.csv: the day comes first" in question
    assert "02/14/2024 in line 54 of x.csv: the month comes first" in question
    clocked = value_formats.date_format(placed(["2024/1/31", "2024/1/31 20:05"] * 5))
    assert clocked.value == "?"
    assert "5 of 10 dates" in clocked.question and clocked.choices[0][1] == "%Y/%m/%d"
    swapped = value_formats.date_format(placed(["13/02/2024", "14/02/2024", "2024-03-02"]))
    assert "day and month exchanged" in swapped.question
    honest = value_formats.date_format(placed(["13/02/2024", "14/02/2024", "2024-02-15"]))
    assert "exchanged" not in honest.question and honest.value == "?"
    few = value_formats.date_format(placed(["31/01/2024"] * 99 + ["2024-01-31", "-", "", "N/A"]))
    assert few.value == "%d/%m/%Y"
    assert (
        few.evidence
        == "31/01/2024 in line 2 of x.csv: the day comes first; 1 of 100 are written otherwise"
    )


def test_numbers_are_dates_only_where_the_column_is_called_so(start):
    rows = [[f"00{n}", "45322", "12345", f"{n}.50"] for n in range(9)]
    file, _, content, _ = start(
        orders__csv=table(["customer id", "order date", "points", "amount"], *rows)
    )
    assert content["tables"]["transactions"]["date_format"] == {"date": "excel"}
    assert read(file).day.dt.date.unique().tolist() == [DAY]


DATES = st.dates(dt.date(1971, 1, 1), dt.date(2068, 12, 31))
FORMS = [
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%d%m%Y"),
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d/%m/%y", "%m/%d/%y", "%y-%m-%d"),
    *("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y"),
    *("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d%H%M%S", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    *("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M:%S%p"),
]


@given(days=st.lists(DATES, min_size=1, max_size=12), short=st.booleans())
@settings(max_examples=12)
def test_every_date_is_read_back_to_its_day_or_asked_for(days, short):
    """Zeros in front of days and months may be left out where a mark stands between them."""
    settled = {}
    for form in FORMS:
        if "%y" in form and max(days) > dt.date.today():
            continue  # of two digits, a year to come is none
        texts = [dt.datetime(d.year, d.month, d.day, 20, 15, 19).strftime(form) for d in days]
        if short and "%y" not in form and re.search(r"%d\W|\W%d|月", form):
            texts = [re.sub(r"(?<!\d)0(?=\d(?!\d))", "", text) for text in texts]
        found = value_formats.date_format(placed(texts))
        assert bool(found.question) == (found.value == "?")
        if not found.question:
            settled.setdefault(found.value, []).extend(texts)
    for form, read in days_read(settled).items():
        assert (form, read) == (form, days * (len(read) // len(days)))


def test_decimal_marks():
    for mark, columns_ in {
        ".": ["12.50 1,234.50", "1,234,567", "¥1,234.50 (5.00) １２３", "1'234.50 5.00-", "5 7"],
        ",": ["12,50 1.234,50", "1.234.567", "1\u00a0234,50€ -5,00", "0,125", "1234,500"],
        "?": ["1,234 7", "1.234", "12.50 12,50"],
    }.items():
        for texts in columns_:
            found = value_formats.decimal_mark([placed(texts.split(" "))])
            assert (texts, found.value, bool(found.question)) == (texts, mark, mark == "?")
    assert value_formats.decimal_mark([placed(["1,234"]), placed(["5.5"])]).value == "."


AMOUNTS = st.decimals(Decimal("-99999999"), Decimal("99999999"), places=2)
MONEY = {  # how amounts are written: format, and what its , and . become
    "point": ("{0}", ",."),
    "grouped": ("¥{0:,}", ",."),
    "comma": ("{0}", ".,"),
    "grouped, comma": ("{0:,} €", ".,"),
    "blanks, comma": ("{0:,}", " ,"),
    "apostrophes": ("{0:,}", "'."),
    "whole": ("{0:.0f}", ",."),
    "whole, grouped": ("{0:,.0f}", ",."),
    "whole, points": ("{0:,.0f}", ".,"),
}


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=8))
def test_every_amount_is_read_back_or_asked_for(amounts):
    for form, marks in MONEY.values():
        exact = [Decimal(round(a)) if "0f" in form else a for a in amounts]
        texts = [form.format(a).translate(str.maketrans(",.", marks)) for a in exact]
        found = value_formats.decimal_mark([placed(texts)])
        assert bool(found.question) == (found.value == "?")
        if not found.question:
            assert [value_formats.number(text, found.value) for text in texts] == exact


CELL = st.text(st.sampled_from("07,;.|/-: \t\"'年月日¥€(@aZ=#?{}[]&*!%\u3000é"), max_size=10)


@given(
    header=st.lists(CELL, min_size=2, max_size=5),
    rows=st.lists(st.lists(CELL, min_size=2, max_size=5), min_size=1, max_size=6),
    mark=st.sampled_from(",;\t|"),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_described_or_refused_in_words(header, rows, mark, tmp_path_factory):
    """What is written is valid, loads unless it asks, and each ? has its question."""
    folder = tmp_path_factory.mktemp("any")
    text = io.StringIO()
    csv.writer(text, delimiter=mark).writerows([header, *rows])
    (folder / "any.csv").write_text(text.getvalue(), "utf-8")
    try:
        file, said = onboarding.init([folder / "any.csv"], "any", folder)
    except InputError as error:
        assert "any.csv" in str(error)
        return
    written = file.read_text("utf-8")
    assert all(line.isprintable() for line in said)
    if not questions(written):
        dataset.load(file)


def test_the_invented_company_is_described_as_by_hand(tmp_path, monkeypatch):
    """All files of crm_demo: the tables, columns and formats of the dataset file that was written
    for them by hand.
    """
    monkeypatch.setattr(onboarding, "ALL_ROWS", 60_000)
    folder = readers.sample_path("crm_demo")
    _, text, content, _ = look(
        [path for path in sorted(folder.iterdir()) if path.is_file()], tmp_path
    )
    assert set(questions(text)) == {"currency"}  # of which there are two
    assert content["time_zone"] == "Asia/Shanghai" and content["somebody"] == ["Null"]
    hand = yaml.safe_load(Path("data/crm_demo.yml").read_text("utf-8"))["tables"]
    assert set(content["tables"]) == set(hand)
    for name, known in hand.items():
        found = {
            Path(path).name: file
            for file in listed(content["tables"][name])
            for path in listed(file["path"])
        }
        for file in listed(known):
            own = found[Path(listed(file["sample"])[0]).name]
            wanted = {ours: normal(theirs) for ours, theirs in file["columns"].items()}
            assert wanted.items() - own["columns"].items() <= {("credit_rating", "Rating")}, file[
                "sample"
            ]
            for key in ("separator", "decimal", "order_key", "void_status", "sheet"):
                assert own.get(key) == file.get(key), (file["sample"], key)
            assert own.get("date_format", {}).get("date", "iso") in (
                file.get("date_format"),
                "iso",
            ), file["sample"]
            assert {k: set(v) for k, v in own.get("returns", {}).items()} == {
                k: set(v) for k, v in file.get("returns", {}).items()
            }


def listed(one_or_more):
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


# --- the names known, and the reference


def test_every_meaning_has_names_in_english_and_chinese():
    known = column_names.aliases()
    assert set(known) == {*RECORDS, "words"}
    for name, spec in RECORDS.items():
        assert set(known[name]) == set(spec.columns)
        for meaning, ranks in known[name].items():
            names = [text for rank in ranks for text in rank]
            assert len(names) == len(set(names)), (name, meaning)
            assert any(
                set(text) <= set(string.ascii_lowercase + string.digits + "*") for text in names
            )
            assert any("\u4e00" <= c <= "\u9fff" for text in names for c in text)


def test_names_are_told_whatever_their_spelling():
    names = ["Order_Date", "ORDER DATE", "orderDate", " order-date ", "Ｏｒｄｅｒ　Ｄａｔｅ"]
    for name in [*names, "Order Date (UTC)", "Order Date[本地]"]:
        assert column_names.rank(name, "transactions", "date") == 0
    assert column_names.rank("created at", "transactions", "date") == 1
    assert column_names.rank("colour", "transactions", "date") is None


def test_the_reference_holds_every_key_and_is_yaml():
    text = dataset_text.reference()
    assert yaml.safe_load(text) is None
    for model in (dataset.Dataset, Tables, TableFile, Returns):
        for key, spec in model.model_fields.items():
            assert spec.exclude or re.search(rf"^#   {key}:.*# \S", text, re.M), key
    for records_ in RECORDS.values():
        for name, meaning in records_.columns.items():
            assert re.search(
                rf"^#   {name}:  # {re.escape(meaning.words)} \({meaning.reads_as}", text, re.M
            ), name
    assert "function" not in text
    assert "class" not in text.replace("a class", "")


def test_what_a_column_holds_is_true_of_nineteen_in_twenty_of_its_values():
    """Four in five are enough of dates and addresses."""

    def column(value, odd, count, of):
        cells = [value] * count + [odd] * (of - count)
        return columns_seen.Column("x", pa.chunked_array([cells]), [(1, "x.csv")] * of)

    for kind, value in (("number", "1.5"), ("flag", "yes")):
        assert column(value, "maybe", 19, 20).reads_as(kind)
        assert not column(value, "maybe", 18, 20).reads_as(kind)
    for kind, value, odd, enough, of in (
        ("count", "3", "x y", 19, 20),
        ("id", "a7", "x y", 19, 20),
        ("e-mail", "a@b.example", "x y", 8, 10),
        ("telephone", "138 1234 5678", "x y", 8, 10),
        ("date", "2024-01-31", "x7 y", 8, 10),
    ):
        assert column(value, odd, enough, of).kind == kind
        assert column(value, odd, enough - 1, of).kind != kind


def test_a_day_is_read_in_texts_of_forty_letters_and_no_longer_ones():
    assert value_formats.days_in("2024-01-31".ljust(40))["iso"] == DAY
    assert value_formats.days_in("2024-01-31".ljust(41)) == {}


def test_orders_that_stand_in_two_exports_with_another_status_are_one(start):
    header = ["order_id", "order_date", "status", "customer_id", "order_total"]
    rows = [[n, f"2024-0{n // 10 + 1}-1{n % 9}", "completed", f"C{n % 7}", n] for n in range(60)]
    rows[30][2] = "processing"
    later = [[*row[:2], "completed", *row[3:]] for row in rows[25:]]
    file, _, content, _ = start(
        orders_1__csv=table(header, *rows[:35]), orders_2__csv=table(header, *later)
    )
    assert content["tables"]["transactions"]["order_key"] == ["order_id"]
    assert len(read(file)) == 70


def test_orders_whose_customers_cannot_be_told_are_refused(start):
    for ids in (["1.38E+11", "1.39E+11"], ["小***3", "小***4"]):
        rows = [[ids[n % 2], f"2024-01-{n + 1:02}", n + 0.5, n] for n in range(20)]
        with pytest.raises(InputError, match=r"no column identifies a customer .Member No"):
            start(orders__csv=table(["Member No", "Order Date", "Amount", "Order No"], *rows))


def test_money_that_is_nearly_all_readable_is_asked_about_and_not_dropped(start):
    header = ["customer no", "order date", "sales", "order total"]
    for odd, asked in ((0, False), (1, False), (3, True), (11, False)):  # of twenty
        rows = [
            [f"C{n % 6}", f"2024-01-{n + 1:02}", "tbd" if n < odd else n + 0.5, n]
            for n in range(20)
        ]
        file, text, content, _ = start(orders__csv=table(header, *rows))
        assert ("15.0% of its values are no numbers, as xxx" in text) == asked, odd
        expected = "?" if asked else "sales" if odd < 2 else "order total"
        assert columns(content)["amount"] == expected, odd
        file.unlink()


def test_money_with_who_sold_it_is_orders(start):
    rows = [[f"C{n % 4}", f"2024-01-{n + 1:02}", n + 0.5, "Ann"] for n in range(20)]
    _, text, content, _ = start(
        orders__csv=table(["customer id", "date", "amount", "sales rep"], *rows)
    )
    assert questions(text) == {} and columns(content)["amount"] == "amount"
