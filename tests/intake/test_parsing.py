import datetime as dt
import itertools
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.intake import order_lines, parsing, value_formats
from analysis.intake.ids import check_ids
from tests.intake.reading import fold, parsed


def found(texts, read):
    """What an expression makes of texts, in their order."""
    rows = ibis.memtable(pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}))
    return rows.select("n", made=read(rows.text)).order_by("n").to_pyarrow()["made"].to_pylist()


# Numbers


def numbers(texts, decimal="."):
    return found(list(texts), lambda text: parsing.read_number(text, decimal, order_lines.MONEY))


WRITTEN = {
    "¥1,234.50": "1234.50",
    "1'234'567.8": "1234567.8",
    "1’234.50": "1234.50",
    "1 234.50": "1234.50",
    "(5.00)": "-5",
    "-(5.00)": "-5",
    "¥(1,234.50)": "-1234.50",
    "(¥1,234.50)": "-1234.50",
    "5.00-": "-5",
    "−5": "-5",
    "- 5": "-5",
    "-¥5": "-5",
    "¥-5": "-5",
    "100元": "100",
    "USD 5": "5",
    "5 eur": "5",
    "RMB5": "5",
    "12 XOF": "12",
    ".5": "0.5",
    "5.": "5",
    "+5": "5",
    "1e3": "1000",
    "1e-12": "1e-12",
    "999999999999999.999999999999": "999999999999999.999999999999",
    "1,000,000,000,000,000": "1e15",
    "₹1,23,456.00": "123456",
    "-12,34,567": "-1234567",
    "'-70.00": "-70",
    "'5": "5",
    "$ -": "0",
    "USD–": "0",
}
NO_DECIMAL_POINT = (
    "12,50|1,2,345|123,45,678|01,23,456|1234,567|0,123|01,234|12 50|12€50|12$50|12_50|1,234,5"
    "|1.234.567|1,234,"
)
NO_NUMBER = (
    "|-|.|()|$|USD|TBD|N/A|1/2|5 Mio|5 pcs|0x10|--5|5--|(-5)|((5))|(5|$$5|nan|0xxx|0 XXX|12 XTS"
)
TOO_LARGE = "1e26|100000000000000000000000000|1e400"


def test_numbers_as_people_write_them():
    assert dict(zip(WRITTEN, numbers(WRITTEN), strict=True)) == {
        text: Decimal(n) for text, n in WRITTEN.items()
    }
    none = "|".join([NO_DECIMAL_POINT, NO_NUMBER, TOO_LARGE]).split("|")
    assert {text: n for text, n in zip(none, numbers(none), strict=True) if n is not None} == {}
    comma = {
        "1.234,50": "1234.50",
        "12,50": "12.50",
        "1.234": "1234",
        "1 234,5": "1234.5",
        "€ 1.234,50-": "-1234.50",
    }
    assert numbers(comma, ",") == [Decimal(number) for number in comma.values()]
    assert numbers(["12.50", "1,234.50", "1.5", "1,234,567"], ",") == [None] * 4


CURRENCIES = ["$", "€", "¥", "£", "元", "RMB", "USD", "eur", "CHF"]
SIGNED = ["-{}", "−{}", "–{}", "- {}", "{}-", "({})"]


@st.composite
def written_numbers(draw, mark):
    """A number as a text in one of the usual styles, and itself."""
    whole, places = draw(st.integers(0, 10**15)), draw(st.text("0123456789", max_size=12))
    group = draw(st.sampled_from(["", "," if mark == "." else ".", "'", "’", " "]))
    digits = "" if whole == 0 and places and draw(st.booleans()) else f"{whole:,}"
    text = digits.replace(",", group) + (mark + places if places else "")
    money, gap = draw(st.sampled_from(["", *CURRENCIES])), draw(st.sampled_from(["", " "]))
    currency = draw(st.sampled_from([f"{money}{gap}{{}}", f"{{}}{gap}{money}"])) if money else "{}"
    sign = draw(st.sampled_from(["{}", "+{}", *SIGNED]))
    inner, outer = (currency, sign) if draw(st.booleans()) else (sign, currency)
    return outer.format(inner.format(text)), Decimal(
        f"{'-' if sign in SIGNED else ''}{whole}.{places or 0}"
    )


