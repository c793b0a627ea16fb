"""Invented companies whose future is known: how far off are totals and lifetime value?

    python tests/bench/worlds.py  # all of them, 20 seeds
    python tests/bench/worlds.py christmas shock --seeds 3
    python tests/bench/worlds.py --fast --seeds 100  # without trees: how often do intervals hold?
    python tests/bench/worlds.py --year  # the revenue of a year, newcomers included, instead

Customers come evenly over three years and reorder by BG/NBD or Pareto/NBD, in a rate that the
calendar changes for all of them. What follows is simulated on for three years more.
"""

import argparse
import datetime as dt
import time
from typing import NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import customers
from analysis.models import backtest, clv, orders, revenue_to_come

DAYS, AHEAD = 1095, 1095  # of the log, and of the truth after it
HORIZON_DAYS = 91
NEW_YEAR, SEPTEMBER = dt.date(2024, 12, 31), dt.date(2024, 9, 30)
# new moons, as an almanac gives them
EID = ("2022-05-02", "2023-04-21", "2024-04-10", "2025-03-30", "2026-03-20", "2027-03-09")
SPRING = ("2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06")


class World(NamedTuple):
    """What is special: the day of the picture; height of a peak before Christmas over the rest of
    the year; growth a year of each customer's rate, and of the number who come; what the rate is
    since 45 days; what prices are since 60 days; how regular orders are (1: by chance); the share
    who never come back; whether customers leave at any time (Pareto/NBD), not after an order.
    """

    day: dt.date = NEW_YEAR
    peak: float = 0.0
    growth: float = 0.0
    more_come: float = 0.0
    shock: float = 1.0
    price: float = 1.0
    regular: int = 1
    never: float = 0.0
    anytime: bool = False
    spread: float = 0.4  # of the amounts of one customer, in logs
    feasts: tuple[str, ...] = ()  # ISO days, each after four weeks in which orders are 2.5 times


WORLDS = {
    "bg_nbd": World(),
    "pareto_nbd": World(anytime=True),
    "christmas": World(peak=3.0),
    "christmas_september": World(day=SEPTEMBER, peak=3.0),
    "mild": World(peak=0.6),
    "growth": World(growth=0.35),
    "more_come": World(more_come=0.35),
    "shock": World(shock=0.5),
    "price": World(price=1.2),
    "regular": World(regular=3),
    "ramadan": World(feasts=EID),
    "spring_festival": World(day=dt.date(2025, 1, 31), feasts=SPRING),
    "once": World(never=0.7, spread=1.0),
}


def rates(world: World) -> np.ndarray:
    """The rate of orders on each day of the log and the truth, 1 is usual."""
    days = np.arange(DAYS + AHEAD)
    dates = pd.Timestamp(world.day) + pd.to_timedelta(days - DAYS + 1, unit="D")
    away = np.abs((dates.day_of_year.to_numpy() - 346 + 182) % 365 - 182)  # from 12 December
    rate = (1 + world.peak * np.exp(-0.5 * (away / 18) ** 2)) * (1 + world.growth) ** (days / 365)
    for feast in pd.DatetimeIndex(world.feasts):
        before = (feast - dates).days.to_numpy()
        rate = np.where((before > 0) & (before <= 28), 2.5, 1.0) * rate
    return np.where(days >= DAYS - 45, world.shock, 1.0) * rate


