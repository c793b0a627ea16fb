import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import schema
from analysis.intake.dataset import Dataset
from analysis.strategy import allocation, plan
from analysis.strategy.playbook import Playbook

AS_OF = dt.date(2026, 1, 31)
NOBODY = pd.DataFrame({"customer_id": pd.Series(dtype="str")})
UNMEASURED = pd.DataFrame(
    columns=["campaign_id", "kind", "day", "proof", "orders_effect", "orders_low", "orders_high"]
)


def rule(name, when=(), **changed):
    texts = {text: {"en": f"{text} of {name}"} for text in ("objective", "action")}
    usual = {
        "channel": "phone",
        "owner": "sales",
        "days": 7,
        "cost": 2.0,
        "effect": 0.1,
        "control": 0.0,
    }
    return {"id": name, "when": dict(when), **texts} | usual | changed


def book(*rules):
    return Playbook.model_validate(
        {"tiers": [{"tier": "ordinary", "when": {}, "why": "all"}], "rules": list(rules)}
    )


def shop(**changed):
    schema = {
        "transactions": {
            "path": "x.csv",
            "columns": {"customer_id": "c", "date": "d", "amount": "a"},
        }
    }
    return Dataset(name="shop", tables=schema, **changed)


def company(n, stage="new", value=50.0, **profile):
    """The matrix, clv and profiles of n customers."""
    ids = [f"c{i:05}" for i in range(n)]
    matrix = pd.DataFrame(
        {
            "customer_id": ids,
            "tier": "ordinary",
            "stage": stage,
            "risk_band": "low",
            "reason": "all",
        }
    )
    matrix = matrix.assign(churn_risk=0.4, revenue=10.0, clv=np.arange(n, dtype=float))
    clv = pd.DataFrame({"customer_id": ids, "expected_order_value": value, "expected_orders": 1.0})
    return matrix, clv, pd.DataFrame({"customer_id": ids} | profile)


def made(rules, matrix, clv, profiles, share=1.0, times=None, measured=UNMEASURED, **knobs):
    """The plan of these customers, and what was possible."""
    settings, these = shop(**knobs), book(*rules)
    contacted = pd.Series(times or {}, dtype=float)
    folk = plan.people(matrix, clv, profiles, contacted, these, settings)
    effect = plan.effects(these, measured, settings)
    possible = plan.options(folk, these, effect, share)
    chosen = allocation.choose(possible, plan.limits(settings)).chosen
    return plan.plan(folk, possible, chosen, these, AS_OF, settings), possible, effect, these


def test_each_customer_has_one_row_that_follows_the_rule():
    rules = (rule("greet", {"stage": ["new"]}, days=10), rule("rest", cost=1.0))
    found, *_ = made(rules, *company(4, stage=["new", "lost", "new", "loyal"]))
    assert found.customer_id.tolist() == ["c00000", "c00001", "c00002", "c00003"]
    assert found.rule.tolist() == ["greet", "rest", "greet", "rest"]
    assert found.action.tolist() == ["action of greet", "action of rest"] * 2
    assert found.due.dt.date.tolist() == [dt.date(2026, 2, 10), dt.date(2026, 2, 7)] * 2
    schema.conform("plan", found)
    # a cycle of a week that begins on 31 January ends on 6 February
    found, *_ = made(rules, *company(1), plan={"cycle_days": 7})
    assert found.due.dt.date.tolist() == [dt.date(2026, 2, 6)]


def test_money_by_hand():
    """An extra order in ten customers, of 50 each, of which 40 % are margin: 2 expected, for a cost
    of 1.50.
    """
    found, *_ = made((rule("rest", cost=1.5),), *company(3), share=0.4)
    assert found.expected_value.tolist() == pytest.approx([2.0] * 3)
    assert found.cost.tolist() == [1.5] * 3
    assert found.status.tolist() == ["planned"] * 3