@given(*(st.lists(written_numbers(mark), min_size=1, max_size=60) for mark in ".,"))
@settings(max_examples=15)
def test_any_number_in_any_style_is_read_back_exactly(pointed, with_comma):
    for mark, written in {".": pointed, ",": with_comma}.items():
        texts, expected = zip(*written, strict=True)
        assert dict(zip(texts, numbers(texts, mark), strict=True)) == dict(written)
        assert [value_formats.number(text, mark) for text in texts] == list(expected)


PLAIN = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[.]?", re.I
)  # the engine passes over a last point
GROUPED = re.compile(
    r"(?=.*\d)(\d*|[1-9]\d{0,2}((,\d{3})+|('\d{3})+|( \d{3})+)|[1-9]\d?(,\d\d)+,\d{3})(\.\d+)?"
)
HEAD, TAIL = re.compile(r"(¥|€|USD)\s*"), re.compile(r"\s*(¥|€|USD)$")


def number_by_hand(text):
    """The number, found by taking off signs, brackets and currencies from the outside, each at most
    once.
    """
    if plain := PLAIN.fullmatch(text):
        return Decimal(plain[1]).quantize(Decimal("1e-12"), ROUND_HALF_UP)
    text = text.removesuffix("/-").removeprefix("'")
    if re.fullmatch(r"(¥|€|USD)\s*[-−]", text):
        return Decimal(0)
    off, body = [], text
    while True:
        body, before = body.strip(), body
        if "head" not in off and HEAD.match(body):
            body, off = HEAD.sub("", body, count=1), [*off, "head"]
        elif "tail" not in off and TAIL.search(body):
            body, off = TAIL.sub("", body), [*off, "tail"]
        elif body[:1] in ("+", "-", "−") and not {"+", "-"} & {*off}:
            body, off = body[1:], [*off, "+" if body[0] == "+" else "-"]
        elif body[-1:] in ("-", "−") and "minus behind" not in off:
            body, off = body[:-1], [*off, "minus behind"]
        elif body[:1] == "(" and body[-1:] == ")" and "brackets" not in off:
            body, off = body[1:-1], [*off, "brackets"]
        if body == before:
            break
    signs = [sign for sign in off if sign not in ("head", "tail")]
    if not GROUPED.fullmatch(body) or (len(signs) > 1 and signs != ["-", "brackets"]):
        return None
    return Decimal(re.sub("[,' ]", "", body)) * (1 if signs in ([], ["+"]) else -1)


PIECES = ["12", "123", "000", "50", "USD", *"01.,' -−+()¥€e_%x/"]


@given(
    st.lists(
        st.lists(st.sampled_from(PIECES), max_size=7).map("".join).map(str.strip),
        min_size=100,
        max_size=300,
    )
)
@settings(max_examples=15)
def test_what_is_read_as_a_number_agrees_with_other_parsers(texts):
    """The engine with one written in another way, and `init` with the engine: but for exponents."""
    read = dict(zip(texts, numbers(texts), strict=True))
    assert {t: n for t, n in read.items() if n is not None and n != number_by_hand(t)} == {}
    plain = {t: value_formats.number(t) for t in read if "e" not in t}
    exact = {t: None if n is None else n.quantize(Decimal("1e-12")) for t, n in plain.items()}
    assert {t: read[t] for t, n in exact.items() if n != read[t]} == {}


@given(st.lists(st.decimals(Decimal("-1e15"), Decimal("1e15"), places=12), min_size=1, max_size=40))
@settings(max_examples=5)
def test_money_is_read_and_summed_without_rounding(amounts):
    rows = [("7", "2024-01-05", str(amount)) for amount in amounts]
    lines = parsed(rows, ["customer_id", "date", "amount"])
    assert lines.amount.sum().execute() == sum(amounts)


# Days and moments


def moments(texts, date_format, zone="UTC"):
    return found(list(texts), lambda text: parsing.read_moment(text, date_format, zone))


