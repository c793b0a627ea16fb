"""The care calendar: what account owners owe their customers and when, and a file for calendars.

Beside the actions of the plan that account owners deliver, four duties are due: a routine visit (or
call) some time after the last contact or order, by tier; a greeting on a birthday and on some
anniversaries of the first order; a profile to refresh. Duties are no second action of sales: whom
the plan reaches is not visited besides, and who is held back to measure an effect is neither
visited nor greeted. Nobody visits a customer whom nobody looks after. Whoever may not be contacted
is in none of them. A calendar begins on the day after the day of the picture.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Iterator

import numpy as np
import pandas as pd
from holidays import HolidayBase, country_holidays
from ibis.expr.types import Table
from icalendar import Calendar, Event, vText

from analysis.intake import quality
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Care
from analysis.models import history
from analysis.models.history import Records
from analysis.report.privacy import shown_staff
from analysis.report.text import N_, printable, say
from analysis.strategy.playbook import DELIVERS

ANNIVERSARIES = (1, 2, 3, 5, 10)  # years
COUNTRIES = {"Asia/Shanghai": "CN", "America/New_York": "US"}  # time zones that stand for a country
TABLE = ["customer_id", "day", "what", "owner", "detail", "overdue_days"]
TASK = ["customer_id", "what", "due", "detail"]  # columns of each kind
NEAR = ("strategic", "important")  # tiers whose anniversaries are greeted
ON_THE_DAY = ["action", "birthday", "anniversary"]  # and no later; the others wait for room
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the line feed


# Days on which people work, and days on which they are greeted
def country(settings: Dataset) -> str:
    """The country whose public holidays count: as the dataset file says, else of the time zone;
    empty where that tells none.
    """
    return settings.care.country or COUNTRIES.get(settings.time_zone, "")


def ahead(as_of: dt.date, settings: Dataset) -> pd.DatetimeIndex:
    """The days that the calendar covers: `care.days_ahead` from the day after `as_of` on."""
    tomorrow = pd.Timestamp(as_of) + pd.Timedelta(days=1)
    return pd.date_range(tomorrow, periods=settings.care.days_ahead, name="day")


def _known_holidays(
    code: str, days: pd.DatetimeIndex, language: str = "en", observed: bool = True
) -> HolidayBase:
    """A country's public holidays in the years of `days`, in the language where there is one of its
    kind, else in English or in their own.
    """
    there = country_holidays(code).supported_languages
    wanted = (language.replace("-", "_"), language[:2], "en")
    nearest = next((name for part in wanted for name in there if name.startswith(part)), None)
    years = range(days[0].year, days[-1].year + 1)
    return country_holidays(code, years=years, observed=observed, language=nearest)


def working_days(code: str, days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """Those of the days that are neither of a weekend nor a public holiday; Monday to Friday where
    no country is known.

    A day off that is moved counts once it is announced. A Saturday or Sunday worked in its place
    stays free of visits.
    """
    if not code:
        return days[days.dayofweek < 5]
    known = _known_holidays(code, days)
    return days[[not known.is_weekend(day) and day not in known for day in days.date]]


def greetings(code: str, days: pd.DatetimeIndex, language: str) -> pd.DataFrame:
    """The public holidays on which a whole country is greeted, each on its first day: day, holiday
    (its name in the language where that is known, else in English). Days off in place of others are
    none.
    """
    if not code:
        return pd.DataFrame({"day": pd.to_datetime([]), "holiday": pd.Series(dtype="str")})
    known = _known_holidays(code, days, language, observed=False)
    named = [(pd.Timestamp(day), name) for day in sorted(known) for name in known.get_list(day)]
    found = pd.DataFrame(named, columns=["day", "holiday"])
    if in_place := known.tr(getattr(known, "substituted_label", "")).partition("%s")[0]:
        found = found[~found.holiday.str.startswith(in_place)]
    first = found[~found.assign(year=found.day.dt.year).duplicated(["year", "holiday"])]
    return first[first.day.isin(days)].reset_index(drop=True)


# What is due
def follow_ups(
    customers: pd.DataFrame,
    matrix: pd.DataFrame,
    contact: pd.Series,
    days: pd.DatetimeIndex,
    knobs: Care,
) -> pd.DataFrame:
    """Visits due by the last of the days, of each tier some days after the last contact or order,
    whichever is later; the longest due first. Columns: customer_id, what, due, detail.
    """
    every = {
        "strategic": knobs.strategic_days,
        "important": knobs.important_days,
        "ordinary": knobs.ordinary_days,
    }
    tiers = [tier for tier, wait in every.items() if wait]
    found = matrix.loc[matrix.tier.isin(tiers), ["customer_id", "tier"]]
    ordered = pd.to_datetime(customers.set_index("customer_id").last_order)
    both = [of.reindex(found.customer_id).set_axis(found.index) for of in (ordered, contact)]
    last = pd.concat(both, axis=1).max(axis=1)
    found = found.assign(what="follow_up", last=last, wait=found.tier.map(every))
    found["due"] = last + pd.to_timedelta(found.wait.astype(float), unit="D")
    found["place"] = found.tier.map(tiers.index)
    found = found[found.due <= days[-1]].sort_values(["due", "place", "customer_id"])
    found["detail"] = [
        say(
            "{tier:word}: last contact or order on {last:date}, due after {days:time}",
            tier=row.tier,
            last=row.last,
            days=row.wait,
        )
        for row in found.itertuples()
    ]
    return found[TASK]


def after_years(days: pd.Series, years: pd.Series) -> pd.Series:
    """Each day some years later; of 29 February in other years the 28th, so that nobody is greeted
    late.
    """
    day = days.to_numpy("datetime64[D]")
    month = day.astype("datetime64[M]")
    moved = month + 12 * years.to_numpy(int)
    last = (moved + 1).astype("datetime64[D]") - 1
    later = moved.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
    return pd.Series(np.minimum(later, last), days.index)


def returning(dates: pd.Series, days: pd.DatetimeIndex) -> pd.DataFrame:
    """The dates (by customer_id) that return in the days: customer_id, date, due, years (whole
    years since).
    """
    known = pd.to_datetime(dates, errors="coerce").rename("date").rename_axis("customer_id")
    past = known[known < days[0]].reset_index()
    years = days[0].year - past.date.dt.year
    years += after_years(past.date, years) < days[0]
    due = after_years(past.date, years).astype(past.date.dtype)
    return past.assign(due=due, years=years)[due.isin(days).to_numpy()]


def anniversaries(customers: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """The ANNIVERSARIES of first orders in the days: customer_id, what, due, detail."""
    found = returning(customers.set_index("customer_id").first_order, days)
    found = found[found.years.isin(ANNIVERSARIES)].assign(what="anniversary")
    text = N_("Years since the first order on {first:date}: {years:int}")
    found["detail"] = [say(text, years=row.years, first=row.date) for row in found.itertuples()]
    return found[TASK]


def refreshes(
    profiles: Table | None, customers: pd.DataFrame, as_of: dt.date, max_age: int
) -> pd.DataFrame:
    """The stale profiles of quality.to_refresh, the customers who brought most first: customer_id,
    what, due, detail.
    """
    if profiles is None or "updated" not in profiles.columns:
        return pd.DataFrame(columns=TASK)
    found = quality.to_refresh(profiles, customers, as_of, max_age)
    updated = pd.to_datetime(found.updated)
    due = updated + pd.Timedelta(days=max_age + 1)
    stale = found.assign(what="refresh", due=due, updated=updated)[due <= pd.Timestamp(as_of)]
    detail = [say("Profile last changed on {updated:date}", updated=day) for day in stale.updated]
    return stale.assign(detail=detail)[TASK]


def placed(due: pd.Series, owner: pd.Series, working: pd.DatetimeIndex, per_day: int) -> pd.Series:
    """The working day of each task: the first on or after it is due on which the owner has fewer
    than `per_day`; NaT where none is left. Tasks come in the order in which they are due.

    A day is so many places; a task takes the place after the owner's last, or the first of the day
    when it is due.
    """
    first = pd.Series(per_day * working.searchsorted(due), due.index)
    turn = due.groupby(owner).cumcount()
    place = turn + (first - turn).groupby(owner).cummax()
    return pd.Series(working, dtype="datetime64[us]").reindex(place // per_day).set_axis(due.index)


def of_plan(made: pd.DataFrame, days: pd.DatetimeIndex) -> pd.DataFrame:
    """The actions of the plan that account owners deliver in the days: customer_id, what, due,
    detail.
    """
    found = made[(made.status == "planned") & (made.owner == DELIVERS) & made.due.isin(days)]
    return found.assign(what="action", detail=found.action)[TASK]


def _second_contact(found: pd.DataFrame, made: pd.DataFrame) -> np.ndarray:
    """What is not to be done beside the plan, or by nobody: of duties with their `owner`."""
    status = found.customer_id.map(made.set_index("customer_id").status)
    visited = found.what.isin(["follow_up", "anniversary"])
    reached = visited & (status.eq("planned") | found.owner.isna())
    kept_apart = found.what.ne("refresh") & status.eq("held_back")
    return (reached | kept_apart).to_numpy(bool)


def due(
    customers: pd.DataFrame,
    matrix: pd.DataFrame,
    made: pd.DataFrame,
    records: Records,
    as_of: dt.date,
    settings: Dataset,
) -> pd.DataFrame:
    """Everything that is due in the days ahead, also what the calendar leaves out; `customers`,
    `matrix` are the tables, `made` is the plan.

    Columns: those of the table `care`, due (the day before which it is not done), refused (the
    customer may not be contacted). `day` is empty where the customer has refused,
    and where the owner has no working day left.
    """
    days, knobs = ahead(as_of, settings), settings.care
    people = records.profile_columns("owner", "consent", "birthday")
    contact = history.last_contact(records.interactions, as_of)
    parts = [of_plan(made, days), follow_ups(customers, matrix, contact, days, knobs)]
    if "birthday" in people:
        born = returning(people.set_index("customer_id").birthday, days)
        parts.append(born.assign(what="birthday", detail=say("Birthday greeting"))[TASK])
    near = matrix.customer_id[matrix.tier.isin(NEAR)]
    parts.append(anniversaries(customers[customers.customer_id.isin(near)], days))
    parts.append(refreshes(records.profiles, customers, as_of, settings.profile_max_age_days))
    found = pd.concat([part.astype({"due": "datetime64[us]"}) for part in parts], ignore_index=True)
    owner = people.get("owner", pd.Series(None, people.index, dtype=object))
    owner = owner.replace(r"^\s*$", None, regex=True).set_axis(people.customer_id)
    found["owner"] = found.customer_id.map(owner)
    found = found[~_second_contact(found, made)].reset_index(drop=True)
    found["owner"] = found.owner.fillna(say.word("customer_care"))
    found["refused"] = ~history.may_contact(people, found.customer_id)
    found["overdue_days"] = (pd.Timestamp(as_of) - found.due).dt.days.clip(lower=0).astype(int)
    found["day"] = found.due.where(found.what.isin(ON_THE_DAY) & ~found.refused)
    working = working_days(country(settings), days)
    for kind in ("follow_up", "refresh"):
        some = found[(found.what == kind) & ~found.refused]
        # In the order in which the rows stand: what is overdue has waited enough.
        wanted = some.due.clip(lower=days[0])
        found.loc[some.index, "day"] = placed(wanted, some.owner, working, knobs.per_owner_per_day)
    return found[[*TABLE, "due", "refused"]]


def calendar(found: pd.DataFrame) -> pd.DataFrame:
    """The table `care`: what has its day, day by day and owner by owner; `found` as from due."""
    kept = found.loc[found.day.notna(), TABLE]
    return kept.sort_values(["day", "owner", "what", "customer_id"], ignore_index=True)


def figures(found: pd.DataFrame, as_of: dt.date, settings: Dataset) -> dict[str, object]:
    """What is due in numbers; `found` as from due.

    Keys: end (the last day), actions (of the plan), visits, overdue (of these), longest (days
    overdue), owner, most (who has most visits, and how many); birthdays, anniversaries, profiles;
    no_room (visits and profiles without a day left), refused (customers).
    """
    open_ = found[~found.refused]
    visits, counts = open_[open_.what == "follow_up"], open_.what.value_counts()
    by_owner = visits.groupby("owner").size().sort_values(ascending=False, kind="stable")
    return {
        "end": ahead(as_of, settings)[-1],
        "actions": counts.get("action", 0),
        "visits": len(visits),
        "overdue": int((visits.overdue_days > 0).sum()),
        "longest": int(visits.overdue_days.max()) if len(visits) else 0,
        "owner": shown_staff(by_owner.index[0]) if len(visits) else "",
        "most": int(by_owner.iloc[0]) if len(visits) else 0,
        "birthdays": counts.get("birthday", 0),
        "anniversaries": counts.get("anniversary", 0),
        "profiles": counts.get("refresh", 0),
        "no_room": int(open_.day.isna().sum()),
        "refused": found[found.refused].customer_id.nunique(),
    }


def caveats(
    figures: dict[str, object], records: Records, settings: Dataset
) -> Iterator[tuple[str, dict[str, object]]]:
    """What to bear in mind: sentences with their values."""
    text = N_(
        "A routine visit is for who has an account owner and no action in the plan. It is due"
        " {strategic_days:int} days after the last contact or order of a strategic"
        " customer, {important_days:int} of an important and {ordinary_days:int} of an ordinary one"
        " (0: never); visits to the web site are no contact. An owner has at most"
        " {per_owner_per_day:int} visits and as many profiles on a working day, what is overdue"
        " longest first. The first order is the first of the log: of a customer who is older than"
        " the log the anniversary is not the true one."
    )
    yield text, dict(settings.care)
    if figures["no_room"]:
        text = N_(
            "{no_room:int} visits and profiles have no day by {end:date}: their owners have no room"
            " left."
        )
        yield text, figures
    there = records.profiles.columns if records.profiles is not None else ()
    lacking = [name for name in ("owner", "consent", "birthday", "updated") if name not in there]
    if lacking:
        text = N_(
            "The profiles do not record: {columns:field}. What rests on it is not in the calendar."
        )
        yield text, {"columns": ", ".join(lacking)}
    if records.interactions is None:
        yield N_("Contacts are not recorded, so visits go by the last order alone."), {}
    code = country(settings)
    if code:
        text = N_(
            "Public holidays are those of {country:text}. Days off that are moved are known once"
            " they are announced, in China late in the year before."
        )
    else:
        text = N_(
            "No country is known (care.country in the dataset file), so no public holiday is"
            " greeted or kept free; only Saturdays and Sundays are."
        )
    yield text, {"country": say.locale.territories.get(code, code)}


def load(table: pd.DataFrame) -> pd.DataFrame:
    """The things to do by week and kind, of the table `care`: week (its Monday), what, tasks."""
    week = table.day - pd.to_timedelta(table.day.dt.dayofweek, unit="D")
    return table.assign(week=week).groupby(["week", "what"]).size().rename("tasks").reset_index()


# The file for calendars
def ics(table: pd.DataFrame, holidays: pd.DataFrame, title: str, as_of: dt.date) -> bytes:
    """The calendar as a file that programs read (RFC 5545): an event of a whole day for each row of
    `care` and each holiday (as from greetings); nothing where there is none, because a calendar
    without an event is not valid.

    Customers are named by id (a pseudonym where that is a telephone or an e-mail), owners not at
    all. The same thing to do has the same UID in a later calendar of the same title, so that it
    moves instead of standing there twice.
    """
    if table.empty and holidays.empty:
        return b""
    made = Calendar()
    made.add("prodid", "-//customer-matrix//care calendar//EN")
    made.add("version", "2.0")
    # Of a name that it does not know it would escape nothing.
    made.add("x-wr-calname", vText(_line(title)))
    shown = table.customer_id.map(lambda customer: say.form("customer", customer))
    again = shown.groupby([shown, table.what]).cumcount()  # of ids that are all hidden
    for row, name, number in zip(table.itertuples(), shown, again, strict=True):
        uid = repr((title, row.what, name, number))
        summary = f"{say.word(row.what)}: {name}"
        made.add_component(_event(uid, row.day, summary, row.detail, as_of))
    for row in holidays.itertuples():
        uid = repr((title, row.day.year, row.holiday))
        made.add_component(_event(uid, row.day, row.holiday, say("Public holiday"), as_of))
    return made.to_ical()


def _event(uid: str, day: pd.Timestamp, summary: str, detail: str, as_of: dt.date) -> Event:
    event = Event()
    event.add("uid", hashlib.sha256(uid.encode()).hexdigest()[:32] + "@customer-matrix")
    event.add("dtstamp", dt.datetime.combine(as_of, dt.time(), dt.UTC))
    event.add("dtstart", day.date())
    event.add("summary", _line(summary))
    event.add("description", _line(detail))
    event.add("transp", "TRANSPARENT")  # the owner's day stays free for others
    return event


def _line(text: str) -> str:
    """The text as one that an event may hold: a line feed parts its lines, and no other control
    character is left.
    """
    return CONTROL.sub("", printable("\n".join(text.splitlines())))
