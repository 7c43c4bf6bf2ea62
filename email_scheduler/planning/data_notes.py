"""What somebody should look at in the data of an organisation, with counts: it makes no contact invalid.

Counts only: neither a date nor an address of a contact is in a note.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.planning.categories import is_label
from email_scheduler.planning.columns import (
    Days,
    Flags,
    SortedIds,
    codes_and_texts,
    parse_dates,
    to_arrow,
    to_day,
    to_flags,
    trim,
)
from email_scheduler.planning.frames import NO_CONTACT, NO_DATE, PlanInputs
from email_scheduler.planning.plan import Plan
from email_scheduler.planning.rules.campaign_instances import read_instances
from email_scheduler.planning.rules.contacts import (
    FIRST_DATE,
    LAST_EFFECTIVE_DATE,
    address_keys,
    are_valid,
)
from email_scheduler.planning.rules.exclusions import FOREVER
from email_scheduler.registry import PRE_SCHEDULED, SKIPPED
from email_scheduler.registry.notes import (
    CAMPAIGNS_LONG_BEGUN,
    CONTACTS_OF_ONE_ADDRESS,
    LONG_BEGUN_DAYS,
    MISSING_BIRTH_DATES,
    MISSING_EFFECTIVE_DATES,
    MISSING_PERCENT,
    MISSING_ZIP_CODES,
    NOTES,
    PLACEHOLDER_TEXTS,
    PLACEHOLDERS_IN_DATES,
    SENDER_ROWS_WITHOUT_CONTACT,
    SENT_TIMES_IN_UTC,
    SHARED_ADDRESSES,
    SHARED_BIRTH_DATES,
    SHARED_DATE_LEAST_CONTACTS,
    SHARED_DATE_PERCENT,
    SHARED_EFFECTIVE_DATES,
    SUPPRESSIONS_WITHOUT_CONTACT,
)

# How a time ends that is in UTC; reading keeps that end of it (HISTORY_TABLE).
_IN_UTC: Final = r"(?:[Zz]|UTC|GMT|\+00(?::00)?)\z"


@dataclass(frozen=True)
class FoundNote:
    """A note about the data, with what was counted.

    Attributes:
        name: Which one (``NOTES`` of the registry).
        count: The contacts, rows or emails that it is about.
        out_of: The contacts, rows or emails that were looked at.
        things: The dates, addresses, texts or campaigns that they share; of rows, their contacts.
        by: The count by what a date column holds (``birth_date NULL``), or by campaign instance.
    """

    name: str
    count: int
    out_of: int
    things: int
    by: dict[str, int]

    @property
    def details(self) -> str:
        """What ``by`` says, the most first."""
        ordered = sorted(self.by.items(), key=lambda each: (-each[1], each[0]))
        return ", ".join(f"{name}: {count:,}" for name, count in ordered)

    @property
    def found(self) -> str:
        """What was found, with figures, without a full stop."""
        return NOTES[self.name].found.format(note=self)

    def __str__(self) -> str:
        return f"{self.found}. {NOTES[self.name].what_helps}"

    def document(self) -> dict[str, Any]:
        """Return the counts, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


@dataclass(frozen=True)
class DataNotes:
    """All notes about the data that a plan was made from, in the order of the registry."""

    notes: tuple[FoundNote, ...]

    def __iter__(self) -> Iterator[FoundNote]:
        return iter(self.notes)

    def get(self, name: str) -> FoundNote | None:
        """Return the note of this name; None where there was nothing to note."""
        return next((note for note in self.notes if note.name == name), None)

    def document(self) -> dict[str, Any]:
        """Return the counts by note, for JSON."""
        return {note.name: note.document() for note in self.notes}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "DataNotes":
        """Return what ``document`` has returned; notes that are not known any more are left out."""
        return cls(tuple(FoundNote(name, **document[name]) for name in NOTES if name in document))


def find_notes(plan: Plan, inputs: PlanInputs) -> DataNotes:
    """Return what somebody should look at in the data that a plan was made from.

    Args:
        plan: The plan.
        inputs: What it was made from, of the whole organisation.
    """
    found = {
        note.name: note
        for note in (
            *_of_dates(inputs),
            *_of_addresses(inputs),
            *_of_zip_codes(inputs),
            *_placeholders(inputs),
            *_campaigns_long_begun(plan, inputs),
            *_sent_times_in_utc(inputs),
            *_without_contact(inputs),
        )
    }
    return DataNotes(tuple(found[name] for name in NOTES if name in found))


def _of_dates(inputs: PlanInputs) -> Iterator[FoundNote]:
    total = len(inputs.contacts)
    for column, last, shared, missing in (
        ("birth_date", inputs.as_of, SHARED_BIRTH_DATES, MISSING_BIRTH_DATES),
        ("effective_date", LAST_EFFECTIVE_DATE, SHARED_EFFECTIVE_DATES, MISSING_EFFECTIVE_DATES),
    ):
        # one that is not accepted, such as 0001-01-01, may be a placeholder, too
        days, _ = parse_dates(inputs.contacts[column])
        yield from _shared_dates(shared, days[days != NO_DATE], total)
        is_known = (days != NO_DATE) & (days >= to_day(FIRST_DATE)) & (days <= to_day(last))
        yield from _missing(missing, ~is_known)


