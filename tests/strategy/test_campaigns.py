import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.intake import cleaning, dataset
from analysis.models.history import Records
from analysis.strategy import campaigns, effects
from analysis.strategy.campaign_findings import BROKEN

DAY, AS_OF = dt.date(2024, 3, 1), dt.date(2024, 12, 31)
SETTINGS = dataset.Dataset.model_validate(
    {"tables": {"transactions": {"path": "o.csv", "columns": {"customer_id": "a", "date": "b"}}}}
)
LONG_AGO = ("old", dt.date(2020, 1, 1), "1")  # so that the log has begun


def on(days):
    """So many days after the treatment."""
    return DAY + dt.timedelta(days=days)


def log_of(rows):
    """The records of campaigns from (campaign_id, customer_id, day, arm)."""
    frame = pd.DataFrame(rows, columns=["campaign_id", "customer_id", "day", "arm"])
    return ibis.memtable(
        frame.assign(arm=frame.arm.astype("str")),
        schema={"campaign_id": "string", "customer_id": "string", "day": "date", "arm": "string"},
    )


def test_profit_by_hand():
    told = campaigns.profit(
        {"effect": 3.0, "low": 1.0, "high": 5.0, "treated": 100}, cost=60.0, margin=0.5
    )
    assert told == {"profit": 90, "profit_low": -10, "profit_high": 190}


def test_verdicts():
    for proof, low, high, profit_low, profit_high, word in [
        ("random", 0.1, 0.2, 1.0, 5.0, "works"),
        ("random", -0.1, 0.2, 1.0, 5.0, "works"),  # fewer orders may bring more money
        ("random", 0.1, 0.2, np.nan, np.nan, "works"),  # no profit is known
        ("random", 0.1, 0.2, -1.0, 5.0, "not_proven"),
        ("random", 0.1, 0.2, -5.0, -1.0, "does_not_work"),
        ("random", -0.1, 0.2, -5.0, -1.0, "does_not_work"),
        ("random", -0.1, 0.2, -5.0, 5.0, "not_proven"),
        ("random", -0.2, -0.1, -9.0, -5.0, "harms"),
        ("random", np.nan, np.nan, np.nan, np.nan, "not_proven"),
        ("observational", 0.1, 0.2, 1.0, 5.0, "not_proven"),
        ("observational", -0.2, -0.1, -9.0, -5.0, "not_proven"),
        ("too_small", np.nan, np.nan, np.nan, np.nan, "not_proven"),
    ]:
        assert campaigns.verdict(proof, low, high, profit_low, profit_high) == word


def test_each_campaign_is_measured_as_far_as_it_can_be(ledger):
    ids = [f"{n:03}" for n in range(200)]
    log = [(c, on(-(n % 60) - 1), "5") for n, c in enumerate(ids)] + [
        (c, on(5), "7") for c in ids[:60]
    ]
    rows = [("proof", c, DAY, "treat" if n < 80 else "control") for n, c in enumerate(ids[:160])]
    rows += [("alone", c, DAY, "treat") for c in ids[100:150]] + [
        ("few", c, DAY, "treat") for c in ids[:29]
    ]
    rows += [("held", c, DAY, "treat" if n < 40 else "control") for n, c in enumerate(ids[:60])]
    rows += [("now", c, AS_OF, "treat") for c in ids[:50]] + [
        ("before", c, on(-100), "treat") for c in ids[:50]
    ]
    found = campaigns.measured(
        Records(ledger(log), campaigns=log_of(rows)), AS_OF, SETTINGS, 1.0
    ).set_index("campaign_id")
    proofs = {
        "proof": "random",
        "alone": "observational",
        "few": "too_small",
        "held": "too_small",
        "now": "not_over",
    }
    assert found.proof.to_dict() == proofs | {"before": "before_log"}
    assert found.orders_effect["proof"] == pytest.approx(60 / 80, abs=0.1)
    assert found.verdict.dropna().to_dict() == dict.fromkeys(
        ["alone", "few", "held"], "not_proven"
    ) | {"proof": "works"}
    assert found.control["alone"] == 150
    assert found.incomplete.to_dict() == dict.fromkeys(proofs, 0) | {"now": 50, "before": 50}
    assert found.profit.isna().all()  # nobody said what they cost
    assert found.also_reached["alone"] == 0
    assert found.also_reached["few"] == 1


def test_without_members_or_before_all_campaigns_there_is_nothing(ledger):
    records = Records(ledger([LONG_AGO]), campaigns=log_of([("A", "a", DAY, "treat")]))
    for some, day in ((records, on(-1)), (Records(records.transactions), AS_OF)):
        found = campaigns.measured(some, day, SETTINGS, 1.0)
        assert found.empty and list(found) == campaigns.COLUMNS
    assert campaigns.measured(records, AS_OF, SETTINGS, 1.0).proof.tolist() == ["too_small"]


