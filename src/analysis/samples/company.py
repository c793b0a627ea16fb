"""An invented company: its products, accounts and campaigns, and what each account truly does from
2023 to 2025.

It sells equipment, consumables, services and project financing to firms in China and abroad. `demo`
writes its files.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[Any]
Random = np.random.Generator

FIRST = np.datetime64("2023-01-01")  # day 0, a Sunday
DAYS = 1096  # to 2025-12-31, the day of the picture
ACCOUNTS, PROSPECTS, DOUBLES = 4000, 600, 60
NULL_ID = "Null"  # somebody's id, and no missing value
RATE_SHAPE = 1.2  # of the gamma of purchase rates: many small customers, few large ones
VALUE_SPREAD = (
    0.7,
    0.5,
)  # sigma of the lognormal order value: between accounts, between orders of one
ALREADY, SINGLE, LATENT, BORROWS = (
    0.45,
    0.12,
    0.15,
    0.15,
)  # shares of accounts: older than the records, with such interests
WEEKEND_MOVED, PEAK_MOVED, ASKS_LATENT = 0.85, 0.85, 0.6  # shares of orders, orders, contacts
TASTE_NOISE = 0.12  # how far a choice of product strays from the account's taste, of 1
UNHAPPY_DAYS = 120  # before leaving, scores fall and tickets come

CHINA = {
    "上海": "上海",
    "江苏": "苏州",
    "浙江": "宁波",
    "广东": "佛山",
    "山东": "青岛",
    "四川": "成都",
    "湖北": "武汉",
}
ABROAD = {
    "Germany": "Hamburg",
    "Vietnam": "Hanoi",
    "Kenya": "Nairobi",
    "Chile": "Santiago",
    "NA": "Windhoek",
}  # NA: Namibia
RATINGS = {
    "AAA": 0.97,
    "AA": 0.9,
    "A": 0.75,
    "BBB": 0.5,
    "BB": 0.2,
}  # share of the financing asked for that is granted


@dataclass(frozen=True)
class Category:
    """Products from the cheapest to the dearest, and what part of the price they cost."""

    nouns: str
    models: int
    prices: tuple[float, float]
    cost: float
    weight: float  # of the Dirichlet that spreads an account's purchases


CATEGORIES = {
    "设备": Category("手持测量仪 输送机 包装机 数控机床 激光切割机", 3, (900, 180_000), 0.74, 1.0),
    "耗材": Category("密封圈 滤芯 润滑油 切削液 刀具 标签", 3, (12, 2_500), 0.55, 3.0),
    "服务": Category("操作培训 年度保养 上门维修 工艺咨询", 2, (300, 30_000), 0.4, 1.5),
    "项目融资": Category("融资咨询 设备租赁 项目贷款", 1, (1_500, 60_000), 0.2, 0.4),
}


@dataclass(frozen=True)
class Group:
    """How accounts of one kind behave."""

    share: float
    orders: float  # a year, on average
    value: float  # CNY, median order value
    web: float  # share of orders in the web shop
    years: float  # until leaving, on average
    growth: float = 1  # exponent of time in the number of orders to date; 1: steady


GROUPS = {
    "key": Group(0.02, 36, 60_000, 0.05, 12),
    "growing": Group(0.06, 16, 9_000, 0.25, 8, growth=2),
    "night": Group(0.06, 16, 2_500, 0.95, 3),  # order in the web shop from 22 to 2 o'clock
    "discount": Group(0.08, 11, 3_000, 0.7, 2.5),  # order in the first weeks of June and November
    "seasonal": Group(0.08, 10, 12_000, 0.15, 5),  # order within two months of the year
    "steady": Group(0.70, 11, 8_000, 0.25, 2.5),
}


@dataclass(frozen=True)
class Campaign:
    """A campaign with a control group drawn by lot; `effect`: orders it adds per treated account
    within `window_days`.
    """

    campaign_id: str
    date: str
    kind: str
    channel: str
    cost: float  # CNY per treated account
    silent_days: tuple[int, int]  # since the last order of those chosen
    effect: float
    answers: float = 0.08  # share of the treated who respond without ordering
    control: float = 0.35
    window_days: int = 45


CAMPAIGNS = (
    Campaign("WB2024", "2024-11-25", "挽回", "电话", 60, (60, 540), 0.3),  # clearly positive
    Campaign("NEW2025", "2025-01-06", "新品推荐", "邮件", 4, (30, 365), 0.1),  # smaller
    Campaign(
        "CARD2025", "2025-09-01", "节日贺卡", "邮寄", 12, (30, 540), 0.0, answers=0.2
    ),  # none, though people respond
)


@dataclass(frozen=True)
class Company:
    """Everything that is true of the company. Accounts and products go by their row numbers.

    accounts: see _accounts; weights: per account the share of purchases in each category; doubles:
    accounts with a second customer id; lines: see _lines; members: accounts in campaigns
    (campaign_id, account, treat, caused, responded).
    """

    products: pd.DataFrame
    accounts: pd.DataFrame
    weights: Array
    doubles: pd.DataFrame
    lines: pd.DataFrame
    members: pd.DataFrame


def draw(rng: Random) -> Company:
    """The company, drawn by chance."""
    products, accounts = _products(), _accounts(rng)
    weights, doubles = _weights(rng, accounts), _doubles(rng, accounts)
    orders, members = _with_campaigns(rng, _orders(rng, accounts))
    lines = _lines(rng, accounts, weights, orders, products)
    return Company(
        products, accounts, weights, doubles, _signed(rng, accounts, doubles, lines), members
    )


def day(number: Any) -> Any:
    """The date, or dates, of a day since FIRST."""
    return FIRST + number


def _products() -> pd.DataFrame:
    rows = []
    for name, category in CATEGORIES.items():
        names = [
            f"{noun} {chr(65 + model)}{model + 1}"
            for noun in category.nouns.split()
            for model in range(category.models)
        ]
        for product, price in zip(names, np.geomspace(*category.prices, len(names)), strict=True):
            rows.append(
                (
                    product,
                    name,
                    round(price, -1 if price > 1000 else 0),
                    category.cost,
                    name == "设备",
                )
            )
    table = pd.DataFrame(rows, columns=["product", "category", "price", "cost", "durable"])
    return table.assign(cost=(table.price * table.cost).round(2), available=table.index % 17 != 5)


def _accounts(rng: Random) -> pd.DataFrame:
    """One row per account: its group, purchase rate, days of the first order and of leaving, and
    its tastes.
    """
    count, categories = ACCOUNTS, len(CATEGORIES)
    group = rng.choice(list(GROUPS), count, p=[g.share for g in GROUPS.values()])
    traits = pd.DataFrame([asdict(GROUPS[name]) for name in group])
    rate = rng.gamma(RATE_SHAPE, traits.orders / RATE_SHAPE)
    since_the_records_begin = rng.integers(0, DAYS - 20, count)
    first = np.where(
        rng.random(count) < ALREADY,
        np.minimum(rng.exponential(365 / rate), 364),
        since_the_records_begin,
    )
    buyer = rng.permutation(count) >= PROSPECTS
    interest = np.where(rng.random(count) < SINGLE, rng.integers(0, categories - 1, count), -1)
    another = (np.maximum(interest, 0) + rng.integers(1, categories, count)) % categories
    borrowed = rng.lognormal(np.log(1_500_000), 0.9, count).round(-4)
    regions = [*CHINA, *ABROAD]
    return pd.DataFrame(
        {
            "id": _ids(rng, buyer),
            "group": np.where(buyer, group, "prospect"),
            "buyer": buyer,
            "rate": np.where(buyer, rate, 0.0),  # orders a year
            "first": first.astype(int),
            "leaves": np.where(
                buyer, first.astype(int) + rng.exponential(traits.years * 365), np.inf
            ),
            "growth": traits.growth,
            "value": traits.value * rng.lognormal(0, VALUE_SPREAD[0], count),  # CNY, median order
            "web": np.clip(traits.web + rng.normal(0, 0.05, count), 0, 1),
            "season": rng.choice(
                [60, 150, 240], count
            ),  # day of the year when a seasonal account's weeks begin
            "taste": rng.random(count),
            "interest": interest,  # the one category it buys of, or -1
            "latent": np.where(
                rng.random(count) < LATENT, another, -1
            ),  # a category asked about, never bought, or -1
            "region": rng.choice(
                regions,
                count,
                p=[0.84 / len(CHINA)] * len(CHINA) + [0.16 / len(ABROAD)] * len(ABROAD),
            ),
            "rating": rng.choice(list(RATINGS), count, p=[0.1, 0.2, 0.3, 0.25, 0.15]),
            "financing": np.where(rng.random(count) < BORROWS, borrowed, 0),  # CNY needed
            "owner": rng.choice(
                [f"sales{number:02d}@company.example" for number in range(1, 13)], count
            ),
        }
    )


def _ids(rng: Random, buyer: Array) -> Array:
    ids = np.array([f"{number:04d}" for number in range(1, ACCOUNTS + 1)], dtype=object)
    for number in rng.choice(ACCOUNTS, 40, replace=False):
        ids[number] = (
            f"4150868000000{number:06d}"  # 19 digits, as a CRM in the cloud numbers its records
        )
    ids[rng.choice(np.flatnonzero(buyer))] = NULL_ID
    return ids


def _weights(rng: Random, accounts: pd.DataFrame) -> Array:
    weights = rng.dirichlet([category.weight for category in CATEGORIES.values()], len(accounts))
    numbers, single, latent = (
        np.arange(len(CATEGORIES)),
        accounts[["interest"]].to_numpy(),
        accounts[["latent"]].to_numpy(),
    )
    weights = np.where(single >= 0, single == numbers, np.where(latent == numbers, 0, weights))
    return weights / weights.sum(axis=1, keepdims=True)


def _doubles(rng: Random, accounts: pd.DataFrame) -> pd.DataFrame:
    """account, its second customer id, and by what the two profiles can be recognised as one."""
    twice = np.sort(
        rng.choice(
            np.flatnonzero(accounts.buyer & (accounts.id != NULL_ID)), DOUBLES, replace=False
        )
    )
    second = [f"{ACCOUNTS + 1 + number:04d}" for number in range(DOUBLES)]
    return pd.DataFrame(
        {"account": twice, "second": second, "by": np.resize(["phone", "tax_id", "name"], DOUBLES)}
    )


def _orders(rng: Random, accounts: pd.DataFrame) -> pd.DataFrame:
    """account and day of every order: the first one, then a Poisson process until the account
    leaves.
    """
    end = np.minimum(accounts.leaves, DAYS).to_numpy()
    who = np.repeat(accounts.index, rng.poisson(accounts.rate / 365 * (end - accounts["first"])))
    of, end = accounts.loc[who], end[who]
    first = of["first"].to_numpy()
    days = (first + (end - first) * rng.random(len(who)) ** (1 / of.growth.to_numpy())).astype(int)
    days = _into_peaks(rng, days, of, end)
    weekend = ((days + 6) % 7 >= 5) & (rng.random(len(days)) < WEEKEND_MOVED)
    days = np.where(weekend, np.maximum(days - 2, first), days)
    buyers = accounts[accounts.buyer]
    return pd.DataFrame({"account": [*who, *buyers.index], "day": [*days, *buyers["first"]]})


def _into_peaks(rng: Random, days: Array, of: pd.DataFrame, end: Array) -> Array:
    """Most orders of seasonal accounts and discount hunters, moved into their weeks of the same
    year.
    """
    discount = (of.group == "discount").to_numpy()
    begins = np.where(discount, rng.choice([151, 304], len(days)), of.season)
    moved = days // 365 * 365 + begins + rng.integers(0, np.where(discount, 18, 60))
    moves = of.group.isin(["seasonal", "discount"]).to_numpy() & (
        rng.random(len(days)) < PEAK_MOVED
    )
    return np.where(moves & (moved >= of["first"]) & (moved < end), moved, days)


def _with_campaigns(rng: Random, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The orders with those that campaigns caused, and who was in which campaign."""
    members = []
    for campaign in CAMPAIGNS:
        begins = (np.datetime64(campaign.date) - FIRST).astype(int)
        silent = begins - orders[orders.day < begins].groupby("account").day.max()
        chosen = rng.permutation(silent[silent.between(*campaign.silent_days)].index.to_numpy())
        treat = np.arange(len(chosen)) >= round(campaign.control * len(chosen))
        caused = treat & (rng.random(len(chosen)) < campaign.effect)
        days = begins + rng.integers(1, campaign.window_days + 1, caused.sum())
        orders = pd.concat(
            [orders, pd.DataFrame({"account": chosen[caused], "day": days})], ignore_index=True
        )
        responded = caused | (treat & (rng.random(len(chosen)) < campaign.answers))
        of = {
            "campaign_id": campaign.campaign_id,
            "account": chosen,
            "treat": treat,
            "caused": caused,
            "responded": responded,
        }
        members.append(pd.DataFrame(of).sort_values("account"))
    return orders, pd.concat(members, ignore_index=True)


