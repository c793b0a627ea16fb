import csv
import datetime as dt

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import InputError
from analysis.intake import cleaning, identity, store

AS_OF = dt.date(2024, 12, 31)
KEYS = ["phone", "email", "tax_id", "company"]


def suggested(rows, *columns):
    frame = pd.DataFrame(rows, columns=["customer_id", *columns])
    return identity.suggestions(ibis.memtable(frame, schema=dict.fromkeys(frame, "string")))


def pairs(found):
    return {(row.same_as, row.customer_id): row["keys"] for _, row in found.iterrows()}


# Suggestions


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("phone", "13800138000", "138-0013-8000"),
        ("phone", "+86 138 0013 8000", "13800138000"),
        ("phone", "0049 40 1234567", "+49 (40) 1234567"),
        ("email", "Anna@Mail.example", "anna@mail.EXAMPLE"),
        ("tax_id", "zz 0012-34", "ZZ001234"),
        ("company", "岚澈机械有限公司", " 岚澈 机械有限责任公司\u3000"),
        ("company", "Vaflon Machinery Co., Ltd.", "VAFLON MACHINERY COMPANY LIMITED"),
        ("company", "Vaflon Machinery Co., Ltd.", "Ｖａｆｌｏｎ Machinery"),
        ("company", "Müller & Sohn GmbH", "MÜLLER SOHN"),
        ("company", "Banca S.p.A.", "banca spa"),
    ],
)
def test_the_same_written_otherwise_is_suggested(column, one, other):
    assert pairs(suggested([("7", one), ("8", other), ("9", None)], column)) == {("7", "8"): column}


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("phone", "12345", "12345"),  # an extension
        ("phone", "n/a", "n/a"),
        ("phone", "13800138000", "13800138001"),
        ("email", "anna@mail.example", "anne@mail.example"),
        ("tax_id", "-", "-"),
        ("company", "有限公司", "有限公司"),
        ("company", "Ltd.", "GmbH"),
        ("company", "Vaflon", "Vaflan"),
        ("company", None, None),
    ],
)
def test_what_says_nothing_or_something_else_is_not_suggested(column, one, other):
    assert suggested([("7", one), ("8", other)], column).empty


def test_a_key_that_many_share_says_nothing():
    most = [(str(n), "13800138000") for n in range(identity.MOST_ALIKE)]
    assert len(suggested(most, "phone")) == identity.MOST_ALIKE - 1
    assert suggested([*most, ("x", "13800138000")], "phone").empty


def test_all_who_share_a_key_are_suggested_with_the_smallest_id_and_the_most_alike_first():
    rows = [
        ("9", "Vaflon", "a@b.example"),
        ("8", "vaflon", "A@B.example"),
        ("7", "Vaflon Ltd", None),
        ("6", None, None),
    ]
    found = suggested(rows, "company", "email")
    assert pairs(found) == {("7", "8"): "company", ("7", "9"): "company", ("8", "9"): "email"}
    rows = [
        ("1", "Vaflon", "a@b.example"),
        ("2", "Mirten", "c@d.example"),
        ("3", "Mirten", "C@d.example"),
        ("4", "vaflon", None),
    ]
    found = suggested(rows, "company", "email")
    assert found[["customer_id", "same_as", "keys", "accept"]].to_numpy().tolist() == [
        ["3", "2", "company, email", ""],
        ["4", "1", "company", ""],
    ]


def test_without_a_column_to_compare_nothing_is_suggested():
    found = suggested([("7", "North"), ("8", "North")], "region")
    assert found.empty
    assert list(found) == ["customer_id", "same_as", "keys", "accept"]


def key_by_hand(column, text):
    if column == "phone":
        digits = "".join(c for c in text if c.isdigit())
        return digits[-10:] if len(digits) >= 7 else ""
    return text.lower() if column == "email" else "".join(c for c in text.lower() if c.isalnum())


