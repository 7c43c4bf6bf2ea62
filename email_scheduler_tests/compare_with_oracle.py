"""Compare the planner with the oracle on random organisations.

``python -m email_scheduler_tests.compare_with_oracle --seeds 0:500`` prints the first seeds on which the two
differ, with the differences; ``--shrink`` reduces each of them to the rows and keys that it takes.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, timedelta

import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import InputDataError
from email_scheduler.planning.frames import CONTACT_ISSUES, EMAIL_SCHEDULES, TARGET_STATUSES, PlanInputs
from email_scheduler.planning.plan import Plan, make_plan
from email_scheduler_tests.oracle import OracleRow, make_oracle_plan, target_statuses
from email_scheduler_tests.oracle.book import rows_of
from email_scheduler_tests.strategies import Case, random_case

TABLES = (
    "contacts",
    "contact_attributes",
    "suppressions",
    "suppressed_addresses",
    "campaign_types",
    "campaign_instances",
    "contact_campaigns",
    "history",
    "clicks",
    "answers",
)
EPOCH = date(1970, 1, 1)


def planner_rows(plan: Plan) -> list[OracleRow]:
    """Return the planner's rows as the oracle writes them, in their order."""
    rows = []
    for row in rows_of(plan.schedules):
        for name in ("event_date", "ideal_send_date", "scheduled_send_date"):
            row[name] = EPOCH + timedelta(days=row[name])
        rows.append(OracleRow(**{**row, "metadata": json.loads(row["metadata"] or "null")}))
    return rows


def differences(organisation: PlanInputs, config: SchedulerConfig) -> list[str]:
    """Return a line for each difference between planner and oracle; none where they agree."""
    plan = make_plan(organisation, config)
    oracle = make_oracle_plan(organisation, config)
    lines = broken_contracts(plan)
    expected = oracle.rows
    if plan.daily_cap != oracle.cap:
        lines.append(f"daily cap: planner {plan.daily_cap}, oracle {oracle.cap}")
    lines += row_differences(planner_rows(plan), expected)
    # how often the same thing is recorded is not a rule
    lines += set_differences(
        "issue",
        {(row["contact_id"], row["field"], row["issue"]) for row in rows_of(plan.issues)},
        set(oracle.issues),
    )
    lines += set_differences(
        "target status",
        {(row["id"], row["status"]) for row in rows_of(plan.target_statuses)},
        set(target_statuses(organisation, config, expected).items()),
    )
    return lines


def broken_contracts(plan: Plan) -> list[str]:
    """Return a line for each contract of the plan's frames that does not hold."""
    lines = []
    checks: list[Callable[[], object]] = [
        lambda: EMAIL_SCHEDULES.check_key(EMAIL_SCHEDULES.check(plan.schedules)),
        lambda: CONTACT_ISSUES.check(plan.issues),
        lambda: TARGET_STATUSES.check_key(TARGET_STATUSES.check(plan.target_statuses)),
    ]
    for check in checks:
        try:
            check()
        except InputDataError as error:
            lines.append(str(error))
    for frame, contract in ((plan.schedules, EMAIL_SCHEDULES), (plan.target_statuses, TARGET_STATUSES)):
        if not frame.sort_values(list(contract.order), kind="stable").index.equals(frame.index):
            lines.append(f"frame {contract.name} is not sorted")
    return lines


def row_differences(actual: Iterable[OracleRow], expected: Iterable[OracleRow]) -> list[str]:
    """Return a line for each row that one side has alone, and for each row that the sides see differently."""
    of_planner = {row[:5]: row for row in actual}
    of_oracle = {row[:5]: row for row in expected}
    lines = []
    for key in sorted(of_planner.keys() | of_oracle.keys()):
        ours, theirs = of_planner.get(key), of_oracle.get(key)
        if ours == theirs:
            continue
        name = f"contact {key[0]} {key[1]} instance {key[2]} event {key[3]} initial {key[4]}"
        if ours is None:
            lines.append(f"{name}: only the oracle has {told(theirs)}")
        elif theirs is None:
            lines.append(f"{name}: only the planner has {told(ours)}")
        else:
            changed = [
                f"{field} planner {getattr(ours, field)}, oracle {getattr(theirs, field)}"
                for field in OracleRow._fields
                if getattr(ours, field) != getattr(theirs, field)
            ]
            lines.append(f"{name}: {'; '.join(changed)}")
    return lines


def told(row: OracleRow) -> str:
    """Return what a row says besides its key."""
    return " ".join(f"{field}={getattr(row, field)}" for field in OracleRow._fields[5:13])


