"""What is said of campaigns: sentences with their values."""

from typing import Any

import pandas as pd

from analysis.report.text import N_
from analysis.strategy.effects import MIN_ARM

ALARM = 0.05
OVERLAP = 0.5  # of the treated; beyond it two campaigns are hardly two
BROKEN = 0.001  # p of the arms being so unlike by lot; of every campaign, so not the usual 0.05

Said = list[tuple[str, dict[str, Any]]]


def findings(table: pd.DataFrame) -> Said:
    """Of `campaign_effects`: the strongest campaign that is proven, those that are not or that
    harm, how many stand together, and what could not be measured.
    """
    if table.empty:
        return [(N_("No campaigns are on record."), {})]
    random = table[table.proof == "random"]
    proven = random[random.verdict == "works"].sort_values(
        ["orders_low", "campaign_id"], ascending=[False, True]
    )
    said: Said = [(_works(row), _values(row)) for row in proven.head(1).to_dict("records")]
    if len(random) and proven.empty:
        said.append(
            (
                N_(
                    "None of the campaigns with a control group ({campaigns:int}) is proven to"
                    " work; an effect of {detectable:number} orders per customer or more would have"
                    " been found in four cases of five in the best of them."
                ),
                {"campaigns": len(random), "detectable": random.detectable.min()},
            )
        )
    said += [
        (
            N_(
                "Campaign {campaign:text} harms: {orders_effect:number} orders per treated customer"
                " within {window_days:int} days (95 % sure: {orders_low:number} to"
                " {orders_high:number}; {treated:int} treated, {control:int} held back by lot)."
            ),
            _values(row),
        )
        for row in random[random.verdict == "harms"].to_dict("records")
    ]
    said += [
        (
            N_(
                "Campaign {campaign:text} does not pay: {orders_effect:number} orders per treated"
                " customer within {window_days:int} days (95 % sure: {orders_low:number} to"
                " {orders_high:number}) against a cost of {cost:money}; even at the best that is"
                " left a loss of {loss:money} or more."
            ),
            _values(row),
        )
        for row in random[random.verdict == "does_not_work"].to_dict("records")
    ]
    said += [
        (
            N_(
                "Campaign {campaign:text} is not proven: {orders_effect:number} orders per treated"
                " customer within {window_days:int} days (95 % sure: {orders_low:number} to"
                " {orders_high:number}), which chance may explain; {treated:int} were treated,"
                " {control:int} held back by lot."
            ),
            _values(row),
        )
        for row in random[random.verdict == "not_proven"].to_dict("records")
        if len(proven)
    ]
    if len(random) > 1:
        stand = int(((random.p_holm <= ALARM) & (random.orders_effect > 0)).sum())
        said.append(
            (
                N_(
                    "With all {campaigns:int} campaigns with a control group looked at together,"
                    " those that still show more orders beyond chance (Holm) number {stand:int}."
                ),
                {"campaigns": len(random), "stand": stand},
            )
        )
    return said + _not_measured(table)


def _works(row: dict[Any, Any]) -> str:
    if pd.notna(row["profit"]):
        return N_(
            "Campaign {campaign:text} works: {orders_effect:number} more orders per treated"
            " customer within {window_days:int} days (95 % sure: {orders_low:number} to"
            " {orders_high:number}; {treated:int} treated, {control:int} held back by lot). It cost"
            " {cost:money} and earned {profit:money} more than that (95 % sure: {profit_low:money}"
            " to {profit_high:money})."
        )
    return N_(
        "Campaign {campaign:text} works: {orders_effect:number} more orders per treated customer"
        " within {window_days:int} days (95 % sure: {orders_low:number} to {orders_high:number};"
        " {treated:int} treated, {control:int} held back by lot). What it earned is not known, for"
        " want of money or costs."
    )


def _values(row: dict[Any, Any]) -> dict[str, Any]:
    return row | {"campaign": row["campaign_id"], "loss": -row["profit_high"]}


def _not_measured(table: pd.DataFrame) -> Said:
    """Of campaigns without a control group, with too few customers, and of those not over."""
    count, said = table.proof.value_counts(), list[tuple[str, dict[str, Any]]]()
    if "observational" in count:
        seen = table[(table.proof == "observational") & table.orders_effect.notna()]
        said.append(
            (
                N_(
                    "Campaigns that held nobody back by lot: {campaigns:int}. What they brought"
                    " cannot be proven. Against similar untreated customers, those treated ordered"
                    " more beyond chance in {above:int} of them and less in {below:int}; in"
                    " {none:int} there are no similar customers to compare with."
                ),
                {
                    "campaigns": int(count["observational"]),
                    "above": int((seen.orders_low > 0).sum()),
                    "below": int((seen.orders_high < 0).sum()),
                    "none": int(count["observational"]) - len(seen),
                },
            )
        )
    sentences = {
        "too_small": N_(
            "Campaigns with too few customers to be measured: {campaigns:int}. It takes {least:int}"
            " treated and {least:int} to compare with."
        ),
        "not_over": N_(
            "Campaigns that are not over yet and are measured once their days are complete:"
            " {campaigns:int}."
        ),
        "before_log": N_(
            "Campaigns that began before the order log does and cannot be measured:"
            " {campaigns:int}."
        ),
    }
    return said + [
        (sentence, {"campaigns": int(count[proof]), "least": MIN_ARM})
        for proof, sentence in sentences.items()
        if proof in count
    ]


def caveats(table: pd.DataFrame, margin: float) -> Said:
    """What to bear in mind of these campaigns."""
    if table.empty:
        return []
    said: Said = [
        (
            N_(
                "Profit is the money that the campaign brought times {margin:percent}, the share of"
                " revenue that is profit, less its cost. Money varies more than orders, so the"
                " verdict goes by orders."
            ),
            {"margin": margin},
        )
    ]
    if (table.proof == "observational").any():
        said.append(
            (
                N_(
                    "Without customers held back by lot, similar untreated customers stand for"
                    " them, weighted so that both are alike in orders, money and days before. They"
                    " may still differ in what nobody recorded, which is often why they were"
                    " chosen: such a difference is a hint, not proof."
                ),
                {},
            )
        )
    if len(table) > 1:
        said.append(
            (
                N_(
                    "Of twenty campaigns that do nothing, one seems to do something by chance. With"
                    " many looked at, only those that also stand together should count."
                ),
                {},
            )
        )
    if mixed := int((table.also_reached > OVERLAP).sum()):
        said.append(
            (
                N_(
                    "Campaigns that share more than half of their treated customers with another"
                    " one in the same days: {campaigns:int}. What each of them did alone cannot be"
                    " told."
                ),
                {"campaigns": mixed},
            )
        )
    odd = table.campaign_id[table.imbalance < BROKEN]
    if len(odd):
        said.append(
            (
                N_(
                    "The arms of {names:text} differed before the campaign more than lots explain:"
                    " check how they were drawn."
                ),
                {"names": ", ".join(odd)},
            )
        )
    return said
