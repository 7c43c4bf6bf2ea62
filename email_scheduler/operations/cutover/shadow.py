"""A shadow run: our plan beside that of an older program, before ours counts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.operations.csv_files.lines import write_csv
from email_scheduler.operations.cutover.comparison import (
    OLDER_PLAN,
    ONLY_HERE,
    ONLY_THERE,
    OUTCOME_DTYPE,
    OUTCOMES,
    SAME,
    SKIPPED_THERE,
    match_rows,
    outcomes,
)
from email_scheduler.operations.cutover.email_lines import read_older_csv
from email_scheduler.operations.cutover.reasons import BEYOND_THEIR_LAST_DAY, OnlyThere, reasons_here
from email_scheduler.operations.rate_increases import CAMPAIGN_TYPE, OLDER_TYPE
from email_scheduler.planning.dates import date_parts, event_days, format_days
from email_scheduler.planning.frames import DATE, ID, LABEL, NO_DATE, Frame, PlanInputs
from email_scheduler.planning.labels import is_label
from email_scheduler.planning.packing import is_among, pack
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler.planning.registry.email_types import CAMPAIGN_PREFIX, PRE_SCHEDULED
from email_scheduler.storage.older_plan import read_older_plan
from email_scheduler.storage.publish import refuse_violations
from email_scheduler.storage.read import read_inputs
from email_scheduler.storage.schema import require_current_schema
from email_scheduler.storage.urls import display_url

# One row for each email of either plan. Dates are NO_DATE, texts missing where a plan has not got the email.
# reason is missing where both plans say the same.
COMPARISON: Final = Frame(
    "comparison of two plans",
    {
        "contact_id": ID,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "outcome": LABEL,
        "reason": LABEL,
        "date_here": DATE,
        "status_here": LABEL,
        "date_there": DATE,
        "status_there": LABEL,
    },
    order=("contact_id", "email_type", "event_date"),
)
NO_REASON_GIVEN: Final = "no reason given"


@dataclass(frozen=True)
class Shadow:
    """Two plans beside each other.

    Attributes:
        as_of: The day that ours was made for.
        beside: Where the other one comes from.
        rows: ``COMPARISON``.
    """

    as_of: date
    beside: str
    rows: pd.DataFrame

    def by_type(self) -> dict[str, dict[str, int]]:
        """Return how many emails of each type come to what, types in alphabetical order."""
        counts = pd.crosstab(self.rows["email_type"], self.rows["outcome"]).reindex(
            columns=list(OUTCOMES), fill_value=0
        )
        return {
            str(name): {each: int(row[each]) for each in OUTCOMES}
            for name, row in counts.iterrows()
            if row.any()
        }

    def by_reason(self) -> list[dict[str, Any]]:
        """Return outcome, reason and type of emails that differ, and how many; the most frequent first."""
        differing = self.rows[~is_label(self.rows["outcome"], [SAME])]
        names = ["outcome", "reason", "email_type"]
        counts = differing.groupby(names, observed=True).size().reset_index(name="rows")
        ordered = counts.sort_values(["rows", *names], ascending=[False, True, True, True])
        return [
            {**{name: str(row[name]) for name in names}, "rows": int(row["rows"])}
            for row in ordered.to_dict("records")
        ]

    def write_differences(self, file: TextIO) -> int:
        """Write the emails that differ as CSV: ids, types, dates, statuses and reasons; return how many."""
        rows = self.rows[~is_label(self.rows["outcome"], [SAME])]
        columns = {
            name: _day_texts(rows[name]) if kind == DATE else rows[name].astype("object")
            for name, kind in COMPARISON.columns.items()
        }
        plain = pd.DataFrame(columns).astype("object")
        plain["campaign_instance_id"] = plain["campaign_instance_id"].replace(0, None)
        return write_csv(file, COMPARISON.columns, plain.where(plain.notna(), None).itertuples(index=False))


def shadow_run(
    url: str,
    config: SchedulerConfig,
    as_of: date,
    beside: str,
    *,
    on_phase: Callable[[str], None] = lambda _: None,
) -> Shadow:
    """Plan, prove the plan, and compare it with that of an older program; publish nothing.

    Args:
        url: The organisation's database, initialised; as a rule a copy.
        config: Its configuration.
        as_of: The day to plan for.
        beside: The older program's plan: the URL of a database with its ``email_schedules``, or the path of a
            CSV file with columns of that table.
        on_phase: Told the name of each phase as it begins.

    Raises:
        BadLinesError: Lines of the file cannot be read.
        DatabaseError: One of the databases cannot be used.
        PlanningError: The plan cannot be made, or would not be published.
        UsageError: The file cannot be read, or holds no plan.
    """
    require_current_schema(url, config)
    on_phase("read the older plan")
    there = _older_plan(beside, config)
    on_phase("read")
    inputs = read_inputs(url, as_of, config)
    plan = make_plan(inputs, config, on_phase=on_phase)
    on_phase("prove")
    refuse_violations(plan, inputs, config)
    on_phase("compare")
    return Shadow(as_of, _shown(beside), compare_plans(plan, inputs, config, there))


def compare_plans(
    plan: Plan, inputs: PlanInputs, config: SchedulerConfig, there: pd.DataFrame
) -> pd.DataFrame:
    """Return ``COMPARISON``.

    Args:
        plan: Our plan.
        inputs: What it was made from.
        config: The organisation's configuration.
        there: ``OLDER_PLAN``.
    """
    here = plan.schedules
    ours, theirs = match_rows(here, there)
    left, right = here.iloc[ours], there.iloc[theirs]
    result = outcomes(left, right)
    reasons = reasons_here(left).to_numpy(object, copy=True)
    is_skipped_there = is_label(pd.Series(result), [SKIPPED_THERE])
    reasons[is_skipped_there] = (
        right["skip_reason"].astype("object").fillna(NO_REASON_GIVEN)[is_skipped_there]
    )
    reasons[is_label(pd.Series(result), [SAME])] = None
    both = _rows(left, right, left, result, reasons)

    alone = here.iloc[np.setdiff1d(np.arange(len(here)), ours)]
    their_days = there["scheduled_send_date"].to_numpy()[is_label(there["status"], [PRE_SCHEDULED])]
    is_beyond = alone["scheduled_send_date"].to_numpy() > their_days.max(initial=NO_DATE)
    goes_out = is_label(alone["status"], [PRE_SCHEDULED])
    alone_reasons = reasons_here(alone).where(~(is_beyond & goes_out), BEYOND_THEIR_LAST_DAY)
    only_here = _rows(alone, None, alone, _all(ONLY_HERE, len(alone)), alone_reasons)

    is_matched = np.zeros(len(there), np.bool_)
    is_matched[theirs] = True
    keys = pack([there["contact_id"].to_numpy(), there["email_type"].cat.codes.to_numpy()])
    rest = there[~is_matched]
    why = OnlyThere(inputs, plan, config).reasons(
        rest, is_among(keys[~is_matched], np.sort(keys[is_matched]))
    )
    only_there = _rows(None, rest, rest, _all(ONLY_THERE, len(rest)), why)
    parts = pd.concat([both, only_here, only_there], ignore_index=True)
    labelled = {
        name: parts[name].astype("category") for name, kind in COMPARISON.columns.items() if kind == LABEL
    }
    return COMPARISON.check(
        parts.assign(**labelled).sort_values(list(COMPARISON.order), kind="stable", ignore_index=True)
    )


def _rows(
    here: pd.DataFrame | None,
    there: pd.DataFrame | None,
    of: pd.DataFrame,
    outcome: pd.Categorical,
    reason: object,
) -> pd.DataFrame:
    """Return rows of ``COMPARISON`` whose labels are texts yet; ``of`` says what the emails are about."""
    columns: dict[str, object] = {
        "contact_id": of["contact_id"].to_numpy(),
        "email_type": of["email_type"].astype("object").to_numpy(),
        "campaign_instance_id": of["campaign_instance_id"].to_numpy() if here is not None else np.int64(0),
        "event_date": of["event_date"].to_numpy(),
        "outcome": outcome,
        "reason": np.asarray(reason, object),
    }
    for side, rows in (("here", here), ("there", there)):
        columns[f"date_{side}"] = (
            np.int32(NO_DATE) if rows is None else rows["scheduled_send_date"].to_numpy()
        )
        columns[f"status_{side}"] = None if rows is None else rows["status"].astype("object").to_numpy()
    return pd.DataFrame(columns, index=pd.RangeIndex(len(of)))


def _all(outcome: str, count: int) -> pd.Categorical:
    return pd.Categorical.from_codes(np.full(count, OUTCOMES.index(outcome)), dtype=OUTCOME_DTYPE)


def _older_plan(beside: str, config: SchedulerConfig) -> pd.DataFrame:
    """Return ``OLDER_PLAN`` of a database or a file."""
    stored = read_older_plan(beside, config) if "://" in beside else read_older_csv(Path(beside))
    types = stored["email_type"].astype("category")
    newer = {OLDER_TYPE: CAMPAIGN_PREFIX + CAMPAIGN_TYPE}
    names = pd.Series([newer.get(name, name) for name in types.cat.categories], dtype="str")
    email_types = pd.Categorical(names.reindex(types.cat.codes).to_numpy())
    days = event_days(*(stored[f"event_{part}"].to_numpy() for part in ("year", "month", "day")))
    rows = OLDER_PLAN.build(
        {
            "contact_id": stored["contact_id"],
            "email_type": email_types,
            "event_date": days,
            "scheduled_send_date": date_parts(stored["scheduled_send_date"]),
            "status": stored["status"].astype("category"),
            "skip_reason": stored["skip_reason"].astype("category"),
        }
    )
    if not len(rows):
        raise UsageError(
            f"{_shown(beside)}: nothing is planned there; accepted are rows pre-scheduled or skipped"
        )
    return rows


def _shown(beside: str) -> str:
    """Return what the older plan is called in messages: a URL without its password."""
    return display_url(beside) if "://" in beside else beside


def _day_texts(days: pd.Series) -> pd.Series:
    """Return dates as texts; None where there is none."""
    codes, distinct = pd.factorize(days.to_numpy())
    texts = np.array([None if day == NO_DATE else format_days(day) for day in distinct], object)
    return pd.Series(texts[codes], index=days.index)