JANUARY_31 = dt.datetime(2024, 1, 31)
MOMENTS = {
    ("%Y%m%d", "20240131"): JANUARY_31,
    ("excel", "45322"): JANUARY_31,
    ("excel", "45322.75"): dt.datetime(2024, 1, 31, 18),
    ("excel", "45322,75"): dt.datetime(2024, 1, 31, 18),
    ("excel", "1"): dt.datetime(1899, 12, 31),
    ("excel", "2958465"): dt.datetime(9999, 12, 31),
    ("excel", "2024-01-31"): JANUARY_31,
    ("epoch_s", "1706659200"): JANUARY_31,
    ("epoch_ms", "1706659200000"): JANUARY_31,
    ("epoch_ms", "1706745599999"): dt.datetime(2024, 1, 31, 23, 59, 59),
    ("epoch_s", "-1"): dt.datetime(1969, 12, 31, 23, 59, 59),
    ("%Y年%m月%d日", "2024年1月31日"): JANUARY_31,
    ("%Y年%m月%d日 %H:%M", "2024年1月31日 9:05"): dt.datetime(2024, 1, 31, 9, 5),
    ("%d/%m/%Y", "01/02/2024"): dt.datetime(2024, 2, 1),
    ("%m/%d/%Y", "01/02/2024"): dt.datetime(2024, 1, 2),
}
NO_MOMENT = {
    "%Y%m%d": "45322|1706659200|2024131",
    "excel": "20240131|1706659200000|0|2958466",
    "epoch_s": "1706659200000|1e300",
    "epoch_ms": "soon",
    "%d/%m/%Y": "02/13/2024",
    "%m/%d/%Y": "13/02/2024",
    "%Y年%m月%d日": "2024年13月5日|2024年1月5号",
    "iso": "20240131|45322|01/02/2024|2024-02-30|2024-13-01|2024-01-05x|soon|10:00|2024-01|now|",
}


def test_one_date_format_holds_for_a_whole_column_and_none_goes_beyond_its_range():
    for (form, text), moment in MOMENTS.items():
        none = NO_MOMENT.get(form, "soon").split("|")
        assert (form, moments([text, *none], form)) == (form, [moment, *[None] * len(none)])


def test_each_column_of_dates_has_its_own_format():
    form = {"birthday": "%d.%m.%Y", "updated": "excel", "first_contact": "epoch_ms"}
    names = ["customer_id", "birthday", "updated", "first_contact", "contract_end"]
    row = ("7", "31.01.1980", "45322", "1706659200000", "2024-01-31")
    days = parsed([row], names, "customers", date_format=form).select(names[1:]).to_pyarrow()
    expected = [dt.date(1980, 1, 31), *[JANUARY_31.date()] * 3]
    assert list(days.to_pylist()[0].values()) == expected


def test_an_offset_in_the_text_is_minded():
    texts = {
        "2024-01-05 23:59:00+08:00": dt.datetime(2024, 1, 5, 23, 59),
        "2024-01-05T23:59:00+0800": dt.datetime(2024, 1, 5, 23, 59),
        "2024-01-05T16:00Z": dt.datetime(2024, 1, 6),
        "2024-1-5 9:00Z": dt.datetime(2024, 1, 5, 17),
        "2024-01-05 16:00:00 UTC": dt.datetime(2024, 1, 6),
        "2024-01-05 11:00:00-05": dt.datetime(2024, 1, 6),
        "2024-01-05 11:00:00 America/New_York": dt.datetime(2024, 1, 6),
        "2024-01-05 23:59": dt.datetime(2024, 1, 5, 23, 59),  # clock time of the zone already
        "2024-01-05": dt.datetime(2024, 1, 5),
        "2024-01-05 10:00:00 PM": None,
    }
    assert dict(zip(texts, moments(texts, "iso", "Asia/Shanghai"), strict=True)) == texts
    there = moments(["05/01/2024 23:59 +0800"], "%d/%m/%Y %H:%M %z", "America/New_York")
    assert there == [dt.datetime(2024, 1, 5, 10, 59)]