def test_a_cost_may_be_a_share_of_what_an_average_order_brings():
    found, *_ = made((rule("rest", cost=None, share=0.02),), *company(2, value=[20.0, 80.0]))
    assert found.cost.tolist() == pytest.approx([1.0, 1.0])


def test_what_does_not_pay_is_not_done_unless_it_must():
    """5 expected for a cost of 6."""
    dear, must = rule("rest", cost=6.0), rule("care", {"stage": ["loyal"]}, cost=6.0, must=True)
    found, *_ = made((dear, must), *company(2, stage=["new", "loyal"]))
    assert found.status.tolist() == ["not_worth", "planned"]
    assert found.cost.tolist() == [0.0, 6.0]
    assert pd.isna(found.action[0]) and found.arm.tolist() == ["none", "exempt"]


def test_whom_the_budget_does_not_reach_gets_the_action_for_all_or_none():
    """Each call wins 5 for 2; a budget of 4.1 pays two calls and one message of .1, for the
    customers who bring most.
    """
    rules = (rule("call", {"stage": ["new"]}), rule("message", cost=0.1, effect=0.01))
    found, possible, *_ = made(
        rules, *company(5, value=[90.0, 80.0, 50.0, 20.0, 3.0]), plan={"budget": 4.1}
    )
    assert found.cost.sum() <= 4.1
    assert found.action.tolist()[:3] == ["action of call", "action of call", "action of message"]
    assert found.status.tolist() == ["planned"] * 3 + [
        "beyond_budget",
        "not_worth",
    ]  # of the last: 0.3 for 2, or 0.03 for 0.1
    assert len(possible) == 10


def test_what_is_for_all_stands_in_only_where_it_brings_less_or_the_rule_nothing():
    """An order is worth 10, 50 and 30. The call brings a tenth of one for 2: -1, 3 and 1; the
    message a fiftieth for 0.1 (0.1, 0.9 and 0.5), or a tenth: 0.9, 4.9 and 2.9.
    """
    folk = company(3, stage=["new"] * 3, value=[10.0, 50.0, 30.0])
    for effect, second in ((0.02, ["c00000", "c00001", "c00002"]), (0.1, ["c00000"])):
        rules = (
            rule("call", {"stage": ["new"]}, must=True),
            rule("message", cost=0.1, effect=effect),
        )
        _, possible, *_ = made(rules, *folk)
        asked, rest = (possible[possible.rule == name] for name in ("call", "message"))
        assert asked.customer_id.tolist() == ["c00000", "c00001", "c00002"] and asked.must.all()
        assert rest.customer_id.tolist() == second and not rest.must.any()
        assert possible.index.equals(pd.RangeIndex(3 + len(second)))


def test_a_capacity_of_a_channel_holds():
    found, *_ = made((rule("rest"),), *company(10), plan={"capacity": {"channel": {"phone": 3}}})
    assert (found.status == "planned").sum() == 3
    assert (found.status == "beyond_budget").sum() == 7


def test_a_capacity_of_an_account_owner_holds():
    profiles = {"owner": ["wang"] * 4 + ["li"] * 4}
    found, *_ = made(
        (rule("rest"),), *company(8, **profiles), plan={"capacity": {"account_owner": {"wang": 1}}}
    )
    assert found[found.status == "planned"].account_owner.value_counts().to_dict() == {
        "li": 4,
        "wang": 1,
    }


def test_without_a_yes_nobody_is_contacted_where_consent_is_recorded():
    matrix, clv, profiles = company(4, consent=pd.array([True, False, None, True], "boolean"))
    found, *_ = made((rule("rest", must=True),), matrix, clv, profiles.head(3))
    assert found.status.tolist() == ["planned", "no_consent", "no_consent", "no_consent"]
    assert found.cost.tolist() == [2.0, 0, 0, 0]


