"""What campaigns brought: the treated against those held back by lot, or, where nobody was, against
similar customers, which is said to be no proof.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from ibis.expr.types import Table

from analysis.intake.dataset import Dataset
from analysis.models.history import Records
from analysis.schema import TABLES
from analysis.strategy import observational
from analysis.strategy.campaign_members import (
    COVARIATES,
    YEAR,
    members,
    outcomes,
    reached_by_others,
    windows,
    with_untreated,
)
from analysis.strategy.effects import MIN_ARM, effect, holm, imbalance
from analysis.strategy.trials import FEWEST_OWNERS

FOUND = 2.8  # standard errors that an effect must have to be found in four cases of five
OUTCOME = "orders"  # the verdict goes by it: it varies less than money, and is fixed before looking
FEW_ORDERS = 5  # order days of the year before, from which a customer orders often
COLUMNS = list(TABLES["campaign_effects"].columns)


def measured(records: Records, as_of: dt.date, settings: Dataset, margin: float) -> pd.DataFrame:
    """The table `campaign_effects`; no rows without campaigns. `margin`: the share of revenue that
    stays.
    """
    if records.campaigns is None or (people := members(records.campaigns, as_of)).empty:
        return pd.DataFrame(columns=COLUMNS)
    everybody = people.merge(records.profile_columns("owner"), "left", "customer_id")
    everybody = with_untreated(everybody, records.transactions, as_of, settings.seed)
    everybody["campaigns_before"] = reached_by_others(everybody, people, -YEAR, 0)
    days = windows(people, settings)
    known = outcomes(records.transactions, everybody, days, as_of)
    rows = []
    for name, own in people.groupby("campaign_id"):
        window, treated = days[str(name)], own[own.arm == "treat"]
        facts = {
            "campaign_id": name,
            "kind": own.kind.dropna().max(),
            "channel": own.channel.dropna().max(),
            "day": own.day.min(),
            "end": own.end.max(),
            "window_days": window,
            "cost": treated.cost.sum(min_count=1),
            "also_reached": float((reached_by_others(treated, people, 0, window + 1) > 0).mean()),
        }
        over = facts["day"] + pd.Timedelta(days=window) <= pd.Timestamp(as_of)
        mine = known[known.campaign_id == name]
        rows.append(facts | _judged(mine, own, over, facts["cost"], margin, settings.seed))
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table["p_holm"] = holm(table.p.where(table.proof == "random").astype(float))
    return table.sort_values(["day", "campaign_id"], ignore_index=True)


def _judged(
    known: pd.DataFrame, own: pd.DataFrame, over: bool, cost: float, margin: float, seed: int
) -> dict[str, Any]:
    """What the members whose window is over tell; `known` holds those in comparison, too, as
    control.
    """
    drawn = known[~known.compared.astype(bool)]
    treated, control = (int((drawn.arm == arm).sum()) for arm in ("treat", "control"))
    row: dict[str, Any] = {"treated": treated, "control": control}
    row["incomplete"] = len(own) - len(drawn)
    held_back = (own.arm == "control").any()
    if drawn.empty:
        return row | {"proof": "before_log" if over else "not_over", "verdict": np.nan}
    if min(treated, control if held_back else (known.arm == "control").sum()) < MIN_ARM:
        return row | {"proof": "too_small", "verdict": "not_proven"}
    if held_back:
        cluster = drawn_by(drawn)
        orders, money = (
            effect(drawn, outcome, COVARIATES, cluster, seed) for outcome in (OUTCOME, "money")
        )
        row["proof"] = "random"
        row["imbalance"] = np.nan if cluster else imbalance(drawn)
    else:
        covariates = (*COVARIATES, "campaigns_before")
        orders, money = (
            observational.compared(known, outcome, covariates) for outcome in (OUTCOME, "money")
        )
        row |= {"proof": "observational", "control": orders["control"]}
    for name in ("effect", "low", "high"):
        row |= {f"orders_{name}": orders[name], f"money_{name}": money[name]}
    row |= {"p": orders["p"], "detectable": FOUND * orders["error"]}
    row |= {"total": money["effect"] * money["treated"]} | profit(money, cost, margin)
    row["verdict"] = verdict(row["proof"], orders["low"], orders["high"], row["profit_high"])
    return row


def drawn_by(drawn: pd.DataFrame) -> str | None:
    """The column owner where owners were drawn: those of several customers have all in one arm."""
    if "owner" not in drawn:
        return None
    by_owner = drawn.groupby("owner").arm
    several = by_owner.size() > 1
    return "owner" if several.sum() >= FEWEST_OWNERS and (by_owner.nunique() < 2).all() else None


def profit(effect: Mapping[str, float], cost: float, margin: float) -> dict[str, float]:
    """What a campaign earned, of its effect on money per treated customer: profit, profit_low,
    profit_high (effect times margin times the treated, less `cost` of all).
    """
    sides = {"profit": "effect", "profit_low": "low", "profit_high": "high"}
    return {name: effect[side] * margin * effect["treated"] - cost for name, side in sides.items()}


def verdict(proof: str, low: float, high: float, profit_high: float) -> str:
    """harms (fewer orders beyond chance), does_not_work (even the upper end of the profit is a
    loss), works (more orders beyond chance), not_proven (all else, and whatever had no control
    group).
    """
    if proof != "random":
        return "not_proven"
    if high < 0:
        return "harms"
    if profit_high < 0:
        return "does_not_work"
    return "works" if low > 0 else "not_proven"


# A closer look at one campaign
def clearest(table: pd.DataFrame) -> str:
    """The campaign with a control group whose effect is surest, as from measured; empty where there
    is none.
    """
    drawn = table[(table.proof == "random") & table.p.notna()]
    surest = drawn.sort_values(["p", "day"], ascending=[True, False]).campaign_id
    return str(surest.iloc[0]) if len(drawn) else ""


def close_up(
    campaign_id: str,
    campaigns: Table | None,
    transactions: Table,
    as_of: dt.date,
    settings: Dataset,
) -> pd.DataFrame:
    """The members of one campaign as from outcomes, and `segment`: how often they ordered in the
    year before it, which it cannot have changed (no_orders_before, some_orders_before,
    many_orders_before). Empty without the campaign.
    """
    if campaigns is None or not campaign_id:
        return pd.DataFrame(columns=["arm", "segment", OUTCOME, *COVARIATES])
    own = members(campaigns, as_of).query("campaign_id == @campaign_id")
    known = outcomes(transactions, own, windows(own, settings), as_of)
    often = [known.orders_year == 0, known.orders_year < FEW_ORDERS]
    segment = np.select(often, ["no_orders_before", "some_orders_before"], "many_orders_before")
    return known.assign(segment=segment)
