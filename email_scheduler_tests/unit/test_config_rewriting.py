"""Values are written into YAML files, and documents become configurations again."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.config.loader import NOT_THERE, config_of, differences, load_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.config.yaml_files import read_text, with_value
from email_scheduler.errors import ConfigurationError

FILE = """\
# At the top.
timing:
  # When.
  send_time: "08:30:00"   # in quotes
  days: 14
# Between.
states: [NY, CT]
windows:
  CA:
    - {before: 30,
       after: 60}
  # The last one.

"""


def read(text: str) -> dict[str, Any]:
    return read_text(text, Path("f"))


def test_a_state_is_written_with_its_source() -> None:
    rules = {"year_round_exclusion": ["NY", {"state": "CT", "source": "a statute: of 1990"}]}
    config = SchedulerConfig.model_validate({"state_rules": rules})
    states = config.model_dump()["state_rules"]["year_round_exclusion"]
    text = with_value(
        "state_rules:\n  year_round_exclusion: [NY]\n", ("state_rules", "year_round_exclusion"), states
    )
    assert read(text)["state_rules"]["year_round_exclusion"] == rules["year_round_exclusion"][::-1]


def test_a_value_is_replaced_and_every_other_line_stays() -> None:
    changed = with_value(FILE, ("timing", "days"), 21)
    assert changed == FILE.replace("  days: 14", "  days: 21")


def test_a_text_that_looks_like_a_number_has_quotation_marks() -> None:
    assert read(with_value("a: x\n", ("a",), "1e3")) == {"a": "1e3"}


def test_a_list_over_several_lines_is_replaced_as_a_whole() -> None:
    changed = with_value(FILE, ("windows", "CA"), [{"before": 1}])
    assert changed == FILE.replace("  CA:\n    - {before: 30,\n       after: 60}\n", "  CA:\n  - before: 1\n")


@pytest.mark.parametrize(
    ("key", "after_line"), [(("timing", "more"), "  days: 14\n"), (("new",), "       after: 60}\n")]
)
def test_a_key_that_is_not_there_comes_after_the_others(key: tuple[str, ...], after_line: str) -> None:
    written = "  " * (len(key) - 1) + f"{key[-1]}: 0.05\n"
    assert with_value(FILE, key, Decimal("0.050")) == FILE.replace(after_line, after_line + written)


def test_mappings_on_the_way_are_made() -> None:
    assert with_value("", ("a", "b"), 1) == "a:\n  b: 1\n"
    assert read(with_value("a: {x: 1} # flow", ("a", "b"), 2)) == {"a": {"x": 1, "b": 2}}


KEYS = st.sampled_from(["alpha", "beta", "NO", "on", "12", "é"])
VALUES = st.recursive(
    st.one_of(
        st.integers(-1000, 1000),
        st.booleans(),
        st.none(),
        st.dates(date(2000, 1, 1)),
        st.decimals(-10, 10, places=3).filter(lambda value: value % 1 != 0),
        st.sampled_from(
            ["", "yes", "NO", "08:30", "17:30:00", "2026-12-25", "a: b", "x\ny", "# no", "1e3", "é"]
        ),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def as_read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_read(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_read(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.lists(KEYS, min_size=1, max_size=3), VALUES)
def test_what_is_written_is_what_is_read_and_nothing_else_changes(
    content: dict[str, Any], key: list[str], value: Any
) -> None:
    text = ""
    for name, item in content.items():
        text = with_value(text, (name,), item)
    assert read(text) == as_read(content)
    expected = as_read(content)
    inner = expected
    for part in key[:-1]:
        if not isinstance(inner.get(part), dict):
            inner[part] = {}
        inner = inner[part]
    inner[key[-1]] = as_read(value)
    assert read(with_value(text, tuple(key), value)) == expected


def test_a_document_becomes_the_same_configuration_again() -> None:
    fixture = Path(__file__).parents[1] / "fixtures" / "scheduler_config.yaml"
    for config in (SchedulerConfig(), load_config(fixture), load_config(Path("config"))):
        assert config_of(config.document(), "version 1").document() == config.document()


def test_a_document_of_an_older_version_of_the_program_has_the_built_in_values_of_what_came_since() -> None:
    document = SchedulerConfig().document()
    del document["audit"]["backup_scope"]
    assert config_of(document, "version 1") == SchedulerConfig()


def test_a_document_with_a_key_that_is_gone_is_refused_by_its_name() -> None:
    document = {**SchedulerConfig().document(), "old_key": 1}
    with pytest.raises(ConfigurationError, match="version 7: old_key: unknown key"):
        config_of(document, "version 7")


def test_differences_are_told_key_by_key() -> None:
    before = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    after = {"a": {"x": 1, "y": [2]}, "c": {"d": None}}
    found = [(each.path, each.before, each.after) for each in differences(before, after)]
    assert found == [("a.y", [1, 2], [2]), ("b", 1, NOT_THERE), ("c", NOT_THERE, {"d": None})]
