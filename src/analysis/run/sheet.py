"""A sheet a customer: what an account manager reads before a visit, on one sheet of paper."""

import datetime as dt
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table
from matplotlib.axes import Axes

from analysis import files
from analysis.customers import is_return
from analysis.engine import connect
from analysis.errors import InputError, did_you_mean
from analysis.models import history
from analysis.models.history import COMPLAINTS, OWN_CHANNELS, SCALES, Records
from analysis.report import page as report
from analysis.report import privacy
from analysis.report.charts.steering import revenue_by_month
from analysis.report.text import N_, say
from analysis.run import compare, publish
from analysis.run import stage as runs
from analysis.run.opened import PERSONS, OpenedRun
from analysis.segments import registry
from analysis.segments.interests import product_names
from analysis.strategy import call_lists, matrix_page
from analysis.strategy.complaints import closing_recorded
from analysis.strategy.feedback import YEAR, period_ends
from analysis.strategy.plan import DETAILS

FOLDER = "sheets"  # of the dataset's reports
LAST, LAST_WORDS = 10, 4  # orders and contacts; answers, complaints and tickets
MONTHS, MOST_CHANGES = 24, 4  # of revenue; of the tier
MOST_ITEMS = 3  # of an order, those with most money
MOST_LETTERS = 90  # of what somebody wrote
# Of the profile: what stands elsewhere on the sheet, or is nothing to speak of
APART = {"source", "line", "customer_id", "company", "owner", "title", "consent", "churned"}
SAID = {
    "csat": N_("Satisfaction"),
    "nps": N_("Would recommend us"),
    "complaint": N_("Complaint"),
    "ticket": N_("Ticket"),
}
ONE = ("customers", "matrix", "clv", "churn", "plan")  # tables with one row a customer
MANY, LOGS = ("recommendations", "tier_history", "care"), ("interactions", "feedback")
WHEN, TEXT = {"day": "timestamp", "moment": "timestamp"}, "string"
TOLD = {
    "lines": WHEN | {"amount": "float64", "back": "boolean", "item": TEXT, "channel": TEXT},
    "interactions": WHEN
    | {"amount": "float64"}
    | dict.fromkeys(("channel", "owner", "product", "category", "outcome", "note"), TEXT),
    "feedback": WHEN | {"kind": TEXT, "score": "float64", "closed": "timestamp", "comment": TEXT},
}


