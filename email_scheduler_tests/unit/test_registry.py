"""The registry of words: whoever has words of his own has all of them, and no other."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.database import tables
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.planning.categories import ALL_SKIP_REASONS
from email_scheduler.planning.frames import CONTACTS
from email_scheduler.planning.rules.exclusions import ExclusionWindows
from email_scheduler.proof import arithmetic, exclusion_windows, send_dates
from email_scheduler.registry.email_types import (
    ANNIVERSARY_EMAILS,
    ANNIVERSARY_TYPES,
    BUILT_IN_TYPES,
    FOLLOW_UP_EMAILS,
    YEARLY_TYPES,
)
from email_scheduler.registry.notes import NOTES, PLACEHOLDER_TEXTS
from email_scheduler.registry.reasons import (
    ADJUSTMENTS,
    EXCLUSIONS,
    ISSUES,
    NO_ROW,
    SKIP_REASONS,
    Setting,
    Word,
    skip_meaning,
)
from email_scheduler_tests.oracle import words

ORACLE = Path(words.__file__).parent
CONFIG = SchedulerConfig()


@pytest.mark.parametrize(
    "word",
    [
        each
        for words_of in (SKIP_REASONS, EXCLUSIONS, ADJUSTMENTS, ISSUES, NO_ROW, NOTES)
        for each in words_of.values()
    ],
)
def test_every_word_is_a_sentence_of_a_section(word: Word) -> None:
    assert word.text.endswith(".")
    assert 1 <= word.section <= 15


def test_every_skip_reason_of_a_plan_has_a_meaning() -> None:
    assert {skip_meaning(reason).name for reason in ALL_SKIP_REASONS} == {*EXCLUSIONS, *SKIP_REASONS}


def test_no_two_words_of_one_kind_share_a_name() -> None:
    # an email has either as its reason
    assert not set(SKIP_REASONS) & set(ADJUSTMENTS)


# -- the configuration --------------------------------------------------------------------------------------


def test_the_configuration_has_every_email_type_and_no_other() -> None:
    templates = CONFIG.email_templates
    assert CONFIG.priorities.model_dump() == {n: each.priority for n, each in ANNIVERSARY_EMAILS.items()}
    assert templates.anniversary.model_dump() == {n: each.template for n, each in ANNIVERSARY_EMAILS.items()}
    assert templates.followups.model_dump() == {
        each.kind: each.template for each in FOLLOW_UP_EMAILS.values()
    }


def test_the_days_before_every_anniversary_can_be_set() -> None:
    timing = CONFIG.timing_constants.model_dump()
    assert {yearly.setting: yearly.days_before for yearly in YEARLY_TYPES.values()} == {
        name: days for name, days in timing.items() if name.endswith("_days_before")
    }


@pytest.mark.parametrize("word", [*SKIP_REASONS.values(), *ADJUSTMENTS.values()])
def test_a_setting_that_decides_exists(word: Word) -> None:
    setting: Setting | None = getattr(word, "setting", None)
    if setting is None:
        return
    if setting.is_of_campaign:
        columns_of = {*tables.campaign_instances.columns.keys(), *tables.campaign_types.columns.keys()}
        assert setting.name in columns_of
    else:
        found: object = CONFIG
        for part in setting.name.split("."):
            found = getattr(found, part)


@pytest.mark.parametrize("name", EXCLUSIONS)
def test_an_exclusion_names_a_state_rule_and_a_date_of_the_contact(name: str) -> None:
    exclusion = EXCLUSIONS[name]
    assert exclusion.setting in type(CONFIG.state_rules).model_fields
    assert exclusion.anchor is None or exclusion.anchor in CONTACTS.columns


# -- the planner --------------------------------------------------------------------------------------------


def test_the_planner_has_the_date_of_every_yearly_type() -> None:
    found = ExclusionWindows(CONTACTS.empty().astype({"state": "category"}), CONFIG.state_rules)
    assert {yearly.column for yearly in YEARLY_TYPES.values()} <= set(found.anchors)
    assert {yearly.if_unknown for yearly in YEARLY_TYPES.values()} <= set(NO_ROW)


def test_the_texts_that_stand_for_no_date_are_trimmed_and_in_small_letters() -> None:
    assert [text for text in PLACEHOLDER_TEXTS if text != text.strip().lower()] == []


# -- those that have words of their own ---------------------------------------------------------------------


def test_the_proof_knows_every_email_type_and_no_other() -> None:
    assert set(arithmetic._KINDS) == set(BUILT_IN_TYPES)


def test_the_proof_knows_every_skip_reason_and_no_other() -> None:
    assert set(send_dates._CODES) == set(SKIP_REASONS)
    assert set(exclusion_windows.REASONS.values()) == set(EXCLUSIONS)


def test_the_slow_reading_of_the_rules_knows_every_email_type() -> None:
    assert set(words.ANNIVERSARY_TYPES) == set(ANNIVERSARY_TYPES)


@pytest.mark.parametrize("word", [*SKIP_REASONS, *ADJUSTMENTS, *BUILT_IN_TYPES])
def test_the_slow_reading_of_the_rules_has_this_word(word: str) -> None:
    assert any(f'"{word}"' in module.read_text(encoding="utf-8") for module in ORACLE.glob("*.py"))


# -- the database -------------------------------------------------------------------------------------------


def test_the_migrations_know_every_built_in_email_type_and_no_other(tmp_path: Path) -> None:
    """A view, trigger or index that tells the planner's types from others needs a migration for a new one."""
    path = tmp_path / "org.db"
    initialise_database(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        statements = [sql for (sql,) in connection.execute("SELECT coalesce(sql, '') FROM sqlite_master")]
    found = [set(re.findall(r"email_type = '(\w+)'", statement)) for statement in statements]
    listed = [names for names in found if names]
    assert listed
    assert all(names == set(BUILT_IN_TYPES) for names in listed)
    assert any(tables.FOREIGN_ROW_SQL in statement for statement in statements)
