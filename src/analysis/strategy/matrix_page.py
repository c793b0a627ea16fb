"""The customer matrix and the decisions as pages show them: what a manager opens to see whom it is
about.
"""

from typing import Any

import pandas as pd

from analysis.report.privacy import shown_id, shown_staff
from analysis.report.text import N_, say
from analysis.schema import STAGES
from analysis.strategy.plan_findings import Said
from analysis.strategy.retention import NOBODY
from analysis.strategy.tiers import TIERS

MOST_NAMED = 5  # customers of a cell or a decision
MOSTLY = 0.9  # of an effect, from which on it is called measured
BACK = 3  # month ends, to the one that counts are held against


def people(
    matrix: pd.DataFrame, made: pd.DataFrame, churn: pd.DataFrame, profiles: pd.DataFrame
) -> pd.DataFrame:
    """Everybody as a page names them, by customer_id, those who brought most first.

    Columns: who (the company's name; the id where customers are persons or no name is known), tier,
    stage, revenue (value window), risk, at_risk (money: revenue times risk), why (reasons in
    words), account_owner, rule, aim and action (empty where none is planned).
    """
    found = matrix.set_index("customer_id")
    planned = made.set_index("customer_id").reindex(found.index)
    told = churn.set_index("customer_id").reasons.reindex(found.index).fillna("")
    who = found.index.to_series().map(shown_id)
    if "company" in profiles:
        named = profiles.set_index("customer_id").company.reindex(found.index)
        who = named.where(named.notna(), who)
    revenue = found.revenue.astype(float)
    table = pd.DataFrame(
        {
            "who": who,
            "tier": found.tier,
            "stage": found.stage,
            "revenue": revenue,
            "risk": found.churn_risk,
            "at_risk": revenue.fillna(1).clip(lower=0) * found.churn_risk,
            "why": told,
            "account_owner": planned.account_owner.fillna("").map(_owner),
            "rule": planned.rule,
            "aim": planned.objective.where(planned.status == "planned"),
            "action": planned.action.where(planned.status == "planned"),
        }
    )
    return table.sort_values(["revenue", "who"], ascending=[False, True], kind="stable")


def _owner(name: str) -> str:
    return "" if name in ("", NOBODY) else shown_staff(name)


def cells(table: pd.DataFrame, history: pd.DataFrame, closed: bool = False) -> list[dict[str, Any]]:
    """What the page's matrix shows, by tier, of whom there are any: tier, count and cells, one for
    each stage that somebody is in: its stage alone, or also count, moved (since BACK month ends;
    empty where that is not known), money, risk, percent (the risk), aim (the commonest), shade (its
    money at risk in percent of the most that a cell has), customers (the largest, with their facts
    in words). `table` as from people; `history` is the table tier_history. Of a `closed` group, to
    which nobody comes, no change is told.
    """
    before = {} if closed else _counts_before(history)
    stages = [stage for stage in STAGES if (table.stage == stage).any()]
    most = table.groupby(["tier", "stage"]).at_risk.sum().max()
    found = []
    for tier in (tier for tier in TIERS if (table.tier == tier).any()):
        mine, shown = table[table.tier == tier], []
        for stage in stages:
            cell = mine[mine.stage == stage]
            if len(cell):
                known = before and stage != "prospect"  # of whom the history says nothing
                moved = len(cell) - before.get((tier, stage), 0) if known else 0
                shown.append(_cell(cell, stage, moved, most))
            else:
                shown.append({"stage": say.word(stage)})
        found.append({"tier": say.word(tier), "count": say.form("int", len(mine)), "cells": shown})
    return found


def _counts_before(history: pd.DataFrame) -> dict[Any, int]:
    """Customers by tier and stage BACK month ends ago; none where the log does not go back so."""
    ends = sorted(history.month_end[history.full_window].unique())
    if len(ends) <= BACK:
        return {}
    then = history[history.month_end == ends[-1 - BACK]]
    return then.groupby(["tier", "stage"]).size().to_dict()


def _cell(cell: pd.DataFrame, stage: str, moved: int, top: float) -> dict[str, Any]:
    money, risk = cell.revenue.sum(min_count=1), cell.risk.mean()
    return {
        "stage": say.word(stage),
        "count": say.form("int", len(cell)),
        "moved": say.signed("int", moved) if moved else "",
        "money": say.form("compact", money) if money > 0 else "",
        "risk": say.form("whole_percent", risk) if pd.notna(risk) else "",
        "percent": round(100 * risk) if pd.notna(risk) else 0,
        "aim": cell.aim.mode().get(0, ""),
        "shade": round(100 * float(cell.at_risk.sum() / top)) if top > 0 else 0,
        "customers": customers(cell),
    }


def customers(of: pd.DataFrame) -> list[dict[str, str]]:
    """The largest of `of` (as from people) in words: who, money, risk, why, owner, action."""
    rows = of.head(MOST_NAMED).to_dict("records")
    return [
        {
            "who": row["who"],
            "money": say.form("compact", row["revenue"]) if row["revenue"] > 0 else "",
            "risk": say.form("whole_percent", row["risk"]) if pd.notna(row["risk"]) else "",
            "why": row["why"].split("; ")[0],
            "owner": row["account_owner"],
            "action": row["action"] if pd.notna(row["action"]) else "",
        }
        for row in rows
    ]


def _proof(row: pd.Series) -> str:
    if pd.isna(row.effect_low):
        return N_("assumed")
    return N_("measured") if row.measured_share > MOSTLY else N_("partly measured")


def decisions(chosen: pd.DataFrame, said: list[Said], table: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each decision: action, sentence, count (of customers), cost, pays (from how many
    extra orders of 100, and how many are counted on), proof, owner, due, its largest customers.
    `chosen` and `said` as from plan_findings.
    """
    return [
        {
            "action": row.action,
            "sentence": say(text, **values),
            "count": say.form("int", row.customers),
            "cost": say.form("money", row.cost),
            "pays": f"{say.form('short', row.break_even)} / {say.form('short', row.effect)}",
            "proof": say(_proof(row)),
            "owner": say.word(row.owner),
            "due": say.form("date", row.due),
            "customers": customers(table[(table.rule == name) & table.action.notna()]),
        }
        for (name, row), (text, values) in zip(chosen.iterrows(), said, strict=True)
    ]
