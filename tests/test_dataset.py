import pytest

from analysis import dataset, sources
from analysis.errors import InputError, RunError, did_you_mean

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
    assert sources.file_of(shop) == tmp_path.resolve() / "orders.csv"


def test_a_written_name_wins_over_the_files(load):
    assert load(SHOP + "name: south\n").name == "south"


def test_byte_order_mark_is_no_part_of_the_first_key(load):
    assert load(b"\xef\xbb\xbf" + SHOP.encode()) == load(SHOP)


def test_bundled_sample_lies_on_the_disk(load):
    assert sources.file_of(load(SHOP.replace("path: orders.csv", "sample: cdnow"))).is_file()


def test_settings_cannot_be_changed_after_reading(load):
    with pytest.raises(ValueError, match="frozen"):
        load(SHOP).horizon_days = 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP + "curency: EUR\n", ["unknown key curency", "did you mean currency?"]),
        (SHOP + "zzz: 1\n", ["unknown key zzz", "known:", "horizon_days", "time_zone"]),
        (SHOP.replace("path:", "pth:"), ["unknown key tables.transactions.pth", "did you mean path?"]),
        (SHOP.replace("  transactions:", "  transaction:"), ["tables.transactions is missing", "did you mean transactions?"]),
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
        (SHOP.replace("path: orders.csv", "format: excel"), ["tables.transactions.format", "'csv' or 'whitespace'", "'excel'"]),
        (SHOP.replace("date: day", "date: ' '"), ["tables.transactions.columns", "no column is named for date"]),
        (SHOP.replace("date: day", "date: 3"), ["tables.transactions.columns.date", "string", "found 3"]),
        ("tables:\n", ["tables", "None"]),
        ("", ["holds no keys", "tables:"]),
        ("- tables\n", ["holds no keys", "tables:"]),
        ("tables: [\n", ["not readable as YAML", "line 2"]),
        ("title: !!python/object/apply:os.system [id]\n", ["not readable as YAML", "python/object"]),
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
    with pytest.raises(InputError, match=r"shp\.yml: no such dataset file; found beside it: .*shop\.yml"):
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


def test_a_table_without_path_or_sample_is_said(load):
    with pytest.raises(InputError, match="write either path or sample"):
        load(SHOP.replace("    path: orders.csv\n", ""))


def test_unknown_sample_suggests_the_nearest(load):
    with pytest.raises(InputError, match="did you mean cdnow"):
        sources.file_of(load(SHOP.replace("path: orders.csv", "sample: cdnw")))


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


@pytest.mark.parametrize("column", ["customer_id: id, ", "date: day, ", ", amount: eur"])
def test_a_meaning_that_every_log_needs_must_be_named(load, column):
    with pytest.raises(InputError, match=column.strip(", ").split(":")[0]):
        load(SHOP.replace(column, ""))


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
