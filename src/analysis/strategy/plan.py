"""From the matrix to a plan: what is possible for each customer, what is chosen under the budget,
who is held back, and what it comes to. Every action goes back to the rule of the playbook that asks
for it.
"""

import datetime as dt

import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.intake.dataset import Dataset
from analysis.report.privacy import shown_staff
from analysis.report.text import N_
from analysis.strategy import playbook
from analysis.strategy import trials as design
from analysis.strategy.allocation import Limits
from analysis.strategy.playbook import Playbook, Rule

DECISIONS = 5  # that the report puts first: what a manager reads in a minute
NO_ACTION = ("no_consent", "contacted_lately", "not_worth", "beyond_budget")
DELIVERS = "account_manager"  # the role whose actions account owners deliver themselves
UNOWNED = "without_owner"  # a word: of customers whose profile names nobody who looks after them


def margin(customers: pd.DataFrame, settings: Dataset) -> float:
    """The share of revenue that is profit: as the dataset file says, else of the customers whose
    costs are known; 1 where nothing is known, so that money is revenue.
    """
    if settings.margin:
        return settings.margin
    if (
        "window_profit" not in customers
        or not (known := customers[customers.window_profit.notna()]).window_revenue.sum() > 0
    ):
        return 1.0
    return float(np.clip(known.window_profit.sum() / known.window_revenue.sum(), 0, 1))


def cost_of(rule: Rule, order: float) -> float:
    """What reaching one customer costs (money); `order` is what an average order brings."""
    return rule.cost if rule.cost is not None else float(rule.share or 0) * order


def effects(book: Playbook, measured: pd.DataFrame, settings: Dataset) -> pd.DataFrame:
    """Extra orders for each customer reached, by rule (index).

    Columns: effect; effect_low, effect_high (95 %, empty where only assumed); source (assumption,
    or the campaign that measured it). What a campaign with a control group measured takes the place
    of the assumption; where its interval reaches 0 it has proved nothing, and the smaller of the
    two counts. Of several campaigns of the kind that the dataset file names for a rule the latest
    does. `measured` as from campaign.measured.
    """
    rows = {}
    drawn = measured[measured.proof == "random"].sort_values("day") if len(measured) else measured
    for rule in book.rules:
        name = settings.plan.campaigns.get(rule.id)
        found = (
            drawn[(drawn.campaign_id == name) | (drawn.kind == name)]
            if name and len(drawn)
            else drawn.head(0)
        )
        rows[rule.id] = (
            _told(rule, found.iloc[-1])
            if len(found)
            else (rule.effect, np.nan, np.nan, rule.source)
        )
    return pd.DataFrame.from_dict(
        rows, orient="index", columns=["effect", "effect_low", "effect_high", "source"]
    )


def _told(rule: Rule, last: pd.Series) -> tuple[float, float, float, str]:
    proven = last.orders_low > 0
    effect = last.orders_effect if proven else min(rule.effect, max(last.orders_effect, 0.0))
    return float(effect), float(last.orders_low), float(last.orders_high), str(last.campaign_id)


def contacted(campaigns: Table | None, as_of: dt.date, settings: Dataset) -> pd.Series:
    """In how many campaigns each customer was reached within the last contact_days, by customer_id."""
    if campaigns is None:
        return pd.Series(dtype=float)
    past = campaigns.filter(
        _.day <= as_of, _.day > as_of - dt.timedelta(days=settings.plan.contact_days)
    )
    if "arm" in past.columns:
        past = past.filter((_.arm.lower() != "control").fill_null(True))
    return (
        past.group_by("customer_id")
        .agg(times=_.campaign_id.nunique())
        .to_pandas()
        .set_index("customer_id")
        .times
    )


