import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from email_scheduler.config.loader import config_of
from email_scheduler.config.schema import MonthDay, SchedulerConfig
from email_scheduler.config.setting_types import STATE_CODES
from email_scheduler.config.state_rules import Window


def nested(key: str, value: object) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def configured(key: str, value: object) -> Any:
    found: Any = SchedulerConfig.model_validate(nested(key, value))
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


def refused(key: str, value: object) -> str:
    """The message of the only error that this value causes, which must be at this key or in its value."""
    with pytest.raises(ValidationError) as error:
        SchedulerConfig.model_validate(nested(key, value))
    [details] = error.value.errors()
    path = key.split(".")
    assert [str(part) for part in details["loc"][: len(path)]] == path
    return details["msg"]


# -- numbers, booleans, texts ------------------------------------------------------------------------------

DAYS = "timing_constants.followup_days_after"


@pytest.mark.parametrize("value", ["14", True, 14.0, Decimal(14), None, [14], -1, 10**30])
def test_a_number_of_days_is_a_whole_number_and_nothing_that_looks_like_one(value: object) -> None:
    assert refused(DAYS, value) == "accepted is a whole number from 0 to 3660"


@pytest.mark.parametrize("value", ["yes", "true", 1, 0, None, "on"])
def test_a_switch_is_true_or_false_and_nothing_else(value: object) -> None:
    assert refused("features.enable_sms", value) == "accepted is true or false"


NOT_NEGATIVE = [
    "timing_constants.pre_window_exclusion_days",
    "timing_constants.followup_days_after",
    "timing_constants.followup_lookback_days",
    "timing_constants.post_window_grace_days",
    "timing_constants.campaign_catch_up_days",
    "load_balancing.daily_send_percentage_cap",
    "load_balancing.ed_daily_soft_limit",
    "load_balancing.ed_soft_limit_percentage",
    "load_balancing.ed_smoothing_window_days",
    "load_balancing.overage_threshold",
    "load_balancing.max_emails_per_contact_per_period",
    "processing.max_retry_attempts",
    "processing.retry_delay",
    "processing.lock_timeout_seconds",
    "database.connection_pool.connection_timeout",
    "audit.audit_retention_days",
    "audit.archive_retention_days",
    "audit.backup_retention_days",
    "performance.cache_ttl",
]
AT_LEAST_ONE = [
    "aep_config.send_period_days",
    "load_balancing.catch_up_spread_days",
    "load_balancing.period_days",
    "processing.batch_size",
    "processing.lock_stale_after_seconds",
    "database.connection_pool.max_connections",
    "performance.worker_processes",
    "priorities.birthday",
    "priorities.effective_date",
    "priorities.aep",
    "priorities.post_window",
]


@pytest.mark.parametrize("key", NOT_NEGATIVE)
def test_caps_limits_and_lengths_of_time_may_be_0_and_not_negative(key: str) -> None:
    assert configured(key, 0) == 0
    assert "0" in refused(key, -1)


@pytest.mark.parametrize("key", AT_LEAST_ONE)
def test_what_cannot_be_0_is_1_or_more(key: str) -> None:
    assert configured(key, 1) == 1
    assert "1" in refused(key, 0)


@pytest.mark.parametrize("key", ["birthday_email_days_before", "effective_date_days_before"])
def test_anniversary_emails_may_go_out_after_their_event(key: str) -> None:
    assert configured(f"timing_constants.{key}", -365) == -365
    assert configured(f"timing_constants.{key}", 365) == 365
    assert refused(f"timing_constants.{key}", -366) == "accepted is a whole number from -365 to 365"
    assert refused(f"timing_constants.{key}", 366) == "accepted is a whole number from -365 to 365"


@pytest.mark.parametrize("key", ["daily_send_percentage_cap", "ed_soft_limit_percentage"])
def test_a_percentage_is_a_share_from_0_to_1(key: str) -> None:
    assert configured(f"load_balancing.{key}", 1) == Decimal(1)
    assert refused(f"load_balancing.{key}", 1.01).startswith("accepted is a number from 0 to 1 ")
    assert refused(f"load_balancing.{key}", 7).startswith("accepted is a number from 0 to 1 ")


