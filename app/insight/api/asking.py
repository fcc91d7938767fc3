"""What a caller may ask of a report: query parameters as models; any other is refused by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.contracts.wire import Moment
from app.insight.ledger.periods import Period
from app.insight.reports.cohorts import Cohort
from app.insight.reports.comparing import Compare
from app.insight.reports.questions import Question, checked, segments_of
from app.kernel.channels import ChannelGroup
from telemetry.catalogue.labels import Channel, Device, Entry, Market, Traffic


class OfPeriod(BaseModel):
    """A period, its segments, and the ledger's moment."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: Annotated[Moment, Field(alias="from", description="the first moment that counts")]
    until: Annotated[Moment, Field(alias="to", description="the first that no longer does")]
    as_of: Annotated[
        Moment | None, Field(description="the ledger as it stood then: the same bytes for ever")
    ] = None
    traffic: Traffic | Literal["all"] = "human"
    market: Market | None = None
    channel: Channel | None = None
    device: Device | None = None
    entry: Entry | None = None
    channel_group: ChannelGroup | None = None
    campaign: Annotated[
        str | None, Field(max_length=100, description="empty: what no campaign brought")
    ] = None
    format: Literal["json", "csv"] = "json"

    def period(self) -> Period:
        """Raises `InvalidInput` for an impossible period."""
        return checked(
            Period(
                self.since,
                self.until,
                traffic=None if self.traffic == "all" else self.traffic,
                market=self.market,
                as_of=self.as_of,
                channel=self.channel,
                device=self.device,
                entry=self.entry,
                channel_group=self.channel_group,
                campaign=self.campaign,
            )
        )


class Asked(OfPeriod):
    """A report by segments, compared with another period."""

    by: Annotated[
        str,
        Field(
            max_length=200,
            description="segments, comma-separated: market, channel, device, entry, traffic,"
            " channel_group, campaign, day (of the market's own calendar)",
        ),
    ] = ""
    compare: Annotated[
        Compare | None, Field(description="with the period before, or the same one a year before")
    ] = None

    def question(self) -> Question:
        """Raises `InvalidInput` for what cannot be asked."""
        return Question(self.period(), segments_of(self.by), self.compare)


class FunnelAsked(Asked):
    steps: Annotated[
        str | None,
        Field(max_length=300, description="two or more different steps, in order, comma-separated"),
    ] = None


class CohortsAsked(Asked):
    cohort: Cohort = "week"


class RestatementsAsked(OfPeriod):
    known_at: Annotated[Moment, Field(description="`as_of` of the report that somebody knew")]


class EntriesAsked(OfPeriod):
    """One cell, and how much of it at a time."""

    measure: Annotated[str, Field(max_length=32)]
    label: Annotated[str | None, Field(max_length=160)] = None
    day: Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None
    cursor: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class SubjectAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    as_of: Moment | None = None
