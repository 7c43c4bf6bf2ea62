"""Explaining a contact: reads what concerns it, chooses the plan, and lets ``explain`` tell."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from email_scheduler.config import SchedulerConfig, config_of, differences
from email_scheduler.database import (
    AcceptedLoss,
    ConfigVersion,
    Connection,
    connect,
    current_hold,
    database_errors,
    display_url,
    read_config_version,
    read_inputs_of_contacts,
    read_kept,
    require_current_schema,
    retrying,
)
from email_scheduler.errors import ConfigurationError, UsageError
from email_scheduler.explain.contact import explain
from email_scheduler.explain.explanation import ContactAnswer, ExplainedContact, PlanInForce, Suppression
from email_scheduler.explain.facts import Facts
from email_scheduler.explain.read_contact import (
    addressees,
    contacts_of_address,
    edited_contacts,
    is_contact,
    kept_runs,
    read_address_suppressions,
    read_stored_rows,
    read_suppressions,
)
from email_scheduler.explain.stored_rows import KeptRun, Publication, StoredRow, publication_for
from email_scheduler.planning import PlanInputs

# Contacts of one address that are explained together; a placeholder may be the address of thousands.
MOST_CONTACTS = 10


def explain_contact(url: str, config: SchedulerConfig, contact_id: int, as_of: date) -> ContactAnswer:
    """Explain one contact as the plan has it that was in force on a day.

    Args:
        url: The organisation's database.
        config: Its configuration as it is now.
        contact_id: The contact.
        as_of: The day.

    Raises:
        UsageError: There is no such contact, or no plan for that day or before is on record.
        DatabaseError: The database cannot be read.
        InputDataError: A campaign cannot be read.
    """

    def find(connection: Connection) -> list[int]:
        if is_contact(connection, contact_id):
            return [contact_id]
        raise UsageError(_unknown_contact(connection, url, contact_id))

    return _answer(url, config, find, as_of)


def explain_address(url: str, config: SchedulerConfig, address: str, as_of: date) -> ContactAnswer:
    """Explain all contacts that have an address, however it is spelled (section 1 of the planning rules).

    Raises:
        UsageError: No contact has it, more than ``MOST_CONTACTS`` have, or as ``explain_contact``.
        DatabaseError: The database cannot be read.
        InputDataError: A campaign cannot be read.
    """

    def find(connection: Connection) -> list[int]:
        found = contacts_of_address(connection, address)
        if not found:
            raise UsageError(
                f"database {display_url(url)}: no contact has the address that is given; accepted is that of"
                " a contact, in small or capital letters"
            )
        if len(found) > MOST_CONTACTS:
            shown = ", ".join(map(str, found[:MOST_CONTACTS]))
            raise UsageError(
                f"{len(found):,} or more contacts have the address that is given; accepted is one of"
                f" at most {MOST_CONTACTS}, or --contact with one of their ids: {shown}, ..."
            )
        return found

    return _answer(url, config, find, as_of)


def explain_many(
    url: str, config: SchedulerConfig, contact_ids: Sequence[int], as_of: date
) -> list[ExplainedContact]:
    """Explain contacts that are known to exist, which takes hardly longer than one.

    Raises:
        UsageError: No plan for that day or before is on record.
        DatabaseError: The database cannot be read.
        InputDataError: A campaign cannot be read.
    """
    return list(_answer(url, config, lambda _: list(contact_ids), as_of).contacts)


def _answer(
    url: str, config: SchedulerConfig, find: Callable[[Connection], list[int]], as_of: date
) -> ContactAnswer:
    retrying(config)(require_current_schema, url, config)

    def read() -> tuple[ExplainedContact, ...]:
        with connect(url, config) as connection:
            return _explained(connection, url, config, find(connection), as_of)

    with database_errors(url):
        contacts = retrying(config)(read)
    hold = current_hold(url, config)
    return ContactAnswer(as_of, contacts, None if hold is None else str(hold))


def _explained(
    connection: Connection, url: str, config: SchedulerConfig, contact_ids: Sequence[int], as_of: date
) -> tuple[ExplainedContact, ...]:
    runs = kept_runs(connection)
    publication = publication_for(runs, as_of)
    if publication is None:
        raise UsageError(_no_plan(url, runs, as_of))
    stored = read_stored_rows(connection, contact_ids)
    others = addressees(connection, contact_ids)
    by_run: dict[tuple[str, bool], list[int]] = {}
    publications = {}
    for contact_id in contact_ids:
        own = publication
        if publication.is_last:
            run = publication.written_by([row for row in stored if row.contact_id == contact_id])
            # what a run has written that was stopped, and is for a later day than is asked for, is news
            is_later = run.as_of > as_of
            own = replace(publication, is_last=False) if is_later else replace(publication, run=run)
        key = own.run.run_id, own.is_last
        publications[key] = own
        by_run.setdefault(key, []).append(contact_id)
    found = [
        explained
        for key, ids in by_run.items()
        for explained in _of_one_plan(connection, config, publications[key], ids, others, stored)
    ]
    return tuple(sorted(found, key=lambda each: each.explanation.contact.contact_id))


def _of_one_plan(
    connection: Connection,
    config: SchedulerConfig,
    publication: Publication,
    contact_ids: Sequence[int],
    others: dict[int, list[int]],
    stored: Sequence[StoredRow],
) -> list[ExplainedContact]:
    plan, used = _plan_in_force(connection, config, publication)
    addressed = {other for contact_id in contact_ids for other in others[contact_id]}
    inputs = read_inputs_of_contacts(connection, publication.run.as_of, used, contact_ids, addressed)
    facts = Facts(_as_known(inputs, publication, stored), used)
    suppressions = read_suppressions(connection, {*contact_ids, *addressed}, publication.run.as_of)
    of_addresses = read_address_suppressions(connection, contact_ids, publication.run.as_of)
    edited = edited_contacts(connection, contact_ids) if publication.is_last else set()
    found = []
    for contact_id in contact_ids:
        explanation = explain(
            facts,
            contact_id,
            publication,
            [row for row in stored if row.contact_id == contact_id],
            _that_concern(contact_id, others[contact_id], suppressions, of_addresses.get(contact_id, [])),
            others[contact_id],
            is_edited=contact_id in edited,
        )
        found.append(ExplainedContact(plan, explanation))
    return found


def _that_concern(
    contact_id: int,
    others: Sequence[int],
    suppressions: Sequence[Suppression],
    of_address: Sequence[Suppression],
) -> list[Suppression]:
    """Return the suppressions of contacts with the address, and of the address what they do not say."""
    concerned = {contact_id, *others}
    found = [each for each in suppressions if each.contact_id in concerned]
    said = {each.contact_id for each in found}
    return [*found, *(each for each in of_address if each.contact_id not in said)]


def _plan_in_force(
    connection: Connection, config: SchedulerConfig, publication: Publication
) -> tuple[PlanInForce, SchedulerConfig]:
    """Return what is to be said about a plan, and the configuration that it was made with."""
    run = publication.run
    version, used, problem = None, config, None
    if run.config_version is not None:
        version = read_config_version(connection, run.config_version)
    if version is None:
        problem = "the version of the configuration that the plan was made with is not kept"
    else:
        try:
            used = config_of(version.document, f"version {version.id}")
        except ConfigurationError as error:
            problem = str(error)
    changes = differences(used.rules_document(), config.rules_document())
    accepted = read_kept(connection, run.number).accepted
    return _told(publication, version, problem, [each.path for each in changes], accepted), used


def _told(
    publication: Publication,
    version: ConfigVersion | None,
    problem: str | None,
    changed: Sequence[str],
    accepted: AcceptedLoss | None,
) -> PlanInForce:
    run = publication.run
    return PlanInForce(
        run_id=run.run_id,
        as_of=run.as_of,
        completed_at=run.completed_at,
        is_completed=run.status == "completed",
        is_last=publication.is_last,
        config_version=version.id if version else run.config_version,
        config_valid_from=version.valid_from if version else None,
        config_created_by=version.created_by if version else None,
        config_problem=problem,
        changed_keys=tuple(changed),
        accepted_loss=None if accepted is None else str(accepted),
    )


def _as_known(inputs: PlanInputs, publication: Publication, stored: Sequence[StoredRow]) -> PlanInputs:
    """Return the inputs without the sender's rows that the plan could not know of."""
    known = publication.history(stored)
    unknown = {row.id for row in stored if not row.is_planners and row.id not in known}
    return replace(inputs, history=inputs.history[~inputs.history["id"].isin(unknown)])


def _unknown_contact(connection: Connection, url: str, contact_id: int) -> str:
    rows = len(read_stored_rows(connection, [contact_id]))
    left = f" any more; {rows:,} rows of emails to it are left" if rows else ""
    return f"database {display_url(url)}: there is no contact {contact_id}{left}"


def _no_plan(url: str, runs: Sequence[KeptRun], as_of: date) -> str:
    kept = sorted({run.as_of for run in runs if run.status == "completed"})
    where = f"database {display_url(url)}: no plan for {as_of} or before is on record"
    if not kept:
        return f"{where}, nor for any other day: email-scheduler plan makes one"
    return f"{where}; there are plans for {len(kept):,} dates, from {kept[0]} to {kept[-1]}"
