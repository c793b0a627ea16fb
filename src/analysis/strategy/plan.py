"""From the matrix to a plan: what is possible for each customer, what is chosen under the budget,
who is held back, and what it comes to. Every action goes back to the rule of the playbook that asks
for it.
"""

import datetime as dt

import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table
from scipy.stats import norm

from analysis.intake.dataset import Dataset
from analysis.models.history import may_contact
from analysis.report.privacy import shown_staff
from analysis.report.text import say
from analysis.strategy.allocation import Limits
from analysis.strategy.playbook import DELIVERS, Playbook, rules_of
from analysis.strategy.retention import NOBODY
from analysis.strategy.trials import draw, draw_by_owner, seed_of, strata

STATUSES = (
    *("planned", "held_back", "no_consent", "contacted_lately", "not_worth", "beyond_budget"),
    *("open_complaint", "next_cycle"),  # of whom a cycle's plan no longer, or not yet, has
)
EFFECTS = ["effect", "effect_low", "effect_high"]
# Spread of what is assumed, in multiples of it: an action may well bring nothing, and seldom brings
# twice as much.
BELOW, ABOVE = 1.0, 0.5
DETAILS = ("company", "contact", "name", "title", "phone", "email")
# Whether an action pays: what share of the effect counted on is enough for its cost
ENOUGH = {"even_a_quarter": 0.25, "even_half": 0.5, "as_counted_on": 1.0}


def effects(book: Playbook, measured: pd.DataFrame, settings: Dataset) -> pd.DataFrame:
    """Extra orders for each customer reached, by rule (index).

    Columns: effect; effect_low, effect_high (95 %, empty where only assumed); source (assumption,
    or the campaigns that measured it, and that the assumption counts, too). The effect is the mean
    of the assumption and of all campaigns with a control group (the rule's own trials, and those of
    the name or kind that the dataset file gives for it), weighted by precision: campaigns that
    seemed to work would alone promise several times what is true. It is not below 0. `measured` as
    from campaigns.measured.

    The assumption counts as a normal of two pieces (Wallis 2004), and the mean is the mode of what
    is then known.
    """
    drawn = measured[(measured.proof == "random") & measured.orders_low.notna()]
    table = book.table[["effect", "source"]].assign(effect_low=np.nan, effect_high=np.nan)
    for rule in table.index:
        names = {rule, settings.plan.campaigns.get(rule) or rule}
        found = drawn[drawn.campaign_id.isin(names) | drawn.kind.isin(names)]
        if found.empty:
            continue
        assumed = float(table.effect[rule])
        precision = (2 * norm.ppf(0.975) / (found.orders_high - found.orders_low)) ** 2
        side = ABOVE if np.average(found.orders_effect, weights=precision) > assumed else BELOW
        weights = [(side * (assumed or settings.plan.smallest_effect)) ** -2, *precision]
        mean = np.average([assumed, *found.orders_effect], weights=weights)
        half = norm.ppf(0.975) / np.sqrt(sum(weights))
        listed = ", ".join(found.sort_values(["day", "campaign_id"]).campaign_id)
        source = say("{campaigns:text}, drawn towards the assumption", campaigns=listed)
        row = max(mean, 0.0), mean - half, mean + half, source
        table.loc[rule, [*EFFECTS, "source"]] = row
    return table[[*EFFECTS, "source"]]


def contacted(campaigns: Table | None, as_of: dt.date, settings: Dataset) -> pd.Series:
    """In how many campaigns each customer was reached in the last contact_days, by customer_id."""
    if campaigns is None:
        return pd.Series(dtype=float)
    since = as_of - dt.timedelta(days=settings.plan.contact_days)
    past = campaigns.filter(_.day <= as_of, _.day > since)
    if "arm" in past.columns:
        past = past.filter((_.arm.lower() != "control").fill_null(True))
    times = past.group_by("customer_id").agg(times=_.campaign_id.nunique()).to_pandas()
    return times.set_index("customer_id").times