def test_who_was_contacted_often_lately_is_left_alone():
    found, *_ = made(
        (rule("rest"),), *company(3), times={"c00000": 2, "c00001": 1}, plan={"contacts": 2}
    )
    assert found.status.tolist() == ["contacted_lately", "planned", "planned"]


def test_contacts_are_counted_of_the_days_that_count_and_of_the_treated(engine):
    log = engine.create_table(
        "c_plan",
        pd.DataFrame(
            {
                "customer_id": ["a", "a", "a", "b", "c", "d", "e"],
                "campaign_id": ["x", "x", "y", "x", "x", "x", "x"],
                "day": (
                    [dt.date(2026, 1, d) for d in (30, 31, 10)]
                    + [dt.date(2026, 1, 1), dt.date(2026, 2, 1), AS_OF, AS_OF]
                ),
                "arm": ["treat", "treat", "treat", "treat", "treat", "Control", None],
            }
        ),
        temp=True,
    )
    month = shop(plan={"contact_days": 30})
    assert plan.contacted(log, AS_OF, month).to_dict() == {"a": 2, "e": 1}
    assert plan.contacted(log.drop("arm"), AS_OF, month).to_dict() == {"a": 2, "d": 1, "e": 1}
    assert plan.contacted(None, AS_OF, shop()).empty


def test_the_held_back_cost_and_bring_nothing():
    found, *_ = made((rule("rest", control=0.25),), *company(400))
    held = found[found.arm == "control"]
    assert len(held) == 100
    assert (held.status == "held_back").all()
    assert held.cost.sum() == held.expected_value.sum() == 0


def test_what_account_owners_deliver_is_drawn_by_owner_or_exempt():
    """Twelve owners: a fifth of them are two, but four hold back all of their customers. Seven are
    too few to draw, so nobody is.
    """
    rules = (
        rule("visit", {"stage": ["new"]}, owner="account_manager", control=0.2),
        rule("rest", cost=1.0),
    )
    twelve, *_ = made(rules, *company(240, owner=[f"o{n % 12:02}" for n in range(240)]))
    by_owner = twelve.groupby("account_owner").arm.agg(set)
    assert sorted(map(tuple, by_owner)) == [("control",)] * 4 + [("treat",)] * 8
    seven, *_ = made(rules, *company(240, owner=[f"o{n % 7:02}" for n in range(240)]))
    assert set(seven.arm) == {"exempt"}


def test_who_is_held_back_goes_by_the_seed_and_not_by_the_order_of_rows():
    matrix, clv, profiles = company(200)
    rules = (rule("rest", control=0.5),)
    first = made(rules, matrix, clv, profiles)[0]
    mixed = made(rules, matrix.sample(frac=1, random_state=1), clv, profiles)[0]
    other = made(rules, matrix, clv, profiles, seed=5)[0]
    arms = first.set_index("customer_id").arm
    assert mixed.set_index("customer_id").arm.sort_index().equals(arms.sort_index())
    assert not other.set_index("customer_id").arm.equals(arms)


def test_prospects_are_worth_what_an_order_of_the_median_customer_brings():
    matrix, clv, profiles = company(3, stage=["prospect", "new", "new"])
    found, *_ = made(
        (rule("rest"),), matrix, clv.iloc[1:].assign(expected_order_value=[40.0, 60.0]), profiles
    )
    assert found.expected_value.tolist() == pytest.approx([5.0, 4.0, 6.0])


COLUMNS = ["campaign_id", "kind", "day", "proof", "orders_effect", "orders_low", "orders_high"]


def measured(*rows):
    return pd.DataFrame(rows, columns=COLUMNS).assign(day=lambda t: pd.to_datetime(t.day))


def of_errors(*campaigns, kind="winback"):
    """Campaigns of a kind, from effect and standard error."""
    half = stats.norm.ppf(0.975)
    rows = [
        (f"W{n}", kind, "2025-03-01", "random", e, e - half * error, e + half * error)
        for n, (e, error) in enumerate(campaigns, 1)
    ]
    return measured(*rows)


