"""Nightly runs over two cycles on a generated log, and what the frozen plans then tell."""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest

from analysis import schema
from analysis.models.history import Records
from analysis.strategy import allocation, campaigns, cycles, effects, plan
from analysis.strategy.campaign_members import members, outcomes, windows
from tests.strategy.test_plan import UNMEASURED, book, rule, shop

FIRST = dt.date(2025, 3, 1)
RULES = (
    rule("care", {"tier": ["strategic"], "risk": ["high"]}, must=True),
    rule("thank", {"tier": ["strategic"]}),
    rule("grow", {"tier": ["ordinary"], "stage": ["loyal", "repeat"]}, control=0.2, every_days=30),
    rule(
        "win_back",
        {"tier": ["ordinary"], "stage": ["silent", "lost"]},
        control=0.2,
        every_days=120,
        days=14,
    ),
    rule("newsletter", control=0.1, cost=0.1, every_days=30),
)
BOOK = book(*RULES)


def orders(customers=1500, days=520, seed=3):
    """Rates of buying by a gamma law; customers appear over all of the time."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, days, customers)
    rate = rng.gamma(1.0, 1 / 45, customers)
    count = rng.poisson(rate * (days - start))
    who = np.repeat(np.arange(customers), count)
    later = (rng.random(len(who)) * (days - start[who])).astype(int) + start[who]
    day = np.append(start, later)
    ids = [f"c{number:05}" for number in np.append(np.arange(customers), who)]
    began = pd.Timestamp(FIRST) - pd.Timedelta(days=400)
    found = pd.DataFrame({"customer_id": ids, "day": began + pd.to_timedelta(day, unit="D")})
    return found.assign(amount=10.0).drop_duplicates(["customer_id", "day"], ignore_index=True)


def table(log):
    """The log as transactions."""
    typed = log.assign(day=log.day.dt.date)
    return ibis.memtable(typed).mutate(day=ibis._.day.cast("date"))


def picture(log, as_of):
    """The matrix and clv of a day, by orders and recency; they change from night to night."""
    past = log[log.day <= pd.Timestamp(as_of)].groupby("customer_id").day
    known = pd.DataFrame({"orders": past.size(), "last": past.max()}).reset_index()
    recency = (pd.Timestamp(as_of) - known["last"]).dt.days
    stage = np.select(
        [recency > 150, recency > 60, known.orders > 5, known.orders > 1],
        ["lost", "silent", "loyal", "repeat"],
        "new",
    )
    matrix = known[["customer_id"]].assign(
        tier=np.where(known.orders > 14, "strategic", "ordinary"),
        stage=stage,
        risk_band=np.where(recency > 30, "high", "low"),
        clv=known.orders * 10.0,
    )
    clv = known[["customer_id"]].assign(
        expected_order_value=50.0, expected_orders=known.orders / 20
    )
    return matrix, clv


def night(log, as_of, frozen, settings, profiles=None, records=None):
    """What notebook 05 does: the plan, and the cycle that holds."""
    matrix, clv = picture(log, as_of)
    profiles = matrix[["customer_id"]] if profiles is None else profiles
    people = plan.people(matrix, clv, profiles, pd.Series(dtype=float), BOOK, settings)
    people = cycles.bound(people, frozen, as_of, BOOK, settings)
    possible = plan.options(people, BOOK, plan.effects(BOOK, UNMEASURED, settings), 1.0)
    chosen = allocation.choose(possible, plan.limits(settings)).chosen
    today = plan.plan(people, possible, chosen, BOOK, as_of, settings)
    cycle = cycles.in_force(frozen, as_of)
    if cycle is None:
        cycle = cycles.freeze(today, people, frozen, as_of, BOOK, settings)
        frozen = pd.concat([frozen, _kept(cycle)], ignore_index=True)
    records = records or Records(table(log.head(1)))
    made = cycles.keep(today, cycle, records, profiles, as_of, BOOK)
    schema.conform("plan", made)
    return made, frozen


def _kept(cycle):
    """As it comes back from its file."""
    return schema.conform("cycle", cycle).to_pandas(date_as_object=False)


NIGHTS = (0, 1, 14, 27, 28, 29, 39)  # a night knows of those before it what was frozen, no more


@pytest.fixture(scope="module")
def nights():
    """Of 40 nights some: the plans by day, and what was frozen. Each night a customer withdraws."""
    log, settings = orders(), shop()
    frozen, plans = cycles.nothing_frozen(), {}
    everybody = sorted(log.customer_id.unique())
    for number in NIGHTS:
        day = FIRST + dt.timedelta(days=number)
        agreed = pd.DataFrame({"customer_id": everybody, "consent": True})
        agreed.loc[: number - 1, "consent"] = False
        plans[day], frozen = night(log, day, frozen, settings, agreed)
    return plans, frozen


def test_two_cycles_are_frozen_and_the_second_begins_when_the_first_is_over(nights):
    _, frozen = nights
    firsts = frozen["first"].drop_duplicates().dt.date.tolist()
    assert firsts == [FIRST, FIRST + dt.timedelta(days=28)]
    assert (frozen["last"] - frozen["first"]).dt.days.unique().tolist() == [27]


def test_nobody_held_back_is_treated_or_drawn_anew_while_the_days_run(nights):
    plans, frozen = nights
    first = frozen[frozen["first"] == pd.Timestamp(FIRST)]
    held = first.customer_id[first.arm == "control"]
    assert len(held) > 100
    withdrew = set(frozen.customer_id.sort_values().unique()[:40])
    for day, made in plans.items():
        now = made.set_index("customer_id").loc[held]
        assert not (now.status == "planned").any(), day
        assert (now.status == "held_back").mean() >= 0.99 - len(withdrew & set(held)) / len(held)
        kept = now[~now.index.isin(withdrew)]
        assert (kept.status == "held_back").all() and (kept.arm == "control").all(), day
        treated = first.customer_id[(first.arm == "treat")]
        assert (made.set_index("customer_id").arm.reindex(treated) != "control").mean() > 0.9


def test_within_a_cycle_only_who_drops_out_changes(nights):
    plans, _ = nights
    start, end = plans[FIRST], plans[FIRST + dt.timedelta(days=27)]
    both = start.merge(end, on="customer_id", suffixes=("", "_now"))
    changed = both[both.status != both.status_now]
    urgent = changed.arm_now == "urgent"
    assert (changed.status_now[~urgent] == "no_consent").all() and 0 < (~urgent).sum() <= 27
    assert changed.rule_now[urgent].eq("care").all()
    same = both[~both.customer_id.isin(changed.customer_id)]
    for name in ("rule", "action", "arm", "due", "cost", "expected_value"):
        pd.testing.assert_series_equal(same[name], same[f"{name}_now"], check_names=False)
    new = end[~end.customer_id.isin(start.customer_id) & (end.arm != "urgent")]
    assert len(new) > 10 and (new.status == "next_cycle").all()


def test_who_is_still_held_back_counts_in_the_old_trial_only(nights):
    _, frozen = nights
    second = frozen[frozen["first"] > pd.Timestamp(FIRST)]
    old = second[(second.arm == "control") & (second.drawn_on < second["first"])]
    first = frozen[frozen["first"] == pd.Timestamp(FIRST)].set_index("customer_id")
    assert len(old) > 100
    assert (first.loc[old.customer_id, "rule"].to_numpy() == old.rule.to_numpy()).all()
    trials = cycles.trials(frozen)
    later = trials[trials.day > pd.Timestamp(FIRST)]
    assert not later.customer_id.isin(old.customer_id).any()
    assert set(frozen.window_days.dropna()) == {91, 120}  # horizon_days; every_days of win_back


def test_a_trial_costs_what_its_customers_were_sent_in_every_cycle_in_which_it_runs():
    """Who grows is reached again in the second cycle, as every 30 days is about a cycle of 28."""
    log, settings = orders(), shop(plan={"holdout": 0.1})
    _, frozen = night(log, FIRST, cycles.nothing_frozen(), settings)
    _, frozen = night(log, FIRST + dt.timedelta(days=28), frozen, settings)
    trials = cycles.trials(frozen)
    grow = trials[(trials.campaign_id == f"grow {FIRST}") & (trials.arm == "treat")]
    assert set(grow.cost) == {2.0, 4.0} and (grow.cost == 4.0).mean() > 0.5
    whole = trials[trials.campaign_id == f"programme {FIRST}"].set_index("customer_id")
    spent = frozen[frozen.customer_id.isin(whole.index)].groupby("customer_id").cost.sum()
    pd.testing.assert_series_equal(whole.cost.sort_index(), spent, check_names=False)
    spared = frozen[
        frozen.customer_id.isin(whole.index[(whole.arm == "control") & (whole.cost > 0)])
    ]
    assert spared.rule[spared.cost > 0].eq("care").all()  # what must be done is done


def test_a_trial_whose_days_are_over_is_drawn_anew():
    log, settings = orders(), shop(plan={"cycle_days": 100}, horizon_days=60)
    plans, frozen = {}, cycles.nothing_frozen()
    for number in (0, 100, 200):
        day = FIRST + dt.timedelta(days=number)
        plans[number], frozen = night(log, day, frozen, settings)
    held = frozen[(frozen.arm == "control") & (frozen.rule != "win_back")]
    assert (held.drawn_on == held["first"]).all()
    assert held.customer_id[held["first"] == pd.Timestamp(FIRST)].nunique() > 50
    later = frozen[(frozen.rule == "win_back") & (frozen.arm == "control")]
    carried = later[later.drawn_on < later["first"]]
    assert len(carried) and (carried["first"] - carried.drawn_on).dt.days.eq(100).all()


def test_the_holdout_is_always_the_same_people_and_spares_the_exempt():
    log, settings = orders(), shop(plan={"holdout": 0.1, "exempt": {"tier": ["strategic"]}})
    one, frozen = night(log, FIRST, cycles.nothing_frozen(), settings)
    two, frozen = night(log, FIRST + dt.timedelta(days=28), frozen, settings)
    out = [made.customer_id[made.arm == "holdout"] for made in (one, two)]
    matrix, _ = picture(log, FIRST + dt.timedelta(days=28))
    both = set(matrix.customer_id[matrix.tier == "ordinary"])
    might = len(one) - (one.arm == "exempt").sum()
    assert abs(len(out[0]) - 0.1 * might) < 4 * np.sqrt(0.09 * might)
    assert set(out[0]) & both == set(out[0]) & set(out[1])
    matrix, _ = picture(log, FIRST)
    strategic = matrix.customer_id[matrix.tier == "strategic"]
    mine = one[one.customer_id.isin(strategic)]
    assert len(mine) and mine.arm.isin(["exempt", "none"]).all()
    trial = cycles.trials(frozen)
    whole = trial[trial.kind == "programme"]
    assert set(whole.arm) == {"treat", "control"} and not whole.customer_id.isin(strategic).all()
    assert not whole[whole.day == pd.Timestamp(FIRST)].customer_id.isin(strategic).any()


def test_exempt_customers_by_number_are_treated_and_in_no_trial():
    log = orders()
    everybody = picture(log, FIRST)[0].customer_id
    settings = shop(plan={"exempt": everybody.head(200).tolist()})
    made, frozen = night(log, FIRST, cycles.nothing_frozen(), settings)
    mine = made[made.customer_id.isin(everybody.head(200))]
    assert mine.arm.isin(["exempt", "none"]).all() and (mine.status == "planned").sum() > 100
    assert not cycles.trials(frozen).customer_id.isin(mine.customer_id).any()


def test_who_complains_or_is_forgotten_drops_out_and_the_page_says_so():
    log, settings = orders(), shop()
    made, frozen = night(log, FIRST, cycles.nothing_frozen(), settings)
    reached = made.customer_id[made.status == "planned"].tolist()
    opened = pd.DataFrame(
        {
            "customer_id": reached[:3],
            "kind": "complaint",
            "day": [FIRST, FIRST + dt.timedelta(days=2), FIRST + dt.timedelta(days=2)],
            "closed": pd.Series([pd.NaT, pd.NaT, pd.Timestamp(FIRST) + pd.Timedelta(days=3)]),
        }
    )
    feedback = ibis.memtable(opened).mutate(day=ibis._.day.cast("date"))
    records = Records(table(log.head(1)), feedback=feedback)
    left = log[log.customer_id != reached[5]]
    day = FIRST + dt.timedelta(days=4)
    now, _ = night(left, day, frozen, settings, records=records)
    status = now.set_index("customer_id").status
    assert status[reached[:3]].tolist() == ["planned", "open_complaint", "planned"]
    assert reached[5] not in status
    said = dict(cycles.telling(now, frozen))
    gone = next(values for text, values in said.items() if text.startswith("Dropped out"))
    assert gone == {"withdrawn": 0, "complaints": 1, "gone": 1}


def test_an_early_end_says_whose_proof_it_costs():
    _, frozen = night(orders(), FIRST, cycles.nothing_frozen(), shop())
    assert cycles.lost_by_new(frozen) == (frozen.arm == "control").sum() > 100


def test_the_first_night_changes_nothing_of_the_plan():
    log, settings = orders(), shop()
    matrix, clv = picture(log, FIRST)
    nobody = cycles.nothing_frozen()
    people = plan.people(matrix, clv, matrix, pd.Series(dtype=float), BOOK, settings)
    free = cycles.bound(people, nobody, FIRST, BOOK, settings)
    records = Records(table(log))
    assert cycles.with_trials(records, nobody, FIRST) is records
    assert cycles.trials(nobody).empty and cycles.reached(nobody, None).empty
    plans = []
    for who in (people, free):
        possible = plan.options(who, BOOK, plan.effects(BOOK, UNMEASURED, settings), 1.0)
        chosen = allocation.choose(possible, plan.limits(settings)).chosen
        plans.append(plan.plan(who, possible, chosen, BOOK, FIRST, settings))
    pd.testing.assert_frame_equal(*plans)
    made, _ = night(log, FIRST, nobody, settings)
    pd.testing.assert_frame_equal(made, plans[0], check_dtype=False)


# Measured by itself
def planted(repetitions, seed, extra=0.25, size=400):
    """Many frozen trials, each a rule, of as many customers, and orders with an effect: of those
    to be treated each has on average `extra` more within the 91 days.
    """
    rng = np.random.default_rng(seed)
    n = repetitions * size
    ids = pd.Series([f"c{number:07}" for number in range(n)])
    arm = np.where(rng.permuted(np.tile(np.arange(size) < 0.2 * size, (repetitions, 1)), axis=1),
                   "control", "treat").ravel()  # fmt: skip
    cycle = pd.DataFrame({"customer_id": ids, "arm": arm, "first": pd.Timestamp(FIRST)})
    cycle["rule"] = np.repeat([f"r{number:04}" for number in range(repetitions)], size)
    cycle = cycle.assign(drawn_on=cycle["first"], window_days=91, programme=None, channel="mail")
    cycle = cycle.assign(cost=1.0, last=cycle["first"] + pd.Timedelta(days=27), horizon_days=91)
    rate = rng.gamma(0.8, 1 / 60, n)
    past, ahead = rng.poisson(rate * 365), rng.poisson(rate * 91)
    ahead = ahead + rng.poisson(np.where(arm == "treat", extra, 0))
    lines = [(rng.integers(-365, 0, past.sum()), past), (rng.integers(1, 92, ahead.sum()), ahead)]
    log = pd.concat(
        pd.DataFrame({"customer_id": ids.repeat(count).to_numpy(), "day": day})
        for day, count in lines
    )
    log["day"] = pd.Timestamp(FIRST) + pd.to_timedelta(log.day, unit="D")
    lone = pd.DataFrame({"customer_id": ["x"], "day": pd.Timestamp(FIRST) - pd.Timedelta(days=400)})
    whole = pd.concat([log, lone], ignore_index=True).assign(amount=10.0)
    return cycle, whole


def measured_planted(repetitions, seed):
    """The intervals of the planted effect, and those of the plain comparison."""
    cycle, log = planted(repetitions, seed)
    as_of = FIRST + dt.timedelta(days=91)
    # several lines of a day are one order day: the truth is what that leaves of the effect
    records = cycles.with_trials(Records(table(log)), cycle, as_of)
    found = campaigns.measured(records, as_of, shop(), 1.0)
    people = members(records.campaigns, as_of)
    known = outcomes(records.transactions, people, windows(people, shop()), as_of)
    arms = known.groupby(["campaign_id", "arm"]).orders.agg(["mean", "var", "size"]).unstack()
    error = np.sqrt(sum(arms["var"][a] / arms["size"][a] for a in ("treat", "control")))
    return found.set_index("campaign_id"), 2 * 1.96 * error, arms["mean"]


def checked(repetitions, seed, low, high):
    found, plain, means = measured_planted(repetitions, seed)
    assert (found.proof == "random").all() and (found.window_days == 91).all()
    assert found.kind.tolist() == [name.split()[0] for name in found.index]
    truth = (means["treat"] - means["control"]).mean()  # of all, known 30 times as exactly
    inside = (found.orders_low <= truth) & (truth <= found.orders_high)
    assert low <= inside.mean() <= high
    assert ((found.orders_high - found.orders_low) / plain.reindex(found.index)).median() <= 1.3
    assert truth == pytest.approx(0.25, abs=0.05)


def test_the_effect_is_measured_from_the_orders_and_the_frozen_plan_alone(monkeypatch):
    monkeypatch.setattr(effects, "REDRAWS", effects.LEAST_REDRAWS)  # as of many customers
    checked(20, 1, 0.8, 1.0)


@pytest.mark.slow
def test_intervals_of_the_planted_effect_hold_what_they_say():
    checked(1000, 2, 0.93, 0.97)


def test_before_its_days_are_over_nothing_is_said_and_no_control_group_is_no_trial():
    cycle, log = planted(2, 5)
    early = FIRST + dt.timedelta(days=90)
    records = cycles.with_trials(Records(table(log)), cycle, early)
    assert campaigns.measured(records, early, shop(), 1.0).proof.tolist() == ["not_over"] * 2
    alone = cycle.assign(arm="exempt")
    assert cycles.with_trials(Records(table(log)), alone, early).campaigns is None


def test_a_campaign_file_says_who_was_reached_and_what_it_cost():
    """Half of those drawn are reached, for 3 each, and two of those held back all the same; who was
    drawn counts.
    """
    cycle, log = planted(1, 6)
    treat, control = (cycle.customer_id[cycle.arm == arm] for arm in ("treat", "control"))
    sent = pd.DataFrame(
        {"customer_id": [*treat[:160], *control[:2]], "campaign_id": "r0000 2025-03-01"}
    )
    other = pd.DataFrame({"customer_id": treat[:9], "campaign_id": "spring"})
    file = pd.concat([sent, other]).assign(day=FIRST + dt.timedelta(days=3), cost=3.0)
    file = ibis.memtable(file).mutate(day=ibis._.day.cast("date"))
    records = Records(table(log), campaigns=file)
    as_of = FIRST + dt.timedelta(days=91)
    found = campaigns.measured(cycles.with_trials(records, cycle, as_of), as_of, shop(), 1.0)
    own = found.set_index("campaign_id").loc["r0000 2025-03-01"]
    assert (own.treated, own.control, own.cost, own.proof) == (320, 80, 480.0, "random")
    assert "spring" in set(found.campaign_id)
    reached = cycles.reached(cycle, file).iloc[0]
    assert reached[["treated", "reached", "control", "broken"]].tolist() == [320, 160, 80, 2]
