"""Money, numbers, dates and distances as a market's people write them (Babel's CLDR data)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime, format_skeleton, format_time, get_day_names
from babel.numbers import format_currency, format_decimal, format_percent

from app.contracts.catalog import OpeningHours
from app.contracts.wire import MoneyWire
from app.kernel.money import MINOR_UNITS
from app.kernel.opening import DAYS
from app.storefront.places import Place
from app.storefront.texts import Texts


@dataclass(frozen=True, slots=True)
class Formats:
    """How one market in one language writes values. `now` is the moment of the page."""

    locale: Locale
    zone: ZoneInfo
    texts: Texts
    now: datetime

    def money(self, money: MoneyWire) -> str:
        """`489 900 kr`; minor units are shown only when there are any."""
        value = Decimal(money.amount).scaleb(-MINOR_UNITS[money.currency])
        whole = value == value.to_integral_value()
        return format_currency(
            value.to_integral_value() if whole else value,
            money.currency,
            locale=self.locale,
            format=self._money_pattern() if whole else None,
            currency_digits=not whole,
        )

    def _money_pattern(self) -> str:
        pattern = str(self.locale.currency_formats["standard"].pattern)
        return pattern.replace("#,##0.00", "#,##0")

    def number(self, value: float, digits: int = 1) -> str:
        """At most `digits` decimals, none that are zero."""
        return format_decimal(round(Decimal(str(value)), digits).normalize(), locale=self.locale)

    def percent(self, share: float) -> str:
        return format_percent(round(share, 2), locale=self.locale)

    def distance(self, kilometres: float) -> str:
        """Whole kilometres from ten on; nearer ones with one decimal."""
        return f"{self.number(kilometres, 0 if kilometres >= 10 else 1)}\N{NO-BREAK SPACE}km"

    def day(self, moment: datetime) -> str:
        """`Fri 27 Nov`, in the market's time zone."""
        return format_skeleton("MMMEd", moment, tzinfo=self.zone, locale=self.locale)

    def clock(self, moment: datetime) -> str:
        """`14:32`, in the market's time zone."""
        return format_time(moment, "HH:mm", tzinfo=self.zone, locale=self.locale)

    def clock_of(self, unix_seconds: int) -> str:
        return self.clock(datetime.fromtimestamp(unix_seconds, UTC))

    def rest(self, price: MoneyWire, deposit: MoneyWire) -> MoneyWire:
        """What is paid at the dealer."""
        return price.model_copy(update={"amount": price.amount - deposit.amount})

    def day_and_time(self, moment: datetime) -> str:
        return f"{self.day(moment)}, {self.clock(moment)}"

    def stamp(self, moment: datetime) -> str:
        """`27 Nov 2026, 14:32`."""
        return format_datetime(moment, "medium", tzinfo=self.zone, locale=self.locale)

    def ready(self, moment: datetime | None, *, today: bool) -> str:
        """When a car can be handed over, as one says it."""
        gettext = self.texts.gettext
        if today:
            return gettext("Ready today")
        if moment is None:
            return gettext("Ask the dealer when it is ready")
        days = (self._date(moment) - self._date(self.now)).days
        if days <= 1:
            return gettext("Ready tomorrow") if days == 1 else gettext("Ready next opening day")
        return gettext("Ready %(day)s") % {"day": self.day(moment)}

    def collect(self, moment: datetime | None) -> str:
        """When an ordered car can be collected: a moment that was promised, and stays."""
        if moment is not None and moment <= self.now:
            return self.texts.gettext("Ready to collect")
        today = moment is not None and self._date(moment) == self._date(self.now)
        return self.ready(moment, today=today)

    def _date(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def remaining(self, until: datetime) -> tuple[int, str]:
        """Whole seconds left (never negative) and the same as `14:32` minutes and seconds."""
        seconds = max(0, int((until - self.now) / timedelta(seconds=1)))
        return seconds, f"{seconds // 60:02d}:{seconds % 60:02d}"

    def opening_hours(self, hours: list[OpeningHours]) -> list[tuple[str, str]]:
        """Rows of (days, times): days of one schedule that follow each other are one row."""
        names = get_day_names("abbreviated", context="stand-alone", locale=self.locale)
        by_day = {day: group for group in hours for day in group.days}
        rows: list[tuple[list[int], str]] = []
        for index, day in enumerate(DAYS):
            group = by_day.get(day)
            times = f"{group.opens}\N{EN DASH}{group.closes}" if group else ""
            if rows and rows[-1][1] == times:
                rows[-1][0].append(index)
            else:
                rows.append(([index], times))
        return [
            (_span([str(names[i]).rstrip(".").capitalize() for i in days]), times)
            for days, times in rows
        ]


def _span(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]}\N{EN DASH}{names[-1]}"


def formats_of(place: Place, texts: Texts, now: datetime) -> Formats:
    """The formats of a market in a language at a moment."""
    return Formats(
        locale=Locale.parse(place.locales[texts.language]),
        zone=ZoneInfo(place.time_zone),
        texts=texts,
        now=now,
    )