def used(found, assumed=0.1, **knobs):
    """effect, effect_low, effect_high and source of a rule that assumes so much."""
    settings = shop(plan={"campaigns": {"call": "winback"}} | knobs)
    return plan.effects(book(rule("call", effect=assumed)), found, settings).loc["call"].tolist()


def test_what_campaigns_measured_is_drawn_towards_the_assumption_by_its_precision():
    """Below the assumption of 0.1 its spread is 0.1: with a campaign of 0.04 ± 0.1 the mean is
    0.07, and of four such ones with a precision of 4 to 1, 0.052. Above, the spread is half: of
    0.3 ± 0.05 the mean is 0.2, of 0.3 ± 0.1 it is (4 x 0.1 + 0.3) / 5. The precisions add up.
    """
    half = stats.norm.ppf(0.975)
    for campaigns, effect, error in [
        ([(0.04, 0.1)], 0.07, 0.1 / 2**0.5),
        ([(0.04, 0.1)] * 4, 0.052, 0.1 / 5**0.5),
        ([(0.06, 0.1), (0.02, 0.1), (0.04, 0.1), (0.04, 0.1)], 0.052, 0.1 / 5**0.5),
        ([(0.3, 0.05)], 0.2, 0.05 / 2**0.5),
        ([(0.3, 0.1)], 0.14, 0.1 / 5**0.5),
        ([(0.1, 0.1)], 0.1, 0.1 / 2**0.5),
        ([(-0.5, 0.1)], 0.0, None),  # no harm is planned with
    ]:
        found = used(of_errors(*campaigns))
        assert found[0] == pytest.approx(effect)
        if error:
            assert found[1:3] == pytest.approx([effect - half * error, effect + half * error])
    # nothing assumed: the least worth finding is the spread
    assert used(of_errors((0.04, 0.02)), 0.0, smallest_effect=0.04)[0] == pytest.approx(0.02)


def test_campaigns_of_the_name_or_kind_count_where_they_had_a_control_group_and_are_measured():
    done = pd.concat(
        [
            of_errors((0.05, 0.1), (0.07, 0.1)),
            measured(
                ("X", "winback", "2025-09-01", "observational", 0.9, 0.8, 1.0),
                ("Y", "winback", "2025-09-01", "random", np.nan, np.nan, np.nan),
                ("Z", "card", "2025-09-01", "random", 0.9, 0.8, 1.0),
            ),
        ]
    )
    named = {"call": "winback", "card": "Z", "rest": "unknown", "gone": "winback", "news": ""}
    names = ["call", "card", "news", "rest"]
    rules = [rule(n, {"stage": [s]}) for n, s in zip(names, ["new", "lost", "loyal"], strict=False)]
    found = plan.effects(book(*rules, rule("rest")), done, shop(plan={"campaigns": named}))
    assert found.source.tolist() == [
        "W1, W2, drawn towards the assumption", "Z, drawn towards the assumption",
        "assumption", "assumption",
    ]  # fmt: skip
    assert found.effect[["news", "rest"]].tolist() == [0.1, 0.1]
    assert found.effect_low.isna().tolist() == [False, False, True, True]
    assert used(done.head(0)) == pytest.approx([0.1, np.nan, np.nan, "assumption"], nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.5, 1.0, 1.5, 2.5, 4.0])
