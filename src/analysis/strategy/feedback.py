"""What customers say: how satisfied they are by tier and over time, which strategic ones are not,
and complaints until closed.

In each period a customer counts once, with the last answer of it (of several on that day the
lowest), so that one who is asked often does not weigh more. A ticket that was closed after the day
of the picture was open on it.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis.models import survival
from analysis.models.history import COMPLAINTS, Records
from analysis.report import privacy
from analysis.report.text import N_
from analysis.schema import RECORDS
from analysis.statistics import net_share, wilson
from analysis.strategy.playbook import TIERS

SCALES = {"nps": (0, 10), "csat": (1, 5)}  # a score beyond them is no answer
PROMOTER, DETRACTOR = 9, 6  # from, and up to (Reichheld 2003)
SATISFIED, DISSATISFIED = 4, 2  # from, and up to, of 5
ENOUGH = (
    30  # answers of a period; of fewer the interval of a net promoter score is wider than 50 points
)
YEAR = 365
OWN_CHANNELS = ("web",)  # through which customers come by themselves
QUARTER = 3  # months
PERSONAL = [
    name
    for name, meaning in RECORDS["customers"].columns.items()
    if meaning.person and meaning.reads_as == "text"
]
FIGURES = ["answers", "score", "low", "high"]
UNHAPPY = [
    "customer_id",
    "kind",
    "score",
    "day",
    "open_tickets",
    "last_contact",
    "channel",
    "owner",
    "comment",
]


# Scores
def nps(scores: Sequence[float] | pd.Series) -> dict[str, float]:
    """Net promoter score of answers from 0 to 10: share of 9 and more less share of 6 and less.

    Keys: answers, promoters, detractors (numbers), score, low, high (points from -100 to 100; 95 %
    interval of Tango).
    """
    known = valid(scores, "nps")
    promoters, detractors = int((known >= PROMOTER).sum()), int((known <= DETRACTOR).sum())
    low, high = net_share(promoters, detractors, len(known))
    score = 100 * (promoters - detractors) / len(known) if len(known) else float("nan")
    counts = {"answers": len(known), "promoters": promoters, "detractors": detractors}
    return counts | {"score": score, "low": 100 * low, "high": 100 * high}


def csat(scores: Sequence[float] | pd.Series) -> dict[str, float]:
    """Satisfaction of answers from 1 to 5. Keys: answers, satisfied (number of 4 and more), share,
    low, high (Wilson), mean.
    """
    known = valid(scores, "csat")
    satisfied = int((known >= SATISFIED).sum())
    if not len(known):
        return {"answers": 0, "satisfied": 0} | dict.fromkeys(
            ("share", "low", "high", "mean"), float("nan")
        )
    share = satisfied / len(known)
    low, high = wilson(share, float(len(known)))
    figures = {"share": share, "low": float(low), "high": float(high), "mean": float(known.mean())}
    return {"answers": len(known), "satisfied": satisfied} | figures


def valid(scores: Sequence[float] | pd.Series, kind: str) -> np.ndarray:
    """The scores that lie on the scale of their kind."""
    known = np.asarray(scores, float)
    low, high = SCALES[kind]
    return known[(known >= low) & (known <= high)]


def points(kind: str, scores: pd.Series) -> dict[str, float]:
    """Both kinds in points: net promoters, or satisfied customers, of 100. Keys: answers, score,
    low, high (95 % interval).
    """
    if kind == "nps":
        return {name: value for name, value in nps(scores).items() if name in FIGURES}
    found = csat(scores)
    return {
        "answers": found["answers"],
        "score": 100 * found["share"],
        "low": 100 * found["low"],
        "high": 100 * found["high"],
    }


def last_answers(feedback: Table, ends: Sequence[dt.date]) -> pd.DataFrame:
    """The last answer of each customer, kind (nps, csat) and period. Columns: customer_id, kind,
    period, day, score.

    Period 0 ends on the first of `ends`, which go back in time, each other one before the one
    ahead; the last of them is the day before the oldest period. Empty where the records know no
    kind or no score.
    """
    types = {
        "customer_id": "str",
        "kind": "str",
        "period": "int64",
        "day": "datetime64[s]",
        "score": "float64",
    }
    if not {"kind", "score"} <= {*feedback.columns}:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
    past = feedback.filter(_.day <= ends[0], _.day > ends[-1])
    past = past.select(
        "customer_id", "day", kind=past.kind.lower(), score=past.score.cast("float64")
    )
    scaled = ibis.or_(
        *((past.kind == kind) & past.score.between(*ends) for kind, ends in SCALES.items())
    )
    period = sum(((past.day <= end).cast("int64") for end in ends[1:-1]), ibis.literal(0))
    known = past.filter(scaled).mutate(period=period, ago=_ago(past.day, ends[0]))
    last = known.group_by("customer_id", "kind", "period").agg(
        day=_.day.max(), score=_.score.argmin(16 * _.ago + _.score)
    )
    found = last.order_by("kind", "period", "customer_id").to_pandas()
    return found.assign(day=pd.to_datetime(found.day)).astype(types)[list(types)]


def of_days(feedback: Table, as_of: dt.date, days: int) -> pd.DataFrame:
    """last_answers of the one period of `days` days up to `as_of`."""
    return last_answers(feedback, [as_of, as_of - dt.timedelta(days=days)])


def _ago(day: Value, as_of: dt.date) -> Value:
    return ibis.literal(as_of).delta(day, unit="day")


# By tier and over time
def by_tier(
    feedback: Table, matrix: pd.DataFrame, as_of: dt.date, days: int = YEAR
) -> pd.DataFrame:
    """Satisfaction of the last `days` days by tier, for each kind that anybody answered.

    Columns: kind, tier (as in matrix; `unknown` of answers by others), customers (of the tier;
    empty for unknown), answers, response (share of them that answered), score (as `points`), low,
    high.
    """
    said = of_days(feedback, as_of, days)
    said["tier"] = (
        said.customer_id.map(matrix.set_index("customer_id").tier).astype(object).fillna("unknown")
    )
    sizes = matrix.tier.value_counts()
    rows = [
        {
            "kind": kind,
            "tier": tier,
            "customers": sizes.get(tier, np.nan),
            **points(kind, answers.score[answers.tier == tier]),
        }
        for kind, answers in said.groupby("kind", sort=False)
        for tier in [*TIERS, "unknown"]
        if tier in sizes.index or (answers.tier == tier).any()
    ]
    table = pd.DataFrame(rows, columns=["kind", "tier", "customers", *FIGURES])
    table.insert(4, "response", (table.answers / table.customers).astype(float))
    return table.astype(dict.fromkeys(["customers", "score", "low", "high"], float))


def period_ends(as_of: dt.date, months: int, step: int) -> list[dt.date]:
    """The ends of periods of `step` months that end on `as_of`, back over `months`, and the day
    before the first of them begins; months of the calendar where `as_of` is the last day of one.
    """
    last = pd.Timestamp(as_of)
    back = [last - pd.DateOffset(months=step * n) for n in range(-(-months // step) + 1)]
    return [(end + pd.offsets.MonthEnd(0) if last.is_month_end else end).date() for end in back]


def over_time(
    feedback: Table, as_of: dt.date, months: int = 12, customers: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Satisfaction by month up to `as_of`, or by quarter where half of the months have fewer than
    ENOUGH answers.

    Each kind apart. Columns: kind, period_end, months (1 or 3), answers, response, score (as
    `points`), low, high; the oldest first. `response` is the share of the customers with an order
    by the end of the period that answered in it; nan without the table `customers`. A kind without
    any answer is left out.
    """
    monthly, quarterly = (
        _periods(feedback, as_of, months, step, customers) for step in (1, QUARTER)
    )
    enough = monthly.groupby("kind").answers.median() >= ENOUGH
    chosen = [
        monthly[monthly.kind.map(enough).eq(True)],
        quarterly[~quarterly.kind.map(enough).eq(True)],
    ]
    return pd.concat(chosen).sort_values(["kind", "period_end"], ignore_index=True)


