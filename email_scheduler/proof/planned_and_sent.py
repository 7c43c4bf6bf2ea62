"""The rows of a plan and those of the sending system in columns (section 1), and what holds of rows as such.

One row for each occurrence, one follow-up for each contact and initial email (sections 1 and 10); nothing to
people who have unsubscribed or bounced (section 4).
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.frames import NO_DATE, PlanInputs
from email_scheduler.proof.arithmetic import (
    FOLLOW_UP,
    FOREIGN,
    FOREVER,
    Codes,
    ContactPositions,
    Days,
    Flags,
    Ids,
    Positions,
    codes_of,
    days_of_parts,
    days_of_timestamps,
    kind_of_planned,
    kind_of_sent,
    per_text,
    repeats,
)
from email_scheduler.proof.violations import Violations

PLANNED = "pre-scheduled"
SKIPPED = "skipped"
_LIVE = {"scheduled", "processing", "sent", "delivered"}
_SENT = {"sent", "delivered"}


@dataclass(frozen=True)
class PlanRows:
    """The plan: one entry of each column for each row of ``EMAIL_SCHEDULES``, in its order.

    Attributes:
        who: Position of the contact, -1 where it is not valid.
        kind: See ``arithmetic``.
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


@dataclass(frozen=True)
class SenderRows:
    """The rows of ``email_schedules`` that the planner does not write, in columns (section 1).

    Attributes:
        ids: The id of the row.
        who: Position of the contact, -1 where it is not valid.
        kind: See ``arithmetic``; every type ``followup_…`` is a follow-up.
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
    is_planned = per_text(statuses, [name == PLANNED for name in statuses[1]], False, np.bool_)
    is_skipped = per_text(statuses, [name == SKIPPED for name in statuses[1]], False, np.bool_)
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


def check_duplicates(rows: PlanRows, contact_ids: Ids, violations: Violations) -> None:
    """Report every row whose occurrence another row before it has; ``contact_ids`` are those of the rows."""
    columns: list[npt.NDArray[np.integer]] = [contact_ids, rows.type_codes, rows.instance, rows.event]
    order = None if _ascend(columns) else np.lexsort(columns[::-1])
    if order is not None:
        columns = [column[order] for column in columns]
    again = np.ones(max(len(rows.who) - 1, 0), dtype=bool)
    for column in columns:
        again &= column[1:] == column[:-1]
    repeated = np.flatnonzero(again) + 1
    if order is not None:
        repeated = np.sort(order[repeated])
    violations.rows("duplicate_occurrence", repeated[rows.kind[repeated] != FOLLOW_UP])

    follow_ups = np.flatnonzero(rows.kind == FOLLOW_UP)
    is_second = repeats(contact_ids[follow_ups]) | repeats(rows.initial[follow_ups])
    violations.rows(
        "duplicate_occurrence", follow_ups[is_second], "one follow-up for each contact and initial email"
    )


def _ascend(columns: list[npt.NDArray[np.integer]]) -> bool:
    """Return whether the rows ascend by the columns, the first of them first; equal rows may follow."""
    ascends: Flags = np.ones(max(len(columns[0]) - 1, 0), dtype=bool)
    for column in reversed(columns):
        ascends = (column[1:] > column[:-1]) | ((column[1:] == column[:-1]) & ascends)
    return bool(ascends.all())


def check_addresses(
    as_of: int,
    inputs: PlanInputs,
    positions: ContactPositions,
    rows: PlanRows,
    most_per_address: int | None,
    violations: Violations,
) -> None:
    """Report planned emails to suppressed contacts and addresses, and to addresses that too many have."""
    suppressed = inputs.suppressions["contact_id"][_is_in_force(inputs.suppressions, as_of)]
    addresses = inputs.suppressed_addresses
    last = days_of_timestamps(addresses["suppressed_until"])
    is_over = (last != NO_DATE) & (last < as_of)
    listed = addresses["address"][_is_in_force(addresses, as_of) & ~is_over]
    is_anybody_suppressed = bool(len(suppressed) or len(listed))
    if not is_anybody_suppressed and most_per_address is None:
        return
    address = _meanings(inputs.contacts["email"])
    if is_anybody_suppressed:
        is_named = inputs.contacts["id"].isin(suppressed)
        unwanted = set(address[is_named].dropna()) | set(_meanings(listed))
        found = is_named | (address.isin(unwanted) & (address != ""))
        _report("suppressed_contact", found, inputs, positions, rows, violations)
    if most_per_address is not None:
        sharing = address.map(address.value_counts()).fillna(0) > most_per_address
        _report("shared_address", sharing, inputs, positions, rows, violations)


def _report(
    rule: str,
    found: pd.Series,
    inputs: PlanInputs,
    positions: ContactPositions,
    rows: PlanRows,
    violations: Violations,
) -> None:
    """Report the planned emails to the contacts that were found, a flag for each of the table."""
    who = positions.of(inputs.contacts["id"][found].to_numpy())
    is_found = np.zeros(len(positions.ids) + 1, dtype=bool)
    is_found[who[who >= 0]] = True
    violations.rows(rule, np.flatnonzero(rows.is_planned & is_found[rows.who]))


def _is_in_force(suppressions: pd.DataFrame, as_of: int) -> Flags:
    suppressed_at = days_of_timestamps(suppressions["suppressed_at"])
    # one day more: in UTC it is tomorrow already while it is evening in US Central time
    in_force: Flags = (suppressed_at <= as_of + 1) | (suppressed_at == NO_DATE)
    return in_force


def _meanings(addresses: pd.Series) -> pd.Series:
    """Return what all spellings of each address have in common (section 1)."""
    texts = addresses.astype("str").str.strip().str.lower()
    # small letters are all that plain ASCII has in common; the rest is little
    is_plain = texts.str.isascii() & ~texts.str.contains("xn--", regex=False)
    is_odd = texts.notna() & ~is_plain
    return texts.mask(is_odd, addresses[is_odd].astype("object").map(_meaning).astype("str"))


def _meaning(address: str) -> str:
    # what is left to do after a pass is done by the next one
    text = address
    while (simpler := _simpler(text)) != text:
        text = simpler
    return text


def _simpler(address: str) -> str:
    text = unicodedata.normalize("NFKC", address.strip()).casefold()
    at = text.rfind("@") + 1
    if at == 0:
        return text
    labels = text[at:].split(".")
    for number, label in enumerate(labels):
        if label.startswith("xn--"):
            try:
                decoded = label[4:].encode("ascii").decode("punycode")
                decoded.encode("utf-8")
            except UnicodeError:
                continue
            labels[number] = unicodedata.normalize("NFKC", decoded).casefold()
    return text[:at] + ".".join(labels)