EXCEL_ZERO = dt.datetime(1899, 12, 30)
WRITERS = [  # format, and how a moment with its zone is written in it
    ("iso", lambda m: m.strftime("%Y-%m-%d %H:%M:%S")),
    ("iso", lambda m: m.isoformat()),
    ("iso", lambda m: m.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    ("excel", lambda m: repr((m.replace(tzinfo=None) - EXCEL_ZERO) / dt.timedelta(days=1))),
    ("epoch_s", lambda m: str(int(m.timestamp()))),
    ("epoch_ms", lambda m: str(int(m.timestamp()) * 1000 + 999)),
    ("%d/%m/%Y %H:%M:%S", lambda m: f"{m.day}/{m.month}/{m.year} {m.hour}:{m.minute}:{m.second}"),
    ("%-d.%-m.%Y %H:%M:%S", lambda m: f"{m.day}.{m.month}.{m.year} {m:%H:%M:%S}"),
    ("%Y年%m月%d日 %H:%M:%S", lambda m: f"{m.year}年{m.month}月{m.day}日 {m:%H:%M:%S}"),
    ("%Y-%m-%d %H:%M:%S %z", lambda m: f"{m.astimezone(ZoneInfo('Asia/Kolkata')):%F %T %z}"),
    *(
        (form, lambda m, form=form: m.strftime(form))
        for form in (
            "%Y%m%d%H%M%S",
            "%m/%d/%y %I:%M:%S %p",
            "%d-%b-%Y %H:%M:%S",
            "%d %B %Y %H:%M:%S",
            "%Y-%j %H:%M:%S",
            "%Y-%m-%d %H:%M:%S.%f",
        )
    ),
]
INSTANTS = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2037, 12, 30)).map(
    lambda m: m.replace(microsecond=0, tzinfo=dt.UTC)
)
AMBIGUOUS = [dt.datetime(2024, 11, 3, hour, 30, tzinfo=dt.UTC) for hour in (5, 6)]


@given(
    st.lists(INSTANTS, min_size=20, max_size=40),
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]),
)
@settings(max_examples=6)
@example(AMBIGUOUS, "America/New_York")
def test_any_moment_in_any_format_is_read_back(instants, zone):
    here = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    texts = {f"w{n}": [write(moment) for moment in here] for n, (_, write) in enumerate(WRITERS)}
    rows = ibis.memtable(pa.table({"n": range(len(here))} | texts))
    forms = {f"w{n}": form for n, (form, _) in enumerate(WRITERS)}
    read = {name: parsing.read_moment(rows[name], form, zone) for name, form in forms.items()}
    back = rows.select("n", **read).order_by("n").to_pyarrow()
    expected = [moment.replace(tzinfo=None) for moment in here]
    for name, form in forms.items():
        assert (form, back[name].to_pylist()) == (form, expected)


def test_days_are_cut_in_the_datasets_zone_and_have_a_clock_where_the_text_says_one():
    texts = ["2024-01-05 23:59:00+08:00", "2024-01-05 23:59:00-05:00", "2024-01-05 23:59:00"]
    rows = [("7", text) for text in [*texts, "2024-01-06", "never"]]
    for zone, days in {"Asia/Shanghai": [5, 6, 5], "America/New_York": [5, 5, 5]}.items():
        read = parsed(rows, ["customer_id", "date"], within={"time_zone": zone})
        back = read.order_by("line").to_pyarrow()
        assert [day.day for day in back["day"].to_pylist()[:4]] == [*days, 6]
        assert back["moment"].to_pylist()[2:] == [dt.datetime(2024, 1, 5, 23, 59), None, None]
        assert back["day"].to_pylist()[4] is None


# Flags


def test_yes_and_no_in_their_forms_and_no_other_word():
    yes = ["true", "TRUE", "Yes", "y", "1", "x", *"是已有"]
    no = ["false", "No", "N", "0", *"否未无"]
    others = ["", "maybe", "yess", "10", "01", "不", "si"]
    flags = found([*yes, *no, *others], parsing.read_flag)
    assert flags == [True] * len(yes) + [False] * len(no) + [None] * len(others)


CONSENTS = {  # consent, opt_out: may be contacted
    ("yes", "no"): True,
    ("yes", "yes"): False,
    ("no", "no"): False,
    ("no", "yes"): False,
    ("yes", None): None,
    ("no", None): False,
    ("maybe", "no"): None,
    ("maybe", "yes"): False,
    (None, None): None,
}


