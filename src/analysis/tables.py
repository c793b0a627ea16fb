"""The contract of every table that one stage hands to the next, checked when written and when read."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import RunError

MONEY = pa.decimal128(38, 12)  # exact sums from 1e-12 to 1e15 and beyond
TEXT, INTEGER, NUMBER, DAY, FLAG = pa.string(), pa.int64(), pa.float64(), pa.date32(), pa.bool_()
MOMENT = pa.timestamp("us")


@dataclass(frozen=True)
class Column:
    """One column: its type, its meaning with the unit, and whether it may be empty or absent."""

    type: pa.DataType
    meaning: str
    empty: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Contract:
    """A table: what a row is, its columns, and the columns that make a row unique."""

    row: str
    key: tuple[str, ...]
    columns: dict[str, Column]


@dataclass(frozen=True)
class Meaning:
    """What a column of a company's records may mean: how its texts are read, and in words.

    `needed` columns must be named in the dataset file; `person` columns say who or how to reach somebody and are
    never shown; `read_only` columns serve to make others and are not kept.
    """

    reads_as: str  # text, moment, day, money, number or flag
    words: str
    needed: bool = False
    person: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Records:
    """A kind of a company's records: what a row is, and what its columns may mean."""

    row: str
    columns: dict[str, Meaning]


_WHO = {"customer_id": Meaning("text", "the customer", needed=True)}

# What a company may have. Only customer_id and date of transactions are needed; all else switches on what rests on it.
RECORDS = {
    "transactions": Records(
        "an order line",
        _WHO
        | {
            "date": Meaning("moment", "day, or moment, of the order", needed=True),
            "amount": Meaning("money", "money of the line; below zero for a return"),
            "quantity": Meaning("number", "pieces; below zero for a return"),
            "unit_price": Meaning("money", "money of one piece, where there is no amount", read_only=True),
            "cost": Meaning("money", "what the line cost the company"),
            "profit": Meaning("money", "amount less cost, where there is no cost", read_only=True),
            "discount": Meaning("money", "money taken off the line"),
            "order_id": Meaning("text", "the order the line belongs to"),
            "product": Meaning("text", "product, by id or name"),
            "category": Meaning("text", "kind of product"),
            "channel": Meaning("text", "where it was bought"),
            "status": Meaning("text", "what became of the order", read_only=True),
            "currency": Meaning("text", "ISO code, where it is not the same for all", read_only=True),
        },
    ),
    "customers": Records(
        "a customer",
        _WHO
        | {
            "company": Meaning("text", "company, where the customer is one"),
            "name": Meaning("text", "name of a person", person=True),
            "contact": Meaning("text", "whom to talk to", person=True),
            "title": Meaning("text", "title or position"),
            "phone": Meaning("text", "telephone", person=True),
            "email": Meaning("text", "e-mail address", person=True),
            "tax_id": Meaning("text", "tax or registration number", person=True),
            "region": Meaning("text", "region, province or country"),
            "city": Meaning("text", "city"),
            "industry": Meaning("text", "industry"),
            "company_size": Meaning("text", "employees, as a number or a class"),
            "credit_rating": Meaning("text", "credit rating"),
            "owner": Meaning("text", "who looks after the customer in the company"),
            "lead_source": Meaning("text", "how the customer was won"),
            "referrer": Meaning("text", "customer_id of who recommended the company"),
            "birthday": Meaning("day", "birthday", person=True),
            "first_contact": Meaning("day", "first contact"),
            "updated": Meaning("day", "when the profile was last changed"),
            "contract_end": Meaning("day", "when the contract ends"),
            "churned": Meaning("flag", "whether the customer has left, where a contract says so"),
            "consent": Meaning("flag", "may be contacted"),
            "opt_out": Meaning("flag", "may not be contacted", read_only=True),
        },
    ),
    "interactions": Records(
        "a contact with a customer",
        _WHO
        | {
            "date": Meaning("moment", "when", needed=True),
            "channel": Meaning("text", "phone, e-mail, meeting, chat, web, social, …"),
            "owner": Meaning("text", "by whom"),
            "product": Meaning("text", "about which product"),
            "category": Meaning("text", "about which kind of product"),
            "amount": Meaning("money", "money it was about, as a financing asked for"),
            "outcome": Meaning("text", "what came of it"),
            "note": Meaning("text", "what was said", person=True),
        },
    ),
    "feedback": Records(
        "a customer's word",
        _WHO
        | {
            "date": Meaning("moment", "when it was given or opened", needed=True),
            "kind": Meaning("text", "csat, nps, complaint or ticket"),
            "score": Meaning("number", "1 to 5 for csat, 0 to 10 for nps"),
            "product": Meaning("text", "about which product"),
            "status": Meaning("text", "of a ticket"),
            "closed": Meaning("moment", "when a ticket was closed"),
            "comment": Meaning("text", "in the customer's words", person=True),
        },
    ),
    "campaigns": Records(
        "a customer in a campaign",
        _WHO
        | {
            "campaign_id": Meaning("text", "the campaign", needed=True),
            "date": Meaning("day", "when the customer was treated or held back", needed=True),
            "arm": Meaning("text", "treat or control"),
            "end": Meaning("day", "last day of the campaign"),
            "kind": Meaning("text", "type of the campaign"),
            "channel": Meaning("text", "how the customer was reached"),
            "cost": Meaning("money", "what it cost"),
            "responded": Meaning("flag", "whether the customer took it up"),
        },
    ),
    "products": Records(
        "a product",
        {
            "product": Meaning("text", "product, as in transactions", needed=True),
            "product_name": Meaning("text", "its name"),
            "category": Meaning("text", "its kind"),
            "brand": Meaning("text", "its brand"),
            "price": Meaning("money", "its price"),
            "cost": Meaning("money", "what it costs the company"),
            "durable": Meaning("flag", "bought once in years"),
            "available": Meaning("flag", "still sold"),
        },
    ),
}