def _periods(
    feedback: Table, as_of: dt.date, months: int, step: int, customers: pd.DataFrame | None
) -> pd.DataFrame:
    ends = period_ends(as_of, months, step)
    said = last_answers(feedback, ends)
    first = (
        said.customer_id.map(customers.set_index("customer_id").first_order)
        if customers is not None
        else None
    )
    rows = []
    for kind, of_kind in said.groupby("kind", sort=False):
        for number, end in enumerate(ends[:-1]):
            now = of_kind.period == number
            row = {
                "kind": kind,
                "period_end": pd.Timestamp(end),
                "months": step,
                **points(kind, of_kind.score[now]),
            }
            rows.append(row | {"response": _response(customers, first, now[now].index, end)})
    columns = ["kind", "period_end", "months", "answers", "response", "score", "low", "high"]
    numbers = dict.fromkeys(columns[4:], float) | {
        "months": "int64",
        "answers": "int64",
        "period_end": "datetime64[s]",
    }
    return pd.DataFrame(rows, columns=columns).astype(numbers | {"kind": "str"})


def _response(
    customers: pd.DataFrame | None, first: pd.Series | None, answered: pd.Index, end: dt.date
) -> float:
    if customers is None or first is None:
        return float("nan")
    known = int((pd.to_datetime(customers.first_order) <= pd.Timestamp(end)).sum())
    return (
        float((pd.to_datetime(first[answered]) <= pd.Timestamp(end)).sum()) / known
        if known
        else float("nan")
    )