PEOPLE = st.lists(
    st.fixed_dictionaries(
        {
            "phone": st.sampled_from(
                [
                    None,
                    "1234567",
                    "0123-4567",
                    "00 12 34 56 7",
                    "12345",
                    "9876543210",
                    "+1 987 654 3210",
                ]
            ),
            "email": st.sampled_from([None, "a@b.example", "A@B.example", "c@d.example"]),
            "tax_id": st.sampled_from([None, "Z-1", "z1", "Z 2", "-"]),
        }
    ),
    min_size=2,
    max_size=14,
)


@given(PEOPLE)
@settings(max_examples=5)
def test_suggestions_agree_with_plain_python(people):
    ids = [f"{n:02}" for n in range(len(people))]
    expected = {}
    columns = ("phone", "email", "tax_id")
    for column in columns:
        by_key = {}
        for name, person in zip(ids, people, strict=True):
            if person[column] and (key := key_by_hand(column, person[column])):
                by_key.setdefault(key, []).append(name)
        for alike in by_key.values():
            if len(alike) <= identity.MOST_ALIKE:
                for other in alike[1:]:
                    expected.setdefault((alike[0], other), []).append(column)
    found = suggested(
        [(n, *(person[c] for c in columns)) for n, person in zip(ids, people, strict=True)],
        *columns,
    )
    assert pairs(found) == {pair: ", ".join(sorted(columns)) for pair, columns in expected.items()}


def test_planted_duplicates_of_the_invented_company_are_suggested(crm_demo):
    """Every pair was given the same telephone, tax number or name, written otherwise: exact keys
    must find all of them. All other names, numbers and addresses were drawn different; what chance
    makes alike is a pair in fifty at most.
    """
    found = identity.suggestions(cleaning.records(crm_demo.judged["customers"]))
    planted = {
        frozenset((pair["customer_id"], pair["duplicate"])): pair["by"]
        for pair in crm_demo.truth["duplicates"]
    }
    ours = {frozenset((row.customer_id, row.same_as)): row["keys"] for _, row in found.iterrows()}
    recall = len(planted.keys() & ours.keys()) / len(planted)
    precision = len(planted.keys() & ours.keys()) / len(ours)
    assert recall == 1, (
        f"recall {recall:.1%}: {len(planted.keys() - ours.keys())} planted pairs are not suggested"
    )
    assert precision >= 0.98, (
        f"precision {precision:.1%}: {len(ours.keys() - planted.keys())} pairs are not planted"
    )
    for pair, by in planted.items():
        assert {"name": "company"}.get(by, by) in ours[pair]
    assert set(", ".join(found["keys"]).split(", ")) <= set(KEYS)  # and no contact details
    assert list(found) == ["customer_id", "same_as", "keys", "accept"] and {*found.accept} == {""}


# Acceptance

ORDERS = (
    "id,day,eur,order\n8,2024-01-05,5,A\n7,2024-01-05,5,A\n07,2024-01-05,5,B\n9,2024-01-06,6,C\n"
)
PROFILES = """id,region,phone,ref,changed
7,North,1234567890,9,2024-01-01
8,South,1234567890,7,2024-02-01
9,East,,8,2024-01-01
"""
CALLS = "id,day\n8,2024-01-07\n7,2024-01-07\n9,2024-01-07\n"
TABLES = {
    "transactions": {
        "path": "o.csv",
        "columns": {"customer_id": "id", "date": "day", "amount": "eur", "order_id": "order"},
        "order_key": ["order_id"],
    },
    "customers": {
        "path": "c.csv",
        "columns": {
            "customer_id": "id",
            "region": "region",
            "phone": "phone",
            "referrer": "ref",
            "updated": "changed",
        },
    },
    "interactions": {"path": "i.csv", "columns": {"customer_id": "id", "date": "day"}},
    "feedback": {"path": "i.csv", "columns": {"customer_id": "id", "date": "day"}},
}


