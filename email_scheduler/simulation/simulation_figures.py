"""What a simulation came to, in numbers, and as a CSV file of counts. Nobody's data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.files import Output, private_output
from email_scheduler.planning import Cube, Label, SortedIds, format_days, from_day, is_label
from email_scheduler.registry import ANNIVERSARY_TYPES, FOLLOW_UP_PREFIX
from email_scheduler.simulation.days import Simulation
from email_scheduler.simulation.settled_emails import EXCLUDED, LATE, LOST, OUTCOMES, SENT_OUTCOMES
from email_scheduler.simulation.simulated_tables import Reactions

_CAMPAIGNS: Final = "campaigns"
_FOLLOW_UPS: Final = "follow-ups"
KINDS: Final = (*ANNIVERSARY_TYPES, _CAMPAIGNS, _FOLLOW_UPS)


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


def figures_of(simulation: Simulation, reactions: Reactions, organization: str) -> SimulationFigures:
    """Count what a simulation came to.

    Args:
        simulation: The simulation.
        reactions: What contacts did in it.
        organization: What the organisation is called.
    """
    counts, promises = simulation.counts, simulation.promises
    by_outcome = counts.counts_by("outcome")
    return SimulationFigures(
        organization=organization,
        days=_dates(simulation),
        click_rate=reactions.click_rate,
        answer_rate=reactions.answer_rate,
        condition_rate=reactions.condition_rate,
        seed=reactions.seed,
        contacts_by_emails=_contacts_by_emails(simulation),
        volume=_volume(simulation),
        caps=simulation.days["daily_cap"].tolist(),
        outcomes={name: by_outcome.get(name, 0) for name in OUTCOMES},
        still_open=simulation.open_count,
        late_by_days=counts.where(outcome=LATE).counts_by("late_days"),
        lost_by_reason=_by_reason(counts, LOST),
        excluded_by_reason=_by_reason(counts, EXCLUDED),
        by_type=_by(counts, "email_type"),
        by_state=_by(counts, "state"),
        promises=promises.compared,
        moved=promises.moved,
        withdrawn=promises.withdrawn,
        proofs=simulation.proofs,
        violations=simulation.violations,
    )


def write_counts(output: Output, simulation: Simulation) -> int:
    """Write how many emails there are of each day, state, type, outcome, reason and delay as CSV.

    Args:
        output: The file, its owner's alone.
        simulation: The simulation.

    Returns:
        The number of lines.

    Raises:
        UsageError: The file cannot be written.
    """
    cells = [(*labels, emails) for labels, emails in simulation.counts.cells()]
    lines = pd.DataFrame(cells, columns=[*simulation.counts.legends, "emails"])
    lines["day"] = format_days(lines["day"].to_numpy(np.int32))
    with private_output(output) as file:
        lines.to_csv(file, index=False, lineterminator="\r\n")
    return len(lines)


def _dates(simulation: Simulation) -> list[date]:
    return [from_day(day) for day in simulation.days["day"].tolist()]


def _contacts_by_emails(simulation: Simulation) -> Sequence[int]:
    sent = simulation.emails[is_label(simulation.emails["outcome"], SENT_OUTCOMES)]
    position = SortedIds(simulation.contacts["contact_id"].to_numpy()).positions(
        sent["contact_id"].to_numpy()
    )
    of_contact = np.bincount(position[position >= 0], minlength=len(simulation.contacts))
    numbers: list[int] = np.bincount(of_contact, minlength=1).tolist()
    return numbers


def _volume(simulation: Simulation) -> dict[str, list[int]]:
    sent = simulation.counts.where(outcome=SENT_OUTCOMES).renamed("email_type", _kind)
    first, count = int(simulation.days["day"].iloc[0]), len(simulation.days)
    return {kind: sent.where(email_type=kind).from_number("day", first, count) for kind in KINDS}


def _kind(email_type: Label) -> Label:
    if email_type in KINDS:
        return email_type
    return _FOLLOW_UPS if str(email_type).startswith(FOLLOW_UP_PREFIX) else _CAMPAIGNS


def _by_reason(counts: Cube, outcome: str) -> dict[str, int]:
    reasons = counts.where(outcome=outcome).most_frequent("reason")
    return {reason: emails for reason, emails in reasons.items() if reason is not None}


def _by(counts: Cube, axis: str) -> dict[str, dict[str, int]]:
    """Return a label of an axis to each of ``OUTCOMES`` to the number of emails; only labels that occur."""
    return {
        label: dict.fromkeys(OUTCOMES, 0) | outcomes
        for label, outcomes in counts.table(axis, "outcome").items()
        if label is not None
    }