@pytest.mark.parametrize("cost", [0.0, 0.5])
def test_what_is_used_after_a_success_is_not_the_luck_of_it(error, cost):
    """Where assumptions are true, a campaign seems to work (here: beyond chance more than it costs,
    a half of what it brings) only if it was lucky. `error`: in multiples of the true effect.
    """
    random, truth = np.random.default_rng(1), 0.05
    seen = truth * random.normal(1, error, 60_000)
    lucky = seen[seen > truth * (cost + error * stats.norm.ppf(0.975))][:400]
    after = np.mean([used(of_errors((one, error * truth)), truth)[0] for one in lucky])
    assert truth < after <= 1.5 * truth
    assert lucky.mean() > 1.5 * truth or error < 1


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize(("assumed", "rate"), [(0.1, 1.0), (0.05, 0.5)])
def test_four_campaigns_close_half_of_the_gap_of_a_wrong_assumption(share, assumed, rate):
    """Of 2,000 customers each, a tenth of them held back, who order by chance."""
    random, truth, after = np.random.default_rng(2), share * assumed, []
    for _ in range(300):
        treated = random.poisson(rate + truth, (4, 1800))
        control = random.poisson(rate, (4, 200))
        effects = treated.mean(axis=1) - control.mean(axis=1)
        errors = np.sqrt(treated.var(axis=1) / 1800 + control.var(axis=1) / 200)
        after.append(used(of_errors(*zip(effects, errors, strict=True)), assumed)[0])
    assert abs(np.mean(after) - truth) <= abs(assumed - truth) / 2


def test_by_rule_says_what_each_action_comes_to_and_from_which_effect_it_pays():
    """Of 40 customers a quarter is held back: 30 at 2 are 60; 0.1 orders of 50 are 5 each. It pays
    from 2 / 50 = .04 orders.
    """
    found, _, effect, these = made((rule("rest", control=0.25, every_days=30),), *company(40))
    row = plan.by_rule(found, these, effect, 1.0).loc["rest"]
    assert (row.customers, row.held_back, row.cost, row.again) == (30, 10, 60.0, 30)
    assert row.expected_value == pytest.approx(150)
    assert row.gain == pytest.approx(90)
    assert row.break_even == pytest.approx(0.04)
    found, _, effect, these = made((rule("rest", cost=0.25),), *company(1, value=5.0))
    assert plan.by_rule(found, these, effect, 1.0).break_even["rest"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("cost", "word"),
    [
        (1.25, "even_a_quarter"),
        (1.26, "even_half"),
        (2.5, "even_half"),
        (2.6, "as_counted_on"),
        (5.0, "does_not_pay"),
    ],
)
def test_an_action_says_how_little_of_its_effect_still_pays(cost, word):
    """A tenth of an order of 50 is 5: a quarter of it 1.25, half 2.50. Who must be served costs as
    much again as five in all.
    """
    must = cost == 5.0
    rules = (rule("rest", cost=2 * cost if must else cost, must=must),)
    matrix, clv, profiles = company(3)
    found, _, effect, these = made(rules, matrix, clv, profiles)
    assert plan.by_rule(found, these, effect, 1.0).pays.tolist() == [word]
    listed = plan.export(found, matrix, profiles, 1.0)
    assert listed.pays.tolist() == [word] * 3 and {*plan.ENOUGH, word} <= {*schema.LABELS}


def test_how_much_of_an_effect_was_measured():
    """Above .04, whose spread is half of it, .02 (precision 2500), a campaign as precise that
    measured .12 gives the mean .08, of which half of .04 is assumed. One that measured nothing
    (spread .04 below) gives .02, all of it assumed. Without a campaign, or an assumption, it is
    clear.
    """
    z = 1.959964
    rows = {
        "above": (0.08, z * 0.02 / 2**0.5),
        "below": (0.02, z * 0.04 / 2**0.5),
        "assumed": (0.04, np.nan),
        "alone": (0.05, 0.01),
    }
    effect = pd.DataFrame.from_dict(rows, orient="index", columns=["effect", "half"])
    effect = effect.assign(
        effect_low=effect.effect - effect.half, effect_high=effect.effect + effect.half
    )
    assumed = pd.Series({"above": 0.04, "below": 0.04, "assumed": 0.04, "alone": 0.0})
    found = plan.measured_share(effect, assumed)
    assert found.to_dict() == pytest.approx({"above": 0.75, "below": 0, "assumed": 0, "alone": 1})