def test_nobody_who_said_no_in_one_of_two_columns_may_be_contacted():
    rows = [("7", *said) for said in CONSENTS]
    read = parsed(rows, ["customer_id", "consent", "opt_out"], "customers").order_by("line")
    assert read.consent.to_pyarrow().to_pylist() == list(CONSENTS.values())
    rows = [("7", said) for said in ("yes", "no", "perhaps", None)]
    alone = parsed(rows, ["customer_id", "opt_out"], "customers").order_by("line").to_pyarrow()
    assert alone["consent"].to_pylist() == [False, True, None, None]
    assert "opt_out" not in alone.column_names
    assert alone["found_opt_out"].to_pylist() == [None, None, "xxxxxxx", None]


# Masks


def test_masks_keep_the_shape_and_leak_no_letter_or_digit_of_any_script():
    """Unassigned characters are left out: Unicode is newer in one of the two libraries."""
    every = [c for c in map(chr, range(0x110000)) if unicodedata.category(c) not in ("Cs", "Cn")]
    content = [c for c in every if unicodedata.category(c)[0] in "LNM"]
    shown = [c for c in every if unicodedata.category(c)[0] not in "LNM"]
    texts = ["".join(content), "".join(shown), "किरण ชื่อ 12", "Ｍüller 12/3"]
    expected = ["".join(map(fold, text)) for text in texts]
    assert found(texts, parsing.mask) == expected
    assert set(expected[0]) == {"x", "9"}


# Currencies


def foreign(rows, home, columns=("customer_id", "date", "amount", "currency"), **settings):
    within = {"currency": home} | settings
    return parsed(rows, list(columns), within=within)


def test_the_currency_of_a_line_is_its_columns_or_its_sign_or_the_datasets():
    amounts = ["5", "$5", "¥5", "5元", "5 RMB", "€5"]
    rows = [("7", "2024-01-05", amount, None) for amount in amounts]
    rows += [("7", "2024-01-05", "5", code) for code in ("usd", "CNY", "$")]
    for home, codes in {
        "CNY": [None, "USD", None, None, None, "EUR", "USD", None, "USD"],
        "CAD": [None, None, "CNY", "CNY", "CNY", "EUR", "USD", "CNY", None],
        "JPY": [None, "USD", None, "CNY", "CNY", "EUR", "USD", "CNY", "USD"],
    }.items():
        lines = foreign(rows, home).order_by("line")
        assert (home, lines.foreign.to_pyarrow().to_pylist()) == (home, codes)


def test_lines_in_another_currency_are_refused_with_their_counts_and_shown_masked(shop):
    settings = shop("id,day,eur\n")
    rows = [("7", "2024-01-05", "5", code) for code in ("USD", "usd", "EUR", "GBP", None)]
    lines = foreign(rows, "CNY")
    rated = settings.model_copy(update={"currency": "CNY", "rates": {"GBP": 9.0}})
    with pytest.raises(InputError, match=r"besides lines in CNY there are 2 in USD, 1 in EUR; say"):
        parsing.check_currencies(lines, rated)
    people = foreign([("7", "2024-01-05", "5", f"Anna Müller 138001{n}") for n in range(9)], "CNY")
    with pytest.raises(InputError, match="there are 9 in xxxx xxxxxx 9999999;") as error:
        parsing.check_currencies(people, rated)
    assert not re.search("anna|ller|138", str(error.value), re.I)
    parsing.check_currencies(foreign([("7", "2024-01-05", "5", "GBP")], "CNY"), rated)


# Customers' numbers


def numbered(ids, **settings):
    """Customers' numbers as they are read, in the order of the rows."""
    rows = [(one, "2024-01-05", "5") for one in ids]
    lines = parsed(rows, ["customer_id", "date", "amount"], within=settings).order_by("line")
    return lines.customer_id.to_pyarrow().to_pylist()


def test_a_customers_number_is_one_however_it_is_written_and_nobodys_is_none():
    texts = ["'0007", "Kim@X.example", "KIM@x.EXAMPLE", "Kim", "NULL", "Guest", "散客", "0", "#N/A"]
    assert numbered(texts) == [
        *("0007", "kim@x.example", "kim@x.example", "Kim", None, None, None, "0", None),
    ]
    assert numbered(["Null", "walk up", "guest"], somebody=["null"], nobody=["Walk Up"]) == [
        *("Null", None, None),
    ]
    assert numbered(["'0007", "7.0", "7", "0", "000", "0.7", "A07"], plain_ids=True) == [
        *("7", "7", "7", "0", "0", "0.7", "A07"),
    ]


