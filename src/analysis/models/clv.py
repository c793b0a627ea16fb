"""Lifetime value: the models of orders and of spend, and what they make customers worth."""

from functools import partial

import numpy as np
import pandas as pd

from analysis.errors import NotEstimable
from analysis.intake.dataset import Dataset
from analysis.models import btyd
from analysis.models.orders import (
    BTYD,
    MIN_REPEATERS,
    AverageRate,
    BuyTillYouDie,
    Labelled,
    LastPeriod,
    OrderModel,
    OwnRate,
    Regular,
    by_customer,
)
from analysis.models.trees import Trees
from analysis.report.text import N_

STEP_DAYS = 91.0  # lifetime value adds up quarters, each discounted from its middle
MOST_CORRELATED = 0.3  # |rank correlation| of orders and their value that misleads Gamma-Gamma
# Days in both of which a new price shows, by so many standard errors and at least so much
LATELY, PROVEN, LEAST_CHANGE = (28, 56), 3.0, 1.05
PRIOR_ORDERS = 3  # orders of average value that shrinkage adds to a customer's own

# The simplest first: of models that forecast equally well the first one is taken.
ORDER_MODELS = {
    "average_rate": Labelled(N_("Average rate of all"), AverageRate),
    "last_period": Labelled(N_("Last period again"), LastPeriod),
    "own_rate": Labelled(N_("Own rate"), OwnRate),
    "bg_nbd": Labelled(N_("BG/NBD"), partial(BuyTillYouDie, BTYD["bg_nbd"])),
    "mbg_nbd": Labelled(N_("MBG/NBD"), partial(BuyTillYouDie, BTYD["mbg_nbd"])),
    "pareto_nbd": Labelled(N_("Pareto/NBD"), partial(BuyTillYouDie, BTYD["pareto_nbd"])),
    "bg_nbd_calendar": Labelled(
        N_("BG/NBD by the calendar"), partial(BuyTillYouDie, BTYD["bg_nbd"], by_calendar=True)
    ),
    "bg_nbd_regular": Labelled(N_("BG/NBD of regular orders"), Regular),
    # from the features alone, at their own level
    "boosted": Labelled(N_("Boosted trees"), partial(Trees, told=False, held=False)),
    "hybrid": Labelled(N_("Trees on the probabilistic forecast"), partial(Trees, related=True)),
    "stacked": Labelled(N_("Trees with the probabilistic forecast"), Trees),
}


# Spend: each gives the money expected of one order, by customer_id, before returns.
def mean_spend(customers: pd.DataFrame) -> pd.Series:
    """The mean of all customers for each."""
    mean = customers.order_value.mean()
    return by_customer(customers, np.full(len(customers), 0.0 if np.isnan(mean) else mean))


def shrunk_spend(customers: pd.DataFrame) -> pd.Series:
    """The own mean, drawn towards that of all as if PRIOR_ORDERS orders of average value had been
    placed too.
    """
    prior = PRIOR_ORDERS * mean_spend(customers).to_numpy()
    own = customers.order_value.fillna(0) * customers.orders
    return by_customer(customers, (own + prior) / (customers.orders + PRIOR_ORDERS))


def gamma_gamma_spend(customers: pd.DataFrame) -> pd.Series:
    """Gamma-Gamma on repeat orders above zero (Fader & Hardie 2013); it takes spend to be
    independent of frequency.
    """
    valued = customers[customers.repeat_valued > 0]
    if len(valued) < MIN_REPEATERS:
        raise NotEstimable("too_few_repeaters")
    if abs(valued.repeat_valued.corr(valued.repeat_value, method="spearman")) > MOST_CORRELATED:
        raise NotEstimable("spend_depends_on_frequency")
    fitter = btyd.GammaGammaFitter().fit(valued.repeat_valued, valued.repeat_value)
    if fitter.problem_:
        raise NotEstimable(fitter.problem_)
    history = customers.repeat_valued, customers.repeat_value.fillna(0)
    return by_customer(customers, fitter.conditional_expected_average_profit(*history))


SPEND_MODELS = {
    "mean_spend": Labelled(N_("Mean of all"), mean_spend),
    "shrunk_spend": Labelled(N_("Own mean, drawn to that of all"), shrunk_spend),
    "gamma_gamma": Labelled(N_("Gamma-Gamma"), gamma_gamma_spend),
}
DEFAULT_SPEND = "shrunk_spend"