_CUSTOMER = {"customer_id": Column(TEXT, "the customer, as text")}
_ORIGIN = {
    "source": Column(TEXT, "file the row came from"),
    "line": Column(INTEGER, "line in that file, the first is 1; of a database or Parquet file the row"),
}
_TYPES = {"text": TEXT, "moment": MOMENT, "day": DAY, "money": MONEY, "number": NUMBER, "flag": FLAG}


def _as_read(table: str, key: tuple[str, ...] = ("source", "line")) -> Contract:
    """The contract of records that are handed on as they were read; a date becomes `day`, and `moment` with the clock."""
    kept = {name: meaning for name, meaning in RECORDS[table].columns.items() if not meaning.read_only}
    date = kept.pop("date", None)
    dated = {"day": Column(DAY, date.words)} if date else {}
    if date and date.reads_as == "moment":
        dated["moment"] = Column(MOMENT, f"{date.words}, with the time of day where it is said", empty=True, optional=True)
    columns = {
        name: Column(_TYPES[meaning.reads_as], meaning.words, empty=not meaning.needed, optional=not meaning.needed)
        for name, meaning in kept.items()
    }
    return Contract(RECORDS[table].row, key, columns | dated | _ORIGIN)


TABLES = {
    "transactions": Contract(
        "an order line",
        ("source", "line"),
        _CUSTOMER
        | {
            "day": Column(DAY, "day of the order in the dataset's time zone"),
            "amount": Column(MONEY, "money of the line; below zero for a return; empty where the log has no money", empty=True),
            "moment": Column(MOMENT, "clock time of the order in that zone", empty=True, optional=True),
            "quantity": Column(NUMBER, "pieces; below zero for a return", empty=True, optional=True),
            "cost": Column(MONEY, "what the line cost the company", empty=True, optional=True),
            "discount": Column(MONEY, "money taken off the line", empty=True, optional=True),
            "order_id": Column(TEXT, "the order the line belongs to", empty=True, optional=True),
            "product": Column(TEXT, "product", empty=True, optional=True),
            "category": Column(TEXT, "kind of product", empty=True, optional=True),
            "channel": Column(TEXT, "where it was bought", empty=True, optional=True),
            "sale_day": Column(DAY, "of a return: day of the sale it takes back, where found", empty=True, optional=True),
        }
        | _ORIGIN,
    ),
    "rejects": Contract(
        "a row that was merged or rejected, or a value of a kept row that was left empty",
        ("table", "source", "line", "column"),
        {
            "table": Column(TEXT, "kind of records"),
            "source": Column(TEXT, "file the row came from"),
            "line": Column(INTEGER, "line in that file, the first is 1"),
            "outcome": Column(TEXT, "merged, rejected or mended"),
            "column": Column(TEXT, "the column at fault; none where the whole row is"),
            "reason": Column(TEXT, "why"),
            "value": Column(TEXT, "what was found, letters as x and digits as 9", empty=True),
            "amount": Column(MONEY, "money of the line, if readable", empty=True),
        },
    ),
    "profiles": _as_read("customers", ("customer_id",)),
    "interactions": _as_read("interactions"),
    "feedback": _as_read("feedback"),
    "campaigns": _as_read("campaigns"),
    "products": _as_read("products", ("product",)),
    "customers": Contract(
        "a customer as of the day of the picture",
        ("customer_id",),
        _CUSTOMER
        | {
            "orders": Column(INTEGER, "order days: several purchases on one day count once"),
            "first_order": Column(DAY, "first order day", empty=True),
            "last_order": Column(DAY, "last order day", empty=True),
            "frequency": Column(INTEGER, "repeat order days: orders less one"),
            "recency_days": Column(INTEGER, "days from the last order to the day of the picture", empty=True),
            "age_days": Column(INTEGER, "days from the first order to the day of the picture", empty=True),
            "revenue": Column(NUMBER, "net money of all history, returns deducted", empty=True),
            "order_value": Column(NUMBER, "mean money of an order day, returns not deducted", empty=True),
            "repeat_value": Column(NUMBER, "the same over repeat order days above zero", empty=True),
            "repeat_valued": Column(INTEGER, "number of repeat order days above zero"),
            "window_orders": Column(INTEGER, "order days within the value window"),
            "window_revenue": Column(NUMBER, "net money within the value window", empty=True),
            "window_profit": Column(
                NUMBER,
                "the same less costs; empty where the costs of a tenth of it or more are not known",
                empty=True,
                optional=True,
            ),
        },
    ),
    "clv": Contract(
        "a customer with at least one order",
        ("customer_id",),
        _CUSTOMER
        | {
            "expected_orders": Column(NUMBER, "order days expected over horizon_days"),
            "orders_low": Column(NUMBER, "lower end of the 80 % prediction interval of the orders", empty=True),
            "orders_high": Column(NUMBER, "its upper end", empty=True),
            "expected_order_value": Column(NUMBER, "money expected of one order"),
            "expected_spend": Column(NUMBER, "money expected over horizon_days"),
            "clv": Column(NUMBER, "discounted money expected over value_days, times the margin if known"),
            "clv_low": Column(NUMBER, "lower end of the 80 % interval of that expectation", empty=True),
            "clv_high": Column(NUMBER, "its upper end", empty=True),
        },
    ),
    "churn": Contract(
        "a customer with at least one order",
        ("customer_id",),
        _CUSTOMER
        | {
            "churn_risk": Column(NUMBER, "probability of leaving within horizon_days", empty=True),
            "risk_band": Column(TEXT, "low, medium (a message pays), high (a call pays), or unknown"),
            "lost": Column(FLAG, "whether the customer counted as lost already"),
            "risk_before": Column(NUMBER, "the same probability a period before, told by the same model", empty=True),
            "value_at_stake": Column(NUMBER, "money of a horizon, if all goes on as in the value window", empty=True),
            "expected_loss": Column(NUMBER, "risk times value at stake", empty=True),
            "warned": Column(FLAG, "whether the risk jumped since, of a customer not lost"),
            "reasons": Column(TEXT, "the strongest reasons, in the language of the reports"),
        },
    ),
    "foretold": Contract(
        "a customer at the measured date, who was not lost then",
        ("customer_id",),
        _CUSTOMER
        | {
            "day": Column(DAY, "the measured date, a horizon before the day of the picture"),
            "risk": Column(NUMBER, "probability of leaving that the chosen model told on that day"),
            "left": Column(FLAG, "whether the customer left within the horizon"),
        },
    ),
    "winback": Contract(
        "a silent or lost customer whose return is worth the effort, and who may be contacted",
        ("customer_id",),
        _CUSTOMER
        | {
            "stage": Column(TEXT, "silent or lost"),
            "last_order": Column(DAY, "last order day"),
            "recency_days": Column(INTEGER, "days since"),
            "last_items": Column(TEXT, "what was bought then, the dearest first", empty=True),
            "reasons": Column(TEXT, "as in churn"),
            "approach": Column(TEXT, "how to begin"),
            "value": Column(NUMBER, "money that a return brings within a horizon"),
            "cost": Column(NUMBER, "money that reaching the customer costs"),
            "expected_return": Column(NUMBER, "money that reaching the customer is expected to bring, less the cost"),
        },
    ),
    "recommendations": Contract(
        "something to offer a customer next",
        ("customer_id", "rank"),
        _CUSTOMER
        | {
            "rank": Column(INTEGER, "1 to 3, the first to be offered first"),
            "item": Column(TEXT, "product or category"),
            "kind": Column(TEXT, "new, again (due again), asked (about, and never bought) or popular (most bought)"),
            "reason": Column(TEXT, "why, in the language of the reports"),
            "score": Column(NUMBER, "ranks within a kind: the rule's score, purchases, days with contacts, share of the buyers"),
        },
    ),
    "matrix": Contract(
        "a customer",
        ("customer_id",),
        _CUSTOMER
        | {
            "tier": Column(TEXT, "strategic, important, ordinary, potential"),
            "stage": Column(TEXT, "as in segments"),
            "risk_band": Column(TEXT, "as in churn; none for prospects"),
            "reason": Column(TEXT, "why the customer is in this tier"),
            "revenue": Column(NUMBER, "net money within the value window", empty=True),
            "clv": Column(NUMBER, "as in clv; empty for prospects", empty=True),
            "churn_risk": Column(NUMBER, "as in churn; empty for prospects", empty=True),
        },
    ),
    "plan": Contract(
        "a customer",
        ("customer_id",),
        _CUSTOMER
        | {
            "rule": Column(TEXT, "rule of the playbook that this follows, or would"),
            "status": Column(TEXT, "planned, held_back (by lot), no_consent, contacted_lately, not_worth, beyond_budget"),
            "objective": Column(TEXT, "what for", empty=True),
            "action": Column(TEXT, "what to do; empty where nothing is done", empty=True),
            "channel": Column(TEXT, "how to reach the customer", empty=True),
            "owner": Column(TEXT, "role that does it", empty=True),
            "account_owner": Column(TEXT, "who looks after the customer, as in the profiles"),
            "due": Column(DAY, "by when", empty=True),
            "cost": Column(NUMBER, "money the action costs; 0 where none is done"),
            "effect": Column(NUMBER, "extra orders expected of the action within horizon_days", empty=True),
            "expected_value": Column(NUMBER, "money the action is expected to bring, before cost"),
            "arm": Column(TEXT, "treat, control (held back to measure the effect), exempt (nobody is), none (no action)"),
            "target": Column(NUMBER, "probability of an order within horizon_days to reach", empty=True),
        },
    ),
    "care": Contract(
        "something to do for a customer on a day",
        ("customer_id", "day", "what"),
        _CUSTOMER
        | {
            "day": Column(DAY, "when"),
            "what": Column(TEXT, "follow_up (a visit), birthday, anniversary (of the first order) or refresh (the profile)"),
            "owner": Column(TEXT, "who looks after the customer; a role where nobody is named"),
            "detail": Column(TEXT, "why, in the language of the reports"),
            "overdue_days": Column(INTEGER, "days it was overdue on the day of the picture; 0: it was not"),
        },
    ),
    "trial_design": Contract(
        "a customer chosen for a campaign, as known when it was planned",
        ("campaign_id", "customer_id"),
        {"campaign_id": Column(TEXT, "the campaign, or the rule of the playbook")}
        | _CUSTOMER
        | {
            "day": Column(DAY, "day of the plan; all that stands here was known then"),
            "stratum": Column(TEXT, "within which the arm was drawn"),
            "arm": Column(TEXT, "treat, control (held back by lot) or exempt (nobody is)"),
            "seed": Column(INTEGER, "with which the arm was drawn"),
            "forecast": Column(NUMBER, "orders expected", empty=True),
            "orders_before": Column(NUMBER, "order days of as many days before as will be measured", empty=True),
            "money_before": Column(NUMBER, "net money of the same days", empty=True),
            "orders_year": Column(NUMBER, "order days of the 365 days before", empty=True),
            "money_year": Column(NUMBER, "net money of the same days", empty=True),
            "recency_days": Column(NUMBER, "days since the last order", empty=True),
            "smallest_effect": Column(NUMBER, "extra orders per customer that are worth finding"),
            "detectable_effect": Column(NUMBER, "extra orders per customer that will be found in four cases of five", empty=True),
        },
    ),
    "scorecard": Contract(
        "an account owner; without_owner: the customers of whom none is recorded",
        ("owner",),
        {
            "owner": Column(TEXT, "account owner; of an e-mail address the part before @"),
            "customers": Column(INTEGER, "customers and prospects of today"),
            "strategic": Column(INTEGER, "of these in the strategic tier"),
            "new_customers": Column(INTEGER, "of these with a first order within the value window"),
            "revenue": Column(NUMBER, "net money within the value window", empty=True),
            "value_at_risk": Column(NUMBER, "sum of the expected losses of those not lost", empty=True),
            "orders_each": Column(NUMBER, "order days in the value window per customer who ever ordered", empty=True),
            "mean_risk": Column(NUMBER, "mean risk today of those not lost", empty=True),
            "follow_ups": Column(INTEGER, "days with a contact by somebody, of each customer, lately", empty=True),
            "follow_ups_due": Column(INTEGER, "contacts due", empty=True),
            "overdue": Column(INTEGER, "of these overdue", empty=True),
            "open_tickets": Column(INTEGER, "complaints and tickets of a year that are open", empty=True),
            "answers": Column(INTEGER, "customers who gave a score within a year", empty=True),
            "satisfaction": Column(NUMBER, "mean of their last scores, 0 to 1", empty=True),
            "measured": Column(INTEGER, "customers not lost at the measured day", empty=True),
            "actual": Column(INTEGER, "of these left within horizon_days", empty=True),
            "foretold_left": Column(NUMBER, "sum of their risks as told then", empty=True),
            "expected_left": Column(NUMBER, "leavers expected by their risks, given how many left in all", empty=True),
            "ratio": Column(NUMBER, "actual over expected_left", empty=True),
            "low": Column(NUMBER, "lower end of the 95 % interval of the ratio", empty=True),
            "high": Column(NUMBER, "its upper end", empty=True),
            "shrunk": Column(NUMBER, "the ratio drawn towards 1, the more the less the portfolio tells", empty=True),
            "p": Column(NUMBER, "probability of as far a count by chance", empty=True),
            "beyond_chance": Column(FLAG, "whether it stands out among all owners (Holm, 5 %)"),
            "standing": Column(TEXT, "more_left, fewer_left, as_expected, or unmeasured"),
        },
    ),
    "tier_history": Contract(
        "a customer at a month end",
        ("customer_id", "month_end"),
        _CUSTOMER
        | {
            "month_end": Column(DAY, "last day of the month, or the day of the picture"),
            "tier": Column(TEXT, "tier by value to date"),
            "window_orders": Column(INTEGER, "order days within the value window"),
            "window_revenue": Column(NUMBER, "net money within the value window", empty=True),
            "full_window": Column(FLAG, "whether the log reaches back over the whole window"),
        },
    ),
}