def test_numbers_that_are_several_customers_are_refused_with_their_count(shop):
    found = shop("id,day,eur\n7,2024-01-05,1\n")

    def check(ids, **settings):
        rows = [(one, "2024-01-05", "5") for one in ids]
        lines = parsed(rows, ["customer_id", "date", "amount"])
        check_ids(lines, found.model_copy(update=settings))

    usual = [str(n) for n in range(40)]  # 0 is one of them, and nobody remarkable
    for ids in (usual, [*usual, "1E5", "12E4", "0"], ["0"] * 4 + usual):
        check(ids)
    for ids, said in (
        ([*usual, "1.38E+11"], r"1 of 41 order lines .* rounded .* as text"),
        ([*usual, "小***3", "小***4"], r"2 of 42 order lines .* masked"),
        ([*usual, *["0"] * 20], r"21 of 60 order lines are of a customer 0, the next has 1"),
    ):
        with pytest.raises(InputError, match=said):
            check(ids)
    check([*usual, *["0"] * 20], somebody=["0"])


# What is the whole order's

ORDER = ["order_id", "customer_id", "date", "status", "quantity", "unit_price", "discount"]
ORDER += ["refund"]
SHOPIFY = [  # what holds for the order stands in its first row
    ("#1", "a", "2024-01-05", "paid", "1", "3.00", "1.00", "0"),
    ("#1", "a", "2024-01-05", None, "2", "3.50", None, None),
    ("#2", "b", "2024-01-05", "voided", "1", "5.00", "0", "0"),
    ("#2", "b", "2024-01-05", None, "1", "7.00", None, None),
    ("#3", "a", "2024-01-06", "partially_refunded", "1", "0.10", "0", "20.00"),
    ("#3", "a", "2024-01-06", None, "3", "33.30", None, None),
    ("#4", "c", "2024-01-06", "paid", "1", "8.00", "0", "12.90"),  # with its shipping
    (None, "d", "2024-01-07", "paid", "1", "4.00", "0.50", "0"),
    (None, "d", "2024-01-07", None, "1", "6.00", None, None),
]
WHOLE = {
    "void_status": ["voided"],
    "before_discount": True,
    "of_order": ["status", "discount", "refund"],
}


def amounts(lines):
    return lines.order_by("line").amount.to_pyarrow().to_pylist()


def test_what_stands_in_an_orders_first_row_is_the_orders():
    lines = parsed(SHOPIFY, ORDER, **WHOLE).order_by("line").to_pyarrow().to_pylist()
    assert [line["void"] for line in lines] == [False] * 2 + [True] * 2 + [False] * 5
    money = {}
    for line in lines:
        money[line["order_id"]] = money.get(line["order_id"], 0) + line["amount"]
    assert money == {
        "#1": Decimal("9.00"),  # 10 less 1
        "#2": Decimal("12.00"),  # void, as it was
        "#3": Decimal("80.00"),  # 100 less 20
        "#4": 0,
        None: Decimal("9.50"),  # 4 less 0.50, and 6
    }
    assert [line["amount"] for line in lines[:2]] == [Decimal("2.70"), Decimal("6.30")]
    assert not any(line["returned"] or line["amount"] < 0 for line in lines)


MONEY_OF_LINES = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


@given(st.lists(st.tuples(MONEY_OF_LINES, st.integers(0, 10**7)), min_size=1, max_size=25))
@settings(max_examples=5)
@example([([0, 1, 1, 1], 2), ([3, 3, 3], 9)])
def test_what_is_taken_off_an_order_is_taken_once_and_no_line_falls_below_zero(orders):
    rows = [
        (str(k), "a", "2024-01-05", str(Decimal(money) / 100), None if n else f"{off / 100:.2f}")
        for k, (cents, off) in enumerate(orders)
        for n, money in enumerate(cents)
    ]
    names = ["order_id", "customer_id", "date", "amount", "discount"]
    file = {"of_order": ["discount"], "before_discount": True}
    made = iter(amounts(parsed(rows, names, **file)))
    for cents, off in orders:
        lines = list(itertools.islice(made, len(cents)))
        assert sum(lines) == max(Decimal(sum(cents) - off) / 100, 0)
        assert all(0 <= x <= Decimal(money) / 100 for x, money in zip(lines, cents, strict=True))
    assert next(made, None) is None


