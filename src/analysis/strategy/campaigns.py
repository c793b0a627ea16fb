"""What campaigns brought: the treated against those held back by lot, or, where nobody was, against
similar customers, which is said to be no proof.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import ibis
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
from analysis.strategy.effects import MIN_ARM, MIN_CLUSTERS, effect, holm, imbalance

FOUND = 2.8  # standard errors that an effect must have to be found in four cases of five
OUTCOME = "orders"  # varies less than money, and is known where nobody said what a campaign cost
# Of the arms' variance that lies between the groups of a column, beyond chance: groups were drawn,
# though some customers have changed hands since.
BY_GROUP = 0.5
SURE = 6  # standard errors; few pairs, nearly all treated, are alike by chance
FEW_ORDERS = 5  # order days of the year before, from which a customer orders often
VERDICT = ("proof", "orders_low", "orders_high", "profit_low", "profit_high")  # it goes by these
COLUMNS = list(TABLES["campaign_effects"].columns)


def measured(records: Records, as_of: dt.date, settings: Dataset, margin: float) -> pd.DataFrame:
    """The table `campaign_effects`; no rows without campaigns. `margin`: the share of revenue that
    stays.
    """
    if records.campaigns is None or (people := members(records.campaigns, as_of)).empty:
        return pd.DataFrame(columns=COLUMNS)
    groups = classes(records.profiles, people)
    everybody = with_untreated(people, records.transactions, as_of, settings.seed)
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
        over = own.day.max() + pd.Timedelta(days=window) <= pd.Timestamp(as_of)
        mine = known[known.campaign_id == name]
        rows.append(facts | _judged(mine, own, groups, over, facts["cost"], margin, settings.seed))
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table["p_holm"] = holm(table.p.where(table.proof == "random").astype(float))
    return table.sort_values(["day", "campaign_id"], ignore_index=True)


def _judged(
    known: pd.DataFrame,
    own: pd.DataFrame,
    groups: pd.DataFrame,
    over: bool,
    cost: float,
    margin: float,
    seed: int,
) -> dict[str, Any]:
    """What the members tell; `known` holds those in comparison, too, as control; `groups` as from
    classes.
    """
    drawn = known[~known.compared.astype(bool)]
    treated, control = (int((drawn.arm == arm).sum()) for arm in ("treat", "control"))
    row: dict[str, Any] = {"treated": treated, "control": control}
    row["incomplete"] = len(own) - len(drawn)
    held_back = (own.arm == "control").any()
    if not over:
        return row | {"proof": "not_over", "verdict": np.nan}
    if drawn.empty:
        return row | {"proof": "before_log", "verdict": np.nan}
    if min(treated, control if held_back else (known.arm == "control").sum()) < MIN_ARM:
        return row | {"proof": "too_small", "verdict": "not_proven"}
    if held_back:
        drawn, column = grouped(drawn, groups)
        cluster = "group" if column else None
        row |= {"proof": "random", "drawn_by": column or np.nan}
        if column and fewest_groups(drawn) < MIN_CLUSTERS:
            return row | {"proof": "too_few_groups", "verdict": "not_proven"}
        orders, money = (
            effect(drawn, outcome, COVARIATES, cluster, seed) for outcome in (OUTCOME, "money")
        )
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
    row["verdict"] = verdict(**{name: row[name] for name in VERDICT})
    return row


def classes(profiles: Table | None, people: pd.DataFrame) -> pd.DataFrame:
    """The text columns of the profiles (owner, region, the company's own) of those in campaigns
    that held somebody back, by customer_id.
    """
    drawn = people[people.campaign_id.isin(people.campaign_id[people.arm == "control"])]
    if profiles is None:
        return pd.DataFrame(index=pd.Index([], name="customer_id"))
    texts = [name for name, kind in profiles.schema().items() if kind.is_string()]
    ids = ibis.memtable(drawn[["customer_id"]].drop_duplicates())
    return profiles.select(texts).semi_join(ids, "customer_id").to_pandas().set_index("customer_id")


def drawn_by(drawn: pd.DataFrame, groups: pd.DataFrame) -> str:
    """The column of `groups` (by customer_id) that the arms go with, though some customers may have
    changed hands since; of several the one with the fewest groups; empty where there is none.
    """
    found: dict[str, int] = {}
    treated = (drawn.arm == "treat").set_axis(drawn.customer_id).astype(float)
    for name in groups:
        named = groups[name].reindex(treated.index).dropna()
        own = treated[named.index]
        sizes = named.value_counts()
        pairs = (sizes * (sizes - 1)).sum() / 2
        if len(own) < len(drawn) / 2 or not pairs or own.std() == 0:
            continue
        within = ((own - own.groupby(named).transform("mean")) ** 2).sum() / (len(own) - len(sizes))
        beyond = 1 - within / own.var()
        # Of arms by lot it varies about 0, with an error of one over the root of the pairs.
        if beyond > max(BY_GROUP, SURE / np.sqrt(pairs)):
            found[str(name)] = len(sizes)
    return min(found, key=found.__getitem__, default="")


def grouped(drawn: pd.DataFrame, groups: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows with the `group` of drawn_by, where there is one, and its column."""
    column = drawn_by(drawn, groups)
    if not column:
        return drawn, ""
    return drawn.assign(group=groups[column].reindex(drawn.customer_id).to_numpy()), column


def fewest_groups(drawn: pd.DataFrame) -> int:
    """Groups (column group) in the arm with fewer of them; a group is where most of it is."""
    share = (drawn.arm == "treat").groupby(drawn.group).mean()
    return int(min((share >= 0.5).sum(), (share < 0.5).sum()))


def profit(effect: Mapping[str, float], cost: float, margin: float) -> dict[str, float]:
    """What a campaign earned, of its effect on money per treated customer: profit, profit_low,
    profit_high (effect times margin times the treated, less `cost` of all).
    """
    sides = {"profit": "effect", "profit_low": "low", "profit_high": "high"}
    return {name: effect[side] * margin * effect["treated"] - cost for name, side in sides.items()}


def verdict(
    proof: str, orders_low: float, orders_high: float, profit_low: float, profit_high: float
) -> str:
    """works (a profit beyond chance; where none is known, more orders), harms (fewer orders beyond
    chance), does_not_work (even the upper end of the profit is a loss), not_proven (all else, and
    whatever had no control group).
    """
    if proof != "random":
        return "not_proven"
    if (orders_low if np.isnan(profit_low) else profit_low) > 0:
        return "works"
    if orders_high < 0:
        return "harms"
    return "does_not_work" if profit_high < 0 else "not_proven"


# A closer look at one campaign
def clearest(table: pd.DataFrame) -> str:
    """The campaign with a control group whose effect is surest, as from measured; empty where there
    is none.
    """
    drawn = table[(table.proof == "random") & table.p.notna()]
    surest = drawn.sort_values(["p", "day"], ascending=[True, False]).campaign_id
    return str(surest.iloc[0]) if len(drawn) else ""


def close_up(campaign_id: str, records: Records, as_of: dt.date, settings: Dataset) -> pd.DataFrame:
    """The members of one campaign as from outcomes, and `segment`: how often they ordered in the
    year before it, which it cannot have changed (no_orders_before, some_orders_before,
    many_orders_before); with `group` where groups were drawn. Empty without the campaign.
    """
    if records.campaigns is None or not campaign_id:
        return pd.DataFrame(columns=["arm", "segment", OUTCOME, *COVARIATES])
    own = members(records.campaigns, as_of).query("campaign_id == @campaign_id")
    known = outcomes(records.transactions, own, windows(own, settings), as_of)
    known, _ = grouped(known, classes(records.profiles, own))
    often = [known.orders_year == 0, known.orders_year < FEW_ORDERS]
    segment = np.select(often, ["no_orders_before", "some_orders_before"], "many_orders_before")
    return known.assign(segment=segment)
