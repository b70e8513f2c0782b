"""Business calendars as data: which days are working days, and refusal to guess beyond the last loaded year."""

from __future__ import annotations

import calendar as _months
from dataclasses import dataclass
from datetime import date, timedelta

from libs.kernel.errors import Invalid

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working days: Monday to Friday, less `holidays`, plus make-up working days; valid inside [first, last]."""

    name: str
    first: date
    last: date
    holidays: frozenset[date] = frozenset()
    makeup_days: frozenset[date] = frozenset()

    def is_working(self, day: date) -> bool:
        """Whether the bank works on `day`; raises Invalid outside the loaded years rather than guess."""
        if not self.first <= day <= self.last:
            raise Invalid("calendar_not_loaded", f"{self.name} knows {self.first} to {self.last}, not {day}")
        if day in self.makeup_days:
            return True
        return day.weekday() < SATURDAY and day not in self.holidays

    def add_working_days(self, day: date, count: int) -> date:
        """The working day `count` working days after `day`; 0 gives `day` itself or the next working day."""
        while not self.is_working(day):
            day += timedelta(days=1)
        for _ in range(count):
            day += timedelta(days=1)
            while not self.is_working(day):
                day += timedelta(days=1)
        return day


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of a shorter month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, _months.monthrange(year, month + 1)[1]))