def _lines(
    rng: Random,
    accounts: pd.DataFrame,
    weights: Array,
    orders: pd.DataFrame,
    products: pd.DataFrame,
) -> pd.DataFrame:
    """One row per order line, oldest first.

    Columns: order (number), account, moment (in Shanghai), web, product, category, quantity, cents
    and cost_cents (of a CNY).
    """
    orders = _timed(rng, accounts, orders)
    value = accounts.value[orders.account].to_numpy() * rng.lognormal(
        0, VALUE_SPREAD[1], len(orders)
    )
    order = np.repeat(orders.index, 1 + rng.binomial(3, 0.38, len(orders)))
    lines = orders.loc[order].reset_index(drop=True).assign(order=order)
    share = rng.gamma(2, 1, len(lines))
    money = value[order] * share / np.bincount(order, share)[order]
    number = _choose(
        rng, accounts.taste[lines.account], _draw(rng, weights[lines.account]), money, products
    )
    sold = products.loc[number].reset_index(drop=True)
    money = np.maximum(money, 0.7 * sold.price)  # nothing is sold at any price
    lines["quantity"] = np.maximum(1, np.round(money / sold.price)).astype(int)
    lines["cents"] = np.round(money / lines.quantity * 100).astype(int) * lines.quantity
    lines["cost_cents"] = np.round(
        lines.cents * sold.cost / sold.price * rng.normal(1, 0.04, len(lines))
    ).astype(int)
    lines[["product", "category"]] = sold[["product", "category"]]
    return lines.drop_duplicates(["order", "product"], ignore_index=True)


