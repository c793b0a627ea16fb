import numpy as np
import pandas as pd

from analysis.report.text import say
from analysis.strategy import campaign_findings
from analysis.strategy.campaigns import COLUMNS


def table(**row):
    blank = dict.fromkeys(COLUMNS, 1.0) | {
        "campaign_id": "X",
        "day": pd.Timestamp("2024-03-01"),
        "proof": "random",
        "verdict": "works",
        "drawn_by": np.nan,
    }
    return pd.DataFrame([blank | row])


def told(found):
    return " ".join(say(text, **values) for text, values in campaign_findings.findings(found))


def test_every_outcome_has_its_sentence():
    sentences = {
        "Campaign X works: it cost $1 and earned $1 more": {},
        "Whether it pays is not proven: after its cost of $1": {"verdict": "not_proven"},
        "It takes 4 groups in either arm": {"proof": "too_few_groups", "verdict": "not_proven"},
        "earned is not known": {"profit": np.nan, "profit_low": np.nan},
        "None of the measured campaigns with a control group (1) is proven": {
            "verdict": "not_proven"
        },
        "Campaign X harms": {"verdict": "harms"},
        "left a loss of $3 or more": {"verdict": "does_not_work", "profit_high": -3.0},
        "more beyond chance in 1 of them": {"proof": "observational", "verdict": "not_proven"},
        "less in 1; in 0": {"proof": "observational", "orders_low": -2.0, "orders_high": -1.0},
        "in 1 there are no similar": {"proof": "observational", "orders_effect": np.nan},
        "It takes 30 treated and 30": {"proof": "too_small", "verdict": "not_proven"},
        "complete: 1": {"proof": "not_over", "verdict": np.nan},
        "cannot be measured: 1": {"proof": "before_log", "verdict": np.nan},
    }
    for sentence, row in sentences.items():
        text = told(table(**row))
        assert sentence in text and not {"nan", "{"} & {*text.replace("{", " { ").split()}, text
    assert told(table().head(0)) == "No campaigns are on record."


def test_the_surest_is_said_and_others_as_not_proven():
    text = told(
        pd.concat(
            [
                table(orders_low=0.1),
                table(campaign_id="Y", orders_low=0.2),
                table(campaign_id="Z", verdict="not_proven", orders_low=-1.0),
            ]
        )
    )
    assert "Campaign Y works" in text and "X works" not in text
    assert "Campaign Z is not proven" in text and "None of" not in text


def test_only_campaigns_that_stand_together_are_counted():
    found = pd.concat(
        [
            table(p_holm=0.01),
            table(campaign_id="Y", p_holm=0.2),
            table(campaign_id="Z", p_holm=0.01, orders_effect=-1.0),
        ]
    )
    assert "Of the 3 campaigns with a control group" in told(found)
    assert "1 still show more orders beyond chance (Holm)." in told(found)


def test_without_a_control_group_nothing_is_said_of_one():
    one = table(proof="observational", verdict="not_proven")
    [text] = [text for text, _ in campaign_findings.findings(pd.concat([one, one]))]
    assert text.startswith("Campaigns that held nobody back by lot")


def test_caveats_name_overlapping_and_broken_campaigns():
    found = pd.concat(
        [
            table(also_reached=0.9, imbalance=0.5),
            table(campaign_id="Y", also_reached=0.1, imbalance=1e-6, proof="observational"),
            table(campaign_id="Z", also_reached=0.2, drawn_by="owner"),
        ]
    )
    text = " ".join(say(t, **values) for t, values in campaign_findings.caveats(found, 0.25))
    for sentence in (
        "times 25.0",
        "same days: 1",
        "arms of Y differed",
        "a hint",
        "Of twenty",
        "The arms of some campaigns go with",
    ):
        assert sentence in text, sentence
    [only] = campaign_findings.caveats(table(also_reached=0.5, imbalance=0.001), 1.0)
    assert only[1] == {"margin": 1.0}
    assert not [*campaign_findings.caveats(found.head(0), 1.0)]
