"""What somebody is told, and when: pure functions of what was seen and of what is remembered."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

REPLACE_PLAN_AHEAD: Final = (
    "replace it once by email-scheduler plan --allow-older, or in Dagster by today's partition with"
    " allow_older: true in the run configuration of email_schedules; where the guard then finds that too much"
    " is lost, accept that as well"
)
# Incidents that nobody has seen to end are forgotten some day; the names of runs must not pile up either.
_LONGEST: Final = timedelta(days=30)
# Runs are looked for again this far back: the record of one may become visible a little late.
OVERLAP: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class Notice:
    """One thing that somebody is told.

    Attributes:
        title: What happened, in a few words.
        text: What is known of it, and what to do; empty of what is over.
        is_resolved: Whether it is over.
    """

    title: str
    text: str = ""
    is_resolved: bool = False


@dataclass(frozen=True)
class Incident:
    """Something that is wrong.

    Attributes:
        key: What it is about; there is one incident of a key at a time.
        title: What is wrong, in a few words.
        text: What is known of it, and what to do.
    """

    key: str
    title: str
    text: str


@dataclass(frozen=True)
class Open:
    """An incident that has not ended, or whose end is still to be told.

    Attributes:
        title: Of the incident.
        text: Of the incident; empty once everybody knows.
        since: When it was first seen, ISO 8601.
        untold: The ways of delivery that have not been told that it began.
        told: Those that have.
        is_over: It has ended, and those in ``told`` do not know yet.
    """

    title: str
    text: str
    since: str
    untold: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    is_over: bool = False


@dataclass(frozen=True)
class IncidentLedger:
    """What the sensor remembers.

    Attributes:
        begins: Runs that ended before are nobody's concern, ISO 8601; empty: the sensor has not looked yet.
        runs_until: Runs that ended until then have been looked at, ISO 8601.
        run_ids: Those that ended shortly before, by the time of their end.
        incidents: By key.
        planned: Organisations that are known to have a plan of a day, and that day.
        last: The organisation that was looked at last.
    """

    begins: str = ""
    runs_until: str = ""
    run_ids: Mapping[str, str] = field(default_factory=dict)
    incidents: Mapping[str, Open] = field(default_factory=dict)
    planned: Mapping[str, str] = field(default_factory=dict)
    last: str = ""

    @classmethod
    def read(cls, text: str | None) -> "IncidentLedger":
        """Return what ``write`` wrote; of anything else, nothing is remembered."""
        try:
            ledger = _LEDGER.validate_json(text or "{}")
            moments = [
                datetime.fromisoformat(each) - OVERLAP for each in (ledger.begins, ledger.runs_until) if each
            ]
        except (ValueError, OverflowError):
            return cls()
        # one without the other, or without its time zone, can be compared with nothing
        is_whole = bool(ledger.runs_until) or not ledger.begins
        return ledger if is_whole and all(each.tzinfo for each in moments) else cls()

    def write(self) -> str:
        """Return the ledger as JSON."""
        return json.dumps(asdict(self))

    def beginning(self, now: datetime) -> "IncidentLedger":
        """Return the ledger for which only runs count that end from now on."""
        moment = now.astimezone(UTC).isoformat()
        return replace(self, begins=moment, runs_until=moment, run_ids={})

    def with_run(self, run_id: str, ended: datetime) -> "IncidentLedger":
        """Return the ledger after a run was looked at."""
        oldest = (ended - OVERLAP).isoformat()
        ids = {each: end for each, end in self.run_ids.items() if end >= oldest}
        until = max(self.runs_until, ended.isoformat())
        return replace(self, runs_until=until, run_ids={**ids, run_id: ended.isoformat()})


_LEDGER: Final = TypeAdapter(IncidentLedger)


def begin(
    ledger: IncidentLedger, incidents: Iterable[Incident], channels: Collection[str], now: datetime
) -> IncidentLedger:
    """Return the ledger after some incidents were seen; those that it holds already stay as they are."""
    known = dict(ledger.incidents)
    for incident in incidents:
        present = known.get(incident.key)
        if present is None or present.is_over:
            known[incident.key] = Open(
                incident.title, incident.text, now.isoformat(timespec="seconds"), untold=tuple(channels)
            )
    return replace(ledger, incidents=known)


def end(ledger: IncidentLedger, keys: Iterable[str]) -> IncidentLedger:
    """Return the ledger after incidents were seen to be over; one that nobody was told about is forgotten."""
    known = dict(ledger.incidents)
    for key in keys:
        present = known.pop(key, None)
        if present is not None and present.told:
            known[key] = replace(present, is_over=True, untold=())
    return replace(ledger, incidents=known)


def forget(
    ledger: IncidentLedger, organizations: Collection[str], today: date, now: datetime
) -> IncidentLedger:
    """Return the ledger without what is long past: plans of other days, organisations that are no more."""
    oldest = (now - _LONGEST).isoformat(timespec="seconds")
    incidents = {
        key: present
        for key, present in ledger.incidents.items()
        if present.since >= oldest
        and (not key.startswith("missed/") or key.endswith(f"/{today.isoformat()}") or present.untold)
    }
    planned = {
        name: day
        for name, day in ledger.planned.items()
        if name in organizations and day == today.isoformat()
    }
    return replace(ledger, incidents=incidents, planned=planned)


def notices_for(ledger: IncidentLedger, channel: str) -> list[Notice]:
    """Return what one way of delivery has to tell, the beginnings before the ends."""
    begun = [
        Notice(each.title, f"{each.text}\nFirst seen: {each.since}")
        for each in ledger.incidents.values()
        if channel in each.untold
    ]
    over = [
        Notice(each.title, is_resolved=True)
        for each in ledger.incidents.values()
        if each.is_over and channel in each.told
    ]
    return begun + over


def delivered(ledger: IncidentLedger, channel: str) -> IncidentLedger:
    """Return the ledger after one way of delivery has told all that ``notices_for`` gave it."""
    incidents = {}
    for key, each in ledger.incidents.items():
        if each.is_over:
            left = replace(each, told=_without(each.told, channel))
            if left.told:
                incidents[key] = left
        elif channel in each.untold:
            untold = _without(each.untold, channel)
            incidents[key] = replace(
                each, untold=untold, told=(*each.told, channel), text=each.text if untold else ""
            )
        else:
            incidents[key] = each
    return replace(ledger, incidents=incidents)


def only(ledger: IncidentLedger, channels: Collection[str]) -> IncidentLedger:
    """Return the ledger without ways of delivery that are not configured any more."""
    incidents = {
        key: replace(
            each,
            untold=tuple(name for name in each.untold if name in channels),
            told=tuple(name for name in each.told if name in channels),
        )
        for key, each in ledger.incidents.items()
    }
    kept = {key: each for key, each in incidents.items() if each.told or not each.is_over}
    return replace(ledger, incidents=kept)


def missed(
    name: str, day: date, deadline: str, last_date: date | None = None, *, is_waiting: bool = False
) -> Incident:
    """Return the incident of an organisation that has no plan of a day.

    Args:
        name: The organisation.
        day: The day.
        deadline: When the plan had to be there.
        last_date: The day that its last plan is for.
        is_waiting: Whether there is one, which loses too much and waits for a person.
    """
    if last_date is not None and last_date > day:
        return Incident(
            missed_key(name, day),
            f"{name}: no plan of {day} by {deadline}",
            f"The last plan, for {last_date}, is ahead of today: nothing is due before its day, and plans of"
            f" today are refused as older. What to do: {REPLACE_PLAN_AHEAD}.",
        )
    waits = "The plan waits for a person, since it loses too much. " if is_waiting else ""
    return Incident(
        missed_key(name, day),
        f"{name}: no plan of {day} by {deadline}",
        f"{waits}The plan of the day before stays in force. What to do: look at the last runs of plan_emails"
        " of this organisation and mend what stopped them, then materialise today's partition. Emails of"
        " today that the older plan does not hold go out late, or not at all.",
    )


def missed_key(name: str, day: date) -> str:
    """Return the key of ``missed``."""
    return f"missed/{name}/{day.isoformat()}"


def keys_with(ledger: IncidentLedger, prefix: str, last: str = "") -> Sequence[str]:
    """Return the keys of incidents that begin with a text and, if ``last`` is given, do not lie after it."""
    return [key for key in ledger.incidents if key.startswith(prefix) and (not last or key <= prefix + last)]


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)
