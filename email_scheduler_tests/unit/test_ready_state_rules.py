"""The ready entries of ``config/state_rules.yaml``: off as they stand, loaded once they are switched on."""

import re
from pathlib import Path

import pytest

from email_scheduler.config.loader import load_config
from email_scheduler.config.schema import SchedulerConfig

FILE = Path(__file__).parents[2] / "config" / "state_rules.yaml"
# a line of an entry: a mark without a blank after it, or with two, since it is indented
READY = re.compile(r"^( +)#(?=[A-Z]{2}:|- |  )")
# As the pages report them that the file names: the first and the last day, the margin, the youngest and the
# oldest age, and the days between which the rule is law.
EXPECTED = {
    "VA": [(0, 30, 60, None, None, None, "2025-06-30"), (0, 60, 60, None, None, "2025-07-01", None)],
    "IL": [(0, 45, 60, 65, 75, "2022-01-01", None)],
    "IN": [(0, 60, 60, 65, None, "2026-01-01", None)],
    "LA": [(0, 63, 60, None, None, "2022-08-01", None)],
    "UT": [(0, 60, 60, None, None, "2025-05-07", None)],
    "WY": [(0, 63, 60, None, None, "2025-06-04", None)],
}


def lines() -> list[str]:
    return FILE.read_text(encoding="utf-8").splitlines()


def blocks() -> dict[str, list[int]]:
    """The numbers of the lines of each entry, by state: lines that follow each other."""
    found: dict[str, list[int]] = {}
    state, before = "", -1
    for number, line in enumerate(lines()):
        if named := re.match(r"^    #?([A-Z]{2}):", line):
            state = named[1]
        if READY.match(line):
            # prose ends with the entry that it is about
            assert before == number - 1 or lines()[number - 1].lstrip().startswith("# "), line
            found.setdefault(state, []).append(number)
            before = number
    return found


def loaded(tmp_path: Path, *states: str) -> SchedulerConfig:
    numbers = {number for state in states for number in blocks()[state]}
    text = [READY.sub(r"\1", line) if number in numbers else line for number, line in enumerate(lines())]
    file = tmp_path / "state_rules.yaml"
    file.write_text("\n".join(text) + "\n")
    return load_config(file)


def test_there_is_a_ready_entry_for_each_change_and_none_is_switched_on() -> None:
    assert list(blocks()) == list(EXPECTED)
    present = load_config(FILE).state_rules.birthday_windows
    assert {state: len(present.get(state, ())) for state in EXPECTED} == {
        state: int(state == "VA") for state in EXPECTED
    }


@pytest.mark.parametrize("states", [*([state] for state in EXPECTED), list(EXPECTED)], ids="+".join)
def test_a_ready_entry_is_switched_on_by_taking_its_marks_away(states: list[str], tmp_path: Path) -> None:
    present = load_config(FILE)
    config = loaded(tmp_path, *states)
    windows = config.state_rules.birthday_windows
    for state in states:
        assert [
            (
                each.window_before_days,
                each.window_after_days,
                each.pre_window_extension_days,
                each.min_age,
                each.max_age,
                each.valid_from and each.valid_from.isoformat(),
                each.valid_to and each.valid_to.isoformat(),
            )
            for each in windows[state]
        ] == EXPECTED[state]
        assert windows[state][-1].source
    # nothing else changes
    others = {state: each for state, each in windows.items() if state not in states}
    assert others == {
        state: each for state, each in present.state_rules.birthday_windows.items() if state not in states
    }
    assert config.state_rules.model_copy(update={"birthday_windows": {}}) == present.state_rules.model_copy(
        update={"birthday_windows": {}}
    )


@pytest.mark.parametrize("state", EXPECTED)
def test_a_ready_entry_says_where_it_is_reported(state: str) -> None:
    first = blocks()[state][0]
    said = []
    for line in reversed(lines()[:first]):
        if not line.lstrip().startswith("# "):
            break
        said.insert(0, line.lstrip().removeprefix("# "))
    text = " ".join(said)
    assert text.startswith("Reported: since ")
    assert re.search(r"\b[a-z0-9-]+\.(com|net)/\S+", text)
