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


class Strict(BaseModel):
    """Part of a dataset file: refuses keys it does not know, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Contact(Strict):
    """A way to keep a customer who may leave: what it costs, and how often it works."""

    cost: float | None = Field(None, ge=0, description="money, for each customer reached")
    share: float = Field(
        0.05,
        ge=0,
        description=(
            "instead of cost, where that is not given: a share of what the average customer brings"
            " within the horizon"
        ),
    )
    success: float = Field(gt=0, le=1, description="share of the leavers reached who then stay")


class Retention(Strict):
    """The cheap way and the costly one. The risks from which they pay are the bands of risk:
    assumptions, until measured.
    """

    message: Contact = Field(Contact(share=0.01, success=0.03), description="a letter or an e-mail")
    call: Contact = Field(Contact(share=0.05, success=0.08), description="a call or a visit")
    calls: int = Field(200, ge=1, description="customers that the team can call in a month")
    on_silent: float = Field(
        0.5, ge=0, le=1, description="of that success, what is left with silent customers"
    )
    on_lost: float = Field(0.1, ge=0, le=1, description="and with lost ones")

    @field_validator("message", "call", mode="before")
    @classmethod
    def _filled(cls, way: Any, info: ValidationInfo) -> Any:
        """What is not written of a way is as above, of each its own."""
        return (
            {**dict(cls.model_fields[str(info.field_name)].default), **way}
            if isinstance(way, dict)
            else way
        )


class Planning(Strict):
    """What the plan of actions may cost, and what it goes by."""

    playbook: str = Field(
        "",
        description=(
            "retail, b2b, lending, or a file beside this one; by default b2b where companies have"
            " owners, else retail"
        ),
    )
    budget: float | None = Field(
        None,
        ge=0,
        description="money for one cycle; by default as much as pays",
    )
    capacity: dict[Literal["channel", "account_owner"], dict[str, Annotated[int, Field(ge=0)]]] = (
        Field(
            {},
            description=(
                "most customers in a cycle, by channel or account owner, as {channel: {phone: 200}}"
            ),
        )
    )
    contacts: int = Field(
        2, ge=1, description="campaigns that may reach a customer within contact_days"
    )
    contact_days: int = Field(30, ge=1, description="see contacts")
    campaigns: dict[str, str] = Field(
        {},
        description=(
            "rule of the playbook: campaign_id or kind of the campaign that measured its effect"
        ),
    )
    smallest_effect: float = Field(
        0.03, gt=0, description="extra orders a customer that are worth finding in a campaign"
    )
    goals: str = Field("", description="file of goals beside this one")


class Level(Strict):
    """A level of the loyalty programme: who is in it, what members get, and what that is assumed to
    bring.
    """

    name: str = Field(min_length=1, description="bronze, silver, gold, platinum, or own words")
    from_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description=(
            "share of those who spent within the value window who spend less: 0.9 is the top tenth"
        ),
    )
    from_amount: float | None = Field(
        None,
        ge=0,
        description="instead of from_share: money within the value window",
    )
    multiplier: float = Field(1.0, ge=0, description="of the points")
    benefit_share: float = Field(
        0.0,
        ge=0,
        description="cost of benefits, as a share of what the level's members spend",
    )
    benefit_cost: float | None = Field(
        None,
        ge=0,
        description="instead of benefit_share: money a year, for each member",
    )
    lift: float = Field(
        0.01,
        ge=0,
        description="share of orders that members are assumed to place besides",
    )


class Loyalty(Strict):
    """A programme of points and levels, as it might be. What it brings is assumed, until a campaign
    has measured it.
    """

    points: float = Field(1.0, gt=0, description="for each unit of money spent")
    point_value: float = Field(0.01, ge=0, description="money that a point is worth when redeemed")
    expiry_days: int = Field(365, ge=1, le=36_500, description="after which a point expires")
    redeemed: float = Field(
        0.7, ge=0, le=1, description="share of the points that are redeemed before they expire"
    )
    levels: list[Level] = Field(
        [
            Level(name="bronze"),
            Level(name="silver", from_share=0.6, multiplier=1.25, benefit_share=0.002, lift=0.02),
            Level(name="gold", from_share=0.9, multiplier=1.5, benefit_share=0.005, lift=0.03),
        ],
        min_length=1,
        description="the lowest first, in which everybody is",
    )

    @model_validator(mode="after")
    def _ascending(self) -> "Loyalty":
        first, *higher = self.levels
        if first.from_share or first.from_amount:
            raise ValueError(f"levels: everybody is in the first, so {first.name} begins at 0")
        if len({level.from_amount is None for level in higher}) > 1:
            raise ValueError(
                "levels: write either from_share or from_amount for all after the first"
            )
        starts = [
            0.0,
            *(
                level.from_share if level.from_amount is None else level.from_amount
                for level in higher
            ),
        ]
        if sorted(set(starts)) != starts:
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

    strategic_days: int = Field(
        30,
        ge=0,
        description="after the last contact or order a strategic customer is visited; 0: never",
    )
    important_days: int = Field(60, ge=0, description="and an important one")
    ordinary_days: int = Field(0, ge=0, description="and an ordinary one")
    days_ahead: int = Field(30, ge=1, le=365, description="that the calendar covers")
    per_owner_per_day: int = Field(
        4, ge=1, description="most visits of an account owner on a working day, and most profiles"
    )
    country: Annotated[str, AfterValidator(_country)] = Field(
        "",
        description=(
            "ISO 3166 code: whose public holidays count; by default of Asia/Shanghai CN, of"
            " America/New_York US"
        ),
    )
