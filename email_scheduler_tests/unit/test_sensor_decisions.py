"""When the sensors ask for a run: decisions without Dagster and without a database."""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.clock import TIME_ZONE
from email_scheduler.health.incidents import (
    Incident,
    IncidentLedger,
    begin,
    end,
    forget,
    notices_for,
    only,
)
from email_scheduler.orchestration.sensors import (
    LOOKS_BEFORE_MISSED,
    LOOKS_BEFORE_RETRY,
    LOOKS_BETWEEN_MISSED,
    MOST_ATTEMPTS,
    MOST_LOOKS,
    Cursor,
    Position,
    decide,
    decide_missed,
)

DAY = date(2026, 11, 24)


@dataclass(frozen=True)
class Pending:
    last_id: int
    last_changed_at: str = "10:00"


@dataclass(frozen=True)
class Record:
    last_date: date | None
    has_broken_rules: bool = False
    is_waiting: bool = False


class Watcher:
    """Looks again and again, and remembers what the sensor does; the cursor goes through its text."""

    def __init__(self) -> None:
        self.cursor = ""
        self.run_keys: list[str] = []

    def look(self, pending: Pending | None, *, busy: bool = False, refused: bool = False) -> int:
        """Look at the organisation north; return how many runs were asked for."""
        names = ["north"]
        requests, positions = decide(
            {"north": pending},
            Cursor.read(self.cursor).positions,
            names if busy else (),
            names if refused else (),
        )
        self.cursor = Cursor(positions).write()
        self.run_keys += [request.run_key for request in requests]
        return len(requests)

    def looks(self, count: int, pending: Pending | None, **state: bool) -> int:
        return sum(self.look(pending, **state) for _ in range(count))


def test_nothing_is_asked_for_where_nothing_has_changed() -> None:
    watcher = Watcher()
    assert watcher.looks(20, None) == 0


def test_a_change_is_planned_at_the_second_look() -> None:
    watcher = Watcher()
    assert [watcher.look(Pending(7)), watcher.look(Pending(7))] == [0, 1]
    assert watcher.run_keys == ["north/7@10:00"]


def test_changes_in_quick_succession_make_one_run() -> None:
    watcher = Watcher()
    assert [watcher.look(Pending(7)), watcher.look(Pending(9)), watcher.look(Pending(9))] == [0, 0, 1]
    assert watcher.run_keys == ["north/9@10:00"]


def test_changes_that_never_end_do_not_keep_the_plan_waiting() -> None:
    watcher = Watcher()
    asked = [watcher.look(Pending(number)) for number in range(MOST_LOOKS + 1)]
    assert asked == [0] * MOST_LOOKS + [1]


def test_a_burst_during_a_run_makes_exactly_one_more_after_it() -> None:
    watcher = Watcher()
    watcher.looks(2, Pending(7))
    for number in range(8, 40):
        assert watcher.look(Pending(number), busy=True) == 0
    # the run has stamped what it saw; the rest is left
    assert watcher.look(Pending(39)) == 1
    assert watcher.looks(5, Pending(39), busy=True) == 0
    assert watcher.looks(20, None) == 0
    assert watcher.run_keys == ["north/7@10:00", "north/39@10:00"]


def test_what_the_run_under_way_has_seen_makes_no_other_run() -> None:
    watcher = Watcher()
    watcher.looks(2, Pending(7))
    watcher.looks(3, Pending(8), busy=True)
    assert watcher.looks(20, None) == 0


def test_a_run_that_somebody_else_started_is_waited_for() -> None:
    watcher = Watcher()
    assert watcher.looks(30, Pending(7), busy=True) == 0
    assert watcher.look(Pending(7)) == 1


def test_a_run_that_left_its_changes_pending_is_asked_for_three_times_in_all_under_other_keys() -> None:
    watcher = Watcher()
    assert watcher.looks(2, Pending(7)) == 1
    assert watcher.looks(LOOKS_BEFORE_RETRY - 1, Pending(7)) == 0
    assert watcher.looks(LOOKS_BEFORE_RETRY * 20, Pending(7)) == MOST_ATTEMPTS - 1
    assert watcher.run_keys == ["north/7@10:00", "north/7@10:00/2", "north/7@10:00/3"]