def test_percentages_are_exact_decimal_numbers() -> None:
    cap = configured("load_balancing.daily_send_percentage_cap", 0.07)
    assert type(cap) is Decimal
    assert cap * 100 == 7
    assert SchedulerConfig().load_balancing.overage_threshold * 10 == 12


@pytest.mark.parametrize(
    "value", ["0.07", True, float("nan"), float("inf"), Decimal("1e-13"), None, Decimal("NaN")]
)
def test_what_is_no_plain_number_is_no_percentage(value: object) -> None:
    assert refused("load_balancing.daily_send_percentage_cap", value).startswith(
        "accepted is a number from 0 to 1"
    )


@pytest.mark.parametrize(
    "value", ["8:30", "08:30", "24:00:00", "08:60:00", "08:30:00 ", 510, 30600, "8:30:00", None]
)
def test_the_send_time_is_hours_minutes_and_seconds(value: object) -> None:
    assert "HH:MM:SS" in refused("timing_constants.send_time", value)


def test_the_last_second_of_the_day_is_a_send_time() -> None:
    assert configured("timing_constants.send_time", "23:59:59") == "23:59:59"


@pytest.mark.parametrize("value", ["", "  ", 3, None, "two\nlines"])
def test_a_template_has_a_name(value: object) -> None:
    assert (
        refused("email_templates.anniversary.aep", value)
        == "accepted is a text of one line that is not empty"
    )


# -- dates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [date(2026, 1, 1), "2026-01-01"])
def test_a_date_may_be_written_with_or_without_quotes(value: object) -> None:
    assert configured("go_live_date", value) == date(2026, 1, 1)


def test_there_may_be_no_go_live_date() -> None:
    assert configured("go_live_date", None) is None
    assert SchedulerConfig().go_live_date is None


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30",
        "2026-1-1",
        "20260101",
        "01/02/2026",
        datetime(2026, 1, 1),
        20260101,
        "1899-12-31",
        "2201-01-01",
    ],
)
def test_what_is_no_date_is_refused(value: object) -> None:
    assert "YYYY-MM-DD" in refused("go_live_date", value)


# -- AEP ---------------------------------------------------------------------------------------------------

AEP_DATES = "aep_config.default_dates"


@pytest.mark.parametrize(("month", "day"), [(2, 30), (4, 31), (11, 31)])
def test_an_aep_date_must_exist(month: int, day: int) -> None:
    assert "a day that exists" in refused(AEP_DATES, [{"month": month, "day": day}])


@pytest.mark.parametrize(("month", "day"), [(13, 1), (0, 1), (1, 0), (1, 32), ("9", 15), (9, True)])
def test_month_and_day_of_an_aep_date_are_numbers_in_their_ranges(month: object, day: object) -> None:
    assert "a whole number from 1 to" in refused(AEP_DATES, [{"month": month, "day": day}])


def test_an_aep_date_stands_once() -> None:
    dates = [{"month": 9, "day": 15}, {"month": 10, "day": 1}, {"month": 9, "day": 15}]
    assert "twice" in refused(AEP_DATES, dates)


def test_28_and_29_february_are_the_same_aep_date_in_a_common_year() -> None:
    assert "28 February or 29 February" in refused(
        AEP_DATES, [{"month": 2, "day": 28}, {"month": 2, "day": 29}]
    )
    assert configured(AEP_DATES, [{"month": 2, "day": 29}]) == (MonthDay(month=2, day=29),)


def test_aep_dates_are_in_the_order_of_the_year() -> None:
    dates = [{"month": 10, "day": 1}, {"month": 9, "day": 15}, {"month": 9, "day": 2}]
    assert [(day.month, day.day) for day in configured(AEP_DATES, dates)] == [(9, 2), (9, 15), (10, 1)]


def test_there_may_be_no_aep_dates() -> None:
    assert configured(AEP_DATES, []) == ()


def test_an_aep_section_without_years_means_all_years() -> None:
    assert SchedulerConfig.model_validate({"aep_config": {"send_period_days": 10}}).aep_config.years is None
    assert configured("aep_config.years", None) is None
    assert SchedulerConfig().aep_config.years == (2024, 2025, 2026, 2027, 2028)