def people(
    matrix: pd.DataFrame,
    clv: pd.DataFrame,
    profiles: pd.DataFrame,
    times: pd.Series,
    book: Playbook,
    settings: Dataset,
) -> pd.DataFrame:
    """Every customer of the matrix with what a plan goes by; `times` as from contacted.

    Adds: order_value (money of one order; of prospects the median of all), forecast (orders
    expected), account_owner, rating, `rule` (that the customer falls under), and `barred`: why no
    action is possible (no_consent, contacted_lately), empty otherwise.
    """
    known = profiles.set_index("customer_id").reindex(matrix.customer_id)
    value = clv.set_index("customer_id")
    order_value = matrix.customer_id.map(value.expected_order_value)
    often = matrix.customer_id.map(times).fillna(0) >= settings.plan.contacts
    refused = ~may_contact(profiles, matrix.customer_id)
    rating = known.credit_rating.fillna("").to_numpy() if "credit_rating" in known else ""
    rated = matrix.assign(rating=rating)
    return rated.assign(
        order_value=order_value.fillna(order_value.median()),
        forecast=matrix.customer_id.map(value.expected_orders),
        account_owner=known.owner.fillna(NOBODY).to_numpy() if "owner" in known else NOBODY,
        rule=rules_of(rated, book),
        barred=np.select([refused, often], ["no_consent", "contacted_lately"], ""),
    )


def options(
    people: pd.DataFrame, book: Playbook, effect: pd.DataFrame, margin: float
) -> pd.DataFrame:
    """What is possible for each customer: the action of the rule, and the one for everybody where
    the budget does not reach.

    Columns: customer_id, tier, rule, account_owner, channel, owner, must, effect, cost, gain (money
    expected before cost: extra orders times the value of an order times the margin, a share).
    `people` as from people.
    """
    rules = book.table.assign(effect=effect.effect)
    by_share = rules.share.astype(float) * people.order_value.mean()
    rules["cost"] = rules.cost.astype(float).fillna(by_share)
    asked = people[people.barred == ""].assign(asked=True)
    rest = asked.head(0)
    if book.rest:
        rest = asked[asked.rule != book.rest.id].assign(rule=book.rest.id, asked=False)
    both = pd.concat([asked, rest], ignore_index=True)
    made = both[["customer_id", "tier", "rule", "account_owner", "order_value", "asked"]].join(
        rules[["channel", "owner", "must", "effect", "cost"]], on="rule"
    )
    made["must"] &= made.asked
    made["gain"] = (made.effect * made.order_value * margin).clip(lower=0)
    # what is for everybody never takes the place of a rule that can be followed
    net = made.gain - made.cost
    by_rule = made.customer_id.map(net[made.asked].set_axis(made.customer_id[made.asked]))
    kept = made[made.asked | (net < by_rule) | (by_rule <= 0)]
    return kept.drop(columns=["asked", "order_value"]).reset_index(drop=True)


def limits(settings: Dataset) -> Limits:
    """The budget, the capacities, and what is kept for tiers, of the dataset file."""
    capacity = {
        (column, name): most
        for column, names in settings.plan.capacity.items()
        for name, most in names.items()
    }
    return Limits(settings.plan.budget, capacity, settings.plan.reserve)


def plan(
    people: pd.DataFrame,
    possible: pd.DataFrame,
    chosen: pd.DataFrame,
    book: Playbook,
    as_of: dt.date,
    settings: Dataset,
) -> pd.DataFrame:
    """The table `plan`: a row for each customer. Who is held back is drawn by lot within strata,
    after the choice.

    `possible` as from options, `chosen` the rows of it that allocation.choose took.
    """
    people = people.reset_index(drop=True)
    taken = chosen.set_index("customer_id").reindex(people.customer_id).reset_index()
    worth = possible[(possible.gain > possible.cost) | possible.must].customer_id
    status = np.select(
        [taken.rule.notna(), people.barred != "", people.customer_id.isin(worth)],
        ["planned", people.barred, "beyond_budget"],
        "not_worth",
    )
    arm = arms(people.assign(rule=taken.rule), book, cycle_seed(as_of, settings))
    done = taken[["cost", "gain"]].where(arm != "control", 0.0).fillna(0.0)
    rule = book.table.reindex(taken.rule).reset_index(drop=True)
    within = rule.days.clip(upper=settings.plan.cycle_days - 1)  # the next cycle plans anew
    return pd.DataFrame(
        {
            "customer_id": people.customer_id,
            "rule": taken.rule.fillna(people.rule),
            "status": np.where(arm == "control", "held_back", status),
            **book.said(taken.rule, settings.language),
            "channel": taken.channel,
            "owner": taken.owner,
            "account_owner": people.account_owner,
            "due": pd.Timestamp(as_of) + pd.to_timedelta(within, unit="D"),
            "cost": done.cost,
            "effect": taken.effect,
            "expected_value": done.gain,
            "arm": arm,
        }
    )


