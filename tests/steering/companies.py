"""Generated companies in which nothing changes, or one thing that is planted in the last two
months.
"""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.intake.dataset import Dataset
from analysis.models.history import Records
from analysis.steering.facts import Facts
from analysis.strategy import playbook, tiers

MONTHS = 62  # of the log; tiers need a year before their first month end
FIRST = pd.Timestamp("2021-01-01")
REGIONS = ("north", "east", "south", "west", "centre", "islands")
PLANTED = ("prices", "region", "satisfaction", "important", "prospects", "source")
STAFF = tuple(f"s{n}@x.example" for n in range(6))
LATE_DAYS = 21  # that contacts are not delivered for
SETTINGS = Dataset.model_validate(
    {
        "tables": {
            "transactions": {"path": "o.csv", "columns": {"customer_id": "c", "date": "d"}},
        }
    }
)


def end_of_log(months: int = MONTHS) -> dt.date:
    return (FIRST + pd.DateOffset(months=months) - pd.Timedelta(days=1)).date()


def company(seed: int, *planted: str, customers: int = 1500, months: int = MONTHS) -> Records:
    """Customers with own rates who come over time and leave by chance, order by two channels,
    answer how satisfied they are, and were prospects before. Staff look after them: contacts, and
    complaints that take a few days. `planted`: of PLANTED, mix, late, visits, complaints
    and value.
    """
    random = np.random.default_rng(seed)
    days = (FIRST + pd.DateOffset(months=months) - FIRST).days
    changed = (FIRST + pd.DateOffset(months=months - 2) - FIRST).days
    # as many as leave in the lifetime of the log come in it
    number = customers * 2
    contact = np.where(
        np.arange(number) < customers, -1, random.integers(0, days, number)
    )  # the first ones were there before
    rate = random.gamma(1.5, 1 / 1.5, number) / 30
    life = random.exponential(days, number)
    region = random.choice(REGIONS, number)
    wins = random.random(number) < np.where(
        (contact >= changed - 30) & ("prospects" in planted), 0.2, 0.4
    )
    start = np.where(
        contact < 0, random.integers(0, 30, number), contact + random.integers(1, 29, number)
    )
    there = wins | (contact < 0)
    until = np.minimum(start + life, days)
    counts = random.poisson(np.where(there, np.clip(until - start, 0, None) * rate, 0))
    counts = np.where(there & (start < days), counts + 1, 0)
    who = np.repeat(np.arange(number), counts)
    day = np.floor(start[who] + random.random(len(who)) * np.clip(until - start, 0, None)[who])
    first = np.r_[True, who[1:] != who[:-1]] if len(who) else np.zeros(0, bool)
    day = np.where(first, start[who], day).astype(int)
    mean = np.exp(random.normal(4, 0.5, number))
    amount = mean[who] * np.exp(random.normal(0, 0.4, len(who)))
    late = day >= changed
    spend = pd.Series(amount).groupby(who).sum().reindex(range(number), fill_value=0)
    rank = spend.rank(ascending=False, pct=True).to_numpy()
    kept = np.ones(len(who), bool)
    if "prices" in planted:
        amount = amount * np.where(late, 1.15, 1)
    if "region" in planted:
        kept &= ~(late & (region[who] == "north") & (random.random(len(who)) < 0.6))
    if "important" in planted:
        middle = (rank > 0.02) & (rank < 0.6)
        kept &= ~(late & middle[who] & (random.random(len(who)) < 0.3))
    channel = random.choice(["shop", "web"], len(who), p=[0.7, 0.3])
    if "source" in planted:
        kept &= ~(late & (channel == "web"))
    # further records have a chance of their own
    other = np.random.default_rng([seed, 1])
    category = other.choice(["a", "b", "c"], len(who), p=[0.5, 0.3, 0.2])
    if "mix" in planted:
        category = np.where(
            late & (category == "a") & (other.random(len(who)) < 0.5), "c", category
        )
    if "value" in planted:
        kept &= ~(late & (rank[who] <= 0.2) & (other.random(len(who)) < 0.5))
    names = np.array([f"c{n:05}" for n in range(number)])
    at = FIRST + pd.to_timedelta(day, unit="D")
    log = pd.DataFrame(
        {"customer_id": names[who], "day": at.date, "amount": amount.round(2), "channel": channel}
    ).assign(category=category)[kept & (day < days)]
    asked = random.random(len(log)) < 0.15
    said = log[asked][["customer_id", "day"]]
    score = random.choice([1, 2, 3, 4, 5], len(said), p=[0.05, 0.07, 0.13, 0.4, 0.35])
    if "satisfaction" in planted:
        since = (FIRST + pd.Timedelta(days=changed)).date()
        score = np.where(said.day >= since, np.maximum(score - 1, 1), score)
    owner = other.choice(STAFF, number)
    feedback = pd.concat(
        [
            said.assign(kind="csat", score=score.astype(float), closed=pd.NaT),
            _complaints(other, log, names, owner, changed, "complaints" in planted),
        ]
    )
    profiles = pd.DataFrame({"customer_id": names, "region": region, "owner": owner})
    profiles["first_contact"] = (FIRST + pd.to_timedelta(contact, unit="D")).date
    counts = other.poisson(days / 40, number)
    met = np.repeat(np.arange(number), counts)
    day = other.integers(0, days, len(met))
    heard = day < (days - LATE_DAYS if "late" in planted else days)
    heard &= ~((day >= changed) & (owner[met] == STAFF[0]) & ("visits" in planted))
    interactions = pd.DataFrame(
        {
            "customer_id": names[met],
            "day": (FIRST + pd.to_timedelta(day, unit="D")).date,
            "channel": "phone",
            "owner": owner[met],
        }
    )[heard]
    return Records(
        dated(log, "day"),
        interactions=dated(interactions, "day"),
        feedback=dated(feedback, "day").mutate(closed=_.closed.cast("timestamp")),
        profiles=dated(profiles, "first_contact"),
    )


def _complaints(
    random: np.random.Generator,
    log: pd.DataFrame,
    names: np.ndarray,
    owner: np.ndarray,
    changed: int,
    planted: bool,
) -> pd.DataFrame:
    """Of one order in twenty; planted: one of the staff closes none any more."""
    found = log[random.random(len(log)) < 0.05][["customer_id", "day"]].assign(kind="complaint")
    closed = pd.to_datetime(found.day) + pd.to_timedelta(random.geometric(0.2, len(found)), "D")
    mine = found.customer_id.map(dict(zip(names, owner, strict=True))) == STAFF[0]
    never = planted & mine & (pd.to_datetime(found.day) >= FIRST + pd.Timedelta(days=changed))
    return found.assign(closed=closed.where(~never))


def dated(frame: pd.DataFrame, day: str) -> Table:
    """The rows on an engine."""
    rows = ibis.memtable(frame)
    return rows.mutate(**{day: rows[day].cast("date")}).cache()


def facts(records: Records, end: dt.date, settings: Dataset = SETTINGS) -> Facts:
    """With tiers by the rules that the project ships."""
    rules = playbook.of(settings).tiers
    return Facts(records, tiers.history(records.transactions, end, settings, rules), end, settings)