def _timed(rng: Random, accounts: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    count = len(orders)
    web = rng.random(count) < accounts.web[orders.account].to_numpy()
    night = web & (accounts.group[orders.account] == "night").to_numpy()
    hour = np.where(web, rng.uniform(8, 22, count), rng.normal(13.5, 2.3, count).clip(8, 19))
    hour = np.where(night, rng.uniform(22, 26, count) % 24, hour)
    moment = day(orders.day.to_numpy()) + (hour * 3600).astype("timedelta64[s]")
    return (
        orders.drop(columns="day")
        .assign(web=web, moment=moment)
        .sort_values(["moment", "account"], ignore_index=True)
    )


def _draw(rng: Random, weights: Array) -> Array:
    """A column number per row, with the row's weights."""
    return (rng.random(len(weights))[:, None] > weights.cumsum(axis=1)[:, :-1]).sum(axis=1)


def _choose(
    rng: Random, taste: pd.Series, category: Array, money: Any, products: pd.DataFrame
) -> Array:
    """A product of each category that so much money buys; an account's taste is the same in all
    categories.
    """
    place = (taste.to_numpy() + rng.normal(0, TASTE_NOISE, len(taste))) % 1
    chosen = np.zeros(len(taste), dtype=int)
    for number, name in enumerate(CATEGORIES):
        of, rows = products[products.category == name], category == number
        affordable = np.searchsorted(of.price, money[rows]).clip(1, len(of))
        chosen[rows] = of.index[0] + (place[rows] * affordable).astype(int)
    return chosen


def _signed(
    rng: Random, accounts: pd.DataFrame, doubles: pd.DataFrame, lines: pd.DataFrame
) -> pd.DataFrame:
    """The lines with their customer id: half of a doubled account's orders carry the second one."""
    second = lines.account.map(dict(zip(doubles.account, doubles.second, strict=True)))
    uses_second = second.notna() & (rng.random(lines.order.max() + 1)[lines.order] < 0.5)
    return lines.assign(customer=np.where(uses_second, second, accounts.id[lines.account]))


def contacts(rng: Random, company: Company, a_year: float) -> pd.DataFrame:
    """Contacts with accounts from shortly before their first order until they leave, oldest first.

    Columns: account, id, owner, moment (in Shanghai), product, category (that it was about),
    leaving (soon after it).
    """
    accounts, products = company.accounts, company.products
    begin, end = (
        np.maximum(accounts["first"] - 40, 0).to_numpy(),
        np.minimum(accounts.leaves, DAYS).to_numpy(),
    )
    who = np.repeat(accounts.index, rng.poisson(a_year / 365 * (end - begin)))
    days = (begin[who] + (end - begin)[who] * rng.random(len(who))).astype(int)
    moment = day(days) + (rng.uniform(9, 18, len(who)) * 3600).astype("timedelta64[s]")
    of = accounts.loc[who].reset_index(names="account")
    asks_latent = (of.latent >= 0) & (rng.random(len(who)) < ASKS_LATENT)
    category = np.where(asks_latent, of.latent, _draw(rng, company.weights[who]))
    about = products.loc[
        _choose(rng, of.taste, category, of.value.to_numpy(), products), ["product", "category"]
    ]
    table = of[["account", "id", "owner", "buyer"]].assign(
        moment=moment,
        leaving=of.leaves - days < UNHAPPY_DAYS,
        product=about["product"].to_numpy(),
        category=about.category.to_numpy(),
    )
    return table.sort_values(["moment", "account"], ignore_index=True)


def true_customers(company: Company) -> pd.DataFrame:
    """One row per customer id: what the account is, does and likes, and until when."""
    accounts, doubles = company.accounts, company.doubles
    yearly = accounts.rate * accounts.value
    important = yearly > yearly[accounts.buyer].quantile(0.85)
    left = accounts.buyer & (accounts.leaves < DAYS)
    names = np.array([*CATEGORIES, ""], dtype=object)  # the last one is -1, none
    truth = pd.DataFrame(
        {
            "customer_id": accounts.id,
            "group": accounts.group,
            "tier_intent": np.select(
                [~accounts.buyer, accounts.group == "key", important],
                ["potential", "strategic", "important"],
                "ordinary",
            ),
            "orders_per_year": accounts.rate,
            "first_day": pd.Series(day(accounts["first"].to_numpy())).where(accounts.buyer),
            "dropout_day": (
                pd.Series(day(np.where(left, accounts.leaves, 0).astype(int))).where(left)
            ),
            "median_order_value": accounts.value,
            "web_share": accounts.web,
            "interest": names[accounts.interest],
            "latent_interest": names[accounts.latent],
            "financing_need": accounts.financing,
            **{
                f"share_{name}": company.weights[:, number]
                for number, name in enumerate(CATEGORIES)
            },
            "duplicate_of": "",
        }
    )
    first = truth.loc[doubles.account]
    second = first.assign(customer_id=doubles.second.to_numpy(), duplicate_of=first.customer_id)
    return pd.concat([truth, second], ignore_index=True)


def true_campaigns(company: Company) -> list[dict[str, Any]]:
    """What each campaign was, how many were in it, and how many orders it caused."""
    counts = company.members.groupby("campaign_id").agg(
        accounts=("treat", "size"), treated=("treat", "sum"), caused=("caused", "sum")
    )
    return [
        asdict(campaign) | counts.loc[campaign.campaign_id].astype(int).to_dict()
        for campaign in CAMPAIGNS
    ]
