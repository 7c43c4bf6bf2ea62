"""What a simulation came to, in numbers: what its page, its charts and the command show. Nobody's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class SimulationFigures:
    """Counts of a simulation.

    Attributes:
        organization: The organisation's name, or the database's if it has none.
        days: The days that were simulated, one after the other.
        click_rate, answer_rate, condition_rate, seed: How contacts reacted.
        contacts_by_emails: How many contacts got 0, 1, 2, ... emails.
        volume: Emails of each day, by kind of email.
        caps: The daily cap of each day.
        outcomes: How many emails came to each outcome, in the order of ``OUTCOMES``.
        still_open: Emails of the last plan that are still to come, or still skipped.
        late_by_days: Emails by how many days after their ideal date they went out; on time is not among them.
        lost_by_reason: Emails that no day had room for, by skip reason, the most frequent first.
        excluded_by_reason: Emails that an exclusion window forbade, likewise.
        by_type: Email type to outcome to emails.
        by_state: State to outcome to emails.
        promises, moved, withdrawn: Dates that a plan announced for later, and how many of them the next
            plan moved, or took back.
        proofs: How many of the plans were proved.
        violations: Rows of these that break a rule.
    """

    organization: str
    days: Sequence[date]
    click_rate: float
    answer_rate: float
    condition_rate: float
    seed: int
    contacts_by_emails: Sequence[int]
    volume: Mapping[str, Sequence[int]]
    caps: Sequence[int]
    outcomes: Mapping[str, int]
    still_open: int
    late_by_days: Mapping[int, int]
    lost_by_reason: Mapping[str, int]
    excluded_by_reason: Mapping[str, int]
    by_type: Mapping[str, Mapping[str, int]]
    by_state: Mapping[str, Mapping[str, int]]
    promises: int
    moved: int
    withdrawn: int
    proofs: int
    violations: int

    @property
    def contacts(self) -> int:
        """Valid contacts."""
        return sum(self.contacts_by_emails)

    @property
    def emails(self) -> int:
        """Emails that were sent."""
        return sum(number * contacts for number, contacts in enumerate(self.contacts_by_emails))

    @property
    def mean_emails(self) -> float:
        """Emails that a contact got on average."""
        return self.emails / self.contacts if self.contacts else 0.0

    @property
    def most_emails(self) -> int:
        """The most emails that a contact got."""
        return len(self.contacts_by_emails) - 1

    @property
    def total_by_day(self) -> list[int]:
        """Emails of each day."""
        return [sum(kinds) for kinds in zip(*self.volume.values(), strict=True)]

    @property
    def busiest(self) -> tuple[date, int]:
        """The day with the most emails, the first of several, and how many they were."""
        totals = self.total_by_day
        return self.days[totals.index(max(totals))], max(totals)

    @property
    def changed_per_thousand(self) -> float:
        """Of 1,000 dates that a plan announced, how many the next one changed."""
        return 1000 * (self.moved + self.withdrawn) / self.promises if self.promises else 0.0