def _shared_dates(name: str, days: Days, total: int) -> Iterator[FoundNote]:
    if len(days) == 0:
        return
    counts = np.bincount(days - days.min())
    is_many = (counts * 100 > SHARED_DATE_PERCENT * total) & (counts >= SHARED_DATE_LEAST_CONTACTS)
    if is_many.any():
        yield FoundNote(name, int(counts[is_many].sum()), total, int(is_many.sum()), {})


def _missing(name: str, is_missing: Flags) -> Iterator[FoundNote]:
    count = int(is_missing.sum())
    if count * 100 > MISSING_PERCENT * len(is_missing):
        yield FoundNote(name, count, len(is_missing), 0, {})


def _of_zip_codes(inputs: PlanInputs) -> Iterator[FoundNote]:
    codes, texts = codes_and_texts(inputs.contacts["zip_code"])
    stands_for_none = pc.or_(pc.equal(trim(texts), ""), _is_placeholder(texts))
    yield from _missing(MISSING_ZIP_CODES, _spread(stands_for_none, codes, is_missing=True))


def _of_addresses(inputs: PlanInputs) -> Iterator[FoundNote]:
    counts = pc.value_counts(address_keys(to_arrow(inputs.contacts["email"])))
    shared = counts.filter(pc.greater(counts.field("counts"), CONTACTS_OF_ONE_ADDRESS))
    # what many have written for want of an address is none
    is_address = pc.fill_null(are_valid(shared.field("values")), False)
    contacts = shared.field("counts").filter(is_address)
    if len(contacts):
        total = len(inputs.contacts)
        yield FoundNote(SHARED_ADDRESSES, int(pc.sum(contacts).as_py()), total, len(contacts), {})


def _placeholders(inputs: PlanInputs) -> Iterator[FoundNote]:
    columns = {
        "birth_date": inputs.contacts,
        "effective_date": inputs.contacts,
        "trigger_date": inputs.contact_campaigns,
    }
    by: Counter[str] = Counter()
    for column, table in columns.items():
        codes, texts = codes_and_texts(table[column])
        places = np.flatnonzero(to_flags(_is_placeholder(texts)))
        counts = np.bincount(codes[codes >= 0], minlength=len(texts))
        written = trim(texts).take(pa.array(places)).to_pylist()
        for text, count in zip(written, counts[places].tolist(), strict=True):
            by[f"{column} {text}"] += count
    by = +by
    if by:
        looked_at = sum(len(table) for table in columns.values())
        yield FoundNote(PLACEHOLDERS_IN_DATES, by.total(), looked_at, len(by), dict(sorted(by.items())))


def _campaigns_long_begun(plan: Plan, inputs: PlanInputs) -> Iterator[FoundNote]:
    limit = to_day(plan.as_of) - LONG_BEGUN_DAYS
    begun = [
        each.id
        for each in read_instances(inputs.campaign_types, inputs.campaign_instances).values()
        # one that is for an anniversary takes contacts all the year
        if each.targets_all_contacts and not each.is_yearly and -FOREVER < each.start < limit
    ]
    if not begun:
        return
    sent = inputs.history["campaign_instance_id"].to_numpy()[_is_senders(inputs.history)]
    planned = plan.counts.campaigns.where(status=PRE_SCHEDULED).counts_by("campaign_instance_id")
    by = {id_: planned.get(id_, 0) for id_ in begun if not (sent == id_).any()}
    by = {id_: emails for id_, emails in sorted(by.items()) if emails}
    if by:
        everything = sum(planned.values())
        details = {str(id_): emails for id_, emails in by.items()}
        yield FoundNote(CAMPAIGNS_LONG_BEGUN, sum(by.values()), everything, len(by), details)


def _sent_times_in_utc(inputs: PlanInputs) -> Iterator[FoundNote]:
    codes, texts = codes_and_texts(inputs.history["actual_send_datetime"])
    count = int(_spread(pc.match_substring_regex(texts, _IN_UTC), codes, is_missing=False).sum())
    if count:
        yield FoundNote(SENT_TIMES_IN_UTC, count, int((codes >= 0).sum()), 0, {})


def _without_contact(inputs: PlanInputs) -> Iterator[FoundNote]:
    ids = inputs.contacts["id"].to_numpy()
    known = SortedIds(np.sort(ids[ids != NO_CONTACT]))
    senders = inputs.history["contact_id"].to_numpy()[_is_senders(inputs.history)]
    for name, named in (
        (SUPPRESSIONS_WITHOUT_CONTACT, inputs.suppressions["contact_id"].to_numpy()),
        (SENDER_ROWS_WITHOUT_CONTACT, senders),
    ):
        unknown = named[known.positions(named) < 0]
        if len(unknown):
            yield FoundNote(name, len(unknown), len(named), len(pd.unique(unknown)), {})


def _is_senders(history: pd.DataFrame) -> Flags:
    return ~is_label(history["status"].astype("category"), [PRE_SCHEDULED, SKIPPED])


def _is_placeholder(texts: pa.Array) -> pa.Array:
    return pc.is_in(pc.utf8_lower(trim(texts)), pa.array(PLACEHOLDER_TEXTS, texts.type))


def _spread(is_true: pa.Array, codes: npt.NDArray[np.int64], *, is_missing: bool) -> Flags:
    """Give each row what is true of its text, and ``is_missing`` to those without one."""
    flags: Flags = np.append(to_flags(is_true), is_missing)[codes]
    return flags
