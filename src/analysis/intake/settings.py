"""The settings of a dataset file that are knobs of the strategy: contacts, plan, loyalty, care."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from analysis.errors import did_you_mean

Days = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """Part of a dataset file: refuses keys it does not know, and cannot be changed. The text below
    a key is what `init` and the reference say of it.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Contact(Strict):
    """A way to keep a customer who may leave: what it costs, and how often it works."""

    cost: Amount | None = None
    """money, for each customer reached"""
    share: Amount = 0.05
    """instead of cost: a share of what the average customer brings within the horizon"""
    success: float = Field(gt=0, le=1)
    """share of the leavers reached who then stay"""


class Retention(Strict):
    """What the cheap and the costly way of keeping a customer cost and win: assumptions, until
    measured. The bands of risk and the length of the list of whom to look after come from them; who
    is reached, and how, the plan decides.
    """

    message: Contact = Contact(share=0.01, success=0.03)
    """a letter or an e-mail"""
    call: Contact = Contact(share=0.05, success=0.08)
    """a call or a visit"""
    calls: Count = 200
    """customers that the team can call in a month"""

    @field_validator("message", "call", mode="before")
    @classmethod
    def _filled(cls, way: Any, info: ValidationInfo) -> Any:
        """What is not written of a way is as above, of each its own."""
        usual = dict(cls.model_fields[str(info.field_name)].default)
        return usual | way if isinstance(way, dict) else way


class ForTiers(Strict):
    """Customers by what they are worth."""

    tier: list[Literal["strategic", "important", "ordinary", "potential"]]
    """strategic, important, ordinary or potential"""


class Planning(Strict):
    """What the plan of actions may cost, and what it goes by."""

    playbook: str = ""
    """retail, b2b, lending, or a file beside this one; by default b2b where companies have owners,
    else retail"""
    budget: Amount | None = None
    """money for one cycle; by default as much as pays"""
    capacity: dict[Literal["channel", "account_owner"], dict[str, Days]] = {}
    """most customers in a cycle, by channel or account owner, as phone: 200 below channel"""
    cycle_days: Count = 28
    """for which the plan stays as it is: who gets what, and who is held back"""
    holdout: float = Field(0.0, ge=0, le=0.5)
    """share of customers held back from everything, always the same ones, so that the effect of all
    actions together can be measured"""
    exempt: list[str] | ForTiers = []
    """whom nobody ever holds back: customers' numbers, or tier: [strategic]"""
    reserve: dict[Literal["strategic", "important", "ordinary", "potential"], Share] = {
        "potential": 0.1
    }
    """share of the budget and of each capacity that is kept for a tier first, so that prospects get
    theirs; what they do not need goes to the others; {}: none"""
    contacts: Count = 2
    """campaigns that may reach a customer within contact_days"""
    contact_days: Count = 30
    """see contacts"""
    campaigns: dict[str, str] = {}
    """rule of the playbook: campaign_id or kind of the campaign that measured its effect"""
    smallest_effect: float = Field(0.03, gt=0)
    """extra orders a customer that are the least worth finding in a campaign"""
    goals: str = ""
    """file of goals beside this one"""

    @field_validator("reserve")
    @classmethod
    def _together(cls, reserve: dict[str, float]) -> dict[str, float]:
        if sum(reserve.values()) > 1:
            raise ValueError("the shares are 1 together at most")
        return reserve


class Level(Strict):
    """A level of the loyalty programme."""

    name: str = Field(min_length=1)
    """bronze, silver, gold, platinum, or own words"""
    from_share: float = Field(0.0, ge=0, lt=1)
    """share of those who spent within the value window who spend less: 0.9 is the top tenth"""
    from_amount: Amount | None = None
    """instead of from_share: money within the value window"""
    multiplier: Amount = 1.0
    """of the points"""
    benefit_share: Amount = 0.0
    """cost of benefits, as a share of what the level's members spend"""
    benefit_cost: Amount | None = None
    """instead of benefit_share: money a year, for each member"""
    lift: Amount = 0.01
    """share of orders that members are assumed to place besides"""


class Loyalty(Strict):
    """A programme of points and levels, whose gain is assumed until a campaign has measured it."""

    points: float = Field(1.0, gt=0)
    """for each unit of money spent"""
    point_value: Amount = 0.01
    """money that a point is worth when redeemed"""
    expiry_days: int = Field(365, ge=1, le=36_500)
    """after which a point expires"""
    redeemed: Share = 0.7
    """share of the points that are redeemed before they expire"""
    levels: list[Level] = Field(
        [
            Level(name="bronze"),
            Level(name="silver", from_share=0.6, multiplier=1.25, benefit_share=0.002, lift=0.02),
            Level(name="gold", from_share=0.9, multiplier=1.5, benefit_share=0.005, lift=0.03),
        ],
        min_length=1,
    )
    """the lowest first, in which everybody is"""

    @model_validator(mode="after")
    def _ascending(self) -> "Loyalty":
        first, *higher = self.levels
        by_amount = {level.from_amount is not None for level in higher}
        starts = [
            level.from_share if level.from_amount is None else level.from_amount for level in higher
        ]
        if first.from_share or first.from_amount:
            raise ValueError(f"levels: everybody is in the first, so {first.name} begins at 0")
        if len(by_amount) > 1:
            raise ValueError(
                "levels: write either from_share or from_amount for all after the first"
            )
        if sorted({0.0, *starts}) != [0.0, *starts]:
            raise ValueError("levels: each must begin above the one before")
        if len({level.name for level in self.levels}) < len(self.levels):
            raise ValueError("levels: two have the same name")
        return self


def _country(code: str) -> str:
    from holidays import list_supported_countries  # few dataset files name a country

    if code and code not in (known := list_supported_countries(include_aliases=False)):
        raise ValueError(f"no public holidays are known of it; {did_you_mean(code, known)[:80]}")
    return code


class Care(Strict):
    """The calendar of visits, greetings and profiles to refresh."""

    strategic_days: Days = 30
    """after the last contact or order a strategic customer is visited; 0: never"""
    important_days: Days = 60
    """and an important one"""
    ordinary_days: Days = 0
    """and an ordinary one"""
    days_ahead: int = Field(30, ge=1, le=365)
    """that the calendar covers"""
    per_owner_per_day: Count = 4
    """most visits of an account owner on a working day, and most profiles"""
    country: Annotated[str, AfterValidator(_country)] = ""
    """ISO 3166 code: whose public holidays count; by default of Asia/Shanghai CN, of
    America/New_York US"""