def simulate(
    world: World, seed: int, count: int = 2000
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Orders up to the day, and those after it of the same customers (columns: customer_id, day,
    amount); and who is still there on the day.
    """
    rng = np.random.default_rng(seed)
    clock = np.append(0, rates(world).cumsum())
    come = rng.uniform(0, 1, count)
    growth = np.log1p(world.more_come) / 365
    come = np.log1p(come * np.expm1(growth * DAYS)) / growth if growth else come * DAYS
    born = np.minimum(np.sort(come), DAYS - 1)
    rate = rng.gamma(0.9, 1 / 63, count)
    gaps = rng.gamma(world.regular, 1 / world.regular, (count, 400)) / rate[:, None].clip(1e-9)
    start = np.interp(born, np.arange(len(clock)), clock)
    when = start[:, None] + gaps.cumsum(axis=1)
    if world.anytime:
        life = rng.exponential(1 / rng.gamma(0.7, 1 / 127, count).clip(1e-9))
        alive = when <= (start + life)[:, None]
        here = start + life > clock[DAYS]
    else:
        stays = rng.uniform(size=when.shape) > rng.beta(0.5, 4.0, count)[:, None]
        alive = np.hstack([np.ones((count, 1), bool), stays.cumprod(axis=1)[:, :-1].astype(bool)])
        here = (alive & (when >= clock[DAYS])).any(axis=1)
    returns = rng.uniform(size=count) >= world.never
    alive &= returns[:, None] & (when < clock[-1])
    who = np.append(np.arange(count), np.nonzero(alive)[0])
    day = np.floor(np.append(born, np.interp(when[alive], clock, np.arange(len(clock)))))
    log = pd.DataFrame({"who": who, "n": day.astype(int)}).drop_duplicates().sort_values("who")
    usual = rng.normal(3.5, 0.6, count)[log.who]
    amount = np.exp(usual + rng.normal(0, world.spread, len(log)))
    amount *= np.where(log.n >= DAYS - 60, world.price, 1.0)
    dates = pd.Timestamp(world.day) + pd.to_timedelta(log.n - DAYS + 1, unit="D")
    orders = pd.DataFrame(
        {"customer_id": log.who.astype("str"), "day": dates.dt.date, "amount": amount.round(2)}
    )
    still = pd.Series(here & returns, np.arange(count).astype("str"))
    return orders[log.n < DAYS], orders[log.n >= DAYS], still


def as_log(orders_: pd.DataFrame) -> Table:
    """Orders as the table `transactions`."""
    log = ibis.memtable(orders_)
    return log.mutate(day=_.day.cast("date"), amount=_.amount.cast("decimal(38, 12)")).cache()


def judged(world: World, seed: int) -> dict[str, float | str]:
    """How a forecast of one company came true: relative errors of the orders in the horizon and in
    three years; the half-width of the total's interval, and whether it held; the share of
    customers within theirs; the half-width of the interval of three years, and whether it held;
    Brier's score of who is still there, by the model (or its base) and by BG/NBD.
    """
    past, later, still = simulate(world, seed)
    log, end = as_log(past), world.day + dt.timedelta(days=HORIZON_DAYS)
    test = backtest.run(log, world.day, HORIZON_DAYS)
    known = customers.buyers(customers.at(log, world.day, 0, orders.trailing(HORIZON_DAYS)))
    model, name, _why = backtest.fit_champion(test, known)
    forecast = model.predict(known, HORIZON_DAYS)
    total = test.outcomes.total(forecast.to_numpy())
    came = later[later.day <= end]
    each = came.groupby("customer_id").size().reindex(known.customer_id, fill_value=0)
    worth = model.predict(known, AHEAD).to_numpy()
    others = backtest.as_good(test, name, known)
    value = backtest.value_doubt(test, model, others, known, AHEAD, seed).of_total(worth)
    calendar = getattr(model, "calendar_", None)
    base, plain = getattr(model, "base_", model), orders.probabilistic(known, orders.DEFAULT)
    here = still[known.customer_id].to_numpy()
    told = [base if isinstance(base, orders.BuyTillYouDie) else plain, plain]
    gone = [((m.still_there(known).to_numpy() - here) ** 2).mean() for m in told]
    return {
        "model": name,
        "orders": forecast.sum() / len(came) - 1,
        "half": (total["high"] - total["low"]) / 2 / forecast.sum(),
        "held": float(total["low"] <= len(came) <= total["high"]),
        "customers": test.outcomes.covered(forecast.to_numpy(), each.to_numpy(float)),
        "value": worth.sum() / len(later) - 1,
        "value_half": (value["high"] - value["low"]) / 2 / worth.sum(),
        "value_held": float(value["low"] <= len(later) <= value["high"]),
        "broke": float(calendar.broke if calendar else 0),
        "there": gone[0],
        "there_plain": gone[1],
    }


def year(world: World, seed: int) -> dict[str, float]:
    """How the revenue to come of the last year of the log came true, newcomers included: relative
    error, half-width of its interval in logs, and whether that held.
    """
    every, *_later = simulate(world, seed)
    day = world.day - dt.timedelta(days=364)
    log, came = as_log(every[every.day <= day]), every.amount[every.day > day].sum()
    test = backtest.run(log, day, HORIZON_DAYS)
    known = customers.buyers(customers.at(log, day, 0, orders.trailing(HORIZON_DAYS)))
    model, *_why = backtest.fit_champion(test, known)
    value = clv.order_value(known, clv.DEFAULT_SPEND)
    last = revenue_to_come.by_quarter(test, known, model, value)[0].iloc[-1]
    half, held = np.log(last.high / last.upto), float(last.low <= came <= last.high)
    return {"off": last.upto / came - 1, "half": half, "held": held}


def print_years(names: list[str], seeds: int) -> None:
    for name in names:
        found = pd.DataFrame([year(WORLDS[name], seed) for seed in range(seeds)])
        print(
            f"{name:20} revenue of a year off by {found.off.abs().mean():.1%}, half-width"
            f" {found.half.mean():.1%}, held {found.held.mean():.0%}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("worlds", nargs="*", default=list(WORLDS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fast", action="store_true", help="without the models that learn trees")
    parser.add_argument("--year", action="store_true", help="the revenue of a year instead")
    asked = parser.parse_args()
    for learned in ("boosted", "hybrid", "stacked") if asked.fast else ():
        del clv.ORDER_MODELS[learned]
    if asked.year:
        print_years(asked.worlds, asked.seeds)
        return
    every = []
    for name in asked.worlds:
        begun = time.perf_counter()
        found = pd.DataFrame([judged(WORLDS[name], seed) for seed in range(asked.seeds)])
        off, chosen = found.orders, found.model.value_counts()
        models = ", ".join(f"{model} {n}" for model, n in chosen.items())
        print(
            f"{name:20} orders off by {off.abs().mean():.1%} (mean {off.mean():+.1%}),"
            f" half-width {found.half.mean():.1%}, held {found.held.mean():.0%}, of"
            f" customers {found.customers.mean():.1%}; three years off by"
            f" {found.value.abs().mean():.1%}, half-width {found.value_half.mean():.1%}, held"
            f" {found.value_held.mean():.0%}; break in {(found.broke > 0).mean():.0%}; still there:"
            f" Brier {found.there.mean():.4f} (BG/NBD {found.there_plain.mean():.4f}); {models};"
            f" {(time.perf_counter() - begun) / asked.seeds:.1f} s each",
            flush=True,
        )
        every.append(found)
    whole = pd.concat(every)
    print(
        f"all together: totals held {whole.held.mean():.1%}, customers {whole.customers.mean():.1%}"
    )


if __name__ == "__main__":
    main()