def trend(feedback: Table, as_of: dt.date, days: int = YEAR, kind: str = "nps") -> dict[str, float]:
    """`points` of the last `days` days against those of as many days before.

    Keys: score, before, difference, low, high: the interval of a difference that is made of those
    of both (Zou & Donner 2008). Customers who answered in both tend to stay as they were, so that
    it is rather too wide than too narrow.
    """
    ends = [as_of - dt.timedelta(days=n * days) for n in range(3)]
    said = last_answers(feedback, ends)
    now, before = (
        points(kind, said.score[(said.kind == kind) & (said.period == n)]) for n in (0, 1)
    )
    difference = now["score"] - before["score"]
    low = difference - np.hypot(now["score"] - now["low"], before["high"] - before["score"])
    high = difference + np.hypot(now["high"] - now["score"], before["score"] - before["low"])
    return {
        "score": now["score"],
        "before": before["score"],
        "difference": difference,
        "low": float(low),
        "high": float(high),
    }


# Complaints
def tickets(feedback: Table, as_of: dt.date) -> Table:
    """Complaints and tickets opened by `as_of`, an expression: customer_id, kind, day, closed (the
    day; empty if then open).
    """
    kind = feedback.kind.lower() if "kind" in feedback.columns else ibis.literal("")
    closed = feedback.closed.date() if "closed" in feedback.columns else ibis.null("date")
    opened = feedback.filter(feedback.day <= as_of, kind.isin(COMPLAINTS))
    told = opened.select("customer_id", "day", kind=kind, closed=closed)
    return told.mutate(closed=ibis.ifelse(_.closed <= as_of, _.closed, None))


def closing(feedback: Table, as_of: dt.date) -> bool:
    """Whether the records say when tickets are closed: without, nobody knows which are open."""
    return bool(tickets(feedback, as_of).closed.notnull().any().fill_null(False).execute())