def test_aep_years_are_ascending_and_stand_once() -> None:
    assert configured("aep_config.years", [2028, 2026, 2028]) == (2026, 2028)
    assert "a whole number from 1900" in refused("aep_config.years", [26])
    assert refused("aep_config.years", 2026) == "accepted is a list of years"


# -- state rules -------------------------------------------------------------------------------------------


def windows(entry: object, **sections: object) -> tuple[Window, ...]:
    raw = {"state_rules": {"birthday_windows": {"CA": entry}}, **sections}
    return SchedulerConfig.model_validate(raw).state_rules.birthday_windows["CA"]


def test_a_state_may_have_one_window_or_a_list_of_them() -> None:
    [window] = windows({"window_after_days": 60})
    assert window.window_after_days == 60
    first, second = windows([{"window_after_days": 60}, {"window_after_days": 30}])
    assert (first.window_after_days, second.window_after_days) == (60, 30)


@pytest.mark.parametrize("entry", [[], None, 3, "CA"])
def test_a_state_that_is_named_has_a_window(entry: object) -> None:
    assert "a window (a mapping) or a list" in refused("state_rules.birthday_windows.CA", entry)


def test_missing_lengths_of_a_window_are_0() -> None:
    [window] = windows({"pre_window_extension_days": 5})
    assert (window.first_offset_days, window.last_offset_days) == (-5, 0)
    assert window.use_month_start is False
    assert (window.valid_from, window.valid_to, window.source) == (None, None, None)


def test_a_windows_ends_count_its_extension_in() -> None:
    [window] = windows({"window_before_days": 30, "window_after_days": 60, "pre_window_extension_days": 60})
    assert (window.first_offset_days, window.last_offset_days) == (-90, 60)


def test_a_window_that_does_not_say_its_extension_has_that_of_the_timing_constants() -> None:
    timing = {"pre_window_exclusion_days": 45}
    assert windows({}, timing_constants=timing)[0].pre_window_extension_days == 45
    assert windows([{}, {}], timing_constants=timing)[1].pre_window_extension_days == 45
    assert (
        windows({"pre_window_extension_days": 7}, timing_constants=timing)[0].pre_window_extension_days == 7
    )
    assert windows({})[0].pre_window_extension_days == 60


def test_effective_date_windows_have_the_extension_of_the_timing_constants_too() -> None:
    raw = {
        "timing_constants": {"pre_window_exclusion_days": 3},
        "state_rules": {"effective_date_windows": {"MO": {"window_after_days": 1}}},
    }
    [window] = SchedulerConfig.model_validate(raw).state_rules.effective_date_windows["MO"]
    assert window.first_offset_days == -3


def test_an_extension_that_is_refused_is_refused_once() -> None:
    raw = {
        "timing_constants": {"pre_window_exclusion_days": -1},
        "state_rules": {"birthday_windows": {"CA": {}, "OR": {}}},
    }
    with pytest.raises(ValidationError) as error:
        SchedulerConfig.model_validate(raw)
    assert [details["loc"] for details in error.value.errors()] == [
        ("timing_constants", "pre_window_exclusion_days")
    ]


def test_a_window_holds_at_least_one_day() -> None:
    [one_day] = windows({"window_before_days": -10, "window_after_days": 10, "pre_window_extension_days": 0})
    assert one_day.first_offset_days == one_day.last_offset_days == 10
    empty = {"window_before_days": -11, "window_after_days": 10, "pre_window_extension_days": 0}
    assert "a window that holds a day" in refused("state_rules.birthday_windows.CA", empty)


def test_a_window_that_its_default_extension_keeps_from_being_empty_is_accepted() -> None:
    assert windows({"window_after_days": -60})[0].first_offset_days == -60
    assert "holds a day" in refused("state_rules.birthday_windows.CA", {"window_after_days": -61})


@pytest.mark.parametrize("length", [-3661, 3661, True, "3"])
def test_the_lengths_of_a_window_are_days(length: object) -> None:
    entry = {"window_before_days": length}
    assert (
        refused("state_rules.birthday_windows.CA", entry) == "accepted is a whole number from -3660 to 3660"
    )