def test_without_a_margin_nothing_is_gain_and_the_margin_needed_is_told():
    """An order brings 50 and a tenth of one is expected for 2: from 2 / 5 of revenue on it pays, at
    half the effect from 4 / 5. With a margin of .5, of 2.50, it is the same.
    """
    matrix, clv, profiles = company(4)
    found, _, effect, these = made((rule("rest"),), matrix, clv, profiles)
    row = plan.by_rule(found, these, effect, None).loc["rest"]
    assert np.isnan(row.gain) and row.pays == "margin_unknown"
    assert (row.expected_value, row.margin_needed, row.margin_at_half) == pytest.approx(
        (20, 0.4, 0.8)
    )
    listed = plan.export(found, matrix, profiles, None)
    assert listed.extra_revenue.tolist() == pytest.approx([5.0] * 4)
    assert listed.margin_needed.tolist() == pytest.approx([0.4] * 4)
    shown = plan.as_revenue(plan.by_rule(found, these, effect, None))
    assert not {"gain", "pays", "expected_value"} & {*listed, *shown}
    half, _, effect, these = made((rule("rest"),), matrix, clv, profiles, share=0.5)
    row = plan.by_rule(half, these, effect, 0.5).loc["rest"]
    assert (row.margin_needed, row.margin_at_half) == pytest.approx((0.4, 0.8))
    assert row.gain == pytest.approx(4 * 2.5 - 8)


def test_prospects_get_their_share_of_the_budget():
    """Ten customers bring 5 each for 2, four prospects 1 for 1: of 10, a fifth pays two of them."""
    rules = (rule("ask", {"stage": ["prospect"]}, cost=0.99, effect=0.02), rule("rest"))
    matrix, clv, profiles = company(14, stage=["prospect"] * 4 + ["new"] * 10)
    matrix["tier"] = ["potential"] * 4 + ["ordinary"] * 10
    for reserve, asked, rest in (({"potential": 0.2}, 2, 4), ({}, 0, 5)):
        found, *_ = made(
            rules, matrix, clv.iloc[4:], profiles, plan={"budget": 10, "reserve": reserve}
        )
        done = found[found.status == "planned"].rule.value_counts()
        assert (done.get("ask", 0), done["rest"]) == (asked, rest)
        assert found.cost.sum() <= 10


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from(["new", "lost"])), min_size=1, max_size=30
    ),
    st.floats(0, 50),
)
def test_nobody_and_no_money_is_lost(rows, budget):
    values, stages = [v for v, _ in rows], [s for _, s in rows]
    rules = (rule("greet", {"stage": ["new"]}, cost=3.0), rule("rest", cost=0.5, effect=0.02))
    found, _, effect, these = made(
        rules, *company(len(rows), stage=stages, value=values), plan={"budget": budget}
    )
    assert plan.statuses(found).sum() == len(rows)
    assert found.cost.sum() <= budget * (1 + 1e-9) + 1e-9
    table = plan.by_rule(found, these, effect, 1.0)
    assert table.cost.sum() == pytest.approx(found.cost.sum())
    assert (
        table.customers.sum() + table.held_back.sum()
        == found.status.isin(["planned", "held_back"]).sum()
    )
    assert plan.by_owner(found).cost.sum() == pytest.approx(found.cost.sum())


def listed_company():
    details = {
        "company": ["Ada Ltd", "=1+1", "Cey Ltd"],
        "contact": "A person",
        "phone": "123",
        "email": "a@b.example",
    }
    return company(
        3, owner=["li", "wang", "li"], consent=pd.array([True, True, False], "boolean"), **details
    )


def test_the_list_for_people_goes_owner_by_owner_with_companies_and_no_person():
    matrix, clv, profiles = listed_company()
    found, *_ = made(
        (rule("rest"),), matrix, clv.assign(expected_order_value=[30.0, 90.0, 60.0]), profiles
    )
    listed = plan.export(found, matrix, profiles, 1.0)
    assert listed.account_owner.tolist() == ["li", "wang"]
    assert listed.company.tolist() == ["Ada Ltd", "=1+1"]
    assert not {"contact", "phone", "email", "name"} & {*listed}


