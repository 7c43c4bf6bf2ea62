"""The checks of each partition: what they look at, and what to do when one fails.

Each is evaluated by the asset that it belongs to, on the values of that partition.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
import numpy as np
import numpy.typing as npt
import pandas as pd
from dagster_shared.utils.warnings import PreviewWarning

from email_scheduler.config import SchedulerConfig
from email_scheduler.orchestration.asset_frames import BALANCED_SCHEDULES, CONTACTS, EMAIL_SCHEDULES, Frames
from email_scheduler.orchestration.metadata import markdown_table
from email_scheduler.planning import (
    DataNotes,
    Loss,
    Plan,
    PlanInputs,
    PlanningBasis,
    bound_rows_in_stretches,
    contacts_with_unknown_dates,
    from_day,
)
from email_scheduler.proof import find_violations
from email_scheduler.proof.violations import RULES
from email_scheduler.registry import NOTES

if TYPE_CHECKING:
    # it takes half a second to load, which importing the definitions must not
    from email_scheduler.database import AcceptedLoss, PlanChanges

# The tags of runs that nobody starts again by himself: the plan broke a rule, or waits for a person.
BREAKS_RULES_TAG: Final = "email_scheduler/breaks_rules"
LOSES_TOO_MUCH_TAG: Final = "email_scheduler/loses_too_much"
# Where the result of a check says in words what was found.
FOUND: Final = "found"
_MOST_IDS: Final = 20
_ROW_COLUMNS: Final = ("contact_id", "email_type", "campaign_instance_id", "initial_email_id")
_ROW_HEADINGS: Final = ("contact", "email type", "campaign instance", "initial email")
_STOPPED: Final = (
    " If this fails, nothing is published and the plan of the day before stays in force: look at the contacts"
    " named here, and report it with the run id, since a plan must not come to this. Materialising"
    " balanced_schedules again helps only after its inputs or the configuration were mended."
)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        asset: The asset that it belongs to.
        name: Its name.
        description: What it promises, and what to do when it fails.
        is_blocking: Whether nothing downstream is materialised when it fails.
    """

    asset: str
    name: str
    description: str
    is_blocking: bool = False


ENOUGH_VALID_CONTACTS: Final = Check(
    CONTACTS,
    "enough_valid_contacts",
    "The share of valid contacts is at least orchestration.minimum_valid_contact_share. If it is not: see the"
    " table of issues of this materialisation for what is wrong most often, and whether an import failed.",
)
STATES_AGREE: Final = Check(
    CONTACTS,
    "states_agree_with_zip_codes",
    "The column state agrees with the ZIP code. The ZIP code decides, so that emails are right if it is: have"
    " the contacts named here looked at, since one of the two is wrong.",
)
DATES_ARE_KNOWN: Final = Check(
    CONTACTS,
    "dates_known_in_window_states",
    "Contacts in a state with an exclusion window have the date that it depends on. Without it the window"
    " cannot be kept (state_rules.exclude_when_anchor_missing decides what happens then): have the dates of"
    " the contacts named here entered.",
)
AEP_YEARS_AHEAD: Final = Check(
    CONTACTS,
    "aep_years_ahead",
    "aep_config.years goes on beyond the year of the plan. If it does not: add the years to come, or remove"
    " the key, which means all years; otherwise no AEP email is planned any more.",
)
CAPACITY_SUFFICES: Final = Check(
    BALANCED_SCHEDULES,
    "capacity_suffices",
    "Every email finds a place before its deadline. If not, the emails counted here will be lost: raise"
    " load_balancing.daily_send_percentage_cap to about what the table says, or accept it.",
)
OUTSIDE_WINDOWS: Final = Check(
    BALANCED_SCHEDULES,
    "outside_exclusion_windows",
    "No email that windows bind is dated within a stretch of exclusion_windows." + _STOPPED,
    is_blocking=True,
)
TABLE_EQUALS_PLAN: Final = Check(
    EMAIL_SCHEDULES,
    "table_equals_plan",
    "The planned rows of the table, read again after publishing, are those of balanced_schedules, apart from"
    " those that the sending system has taken since. If not: something else writes to the table; find out"
    " what, and materialise this partition again.",
)
NO_UNKNOWN_TYPES: Final = Check(
    EMAIL_SCHEDULES,
    "no_rows_of_unknown_types",
    "No pre-scheduled rows of types that are not planned here wait to be sent: nobody proves that they may."
    " If there are: find out which program writes them and stop it, or make it a campaign; remove the rows."
    " Those of the type rate_increase: email-scheduler migrate-rate-increases --database URL.",
)
LOSES_TOO_MUCH: Final = Check(
    BALANCED_SCHEDULES,
    "loses_too_much",
    "The plan does not lose too much against the last published one (guard.max_contact_loss_share,"
    " guard.max_email_loss_share). If it does, nothing is published, the plan before it stays in force, and"
    " it waits for a person: look at what the loss has in common, mend the data and launch the partition"
    " again; or accept the loss, with accept_loss: {by: NAME, reason: TEXT} in the run configuration of"
    " email_schedules, which may then be materialised alone.",
    is_blocking=True,
)
RULE_CHECKS: Final = tuple(
    Check(BALANCED_SCHEDULES, rule, promise + _STOPPED, is_blocking=True) for rule, promise in RULES.items()
)
NOTE_CHECKS: Final = tuple(
    Check(BALANCED_SCHEDULES, note.name, f"If this fails: {note.text} {note.what_helps}")
    for note in NOTES.values()
)
CHECKS: Final = (
    ENOUGH_VALID_CONTACTS,
    STATES_AGREE,
    DATES_ARE_KNOWN,
    AEP_YEARS_AHEAD,
    CAPACITY_SUFFICES,
    OUTSIDE_WINDOWS,
    *RULE_CHECKS,
    LOSES_TOO_MUCH,
    *NOTE_CHECKS,
    TABLE_EQUALS_PLAN,
    NO_UNKNOWN_TYPES,
)


