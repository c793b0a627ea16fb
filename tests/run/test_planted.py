"""A generated company in whose last two months changes are planted: the page calls each by name."""

import re

import pytest

from analysis.run.stage import STAGES
from tests.run.shop import write_company
from tests.steering.companies import company, end_of_log

MONTHS = 30
NOT_READ = {"06_campaigns", "07_customer_care"}  # by steering


def told(said, label):
    """What an alert says: how many times the usual figure that of the last months is."""
    found = re.search(rf"Alert: {label}: ([^,]+), usually (.+?)\. What to do: ..", said)
    assert found, f"no alert: {label}"
    now, usual = (float(re.sub(r"[^\d.]", "", text)) for text in found.groups())
    return now / usual


@pytest.mark.slow
def test_the_page_names_what_was_planted(perform, tmp_path, monkeypatch):
    """Prices 15 % up; of region north three of five orders gone; answers of all a point of five
    lower, so that of 75 % only 35 % are satisfied.
    """
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    records = company(9, "prices", "region", "satisfaction", customers=600, months=MONTHS)
    logs = {"transactions": records.transactions, "feedback": records.feedback}
    logs["customers"] = records.profiles
    names = {"customer_id": "id", "day": "date"}
    tables = {name: log.to_pandas().rename(columns=names) for name, log in logs.items()}
    dataset = write_company(tmp_path, {}, **tables)
    stages = [stage for stage in STAGES if stage not in NOT_READ]
    shown, _ = perform(stages, dataset, as_of=str(end_of_log(MONTHS)))
    said = "\n".join(shown)
    assert told(said, "Value of an order") == pytest.approx(1.15, abs=0.05)
    assert told(said, "Share of the customers with an order, north") < 0.8
    assert told(said, "Satisfaction of strategic customers") == pytest.approx(35 / 75, abs=0.15)
    assert re.search(r"Region – north: \S+ after \S+, a difference of -", said)
