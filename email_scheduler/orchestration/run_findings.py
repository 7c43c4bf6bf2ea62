"""What a run that has ended says about incidents: its failure, and the results of its checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import dagster as dg

from email_scheduler import errors
from email_scheduler.orchestration.checks import CHECKS
from email_scheduler.orchestration.incidents import Incident, Ledger, keys_with
from email_scheduler.orchestration.partitions import DATE_PARTITION_TAG, ORGANIZATION_PARTITION_TAG
from email_scheduler.orchestration.upkeep import ALL_HEALTHY, UNHEALTHY, UPKEEP_CHECKS

_MOST_TEXT: Final = 1_000
_REMEDIES: Final = {check.name: check.description for check in (*CHECKS, *UPKEEP_CHECKS)}
_OURS: Final = {name for name, value in vars(errors).items() if isinstance(value, type)}


@dataclass(frozen=True)
class CheckOutcome:
    """The result of one check.

    Attributes:
        asset: The asset that was looked at.
        name: The check.
        passed: Whether it was as it should be.
        is_warning: Whether it would be a warning only if it was not.
        unhealthy: Of the check of health: why each organisation that was looked at is unhealthy, if it is.
    """

    asset: str
    name: str
    passed: bool
    is_warning: bool = False
    unhealthy: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class RunOutcome:
    """What became of one run.

    Attributes:
        run_id: The run.
        job: Its job.
        organization: Whose partition it was; empty: that of nobody.
        day: The date of the partition, ISO 8601; empty: there is none.
        has_succeeded: Whether it came to its end.
        failures: What the steps that failed said, as far as it may be told.
        checks: The results of its checks.
    """

    run_id: str
    job: str
    organization: str = ""
    day: str = ""
    has_succeeded: bool = True
    failures: tuple[str, ...] = ()
    checks: tuple[CheckOutcome, ...] = field(default=())


def read_outcome(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunOutcome:
    """Return what became of a run, from its events."""
    kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
    failures, checks = [], []
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        if event.is_step_failure:
            failures.append(f"{event.step_key}: {_why(event)}")
        else:
            checks.append(_check(event.asset_check_evaluation_data))
    return RunOutcome(
        run_id=run.run_id,
        job=run.job_name,
        organization=run.tags.get(ORGANIZATION_PARTITION_TAG, ""),
        day=run.tags.get(DATE_PARTITION_TAG, ""),
        has_succeeded=run.status == dg.DagsterRunStatus.SUCCESS,
        failures=tuple(failures),
        checks=tuple(checks),
    )


def _why(event: dg.DagsterEvent) -> str:
    """Return what a failed step said if the package said it; of other errors, which show data, the kind."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return " ".join(data.user_failure_data.description.split())
    kinds, error = [], data.error
    while error is not None:
        if error.cls_name in _OURS:
            return " ".join(error.message.split())
        kinds.append(str(error.cls_name))
        error = error.cause
    # the first one is Dagster's own, around what was raised
    return next(iter(kinds[1:] or kinds), "no reason was recorded")


def _check(evaluation: dg.AssetCheckEvaluation) -> CheckOutcome:
    found = evaluation.metadata.get(UNHEALTHY)
    return CheckOutcome(
        asset=evaluation.asset_key.path[-1],
        name=evaluation.check_name,
        passed=evaluation.passed,
        is_warning=evaluation.severity == dg.AssetCheckSeverity.WARN,
        unhealthy=found.value if isinstance(found, dg.JsonMetadataValue) else None,  # type: ignore[arg-type]
    )


def begun_by(outcome: RunOutcome, *, include_warnings: bool, ui_url: str | None = None) -> list[Incident]:
    """Return the incidents that a run shows."""
    link = "" if ui_url is None else f"\n{ui_url.rstrip('/')}/runs/{outcome.run_id}"
    run = f"Run: {outcome.run_id}{link}"
    who = outcome.organization or "all organisations"
    found = []
    if not outcome.has_succeeded:
        day = f" for {outcome.day}" if outcome.day else ""
        why = "; ".join(outcome.failures) or "its process ended, or it took too long"
        found.append(
            Incident(
                f"run/{outcome.job}/{outcome.organization}/{outcome.day}",
                f"{who}: run of {outcome.job}{day} failed",
                f"{why[:_MOST_TEXT]}\nWhat to do: mend what it names, then start it again in the UI. A"
                f" plan of today is tried again by itself, three times.\n{run}",
            )
        )
    for check in outcome.checks:
        if check.name == ALL_HEALTHY.name:
            found += [
                Incident(
                    f"unhealthy/{name}",
                    f"{name}: unhealthy",
                    f"{'; '.join(reasons)[:_MOST_TEXT]}\nWhat to do: email-scheduler health shows all"
                    f" figures; docs/operations.md says what they mean.\n{run}",
                )
                for name, reasons in (check.unhealthy or {}).items()
                if reasons
            ]
        elif not check.passed and (include_warnings or not check.is_warning):
            kind = "a warning" if check.is_warning else "an error"
            found.append(
                Incident(
                    _check_key(outcome, check),
                    f"{who}: check {check.name} of {check.asset} failed ({kind})",
                    f"{_REMEDIES.get(check.name, '')}\n{run}",
                )
            )
    return found


def ended_by(outcome: RunOutcome, ledger: Ledger) -> list[str]:
    """Return the keys of incidents that a run shows to be over."""
    over: list[str] = []
    if outcome.has_succeeded:
        over += keys_with(ledger, f"run/{outcome.job}/{outcome.organization}/", outcome.day)
    for check in outcome.checks:
        if check.name == ALL_HEALTHY.name:
            over += [f"unhealthy/{name}" for name, reasons in (check.unhealthy or {}).items() if not reasons]
        elif check.passed:
            over.append(_check_key(outcome, check))
    return over


def _check_key(outcome: RunOutcome, check: CheckOutcome) -> str:
    return f"check/{check.asset}/{check.name}/{outcome.organization}"
