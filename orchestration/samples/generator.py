"""Makes sample files: people with habits, in a home town, through the seasons, with mistakes."""

from __future__ import annotations

import math
import random
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from common.contracts import Contract
from common.errors import PermanentError
from orchestration.samples.profile import Habit, Profile
from orchestration.samples.purchase import Purchase
from orchestration.samples.writing import write

GENERIC = Habit()
DAYS_A_MONTH = 30
STEADINESS = 2.0
"""How alike people are: the shape of the gamma draw that scales each label's weight."""


BRANCHING = 1.0
"""How soon a seller's branches thin out: the shape of the Pareto draw of a branch's number."""


class SampleFile(msgspec.Struct, frozen=True, kw_only=True):
    """A generated file."""

    name: str
    content: bytes
    rows: int


def generate(contract: Contract, profile: Profile, *, files: int, seed: int) -> list[SampleFile]:
    """Make ``files`` files. The same seed gives the same bytes, whatever the number of files.

    Raises:
        PermanentError: code "bad-profile" when the profile has a habit for a label that the
            contract does not list.
    """
    unknown = sorted(set(profile.habits) - set(contract.label.values))
    if unknown:
        raise PermanentError(
            "bad-profile",
            f"The sample profile of {contract.family} has habits for {', '.join(unknown)}, which "
            f"are not values of the contract's column {contract.label.name}.",
        )
    habits = {label: profile.habits.get(label, GENERIC) for label in contract.label.values}
    return [_file(contract, profile, habits, number, seed) for number in range(files)]


def _file(
    contract: Contract, profile: Profile, habits: dict[str, Habit], number: int, seed: int
) -> SampleFile:
    draw = random.Random(f"{contract.family} {seed} {number}")  # noqa: S311 - reproducible
    start = profile.first_day
    if profile.consecutive:
        start = _months_later(start, number * profile.months)
    person = _Person(profile, habits, start, draw)
    rows = person.buys(draw.randint(*profile.rows))
    fixed = {name: draw.choice(choices) for name, choices in profile.per_file.items()}
    dialect = profile.dialects[number % len(profile.dialects)]
    return SampleFile(
        name=profile.file_name.format(number=number + 1, start=start),
        content=write(rows, fixed, dialect),
        rows=len(rows),
    )


class _Person:
    """Whoever is behind a file, with tastes of their own."""

    def __init__(
        self, profile: Profile, habits: dict[str, Habit], start: date, draw: random.Random
    ) -> None:
        self.profile = profile
        self.habits = habits
        self.start = start
        self.draw = draw
        self.labels = list(habits)
        self.home = draw.choice(profile.homes)
        self.tastes = {
            label: habit.weight * draw.gammavariate(STEADINESS, 1 / STEADINESS)
            for label, habit in habits.items()
        }

    def buys(self, count: int) -> list[Purchase]:
        """``count`` purchases in the order of their days."""
        end = _months_later(self.start, self.profile.months)
        span = (end - self.start).days
        days = sorted(self.start + timedelta(days=self.draw.randrange(span)) for _ in range(count))
        rows: list[Purchase] = []
        spent = Decimal(0)
        for day in days:
            row = self._buy(day, spent)
            spent += row.amount
            rows.append(row)
        return rows

    def _buy(self, day: date, spent: Decimal) -> Purchase:
        label = self._label(day)
        habit = self.habits[label]
        return Purchase(
            day=day,
            label=self._recorded(label),
            amount=self._amount(habit),
            words=self._words(label, habit),
            place=self._place(habit),
            country=self.profile.country,
            spent=spent,
        )

    def _label(self, day: date) -> str:
        weights = [
            taste * self.habits[label].season.get(day.month, 1.0)
            for label, taste in self.tastes.items()
        ]
        return self.draw.choices(self.labels, weights)[0]

    def _recorded(self, label: str) -> str | None:
        """The label as somebody typed it: now and then wrong or missing."""
        chance = self.draw.random()
        if chance < self.profile.unlabelled:
            return None
        if chance < self.profile.unlabelled + self.profile.noise:
            return self.draw.choice(self.labels)
        return label

    def _amount(self, habit: Habit) -> Decimal:
        value = self.draw.lognormvariate(math.log(habit.amount), habit.spread)
        amount = Decimal(round(value * 100)) / 100
        if habit.cents:
            amount = Decimal(int(amount)) + Decimal(self.draw.choice(habit.cents)) / 100
        return -amount if self.draw.random() < self.profile.refunds else amount

    def _words(self, label: str, habit: Habit) -> str:
        """A seller and one of its branches, so that names repeat but not all are known."""
        seller = self.draw.choice(habit.words or (label.casefold(),))
        return f"{seller} {1 + int(self.draw.paretovariate(BRANCHING)) % 900}"

    def _place(self, habit: Habit) -> str:
        if self.draw.random() < self.profile.junk_share:
            return self.draw.choice(self.profile.junk)
        return (
            self.draw.choice(self.profile.homes) if self.draw.random() < habit.away else self.home
        )


def _months_later(day: date, months: int) -> date:
    month = day.month - 1 + months
    return date(day.year + month // 12, month % 12 + 1, day.day)
