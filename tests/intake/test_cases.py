"""Invented exports of kinds that are easily read wrongly, each with the truth beside it: `init`
describes them with at most three answers, and what is then read is true; or refuses them by name.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from ibis import _

from analysis.errors import InputError
from analysis.intake import cleaning, dataset, store
from analysis.intake import init as onboarding

CASES = Path(__file__).with_name("cases")
# What is answered, by how the answer begins
ANSWERS = {"apostrophe-ids": ["yes"], "woo-guest-zero": ["billing_email"]}
REFUSED = {
    "sci-ids": "no column identifies a customer",
    "subscriptions": "a row for each contract",
    "wide-months": "a column for each month",
}
# The net money, where truth.json has it under another name than money
NET = {"apostrophe-minus": "net", "refunds-file": "net", "shopify-lines": "net"}
ASKED = {"excel-swapped-dates": "day and month exchanged"}


def files_of(case: str) -> list[Path]:
    """All but the truth, and but JSON that stands there as lines, too."""
    return [path for path in sorted((CASES / case).iterdir()) if path.suffix != ".json"]


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_a_case_is_read_as_it_is_or_refused(case: str, tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(question: str, answers: list[str]) -> int:
        asked.append(question)
        wanted = tuple(ANSWERS.get(case, ()))
        return next(n for n, one in enumerate(answers) if one.startswith(wanted))

    if case in REFUSED:
        with pytest.raises(InputError, match=REFUSED[case]):
            onboarding.init(files_of(case), case, tmp_path, ask)
        return
    if case in ASKED:
        said = onboarding.init(files_of(case), case, tmp_path)[1]
        assert any(line.startswith("question: ") and ASKED[case] in line for line in said)
        return
    file = onboarding.init(files_of(case), case, tmp_path, ask)[0]
    assert len(asked) <= 3 and bool(asked) == (case in ANSWERS)
    truth = json.loads((CASES / case / "truth.json").read_text("utf-8"), parse_float=Decimal)
    folder = store.gather(dataset.load(file), tmp_path)
    typed = store.typed(folder, "transactions")
    kept = cleaning.judge(typed, typed.day.max().execute()).filter(_.outcome == "kept")
    counted = kept.aggregate(
        n=_.customer_id.nunique(), orders=_.order_id.nunique(), money=_.amount.sum()
    )
    found = counted.to_pandas().iloc[0]
    assert found.n == truth["customers"]
    assert found.orders == truth["orders"]
    assert found.money == truth[NET.get(case, "money")]
    if case == "apostrophe-ids":
        profiles = store.typed(folder, "customers").customer_id.to_pandas()
        assert set(profiles) == set(kept.customer_id.to_pandas()) and len(profiles) == 80