def arms_of(owner, treated):
    """Customers with arms, and their classes."""
    ids = [f"{n:04}" for n in range(len(owner))]
    arm = np.where(np.isin(owner, treated), "treat", "control")
    return (
        pd.DataFrame({"customer_id": ids, "arm": arm}),
        pd.DataFrame({"owner": owner}, index=pd.Index(ids, name="customer_id")),
    )


def test_owners_were_drawn_though_one_account_in_a_hundred_was_handed_over():
    owner = np.repeat([f"o{n}" for n in range(8)], 25)
    people, groups = arms_of(owner, [f"o{n}" for n in range(4)])
    assert campaigns.drawn_by(people, groups) == "owner"
    handed = groups.copy()
    handed.iloc[[3, 190], 0] = ["o7", "o0"]  # to the other arm
    assert campaigns.drawn_by(people.sample(frac=1, random_state=1), handed) == "owner"
    by_region = handed.assign(region=np.repeat([*"ab", *"ab"], 50), city=np.repeat([*"pq"], 100))
    assert campaigns.drawn_by(people, by_region) == "city"  # the fewest groups that arms go with
    some = groups.assign(owner=groups.owner.where(np.arange(200) % 8 == 0))  # of most not known
    assert campaigns.drawn_by(people, some) == ""
    assert campaigns.drawn_by(people, groups[[]]) == ""
    drawn, column = campaigns.grouped(people, handed)
    assert (column, campaigns.fewest_groups(drawn)) == ("owner", 4)