def test_owners_have_the_most_valuable_first_and_the_busiest_owner_leads():
    """Of Li's channel the 90 come before the 60s, of these the first id; of Wang the one who is
    held back is on no list and in no sum. An order brings a tenth of what it is worth, for 2.
    """
    matrix, clv, profiles = company(
        6, owner=["li@x.example", "li@x.example", "li@x.example", "wang", "wang", "li@x.example"]
    )
    value = clv.assign(expected_order_value=[60.0, 90.0, 60.0, 50.0, 40.0, 60.0])
    found, *_ = made((rule("rest"),), matrix.iloc[::-1], value, profiles)
    found.loc[found.customer_id == "c00004", ["status", "arm"]] = "held_back", "control"
    found.loc[found.customer_id == "c00005", "channel"] = "visit"
    listed = plan.export(found, matrix, profiles, 1.0)
    assert listed.customer_id.to_dict() == dict(
        enumerate(["c00001", "c00000", "c00002", "c00005", "c00003"])
    )
    assert listed.columns[:7].tolist() == [
        "account_owner", "owner", "channel", "customer_id", "tier", "stage", "risk_band",
    ]  # fmt: skip
    table = plan.by_owner(found).round(9)
    assert table.to_dict("list") == {
        "owner": ["sales"] * 3,
        "account_owner": ["li", "li", "wang"],
        "channel": ["phone", "visit", "phone"],
        "customers": [3, 1, 1],
        "cost": [6.0, 2, 2],
        "expected_value": [21.0, 6, 5],
    }


def test_each_action_with_its_arms_is_a_campaign_of_its_share_held_back():
    """Who gets no action is in none."""
    rules = (rule("call", {"stage": ["new"]}, control=0.25), rule("rest", cost=9.0))
    matrix, clv, profiles = company(45, stage=["new"] * 40 + ["lost"] * 5)
    settings = shop(plan={"smallest_effect": 0.3})
    found, _, _, these = made(rules, matrix, clv, profiles, plan={"smallest_effect": 0.3})
    folk = plan.people(matrix, clv, profiles, pd.Series(dtype=float), these, settings)
    table = plan.trials(found, folk, these, settings)
    assert table.customer_id.tolist() == matrix.customer_id[:40].tolist()
    assert set(table.campaign_id) == {"call"} and (table.arm == "control").sum() == 10
    assert set(table.control_share) == {0.25} and set(table.smallest_effect) == {0.3}
    assert set(table.expected_effect) == {0.1} and not table.by_owner.any()
    assert table.clv.tolist() == list(range(40)) and set(table.forecast) == {1.0}


def test_contact_details_come_only_of_who_agreed_and_the_others_are_counted():
    matrix, clv, profiles = listed_company()
    found, *_ = made((rule("rest"),), matrix, clv, profiles)
    listed, barred = plan.contact_list(found, profiles)
    assert listed.customer_id.to_dict() == {0: "c00000", 1: "c00001"}
    assert {"contact", "phone", "email"} <= {*listed}
    assert barred == 1
    withdrawn = profiles.assign(consent=[False, True, False])  # since the plan was made
    assert plan.contact_list(found, withdrawn)[0].customer_id.tolist() == ["c00001"]


def test_who_is_held_back_is_on_no_list():
    matrix, clv, profiles = company(100, company="A Ltd")
    found, *_ = made((rule("rest", control=0.5),), matrix, clv, profiles)
    held = set(found.customer_id[found.arm == "control"])
    assert held and not held & set(plan.export(found, matrix, profiles, 1.0).customer_id)
    assert not held & set(plan.contact_list(found, profiles)[0].customer_id)
