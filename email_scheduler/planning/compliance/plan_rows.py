"""The rows of a plan in compact columns, and what the proof finds out about each."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.compliance.columns import (
    FOREIGN,
    Codes,
    ContactPositions,
    codes_of,
    kind_of_planned,
    per_text,
)
from email_scheduler.planning.compliance.days import FOREVER, Days, Flags, Ids
from email_scheduler.planning.frames import NO_DATE

PLANNED = "pre-scheduled"
SKIPPED = "skipped"


@dataclass(frozen=True)
class PlanRows:
    """The plan: one entry of each column for each row of ``EMAIL_SCHEDULES``, in its order.

    Attributes:
        who: Position of the contact, -1 where it is not valid.
        kind: See ``columns``.
        type_codes: Index into ``type_names``.
        type_names: The distinct email types.
        instance: The campaign instance.
        initial: The initial email of a follow-up.
        event: The event date.
        stated_ideal: The ideal date that the row states.
        send: The date on which the email is to go out.
        is_planned: The row is pre-scheduled.
        is_skipped: The row is skipped.
        is_known: The row is an occurrence of its contact; false until an occurrence was found for it.
        ideal: The ideal date of that occurrence, by the proof's own arithmetic.
        deadline: Its deadline.
        is_bound: Exclusion windows bind the email.
        ends: Last day of its campaign instance; for ever where there is none.
    """

    who: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int8]
    type_codes: Codes
    type_names: list[str]
    instance: Ids
    initial: Ids
    event: Days
    stated_ideal: Days
    send: Days
    is_planned: Flags
    is_skipped: Flags
    is_known: Flags
    ideal: Days
    deadline: Days
    is_bound: Flags
    ends: Days

    def of_contacts(self, contacts: slice) -> slice:
        """Return the rows of these contacts; the rows are in the order of their contacts."""
        # ends of the type of the column, which is not converted then
        first, last = self.who.searchsorted(np.array([contacts.start, contacts.stop], self.who.dtype))
        return slice(int(first), int(last))

    def part(self, rows: slice, first_contact: int) -> "PlanRows":
        """Return these rows, their contacts counted from ``first_contact``; what is noted of them stays."""
        columns = {
            each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "type_names"
        }
        columns["who"] = columns["who"] - np.int32(first_contact)
        return replace(self, **columns)

    def of_kind(self, kind: int) -> npt.NDArray[np.intp]:
        """Return the positions of the rows of one kind that belong to valid contacts."""
        return np.flatnonzero((self.kind == kind) & (self.who >= 0))

    def settle(self, rows: npt.NDArray[np.intp], ideal: Days | int, deadline: Days | int) -> None:
        """Note that these rows are occurrences with this ideal date and deadline."""
        self.is_known[rows] = True
        self.ideal[rows] = ideal
        self.deadline[rows] = deadline


def read_plan_rows(schedules: pd.DataFrame, positions: ContactPositions) -> PlanRows:
    """Return ``schedules`` (``EMAIL_SCHEDULES``) in columns; see ``PlanRows``."""
    types = codes_of(schedules["email_type"])
    statuses = codes_of(schedules["status"])
    count = len(schedules)
    return PlanRows(
        who=positions.of(schedules["contact_id"].to_numpy()),
        kind=per_text(types, [kind_of_planned(name) for name in types[1]], FOREIGN, np.int8),
        type_codes=types[0],
        type_names=types[1],
        instance=schedules["campaign_instance_id"].to_numpy(),
        initial=schedules["initial_email_id"].to_numpy(),
        event=schedules["event_date"].to_numpy(),
        stated_ideal=schedules["ideal_send_date"].to_numpy(),
        send=schedules["scheduled_send_date"].to_numpy(),
        is_planned=per_text(statuses, [name == PLANNED for name in statuses[1]], False, np.bool_),
        is_skipped=per_text(statuses, [name == SKIPPED for name in statuses[1]], False, np.bool_),
        is_known=np.zeros(count, dtype=bool),
        ideal=np.full(count, NO_DATE, dtype=np.int32),
        deadline=np.full(count, NO_DATE, dtype=np.int32),
        is_bound=np.ones(count, dtype=bool),
        ends=np.full(count, FOREVER, dtype=np.int32),
    )