def write(
    dataset: str | Path,
    customers: Sequence[str] = (),
    strategic: bool = False,
    warned: bool = False,
    contacts: bool = False,
    run: str | dt.date = "",
) -> list[Path]:
    """Write the sheets of these customers; returns where they lie. With `contacts` they have the
    contact details of who has agreed to be contacted. Raises InputError for an unknown id.
    """
    of = OpenedRun(dataset, run)
    say.speak(of.manifest["settings"]["language"], of.manifest["settings"]["currency"])
    say.labels.update(registry.labels())
    wanted = _wanted(of, customers, strategic, warned)
    known, secret = _Known(of, wanted), _secret(of.name)
    trial = runs.place("", of.trial) if of.trial else ""
    folder = files.home() / "reports" / of.name / trial / FOLDER
    folder.mkdir(0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    pages = {one: folder / f"{privacy.file_stem(one, secret)}.html" for one in wanted}
    for one, path in pages.items():
        files.replace(path, _sheet(known, one, contacts).encode())
        path.chmod(0o600)
    return [*pages.values()]


def _wanted(of: OpenedRun, named: Sequence[str], strategic: bool, warned: bool) -> list[str]:
    if not (named or strategic or warned):
        raise InputError("whose sheet? Name a customer by id, or give --strategic or --warned")
    ids = {*of.matrix.customer_id}
    if strange := [one for one in named if one not in ids]:
        hint = did_you_mean(strange[0], ids, most=10)
        raise InputError(f"{of.name} has no customer {strange[0]!r} on {of.as_of}; {hint}")
    top = of.matrix.customer_id[strategic & (of.matrix.tier == "strategic")]
    return [*dict.fromkeys([*named, *top, *of.churn.customer_id[warned & of.churn.warned]])]


def _secret(name: str) -> bytes:
    """What names of files are made with: the key of pseudonyms, or one that is kept here."""
    kept = files.processed(name, ".sheets")
    if not (key := os.environ.get(privacy.KEY, "").encode()) and not kept.is_file():
        files.replace(kept, secrets.token_bytes(32))
        kept.chmod(0o600)
    return key or kept.read_bytes()


class _Known:
    """What a run knows of the customers who are wanted."""

    def __init__(self, of: OpenedRun, wanted: Sequence[str]) -> None:
        self.of, self.today, self.knobs = (
            of,
            pd.Timestamp(of.as_of),
            compare.parameters(of.manifest),
        )
        self.oldest = int(of.customers.age_days.max())  # days that the log reaches back
        engine, logs = connect(), ("transactions", "interactions", "feedback", "profiles")
        records = Records(**{t: engine.read_parquet(of.path(t)) for t in logs if t in of})
        mine = records.of(wanted)
        profiles = of.profiles if "profiles" in of else records.profile_columns()
        self.who = matrix_page.people(of.matrix, of.plan, of.churn, profiles)
        agreed = history.may_contact(profiles, of.matrix.customer_id)
        self.agreed = {*of.matrix.customer_id[agreed]}
        self.contact = history.last_contact(mine.interactions, of.as_of)
        told = records.feedback
        self.closing = told is not None and closing_recorded(told, of.as_of)
        tables = {t: of[t] for t in ONE} | {"profiles": profiles}
        self._one = {
            t: frame.set_index("customer_id").reindex(wanted) for t, frame in tables.items()
        }
        logs_of = {"lines": _lines(records, mine, of), **{n: getattr(mine, n) for n in LOGS}}
        several = {t: of[t] for t in MANY}
        several |= {n: _told(log, n, of) for n, log in logs_of.items() if log is not None}
        self._many = {
            t: dict(iter(frame[frame.customer_id.isin(wanted)].groupby("customer_id")))
            for t, frame in several.items()
        }

    def row(self, table: str, one: str) -> dict[str, Any]:
        """What the table says of a customer; without what is not known."""
        found = self._one[table].loc[one].to_dict()
        return {column: x for column, x in found.items() if pd.notna(x) and x != ""}

    def rows(self, table: str, one: str) -> pd.DataFrame:
        """The rows of a customer."""
        return self._many.get(table, {}).get(one, pd.DataFrame())

    def masked(self, texts: Iterable[Any], one: str) -> list[str]:
        """What people wrote, without contact details and what the profile says of persons."""
        hidden = [x for column, x in self.row("profiles", one).items() if column in PERSONS]
        known = ("" if pd.isna(text) else text for text in texts)
        return [privacy.masked(text, hidden, MOST_LETTERS) for text in known]


def _lines(records: Records, mine: Records, of: OpenedRun) -> Table:
    """The order lines with `back` (whether a return) and `item` (what people call it)."""
    lines, name = mine.transactions, call_lists.named_by(records.transactions)
    lines = lines.mutate(back=is_return(lines), item=lines[name] if name else ibis.null("string"))
    if "products" not in of:
        return lines
    names = product_names(connect().read_parquet(of.path("products")), name)
    return lines.mutate(item=lines["item"].substitute(names.to_dict())) if len(names) else lines


def _told(log: Table, name: str, of: OpenedRun) -> pd.DataFrame:
    """The rows of a log up to the day with the columns of TOLD, empty ones where it lacks them; the
    latest first.
    """
    there = {
        column: log[column].cast(kind) if column in log.columns else ibis.null(kind)
        for column, kind in TOLD[name].items()
    }
    past = log.select("customer_id", **there).filter(_.day <= of.as_of)
    return past.order_by(_.day.desc(), _.moment.desc()).to_pandas()


# The page
def _sheet(known: _Known, one: str, contacts: bool) -> str:
    of, who, shown = known.of, known.who.who[one], privacy.shown_id(one)
    title = say("Customer {id:text}", id=shown) if who == shown else f"{who} ({shown})"
    page, left, right = report.Page([]), report.Page([]), report.Page([])
    page.heading(title, level=1)
    _to_do(page, known, one)
    _cards(page, known, one)
    left.facts(_standing(known, one))
    offers, orders = known.rows("recommendations", one), _orders(known, one)
    left.table(offers, "To offer next", ["item", "reason"], folded=False)
    left.table(orders, "The last orders", ["day", "item", "revenue", "channel"], folded=False)
    right.facts(_profile(known, one, contacts))
    months = _months(known, one)
    if months.value.any():
        right.figure(_low(revenue_by_month(months)), "Net revenue of each month.")
    said, made = _said(known, one).head(LAST_WORDS), _contacts(known, one)
    right.table(said, "What the customer said", ["day", "item", "note"], folded=False)
    page.beside(left, right)
    page.table(made, "The last contacts", ["day", "item", "channel", "note"], folded=False)
    facts = {"title": of.manifest["settings"]["title"] or of.name, "as_of": str(of.as_of)}
    facts["day"] = publish.day_in_words(of.as_of, of.trial)
    data = say("Data"), of.manifest["data"]["sha256"][:12]
    lines = {"lines": [data, (say("Versions"), publish.versions_in_words())]}
    return report.page(title, "\n".join(page.body or []), facts | lines, "../index.html")


def _low(ax: Axes) -> Axes:
    """Axes that leave room on the paper."""
    ax.figure.set_figheight(1.7)  # type: ignore[union-attr]
    return ax


def _to_do(page: report.Page, known: _Known, one: str) -> None:
    plan, churn = known.row("plan", one), known.row("churn", one)
    if plan["status"] == "planned":
        page.finding("By {due:date}: {action:text} ({channel:word}, {owner:word}).", **plan)
    else:
        page.finding("{status:word}.", **plan)
    if "opening" in churn and one in known.agreed:
        page.finding("To speak of first: {opening:word}.", **churn)
    for task in known.rows("care", one).to_dict("records"):
        if task["what"] != "action":  # which the plan has said
            page.finding("Due on {day:date}: {what:word} ({detail:text}).", **task)


def _cards(page: report.Page, known: _Known, one: str) -> None:
    customer, said = known.row("customers", one), _said(known, one)
    ordered, waits = customer.get("orders"), known.closing and len(said)
    page.cards(
        known.knobs["value_window_days"] or known.oldest,
        revenue=(
            "Net revenue of the last {days:time}",
            "money",
            customer.get("window_revenue") if ordered else None,
        ),
        clv=("Lifetime value", "money", known.row("clv", one).get("clv")),
        churn_risk=("Risk of leaving", "percent", known.row("churn", one).get("churn_risk")),
        last_order=("Last order", "date", customer.get("last_order")),
        last_contact=("Last contact by us", "date", known.contact.get(one)),
        open_tickets=("Open complaints", "int", said.waits.sum() if waits else None),
    )


def _standing(known: _Known, one: str) -> dict[str, str]:
    """What the customer is held to be, by label, and why."""
    customer, matrix, churn, clv, knobs = (
        *(known.row(table, one) for table in ("customers", "matrix", "churn", "clv")),
        known.knobs,
    )
    facts = {say("Tier"): say("{tier:word}: {reason:text}", **matrix)}
    facts[say("Tier over time")] = _tiers(known.rows("tier_history", one))
    facts[say("Stage")] = say.word(matrix["stage"])
    if "first_order" in customer:
        text = N_("{orders:int} order days since {first_order:date}")
        facts[say("Orders")] = say(text, **customer)
    lines, window = known.rows("lines", one), knobs["value_window_days"] or known.oldest
    if len(lines) and lines.amount.notna().any() and known.oldest >= 2 * window - 1:
        ago = (known.today - lines.day).dt.days
        before = lines.amount[ago.between(window, 2 * window - 1)].sum()
        text = N_("{now:money} in the last {days:time}, {before:money} in the {days:time} before")
        now = customer["window_revenue"]
        facts[say("Revenue")] = say(text, now=now, before=before, days=window)
    if "churn_risk" in churn:
        text = N_("{churn_risk:percent} in {days:time} ({risk_band:word}): {reasons:text}")
        facts[say("Risk of leaving")] = say(
            text, days=knobs["horizon_days"], **{"reasons": ""} | churn
        )
    if "orders_low" in clv:
        text = N_(
            "{expected_orders:short} orders in {days:time} (80 % sure: {orders_low:int} to"
            " {orders_high:int})"
        )
        facts[say("Forecast")] = say(text, days=knobs["horizon_days"], **clv)
    if "clv_low" in clv:
        text = N_("{clv:money} in {days:time} (80 % sure: {clv_low:money} to {clv_high:money})")
        facts[say("Lifetime value")] = say(text, days=knobs["value_days"], **clv)
    return facts


def _tiers(rows: pd.DataFrame) -> str:
    """Each tier with the month end from which it holds, of months that know a whole window."""
    if rows.empty:
        return ""
    ends = rows[rows.full_window].sort_values("month_end")
    changed = ends[ends.tier != ends.tier.shift()].tail(MOST_CHANGES)
    since = zip(changed.tier, changed.month_end, strict=True)
    return " → ".join(say("{tier:word} from {day:date}", tier=tier, day=day) for tier, day in since)


def _profile(known: _Known, one: str, contacts: bool) -> dict[str, str]:
    """Who the customer is, by label; with `contacts` also whom to reach and how."""
    profile, facts = known.row("profiles", one), {}
    if "owner" in profile:
        facts[say("Account owner")] = privacy.shown_staff(profile["owner"])
    if contacts and one in known.agreed:
        hidden = {} if privacy.shown_id(one) == one else {"customer_id": one}
        details = {n: x for n, x in (hidden | profile).items() if n in {*hidden, *DETAILS[1:]}}
        facts |= {say.field(name): str(value) for name, value in details.items()}
    elif contacts:
        facts[say("Contact")] = say("has not agreed to be contacted")
    for name, value in profile.items():
        if name == "referrer":
            facts[say.field(name)] = known.who.who.get(value, privacy.shown_id(value))
        elif isinstance(value, pd.Timestamp) and name not in PERSONS:
            facts[say.field(name)] = say.form("date", value)
        elif name not in PERSONS | APART:
            facts[say.field(name).capitalize()] = privacy.without_contacts(value)
    return facts


def _months(known: _Known, one: str) -> pd.DataFrame:
    """month_end, value (net revenue), of MONTHS up to the day as far as the log goes back."""
    lines = known.rows("lines", one)
    if lines.empty:
        return pd.DataFrame({"month_end": [], "value": []})
    ends = pd.DatetimeIndex(period_ends(known.of.as_of, MONTHS, 1)[::-1])
    began = ends.searchsorted(known.today - pd.Timedelta(days=known.oldest))
    ends = ends[max(began - 1, 0) :]
    sums = lines.amount.groupby(pd.cut(lines.day, ends, labels=ends[1:]), observed=False).sum()
    return pd.DataFrame({"month_end": ends[1:], "value": sums.to_numpy()})


def _orders(known: _Known, one: str) -> pd.DataFrame:
    """The last days on which the customer bought or gave back: day, item, revenue, channel."""
    lines = known.rows("lines", one)
    if lines.empty:
        return lines
    dearest = lines.sort_values("amount", key=abs, ascending=False, kind="stable")
    days = dearest.groupby(["day", "back"], as_index=False).agg(
        item=("item", lambda items: _listed(items, MOST_ITEMS)),
        revenue=("amount", lambda money: money.sum(min_count=1)),
        channel=("channel", lambda channels: _listed(channels, 1)),
    )
    returned = [say("Returned: {items:text}", items=items) for items in days["item"]]
    days["item"] = days["item"].mask(days.back, pd.Series(returned, days.index))
    return _full(days[::-1].head(LAST))


def _listed(names: pd.Series, most: int) -> str:
    distinct = names.dropna().unique()
    return ", ".join(distinct[:most]) + (", …" if len(distinct) > most else "")


def _full(table: pd.DataFrame) -> pd.DataFrame:
    """The columns in which anything stands."""
    return table.replace("", None).dropna(axis=1, how="all")


def _said(known: _Known, one: str) -> pd.DataFrame:
    """What the customer said: day, item (in words), note (masked), waits (a complaint of a year
    that is open).
    """
    said = known.rows("feedback", one)
    if said.empty:
        return said
    kind, closed = said.kind.fillna("").str.lower(), said.closed.dt.normalize()
    closed = closed.where(closed <= known.today)
    lately = known.today - said.day < pd.Timedelta(days=YEAR)
    waits = lately & closed.isna() & kind.isin(COMPLAINTS) & known.closing
    items = []
    for name, score, day, open_ in zip(kind, said.score, closed, waits, strict=True):
        text, (_low, most) = N_("{what:word}"), SCALES.get(name, (0, 0))
        if most and pd.notna(score):
            text = N_("{what:word}: {score:short} of {most:int}")
        elif pd.notna(day):
            text = N_("{what:word}, closed {day:date}")
        elif open_:
            text = N_("{what:word}, open")
        items.append(say(text, what=SAID.get(name, name), score=score, most=most, day=day))
    note = known.masked(said.comment, one)
    return _full(pd.DataFrame({"day": said.day, "item": items, "note": note, "waits": waits}))


def _contacts(known: _Known, one: str) -> pd.DataFrame:
    """The last contacts, but for visits to the web site: day, item, channel (and by whom), note."""
    found = known.rows("interactions", one)
    if len(found):
        found = found[~found.channel.fillna("").str.lower().isin(OWN_CHANNELS)].head(LAST)
    if found.empty:
        return found
    owner = found.owner.map(privacy.shown_staff, na_action="ignore")
    money = found.amount.map(lambda x: say.form("money", x), na_action="ignore")
    found["item"] = _joined(found["product"].fillna(found.category), money)
    found["channel"] = _joined(found.channel.map(say.word, na_action="ignore"), owner)
    found["note"] = known.masked(_joined(found.outcome, found.note), one)
    return _full(found)


def _joined(*texts: pd.Series) -> list[str]:
    """What stands side by side as one text with commas."""
    rows = zip(*texts, strict=True)
    return [", ".join(str(text) for text in row if pd.notna(text)) for row in rows]