def people(
    matrix: pd.DataFrame,
    clv: pd.DataFrame,
    profiles: pd.DataFrame,
    times: pd.Series,
    settings: Dataset,
) -> pd.DataFrame:
    """Every customer of the matrix with what a plan goes by.

    Adds: order_value (money of one order; of prospects the median of all), forecast (orders
    expected), account_owner, rating, and `barred`: why no action is possible (no_consent,
    contacted_lately), empty otherwise.

    Where profiles record consent, only a yes allows a contact.
    """
    known = profiles.set_index("customer_id").reindex(matrix.customer_id)
    value = clv.set_index("customer_id")
    order_value = matrix.customer_id.map(value.expected_order_value)
    often = matrix.customer_id.map(times).fillna(0) >= settings.plan.contacts
    refused = ~_agreed(known) if "consent" in known else np.zeros(len(matrix), bool)
    return matrix.assign(
        order_value=order_value.fillna(order_value.median()),
        forecast=matrix.customer_id.map(value.expected_orders),
        account_owner=known.owner.fillna(UNOWNED).to_numpy() if "owner" in known else UNOWNED,
        rating=known.credit_rating.fillna("").to_numpy() if "credit_rating" in known else "",
        barred=np.select([refused, often], ["no_consent", "contacted_lately"], ""),
    )


def _agreed(profiles: pd.DataFrame) -> np.ndarray:
    return profiles.consent.astype("boolean").fillna(False).to_numpy(bool)


def options(folk: pd.DataFrame, book: Playbook, effect: pd.DataFrame, share: float) -> pd.DataFrame:
    """What is possible for each customer: the action of the rule, and the one for everybody where
    the budget does not reach.

    Columns: customer_id, rule, channel, owner, account_owner, effect, cost, gain (money expected
    before cost: extra orders times the value of an order times the margin `share`), must. `folk` as
    from people, with `rule`.
    """
    rules, order = {rule.id: rule for rule in book.rules}, float(folk.order_value.mean())
    first = folk[folk.barred == ""]
    first = first.assign(must=first.rule.map({i: rule.must for i, rule in rules.items()}))
    rest = (
        first[first.rule != book.rest.id].assign(rule=book.rest.id, must=False)
        if book.rest
        else first.head(0)
    )
    both = pd.concat([first.assign(asked=True), rest.assign(asked=False)], ignore_index=True)
    per = {
        name: both.rule.map({i: getattr(rule, name) for i, rule in rules.items()})
        for name in ("channel", "owner")
    }
    extra = both.rule.map(effect.effect)
    made = both[["customer_id", "rule", "account_owner", "must", "asked"]].assign(
        **per,
        effect=extra,
        cost=both.rule.map({i: cost_of(rule, order) for i, rule in rules.items()}),
        gain=(extra * both.order_value * share).clip(lower=0),
    )
    return made[made.asked | _below(made)].drop(columns="asked").reset_index(drop=True)


def _below(made: pd.DataFrame) -> pd.Series:
    """Whether an option brings less than the one the customer's rule asks for, or that one does not
    pay: it never takes the place of a rule that can be followed.
    """
    net = made.gain - made.cost
    asked = made.customer_id.map(net[made.asked].set_axis(made.customer_id[made.asked]))
    return (net < asked) | (asked <= 0)


def limits(settings: Dataset) -> Limits:
    """The budget and the capacities of the dataset file."""
    capacity = {
        (column, name): most
        for column, names in settings.plan.capacity.items()
        for name, most in names.items()
    }
    return Limits(settings.plan.budget, capacity)