def test_a_rule_does_not_end_before_it_begins() -> None:
    entry = {"valid_from": "2026-01-02", "valid_to": "2026-01-01"}
    assert "not after valid_to" in refused("state_rules.birthday_windows.CA", entry)
    [window] = windows({"valid_from": "2026-01-01", "valid_to": "2026-01-01", "source": "a statute"})
    assert (window.valid_from, window.valid_to, window.source) == (
        date(2026, 1, 1),
        date(2026, 1, 1),
        "a statute",
    )


@pytest.mark.parametrize("code", ["XX", "ca", "California", "CA ", "ON", ""])
@pytest.mark.parametrize("key", ["year_round_exclusion", "age_76_plus_exclusion"])
def test_an_unknown_state_is_refused(key: str, code: str) -> None:
    assert "US state" in refused(f"state_rules.{key}", [code])


@pytest.mark.parametrize("code", ["XX", "ca", "ON"])
@pytest.mark.parametrize("key", ["birthday_windows", "effective_date_windows"])
def test_a_window_of_an_unknown_state_is_refused(key: str, code: str) -> None:
    assert "US state" in refused(f"state_rules.{key}", {code: {"window_after_days": 1}})


def test_a_state_code_that_yaml_made_a_boolean_is_refused_with_the_way_to_write_it() -> None:
    assert "in quotes" in refused("state_rules.year_round_exclusion", [False])


def test_states_are_the_50_states_the_capital_territories_and_military_posts() -> None:
    assert len(STATE_CODES) == 50 + 1 + 8 + 3
    assert configured("state_rules.year_round_exclusion", sorted(STATE_CODES)) == STATE_CODES


def test_states_are_a_list() -> None:
    assert refused("state_rules.year_round_exclusion", "CA") == "accepted is a list of states"
    assert refused("state_rules.year_round_exclusion", {"CA": 1}) == "accepted is a list of states"
    assert refused("state_rules.year_round_exclusion", None) == "accepted is a list of states"


STATUTE = {"state": "NY", "source": "Insurance Law"}


def test_a_state_in_which_nothing_is_ever_sent_may_say_where_that_is_written() -> None:
    rules = SchedulerConfig.model_validate(
        {
            "state_rules": {
                "year_round_exclusion": ["CT", STATUTE, {"state": "MA"}, {"state": "WA", "source": None}]
            }
        }
    ).state_rules
    assert rules.year_round_exclusion == {"CT", "NY", "MA", "WA"}
    assert [rules.year_round_source(state) for state in ("NY", "CT", "MA", "WA", "TX")] == [
        "Insurance Law",
        *[None] * 4,
    ]


def test_the_source_of_a_state_is_part_of_the_document_and_comes_back_from_it() -> None:
    config = SchedulerConfig.model_validate({"state_rules": {"year_round_exclusion": [STATUTE, "CT"]}})
    document = json.loads(json.dumps(config.document()))
    assert document["state_rules"]["year_round_exclusion"] == ["CT", STATUTE]
    for again in (config_of(document, "here"), SchedulerConfig.model_validate(config.model_dump())):
        assert again.document() == document
    without = SchedulerConfig.model_validate({"state_rules": {"year_round_exclusion": ["NY", "CT"]}})
    assert without.version_hash() != config.version_hash()


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        ({"state": "XX", "source": "a statute"}, "the two letters, in upper case, of a US state"),
        ({"state": False, "source": "a statute"}, "in quotes"),
        ({"state": ["NY"]}, "in quotes"),
        ({"state": "NY", "source": ""}, "a text of one line that is not empty"),
        ({"state": "NY", "source": "two\nlines"}, "a text of one line that is not empty"),
        ({"state": "NY", "source": 627}, "a text of one line that is not empty"),
        ({"state": "NY", "sauce": "a statute"}, "a mapping with the keys state and source"),
        ({"source": "a statute"}, "a mapping with the keys state and source"),
        ({}, "a mapping with the keys state and source"),
        (["NY"], "in quotes"),
        (None, "in quotes"),
    ],
)
def test_an_entry_with_a_source_holds_a_state_and_a_source_and_nothing_else(
    entry: object, accepted: str
) -> None:
    assert accepted in refused("state_rules.year_round_exclusion", [entry])