def test_the_time_of_a_run_does_not_count_as_waiting_for_the_next_attempt() -> None:
    watcher = Watcher()
    watcher.looks(2, Pending(7))
    watcher.looks(LOOKS_BEFORE_RETRY * 2, Pending(7), busy=True)
    assert watcher.looks(LOOKS_BEFORE_RETRY - 1, Pending(7)) == 0
    assert watcher.look(Pending(7)) == 1


def test_changes_whose_plan_broke_a_rule_are_not_tried_again_but_another_change_is() -> None:
    watcher = Watcher()
    watcher.looks(2, Pending(7))
    assert watcher.looks(LOOKS_BEFORE_RETRY * 5, Pending(7), refused=True) == 0
    assert watcher.looks(2, Pending(8), refused=True) == 1


def test_a_change_with_a_lower_id_is_a_change_too() -> None:
    # a transaction that took its number early may commit late, and a database may be replaced by another
    watcher = Watcher()
    watcher.looks(2, Pending(57))
    watcher.look(None)
    assert watcher.looks(2, Pending(55)) == 1


def test_the_same_number_of_another_time_is_another_run() -> None:
    watcher = Watcher()
    watcher.looks(2, Pending(1, "10:00"))
    watcher.look(None)
    watcher.looks(2, Pending(1, "11:30"))
    assert len(set(watcher.run_keys)) == 2


def test_a_deleted_cursor_asks_under_the_key_that_was_used_before() -> None:
    watcher = Watcher()
    watcher.looks(2, Pending(7))
    watcher.cursor = ""
    watcher.looks(2, Pending(7))
    assert watcher.run_keys == ["north/7@10:00"] * 2


def test_an_organisation_that_cannot_be_looked_at_keeps_its_place_and_the_others_go_on() -> None:
    before = {"north": Position("7@10:00", 1), "south": Position("3@10:00", 1)}
    requests, after = decide({"south": Pending(3)}, before)
    assert [request.organization for request in requests] == ["south"]
    assert after["north"] == before["north"]


def test_each_organisation_with_changes_gets_its_own_run() -> None:
    before = {name: Position("7@10:00", 1) for name in ("north", "south")}
    requests, _ = decide({"north": Pending(7), "south": Pending(7), "west": None}, before)
    assert [request.run_key for request in requests] == ["north/7@10:00", "south/7@10:00"]


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "nonsense", "[]", "3", "[" * 5000, '{"organizations": ' + "[" * 5000, "9" * 5000),
        *(
            '{"organizations": {"north": {"looks": "many"}}}',
            '{"last": []}x',
            '{"organizations": {"north": 1}}',
        ),
    ],
)
def test_a_cursor_that_cannot_be_read_is_an_empty_one(text: str | None) -> None:
    assert Cursor.read(text).positions == {}


def test_the_cursor_is_json_with_an_entry_for_each_organisation_that_something_is_remembered_of() -> None:
    text = Cursor({"north": Position("7@10:00", 1), "south": Position()}, "south").write()
    assert json.loads(text) == {"organizations": {"north": {"seen": "7@10:00", "looks": 1}}, "last": "south"}
    assert Cursor.read(text) == Cursor({"north": Position("7@10:00", 1)}, "south")


def test_organisations_take_turns_where_a_look_does_not_reach_all_of_them() -> None:
    names = ["a", "b", "c"]
    first = Cursor({}).in_turn(names, 2)
    second = Cursor({}, first[-1]).in_turn(names, 2)
    assert (first, second) == (["a", "b"], ["c", "a"])
    assert Cursor({}, "gone").in_turn(names, 5) == names


class MissedWatcher:
    def __init__(self) -> None:
        self.cursor = ""
        self.run_keys: list[str] = []

    def looks(
        self, count: int, record: Record, day: date = DAY, *, busy: bool = False, refused: bool = False
    ) -> int:
        before = len(self.run_keys)
        for _ in range(count):
            requests, positions = decide_missed(
                {"north": record},
                Cursor.read(self.cursor).positions,
                day,
                ["north"] if busy else (),
                ["north"] if refused else (),
            )
            self.cursor = Cursor(positions).write()
            self.run_keys += [request.run_key for request in requests]
        return len(self.run_keys) - before