def test_a_discount_of_a_line_is_taken_off_the_line_and_only_where_that_is_said():
    names = ["order_id", "customer_id", "date", "amount", "discount", "refund"]
    rows = [
        ("1", "a", "2024-01-05", "10", "-1", None),
        ("1", "a", "2024-01-05", "20", "2", "5"),
        ("2", "a", "2024-01-06", "-10", "1", None),  # what had been paid for is paid back
    ]
    assert amounts(parsed(rows, names, before_discount=True)) == [9, 13, -9]
    assert amounts(parsed(rows, names)) == [10, 15, -10]
    percents = [("1", "a", "2024-01-05", "10", text, None) for text in ("5%", "0", "12.5 %", "100")]
    assert amounts(parsed(percents, names, before_discount="percent")) == [
        *(Decimal("9.5"), 10, Decimal("8.75"), 0)
    ]
    share = [("1", "a", "2024-01-05", "-10", "0.2", None)]
    assert amounts(parsed(share, names, before_discount="share")) == [-8]
    with pytest.raises(ValueError, match="is taken off each line; take discount out of of_order"):
        parsed(share, names, before_discount="share", of_order=["discount"])


def test_an_orders_total_counts_once_and_is_unreadable_only_where_no_row_has_it():
    names = ["order_id", "customer_id", "date", "product", "amount"]
    total = {"1": "38.40", "2": "7.25", "3": None, "4": "12,5x"}
    rows = [
        (order, "a", "2024-01-05", tea, total[order])
        for order, tea in (*zip("112123344", "abcdefghi", strict=True),)
    ]
    lines = parsed(rows, names, of_order=["amount"]).order_by("line").to_pyarrow()
    once = [Decimal("38.40"), 0, Decimal("7.25"), 0, 0, None, None, None, 0]
    assert lines["amount"].to_pylist() == once
    assert [row for row in lines["found_amount"].to_pylist() if row] == ["99,9x"]
    later = [(*row[:4], None if n % 2 else row[4]) for n, row in enumerate(rows[:2])]
    assert amounts(parsed(later, names, of_order=["amount"])) == [Decimal("38.40"), 0]


def test_every_row_of_a_file_of_refunds_is_a_return():
    rows = [("1", "a", "2024-01-05", "5"), ("2", "a", "2024-01-05", "-6")]
    lines = parsed(rows, ["order_id", "customer_id", "date", "amount"], returns={"all": True})
    assert amounts(lines) == [-5, -6] and lines.returned.all().execute()


def test_an_e_mail_is_one_customers_however_it_is_written():
    one = [
        "ann@x.example",
        "Ann <ann@x.example>",
        '"Lee, Ann" <Ann@X.example>',
        " ann@x.example\xa0",
    ]
    one += ["ann @x.example", "< ann@x.example >", "mailto:ann@x.example"]
    others = ["ann@x.example, bob@x.example", "tea @ home", "Ann <7>", "bob@x.example"]
    rows = [(text, "2024-01-05") for text in one + others]
    lines = parsed(rows, ["customer_id", "date"]).order_by("line").to_pyarrow().to_pydict()
    assert lines["customer_id"] == ["ann@x.example"] * len(one) + others


def test_the_clock_of_a_date_with_a_months_name_is_read():
    for form, text, moment in (
        (
            "%d-%b-%y %I:%M:%S.%f %p",
            "05-JAN-24 03.14.07.123000 PM",
            (2024, 1, 5, 15, 14, 7, 123000),
        ),
        (
            "%d-%b-%y %I:%M:%S.%f %p",
            "05-JAN-24 12.14.07.123000999 AM",
            (2024, 1, 5, 0, 14, 7, 123000),
        ),
        ("%d %b %Y %H:%M:%S %z", "Fri, 05 Jan 2024 15:14:07 +0800", (2024, 1, 5, 7, 14, 7)),
        ("%d %b %Y %H:%M", "5. Dezember 2024 15:14", (2024, 12, 5, 15, 14)),
    ):
        rows = ibis.memtable({"text": [text]})
        read = parsing.read_moment(rows.text, form, "UTC").to_pyarrow().to_pylist()
        assert read == [dt.datetime(*moment)]
