"""The contract of every table that one stage hands to the next, checked when written and when read."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import RunError

MONEY = pa.decimal128(38, 12)  # exact sums from 1e-12 to 1e15 and beyond
TEXT, INTEGER, NUMBER, DAY, FLAG = pa.string(), pa.int64(), pa.float64(), pa.date32(), pa.bool_()
UNKNOWN = "unknown"  # class of those of whom something is not known
STAGES = ("prospect", "new", "repeat", "loyal", "silent", "lost")  # of a customer's life, in order
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

    `needed` columns must be named in the dataset file; `person` columns say who or how to reach
    somebody and are never shown; `read_only` columns serve to make others and are not kept.
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

# What a company may have. Only customer_id and date of transactions are needed; all else switches
# on what rests on it.
RECORDS = {
    "transactions": Records(
        "an order line",
        _WHO
        | {
            "date": Meaning("moment", "day, or moment, of the order", needed=True),
            "amount": Meaning("money", "money of the line; below zero for a return"),
            "quantity": Meaning("number", "pieces; below zero for a return"),
            "unit_price": Meaning(
                "money", "money of one piece, where there is no amount", read_only=True
            ),
            "cost": Meaning("money", "what the line cost the company"),
            "profit": Meaning("money", "amount less cost, where there is no cost", read_only=True),
            "discount": Meaning("money", "money taken off the line"),
            "order_id": Meaning("text", "the order the line belongs to"),
            "product": Meaning("text", "product, by id or name"),
            "category": Meaning("text", "kind of product"),
            "channel": Meaning("text", "where it was bought"),
            "status": Meaning("text", "what became of the order", read_only=True),
            "currency": Meaning(
                "text", "ISO code, where it is not the same for all", read_only=True
            ),
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
    "line": Column(
        INTEGER, "line in that file, the first is 1; of a database or Parquet file the row"
    ),
}
_TYPES = {
    "text": TEXT,
    "moment": MOMENT,
    "day": DAY,
    "money": MONEY,
    "number": NUMBER,
    "flag": FLAG,
}


def _as_read(table: str, key: tuple[str, ...] = ("source", "line")) -> Contract:
    """The contract of records that are handed on as they were read; a date becomes `day`, and
    `moment` with the clock.
    """
    kept = {
        name: meaning for name, meaning in RECORDS[table].columns.items() if not meaning.read_only
    }
    date = kept.pop("date", None)
    dated = {"day": Column(DAY, date.words)} if date else {}
    if date and date.reads_as == "moment":
        dated["moment"] = Column(
            MOMENT,
            f"{date.words}, with the time of day where it is said",
            empty=True,
            optional=True,
        )
    columns = {
        name: Column(
            _TYPES[meaning.reads_as],
            meaning.words,
            empty=not meaning.needed,
            optional=not meaning.needed,
        )
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
            "amount": Column(
                MONEY,
                "money of the line; below zero for a return; empty where the log has no money",
                empty=True,
            ),
            "moment": Column(
                MOMENT, "clock time of the order in that zone", empty=True, optional=True
            ),
            "quantity": Column(
                NUMBER, "pieces; below zero for a return", empty=True, optional=True
            ),
            "cost": Column(MONEY, "what the line cost the company", empty=True, optional=True),
            "discount": Column(MONEY, "money taken off the line", empty=True, optional=True),
            "order_id": Column(TEXT, "the order the line belongs to", empty=True, optional=True),
            "product": Column(TEXT, "product", empty=True, optional=True),
            "category": Column(TEXT, "kind of product", empty=True, optional=True),
            "channel": Column(TEXT, "where it was bought", empty=True, optional=True),
            "sale_day": Column(
                DAY,
                "of a return: day of the sale it takes back, where found",
                empty=True,
                optional=True,
            ),
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
            "recency_days": Column(
                INTEGER, "days from the last order to the day of the picture", empty=True
            ),
            "age_days": Column(
                INTEGER, "days from the first order to the day of the picture", empty=True
            ),
            "revenue": Column(NUMBER, "net money of all history, returns deducted", empty=True),
            "order_value": Column(
                NUMBER, "mean money of an order day, returns not deducted", empty=True
            ),
            "repeat_value": Column(
                NUMBER, "the same over repeat order days above zero", empty=True
            ),
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
            "orders_low": Column(
                NUMBER, "lower end of the 80 % prediction interval of the orders", empty=True
            ),
            "orders_high": Column(NUMBER, "its upper end", empty=True),
            "expected_order_value": Column(NUMBER, "money expected of one order"),
            "expected_spend": Column(NUMBER, "money expected over horizon_days"),
            "clv": Column(
                NUMBER, "discounted money expected over value_days, times the margin if known"
            ),
            "clv_low": Column(
                NUMBER, "lower end of the 80 % interval of that expectation", empty=True
            ),
            "clv_high": Column(NUMBER, "its upper end", empty=True),
        },
    ),
    "churn": Contract(
        "a customer with at least one order",
        ("customer_id",),
        _CUSTOMER
        | {
            "churn_risk": Column(NUMBER, "probability of leaving within horizon_days", empty=True),
            "risk_band": Column(
                TEXT, "low, medium (a message pays), high (a call pays), or unknown"
            ),
            "lost": Column(FLAG, "whether the customer counted as lost already"),
            "risk_before": Column(
                NUMBER, "the same probability a period before, told by the same model", empty=True
            ),
            "value_at_stake": Column(
                NUMBER, "money of a horizon, if all goes on as in the value window", empty=True
            ),
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
            "expected_return": Column(
                NUMBER, "money that reaching the customer is expected to bring, less the cost"
            ),
        },
    ),
    "recommendations": Contract(
        "something to offer a customer next",
        ("customer_id", "rank"),
        _CUSTOMER
        | {
            "rank": Column(INTEGER, "1 to 3, the first to be offered first"),
            "item": Column(TEXT, "product or category"),
            "kind": Column(
                TEXT,
                "new, again (due again), asked (about, and never bought) or popular (most bought)",
            ),
            "reason": Column(TEXT, "why, in the language of the reports"),
            "score": Column(
                NUMBER,
                "ranks within a kind: the rule's score, purchases, days with contacts, share of the"
                " buyers",
            ),
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
            "status": Column(
                TEXT,
                "planned, held_back (by lot), no_consent, contacted_lately, not_worth,"
                " beyond_budget",
            ),
            "objective": Column(TEXT, "what for", empty=True),
            "action": Column(TEXT, "what to do; empty where nothing is done", empty=True),
            "channel": Column(TEXT, "how to reach the customer", empty=True),
            "owner": Column(TEXT, "role that does it", empty=True),
            "account_owner": Column(TEXT, "who looks after the customer, as in the profiles"),
            "due": Column(DAY, "by when", empty=True),
            "cost": Column(NUMBER, "money the action costs; 0 where none is done"),
            "effect": Column(
                NUMBER, "extra orders expected of the action within horizon_days", empty=True
            ),
            "expected_value": Column(NUMBER, "money the action is expected to bring, before cost"),
            "arm": Column(
                TEXT,
                "treat, control (held back to measure the effect), exempt (nobody is), none (no"
                " action)",
            ),
            "target": Column(
                NUMBER, "probability of an order within horizon_days to reach", empty=True
            ),
        },
    ),
    "campaign_effects": Contract(
        "a campaign, in the order of their days",
        ("campaign_id",),
        {
            "campaign_id": Column(TEXT, "the campaign"),
            "kind": Column(TEXT, "type of the campaign", empty=True),
            "channel": Column(TEXT, "how customers were reached", empty=True),
            "day": Column(DAY, "first day on which somebody was treated or held back"),
            "end": Column(DAY, "last day of the campaign", empty=True),
            "window_days": Column(INTEGER, "days after the treatment that count"),
            "treated": Column(INTEGER, "customers treated whose window is over and in the log"),
            "control": Column(INTEGER, "customers held back, or similar untreated ones"),
            "incomplete": Column(INTEGER, "customers whose window is not over, or not in the log"),
            "proof": Column(
                TEXT,
                "random (held back by lot), observational (similar untreated customers), too_small,"
                " not_over, before_log (the log begins later)",
            ),
            "orders_effect": Column(NUMBER, "extra orders per treated customer", empty=True),
            "orders_low": Column(NUMBER, "lower end of its 95 % interval", empty=True),
            "orders_high": Column(NUMBER, "its upper end", empty=True),
            "p": Column(NUMBER, "probability of so large an effect by chance", empty=True),
            "p_holm": Column(NUMBER, "the same of all random campaigns together", empty=True),
            "detectable": Column(
                NUMBER, "effect that would have been found in four cases of five", empty=True
            ),
            "money_effect": Column(NUMBER, "extra money per treated customer", empty=True),
            "money_low": Column(NUMBER, "lower end of its 95 % interval", empty=True),
            "money_high": Column(NUMBER, "its upper end", empty=True),
            "total": Column(NUMBER, "extra money of all treated", empty=True),
            "cost": Column(NUMBER, "money that the campaign cost", empty=True),
            "profit": Column(NUMBER, "extra money times the margin, less cost", empty=True),
            "profit_low": Column(NUMBER, "lower end of its 95 % interval", empty=True),
            "profit_high": Column(NUMBER, "its upper end", empty=True),
            "imbalance": Column(
                NUMBER, "p of the arms being so unlike by lot, of random ones", empty=True
            ),
            "also_reached": Column(
                NUMBER, "share of the treated whom another campaign reached in the window"
            ),
            "verdict": Column(TEXT, "works, does_not_work, not_proven or harms", empty=True),
        },
    ),
    "care": Contract(
        "something to do for a customer on a day",
        ("customer_id", "day", "what"),
        _CUSTOMER
        | {
            "day": Column(DAY, "when"),
            "what": Column(
                TEXT,
                "follow_up (a visit), birthday, anniversary (of the first order) or refresh (the"
                " profile)",
            ),
            "owner": Column(TEXT, "who looks after the customer; a role where nobody is named"),
            "detail": Column(TEXT, "why, in the language of the reports"),
            "overdue_days": Column(
                INTEGER, "days it was overdue on the day of the picture; 0: it was not"
            ),
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
            "orders_before": Column(
                NUMBER, "order days of as many days before as will be measured", empty=True
            ),
            "money_before": Column(NUMBER, "net money of the same days", empty=True),
            "orders_year": Column(NUMBER, "order days of the 365 days before", empty=True),
            "money_year": Column(NUMBER, "net money of the same days", empty=True),
            "recency_days": Column(NUMBER, "days since the last order", empty=True),
            "smallest_effect": Column(NUMBER, "extra orders per customer that are worth finding"),
            "detectable_effect": Column(
                NUMBER,
                "extra orders per customer that will be found in four cases of five",
                empty=True,
            ),
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
            "value_at_risk": Column(
                NUMBER, "sum of the expected losses of those not lost", empty=True
            ),
            "orders_each": Column(
                NUMBER, "order days in the value window per customer who ever ordered", empty=True
            ),
            "mean_risk": Column(NUMBER, "mean risk today of those not lost", empty=True),
            "follow_ups": Column(
                INTEGER, "days with a contact by somebody, of each customer, lately", empty=True
            ),
            "follow_ups_due": Column(INTEGER, "contacts due", empty=True),
            "overdue": Column(INTEGER, "of these overdue", empty=True),
            "open_tickets": Column(
                INTEGER, "complaints and tickets of a year that are open", empty=True
            ),
            "answers": Column(INTEGER, "customers who gave a score within a year", empty=True),
            "satisfaction": Column(NUMBER, "mean of their last scores, 0 to 1", empty=True),
            "measured": Column(INTEGER, "customers not lost at the measured day", empty=True),
            "actual": Column(INTEGER, "of these left within horizon_days", empty=True),
            "foretold_left": Column(NUMBER, "sum of their risks as told then", empty=True),
            "expected_left": Column(
                NUMBER, "leavers expected by their risks, given how many left in all", empty=True
            ),
            "ratio": Column(NUMBER, "actual over expected_left", empty=True),
            "low": Column(NUMBER, "lower end of the 95 % interval of the ratio", empty=True),
            "high": Column(NUMBER, "its upper end", empty=True),
            "shrunk": Column(
                NUMBER,
                "the ratio drawn towards 1, the more the less the portfolio tells",
                empty=True,
            ),
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


# The table that keeps each kind of records; `customers` is another, of one row per customer as of a
# day.
KEPT_AS = {
    name: "profiles" if name == "customers" else name for name in RECORDS if name != "transactions"
}


def empty(name: str) -> pa.Table:
    """A table without rows, with all columns of its contract."""
    return pa.schema([(c, spec.type) for c, spec in TABLES[name].columns.items()]).empty_table()


def conform(
    name: str, found: pd.DataFrame | pa.Table, contract: Contract | None = None
) -> pa.Table:
    """The contract's columns in its types and order, then any others; RunError where that cannot
    be. The contract is that of TABLES unless it is given.
    """
    columns = (contract or TABLES[name]).columns
    table = (
        pa.Table.from_pandas(found, preserve_index=False)
        if isinstance(found, pd.DataFrame)
        else found
    )
    wanted = [c for c, spec in columns.items() if c in table.column_names or not spec.optional]
    if missing := [c for c in wanted if c not in table.column_names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    try:
        typed = {c: table[c].cast(columns[c].type) for c in wanted}
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise RunError(f"table {name}: {error.args[-1]}") from None
    more = (
        [] if isinstance(found, pd.DataFrame) else [c for c in table.column_names if c not in typed]
    )
    return check(name, pa.table(typed | {c: table[c] for c in more}), contract)


def check(name: str, table: pa.Table, contract: Contract | None = None) -> pa.Table:
    """The table itself if it keeps its contract; RunError says what, in how many rows, if not."""
    contract = contract or TABLES[name]
    check_schema(name, table.schema, contract)
    if said := _empty_problem(contract, table) or _key_problem(contract, table):
        raise RunError(f"table {name}: {said}")
    return table


def check_schema(name: str, schema: pa.Schema, contract: Contract | None = None) -> None:
    """Refuse (RunError) columns that are missing or of another type than the contract's."""
    columns = (contract or TABLES[name]).columns
    if missing := [c for c, spec in columns.items() if not spec.optional and c not in schema.names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    found = {c: schema.field(c).type for c in columns if c in schema.names}
    if wrong := [
        f"{c} is {found[c]}, not {columns[c].type}" for c in found if found[c] != columns[c].type
    ]:
        raise RunError(f"table {name}: {'; '.join(wrong)}")


def _empty_problem(contract: Contract, table: pa.Table) -> str:
    counts = {
        c: table[c].null_count
        for c, spec in contract.columns.items()
        if not spec.empty and c in table.column_names
    }
    return ", ".join(
        f"{c} is empty in {count:,} of {len(table):,} rows" for c, count in counts.items() if count
    )


def _key_problem(contract: Contract, table: pa.Table) -> str:
    distinct = len(table.select(contract.key).group_by(list(contract.key)).aggregate([]))
    return (
        f"{len(table) - distinct:,} rows repeat the key {', '.join(contract.key)}"
        if distinct < len(table)
        else ""
    )


def write(name: str, frame: pd.DataFrame, path: Path, contract: Contract | None = None) -> None:
    """Write a frame as Parquet after checking its contract."""
    pq.write_table(conform(name, frame, contract), path)


def read(name: str, path: Path, contract: Contract | None = None) -> pd.DataFrame:
    """Read a checked table; days arrive as datetime64, texts as str."""
    return check(name, pq.read_table(path), contract).to_pandas(date_as_object=False)


# How a column is headed and written wherever a table shows it: heading and form (see
# report.text.Language).
SHOWN: dict[str, tuple[str, str]] = {
    "item": ("What", "text"),
    "rank": ("Place", "text"),
    "hit": ("Bought one", "percent"),
    "mrr": ("Mean of 1 / place", "short"),
    "coverage": ("Of all that is sold", "percent"),
    "new_offers": ("New", "int"),
    "again_offers": ("Due again", "int"),
    "asked_offers": ("Asked about", "int"),
    "popular_offers": ("Most bought", "int"),
    "model": ("Model", "word"),
    "difference": ("Against the champion", "short"),
    "expected": ("Orders expected", "number"),
    "outcome": ("Outcome", "word"),
    "reason": ("Reason", "word"),
    "segmentation": ("Grouping", "word"),
    "customers_share": ("Share of customers", "percent"),
    "abc_revenue": ("By revenue", "word"),
    "abc_profit": ("By profit", "word"),
    "window_revenue": ("Revenue", "money"),
    "window_profit": ("Profit", "money"),
    "margin": ("Margin", "percent"),
    "ordered": ("Ordered since", "int"),
    "share": ("Share", "percent"),
    "leavers": ("Expected to leave", "int"),
    "risk": ("Mean risk", "percent"),
    "high_risk": ("At high risk", "int"),
    "pauses": ("Waits", "int"),
    "censored": ("Not ended yet", "percent"),
    "median_days": ("Days until half order again", "int"),
    "not_yet": ("Not ordered again", "percent"),
    "lacks": ("Column that would bring it", "field"),
    "source": ("File", "text"),
    "line": ("Line", "int"),
    "column": ("Column", "field"),
    "value": ("What was found", "text"),
    "part": ("Part", "word"),
    "table": ("Table", "field"),
    "columns": ("Column", "field"),
    "day": ("Day", "date"),
    "lines": ("Order lines", "int"),
    "same_as": ("Perhaps the same as", "customer"),
    "keys": ("Because they share", "field"),
    "rows": ("Rows", "int"),
    "money": ("Money", "exact"),
    "oddity": ("What", "word"),
    "group": ("Group", "word"),
    "customers": ("Customers", "int"),
    "revenue": ("Revenue", "money"),
    "revenue_share": ("Share of revenue", "percent"),
    "orders": ("Orders each", "number"),
    "recency_days": ("Days since last order", "int"),
    "decile": ("Tenth", "int"),
    "predicted": ("Predicted", "percent"),
    "actual": ("Left", "percent"),
    "low": ("from", "percent"),
    "high": ("to", "percent"),
    "lift": ("Against average", "number"),
    "caught": ("Of all leavers", "percent"),
    "mean_risk": ("Mean risk", "percent"),
    "base": ("Left", "percent"),
    "brier": ("Brier", "short"),
    "skill": ("Better than average rate", "percent"),
    "auc": ("AUC", "percent"),
    "auc_low": ("from", "percent"),
    "auc_high": ("to", "percent"),
    "slope": ("Slope", "number"),
    "slope_low": ("from", "number"),
    "slope_high": ("to", "number"),
    "ece": ("Gap of tenths", "percent"),
    "ece_limit": ("Gap by chance", "percent"),
    "risk_before": ("Risk before", "text"),
    "churn_risk": ("Risk now", "text"),
    "value_at_stake": ("At stake", "text"),
    "expected_loss": ("Expected loss", "text"),
    "reasons": ("Why", "text"),
    "last_order": ("Last order", "date"),
    "last_items": ("Last bought", "text"),
    "approach": ("How to begin", "word"),
    "expected_return": ("Expected return", "money"),
    "tier": ("Tier", "word"),
    "stage": ("Stage", "word"),
    "risk_band": ("Risk", "text"),
    "action": ("Action", "text"),
    "channel": ("Channel", "word"),
    "owner": ("Owner", "word"),
    "due": ("By", "date"),
    "held_back": ("Held back", "int"),
    "objective": ("Objective", "text"),
    "again": ("Again after days", "int"),
    "effect": ("Effect", "percent"),
    "effect_low": ("from", "percent"),
    "effect_high": ("to", "percent"),
    "break_even": ("Pays from", "percent"),
    "measured_by": ("Measured by", "word"),
    "account_owner": ("Account owner", "word"),
    "status": ("What becomes of them", "text"),
    "goal": ("Goal", "text"),
    "measure": ("Measure", "word"),
    "now": ("Now", "text"),
    "target": ("Target", "text"),
    "gap": ("Still missing", "text"),
    "by": ("By", "date"),
    "days_left": ("Days left", "text"),
    "standing": ("Standing", "word"),
    "budget": ("Budget", "money"),
    "calls": ("May be called", "int"),
    "called": ("Called", "int"),
    "within": ("Within", "word"),
    "cost": ("Cost", "money"),
    "expected_value": ("Assumed value", "money"),
    "gain": ("Gain", "money"),
    "customer_id": ("Customer", "customer"),
    "tier_before": ("Tier before", "word"),
    "tier_after": ("Tier now", "word"),
    "loss": ("Revenue lost", "money"),
    "why": ("Why", "word"),
    "expected_orders": ("Orders expected", "text"),
    "clv": ("Lifetime value", "money"),
    "cluster": ("Group", "word"),
    "rule": ("Who", "word"),
    "right": ("Of these in the group", "percent"),
    "frequency": ("Repeat orders", "int"),
    "age_days": ("Days since first order", "int"),
    "order_value": ("Value of an order", "money"),
    "night_share": ("At night", "whole_percent"),
    "discount_share": ("Taken off prices", "whole_percent"),
    "attribute": ("Attribute", "field"),
    "revenue_each": ("Revenue each", "money"),
    "need": ("Need", "text"),
    "buyers": ("Have ordered", "text"),
    "prospects": ("Not yet", "text"),
    "contacts": ("Days with contacts", "text"),
    "a": ("With", "text"),
    "b": ("goes", "text"),
    "together": ("Orders with both", "int"),
    "times": ("Times expected", "number"),
    "lift_low": ("from", "number"),
    "lift_high": ("to", "number"),
    "confidence": ("Of orders with the first", "percent"),
    "level": ("Level", "word"),
    "assumed_lift": ("Assumed", "percent"),
    "points_cost": ("Points", "money"),
    "benefit_cost": ("Benefits", "money"),
    "liability": ("Outstanding points", "money"),
    "breakage": ("Never redeemed", "money"),
    "brought": ("Brought", "text"),
    "holiday": ("Holiday", "text"),
    "campaign_id": ("Campaign", "text"),
    "kind": ("Kind", "word"),
    "window_days": ("Days counted", "int"),
    "treated": ("Treated", "int"),
    "control": ("Held back", "int"),
    "proof": ("Control", "word"),
    "orders_effect": ("Extra orders", "number"),
    "orders_low": ("from", "number"),
    "orders_high": ("to", "number"),
    "money_effect": ("Extra money", "money"),
    "money_low": ("from", "money"),
    "money_high": ("to", "money"),
    "p_holm": ("Chance of a false alarm, together", "percent"),
    "total": ("Extra money in all", "money"),
    "profit": ("Profit", "money"),
    "profit_low": ("from", "money"),
    "profit_high": ("to", "money"),
    "verdict": ("Verdict", "word"),
    "also_reached": ("Also in another", "whole_percent"),
    "covariate": ("What", "word"),
    "mean_treated": ("Treated", "number"),
    "mean_control": ("Held back", "number"),
    "smd": ("Standardised difference", "number"),
    "exempt": ("Exempt", "int"),
    "smallest_effect": ("Hoped for", "number"),
    "detectable_effect": ("Can be proven", "number"),
    "needed": ("Customers needed", "int"),
    "enough": ("Large enough", "text"),
    "score": ("Score", "int"),
    "answers": ("Answers", "int"),
    "response": ("Answered", "percent"),
    "period_end": ("Until", "date"),
    "months": ("Months", "int"),
    "last_contact": ("Last contact", "date"),
    "open_tickets": ("Open tickets", "int"),
    "comment": ("Last comment", "text"),
    "opened": ("Opened", "int"),
    "closed": ("Closed", "int"),
    "still_open": ("Still open", "int"),
    "strategic": ("Strategic", "int"),
    "value_at_risk": ("At risk", "money"),
    "new_customers": ("New customers", "int"),
    "orders_each": ("Orders each", "text"),
    "follow_ups": ("Contacts made", "int"),
    "follow_ups_due": ("Contacts due", "int"),
    "overdue": ("Overdue", "int"),
    "satisfaction": ("Satisfaction (of 1)", "number"),
    "measured": ("Customers then", "int"),
    "left_counted": ("Left", "int"),
    "ratio_low": ("from", "number"),
    "ratio_high": ("to", "number"),
    "points_low": ("from", "int"),
    "points_high": ("to", "int"),
    "foretold_left": ("Foretold", "text"),
    "expected_left": ("Expected", "int"),
    "ratio": ("Times expected", "number"),
    "shrunk": ("Drawn towards 1", "number"),
    "factor": ("Times the budget", "short"),
    "price_of_budget": ("Brought by one more", "number"),
    "unmet": ("Must, but does not fit", "text"),
}

# What a column of the records is called in reports, and kinds of records.
FIELDS = {
    "transactions_records": "Order lines",
    "customers_records": "Profiles",
    "interactions_records": "Contacts",
    "feedback_records": "Feedback",
    "campaigns_records": "Campaigns",
    "products_records": "Products",
    "customer_id": "Customer id",
    "date": "Date",
    "amount": "Amount",
    "quantity": "Quantity",
    "unit_price": "Unit price",
    "cost": "Cost",
    "profit": "Profit",
    "discount": "Discount",
    "order_id": "Order id",
    "product": "Product",
    "category": "Category",
    "channel": "Channel",
    "status": "Status",
    "currency": "Currency",
    "company": "Company",
    "name": "Name",
    "contact": "Contact",
    "title": "Title",
    "phone": "Phone",
    "email": "E-mail",
    "tax_id": "Tax number",
    "region": "Region",
    "city": "City",
    "industry": "Industry",
    "company_size": "Company size",
    "credit_rating": "Credit rating",
    "owner": "Account owner",
    "lead_source": "Lead source",
    "referrer": "Referrer",
    "birthday": "Birthday",
    "first_contact": "First contact",
    "updated": "Updated",
    "contract_end": "End of contract",
    "churned": "Churned",
    "consent": "Consent",
    "opt_out": "Opted out",
    "outcome": "Outcome",
    "note": "Note",
    "kind": "Kind",
    "score": "Score",
    "closed": "Closed",
    "comment": "Comment",
    "campaign_id": "Campaign id",
    "arm": "Treated or held back",
    "end": "End",
    "responded": "Responded",
    "product_name": "Product name",
    "brand": "Brand",
    "price": "Price",
    "durable": "Durable",
    "available": "Available",
    "customers": "Profiles",
    "transactions": "Order lines",
    "interactions": "Contacts",
    "moment": "Time of day",
    "stage": "Stage",
    "revenue": "Revenue",
    "risk_band": "Risk",
}

# What coded values of the tables are called in reports; others are shown as they are.
LABELS = {
    "customers": "customers",
    "revenue": "revenue",
    "profit": "profit",
    "risk": "risk",
    "rows": "rows",
    "actual": "counted",
    "model": "modelled",
    "expected": "expected",
    "average": "average of all",
    "perfect": "perfect forecast",
    "model_ends": "data of the model end",
    "strategic": "Strategic",
    "important": "Important",
    "ordinary": "Ordinary",
    "potential": "Potential",
    "high": "High",
    "medium": "Medium",
    "low": "Low",
    "unknown": "Unknown",
    "kept": "Kept",
    "merged": "Merged",
    "rejected": "Rejected",
    "mended": "Mended",
    "left_empty": "not readable, left empty",
    "jump": "sudden jump",
    "silent_day": "day without a line",
    "zero_value": "amount of zero",
    "repeated_row": "repeats another row, but no order key proves it a copy",
    "below_zero": "return",
    "return_without_sale": "return without a sale before it in the log",
    "no_orders": "no orders any more",
    "fewer_orders": "fewer orders",
    "smaller_orders": "smaller orders",
    "keep_strategic": "Keep strategic customers",
    "rescue_strategic": "Rescue strategic customers",
    "grow_strategic": "Grow strategic customers",
    "watch_weak_strategic": "Watch weak strategic customers",
    "win_back_important": "Win back important customers",
    "call_important": "Call important customers",
    "grow_important": "Grow important customers",
    "win_back_silent": "Win back silent customers",
    "second_order": "Win the second order",
    "welcome": "Welcome new customers",
    "remind": "Remind silent customers",
    "let_go": "Greet lost customers",
    "let_go_weak": "Greet lost customers, weakly rated",
    "first_order": "Invite prospects",
    "refinance_good": "Keep well rated borrowers",
    "grow_good": "Grow well rated borrowers",
    "important_other": "Look after other important borrowers",
    "no_new_credit": "Weakly rated: no new credit",
    "no_new_credit_important": "Important, weakly rated: no new credit",
    "first_loan_good": "Win well rated prospects",
    "no_first_loan": "Weakly rated prospects: no credit",
    "first_loan": "Get prospects rated",
    "ordinary_weak": "Ordinary, weakly rated: no new credit",
    "newsletter": "Newsletter",
    "held_back": "No action: held back to measure the effect",
    "no_consent": "No action: no consent to be contacted",
    "planned": "Planned",
    "contacted_lately": "No action: contacted lately",
    "not_worth": "No action: none pays",
    "beyond_budget": "No action: beyond the budget or the capacity",
    "assumption": "assumed",
    "phone": "phone",
    "visit": "visit",
    "email": "e-mail",
    "mail": "letter",
    "account_manager": "account manager",
    "customer_care": "customer care",
    "credit_manager": "credit manager",
    "marketing": "marketing",
    "sales": "sales",
    "reached": "reached",
    "open": "open",
    "not_begun": "its period has not begun",
    "under_way": "its period is under way",
    "missed": "missed",
    "all": "all",
    "too_few_repeaters": "too few customers ordered more than once",
    "did_not_converge": "the fit did not settle",
    "not_identified": "the data do not determine the model",
    "no_mean_spend": "the spend per order varies too wildly to have a mean",
    "too_little_past": "there is too little past to learn from",
    "no_common_base": "the forecast that it corrects cannot be estimated on all days alike",
    "spend_depends_on_frequency": "customers who order more often spend more or less on each order",
    "one_time": "Ordered once",
    "some_repeats": "2 to 4 orders",
    "many_repeats": "5 or more orders",
    "differs": "differs from the others beyond chance",
    "within_chance": "within chance, or too weak to matter",
    "average_known": "average of those whose class is known",
    "notable": "more than chance, and not negligible",
    "not_shown": "not shown, because few persons stand there or near",
    "other_items": "All others",
    "buyers": "customers who bought other things",
    "prospects": "prospects (no order yet)",
    "horizon": "time ahead that is predicted",
    "bronze": "Bronze",
    "silver": "Silver",
    "gold": "Gold",
    "platinum": "Platinum",
    "diamond": "Diamond",
    "cost": "cost",
    "follow_up": "Visit",
    "birthday": "Birthday",
    "anniversary": "Anniversary",
    "refresh": "Profile to refresh",
    "the_plan": "the plan",
    "half_or_double": "half and double its budget",
    "at_most": "at most",
    "random": "held back by lot",
    "observational": "no control group",
    "too_small": "too few customers",
    "not_over": "not over yet",
    "before_log": "before the log begins",
    "works": "works",
    "does_not_work": "does not pay",
    "not_proven": "not proven",
    "harms": "harms",
    "exempt": "nobody is held back",
    "nps": "Would recommend us (net promoter score)",
    "csat": "Satisfied (4 or 5 of 5)",
    "ticket": "open ticket",
    "complaint": "open complaint",
    "without_owner": "Without owner",
    "more_left": "more left than expected",
    "fewer_left": "fewer left than expected",
    "as_expected": "as expected",
    "unmeasured": "not measured",
    "left_ratio": "counted against expected",
    "drawn_to_all": "drawn towards that of all",
    "beyond_chance": "beyond chance",
    "no_orders_before": "no order in the year before",
    "some_orders_before": "1 to 4 orders in the year before",
    "many_orders_before": "5 or more orders in the year before",
    "orders_before": "orders of as many days before",
    "money_before": "money of as many days before",
    "orders_year": "orders of the year before",
    "money_year": "money of the year before",
    "recency_days": "days since the last order",
    "again": "due again",
    "asked": "asked about",
    "popular": "most bought",
}