@pytest.mark.parametrize("last", [None, DAY - timedelta(days=1), DAY + timedelta(days=1), date(2062, 11, 23)])
def test_a_plan_that_is_not_there_is_asked_for(last: date | None) -> None:
    watcher = MissedWatcher()
    assert watcher.looks(LOOKS_BEFORE_MISSED - 1, Record(last)) == 0
    assert watcher.looks(1, Record(last)) == 1


def test_a_plan_of_today_is_not_missed() -> None:
    assert MissedWatcher().looks(50, Record(DAY)) == 0


def test_a_missed_plan_is_tried_three_times_a_day_with_a_pause_between() -> None:
    watcher = MissedWatcher()
    yesterday = Record(DAY - timedelta(days=1))
    assert watcher.looks(LOOKS_BEFORE_MISSED, yesterday) == 1
    assert watcher.looks(LOOKS_BETWEEN_MISSED - 1, yesterday) == 0
    assert watcher.looks(LOOKS_BETWEEN_MISSED * 20, yesterday) == 2
    assert watcher.looks(LOOKS_BEFORE_MISSED, yesterday, DAY + timedelta(days=1)) == 1
    assert watcher.run_keys == [
        "north/2026-11-24/1",
        "north/2026-11-24/2",
        "north/2026-11-24/3",
        "north/2026-11-25/1",
    ]


def test_a_missed_plan_is_not_tried_again_after_it_broke_a_rule() -> None:
    assert MissedWatcher().looks(50, Record(None, has_broken_rules=True)) == 0
    assert MissedWatcher().looks(50, Record(None), refused=True) == 0


def test_a_missed_plan_is_not_tried_again_while_it_waits_for_a_person_but_the_next_day_s_is() -> None:
    watcher = MissedWatcher()
    assert watcher.looks(50, Record(None, is_waiting=True)) == 0
    assert watcher.looks(LOOKS_BEFORE_MISSED, Record(None), DAY + timedelta(days=1)) == 1


def test_a_plan_that_is_on_its_way_is_not_missed() -> None:
    watcher = MissedWatcher()
    assert watcher.looks(30, Record(None), busy=True) == 0
    assert watcher.looks(LOOKS_BEFORE_MISSED - 1, Record(None)) == 0


def test_a_deleted_cursor_does_not_give_a_missed_plan_more_attempts() -> None:
    watcher = MissedWatcher()
    for _ in range(5):
        watcher.looks(LOOKS_BETWEEN_MISSED * 5, Record(None))
        watcher.cursor = ""
    assert len(set(watcher.run_keys)) == MOST_ATTEMPTS


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("organizations", "north", "last", "seen", "looks", "requested", "attempts", "day"),
                        *(
                            "begins",
                            "runs_until",
                            "run_ids",
                            "incidents",
                            "planned",
                            "title",
                            "text",
                            "since",
                        ),
                        *("untold", "told", "is_over"),
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_json_a_cursor_holds_the_next_look_works_with_it(content: object) -> None:
    """It holds the promise of docs/operations.md that sensors start afresh with a cursor they cannot read."""
    text = json.dumps(content)
    cursor = Cursor.read(text)
    assert cursor.in_turn(["north", "south"], 2)
    _, positions = decide({"north": Pending(3)}, cursor.positions)
    assert Cursor.read(Cursor(positions, cursor.last).write()).positions["north"].seen
    decide_missed({"north": Record(None)}, cursor.positions, DAY)
    now = datetime(2026, 11, 24, 12, tzinfo=TIME_ZONE)
    ledger = forget(only(IncidentLedger.read(text), ["email"]), ["north"], DAY, now)
    ledger = begin(end(ledger, ["north"]), [Incident("north", "title", "text")], ["email"], now)
    assert notices_for(ledger, "email")
    assert IncidentLedger.read(ledger.with_run("a", now).write()).incidents
