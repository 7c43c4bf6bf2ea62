"""A shadow run: our plan beside that of an older program, before ours counts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.cutover.older_emails import read_older_csv, read_older_plan
from email_scheduler.cutover.rate_increases import CAMPAIGN_TYPE, OLDER_TYPE
from email_scheduler.cutover.shadow_reasons import BEYOND_THEIR_LAST_DAY, OnlyThere, reasons_here
from email_scheduler.database import (
    display_url,
    read_inputs,
    refuse_violations,
    require_current_schema,
    write_csv,
)
from email_scheduler.errors import UsageError
from email_scheduler.planning import (
    DATE,
    ID,
    LABEL,
    NO_DATE,
    TOLERANCE_DAYS,
    Frame,
    Plan,
    PlanInputs,
    date_parts,
    event_days,
    format_days,
    is_among,
    is_label,
    make_plan,
    pack,
    pack_alike,
)
from email_scheduler.registry import AEP, CAMPAIGN_PREFIX, FOLLOW_UP_PREFIX, PRE_SCHEDULED

# What an older program has planned. event_date is NO_DATE where it says none.
OLDER_PLAN: Final = Frame(
    "older plan",
    {
        "contact_id": ID,
        "email_type": LABEL,
        "event_date": DATE,
        "scheduled_send_date": DATE,
        "status": LABEL,
        "skip_reason": LABEL,
    },
)
SAME: Final = "same"
EARLIER: Final = "earlier"
LATER: Final = "later"
SKIPPED_HERE: Final = "skipped_here"
SKIPPED_THERE: Final = "skipped_there"
ONLY_HERE: Final = "only_here"
ONLY_THERE: Final = "only_there"
OUTCOMES: Final = (SAME, EARLIER, LATER, SKIPPED_HERE, SKIPPED_THERE, ONLY_HERE, ONLY_THERE)
OUTCOME_DTYPE: Final = pd.CategoricalDtype(pd.Index(OUTCOMES, dtype="str"))
# How far the dates of one email may lie apart in two plans, days, inclusive. An AEP email of next year is
# another one.
_TOLERANCE_DAYS: Final = TOLERANCE_DAYS | {AEP: 182}
_OTHER_TOLERANCE_DAYS: Final = 60
_FAR: Final = np.int64(1) << 32
Positions = npt.NDArray[np.int64]
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


def match_rows(here: pd.DataFrame, there: pd.DataFrame) -> tuple[Positions, Positions]:
    """Return the positions of the rows that are about the same email, in both plans; each row at most once.

    Two rows are, if their event dates lie within the tolerance of their type, or where they do not or one is
    not known, their send dates do.

    Args:
        here: Rows with contact_id, email_type, event_date and scheduled_send_date.
        there: ``OLDER_PLAN``.
    """
    groups, tolerances = _groups(here, there)
    keys = pack_alike([(here["contact_id"].to_numpy(), there["contact_id"].to_numpy()), groups])
    left, right = (pd.DataFrame({"key": each, "row": np.arange(len(each))}) for each in keys)
    # contacts have few rows of a type on either side
    pairs = left.merge(right, on="key", validate="many_to_many")
    ours, theirs = pairs["row_x"].to_numpy(), pairs["row_y"].to_numpy()
    tolerance = tolerances[groups[0][ours]]
    event_gap = _gap(here["event_date"], there["event_date"], ours, theirs)
    send_gap = _gap(here["scheduled_send_date"], there["scheduled_send_date"], ours, theirs)
    by_event = event_gap <= tolerance
    rank = np.where(by_event, event_gap, tolerance + 1 + send_gap)
    order = np.lexsort((theirs, ours, send_gap, rank))
    order = order[(by_event | (send_gap <= tolerance))[order]]
    return _nearest_first(ours[order], theirs[order])


def _groups(here: pd.DataFrame, there: pd.DataFrame) -> tuple[tuple[Positions, Positions], Positions]:
    """Return a number for the type of each row, the same in both plans, and the tolerance of each number."""
    columns = [frame["email_type"].cat for frame in (here, there)]
    names = sorted({_group_name(name) for column in columns for name in column.categories})
    tolerances = np.array([_TOLERANCE_DAYS.get(name, _OTHER_TOLERANCE_DAYS) for name in names], np.int64)
    index = pd.Index(names, dtype="str")
    ours, theirs = (
        np.append(index.get_indexer(pd.Index(map(_group_name, column.categories))), -1)[column.codes]
        for column in columns
    )
    return (ours, theirs), tolerances


def _group_name(email_type: str) -> str:
    return FOLLOW_UP_PREFIX if email_type.startswith(FOLLOW_UP_PREFIX) else email_type


def _gap(here: pd.Series, there: pd.Series, ours: Positions, theirs: Positions) -> Positions:
    """Return the days between two dates of each pair; very many where one is not known."""
    a, b = here.to_numpy()[ours].astype(np.int64), there.to_numpy()[theirs].astype(np.int64)
    gap: Positions = np.where((a == NO_DATE) | (b == NO_DATE), _FAR, np.abs(a - b))
    return gap


def _nearest_first(ours: Positions, theirs: Positions) -> tuple[Positions, Positions]:
    """Choose pairs in their order, so that each row is in one at most.

    A pair that is the first of both of its rows is chosen, whatever becomes of others. A few rounds settle
    all, since contacts have few rows.
    """
    chosen: list[tuple[Positions, Positions]] = []
    while len(ours):
        is_first = ~(pd.Series(ours).duplicated() | pd.Series(theirs).duplicated()).to_numpy()
        chosen.append((ours[is_first], theirs[is_first]))
        is_left = ~(np.isin(ours, ours[is_first]) | np.isin(theirs, theirs[is_first]))
        ours, theirs = ours[is_left], theirs[is_left]
    if not chosen:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    found = [np.concatenate(each) for each in zip(*chosen, strict=True)]
    return found[0], found[1]


def outcomes(here: pd.DataFrame, there: pd.DataFrame) -> pd.Categorical:
    """Return what pairs of rows come to, one pair a row: the same, earlier, later, or skipped on one side."""
    goes, went = (is_label(frame["status"], [PRE_SCHEDULED]) for frame in (here, there))
    days = here["scheduled_send_date"].to_numpy() - there["scheduled_send_date"].to_numpy()
    conditions = [
        (goes == went) & (~goes | (days == 0)),
        goes & went & (days < 0),
        goes & went,
        went,
    ]
    codes = np.select(conditions, [OUTCOMES.index(each) for each in (SAME, EARLIER, LATER, SKIPPED_HERE)], 4)
    return pd.Categorical.from_codes(codes, dtype=OUTCOME_DTYPE)


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