def check_specs(asset: str, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset, each with a result for each partition of its own."""
    with warnings.catch_warnings():
        # Without partitions of its own, a check shows the result of whichever organisation came last.
        warnings.simplefilter("ignore", PreviewWarning)
        return [
            dg.AssetCheckSpec(
                check.name,
                asset=check.asset,
                description=check.description,
                blocking=check.is_blocking,
                partitions_def=partitions,
            )
            for check in CHECKS
            if check.asset == asset
        ]


def _blocking(results: Iterable[dg.AssetCheckResult]) -> list[dg.AssetCheckResult]:
    """Return the results of the checks that keep a plan from being published."""
    names = {check.name for check in CHECKS if check.is_blocking}
    return [result for result in results if result.check_name in names]


def breaks_rules(results: Iterable[dg.AssetCheckResult]) -> bool:
    """Tell whether a check has failed that keeps the plan from being published."""
    return any(not result.passed for result in _blocking(results))


def rules_in_words(results: Iterable[dg.AssetCheckResult]) -> str:
    """Return how many blocking checks there are, and which of them have failed."""
    proved = _blocking(results)
    broken = [str(result.check_name) for result in proved if not result.passed]
    return f"{len(proved)} rules, {'broken: ' + ', '.join(broken) if broken else 'none of them broken'}"


def broken_rules(results: Iterable[dg.AssetCheckResult]) -> dict[str, Any]:
    """Return which blocking checks have failed, in how many rows, and ids of some; nothing if none has."""
    rows = [
        (
            str(result.check_name),
            int(str(result.metadata["violations"].value)),
            str(result.metadata["contact ids"].value),
        )
        for result in _blocking(results)
        if not result.passed
    ]
    if not rows:
        return {}
    rows.sort(key=lambda row: -row[1])
    return {"broken rules": markdown_table(("rule", "rows", "ids of some contacts"), rows)}


def check_contacts(
    inputs: PlanInputs, contacts: Frames, config: SchedulerConfig
) -> list[dg.AssetCheckResult]:
    """Look at the contacts as they were read, and at what the configuration has in store for them."""
    valid, issues = contacts["valid_contacts"], contacts["contact_issues"]
    count = len(inputs.contacts)
    share = len(valid) / count if count else 1.0
    mismatched = issues.loc[issues["issue"] == "state_mismatch", "contact_id"].to_numpy()
    years = config.aep_config.years
    is_ending = years is not None and max(years, default=0) <= inputs.as_of.year
    least = config.orchestration.minimum_valid_contact_share
    return [
        _result(
            ENOUGH_VALID_CONTACTS,
            passed=share >= least,
            metadata={"contacts": count, "valid": len(valid), "share": share, "minimum": float(least)},
            is_warning=True,
        ),
        _of_contacts(STATES_AGREE, mismatched, count),
        _of_contacts(DATES_ARE_KNOWN, contacts_with_unknown_dates(valid, config.state_rules), len(valid)),
        _result(
            AEP_YEARS_AHEAD,
            passed=not (config.aep_config.default_dates and is_ending),
            metadata={"years": "all" if years is None else ", ".join(map(str, years)) or "none"},
            is_warning=True,
        ),
    ]


def check_plan(
    basis: PlanningBasis, inputs: PlanInputs, plan: Plan, stretches: pd.DataFrame
) -> list[dg.AssetCheckResult]:
    """Prove a plan, rule by rule, and look at what it comes to.

    Args:
        basis: What planning looked at.
        inputs: The organisation's tables.
        plan: The plan.
        stretches: ``EXCLUSION_STRETCHES``.
    """
    violations = find_violations(inputs, plan.contacts, plan.schedules, basis.config)
    looked_at = len(plan.schedules)
    results = []
    for check in RULE_CHECKS:
        found = violations[violations["rule"] == check.name]
        results.append(_of_rows(check, found, looked_at))
    in_window = bound_rows_in_stretches(basis, plan.schedules, stretches)
    return [*results, _of_rows(OUTSIDE_WINDOWS, in_window, looked_at), _capacity(plan)]


def check_notes(notes: DataNotes) -> list[dg.AssetCheckResult]:
    """Return what somebody should look at in the data, with counts: neither a date nor an address."""
    results = []
    for check in NOTE_CHECKS:
        note = notes.get(check.name)
        metadata: dict[str, Any] = {FOUND: "nothing"}
        if note is not None:
            by = markdown_table(("of", "count"), list(note.by.items()))
            metadata = {FOUND: note.found, "count": note.count, "looked at": note.out_of, "by": by}
        results.append(_result(check, passed=note is None, metadata=metadata, is_warning=True))
    return results


def check_loss(loss: Loss | None, why: str, accepted: "AcceptedLoss | None") -> dg.AssetCheckResult:
    """Judge what a plan loses against the last published one.

    Args:
        loss: What it loses; None: it is not compared, since a plan for a later date has been published.
        why: Why it would not be published; empty where it would.
        accepted: Who accepts the loss; None: nobody does.
    """
    if loss is None:
        not_compared = "a plan for a later date has been published: publishing this one has to be asked for"
        return _result(LOSES_TOO_MUCH, passed=True, metadata={FOUND: not_compared})
    causes = [(each.text, each.contacts, each.emails) for each in loss.causes]
    return _result(
        LOSES_TOO_MUCH,
        passed=not loss.is_too_much or accepted is not None,
        metadata={
            FOUND: why or str(loss) or "it does not lose too much",
            **({} if accepted is None else {"accepted by": accepted.by, "reason": accepted.reason}),
            "valid contacts before": loss.contacts_before,
            "valid contacts": loss.contacts_after,
            "emails planned before": loss.emails_before,
            "emails lost": loss.emails_lost,
            "what is lost": markdown_table(("what it has in common", "contacts", "emails"), causes),
        },
    )


def check_published(plan: Plan, differences: "PlanChanges") -> list[dg.AssetCheckResult]:
    """Compare the table with the plan.

    Args:
        plan: The plan.
        differences: What would have to be written so that the table became the plan.
    """
    totals = differences.totals
    waiting = sum(plan.foreign_rows.values())
    return [
        _result(
            TABLE_EQUALS_PLAN,
            passed=not (totals["added"] or totals["changed"] or totals["removed"]),
            metadata={
                "rows of the plan": len(plan.schedules),
                "missing rows": totals["added"],
                "differing rows": totals["changed"],
                "rows that are not in the plan": totals["removed"],
                "rows that the sending system took": differences.dropped,
            },
        ),
        _result(
            NO_UNKNOWN_TYPES,
            passed=waiting == 0,
            metadata={
                "waiting rows": waiting,
                "by type": markdown_table(("email type", "rows"), list(plan.foreign_rows.items())),
            },
        ),
    ]


def _capacity(plan: Plan) -> dg.AssetCheckResult:
    shortfall = plan.capacity_shortfall
    rows = [
        (
            str(row["email_type"]),
            int(row["emails"]),
            str(from_day(row["first_date"])),
            str(from_day(row["last_date"])),
            int(row["sufficient_cap"]),
            str(row["sufficient_percentage_cap"]),
        )
        for row in shortfall.to_dict("records")
    ]
    headings = ("email type", "emails lost", "from", "to", "sufficient cap", "daily_send_percentage_cap")
    return _result(
        CAPACITY_SUFFICES,
        passed=not len(shortfall),
        metadata={
            "emails lost": int(shortfall["emails"].sum()),
            "daily cap": plan.daily_cap,
            "by type": markdown_table(headings, rows),
        },
        is_warning=True,
    )


def _of_contacts(check: Check, contact_ids: npt.NDArray[np.int64], looked_at: int) -> dg.AssetCheckResult:
    """Return the warning that fails when there are such contacts."""
    return _result(
        check,
        passed=not len(contact_ids),
        metadata={
            "contacts looked at": looked_at,
            "contacts": len(contact_ids),
            "contact ids": _ids(contact_ids.tolist()),
        },
        is_warning=True,
    )


def _of_rows(check: Check, found: pd.DataFrame, looked_at: int) -> dg.AssetCheckResult:
    """Return the error that fails when there are such rows."""
    return _result(
        check,
        passed=not len(found),
        metadata={
            "rows looked at": looked_at,
            "violations": len(found),
            "contact ids": _ids(id_ for id_ in found["contact_id"].unique().tolist() if id_),
            "some rows": markdown_table(_ROW_HEADINGS, _some_rows(found)),
        },
    )


def _some_rows(found: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what identifies some rows: ids and types only, since the dates of an email tell birthdays."""
    some = found[list(_ROW_COLUMNS)].head(_MOST_IDS).astype("object")
    return [
        tuple("" if pd.isna(value) or value == 0 else str(value) for value in row) for row in some.to_numpy()
    ]


def _result(
    check: Check, *, passed: bool, metadata: Mapping[str, Any], is_warning: bool = False
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.asset,
        check_name=check.name,
        passed=bool(passed),
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        metadata=metadata,
    )


def _ids(contact_ids: Iterable[int]) -> str:
    """Return some ids as text, the lowest first."""
    ordered = sorted(contact_ids)
    more = ", ..." if len(ordered) > _MOST_IDS else ""
    return ", ".join(map(str, ordered[:_MOST_IDS])) + more or "none"