def cycle_seed(as_of: dt.date, settings: Dataset) -> int:
    """The seed of one cycle's lots: one for all would hold the same customers back every time."""
    return seed_of(str(as_of), settings.seed)


def arms(people: pd.DataFrame, book: Playbook, seed: int) -> pd.Series:
    """treat, control, exempt (nobody is held back) or none (no action), by row; drawn within strata
    of each rule. Not drawn is who is exempt, or is being treated in_trial_of the rule. What an
    account owner delivers is drawn by owner: nobody can treat some of the own customers and neglect
    the others.
    """
    arm = pd.Series("none", people.index, dtype="str")
    if "in_trial_of" in people:
        arm = arm.mask(people.rule.notna() & (people.in_trial_of == people.rule), "treat")
        arm = arm.mask(people.rule.notna() & people.exempt, "exempt")
    for rule in book.rules:
        open_ = (people.rule == rule.id) & (arm == "none")
        mine, own = people[open_], seed_of(rule.id, seed)
        if len(mine) and rule.owner == DELIVERS:
            owners = mine.account_owner.where(mine.account_owner != NOBODY)
            arm[mine.index] = draw_by_owner(mine, owners, rule.control, own)
        elif len(mine):
            arm[mine.index] = draw(mine, strata(mine), rule.control, own)
    return arm


def trials(
    made: pd.DataFrame, people: pd.DataFrame, book: Playbook, settings: Dataset
) -> pd.DataFrame:
    """Who is reached by which action and who held back, each action a campaign, for
    trials.planned.
    """
    mine = made[made.arm != "none"].rename(columns={"rule": "campaign_id"})
    chosen = mine[["customer_id", "campaign_id", "arm"]].assign(
        by_owner=mine.campaign_id.map(book.table.owner) == DELIVERS,
        control_share=mine.campaign_id.map(book.table.control),
        expected_effect=mine.effect,
        smallest_effect=settings.plan.smallest_effect,
    )
    return chosen.merge(people[["customer_id", "tier", "clv", "forecast"]])


def pays(cost: pd.Series, value: pd.Series, margin: float | None) -> pd.Series:
    """Whether what is expected covers the cost: one of ENOUGH, does_not_pay, or margin_unknown
    where no margin is known and `value` is revenue.
    """
    if margin is None:
        return pd.Series("margin_unknown", cost.index)
    enough = [value * share >= cost for share in ENOUGH.values()]
    return pd.Series(np.select(enough, [*ENOUGH], "does_not_pay"), cost.index)


def margins_needed(cost: pd.Series, value: pd.Series, margin: float | None) -> pd.DataFrame:
    """From which share of revenue on what is expected covers the cost, if the whole effect comes
    (margin_needed) or half of it (margin_at_half).
    """
    revenue = (value / (margin or 1.0)).where(value > 0)
    return pd.DataFrame({"margin_needed": cost / revenue, "margin_at_half": 2 * cost / revenue})


def by_rule(
    made: pd.DataFrame, book: Playbook, effect: pd.DataFrame, margin: float | None
) -> pd.DataFrame:
    """What each action comes to, the most valuable first; `margin` is the share of revenue that
    stays, None where it is not known.

    Columns: rule (index), objective, action, channel, owner, due, again (days), customers
    (reached), held_back, cost, expected_value (revenue without a margin), gain (empty without),
    pays, margin_needed, margin_at_half, effect, effect_low, effect_high, break_even (extra orders
    that pay the cost; without a margin those whose revenue is as much), measured_share, source.
    """
    done = made[made.status.isin(["planned", "held_back"])]
    held = done.status == "held_back"
    how = dict.fromkeys(["objective", "action", "channel", "owner", "due"], "first")
    how |= dict.fromkeys(["customers", "held_back", "cost", "expected_value"], "sum")
    table = done.assign(customers=~held, held_back=held).groupby("rule").agg(how)
    table["again"] = book.table.every_days
    table["gain"] = np.nan if margin is None else table.expected_value - table.cost
    table["pays"] = pays(table.cost, table.expected_value, margin)
    table = table.join(margins_needed(table.cost, table.expected_value, margin)).join(effect)
    worth = table.expected_value.where(table.expected_value > 0)
    table["break_even"] = table.effect * table.cost / worth
    table["measured_share"] = measured_share(effect, book.table.effect.astype(float))
    first = "gain" if margin is not None else "expected_value"
    return table.sort_values([first, "cost"], ascending=False)


