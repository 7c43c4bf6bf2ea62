"""Loading contacts from a CSV file: creating those that are not there, updating the others.

A load that is stopped half-way is completed by the same load: what is written already is unchanged.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from email_scheduler.config import SchedulerConfig
from email_scheduler.contacts.contact_file import ContactFile, stored_types
from email_scheduler.contacts.staged_contacts import CREATED, DELETED, UNCHANGED, UPDATED, StagedContacts
from email_scheduler.database import (
    SQLITE,
    AcceptedLoss,
    BadLines,
    BadLinesError,
    connected,
    contacts_kind,
    is_table,
    require_current_schema,
)
from email_scheduler.errors import LossError, UsageError
from email_scheduler.planning import LEAST_LOST

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContactsImport:
    """What became of the lines of a file.

    Attributes:
        counts: Lines by what became of them: created, updated, unchanged, repeated; and contacts that were
            deleted.
        updated: Contacts of which a column changed, by column.
        contacts_before: How many contacts there were.
        added_columns: Columns that ``contacts`` got.
        ignored_columns: Headings of columns that were passed over.
        deletes_too_much: Whether somebody has to accept the deletions (of a dry run: would have to).
        bad_lines: Those that could not be taken.
    """

    counts: dict[str, int]
    updated: dict[str, int]
    contacts_before: int
    added_columns: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    deletes_too_much: bool
    bad_lines: BadLines = field(default_factory=BadLines)


def import_contacts(
    url: str,
    config: SchedulerConfig,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    add_columns: bool = False,
    trust_ids: bool = False,
    skip_bad: bool = False,
    replace: bool = False,
    accepted: AcceptedLoss | None = None,
    is_dry_run: bool = False,
) -> ContactsImport:
    """Create and update contacts from a CSV file.

    A line with an id is about the contact with this id, any other one about the contact with its address. A
    blank cell leaves what is stored. An address that says who is meant stays as it is written.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration.
        path: The file; its columns: ``headings.read_columns``.
        mapping: What headings mean (``headings.parse_mapping``).
        add_columns: Add columns to ``contacts`` that it does not have.
        trust_ids: Take lines whose address is that of another contact than their id.
        skip_bad: Take the other lines if some cannot be taken.
        replace: Delete the contacts that the file does not name.
        accepted: Somebody's word that many may be deleted.
        is_dry_run: Return what would become of them; change nothing.

    Raises:
        BadLinesError: Some lines cannot be taken; nothing was changed.
        DatabaseError: The database cannot be used, or ``contacts`` is a view that cannot be written to;
            batches before that are written.
        LossError: Too many contacts would be deleted; nothing was changed.
        UsageError: The file cannot be read; nothing was changed.
    """
    if replace and skip_bad:
        raise UsageError(
            "--replace with --skip-bad would delete the contacts of bad lines; accepted is one of the two"
        )
    require_current_schema(url, config)
    with connected(url, config, is_bulky=True) as connection:
        bad_lines = BadLines()
        is_typed = connection.dialect.name != SQLITE
        file = ContactFile(path, stored_types(connection), mapping or {}, add_columns, is_typed)
        load = StagedContacts.staged(connection, file, bad_lines)
        load.find_contacts(bad_lines, trust_ids=trust_ids)
        if bad_lines and not skip_bad:
            raise BadLinesError(str(path), bad_lines, "line")
        load.decide(replace=replace)
        if not is_table(kind := contacts_kind(connection)):
            load.try_writing(kind)
        most = config.guard.max_contact_loss_share
        found = ContactsImport(
            load.counts(),
            load.updated(),
            load.contacts_before,
            file.columns.added,
            file.columns.ignored,
            deletes_too_much(load.leaving, load.contacts_before, most),
            bad_lines,
        )
        if not is_dry_run:
            if replace:
                _check_deletions(found, str(path), accepted, most)
            load.write()
    return found


def deletes_too_much(leaving: int, contacts: int, share: Decimal) -> bool:
    """Tell whether somebody has to accept that contacts are deleted (section 17 of the planning rules).

    Args:
        leaving: How many are deleted.
        contacts: How many there are.
        share: The share of them that may be deleted without a word.
    """
    return leaving >= LEAST_LOST and leaving > share * contacts


def _check_deletions(
    found: ContactsImport, source: str, accepted: AcceptedLoss | None, most: Decimal
) -> None:
    leaving, there = found.counts[DELETED], found.contacts_before
    if leaving and not sum(found.counts[each] for each in (CREATED, UPDATED, UNCHANGED)):
        raise UsageError(f"{source}: the file holds no contact; accepted for --replace is one with contacts")
    if not found.deletes_too_much:
        return
    told = f"{leaving:,} of {there:,} contacts are not in the file"
    if accepted is None:
        raise LossError(
            f"{source}: {told}, more than guard.max_contact_loss_share ({most}) allows, and --replace would"
            " delete them; nothing was changed. Accepted is a whole file, or --accept-loss --by NAME"
            " --reason TEXT"
        )
    _logger.warning("%s; %s accepts that they are deleted: %s", told, accepted.by, accepted.reason)
