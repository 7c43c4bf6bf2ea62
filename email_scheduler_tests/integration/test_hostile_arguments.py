"""Whatever stands in any option or argument of any command: it is taken, or refused in words.

The commands and their options are those of the command line itself, so that a new one is tried as well.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database.backups.make_backup import create_backup
from email_scheduler.database.holds import hold_organization
from email_scheduler_tests.databases import Database
from email_scheduler_tests.hostile_urls import HOSTILE_URLS
from email_scheduler_tests.hostile_values import ARGUMENTS, hostile_examples
from email_scheduler_tests.integration.every_command import CALLS, Organisation, tokens_of, written
from email_scheduler_tests.recording.recorder import all_commands
from email_scheduler_tests.reference import commands

URLS = {"--database", "--replica", "--beside"}
# What somebody says is on record, with white space as it may be, where there is something to record.
RECORDED = {"--by", "--reason"}
MAY_RECORD_NOTHING = {"plan", "contacts import", "import-history"}
# A backup that is damaged or not there, and a plan that is refused, are no wrong argument.
MAY_FAIL = {"backup verify": {1}, "backup restore": {1}, "health": {1}}
some = hostile_examples(1)


def places_of(name: str) -> Iterator[tuple[str, int | None]]:
    """Return the options of a command that take a value, and its arguments by number."""
    arguments = 0
    for each in commands()[name].params:
        if each.param_type_name == "argument":
            yield each.name, arguments
            arguments += 1
        elif not each.is_flag and not each.count:
            yield each.opts[0], None


def pool_of(option: str) -> tuple[str, ...]:
    urls = HOSTILE_URLS if option in URLS else ()
    return (*urls, *ARGUMENTS)


def flags_of(name: str) -> list[str]:
    return [each.opts[0] for each in commands()[name].params if getattr(each, "is_flag", False)]


def hostile_call(
    name: str, database: Database, place: str, at: int | None, value: str, flags: list[str]
) -> list[str]:
    given, options = tokens_of(name, database, place)
    options |= dict.fromkeys(flags)
    if at is None:
        options[place] = value
    else:
        given[at:] = [value]
    return written(name, given, options)


def files_of(place: Path) -> dict[str, bytes]:
    """Return what lies in a directory, but for the files of a database."""
    return {
        str(path): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and not path.name.startswith("org.db")
    }


def test_every_command_is_tried_and_does_something() -> None:
    assert set(CALLS) == set(all_commands())


@pytest.mark.parametrize("name", CALLS)
def test_a_command_is_done_and_any_value_of_any_option_of_it_is_taken_or_refused(
    name: str, agency: Organisation, tmp_path: Path
) -> None:
    database = agency.database
    if name == "release":
        hold_organization(database.url, "complaint")
        agency.before = agency.rows()
    if name.startswith("backup"):
        create_backup(database.url, SchedulerConfig())
    if name != "demo":
        outcome = agency.run(written(name, *tokens_of(name, database)))
        assert outcome.code == 0 or name == "health", outcome
        agency.reset()
    tried = set()

    @some
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        for place, at in places_of(name):
            chance = random.Random(f"{seed} {name} {place}")
            value = chance.choice(pool_of(place))
            flags = [flag for flag in flags_of(name) if chance.random() < 0.15]
            call = [*hostile_call(name, database, place, at, value, flags)]
            files = files_of(tmp_path)
            try:
                outcome = agency.run(call)
            finally:
                now = agency.rows()
                if now != agency.before:
                    agency.reset()
            is_changed = now != agency.before
            tried.add(place)
            assert outcome.code in {0, 2} | MAY_FAIL.get(name, set()), (call, outcome)
            if outcome.code or "--dry-run" in flags:
                assert not is_changed, (call, outcome)
            if outcome.code:
                assert files_of(tmp_path) == files, (call, outcome)
            elif is_changed and place in RECORDED and name not in MAY_RECORD_NOTHING:
                on_record = json.dumps(now, default=str)
                said = {json.dumps(each)[1:-1] for each in (value, " ".join(value.split()))}
                assert not value or any(each in on_record for each in said), call
            if outcome.code == 0 and "--json" in flags and "--prometheus" not in flags:
                json.loads(outcome.out)

    check()
    assert tried == {place for place, _ in places_of(name)}


def test_what_is_no_command_and_no_option_is_refused(agency: Organisation) -> None:
    for name in ("plan", "campaigns show", "config show"):
        given, options = tokens_of(name, agency.database)
        for value in filter(None, ARGUMENTS):
            for call in (written(name, [*given, value], options), [*name.split(), f"--{value}"]):
                outcome = agency.run(call)
                assert outcome.code == 2, (call, outcome)