# The table that keeps each kind of records; `customers` is another, of one row per customer as of a day.
KEPT_AS = {name: "profiles" if name == "customers" else name for name in RECORDS if name != "transactions"}


def empty(name: str) -> pa.Table:
    """A table without rows, with all columns of its contract."""
    return pa.schema([(c, spec.type) for c, spec in TABLES[name].columns.items()]).empty_table()


def conform(name: str, found: pd.DataFrame | pa.Table) -> pa.Table:
    """The contract's columns in its types and order, then any others; RunError where that cannot be."""
    contract = TABLES[name]
    table = pa.Table.from_pandas(found, preserve_index=False) if isinstance(found, pd.DataFrame) else found
    wanted = [c for c, spec in contract.columns.items() if c in table.column_names or not spec.optional]
    if missing := [c for c in wanted if c not in table.column_names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    try:
        typed = {c: table[c].cast(contract.columns[c].type) for c in wanted}
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise RunError(f"table {name}: {error.args[-1]}") from None
    more = [] if isinstance(found, pd.DataFrame) else [c for c in table.column_names if c not in typed]
    return check(name, pa.table(typed | {c: table[c] for c in more}))


def check(name: str, table: pa.Table) -> pa.Table:
    """The table itself if it keeps its contract; RunError says what, in how many rows, if not."""
    check_schema(name, table.schema)
    if said := _empty_problem(TABLES[name], table) or _key_problem(TABLES[name], table):
        raise RunError(f"table {name}: {said}")
    return table


def check_schema(name: str, schema: pa.Schema) -> None:
    """Refuse (RunError) columns that are missing or of another type than the contract's."""
    columns = TABLES[name].columns
    if missing := [c for c, spec in columns.items() if not spec.optional and c not in schema.names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    found = {c: schema.field(c).type for c in columns if c in schema.names}
    if wrong := [f"{c} is {found[c]}, not {columns[c].type}" for c in found if found[c] != columns[c].type]:
        raise RunError(f"table {name}: {'; '.join(wrong)}")


def _empty_problem(contract: Contract, table: pa.Table) -> str:
    counts = {c: table[c].null_count for c, spec in contract.columns.items() if not spec.empty and c in table.column_names}
    return ", ".join(f"{c} is empty in {count:,} of {len(table):,} rows" for c, count in counts.items() if count)


def _key_problem(contract: Contract, table: pa.Table) -> str:
    distinct = len(table.select(contract.key).group_by(list(contract.key)).aggregate([]))
    return f"{len(table) - distinct:,} rows repeat the key {', '.join(contract.key)}" if distinct < len(table) else ""


def write(name: str, frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet after checking its contract."""
    pq.write_table(conform(name, frame), path)


def read(name: str, path: Path) -> pd.DataFrame:
    """Read a checked table; days arrive as datetime64, texts as str."""
    return check(name, pq.read_table(path)).to_pandas(date_as_object=False)