def test_arms_by_lot_go_with_nothing():
    """Of customers with an own column each, in pairs, in stores, and of one region."""
    random = np.random.default_rng(5)
    for _ in range(40):
        count = int(random.integers(60, 400))
        held = random.permutation(count) < 0.1 * count
        sizes = {"alone": count, "pair": count // 2, "store": 12, "region": 1}
        groups = pd.DataFrame(
            {name: random.integers(0, of, count).astype(str) for name, of in sizes.items()}
        ).assign(alone=np.arange(count).astype(str))
        ids = pd.Index([f"{n:04}" for n in range(count)], name="customer_id")
        people = pd.DataFrame({"customer_id": ids, "arm": np.where(held, "control", "treat")})
        assert campaigns.drawn_by(people, groups.set_axis(ids)) == ""


def of_owners(ledger, random, owners, held):
    """The records of a campaign that does nothing, by owners whose customers order alike; one
    account in a hundred has been handed over.
    """
    owner = np.repeat(np.arange(owners), 25)
    ids = np.array([f"{n:03}" for n in range(len(owner))])
    treated = np.isin(owner, random.permutation(owners)[held:])
    rate = random.gamma(2, 0.5, owners)[owner]
    lines = [LONG_AGO] + [
        (who, on(5 + day), "5")
        for who, orders in zip(ids, random.poisson(rate), strict=True)
        for day in range(orders)
    ]
    now = owner.copy()
    moved = random.permutation(len(owner))[: len(owner) // 100]
    now[moved] = random.integers(0, owners, len(moved))
    profiles = pd.DataFrame({"customer_id": ids, "owner": [f"o{n}" for n in now]})
    arms = np.where(treated, "treat", "control")
    rows = [("A", who, DAY, arm) for who, arm in zip(ids, arms, strict=True)]
    return Records(ledger(lines), campaigns=log_of(rows), profiles=ibis.memtable(profiles))


def test_a_campaign_drawn_by_owners_is_measured_by_owners(ledger):
    random = np.random.default_rng(8)
    [row] = campaigns.measured(of_owners(ledger, random, 8, 4), AS_OF, SETTINGS, 1.0).to_dict(
        "records"
    )
    assert (row["proof"], row["drawn_by"]) == ("random", "owner")
    assert row["orders_low"] < 0 < row["orders_high"] and np.isnan(row["imbalance"])
    [row] = campaigns.measured(of_owners(ledger, random, 7, 3), AS_OF, SETTINGS, 1.0).to_dict(
        "records"
    )
    assert (row["proof"], row["verdict"]) == ("too_few_groups", "not_proven")


@pytest.mark.slow
@pytest.mark.parametrize(("owners", "held"), [(8, 4), (20, 4)])
def test_campaigns_by_owners_that_do_nothing_are_seldom_proven(ledger, monkeypatch, owners, held):
    """From the records on, handed-over accounts and all."""
    monkeypatch.setattr(effects, "REDRAWS", 199)
    random, alarms = np.random.default_rng(9), 0
    for _ in range(40):
        records = of_owners(ledger, random, owners, held)
        alarms += campaigns.measured(records, AS_OF, SETTINGS, 1.0).p.item() <= 0.05
    assert stats.binomtest(alarms, 40, 0.07, "greater").pvalue > 0.01


def test_a_campaign_is_measured_once_the_days_of_all_are_over(ledger):
    rows = [("A", f"{n:03}", DAY, "treat" if n < 40 else "control") for n in range(80)]
    late = [*rows[1:], ("A", "000", AS_OF - dt.timedelta(days=44), "treat")]
    log = [(f"{n:03}", on(3), "5") for n in range(0, 80, 3)] + [LONG_AGO]
    for some, proof in ((rows, "random"), (late, "not_over")):
        records = Records(ledger(log), campaigns=log_of(some))
        found = campaigns.measured(records, AS_OF, SETTINGS, 1.0)
        assert found.proof.item() == proof and found.verdict.isna().item() == (proof != "random")


@pytest.fixture(scope="module")
def crm(crm_demo):
    """What is measured of the invented company, and its truth by campaign."""
    logs = {table: cleaning.records(crm_demo.judged[table]) for table in ("campaigns", "customers")}
    as_of, sold = crm_demo.dataset.as_of, crm_demo.transactions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "REDRAWS", 199)
        records = Records(sold, campaigns=logs["campaigns"], profiles=logs["customers"])
        found = campaigns.measured(records, as_of, crm_demo.dataset, 0.5).set_index("campaign_id")
    truth = pd.DataFrame(crm_demo.truth["campaigns"]).set_index("campaign_id").loc[found.index]
    return found, truth, logs


def test_planted_effects_of_the_invented_company_lie_within_their_intervals(crm):
    found, truth, _ = crm
    assert found.index.tolist() == ["WB2024", "NEW2025", "CARD2025"]
    assert (found.proof == "random").all()
    assert found.window_days.eq(truth.window_days).all()
    assert ((found.orders_low < truth.effect) & (truth.effect < found.orders_high)).all()
    assert found.verdict["WB2024"] == "works"
    assert found.verdict["CARD2025"] == "not_proven"
    assert (found.imbalance > BROKEN).all()
    assert (found.p_holm >= found.p).all()
    worth = found.money_effect * 0.5 * found.treated - found.cost
    pd.testing.assert_series_equal(found.profit, worth, check_names=False)
    np.testing.assert_allclose(found.total, found.money_effect * found.treated)


def test_what_campaigns_of_the_invented_company_cost_is_what_the_treated_cost(crm):
    found, truth, _ = crm
    pd.testing.assert_series_equal(
        found.cost, (found.treated * truth.cost).astype(float), check_names=False
    )


def test_a_campaign_whose_control_group_is_forgotten_is_no_proof(crm_demo, crm):
    """Those who were held back are then among the untreated, who are others than those chosen: long
    silent.
    """
    log = crm[2]["campaigns"].filter(ibis._.campaign_id == "WB2024", ibis._.arm == "treat")
    records = Records(crm_demo.transactions, campaigns=log)
    settings = crm_demo.dataset
    [row] = campaigns.measured(records, settings.as_of, settings, 0.5).to_dict("records")
    assert row["proof"] == "observational"
    assert row["verdict"] == "not_proven"
    assert row["orders_low"] < 0.3 < row["orders_high"]


def test_the_clearest_campaign_is_the_surest_with_a_control_group():
    table = pd.DataFrame(
        {
            "campaign_id": ["A", "B", "C"],
            "proof": ["random", "observational", "random"],
            "p": [0.2, 0.001, 0.01],
            "day": pd.to_datetime(["2025-01-01"] * 3),
        }
    )
    assert campaigns.clearest(table) == "C"
    assert campaigns.clearest(table[table.proof == "observational"]) == ""
    assert campaigns.clearest(table.head(0)) == ""


def test_a_close_up_has_the_members_of_one_campaign_and_how_often_they_ordered_before(crm_demo):
    records = Records(
        crm_demo.transactions, campaigns=cleaning.records(crm_demo.judged["campaigns"])
    )
    found = campaigns.close_up("WB2024", records, crm_demo.dataset.as_of, crm_demo.dataset)
    assert set(found.campaign_id) == {"WB2024"} and set(found.arm) == {"treat", "control"}
    limits = found.groupby("segment").orders_year.agg(["min", "max"])
    assert limits.loc["no_orders_before"].tolist() == [0, 0]
    assert limits.loc["some_orders_before"].tolist() == [1, 4]
    assert limits.loc["many_orders_before", "min"] == campaigns.FEW_ORDERS == 5


def test_a_close_up_of_no_campaign_is_empty_and_so_is_what_is_made_of_it(crm_demo):
    records, settings = Records(crm_demo.transactions), crm_demo.dataset
    found = campaigns.close_up("", records, settings.as_of, settings)
    assert (
        found.empty
        and effects.uplift(found, campaigns.OUTCOME).empty
        and effects.balance(found).empty
    )