@pytest.mark.parametrize("other", ["NY", {"state": "NY"}, {"state": "NY", "source": "another one"}])
def test_a_state_with_a_source_stands_once(other: object) -> None:
    for states in ([STATUTE, "CT", other], [other, STATUTE]):
        assert refused("state_rules.year_round_exclusion", states) == (
            "accepted is a list in which a state with a source stands once (NY does not)"
        )
    # as in every other list of states
    assert configured("state_rules.year_round_exclusion", ["NY", "NY"]) == {"NY"}


def test_only_what_is_closed_all_year_names_a_source_in_a_list() -> None:
    assert "in quotes" in refused("state_rules.age_76_plus_exclusion", [STATUTE])


def test_state_rules_that_are_given_are_taken_as_written() -> None:
    rules = SchedulerConfig.model_validate({"state_rules": {"age_76_plus_exclusion": ["IL"]}}).state_rules
    assert rules.age_76_plus_exclusion == {"IL"}
    assert rules.year_round_exclusion == frozenset()
    assert rules.birthday_windows == {}
    assert rules.effective_date_windows == {}
    assert rules.exclude_when_anchor_missing is False


def test_without_state_rules_those_of_the_users_hold() -> None:
    rules = SchedulerConfig().state_rules
    assert rules.year_round_exclusion == {"CT", "MA", "NY", "WA"}
    ends = {
        state: (window.first_offset_days, window.last_offset_days, window.use_month_start)
        for state, (window,) in rules.birthday_windows.items()
    }
    assert ends == {
        "CA": (-90, 60, False),
        "ID": (-60, 63, False),
        "KY": (-60, 60, False),
        "MD": (-60, 30, False),
        "NV": (-60, 60, True),
        "OK": (-60, 60, False),
        "OR": (-60, 31, False),
        "VA": (-60, 30, False),
    }
    [missouri] = rules.effective_date_windows["MO"]
    assert (missouri.first_offset_days, missouri.last_offset_days) == (-90, 33)
    assert list(rules.effective_date_windows) == ["MO"]


# -- closed days -------------------------------------------------------------------------------------------

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def test_one_day_of_the_week_stays_open() -> None:
    assert "at least one day of the week open" in refused("send_calendar.no_send_weekdays", WEEK)
    assert configured("send_calendar.no_send_weekdays", WEEK[1:]) == set(WEEK[1:])


@pytest.mark.parametrize("day", ["Sat", "saturday", 6, None])
def test_an_unknown_weekday_is_refused(day: object) -> None:
    assert (
        refused("send_calendar.no_send_weekdays", [day])
        == "accepted is one of mon, tue, wed, thu, fri, sat, sun"
    )


def test_closed_dates_are_dates() -> None:
    closed = configured("send_calendar.no_send_dates", ["2026-12-25", date(2027, 1, 1)])
    assert closed == {date(2026, 12, 25), date(2027, 1, 1)}
    assert "YYYY-MM-DD" in refused("send_calendar.no_send_dates", ["12-25"])


# -- templates, campaigns, priorities ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["birthday", "post_window", "campaign_rate_increase", "followup_hq_with_conditions"]
)
def test_a_text_message_has_the_name_of_an_email_type(key: str) -> None:
    assert configured("email_templates.sms", {key: "t"}) == {key: "t"}


@pytest.mark.parametrize("key", ["birtday", "followup_1_cold", "campaign_", "followup_"])
def test_a_text_message_of_an_unknown_type_is_refused(key: str) -> None:
    assert "campaign_<type>" in refused("email_templates.sms", {key: "t"})


@pytest.mark.parametrize("name", ["Rate", "rate-increase", "_x", "", "a" * 64])
def test_the_name_of_a_campaign_type_is_lower_case(name: str) -> None:
    assert "a name of at most 63" in refused("campaign_types", {name: {}})


def test_a_campaign_type_may_have_the_longest_name() -> None:
    assert list(configured("campaign_types", {"a" * 63: {}})) == ["a" * 63]


@pytest.mark.parametrize("key", ["priorities.aep", "campaign_types.rate_increase.priority"])
def test_a_priority_is_a_number_from_1_to_100(key: str) -> None:
    assert configured(key, 100) == 100
    assert refused(key, 0) == "accepted is a whole number from 1 to 100"
    assert refused(key, 101) == "accepted is a whole number from 1 to 100"


