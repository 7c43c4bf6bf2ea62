"""What the sensors decide: pure functions of what they saw, and of what they remember of the looks before.

What they remember is the cursor: a JSON object with one entry for each organisation. An organisation that was
not looked at, or could not be, keeps its entry as it is.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Final, Protocol

# Changes have settled when the last one is the same at two looks, or at the fourth look at the latest.
MOST_LOOKS: Final = 3
MOST_ATTEMPTS: Final = 3
# Looks until a run is asked for again that has not led to anything.
LOOKS_BEFORE_RETRY: Final = 12
# Looks until a plan that is not there counts as missed: the schedule's own run may be on its way.
LOOKS_BEFORE_MISSED: Final = 2
LOOKS_BETWEEN_MISSED: Final = 10


class Changes(Protocol):
    """``PendingChanges``, which is not imported: its module brings the drivers with it."""

    @property
    def last_id(self) -> int: ...  # noqa: D102
    @property
    def last_changed_at(self) -> str: ...  # noqa: D102


class Record(Protocol):
    """``PlanRecord``."""

    @property
    def last_date(self) -> date | None: ...  # noqa: D102
    @property
    def has_broken_rules(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Position:
    """What is remembered of one organisation.

    Attributes:
        seen: The last change at the look before.
        looks: Looks since something was asked for or first seen.
        requested: The last change when a run was asked for.
        attempts: How many runs were asked for because of it, or on ``day``.
        day: Of missed plans: the day that the attempts are of.
    """

    seen: str = ""
    looks: int = 0
    requested: str = ""
    attempts: int = 0
    day: str = ""


@dataclass(frozen=True)
class Cursor:
    """What a sensor remembers.

    Attributes:
        positions: By organisation.
        last: The organisation that was looked at last; the next look begins behind it.
    """

    positions: Mapping[str, Position]
    last: str = ""

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """Return what ``write`` wrote; of anything else, nothing is remembered."""
        try:
            content = json.loads(text or "{}")
            entries = content.get("organizations", {})
            return cls(
                {str(name): Position(**entry) for name, entry in entries.items()}, content.get("last", "")
            )
        except (ValueError, TypeError, AttributeError):
            return cls({})

    def write(self) -> str:
        """Return the cursor as JSON."""
        blank = asdict(Position())
        entries = {
            name: {key: value for key, value in asdict(position).items() if value != blank[key]}
            for name, position in self.positions.items()
        }
        return json.dumps({"organizations": {k: v for k, v in entries.items() if v}, "last": self.last})

    def in_turn(self, organizations: Sequence[str], most: int) -> list[str]:
        """Return the organisations that are to be looked at, beginning behind the last one."""
        start = organizations.index(self.last) + 1 if self.last in organizations else 0
        return [*organizations[start:], *organizations[:start]][:most]


@dataclass(frozen=True)
class Request:
    """A run that is asked for.

    Attributes:
        organization: Whose plan it makes.
        run_key: Dagster starts one run of each key, ever.
    """

    organization: str
    run_key: str


Decision = tuple[list[Request], dict[str, Position]]


def decide(
    changes: Mapping[str, Changes | None],
    positions: Mapping[str, Position],
    busy: Collection[str] = (),
    refused: Collection[str] = (),
) -> Decision:
    """Decide whose plan is to be made anew because campaigns have changed.

    Changes that come in quick succession make one run. While a run of the organisation is waiting or under
    way, none is asked for: it stamps what it has seen, and what is left afterwards makes one more. A run that
    has left its changes pending is asked for again, ``MOST_ATTEMPTS`` times in all.

    Args:
        changes: What is pending (None: nothing), of each organisation that could be looked at.
        positions: What is remembered of each organisation.
        busy: Organisations with a run of today's plan that waits or is under way.
        refused: Organisations whose plan broke a rule today: the same changes would not do better.

    Returns:
        The runs to ask for, and what to remember from now on.
    """
    requests: list[Request] = []
    remembered = dict(positions)
    for organization, pending in changes.items():
        if pending is None:
            remembered.pop(organization, None)
            continue
        position = remembered.get(organization, Position())
        change = f"{pending.last_id}@{pending.last_changed_at}"
        if change == position.requested:
            is_due = position.looks + 1 >= LOOKS_BEFORE_RETRY
            may_retry = position.attempts < MOST_ATTEMPTS and organization not in refused
            attempt = position.attempts + 1
        else:
            is_due = change == position.seen or position.looks >= MOST_LOOKS
            may_retry, attempt = True, 1
        if organization in busy:
            looks = 0 if change == position.requested else position.looks + 1
            remembered[organization] = replace(position, seen=change, looks=looks)
        elif is_due and may_retry:
            remembered[organization] = Position(change, 0, change, attempt)
            requests.append(Request(organization, _run_key(organization, change, attempt)))
        else:
            remembered[organization] = replace(position, seen=change, looks=position.looks + 1)
    return requests, remembered


def decide_missed(
    records: Mapping[str, Record],
    positions: Mapping[str, Position],
    day: date,
    busy: Collection[str] = (),
    refused: Collection[str] = (),
) -> Decision:
    """Decide whose plan of the day was missed and is to be made; the schedule's hour is over.

    Args:
        records: What is known of the plans of each organisation that could be looked at.
        positions: What is remembered of each organisation.
        day: Today.
        busy: Organisations with a run of today's plan that waits or is under way.
        refused: Organisations whose plan broke a rule today.

    Returns:
        The runs to ask for, ``MOST_ATTEMPTS`` a day for an organisation, and what to remember from now on.
    """
    requests: list[Request] = []
    remembered = dict(positions)
    for organization, record in records.items():
        is_there = record.last_date is not None and record.last_date >= day
        if is_there or record.has_broken_rules or organization in refused:
            remembered.pop(organization, None)
            continue
        position = remembered.get(organization, Position())
        if position.day != day.isoformat():
            position = Position(day=day.isoformat())
        looks = 0 if organization in busy else position.looks + 1
        wanted = LOOKS_BETWEEN_MISSED if position.attempts else LOOKS_BEFORE_MISSED
        if looks >= wanted and position.attempts < MOST_ATTEMPTS:
            position = replace(position, attempts=position.attempts + 1)
            looks = 0
            requests.append(Request(organization, f"{organization}/{day.isoformat()}/{position.attempts}"))
        remembered[organization] = replace(position, looks=looks)
    return requests, remembered


def _run_key(organization: str, change: str, attempt: int) -> str:
    return f"{organization}/{change}" + (f"/{attempt}" if attempt > 1 else "")