def price_level(customers: pd.DataFrame) -> float:
    """How an order's money of the last LATELY days compares with the same customers' before; 1
    where that is within chance, too little to matter, or not lasting.
    """
    levels = [_level(customers, days) for days in LATELY]
    least = [max(PROVEN * error, np.log(LEAST_CHANGE)) for _level_, error in levels]
    changes = np.log([level for level, _error in levels])
    proven = (np.abs(changes) > least).all() and np.ptp(np.sign(changes)) == 0
    return levels[-1][0] if proven else 1.0


def _level(customers: pd.DataFrame, days: int) -> tuple[float, float]:
    """The same of some days, with its standard error in logs."""
    lately = customers[f"orders_{days}"]
    both = customers[(lately > 0) & (lately < customers.orders)]
    new, money = both[f"orders_{days}"], both[f"revenue_{days}"]
    before = (both.order_value * both.orders - money) / (both.orders - new)
    usual = new * before.clip(lower=0)
    if len(both) < MIN_REPEATERS or money.sum() <= 0 or usual.sum() <= 0:
        return 1.0, np.inf
    level = money.sum() / usual.sum()
    return float(level), float(np.sqrt(np.square(money - level * usual).sum()) / money.sum())


def at_prices_of_today(customers: pd.DataFrame) -> pd.DataFrame:
    """The customers with their earlier orders' value at the level of the latest, where it changed
    (price_level).
    """
    level = price_level(customers)
    if level == 1:
        return customers
    lately = customers[f"orders_{LATELY[-1]}"] / customers.orders
    now = level / (1 + lately * (level - 1))
    values = {name: customers[name] * now for name in ("order_value", "repeat_value")}
    return customers.assign(**values, revenue=customers.revenue * now)


def order_value(customers: pd.DataFrame, spend: str) -> pd.Series:
    """Money expected of one order net of returns, by customer_id, by a spend model, at prices of
    today; nan where the log says nothing of money.
    """
    if customers.revenue.isna().all():
        return by_customer(customers, np.full(len(customers), np.nan))
    customers = at_prices_of_today(customers)
    ordered = (customers.order_value * customers.orders).sum()
    kept = np.clip(customers.revenue.sum() / ordered, 0, 1) if ordered else 1.0
    return SPEND_MODELS[spend](customers) * kept


def estimable_order_value(customers: pd.DataFrame, spend: str) -> tuple[pd.Series, str]:
    """The same, or by DEFAULT_SPEND with the reason why the model asked for cannot be estimated."""
    try:
        return order_value(customers, spend), ""
    except NotEstimable as reason:
        return order_value(customers, DEFAULT_SPEND), str(reason)


def discounted_orders(
    model: OrderModel, customers: pd.DataFrame, days: float, annual_rate: float
) -> pd.Series:
    """Order days expected over `days`, each worth less the later it comes, by customer_id."""
    ends = np.append(np.arange(STEP_DAYS, days, STEP_DAYS), days)
    total, before, start = by_customer(customers, np.zeros(len(customers))), 0.0, 0.0
    for end in ends:
        upto = model.predict(customers, end)
        total += (upto - before) / (1 + annual_rate) ** ((start + end) / 2 / 365.25)
        before, start = upto, end
    return total


def lifetime_value(
    customers: pd.DataFrame,
    model: OrderModel,
    order_value: pd.Series,
    settings: Dataset,
    margin: float,
) -> pd.DataFrame:
    """The table `clv` without its intervals; `margin` as from customers.margin."""
    orders = model.predict(customers, settings.horizon_days)
    future = discounted_orders(model, customers, settings.value_days, settings.annual_discount_rate)
    table = {
        "expected_orders": orders,
        "expected_order_value": order_value,
        "expected_spend": orders * order_value,
        "clv": future * order_value * margin,
    }
    return pd.DataFrame(table).rename_axis("customer_id").reset_index()


def standing(customers: pd.DataFrame, new_days: int) -> pd.Series:
    """How much a forecast of each customer rests on, by customer_id: new (first order within
    new_days), one_time, some_repeats (2 to 4 orders), many_repeats.
    """
    classes = np.select(
        [customers.age_days < new_days, customers.orders == 1, customers.orders < 5],
        ["new", "one_time", "some_repeats"],
        default="many_repeats",
    )
    return pd.Series(classes, customers.customer_id, dtype="str")


def share_of_top(values: pd.Series, top: float) -> float:
    """The share of the total that the most valuable share of customers holds."""
    count = int(np.ceil(round(top * len(values), 9)))
    return float(values.nlargest(count).sum() / values.sum()) if values.sum() else float("nan")
