"""A simulation in numbers, and as a CSV file of counts."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.operations.private_output import private_output
from email_scheduler.operations.simulation.days import Simulation
from email_scheduler.operations.simulation.ledger import EXCLUDED, LATE, LOST, OUTCOMES, SENT_OUTCOMES
from email_scheduler.operations.simulation.reactions import Reactions
from email_scheduler.planning.dates import format_days, from_day
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.packing import SortedIds
from email_scheduler.planning.registry.email_types import ANNIVERSARY_TYPES, FOLLOW_UP_PREFIX
from email_scheduler.reporting.simulation_figures import SimulationFigures

_CAMPAIGNS: Final = "campaigns"
_FOLLOW_UPS: Final = "follow-ups"
KINDS: Final = (*ANNIVERSARY_TYPES, _CAMPAIGNS, _FOLLOW_UPS)
COUNTED_BY: Final = ("day", "state", "email_type", "outcome", "reason", "late_days")


def figures_of(simulation: Simulation, reactions: Reactions, organization: str) -> SimulationFigures:
    """Count what a simulation came to.

    Args:
        simulation: The simulation.
        reactions: What contacts did in it.
        organization: What the organisation is called.
    """
    emails, promises = simulation.emails, simulation.promises
    sent = emails[is_label(emails["outcome"], SENT_OUTCOMES)]
    late = sent["late_days"].to_numpy()[is_label(sent["outcome"], [LATE])]
    days, counts = np.unique(late, return_counts=True)
    by_outcome = emails["outcome"].astype("str").value_counts()
    return SimulationFigures(
        organization=organization,
        days=_dates(simulation),
        click_rate=reactions.click_rate,
        answer_rate=reactions.answer_rate,
        condition_rate=reactions.condition_rate,
        seed=reactions.seed,
        contacts_by_emails=_contacts_by_emails(simulation.contacts, sent),
        volume=_volume(simulation.days, sent),
        caps=simulation.days["daily_cap"].tolist(),
        outcomes={name: int(by_outcome.get(name, 0)) for name in OUTCOMES},
        still_open=simulation.open_count,
        late_by_days=dict(zip(days.tolist(), counts.tolist(), strict=True)),
        lost_by_reason=_by_reason(emails, LOST),
        excluded_by_reason=_by_reason(emails, EXCLUDED),
        by_type=_by(emails, "email_type"),
        by_state=_by(emails, "state"),
        promises=promises.compared,
        moved=promises.moved,
        withdrawn=promises.withdrawn,
        proofs=simulation.proofs,
        violations=simulation.violations,
    )


def write_counts(path: Path, simulation: Simulation) -> int:
    """Write how many emails there are of each day, state, type, outcome, reason and delay as CSV.

    Args:
        path: The file, its owner's alone; one that is there is replaced.
        simulation: The simulation.

    Returns:
        The number of lines.

    Raises:
        UsageError: The file cannot be written.
    """
    emails = simulation.emails
    counts = emails.groupby(list(COUNTED_BY), observed=True, dropna=False).size().reset_index(name="emails")
    counts["day"] = format_days(counts["day"].to_numpy())
    with private_output(path) as file:
        counts.to_csv(file, index=False, lineterminator="\r\n")
    return len(counts)


def _dates(simulation: Simulation) -> list[date]:
    return [from_day(day) for day in simulation.days["day"].tolist()]


def _contacts_by_emails(contacts: pd.DataFrame, sent: pd.DataFrame) -> Sequence[int]:
    position = SortedIds(contacts["contact_id"].to_numpy()).positions(sent["contact_id"].to_numpy())
    of_contact = np.bincount(position[position >= 0], minlength=len(contacts))
    numbers: list[int] = np.bincount(of_contact, minlength=1).tolist()
    return numbers


def _volume(days: pd.DataFrame, sent: pd.DataFrame) -> dict[str, list[int]]:
    types = sent["email_type"].cat.categories
    kinds = [
        KINDS.index(name)
        if name in KINDS
        else KINDS.index(_FOLLOW_UPS if name.startswith(FOLLOW_UP_PREFIX) else _CAMPAIGNS)
        for name in types
    ]
    kind = np.array([*kinds, 0])[sent["email_type"].cat.codes.to_numpy()]
    first, count = int(days["day"].iloc[0]), len(days)
    day = sent["day"].to_numpy() - first
    table = np.bincount(day * len(KINDS) + kind, minlength=count * len(KINDS)).reshape(count, len(KINDS))
    return {name: table[:, number].tolist() for number, name in enumerate(KINDS)}


def _by_reason(emails: pd.DataFrame, outcome: str) -> dict[str, int]:
    reasons = emails["reason"][is_label(emails["outcome"], [outcome])].value_counts()
    return {str(reason): int(count) for reason, count in reasons.items() if count}


def _by(emails: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """Return a label of a column to each of ``OUTCOMES`` to the number of emails; only labels that occur."""
    counts = emails.groupby([column, "outcome"], observed=True).size().reset_index(name="emails")
    rows: dict[str, dict[str, int]] = {}
    for row in counts.to_dict("records"):
        of_label = rows.setdefault(str(row[column]), dict.fromkeys(OUTCOMES, 0))
        of_label[str(row["outcome"])] = int(row["emails"])
    return rows