def plan(
    folk: pd.DataFrame,
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
    taken = chosen.set_index("customer_id").reindex(folk.customer_id).reset_index()
    rules = {rule.id: rule for rule in book.rules}
    worth = possible[(possible.gain > possible.cost) | possible.must].customer_id
    could = folk.customer_id.isin(worth).to_numpy()
    status = np.select(
        [taken.rule.notna(), folk.barred != "", could],
        ["planned", folk.barred, "beyond_budget"],
        "not_worth",
    )
    arm = arms(folk.assign(rule=taken.rule), book, cycle_seed(as_of, settings))
    text = {
        name: taken.rule.map(
            {i: playbook.said(getattr(rule, name), settings.language) for i, rule in rules.items()}
        )
        for name in ("objective", "action")
    }
    days = taken.rule.map({i: rule.days for i, rule in rules.items()})
    held = (arm == "control").to_numpy()
    stays = 1 - folk.churn_risk.to_numpy()
    return pd.DataFrame(
        {
            "customer_id": folk.customer_id.to_numpy(),
            "rule": taken.rule.fillna(folk.rule.reset_index(drop=True)),
            "status": np.where(held, "held_back", status),
            **text,
            "channel": taken.channel,
            "owner": taken.owner,
            "account_owner": folk.account_owner.to_numpy(),
            "due": pd.Timestamp(as_of) + pd.to_timedelta(days, unit="D"),
            "cost": taken.cost.where(~held, 0.0).fillna(0.0),
            "effect": taken.effect,
            "expected_value": taken.gain.where(~held, 0.0).fillna(0.0),
            "arm": arm.to_numpy(),
            "target": np.clip(stays + taken.effect.where(~held, 0).fillna(0).to_numpy(), None, 1),
        }
    )


def cycle_seed(as_of: dt.date, settings: Dataset) -> int:
    """The seed of one cycle's lots: with the same for all, the same customers would be held back
    again and again.
    """
    return design.seed_of(str(as_of), settings.seed)


def arms(folk: pd.DataFrame, book: Playbook, seed: int) -> pd.Series:
    """treat, control, exempt (nobody is held back) or none (no action), by row; drawn within strata
    of each rule. What an account owner delivers is drawn by owner: nobody can treat some of the own
    customers and neglect the others.
    """
    arm = pd.Series("none", folk.index, dtype="str")
    for rule in book.rules:
        mine, own = folk[folk.rule == rule.id], design.seed_of(rule.id, seed)
        if len(mine) and rule.owner == DELIVERS:
            owners = mine.account_owner.where(mine.account_owner != UNOWNED)
            arm[mine.index] = design.draw_by_owner(mine, owners, rule.control, own)
        elif len(mine):
            arm[mine.index] = design.draw(mine, design.strata(mine), rule.control, own)
    return arm


def trials(
    made: pd.DataFrame, folk: pd.DataFrame, book: Playbook, settings: Dataset
) -> pd.DataFrame:
    """Who is in the campaign of which action, for design.planned: those reached and those held
    back, each action a campaign.
    """
    share = {rule.id: rule.control for rule in book.rules}
    mine = made[made.arm != "none"][["customer_id", "rule", "arm"]].merge(
        folk[["customer_id", "tier", "clv", "forecast"]]
    )
    return mine.assign(
        campaign_id=mine.rule,
        control_share=mine.rule.map(share),
        smallest_effect=settings.plan.smallest_effect,
    ).drop(columns="rule")


def by_rule(made: pd.DataFrame, book: Playbook, effect: pd.DataFrame) -> pd.DataFrame:
    """What each action comes to, the most valuable first.

    Columns: rule (index), objective, action, channel, owner, due, again (days), customers
    (reached), held_back, cost, expected_value, gain, effect, effect_low, effect_high, break_even
    (extra orders that pay the cost), source.
    """
    done = made[made.status.isin(["planned", "held_back"])]
    held = done.status == "held_back"
    firsts = {name: (name, "first") for name in ("objective", "action", "channel", "owner", "due")}
    table = (
        done.assign(customers=~held, held_back=held)
        .groupby("rule")
        .agg(
            **firsts,
            customers=("customers", "sum"),
            held_back=("held_back", "sum"),
            cost=("cost", "sum"),
            expected_value=("expected_value", "sum"),
        )
    )
    table["again"] = table.index.map({rule.id: rule.every_days for rule in book.rules})
    table["gain"] = table.expected_value - table.cost
    table = table.join(effect)
    table["break_even"] = (
        table.effect * table.cost / table.expected_value.where(table.expected_value > 0)
    )
    return table.sort_values(["gain", "cost"], ascending=False)


def by_owner(made: pd.DataFrame) -> pd.DataFrame:
    """The plan by who does it and how, the most first: owner, account_owner (as staff is shown),
    channel, customers, cost, expected_value, gain.
    """
    done = made[made.status == "planned"]
    named = done.assign(
        account_owner=done.account_owner.map(
            lambda name: name if name == UNOWNED else shown_staff(name)
        )
    )
    sums = named.groupby(["owner", "account_owner", "channel"], as_index=False).agg(
        customers=("customer_id", "size"),
        cost=("cost", "sum"),
        expected_value=("expected_value", "sum"),
    )
    return sums.assign(gain=sums.expected_value - sums.cost).sort_values(
        "customers", ascending=False, ignore_index=True
    )


def statuses(made: pd.DataFrame) -> pd.Series:
    """Customers by what becomes of them: planned, held_back, and the reasons for no action."""
    return (
        made.status.value_counts()
        .reindex(["planned", "held_back", *NO_ACTION], fill_value=0)
        .rename("customers")
    )


def decisions(actions: pd.DataFrame) -> list[tuple[str, dict[str, object]]]:
    """The actions with most at stake, as message keys with their values; `actions` as from by_rule.
    Effects are said in extra orders of 100 customers.
    """
    biggest = actions.reindex(actions.gain.abs().sort_values(ascending=False).index).head(DECISIONS)
    per_100 = {
        name: 100 * biggest[name] for name in ("effect", "effect_low", "effect_high", "break_even")
    }
    rows = biggest.assign(**per_100).sort_values("gain", ascending=False).to_dict("records")
    return [(_decision(row), row) for row in rows]


def _decision(row: dict[str, object]) -> str:
    if not float(str(row["gain"])) > 0:
        return N_(
            "{action:text}: {customers:int} customers by {due:date} ({channel:word}, {owner:word})"
            " for {cost:money}, though it is expected to bring only {expected_value:money}: it is"
            " done for the relationship, or not at all."
        )
    if pd.isna(row["effect_low"]):
        return N_(
            "{action:text}: reach {customers:int} customers by {due:date} ({channel:word},"
            " {owner:word}) for {cost:money}. Assumed to bring {expected_value:money}; it pays from"
            " {break_even:short} extra orders of 100 customers, where {effect:short} are assumed"
            " and not yet measured."
        )
    return (
        N_(
            "{action:text}: reach {customers:int} customers by {due:date} ({channel:word},"
            " {owner:word}) for {cost:money}. Expected to bring {expected_value:money}; it pays"
            " from {break_even:short} extra orders of 100 customers, and the campaign {source:text}"
            " measured {effect:short} (95 % sure: {effect_low:short} to {effect_high:short})."
        )
        if float(str(row["effect_low"])) > 0
        else N_(
            "{action:text}: reach {customers:int} customers by {due:date} ({channel:word},"
            " {owner:word}) for {cost:money}. Assumed to bring {expected_value:money}; it pays from"
            " {break_even:short} extra orders of 100 customers, where {effect:short} are counted"
            " on: the campaign {source:text} proved nothing (95 % sure: {effect_low:short} to"
            " {effect_high:short})."
        )
    )


def export(made: pd.DataFrame, matrix: pd.DataFrame, profiles: pd.DataFrame) -> pd.DataFrame:
    """The list to work with, owner by owner and channel by channel, those with most to gain first:
    who is reached, with the company's name where the profiles have one, tier, stage and risk. No
    person's name, no telephone, no address.
    """
    done = made[made.status == "planned"].drop(columns=["status", "arm"])
    listed = done.merge(
        matrix[["customer_id", "tier", "stage", "risk_band", "reason"]], on="customer_id"
    )
    if "company" in profiles:
        listed = listed.merge(profiles[["customer_id", "company"]], "left", "customer_id")
    names = (
        "account_owner",
        "owner",
        "channel",
        "customer_id",
        "company",
        "tier",
        "stage",
        "risk_band",
    )
    front = [name for name in names if name in listed]
    ordered = listed[front + [column for column in listed if column not in front]]
    by = ["account_owner", "owner", "channel", "expected_value", "customer_id"]
    return ordered.sort_values(by, ascending=[True, True, True, False, True], ignore_index=True)


def contact_list(made: pd.DataFrame, profiles: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Whom to reach and how, with names, telephones and addresses: only for who asks for it by
    name. Returns it, and how many customers it leaves out because they have not agreed to be
    contacted.

    Columns: account_owner, channel, due, action, customer_id and what the profiles have of company,
    contact, name, title, phone, email. Where no consent is recorded at all, nobody is left out.
    """
    reach = made[made.status == "planned"][
        ["account_owner", "channel", "due", "action", "customer_id"]
    ]
    details = [
        c for c in ("company", "contact", "name", "title", "phone", "email") if c in profiles
    ]
    consent = ["consent"] if "consent" in profiles else []
    joined = reach.merge(profiles[["customer_id", *details, *consent]], "left", "customer_id")
    agreed = joined[_agreed(joined)].drop(columns="consent") if consent else joined
    barred = int((made.status == "no_consent").sum()) + len(joined) - len(agreed)
    return agreed.sort_values(["account_owner", "due", "customer_id"], ignore_index=True), barred