def measured_share(effect: pd.DataFrame, assumed: pd.Series) -> pd.Series:
    """How much of each effect campaigns bring, 0 to 1: what the assumption adds to the mean (its
    weight times itself, see effects) is not measured. `effect` as from effects.
    """
    half = (effect.effect_high - effect.effect_low) / 2
    spread = assumed * np.where(effect.effect > assumed, ABOVE, BELOW)
    weight = (half / norm.ppf(0.975) / spread) ** 2
    share = 1 - (weight * assumed).where(assumed > 0, 0.0) / effect.effect
    return share.where(half.notna(), 0.0).clip(0, 1).fillna(0.0)


def as_revenue(table: pd.DataFrame) -> pd.DataFrame:
    """A table of money as it may be shown where no margin is known: what is expected is called
    revenue, and nothing gain.
    """
    names = {"expected_value": "extra_revenue", "break_even": "cost_in_orders"}
    return table.drop(columns=["gain", "pays"], errors="ignore").rename(columns=names)


def by_owner(made: pd.DataFrame) -> pd.DataFrame:
    """The plan by who does it and how, the most first: owner, account_owner (as staff is shown),
    channel, customers, cost, expected_value.
    """
    done = made[made.status == "planned"]
    shown = {name: shown_staff(name) for name in done.account_owner.unique() if name != NOBODY}
    sums = (
        done.assign(account_owner=done.account_owner.replace(shown), customers=1)
        .groupby(["owner", "account_owner", "channel"], as_index=False)[
            ["customers", "cost", "expected_value"]
        ]
        .sum()
    )
    return sums.sort_values("customers", ascending=False, ignore_index=True)


def statuses(made: pd.DataFrame) -> pd.Series:
    """Customers by what becomes of them: planned, held_back, and the reasons for no action."""
    return made.status.value_counts().reindex(STATUSES, fill_value=0).rename("customers")


def export(
    made: pd.DataFrame, matrix: pd.DataFrame, profiles: pd.DataFrame, margin: float | None
) -> pd.DataFrame:
    """The list to work with, by owner and channel, those of whom most is expected first: who is
    reached, with the company's name where known, tier, stage and risk, and whether it pays
    (without a margin, from which one on). No person's name, telephone, address.
    """
    done = made[made.status == "planned"].drop(columns=["status", "arm", "rule", "effect"])
    cells = ["tier", "stage", "risk_band"]
    found = matrix[["customer_id", *cells, "reason"]].rename(columns={"reason": "tier_reason"})
    listed = done.merge(found, on="customer_id")
    front = ["account_owner", "owner", "channel", "customer_id"]
    if "company" in profiles:
        listed = listed.merge(profiles[["customer_id", "company"]], "left", "customer_id")
        front += ["company"]
    front += cells
    by = ["account_owner", "owner", "channel", "expected_value", "customer_id"]
    ordered = listed.sort_values(by, ascending=[True, True, True, False, True], ignore_index=True)
    listed = ordered[[*front, *ordered.columns.drop([*front, "tier_reason"])]]
    needed = margins_needed(listed.cost, listed.expected_value, margin).margin_needed
    if margin is None:
        listed = as_revenue(listed).assign(margin_needed=needed)
    else:
        listed = listed.assign(pays=pays(listed.cost, listed.expected_value, margin))
    return listed.assign(tier_reason=ordered.tier_reason)


def contact_list(made: pd.DataFrame, profiles: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Whom to reach and how, with names, telephones and addresses, only for who asks for it by
    name; and how many customers it leaves out because they have not agreed to be contacted.

    Columns: account_owner, channel, due, action, customer_id and those of DETAILS that the profiles
    have. Where no consent is recorded at all, nobody is left out.
    """
    reach = made[made.status == "planned"]
    reach = reach[["account_owner", "channel", "due", "action", "customer_id"]]
    agreed = reach[may_contact(profiles, reach.customer_id)]
    barred = int((made.status == "no_consent").sum()) + len(reach) - len(agreed)
    details = [name for name in DETAILS if name in profiles]
    listed = agreed.merge(profiles[["customer_id", *details]], "left", "customer_id")
    return listed.sort_values(["account_owner", "due", "customer_id"], ignore_index=True), barred
