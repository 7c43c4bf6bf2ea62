"""What the sending system has taken already, and what else stands in the way of a day or a contact."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.compliance.columns import (
    FOLLOW_UP,
    FOREIGN,
    Codes,
    ContactPositions,
    codes_of,
    days_of_timestamps,
    kind_of_planned,
    kind_of_sent,
    per_text,
)
from email_scheduler.planning.compliance.days import Days, Flags, Ids, Positions, days_of_parts
from email_scheduler.planning.frames import NO_DATE

_PLANNED = "pre-scheduled"
_LIVE = {"scheduled", "processing", "sent", "delivered"}
_SENT = {"sent", "delivered"}


@dataclass(frozen=True)
class SenderRows:
    """The rows of ``email_schedules`` that the planner does not write, in columns (section 1).

    Attributes:
        ids: The id of the row.
        who: Position of the contact, -1 where it is not valid.
        kind: See ``columns``; every type ``followup_…`` is a follow-up.
        type_codes: Index into ``type_names``, -1 where there is no type.
        type_names: The distinct email types.
        event: The event date, the send date where there is none.
        send: The send date.
        instance: The campaign instance.
        initial: The initial email of a follow-up.
        is_senders: A sender's row: its status is neither pre-scheduled nor skipped.
        is_live: A sender's row of a live status.
        is_sent: ... that is sent or delivered.
        takes_a_place: Live, or pre-scheduled of a type that the planner does not know: what
            ``fixed`` of section 11 counts.
    """

    ids: Ids
    who: npt.NDArray[np.int32]
    kind: Codes
    type_codes: Codes
    type_names: list[str]
    event: Days
    send: Days
    instance: Ids
    initial: Ids
    is_senders: Flags
    is_live: Flags
    is_sent: Flags
    takes_a_place: Flags

    def by_part(self, parts: list[slice]) -> list[Callable[[], "SenderRows"]]:
        """Return for each part of the contacts what returns their rows, contacts counted from its first."""
        starts = np.array([part.start for part in parts])
        # numbers of parts are small, and sorted by counting them; those of no valid contact come last
        number = np.where(self.who < 0, len(parts), starts.searchsorted(self.who, side="right") - 1)
        order = np.argsort(number.astype(np.uint16), kind="stable")
        ends = np.bincount(number, minlength=len(parts) + 1).cumsum()

        def rows_of(part: slice, chosen: Positions) -> "SenderRows":
            rows = self.where(chosen)
            return replace(rows, who=rows.who - np.int32(part.start))

        return [
            partial(rows_of, part, chosen)
            for part, chosen in zip(parts, np.split(order, ends[:-1]), strict=False)
        ]

    def answering(self, kind: int) -> "SenderRows":
        """Return the sender's rows of valid contacts of one kind, also those without any date."""
        return self.where(self.is_senders & (self.who >= 0) & (self.kind == kind))

    def dated(self) -> "SenderRows":
        """Return the rows that have any date."""
        return self.where(self.event != NO_DATE)

    def ordered(self) -> "SenderRows":
        """Return the rows ascending by id."""
        return self.where(np.argsort(self.ids))

    def where(self, chosen: Flags | Positions) -> "SenderRows":
        """Return the chosen rows only."""
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        return SenderRows(
            self.ids[chosen],
            self.who[chosen],
            self.kind[chosen],
            self.type_codes[chosen],
            self.type_names,
            self.event[chosen],
            self.send[chosen],
            self.instance[chosen],
            self.initial[chosen],
            self.is_senders[chosen],
            self.is_live[chosen],
            self.is_sent[chosen],
            self.takes_a_place[chosen],
        )


def read_sender_rows(history: pd.DataFrame, positions: ContactPositions) -> SenderRows:
    """Return ``history`` (``HISTORY_TABLE``) in columns; see ``SenderRows``."""
    types = codes_of(history["email_type"])
    statuses = codes_of(history["status"])
    kind = per_text(types, [kind_of_sent(name) for name in types[1]], FOREIGN, np.int8)
    is_foreign = per_text(types, [kind_of_planned(name) == FOREIGN for name in types[1]], True, np.bool_)
    is_live = per_text(statuses, [name in _LIVE for name in statuses[1]], False, np.bool_)
    is_planned = per_text(statuses, [name == _PLANNED for name in statuses[1]], False, np.bool_)
    is_skipped = per_text(statuses, [name == "skipped" for name in statuses[1]], False, np.bool_)
    actual = days_of_timestamps(history["actual_send_datetime"])
    send = np.where(actual != NO_DATE, actual, days_of_timestamps(history["scheduled_send_date"]))
    event = days_of_parts(
        history["event_year"].to_numpy(), history["event_month"].to_numpy(), history["event_day"].to_numpy()
    )
    return SenderRows(
        ids=history["id"].to_numpy(),
        who=positions.of(history["contact_id"].to_numpy()),
        kind=kind,
        type_codes=types[0],
        type_names=types[1],
        event=np.where(event != NO_DATE, event, send),
        send=send,
        instance=history["campaign_instance_id"].to_numpy(),
        initial=np.where(kind == FOLLOW_UP, history["initial_email_id"].to_numpy(), 0),
        is_senders=~is_planned & ~is_skipped,
        is_live=is_live,
        is_sent=per_text(statuses, [name in _SENT for name in statuses[1]], False, np.bool_),
        takes_a_place=is_live | (is_planned & is_foreign),
    )
