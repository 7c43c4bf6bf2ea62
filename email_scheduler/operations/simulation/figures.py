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
from email_scheduler.planning.cube import Cube, Label
from email_scheduler.planning.dates import format_days, from_day
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.packing import SortedIds
from email_scheduler.planning.registry.email_types import ANNIVERSARY_TYPES, FOLLOW_UP_PREFIX
from email_scheduler.reporting.simulation_figures import SimulationFigures

_CAMPAIGNS: Final = "campaigns"
_FOLLOW_UPS: Final = "follow-ups"
KINDS: Final = (*ANNIVERSARY_TYPES, _CAMPAIGNS, _FOLLOW_UPS)


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
    cells = [(*labels, emails) for labels, emails in simulation.counts.cells()]
    lines = pd.DataFrame(cells, columns=[*simulation.counts.legends, "emails"])
    lines["day"] = format_days(lines["day"].to_numpy(np.int32))
    with private_output(path) as file:
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
