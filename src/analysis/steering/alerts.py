"""What has changed beyond chance in the last two months, and what to do about it.

A rule gives what is now beside what is usual, of the whole or of groups, and the chance of that.
Most are a figure by month, which raises an alert where the last AGO months together lie further
from the months before than these differ among themselves, so that a season or a noisy figure asks
for more. All rules of a month share one chance of a false alarm evenly, and so do the tests of a
rule. A rule of facts that are certain gives no chance, and only what is worth an alert.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.report.text import N_, say
from analysis.steering.alert_registry import AGO, ROWS
from analysis.steering.alert_rules import RULES
from analysis.steering.facts import Facts, Span, month_end
from analysis.strategy import playbook
from analysis.strategy.written import in_language

MOST_NAMED = 5  # customers of an alert
FALSE = 1 / 6  # false alarms a month that all tests may raise together, were all exact
MOST_SELDOM = 10_000  # months that a chance is given in


def raised(facts: Facts) -> pd.DataFrame:
    """The alerts of the last month, what is certain first, then the surest.

    Columns: alert (of RULES), and ROWS. `attrs`: rules, how many could be judged.
    """
    parts = [entry.of(facts).assign(alert=name) for name, entry in RULES.items()]
    every = pd.concat([part for part in parts if len(part)] or parts[:1])[["alert", *ROWS]]
    tests = every.groupby("alert").p.transform("count")
    rules = every[every.p.notna()].alert.nunique()
    found = every[every.p.isna() | (every.p * tests * rules < FALSE)]
    found = found.sort_values(["p", "alert", "group"], na_position="first", ignore_index=True)
    found.attrs["rules"] = every.alert.nunique()
    return found


def listed(facts: Facts) -> pd.DataFrame:
    """The table alerts.csv: `raised`, with month_end, text (the alert in words), measure (what the
    playbook says to do) and customers (ids of up to MOST_NAMED who brought most less than in the
    year before).
    """
    found, book = raised(facts), playbook.of(facts.settings)
    rows = found.to_dict("records")
    words = [
        {
            "text": _words(row),
            "measure": in_language(book.alerts[row["alert"]], facts.settings.language),
            "customers": ", ".join(whom(facts, row["alert"], row["group"])),
        }
        for row in rows
    ]
    told = pd.DataFrame(words, columns=["text", "measure", "customers"], dtype="str")
    listed = found.assign(month_end=facts.last).join(told)
    listed.attrs = found.attrs
    return listed


def _words(row: dict[str, Any]) -> str:
    entry = RULES[row["alert"]]
    now, usual = (say.form(entry.form, row[name]) for name in ("now", "usual"))
    told = say(entry.told, now=now, usual=usual)
    if row["p"] == row["p"]:
        seldom = min(1 / max(row["p"], 1e-9), MOST_SELDOM)
        told = say("{told:text}, by chance less than once in {n:int} months", told=told, n=seldom)
    values = {"label": entry.label, "group": row["group"], "told": told}
    if row["group"]:
        return say("{label:word}, {group:word}: {told:text}", **values)
    return say("{label:word}: {told:text}", **values)


def whom(facts: Facts, name: str, group: str) -> list[str]:
    """Ids of customers that an alert is of, first those whose revenue of the last AGO months fell
    most against as many months of the year before.
    """
    mine = RULES[name].who(facts, group)
    now, year = Span(facts.last, AGO), Span(month_end(facts.last, -AGO), 12)
    bought = (facts.during(s).revenue.reindex(mine).fillna(0) for s in (now, year))
    fall = next(bought) - next(bought) * AGO / 12
    return facts.ids[fall.nsmallest(MOST_NAMED).index].tolist()


def sentences(found: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    """The alerts of `listed` for a page."""
    for row in found.to_dict("records"):
        if not row["customers"]:
            yield N_("Alert: {text:text}. What to do: {measure:text}."), row
            continue
        ids = [say.form("customer", one) for one in row["customers"].split(", ")]
        text = N_("Alert: {text:text}. What to do: {measure:text}. First of all: {customers:text}.")
        yield text, row | {"customers": ", ".join(ids)}