def set_differences(
    what: str, actual: set[tuple[object, ...]], expected: set[tuple[object, ...]]
) -> list[str]:
    """Return a line for each element that only one of the sets has."""
    return [f"{what} {one}: only the planner has it" for one in sorted(actual - expected)] + [
        f"{what} {one}: only the oracle has it" for one in sorted(expected - actual)
    ]


def differences_or_error(organisation: PlanInputs, config: SchedulerConfig) -> list[str]:
    """Return the differences; an exception of either side is one."""
    try:
        return differences(organisation, config)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return [f"raised {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"]


def shrunk(organisation: PlanInputs, config: SchedulerConfig) -> Case:
    """Return a smaller case that still differs, and in the same way."""
    kind = kind_of(differences_or_error(organisation, config))

    def still_differs(one: PlanInputs, other: SchedulerConfig) -> bool:
        return kind_of(differences_or_error(one, other)) == kind

    config = with_fewer_keys(organisation, config, still_differs)
    for _ in range(2):
        for table in TABLES:
            organisation = with_fewer_rows(organisation, config, table, still_differs)
    return organisation, with_fewer_keys(organisation, config, still_differs)


def kind_of(lines: list[str]) -> str:
    """Return what kind of difference the first line tells of; empty for none."""
    if not lines:
        return ""
    return lines[0].split(":")[0] if lines[0].startswith("raised") else lines[0].split()[0]


def with_fewer_rows(
    organisation: PlanInputs,
    config: SchedulerConfig,
    table: str,
    still_differs: Callable[[PlanInputs, SchedulerConfig], bool],
) -> PlanInputs:
    """Leave out rows of one table, in ever smaller pieces, as long as the case still differs."""
    size = max(1, len(getattr(organisation, table)) // 2)
    while True:
        start = 0
        while start < len(getattr(organisation, table)):
            frame: pd.DataFrame = getattr(organisation, table)
            rest = pd.concat([frame.iloc[:start], frame.iloc[start + size :]]).reset_index(drop=True)
            smaller = replace(organisation, **{table: rest})
            if still_differs(smaller, config):
                organisation = smaller
            else:
                start += size
        if size == 1:
            return organisation
        size //= 2


def with_fewer_keys(
    organisation: PlanInputs,
    config: SchedulerConfig,
    still_differs: Callable[[PlanInputs, SchedulerConfig], bool],
) -> SchedulerConfig:
    """Set keys back to their defaults as long as the case still differs."""
    for section, default in SchedulerConfig().model_dump().items():
        for key in [None, *default] if isinstance(default, dict) else [None]:
            document = config.model_dump()
            document[section] = default if key is None else {**document[section], key: default[key]}
            smaller = SchedulerConfig.model_validate(document)
            if smaller != config and still_differs(organisation, smaller):
                config = smaller
    return config


def show(organisation: PlanInputs, config: SchedulerConfig) -> None:
    """Print a case: the tables that have rows, and the keys that are not the defaults."""
    print(f"as of {organisation.as_of}")
    for table in TABLES:
        for row in rows_of(getattr(organisation, table)):
            print(f"  {table}: { {name: value for name, value in row.items() if value is not None} }")
    defaults = SchedulerConfig().model_dump()
    for section, values in config.model_dump().items():
        if values != defaults[section] and isinstance(values, dict):
            changed = {key: value for key, value in values.items() if value != defaults[section][key]}
            print(f"  {section}: {changed}")
        elif values != defaults[section]:
            print(f"  {section}: {values}")


def main(arguments: list[str] | None = None) -> int:
    """Compare seed after seed; return 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="first:end, the end not included")
    parser.add_argument("--show", type=int, default=3, help="stop after that many seeds that differ")
    parser.add_argument("--lines", type=int, default=15, help="differences to print of each seed")
    parser.add_argument(
        "--shrink", action="store_true", help="reduce each seed to what it takes, and print it"
    )
    options = parser.parse_args(arguments)
    first, end = map(int, options.seeds.split(":"))
    differing = 0
    for seed in range(first, end):
        print(f"\rseed {seed}", end="", file=sys.stderr, flush=True)
        case = random_case(seed)
        lines = differences_or_error(*case)
        if not lines:
            continue
        differing += 1
        if options.shrink:
            case = shrunk(*case)
            lines = differences_or_error(*case)
        print(f"\rseed {seed}: {len(lines)} differences")
        print("\n".join(f"  {line}" for line in lines[: options.lines]))
        if options.shrink:
            show(*case)
        if differing == options.show:
            print(f"stopped at seed {seed}")
            return 1
    print(f"\r{end - first} seeds, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
