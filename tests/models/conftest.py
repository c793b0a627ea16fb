import pytest

from analysis.models import churn
from tests.bench import contracts as companies


@pytest.fixture(scope="session")
def with_contracts():
    """An invented company whose customers have contracts of a year, and a trial of its risks."""
    made = companies.simulate(companies.COMPANIES["annual_unflagged"], seed=0, count=1500)
    return made, churn.trial(companies.records(made), companies.DAY, companies.settings(made))
