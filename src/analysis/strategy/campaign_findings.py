"""What is said of campaigns: sentences with their values."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.text import N_
from analysis.strategy.effects import MIN_ARM, MIN_CLUSTERS

ALARM = 0.05
OVERLAP = 0.5  # of the treated; beyond it two campaigns are hardly two
BROKEN = 0.001  # p of the arms being so unlike by lot; of every campaign, so not the usual 0.05
WORKS = N_(
    "Campaign {campaign_id:text} works: it cost {cost:money} and earned {profit:money} more than"
    " that (95 % sure: {profit_low:money} to {profit_high:money}); {orders_effect:number} more"
    " orders per treated customer within {window_days:time} (95 % sure: {orders_low:number} to"
    " {orders_high:number}; {treated:int} treated, {control:int} held back by lot)."
)
WORKS_UNPRICED = N_(
    "Campaign {campaign_id:text} works: {orders_effect:number} more orders per treated customer"
    " within {window_days:time} (95 % sure: {orders_low:number} to {orders_high:number};"
    " {treated:int} treated, {control:int} held back by lot). What it earned is not known, for"
    " want of money or costs."
)
FAILED = {
    "harms": N_(
        "Campaign {campaign_id:text} harms: {orders_effect:number} orders per treated customer"
        " within {window_days:time} (95 % sure: {orders_low:number} to {orders_high:number};"
        " {treated:int} treated, {control:int} held back by lot)."
    ),
    "does_not_work": N_(
        "Campaign {campaign_id:text} does not pay: {orders_effect:number} orders per treated"
        " customer within {window_days:time} (95 % sure: {orders_low:number} to"
        " {orders_high:number}) against a cost of {cost:money}; even at the best that is left a"
        " loss of {loss:money} or more."
    ),
    "not_proven": N_(
        "Campaign {campaign_id:text} is not proven: {orders_effect:number} orders per treated"
        " customer within {window_days:time} (95 % sure: {orders_low:number} to"
        " {orders_high:number}), which chance may explain; {treated:int} were treated,"
        " {control:int} held back by lot."
    ),
    "pays_unproven": N_(
        "Campaign {campaign_id:text} brings more orders beyond chance: {orders_effect:number} per"
        " treated customer within {window_days:time} (95 % sure: {orders_low:number} to"
        " {orders_high:number}). Whether it pays is not proven: after its cost of {cost:money} it"
        " earned {profit:money} (95 % sure: {profit_low:money} to {profit_high:money})."
    ),
}
UNMEASURED = {
    "too_small": N_(
        "Campaigns with too few customers to be measured: {campaigns:int}. It takes {least:int}"
        " treated and {least:int} to compare with."
    ),
    "too_few_groups": N_(
        "Campaigns whose arms go with owners, regions or other groups, of which too few were drawn"
        " to be measured: {campaigns:int}. It takes {groups:int} groups in either arm."
    ),
    "not_over": N_(
        "Campaigns that are not over yet and are measured once their days are complete:"
        " {campaigns:int}."
    ),
    "before_log": N_(
        "Campaigns that began before the order log does and cannot be measured: {campaigns:int}."
    ),
}

Said = Iterator[tuple[str, dict[str, Any]]]


def findings(table: pd.DataFrame) -> Said:
    """Of `campaign_effects`: the strongest campaign that is proven, those that are not or that
    harm, how many stand together, and what could not be measured.
    """
    if table.empty:
        yield N_("No campaigns are on record."), {}
    random = table.assign(loss=-table.profit_high)[table.proof == "random"]
    proven = random[random.verdict == "works"]
    pays = proven.assign(first=proven.profit_low.fillna(-np.inf))
    by = ["first", "orders_low", "campaign_id"]
    for row in pays.sort_values(by, ascending=[False, False, True]).head(1).to_dict("records"):
        yield WORKS if pd.notna(row["profit"]) else WORKS_UNPRICED, row
    if len(random) and proven.empty:
        values = {"campaigns": len(random), "detectable": random.detectable.min()}
        yield (
            N_(
                "None of the measured campaigns with a control group ({campaigns:int}) is proven to"
                " work; {detectable:number} more orders per customer would have been seen in four"
                " cases of five in the best of them."
            ),
            values,
        )
    more = (random.verdict == "not_proven") & (random.orders_low > 0)
    kinds = random.verdict.mask(more, "pays_unproven")
    for kind, sentence in FAILED.items():
        if kind != "not_proven" or len(proven):
            for row in random[kinds == kind].to_dict("records"):
                yield sentence, row
    if len(random) > 1:
        stand = int(((random.p_holm <= ALARM) & (random.orders_effect > 0)).sum())
        yield (
            N_(
                "Of the {campaigns:int} campaigns with a control group, looked at together,"
                " {stand:int} still show more orders beyond chance (Holm)."
            ),
            {"campaigns": len(random), "stand": stand},
        )
    yield from _without_proof(table)


def _without_proof(table: pd.DataFrame) -> Said:
    """Of campaigns without a control group, with too few customers, and of those not over."""
    guessed = table[table.proof == "observational"]
    if len(guessed):
        values = {
            "campaigns": len(guessed),
            "above": int((guessed.orders_low > 0).sum()),
            "below": int((guessed.orders_high < 0).sum()),
            "none": int(guessed.orders_effect.isna().sum()),
        }
        yield (
            N_(
                "Campaigns that held nobody back by lot: {campaigns:int}. What they brought"
                " cannot be proven. Against similar untreated customers, those treated ordered"
                " more beyond chance in {above:int} of them and less in {below:int}; in"
                " {none:int} there are no similar customers to compare with."
            ),
            values,
        )
    for proof, sentence in UNMEASURED.items():
        if campaigns := int((table.proof == proof).sum()):
            values = {"campaigns": campaigns, "least": MIN_ARM, "groups": MIN_CLUSTERS}
            yield sentence, values


def caveats(table: pd.DataFrame, margin: float) -> Said:
    """What to bear in mind of these campaigns."""
    if table.empty:
        return
    if table.profit.notna().any():
        text = N_(
            "Profit is the money that the campaign brought times {margin:percent}, the share of"
            " revenue that is profit, less its cost. A campaign works where its whole interval is"
            " above zero; where no profit is known, where that of the orders is."
        )
        yield text, {"margin": margin}
    if (table.proof == "observational").any():
        text = N_(
            "Without customers held back by lot, similar untreated customers stand for"
            " them, weighted so that both are alike in orders, money and days before. They"
            " may still differ in what nobody recorded, which is often why they were"
            " chosen: such a difference is a hint, not proof."
        )
        yield text, {}
    if len(table) > 1:
        text = N_(
            "Of twenty campaigns that do nothing, one seems to do something by chance. With"
            " many looked at, only those that also stand together should count."
        )
        yield text, {}
    if mixed := int((table.also_reached > OVERLAP).sum()):
        text = N_(
            "Campaigns that share more than half of their treated customers with another one in"
            " the same days: {campaigns:int}. What each of them did alone cannot be told."
        )
        yield text, {"campaigns": mixed}
    if columns := sorted({*table.drawn_by.dropna()}):
        text = N_(
            "The arms of some campaigns go with {columns:field}: there, groups were drawn and not"
            " customers, and intervals count each group as one lot. Who stands in the other arm"
            " than most of the group is left out."
        )
        yield text, {"columns": ", ".join(columns)}
    if len(odd := table.campaign_id[table.imbalance < BROKEN]):
        text = N_(
            "The arms of {names:text} differed before the campaign more than lots explain:"
            " check how they were drawn."
        )
        yield text, {"names": ", ".join(odd)}