def complaints(feedback: Table, as_of: dt.date, days: int = YEAR) -> dict[str, float]:
    """Complaints and tickets of the last `days` days until closed.

    Keys: opened, closed (of those opened), still_open (at the end of `as_of`, of those), older
    (opened before and still open), median_days until closed with 95 % interval low, high (Kaplan &
    Meier 1958: those still open count for as long as they have been; nan below survival.MIN_PAUSES
    of them, or where half are not closed). Where no day of closing is recorded, all but opened are
    nan.
    """
    log = tickets(feedback, as_of)
    recent = log.filter(_.day > as_of - dt.timedelta(days=days))
    opened = int(recent.count().execute())
    names = ("closed", "still_open", "older", "median_days", "low", "high")
    if not closing(feedback, as_of):
        return {"opened": opened} | dict.fromkeys(names, float("nan"))
    closed = int(recent.closed.count().execute())
    older = int(log.filter(_.closed.isnull()).count().execute()) - (opened - closed)
    counts = {"opened": opened, "closed": closed, "still_open": opened - closed, "older": older}
    return counts | _median(durations(recent, as_of))


def durations(recent: Table, as_of: dt.date) -> pd.DataFrame:
    """survival.counted of the days until tickets were closed; those closed before they were opened
    are mistakes, and left out.
    """
    until = recent.closed.fill_null(ibis.literal(as_of))
    lasted = recent.select(
        days=until.delta(recent.day, unit="day"), ended=recent.closed.notnull()
    ).filter(_.days >= 0)
    counts = (
        lasted.group_by("days", "ended").agg(count=_.count()).order_by("days", "ended").to_pandas()
    )
    return counts.assign(group="tickets").astype({"days": "int64", "ended": bool, "count": "int64"})


def _median(counts: pd.DataFrame) -> dict[str, float]:
    """The day on which the curve reaches a half, and on which its limits do (Brookmeyer & Crowley
    1982).
    """
    curve = survival.curves_of(counts)
    reached = {"median_days": curve.not_yet, "low": curve.low, "high": curve.high}
    days = {name: curve.days[line <= survival.HALF] for name, line in reached.items()}
    return {
        name: float(found.iloc[0]) if len(found) else float("nan") for name, found in days.items()
    }


def complaint_months(feedback: Table, as_of: dt.date, months: int = 12) -> pd.DataFrame:
    """Complaints and tickets by month, the oldest first. Columns: period_end, opened, closed (in
    the month, whenever opened), still_open (at its end); the last two are nan without the days of
    closing. Empty where there are none.
    """
    ends = period_ends(as_of, months, 1)
    log = tickets(feedback, as_of).filter(
        _.closed.isnull() | (_.closed > ends[-1]) | (_.day > ends[-1])
    )
    counts = log.group_by("day", "closed").agg(count=_.count()).to_pandas()
    dated = counts.assign(day=pd.to_datetime(counts.day), closed=pd.to_datetime(counts.closed))
    limits = [pd.Timestamp(end) for end in reversed(ends)]
    rows = [_month(dated, start, end) for start, end in pairwise(limits)] if len(dated) else []
    table = pd.DataFrame(rows, columns=["period_end", "opened", "closed", "still_open"])
    return table if closing(feedback, as_of) else table.assign(closed=np.nan, still_open=np.nan)