@pytest.fixture(scope="module")
def shop_of(company):
    """The dataset with a file of suggestions, filled in by a person."""

    def write(*lines, header="customer_id,same_as,accept", content=None):
        same = content if content is not None else "\n".join([header, *lines]) + "\n"
        files = {"o.csv": ORDERS, "c.csv": PROFILES, "i.csv": CALLS, "same.csv": same}
        return company(files, TABLES, same_customers="same.csv")

    return write


def ids(judged):
    return {
        table: sorted(rows.customer_id.to_pyarrow().to_pylist()) for table, rows in judged.items()
    }


def test_accepted_ids_are_read_as_one_in_all_tables(shop_of, judge_all):
    judged = judge_all(shop_of("8,7,yes"))
    assert ids(judged) == {
        "transactions": ["07", "7", "7", "9"],
        "customers": ["7", "7", "9"],
        "interactions": ["7", "7", "9"],
        "feedback": ["7", "7", "9"],
    }
    profiles = cleaning.records(judged["customers"]).order_by("customer_id").to_pandas()
    assert profiles[["customer_id", "region", "referrer"]].to_numpy().tolist() == [
        ["7", "South", "7"],
        ["9", "East", "7"],
    ]
    kept = cleaning.transactions(judged["transactions"])
    assert kept.count().execute() == 3  # the same order line, once under each id


def test_yes_is_said_in_several_ways(shop_of):
    for word in ("yes", " YES ", "y", "1", "是", "true", "x"):
        assert identity.accepted(shop_of(f"8,7,{word}")) == {"8": "7"}, word


@pytest.mark.parametrize(
    ("accepted", "same"),
    [
        (["8,7,yes", "9,8,yes"], {"8": "7", "9": "7"}),
        (["9,8,yes", "8,7,yes"], {"8": "7", "9": "7"}),
        (["7,8,yes", "8,9,yes", "9,7,yes"], {"8": "7", "9": "7"}),
        (["7,8,yes", "8,7,yes"], {"8": "7"}),
        (["7,7,yes"], {}),
        (["8,7,yes", "8,6,yes"], {"7": "6", "8": "6"}),
        (["4,3,yes", "2,1,yes", "4,2,yes"], {"2": "1", "3": "1", "4": "1"}),
    ],
    ids=[
        "chain",
        "chain backwards",
        "cycle",
        "both ways",
        "itself",
        "two for one",
        "two groups joined",
    ],
)
def test_chains_and_cycles_end_at_the_smallest_id(shop_of, accepted, same):
    assert identity.accepted(shop_of(*accepted)) == same


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("abcdefghij"), st.booleans()),
        max_size=14,
    )
)
def test_groups_of_accepted_pairs_agree_with_plain_python(shop_of, said):
    groups = [{name} for name in "abcdefghij"]
    for one, other, yes in said:
        if yes:
            joined = set().union(*(group for group in groups if one in group or other in group))
            groups = [group for group in groups if not group & joined] + [joined]
    expected = {name: min(group) for group in groups for name in group if name != min(group)}
    lines = [f"{one},{other},{'yes' if yes else ''}" for one, other, yes in said]
    assert identity.accepted(shop_of(*lines)) == expected


def test_nothing_is_one_before_the_suggestions_are_filled_in(shop_of, judge_all, tmp_path):
    judged = judge_all(shop_of("8,7,", "7,9,no", "07,7,later"))
    others = {table: ["7", "8", "9"] for table in ("customers", "interactions", "feedback")}
    assert ids(judged) == {"transactions": ["07", "7", "8", "9"]} | others
    assert not any(
        rows.filter(rows.outcome != "kept").count().execute() for rows in judged.values()
    )
    found = identity.suggestions(cleaning.records(judged["customers"]))
    assert pairs(found) == {("7", "8"): "phone"}
    found.assign(accept="yes").to_csv(
        tmp_path / "same.csv", index=False, encoding="utf-8-sig", quoting=csv.QUOTE_ALL
    )
    assert identity.accepted(shop_of(content=(tmp_path / "same.csv").read_bytes())) == {"8": "7"}