# -- logging and the database ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["%(nosuch)s", "plain text", "%(asctime)", "", 3, "%(levelno)Z", "%(message)s %"]
)
def test_a_log_format_that_logging_could_not_use_is_refused(value: object) -> None:
    assert "logging format" in refused("logging.format", value)


def test_the_log_level_has_a_name() -> None:
    assert configured("logging.level", "debug") == "DEBUG"
    assert refused("logging.level", 10) == "accepted is one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    assert refused("logging.level", "LOUD") == "accepted is one of DEBUG, INFO, WARNING, ERROR, CRITICAL"


def test_the_log_file_is_a_path_or_none() -> None:
    assert str(configured("logging.file", "logs/run.log")) == "logs/run.log"
    assert configured("logging.file", None) is None
    assert "path" in refused("logging.file", " ")


PRAGMAS = "database.sqlite_optimizations"


@pytest.mark.parametrize("mode", ["MEMORY", "off"])
def test_a_journal_that_a_crash_would_tear_is_refused_with_the_reason(mode: str) -> None:
    assert "would damage the database" in refused(f"{PRAGMAS}.journal_mode", mode)


def test_pragmas_are_written_in_upper_or_lower_case() -> None:
    assert configured(f"{PRAGMAS}.journal_mode", "delete") == "DELETE"
    assert configured(f"{PRAGMAS}.synchronous", "full") == "FULL"
    assert configured(f"{PRAGMAS}.temp_store", "File") == "FILE"
    assert configured(f"{PRAGMAS}.cache_size", -2000) == -2000


@pytest.mark.parametrize(
    ("key", "value"), [("synchronous", "SOME"), ("temp_store", "DISK"), ("journal_mode", "WAL2")]
)
def test_an_unknown_pragma_value_is_refused_with_those_that_there_are(key: str, value: str) -> None:
    assert refused(f"{PRAGMAS}.{key}", value).startswith("accepted is one of ")


# -- the whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["nonsense", "timing_constants.nonsense", "state_rules.nonsense", "features.Enable_SMS"]
)
def test_an_unknown_key_is_refused(key: str) -> None:
    assert refused(key, 1) == "Extra inputs are not permitted"


def test_the_defaults_are_accepted_themselves() -> None:
    assert SchedulerConfig.model_validate(SchedulerConfig().model_dump()) == SchedulerConfig()


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(ValidationError):
        SchedulerConfig().load_balancing.period_days = 3  # type: ignore[misc]


def test_a_document_is_json_with_sorted_keys_and_exact_numbers() -> None:
    config = SchedulerConfig.model_validate(
        {
            "go_live_date": "2026-01-01",
            "send_calendar": {
                "no_send_weekdays": ["sun", "sat"],
                "no_send_dates": ["2027-01-01", "2026-12-25"],
            },
            "logging": {"file": "run.log"},
        }
    )
    document = json.loads(json.dumps(config.document()))
    assert list(document) == sorted(document)
    assert document["load_balancing"]["daily_send_percentage_cap"] == "0.07"
    assert document["load_balancing"]["ed_soft_limit_percentage"] == "0.3"
    assert document["send_calendar"] == {
        "no_send_dates": ["2026-12-25", "2027-01-01"],
        "no_send_weekdays": ["sat", "sun"],
    }
    assert document["go_live_date"] == "2026-01-01"
    assert document["logging"]["file"] == "run.log"
    assert document["state_rules"]["year_round_exclusion"] == ["CT", "MA", "NY", "WA"]
    assert document["aep_config"]["default_dates"] == [{"day": 15, "month": 9}]


def test_equal_configurations_have_equal_hashes_however_they_are_written() -> None:
    def hashed(cap: object, states: list[str]) -> str:
        raw = {
            "load_balancing": {"daily_send_percentage_cap": cap},
            "state_rules": {"year_round_exclusion": states},
        }
        return SchedulerConfig.model_validate(raw).version_hash()

    assert hashed(0.1, ["NY", "CT"]) == hashed(Decimal("0.10"), ["CT", "NY"])
    assert hashed(0.1, ["NY", "CT"]) != hashed(0.2, ["NY", "CT"])
    assert hashed(0.1, ["NY", "CT"]) != hashed(0.1, ["NY"])