def _month(dated: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> dict[str, object]:
    opened, closed = (
        dated.day.between(start, end, "right"),
        dated.closed.between(start, end, "right"),
    )
    still = (dated.day <= end) & ~(dated.closed <= end)
    sums = {
        name: int(dated["count"][some].sum())
        for name, some in (("opened", opened), ("closed", closed), ("still_open", still))
    }
    return {"period_end": end, **sums}


# Unhappy customers
def unhappy(
    records: Records,
    matrix: pd.DataFrame,
    as_of: dt.date,
    days: int = YEAR,
    tier: str = "strategic",
) -> pd.DataFrame:
    """Customers of a tier who are unhappy within the last `days` days: the last nps up to
    DETRACTOR, or the last csat up to DISSATISFIED, or a complaint or ticket still open. Those with
    most revenue first.

    Columns: customer_id; kind, score (empty for a ticket) and day of the latest bad score, without
    one of the latest open ticket; open_tickets (empty where closing is not recorded); last_contact,
    channel (of the latest contact by somebody); owner (staff, as privacy.shown_staff); comment (the
    latest one, privacy.masked: text that the page must escape).
    """
    of_tier = (
        matrix[matrix.tier == tier]
        .sort_values(["revenue", "customer_id"], ascending=[False, True])
        .customer_id
    )
    if records.feedback is None:
        return pd.DataFrame(columns=UNHAPPY)
    bad, waiting = (
        _bad_scores(records.feedback, as_of, days),
        _waiting(records.feedback, as_of, days),
    )
    signs = (
        pd.concat([bad, waiting.drop(columns="open_tickets")])
        .drop_duplicates("customer_id")
        .set_index("customer_id")
    )
    ids = of_tier[of_tier.isin(signs.index)].tolist()
    found = signs.loc[ids].assign(
        open_tickets=waiting.set_index("customer_id").open_tickets.reindex(ids).fillna(0)
    )
    found = found if closing(records.feedback, as_of) else found.assign(open_tickets=np.nan)
    found = found.join(
        [last_contacts(records.interactions, ids, as_of), staff(records.profiles, ids)]
    )
    return found.assign(comment=comments(records, ids, as_of, days)).reset_index(
        names="customer_id"
    )[UNHAPPY]


def _bad_scores(feedback: Table, as_of: dt.date, days: int) -> pd.DataFrame:
    said = of_days(feedback, as_of, days)
    bad = said[said.score <= said.kind.map({"nps": DETRACTOR, "csat": DISSATISFIED}).astype(float)]
    latest = bad.sort_values(["day", "kind"], ascending=False).drop_duplicates("customer_id")
    return latest[["customer_id", "kind", "score", "day"]]


def _waiting(feedback: Table, as_of: dt.date, days: int) -> pd.DataFrame:
    """customer_id, kind, day (of the latest), score (empty), open_tickets; nobody where closing is
    not recorded.
    """
    still = tickets(feedback, as_of).filter(
        _.closed.isnull(), _.day > as_of - dt.timedelta(days=days), closing(feedback, as_of)
    )
    place = ibis.row_number().over(group_by="customer_id", order_by=[_.day.desc(), _.kind])
    ranked = still.mutate(place=place, open_tickets=_.count().over(group_by="customer_id")).filter(
        _.place == 0
    )
    found = ranked.select("customer_id", "kind", "day", "open_tickets").to_pandas()
    return found.assign(score=np.nan, day=pd.to_datetime(found.day).astype("datetime64[s]")).astype(
        {"customer_id": "str"}
    )


def by_somebody(interactions: Table, as_of: dt.date) -> Table:
    """Contacts up to a day. Where the records say by whom, those by nobody are the customer's own
    and left out; else those through OWN_CHANNELS are.
    """
    past = interactions.filter(_.day <= as_of)
    if "owner" in past.columns and past.owner.notnull().any().fill_null(False).execute():
        return past.filter(_.owner.notnull())
    return (
        past.filter(~_.channel.fill_null("").lower().isin(OWN_CHANNELS))
        if "channel" in past.columns
        else past
    )


def last_contacts(interactions: Table | None, ids: Sequence[str], as_of: dt.date) -> pd.DataFrame:
    """The latest contact of each of these customers, by customer_id: last_contact (day), channel;
    empty without one.
    """
    if interactions is None:
        return pd.DataFrame(
            {"last_contact": pd.NaT, "channel": None}, pd.Index(ids, name="customer_id")
        )
    past = by_somebody(interactions, as_of).filter(_.customer_id.isin(ids))
    channel = past.channel if "channel" in past.columns else ibis.null("string")
    rows = (
        _latest(past.mutate(channel=channel), "channel")
        .select("customer_id", "channel", last_contact=_.day)
        .to_pandas()
    )
    rows = rows.set_index("customer_id").reindex(pd.Index(ids, name="customer_id"))
    return rows.assign(last_contact=pd.to_datetime(rows.last_contact).astype("datetime64[s]"))[
        ["last_contact", "channel"]
    ]


def _latest(rows: Table, then: str) -> Table:
    """The latest row of each customer, by the clock where it is known; of equals the first by the
    column `then`.
    """
    clock = [rows.moment.desc()] if "moment" in rows.columns else []
    place = ibis.row_number().over(
        group_by="customer_id", order_by=[rows.day.desc(), *clock, rows[then]]
    )
    return rows.mutate(place=place).filter(_.place == 0)


def staff(profiles: Table | None, ids: Sequence[str]) -> pd.DataFrame:
    """Who looks after each of these customers, by customer_id: owner; empty where nobody is
    recorded.
    """
    index = pd.Index(ids, name="customer_id")
    if profiles is None or "owner" not in profiles.columns:
        return pd.DataFrame({"owner": None}, index)
    said = (
        profiles.filter(_.customer_id.isin(ids))
        .select("customer_id", "owner")
        .to_pandas()
        .set_index("customer_id")
    )
    return pd.DataFrame(
        {"owner": said.owner.map(privacy.shown_staff, na_action="ignore").reindex(index)}
    )


def comments(records: Records, ids: Sequence[str], as_of: dt.date, days: int = YEAR) -> pd.Series:
    """The latest comment of each of these customers, by customer_id, without contact details and
    without what the customer's profile says of persons; empty where there is none.
    """
    index = pd.Index(ids, name="customer_id")
    if records.feedback is None or "comment" not in records.feedback.columns:
        return pd.Series(None, index, dtype=object)
    mine = records.feedback.filter(
        _.customer_id.isin(ids), _.day <= as_of, _.day > as_of - dt.timedelta(days=days)
    )
    latest = (
        _latest(mine.filter(_.comment.strip() != ""), "comment")
        .select("customer_id", "comment")
        .to_pandas()
    )
    names = _persons(records.profiles, ids)
    masked = [
        privacy.masked(text, names.get(customer, ()))
        for customer, text in latest.itertuples(index=False)
    ]
    return pd.Series(masked, latest.customer_id, dtype=object).reindex(index)


def _persons(profiles: Table | None, ids: Sequence[str]) -> dict[str, list[object]]:
    """What the profiles say of persons, by customer_id."""
    columns = [name for name in PERSONAL if profiles is not None and name in profiles.columns]
    if profiles is None or not columns:
        return {}
    said = (
        profiles.filter(_.customer_id.isin(ids))
        .select("customer_id", *columns)
        .to_pandas()
        .set_index("customer_id")
    )
    return {
        str(customer): list(row) for customer, row in zip(said.index, said.to_numpy(), strict=True)
    }


# What the report says
def verdicts(
    feedback: Table, as_of: dt.date, days: int = YEAR
) -> list[tuple[str, dict[str, object]]]:
    """What is said of satisfaction, as keys of findings with their values."""
    said, common = of_days(feedback, as_of, days), {"days": days, "as_of": as_of}
    told: list[tuple[str, dict[str, object]]] = []
    if (said.kind == "nps").any():
        told.append(
            (
                N_(
                    "Of {answers:int} customers who answered in the {days:int} days to"
                    " {as_of:date}, {promoters:int} would recommend us and {detractors:int} would"
                    " not: a net promoter score of {score:int} points (95 % sure: {low:int} to"
                    " {high:int})."
                ),
                {**nps(said.score[said.kind == "nps"]), **common},
            )
        )
        told.extend(_trend(feedback, as_of, days))
    if (said.kind == "csat").any():
        told.append(
            (
                N_(
                    "Of {answers:int} customers who answered in the {days:int} days to"
                    " {as_of:date}, {satisfied:int} are satisfied (4 or 5 of 5): {share:percent}"
                    " (95 % sure: {low:percent} to {high:percent}); on average they give"
                    " {mean:number}."
                ),
                {**csat(said.score[said.kind == "csat"]), **common},
            )
        )
    return told or [
        (N_("No customer gave a score in the {days:int} days to {as_of:date}."), dict(common))
    ]


def _trend(feedback: Table, as_of: dt.date, days: int) -> list[tuple[str, dict[str, object]]]:
    found = trend(feedback, as_of, days)
    if np.isnan(found["difference"]):
        return []
    key = (
        N_(
            "That is more than in the {days:int} days before: it rose from {before:int} to"
            " {score:int} points, by {difference:int} (95 % sure: {low:int} to {high:int})."
        )
        if found["low"] > 0
        else (
            N_(
                "That is less than in the {days:int} days before: it went from {before:int} to"
                " {score:int} points, by {difference:int} (95 % sure: {low:int} to {high:int})."
            )
            if found["high"] < 0
            else N_(
                "Against the {days:int} days before ({before:int} points) nothing is proven: the"
                " difference is {difference:int} points (95 % sure: {low:int} to {high:int})."
            )
        )
    )
    return [(key, {**found, "days": days, "then": as_of - dt.timedelta(days=days)})]


def complaint_verdict(
    feedback: Table, as_of: dt.date, days: int = YEAR
) -> tuple[str, dict[str, object]]:
    """What is said of complaints: a key of findings and its values."""
    found = complaints(feedback, as_of, days)
    if not found["opened"]:
        key = N_("No complaint or ticket was opened in the {days:int} days to {as_of:date}.")
    elif np.isnan(found["closed"]):
        key = N_(
            "{opened:int} complaints and tickets were opened in the {days:int} days to"
            " {as_of:date}; when they are closed is not recorded."
        )
    else:
        key = (
            N_(
                "{opened:int} complaints and tickets were opened in the {days:int} days to"
                " {as_of:date}; {still_open:int} of them are still open, and {older:int} older"
                " ones. Half are closed after {median_days:int} days (95 % sure: {low:int} to"
                " {high:int})."
            )
            if np.isfinite(found["high"])
            else N_(
                "{opened:int} complaints and tickets were opened in the {days:int} days to"
                " {as_of:date}; {still_open:int} of them are still open, and {older:int} older"
                " ones. They are too few, or too many of them open, to say how long it takes."
            )
        )
    return key, {**found, "days": days, "as_of": as_of}


def unhappy_verdict(
    found: pd.DataFrame, customers: int, as_of: dt.date, days: int
) -> tuple[str, dict[str, object]]:
    """What is said of `unhappy`, of so many customers of the tier: a key of findings and its
    values; `silent` had no contact within the `days` days, or none at all.
    """
    since = pd.to_datetime(found.last_contact) > pd.Timestamp(as_of) - pd.Timedelta(days=days)
    values = {
        "unhappy": len(found),
        "customers": customers,
        "scores": int(found.score.notna().sum()),
        "waiting": int((found.open_tickets > 0).sum()),
        "silent": int((~since).sum()),
    }
    return (
        N_(
            "{unhappy:int} of {customers:int} strategic customers need a talk: {scores:int} gave a"
            " bad score last in the {days:int} days to {as_of:date}, the others have an open"
            " complaint or ticket. {silent:int} of them had no contact in that time."
        )
        if len(found)
        else N_(
            "None of {customers:int} strategic customers gave a bad score last in the {days:int}"
            " days to {as_of:date}, and none is known to have an open complaint or ticket."
        )
    ), values | {"days": days, "as_of": as_of}