def test_a_dataset_without_such_a_file_reads_ids_as_they_are(company):
    bare = company({"o.csv": ORDERS}, {"transactions": TABLES["transactions"]})
    assert identity.files(bare) == []
    assert identity.accepted(bare) == {}
    rows = ibis.memtable({"customer_id": ["7"]})
    assert identity.as_one(rows, bare) is rows


def test_a_table_without_customers_is_left_alone(shop_of):
    rows = ibis.memtable({"product": ["8"]})
    assert identity.as_one(rows, shop_of("8,7,yes")) is rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("customer_id,same_as\n8,7\n", "no column accept; start from the list of suggestions"),
        ("customer_id;same_as;accept\n8;7;yes\n", "no column accept, customer_id, same_as"),
        ("", "no column accept, customer_id, same_as"),
        ("customer_id,same_as,accept\n8,,yes\n7,8,yes\n,7,\n", "1 of 2 accepted pairs lack an id"),
        ("customer_id,same_as,accept\n8,  ,yes\n", "1 of 1 accepted pairs lack an id"),
        (
            "customer_id,same_as,accept\n张三,李四,yes\n".encode("gb18030"),
            "not readable .*save it as CSV UTF-8",
        ),
    ],
    ids=["column missing", "semicolons", "empty", "half a pair", "blank", "encoding"],
)
def test_a_file_that_is_not_understood_is_an_input_error(shop_of, content, said):
    with pytest.raises(InputError, match=f"same.csv: {said}"):
        identity.accepted(shop_of(content=content))


def test_lines_cut_short_and_other_columns_do_no_harm(shop_of):
    content = "customer_id,same_as,keys,accept,remark\n8\n8,7\n8,7,phone,yes,sure,really\n\n"
    assert identity.accepted(shop_of(content=content)) == {"8": "7"}


def test_a_missing_file_is_named(company, tmp_path):
    settings = company(
        {"o.csv": ORDERS}, {"transactions": TABLES["transactions"]}, same_customers="sane.csv"
    )
    for read in (lambda: identity.accepted(settings), lambda: store.gather(settings, tmp_path)):
        with pytest.raises(
            InputError, match=r"sane.csv: no such file; correct same_customers in .*company.yml"
        ):
            read()


def test_filling_in_the_file_reads_the_records_anew(company, tmp_path):
    files = {"o.csv": ORDERS, "same.csv": "customer_id,same_as,accept\n8,7,\n"}
    settings = company(files, {"transactions": TABLES["transactions"]}, same_customers="same.csv")
    first = store.gather(settings, tmp_path)
    (settings.file.parent / "same.csv").write_text("customer_id,same_as,accept\n8,7,yes\n", "utf-8")
    second = store.gather(settings, tmp_path)
    assert [ids({"o": store.typed(folder, "transactions")})["o"] for folder in (first, second)] == [
        ["07", "7", "8", "9"],
        ["07", "7", "7", "9"],
    ]


def test_suggestions_for_the_invented_company_accepted_join_all_its_tables(crm_demo, tmp_path):
    found = identity.suggestions(cleaning.records(crm_demo.judged["customers"]))
    found.assign(accept="yes").to_csv(tmp_path / "same.csv", index=False)
    joined = crm_demo.dataset.model_copy(update={"same_customers": str(tmp_path / "same.csv")})
    gone = {max(pair["customer_id"], pair["duplicate"]) for pair in crm_demo.truth["duplicates"]}
    assert gone <= set(identity.accepted(joined))
    for table, judged in crm_demo.judged.items():
        if "customer_id" in judged.columns:
            assert not gone & set(
                identity.as_one(judged, joined).customer_id.to_pyarrow().to_pylist()
            ), table
    profiles = crm_demo.judged["customers"].drop("outcome", "reason", "column")
    account = (
        cleaning.judge(identity.as_one(profiles, joined), AS_OF, "customers")
        .reason.value_counts()
        .to_pandas()
    )
    assert account.set_index("reason").iloc[:, 0]["repeats_customer"] == len(found)
