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
from analysis.models.history import may_contact
from analysis.report.privacy import shown_staff
from analysis.report.text import N_
from analysis.strategy.allocation import Limits
from analysis.strategy.playbook import Playbook, Rule, rules_of
from analysis.strategy.trials import draw, draw_by_owner, seed_of, strata
from analysis.strategy.written import in_language

DECISIONS = 5  # that the report puts first: what a manager reads in a minute
STATUSES = ("planned", "held_back", "no_consent", "contacted_lately", "not_worth", "beyond_budget")
MONEY = ("cost", "expected_value")
EFFECTS = ("effect", "effect_low", "effect_high")
DETAILS = ("company", "contact", "name", "title", "phone", "email")
DELIVERS = "account_manager"  # the role whose actions account owners deliver themselves
UNOWNED = "without_owner"  # a word: of customers whose profile names nobody who looks after them


def cost_of(rule: Rule, order: float) -> float:
    """What reaching one customer costs (money); `order` is what an average order brings."""
    return rule.cost if rule.cost is not None else float(rule.share or 0) * order


def effects(book: Playbook, measured: pd.DataFrame, settings: Dataset) -> pd.DataFrame:
    """Extra orders for each customer reached, by rule (index).

    Columns: effect; effect_low, effect_high (95 %, empty where only assumed); source (assumption,
    or the campaign that measured it). What a campaign with a control group measured takes the place
    of the assumption; where its interval reaches 0 it has proved nothing, and the smaller of the
    two counts. Of several campaigns of the kind that the dataset file names for a rule the latest
    does. `measured` as from campaigns.measured.
    """
    drawn = measured[measured.proof == "random"].sort_values("day") if len(measured) else measured
    rows: dict[str, tuple[float, float, float, str]] = {}
    for rule in book.rules:
        rows[rule.id] = rule.effect, np.nan, np.nan, rule.source
        name = settings.plan.campaigns.get(rule.id)
        if name and len(found := drawn[(drawn.campaign_id == name) | (drawn.kind == name)]):
            last = found.iloc[-1]
            proven = last.orders_low > 0
            effect = last.orders_effect if proven else min(rule.effect, max(last.orders_effect, 0))
            rows[rule.id] = effect, last.orders_low, last.orders_high, last.campaign_id
    columns = ["effect", "effect_low", "effect_high", "source"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def contacted(campaigns: Table | None, as_of: dt.date, settings: Dataset) -> pd.Series:
    """In how many campaigns each customer was reached within the last contact_days, by
    customer_id.
    """
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
    with_rating = matrix.assign(rating=rating)
    return with_rating.assign(
        order_value=order_value.fillna(order_value.median()),
        forecast=matrix.customer_id.map(value.expected_orders),
        account_owner=known.owner.fillna(UNOWNED).to_numpy() if "owner" in known else UNOWNED,
        rule=rules_of(with_rating, book),
        barred=np.select([refused, often], ["no_consent", "contacted_lately"], ""),
    )


def options(
    people: pd.DataFrame, book: Playbook, effect: pd.DataFrame, share: float
) -> pd.DataFrame:
    """What is possible for each customer: the action of the rule, and the one for everybody where
    the budget does not reach.

    Columns: customer_id, rule, channel, owner, account_owner, effect, cost, gain (money expected
    before cost: extra orders times the value of an order times the margin `share`), must. `people`
    as from people.
    """
    order = float(people.order_value.mean())
    rules = pd.DataFrame(
        {
            rule.id: (rule.channel, rule.owner, rule.must, cost_of(rule, order))
            for rule in book.rules
        },
        index=["channel", "owner", "must", "cost"],
    ).T
    asked = people[people.barred == ""].assign(asked=True)
    rest = asked.head(0)
    if book.rest:
        rest = asked[asked.rule != book.rest.id].assign(rule=book.rest.id, asked=False)
    both = pd.concat([asked, rest], ignore_index=True)
    extra = both.rule.map(effect.effect)
    made = both[["customer_id", "rule", "account_owner", "asked"]].assign(
        channel=both.rule.map(rules.channel).astype("str"),
        owner=both.rule.map(rules.owner).astype("str"),
        must=both.rule.map(rules.must).astype(bool) & both.asked,
        effect=extra,
        cost=both.rule.map(rules.cost).astype(float),
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
    held = arm == "control"

    def of_rule(name: str) -> pd.Series:
        return taken.rule.map({rule.id: getattr(rule, name) for rule in book.rules})

    said = {
        name: of_rule(name).map(
            lambda text: in_language(text, settings.language), na_action="ignore"
        )
        for name in ("objective", "action")
    }
    return pd.DataFrame(
        {
            "customer_id": people.customer_id,
            "rule": taken.rule.fillna(people.rule),
            "status": np.where(held, "held_back", status),
            **said,
            "channel": taken.channel,
            "owner": taken.owner,
            "account_owner": people.account_owner,
            "due": pd.Timestamp(as_of) + pd.to_timedelta(of_rule("days"), unit="D"),
            "cost": taken.cost.where(~held, 0.0).fillna(0.0),
            "effect": taken.effect,
            "expected_value": taken.gain.where(~held, 0.0).fillna(0.0),
            "arm": arm,
            "target": (1 - people.churn_risk + taken.effect.where(~held, 0).fillna(0)).clip(
                upper=1
            ),
        }
    )


def cycle_seed(as_of: dt.date, settings: Dataset) -> int:
    """The seed of one cycle's lots: with the same for all, the same customers would be held back
    again and again.
    """
    return seed_of(str(as_of), settings.seed)


def arms(people: pd.DataFrame, book: Playbook, seed: int) -> pd.Series:
    """treat, control, exempt (nobody is held back) or none (no action), by row; drawn within strata
    of each rule. What an account owner delivers is drawn by owner: nobody can treat some of the own
    customers and neglect the others.
    """
    arm = pd.Series("none", people.index, dtype="str")
    for rule in book.rules:
        mine, own = people[people.rule == rule.id], seed_of(rule.id, seed)
        if len(mine) and rule.owner == DELIVERS:
            owners = mine.account_owner.where(mine.account_owner != UNOWNED)
            arm[mine.index] = draw_by_owner(mine, owners, rule.control, own)
        elif len(mine):
            arm[mine.index] = draw(mine, strata(mine), rule.control, own)
    return arm


def trials(
    made: pd.DataFrame, people: pd.DataFrame, book: Playbook, settings: Dataset
) -> pd.DataFrame:
    """Who is in the campaign of which action, for trials.planned: those reached and those held
    back, each action a campaign.
    """
    mine = made[made.arm != "none"].rename(columns={"rule": "campaign_id"})
    return (
        mine[["customer_id", "campaign_id", "arm"]]
        .assign(
            control_share=mine.campaign_id.map({rule.id: rule.control for rule in book.rules}),
            smallest_effect=settings.plan.smallest_effect,
        )
        .merge(people[["customer_id", "tier", "clv", "forecast"]])
    )


def by_rule(made: pd.DataFrame, book: Playbook, effect: pd.DataFrame) -> pd.DataFrame:
    """What each action comes to, the most valuable first.

    Columns: rule (index), objective, action, channel, owner, due, again (days), customers
    (reached), held_back, cost, expected_value, gain, effect, effect_low, effect_high, break_even
    (extra orders that pay the cost), source.
    """
    done = made[made.status.isin(["planned", "held_back"])]
    firsts = {name: (name, "first") for name in ("objective", "action", "channel", "owner", "due")}
    held = done.status == "held_back"
    table = (
        done.assign(customers=~held, held_back=held)
        .groupby("rule")
        .agg(**firsts, **{name: (name, "sum") for name in ("customers", "held_back", *MONEY)})
    )
    table["again"] = table.index.map({rule.id: rule.every_days for rule in book.rules})
    table["gain"] = table.expected_value - table.cost
    table = table.join(effect)
    worth = table.expected_value.where(table.expected_value > 0)
    table["break_even"] = table.effect * table.cost / worth
    return table.sort_values(["gain", "cost"], ascending=False)


def by_owner(made: pd.DataFrame) -> pd.DataFrame:
    """The plan by who does it and how, the most first: owner, account_owner (as staff is shown),
    channel, customers, cost, expected_value, gain.
    """
    done = made[made.status == "planned"]
    shown = {name: shown_staff(name) for name in done.account_owner.unique() if name != UNOWNED}
    sums = (
        done.assign(account_owner=done.account_owner.replace(shown))
        .groupby(["owner", "account_owner", "channel"], as_index=False)
        .agg(customers=("customer_id", "size"), **{name: (name, "sum") for name in MONEY})
    )
    whole = sums.assign(gain=sums.expected_value - sums.cost)
    return whole.sort_values("customers", ascending=False, ignore_index=True)


def statuses(made: pd.DataFrame) -> pd.Series:
    """Customers by what becomes of them: planned, held_back, and the reasons for no action."""
    return made.status.value_counts().reindex(STATUSES, fill_value=0).rename("customers")


def decisions(actions: pd.DataFrame) -> list[tuple[str, dict[str, object]]]:
    """The actions with most at stake, as sentences with their values; `actions` as from by_rule.
    Effects are said in extra orders of 100 customers.
    """
    biggest = actions.reindex(actions.gain.abs().sort_values(ascending=False).index).head(DECISIONS)
    per_100 = {name: 100 * biggest[name] for name in (*EFFECTS, "break_even")}
    rows = biggest.assign(**per_100).sort_values("gain", ascending=False)
    return [(_decision(row), row.to_dict()) for _, row in rows.iterrows()]


def _decision(row: pd.Series) -> str:
    if not row.gain > 0:
        return N_(
            "{action:text}: {customers:int} customers by {due:date} ({channel:word}, {owner:word})"
            " for {cost:money}, though it is expected to bring only {expected_value:money}: it is"
            " done for the relationship, or not at all."
        )
    if pd.isna(row.effect_low):
        return N_(
            "{action:text}: reach {customers:int} customers by {due:date} ({channel:word},"
            " {owner:word}) for {cost:money}. Assumed to bring {expected_value:money}; it pays from"
            " {break_even:short} extra orders of 100 customers, where {effect:short} are assumed"
            " and not yet measured."
        )
    if row.effect_low > 0:
        return N_(
            "{action:text}: reach {customers:int} customers by {due:date} ({channel:word},"
            " {owner:word}) for {cost:money}. Expected to bring {expected_value:money}; it pays"
            " from {break_even:short} extra orders of 100 customers, and the campaign {source:text}"
            " measured {effect:short} (95 % sure: {effect_low:short} to {effect_high:short})."
        )
    return N_(
        "{action:text}: reach {customers:int} customers by {due:date} ({channel:word},"
        " {owner:word}) for {cost:money}. Assumed to bring {expected_value:money}; it pays from"
        " {break_even:short} extra orders of 100 customers, where {effect:short} are counted"
        " on: the campaign {source:text} proved nothing (95 % sure: {effect_low:short} to"
        " {effect_high:short})."
    )


def export(made: pd.DataFrame, matrix: pd.DataFrame, profiles: pd.DataFrame) -> pd.DataFrame:
    """The list to work with, owner by owner and channel by channel, those with most to gain first:
    who is reached, with the company's name where the profiles have one, tier, stage and risk. No
    person's name, no telephone, no address.
    """
    done = made[made.status == "planned"].drop(columns=["status", "arm"])
    cells = ["tier", "stage", "risk_band"]
    listed = done.merge(matrix[["customer_id", *cells, "reason"]], on="customer_id")
    if "company" in profiles:
        listed = listed.merge(profiles[["customer_id", "company"]], "left", "customer_id")
    front = ["account_owner", "owner", "channel", "customer_id", "company", *cells]
    ordered = listed[
        [*(name for name in front if name in listed), *listed.columns.drop(front, errors="ignore")]
    ]
    by = ["account_owner", "owner", "channel", "expected_value", "customer_id"]
    return ordered.sort_values(by, ascending=[True, True, True, False, True], ignore_index=True)


def contact_list(made: pd.DataFrame, profiles: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Whom to reach and how, with names, telephones and addresses: only for who asks for it by
    name. Returns it, and how many customers it leaves out because they have not agreed to be
    contacted.

    Columns: account_owner, channel, due, action, customer_id and what the profiles have of company,
    contact, name, title, phone, email. Where no consent is recorded at all, nobody is left out.
    """
    reach = made[made.status == "planned"]
    reach = reach[["account_owner", "channel", "due", "action", "customer_id"]]
    agreed = reach[may_contact(profiles, reach.customer_id)]
    barred = int((made.status == "no_consent").sum()) + len(reach) - len(agreed)
    details = [name for name in DETAILS if name in profiles]
    listed = agreed.merge(profiles[["customer_id", *details]], "left", "customer_id")
    return listed.sort_values(["account_owner", "due", "customer_id"], ignore_index=True), barred
