"""The files of the invented company, dirty as exports are, and the truth beside them.

Nobody in them exists: names are put together from syllables, telephone numbers and tax ids begin as
no real ones do, addresses end in .example.
"""

import contextlib
import csv
import datetime as dt
import gzip
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from analysis.samples import company as demo_company
from analysis.samples.company import DAYS, NULL_ID, Array, Company, Random, contacts, day

OVERLAP = (456, 639)  # days in both exports of the CRM: 2024-04-01 to 2024-09-30
USD = 7.2  # CNY, at which prices abroad are made
UNLISTED = 25  # accounts that order but have no profile
VOID_LINES, DOUBLED_LINES, BLANK_LINES = 900, 120, 15
STALE_DAYS = 730  # a profile not changed for longer counts as stale in the truth
MARKS = [
    "_kind",
    "_outcome",
    "_reason",
    "_cents",
    "_currency",
]  # of a row: what it is, what must become of it, its money

SYLLABLES_ZH = "岚澈烁翊珩霁晗煦皓沅湛铄璟昀屿萤枫澜槿桦颢熠苒霖翎菡璃钧滢漪"
SYLLABLES = re.findall(
    "...",
    "vaflonmirtensorquadrifengorhaljunkeslumnorpirrudstatulverwixyorzanbelcordumethfragilhoxban",
)
TRADES = {
    "机械": "Machinery",
    "新材料": "Materials",
    "电子": "Electronics",
    "食品": "Foods",
    "建设": "Works",
}
ATTACKS = (
    "=1+1",
    "<script>alert(1)</script>",
    "A $5 & B $10",
    "@SUM(1)",
    "+1-1",
    "-2+3",
    "＝4+4",
    "\t=5+5",
)
PRAISE = (
    "很满意",
    "Fast delivery, good advice",
    "服务专业，\n下次还会合作",
    'They said "tomorrow" and it was tomorrow',
)
BLAME = (
    "等了两周，没人回复",
    "Part was broken,\nnobody calls back",
    '说好的"三天到货"没有做到',
    "发票错了, 又错了",
)
WIDE = str.maketrans(
    {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
)  # full-width forms of ASCII
NAME_VARIANTS: tuple[Callable[[str], str], ...] = (  # the same name, as another colleague writes it
    lambda name: f" {name[:3]} {name[3:]}\u3000",
    lambda name: (
        name.replace("有限公司", "有限责任公司").replace("Co., Ltd.", "Company Limited").upper()
    ),
    lambda name: name.replace("有限公司", "\u3000有限公司").translate(WIDE),
)


@dataclass(frozen=True)
class Dirt:
    """A fault planted in some rows: the column spoilt, how, and the reason for which the row is
    then rejected, if it is.
    """

    kind: str
    rows: int
    column: str
    spoil: Callable[[str], str]
    reason: str = ""


def _is(text: str) -> Callable[[str], str]:
    return lambda _: text


CRM_ID, CRM_AMOUNT, CRM_COST = (
    "客户编号\u3000",
    "订单金额 ",
    "成本（元）",
)  # headers as they come: with blanks, full-width
CRM_DIRT = (
    Dirt("customer_empty", 60, CRM_ID, _is(""), "no_customer"),
    Dirt("customer_blank", 20, CRM_ID, _is(" \u3000"), "no_customer"),
    Dirt("customer_null", 30, CRM_ID, _is(NULL_ID)),
    Dirt("customer_padded", 40, CRM_ID, lambda text: f" {text}\u3000"),
    Dirt(
        "date_other_format",
        50,
        "下单时间",
        lambda text: f"{text[8:10]}/{text[5:7]}/{text[:4]}",
        "date_unreadable",
    ),
    Dirt("date_word", 10, "下单时间", _is("下周三"), "date_unreadable"),
    Dirt("date_empty", 10, "下单时间", _is(""), "date_unreadable"),
    Dirt("year_1900", 15, "下单时间", lambda text: "1900-01-01" + text[10:], "date_missing"),
    Dirt("year_9999", 15, "下单时间", lambda text: "9999-12-31" + text[10:], "date_impossible"),
    Dirt("after_as_of", 25, "下单时间", lambda text: "2026-01-15" + text[10:], "after_as_of"),
    Dirt("amount_yen", 200, CRM_AMOUNT, lambda text: f"¥{Decimal(text):,}"),
    Dirt("amount_full_width", 100, CRM_AMOUNT, lambda text: text.translate(WIDE)),
    Dirt("amount_word", 30, CRM_AMOUNT, _is("面议"), "amount_unreadable"),
    Dirt("amount_empty", 20, CRM_AMOUNT, _is(""), "amount_unreadable"),
    Dirt("quantity_word", 30, "数量", _is("若干")),
    Dirt("one_field_more", 20, "备注", _is(""), "wrong_field_count"),
    Dirt("one_field_less", 20, "备注", _is(""), "wrong_field_count"),
    Dirt("line_break", 80, "备注", _is('客户说："急用"，\n请先发货')),
)
WEB_DIRT = (
    Dirt("customer_empty", 80, "Customer ID", _is(""), "no_customer"),
    Dirt(
        "date_other_format",
        40,
        "Order Date",
        lambda text: f"{text[6:10]}.{text[3:5]}.{text[:2]}",
        "date_unreadable",
    ),
    Dirt("year_1900", 10, "Order Date", lambda text: "01/01/1900" + text[10:], "date_missing"),
    Dirt("after_as_of", 10, "Order Date", lambda text: "15/01/2026" + text[10:], "after_as_of"),
    Dirt("price_word", 20, "Unit Price", _is("on request"), "amount_unreadable"),
    Dirt("one_field_more", 10, "Currency", str, "wrong_field_count"),
    Dirt("one_field_less", 10, "Currency", str, "wrong_field_count"),
)
INTERACTION_DIRT = (
    Dirt("customer_empty", 40, "客户编号", _is(""), "no_customer"),
    Dirt("date_other_format", 30, "时间", _is("2024-05-06"), "date_unreadable"),
    Dirt("line_break", 50, "纪要", _is("客户询价，\n要求三天内答复")),
)
VISIT_DIRT = (Dirt("visitor_unknown", 1500, "customer", _is(""), "no_customer"),)
LOAN_DIRT = (
    Dirt("date_other_format", 5, "Application Date", _is("2024-05-06"), "date_unreadable"),
)
TICKET_DIRT = (Dirt("customer_empty", 12, "Account", _is(""), "no_customer"),)
FEEDBACK_DIRT = (Dirt("year_9999", 6, "Date", _is("9999-12-31"), "date_impossible"),)
PROFILE_DIRT = tuple(
    Dirt(f"empty_{column}", 300, column, _is(""))
    for column in ("Industry", "Billing City", "Employees", "Rating", "Birthday")
)
ROW_FAULTS: dict[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
    "one_field_more": lambda row: (*row, "多余"),
    "one_field_less": lambda row: row[:-1],
    "blank_line": lambda row: (),
}
RETURNS_CRM = {
    "negative_amount": 500,
    "negative_quantity": 300,
    "amount_in_brackets": 200,
    "status_word": 400,
    "before_sale": 60,
}
RETURNS_WEB = {
    "cancellation_number": 700,
    "cancellation_number_only": 100,
    "negative_quantity": 100,
}


def at(folder: Path) -> Path:
    """The folder, with the company's files in it: written now if it is not there, and then whole or
    not at all.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as making:
            made = Path(making) / folder.name
            write(made)
            with contextlib.suppress(OSError):  # another run was faster
                made.rename(folder)
    return folder


def write(folder: Path, seed: int = 2026) -> None:
    """Write the company's files into a folder and the truth into `truth/` in it; the same bytes for
    the same seed.

    `truth/customers.parquet` has a row per customer id; `truth/truth.json` has the campaigns, the
    duplicate accounts and, per file, what was planted where and what must become of its rows.
    """
    rng = np.random.default_rng(seed)
    company = demo_company.draw(rng)
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    files = _write_crm(folder, rng, company) | {
        name: written(folder / name, rng, company) for name, written in FILES.items()
    }
    ids, doubles = company.accounts.id, company.doubles
    pairs = pd.DataFrame(
        {
            "customer_id": ids[doubles.account].to_numpy(),
            "duplicate": doubles.second,
            "by": doubles.by,
        }
    )
    truth = {
        "seed": seed,
        "as_of": str(day(DAYS - 1)),
        "campaigns": demo_company.true_campaigns(company),
    }
    truth |= {"duplicates": pairs.to_dict("records"), "files": files}
    (folder / "truth" / "truth.json").write_text(
        json.dumps(truth, ensure_ascii=False, indent=1), "utf-8"
    )
    demo_company.true_customers(company).to_parquet(
        folder / "truth" / "customers.parquet", index=False
    )


def _times(moments: Any, form: str) -> Array:
    return pd.DatetimeIndex(moments).strftime(form).to_numpy(dtype=object)


def _money(cents: Any) -> Array:
    return np.array([f"{cent / 100:.2f}" for cent in cents], dtype=object)


def _marked(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as texts, so far without a fault: all to be kept."""
    return (
        frame.astype(str)
        .astype(object)
        .assign(_kind="", _outcome="kept", _reason="", _cents=0, _currency="")
    )


def _soiled(
    frame: pd.DataFrame, rng: Random, dirt: tuple[Dirt, ...], clean: Array | None = None
) -> pd.DataFrame:
    """The frame with faults planted in rows drawn among the clean ones."""
    frame = frame.reset_index(drop=True)
    victims = rng.permutation(np.arange(len(frame)) if clean is None else np.flatnonzero(clean))
    for fault in dirt:
        rows, victims = victims[: fault.rows], victims[fault.rows :]
        frame.loc[rows, fault.column] = frame.loc[rows, fault.column].map(fault.spoil)
        frame.loc[rows, "_kind"] = fault.kind
        if fault.reason:
            frame.loc[rows, ["_outcome", "_reason"]] = "rejected", fault.reason
    return frame


def _repeated(frame: pd.DataFrame, rng: Random, clean: Array) -> pd.DataFrame:
    """The frame with some rows written twice and some lines left blank."""
    rows = np.sort(
        rng.choice(np.flatnonzero(clean & (frame._kind == "")), DOUBLED_LINES, replace=False)
    )
    again = frame.loc[rows].assign(
        _kind="exact_duplicate", _outcome="merged", _reason="repeats_order_line"
    )
    blank = frame.loc[rng.choice(len(frame), BLANK_LINES, replace=False)].assign(
        _kind="blank_line", _outcome=""
    )
    return pd.concat([frame, again, blank]).sort_index(kind="stable").reset_index(drop=True)


def _with_returns(
    rng: Random, lines: pd.DataFrame, ways: dict[str, int], void: int = 0
) -> pd.DataFrame:
    """Sales (way is empty), lines that take one back some days later or were entered before it, and
    orders made void.
    """
    early = lines[lines.moment.between("2023-02-01", "2025-11-15")]
    back = early.loc[rng.choice(early.index, sum(ways.values()), replace=False)]
    back = back.assign(way=np.repeat(list(ways), list(ways.values())))
    days = rng.integers(5, 40, len(back)) * np.where(back.way == "before_sale", -0.5, 1)
    back["moment"] += pd.to_timedelta((days * 24).astype(int), "h")
    never = lines.loc[rng.choice(lines.index, void, replace=False)].assign(way="void_status")
    rows = pd.concat([lines.assign(way=""), back, never], ignore_index=True)
    return rows.sort_values(["moment", "order", "way"], ignore_index=True, kind="stable")


def _write_crm(folder: Path, rng: Random, company: Company) -> dict[str, Any]:
    """The two exports of the CRM: GB18030 with Windows' line ends, both holding the half year of
    OVERLAP.
    """
    rows = _with_returns(rng, company.lines[~company.lines.web], RETURNS_CRM, VOID_LINES)
    frame, truth = _crm_frame(rng, rows), {}
    early, late = (
        (rows.moment < day(OVERLAP[1])).to_numpy(),
        (rows.moment >= day(OVERLAP[0])).to_numpy(),
    )
    for name, within in {"订单_2023_2024.csv": early, "订单_2024_2025.csv": late}.items():
        part, both = frame[within].reset_index(drop=True), (early & late)[within]
        sale = (part._kind == "").to_numpy()
        if within is early:
            moving = both & sale & (rng.random(len(part)) < 0.1)
            part.loc[moving, ["订单状态", "_kind"]] = (
                "已发货",
                "status_moves_on",
            )  # in the second export it is 已完成
        else:
            part.loc[both & (part._outcome == "kept"), ["_outcome", "_reason"]] = (
                "merged",
                "repeats_order_line",
            )
            part.loc[both & sale, "_kind"] = "overlap"
        part = _soiled(part, rng, CRM_DIRT, sale & ~both)
        truth[name] = _write_csv(
            folder / name, _repeated(part, rng, sale & ~both), "gb18030", "\r\n"
        )
    return truth


def _crm_frame(rng: Random, rows: pd.DataFrame) -> pd.DataFrame:
    way, sign = (
        rows.way,
        np.where(rows.way.isin(["negative_amount", "negative_quantity", "before_sale"]), -1, 1),
    )
    amount, brackets, void = (
        _money(rows.cents * sign),
        way == "amount_in_brackets",
        way == "void_status",
    )
    status = np.where(
        way == "status_word",
        rng.choice(["已退款", "退货"], len(rows)),
        np.where(void, "已取消", "已完成"),
    )
    channels = rng.choice(
        ["直销", "经销商", "电话", "展会"], rows.order.max() + 1, p=[0.5, 0.25, 0.2, 0.05]
    )
    frame = pd.DataFrame(
        {
            "订单编号": (
                np.where(void, "QX", np.where(way == "", "SO", "TH"))
                + (rows.order + 1_000_000).astype(str)
            ),
            CRM_ID: rows.customer,
            "下单时间": _times(rows.moment, "%Y-%m-%d %H:%M:%S"),
            "产品名称": rows["product"],
            "产品类别": rows.category,
            "数量": rows.quantity * np.where(way == "negative_quantity", -1, 1),
            CRM_AMOUNT: np.where(brackets, "(" + amount + ")", amount),
            CRM_COST: _money(rows.cost_cents * np.where(brackets, -1, sign)),
            "销售渠道": channels[rows.order],
            "订单状态": status,
            "币种": "CNY",
            "备注": "",
        }
    )
    marked = _marked(frame).assign(
        _kind=way, _cents=rows.cents * np.where((way == "") | void, 1, -1), _currency="CNY"
    )
    marked.loc[void, ["_outcome", "_reason"]] = "rejected", "void_status"
    return marked


def _write_web(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    """The web shop's export: UTF-8 with its mark; orders from abroad stand in UTC and USD."""
    rows = _with_returns(rng, company.lines[company.lines.web], RETURNS_WEB)
    of = company.accounts.loc[rows.account].reset_index(drop=True)
    abroad, back = of.region.isin(demo_company.ABROAD), rows.way != ""
    rate, sign = (
        np.where(abroad, USD, 1),
        np.where(rows.way.isin(["cancellation_number", "negative_quantity"]), -1, 1),
    )
    price = np.round(rows.cents / rows.quantity / rate).astype(int)  # cents
    off = np.where(of.group == "discount", rng.uniform(0.1, 0.3, len(rows)), 0.0)
    zone = np.where(abroad, "+0000", "+0800")
    frame = pd.DataFrame(
        {
            "Invoice No": (
                np.where(rows.way.str.startswith("cancel"), "C", "")
                + (rows.order + 500_000).astype(str)
            ),
            "Customer ID": rows.customer,
            "Order Date": (
                _times(
                    rows.moment - pd.to_timedelta(np.where(abroad, 8, 0), "h"), "%d/%m/%Y %H:%M "
                )
                + zone
            ),
            "Product": rows["product"],
            "Category": rows.category,
            "Quantity": rows.quantity * sign,
            "Unit Price": _money(price),
            "Discount": _money(np.round(rows.quantity * price * off / (1 - off))),
            "Cost": _money(np.round(rows.cost_cents / rate) * sign),
            "Currency": np.where(abroad, "USD", "CNY"),
        }
    )
    cents = rows.quantity * price * np.where(back, -1, 1)
    frame = _marked(frame).assign(_kind=rows.way, _cents=cents, _currency=frame.Currency)
    frame = _soiled(frame, rng, WEB_DIRT, ~back.to_numpy())
    return _write_csv(path, _repeated(frame, rng, ~back.to_numpy()), "utf-8-sig")


def _write_accounts(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    """The accounts as Zoho exports them, in a workbook whose first sheet is a cover."""
    doubles = company.doubles
    of = company.accounts.loc[[*company.accounts.index, *doubles.account]].reset_index(drop=True)
    ids = np.concatenate([company.accounts.id, doubles.second])
    count = len(ids)
    long_ago = np.where(
        (of["first"] < 365) & (rng.random(count) < 0.8), rng.integers(0, 1500, count), 0
    )
    created = of["first"] - rng.integers(0, 120, count) - long_ago
    modified = DAYS - 1 - rng.integers(0, np.where(rng.random(count) < 0.7, 365, 1500))
    modified = np.maximum(modified, created)
    frame = pd.DataFrame(
        {
            "Account Number": ids,
            **_identities(rng, of.region.isin(demo_company.ABROAD)),
            "Account Owner": of.owner,
            "Title": rng.choice(["采购经理", "总经理", "财务总监", "工程师"], count),
            "Industry": rng.choice(["制造业", "建筑业", "医疗", "食品加工", "物流", "能源"], count),
            "Billing State": of.region,
            "Billing City": of.region.map(demo_company.CHINA | demo_company.ABROAD),
            "Employees": rng.lognormal(4.5, 1.1, count).astype(int) + 3,
            "Rating": of.rating,
            "Ownership": rng.choice(["民营", "国有", "外资"], count, p=[0.7, 0.15, 0.15]),
            "Financing Need": np.select(
                [of.financing == 0, of.financing < 1e6, of.financing < 5e6],
                ["无", "100万以下", "100-500万"],
                "500万以上",
            ),
            "Lead Source": rng.choice(["展会", "网站", "转介绍", "电话开发", "广告"], count),
            "Referred By": np.where(rng.random(count) < 0.1, rng.choice(ids, count), ""),
            "Birthday": _times(
                np.datetime64("1960-01-01") + rng.integers(0, 14_000, count), "%Y-%m-%d"
            ),
            "Email Opt Out": np.where(rng.random(count) < 0.12, "true", "false"),
            "Created Time": _times(day(created.to_numpy()), "%Y-%m-%d"),
            "Modified Time": _times(day(modified.to_numpy()), "%Y-%m-%d"),
        }
    )
    frame = _alike(_marked(frame), doubles)
    lone = (
        (frame._kind == "") & ~frame.index.isin(doubles.account) & of.buyer & (ids != NULL_ID)
    ).to_numpy()
    named = rng.choice(np.flatnonzero(lone), len(ATTACKS), replace=False)
    frame.loc[named, "Account Name"], frame.loc[named, "_kind"] = ATTACKS, "attack"
    frame = _soiled(frame, rng, PROFILE_DIRT, lone & (frame._kind == ""))
    unlisted = np.sort(
        rng.choice(np.flatnonzero(lone & (frame._kind == "")), UNLISTED, replace=False)
    )
    listed = frame.drop(index=unlisted)
    _write_book(path, listed.drop(columns=MARKS))
    stale = np.delete(modified.to_numpy(), unlisted) < DAYS - 1 - STALE_DAYS
    truth = {"unlisted": list(ids[unlisted]), "stale": int(stale.sum()), "stale_days": STALE_DAYS}
    return _account(listed, np.arange(len(listed)) + 2) | truth


def _identities(rng: Random, abroad: pd.Series) -> dict[str, list[str]]:
    """Names, telephone numbers and the like: all different, and nobody's."""
    count, base = len(abroad), len(SYLLABLES)
    stems = [
        (n // base**2, n // base % base, n % base)
        for n in rng.choice(base**3, count, replace=False)
    ]
    zh, en = (
        ["".join(syllables[n] for n in stem) for stem in stems]
        for syllables in (SYLLABLES_ZH, SYLLABLES)
    )
    trades = rng.choice(list(TRADES), count)
    phones, taxes = rng.choice(10**9, (2, count), replace=False)
    return {
        "Account Name": [
            f"{e.capitalize()} {TRADES[trade]} Co., Ltd." if out else f"{z}{trade}有限公司"
            for z, e, trade, out in zip(zh, en, trades, abroad, strict=True)
        ],
        "Contact Name": [
            e.capitalize() if out else z[:2] for z, e, out in zip(zh, en, abroad, strict=True)
        ],
        "Phone": [
            f"+999{n:09d}" if out else f"12{n:09d}" for n, out in zip(phones, abroad, strict=True)
        ],
        "Email": [f"{e}@mail.example" for e in en],
        "Tax ID": [f"ZZ{n:016d}" for n in taxes],
    }


def _alike(frame: pd.DataFrame, doubles: pd.DataFrame) -> pd.DataFrame:
    """The frame, the second profiles of doubled accounts with the first one's phone, tax id or
    name, written otherwise.
    """
    shared = ["Industry", "Employees", "Rating", "Ownership", "Financing Need"]
    for number, (first, by) in enumerate(zip(doubles.account, doubles.by, strict=True)):
        second, column = (
            demo_company.ACCOUNTS + number,
            {"phone": "Phone", "tax_id": "Tax ID", "name": "Account Name"}[by],
        )
        same = str(frame.loc[first, column])
        other = {
            "phone": f"{same[:3]}-{same[3:7]}-{same[7:]}",
            "tax_id": same.lower(),
            "name": NAME_VARIANTS[number // 3 % 3](same),
        }
        frame.loc[second, [column, "_kind"]] = other[by], f"duplicate_by_{by}"
        frame.loc[second, shared] = frame.loc[first, shared]
    return frame


def _write_book(path: Path, frame: pd.DataFrame) -> None:
    """A workbook of a cover and the frame; created times are cells of dates, all else is text."""
    from xlsxwriter import Workbook  # slow to import

    frame = frame.assign(**{"Created Time": frame["Created Time"].map(dt.datetime.fromisoformat)})
    options = {
        "strings_to_formulas": False,  # a name here may begin with =
        "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd hh:mm:ss",
    }
    with Workbook(path, options) as book:
        book.set_properties({"created": dt.datetime(2026, 1, 1)})  # not the time of making
        book.add_worksheet("封面").write(0, 0, "客户资料导出：演示数据，所有名称均为虚构")
        page = book.add_worksheet("客户")
        page.write_row(0, 0, frame.columns)
        for number, row in enumerate(frame.itertuples(index=False, name=None), start=1):
            page.write_row(number, 0, [value or None for value in row])


def _write_interactions(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    of = contacts(rng, company, a_year=4)
    frame = pd.DataFrame({"客户编号": of.id, "时间": _times(of.moment, "%Y年%m月%d日 %H:%M")})
    frame["时间"] = frame.时间.str.replace("(?<=[年月])0", "", regex=True)
    frame["方式"] = rng.choice(["电话", "拜访", "会议", "微信"], len(of), p=[0.45, 0.2, 0.1, 0.25])
    frame["负责人"], frame["咨询产品"], frame["产品类别"] = of.owner, of["product"], of.category
    frame["结果"] = rng.choice(["继续跟进", "已报价", "无需求", "成交"], len(of))
    frame["纪要"] = rng.choice(["客户询价", "回访, 情况正常", "讨论交货时间", ""], len(of))
    return _write_csv(path, _soiled(_marked(frame), rng, INTERACTION_DIRT), "gb18030", "\r\n")


def _write_visits(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    of = contacts(rng, company, a_year=7)
    epoch_ms = pd.DatetimeIndex(of.moment).tz_localize("Asia/Shanghai").as_unit("ms").asi8
    frame = pd.DataFrame(
        {"customer": of.id, "time_ms": epoch_ms, "product": of["product"], "category": of.category}
    )
    return _write_csv(path, _soiled(_marked(frame), rng, VISIT_DIRT))


def _write_loans(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    """Applications for financing as an office abroad keeps them: semicolons, decimal commas, days
    first.
    """
    needy = company.accounts[company.accounts.financing > 0]
    of = needy.loc[np.repeat(needy.index, 1 + rng.poisson(0.6, len(needy)))]
    days = of["first"] + (np.minimum(of.leaves, DAYS) - of["first"]) * rng.random(len(of))
    of = of.assign(day=days.astype(int)).sort_values(["day", "id"])
    money = (of.financing * rng.lognormal(0, 0.3, len(of))).round(-3).astype(int)
    frame = pd.DataFrame(
        {"Account": of.id, "Application Date": _times(day(of.day.to_numpy()), "%d.%m.%Y")}
    )
    frame["Amount"] = [f"{amount:,}".replace(",", ".") + ",00" for amount in money]
    granted = rng.random(len(of)) < of.rating.map(demo_company.RATINGS)
    frame["Credit Rating"], frame["Decision"], frame["Handled By"] = (
        of.rating,
        granted.map({True: "approved", False: "declined"}),
        of.owner,
    )
    return _write_csv(path, _soiled(_marked(frame), rng, LOAN_DIRT), separator=";")


def _write_tickets(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    """Tickets as Excel saves "Unicode text": UTF-16, tabs, dates as serial numbers. Most come
    before an account leaves.
    """
    of = contacts(rng, company, a_year=3)
    of = of[rng.random(len(of)) < np.where(of.leaving, 1, 0.25)].reset_index(drop=True)
    opened = (of.moment - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D")
    closed = opened + rng.exponential(4, len(of))
    today = (day(DAYS) - np.datetime64("1899-12-30")).astype(int)
    still_open = (closed > today) | (rng.random(len(of)) < 0.03)
    frame = pd.DataFrame({"Ticket": [f"T{number:06d}" for number in of.index], "Account": of.id})
    frame["Opened"], frame["Closed"] = (
        opened.map("{:.5f}".format),
        closed.map("{:.5f}".format).mask(still_open, ""),
    )
    frame["Status"], frame["Product"] = np.where(still_open, "open", "closed"), of["product"]
    return _write_csv(path, _soiled(_marked(frame), rng, TICKET_DIRT), "utf-16", "\r\n", "\t")


def _write_feedback(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    """Scores of satisfaction and recommendation: high, but low before an account leaves."""
    of = contacts(rng, company, a_year=1.5)
    of = of[of.buyer].reset_index(drop=True)
    nps, mood = (
        rng.random(len(of)) < 0.4,
        rng.normal(np.where(of.leaving, 0.35, 0.82), 0.15).clip(0, 1),
    )
    frame = pd.DataFrame(
        {
            "Account": of.id,
            "Date": _times(of.moment, "%Y-%m-%d"),
            "Type": np.where(nps, "nps", "csat"),
        }
    )
    frame["Score"] = np.where(nps, mood * 10, 1 + mood * 4).round().astype(int)
    words = np.where(mood > 0.6, rng.choice(PRAISE, len(of)), rng.choice(BLAME, len(of)))
    frame["Product"], frame["Comment"] = (
        of["product"],
        np.where(rng.random(len(of)) < 0.5, words, ""),
    )
    return _write_csv(path, _soiled(_marked(frame), rng, FEEDBACK_DIRT))


def _write_campaigns(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    of = company.members.merge(pd.DataFrame(demo_company.CAMPAIGNS), on="campaign_id")
    begin = pd.to_datetime(of.date)
    frame = pd.DataFrame(
        {"campaign_id": of.campaign_id, "customer": company.accounts.id[of.account].to_numpy()}
    )
    frame["date"] = _times(begin, "%Y%m%d")
    frame["end"] = _times(begin + pd.to_timedelta(of.window_days, "D"), "%Y%m%d")
    frame["arm"], frame["kind"], frame["channel"] = (
        np.where(of.treat, "treat", "control"),
        of.kind,
        of.channel,
    )
    frame["cost"] = _money(of.cost.where(of.treat, 0) * 100)
    frame["responded"] = np.where(of.treat, np.where(of.responded, "yes", "no"), "")
    return _write_csv(path, _marked(frame))


def _write_products(path: Path, rng: Random, company: Company) -> dict[str, Any]:
    """The products, with the line ends of old Macs."""
    return _write_csv(path, _marked(company.products), ends="\r")


FILES: dict[str, Callable[[Path, Random, Company], dict[str, Any]]] = {  # besides the CRM's orders
    "webshop_orders.csv": _write_web,
    "accounts.xlsx": _write_accounts,
    "互动记录.csv": _write_interactions,
    "web_visits.csv.gz": _write_visits,
    "loan_applications.csv": _write_loans,
    "tickets.txt": _write_tickets,
    "feedback.csv": _write_feedback,
    "campaigns.csv": _write_campaigns,
    "products.csv": _write_products,
}


def _write_csv(
    path: Path, frame: pd.DataFrame, encoding: str = "utf-8", ends: str = "\n", separator: str = ","
) -> dict[str, Any]:
    """Write the rows, packed if the name says so; what was written and what must become of it."""
    texts: list[str] = []
    out: Any = SimpleNamespace(write=texts.append)
    writer, fields = (
        csv.writer(out, delimiter=separator, lineterminator=ends),
        frame.drop(columns=MARKS),
    )
    writer.writerow(fields.columns)
    for row, kind in zip(fields.itertuples(index=False, name=None), frame._kind, strict=True):
        writer.writerow(ROW_FAULTS.get(kind, tuple)(row))
    content = "".join(texts).encode(encoding)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    heights = [max(text.count("\n"), text.count("\r")) for text in texts]
    return {"encoding": encoding} | _account(frame, np.cumsum(heights)[:-1] + 1)


def _account(frame: pd.DataFrame, lines: Array) -> dict[str, Any]:
    """Rows by what must become of them, money kept by currency, and every fault with its lines (the
    header is line 1).
    """
    frame = frame.assign(_line=lines)
    rows, planted = frame[frame._outcome != ""], frame[frame._kind != ""].groupby("_kind")._line
    outcomes = rows.groupby(["_outcome", "_reason"]).size()
    money = (
        rows[(rows._outcome == "kept") & (rows._currency != "")].groupby("_currency")._cents.sum()
    )
    return {
        "rows": len(rows),
        "outcomes": [{"outcome": o, "reason": r, "rows": int(n)} for (o, r), n in outcomes.items()],
        "money_kept": {
            currency: f"{Decimal(int(cents)) / 100:.2f}" for currency, cents in money.items()
        },
        "planted": {kind: {"rows": len(of), "lines": of.tolist()} for kind, of in planted},
    }
