import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from email_scheduler.config.loader import (
    ineffective_keys,
    load_config,
    load_organizations,
    organization_config,
)
from email_scheduler.config.organizations import Organization
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import ConfigurationError

PROJECT = Path(__file__).parents[2]
USERS_FILE = PROJECT / "email_scheduler_tests" / "fixtures" / "scheduler_config.yaml"
CONFIG = PROJECT / "config"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "scheduler.yaml"


def problems(path: Path) -> list[str]:
    """The lines of the error, without the directory's path."""
    with pytest.raises(ConfigurationError) as error:
        load_config(path)
    directory = path if path.is_dir() else path.parent
    return str(error.value).replace(f"{directory}/", "").splitlines()


def problem(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    [line] = problems(path)
    return line


def loaded(path: Path, text: str) -> SchedulerConfig:
    path.write_text(text, encoding="utf-8")
    return load_config(path)


# -- what users have, and what the project ships -----------------------------------------------------------


def test_the_users_file_loads_and_holds_the_defaults() -> None:
    assert load_config(USERS_FILE) == SchedulerConfig()


def test_without_a_path_the_defaults_hold() -> None:
    assert load_config(None) == SchedulerConfig()


def test_the_projects_own_configuration_holds_the_defaults_and_the_sources_of_the_rules() -> None:
    document = load_config(CONFIG).document()
    kinds = ("birthday_windows", "effective_date_windows")
    entries = [
        window for kind in kinds for entry in document["state_rules"][kind].values() for window in entry
    ]
    assert any(window["source"] for window in entries)
    for window in entries:
        window["source"] = None
    # make ui shows the pages there; without the key nobody does
    assert document["reporting"].pop("url") == "http://127.0.0.1:3001"
    defaults = SchedulerConfig().document()
    assert defaults["reporting"].pop("url") is None
    assert document == defaults


def test_the_projects_own_organisations_load() -> None:
    organizations = load_organizations(CONFIG)
    assert list(organizations) == ["sample"]
    assert organizations["sample"].database_url() == "sqlite:///data/sample.db"
    assert organization_config(CONFIG, organizations["sample"]) == load_config(CONFIG)


# -- keys without effect -----------------------------------------------------------------------------------

WITHOUT_EFFECT = [
    "audit.enable_audit_logs",
    "database.connection_pool.max_connections",
    "performance",
    "processing.enable_streaming",
]


def test_the_users_keys_without_effect_are_named_once_in_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    load_config(USERS_FILE)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert str(USERS_FILE) in message
    assert [message.count(key) for key in WITHOUT_EFFECT] == [1] * len(WITHOUT_EFFECT)
    assert "\n" not in message


def test_only_keys_that_are_written_are_named(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded(file, "performance: {cache_ttl: 3}\nfeatures: {enable_sms: true}\n")
    [record] = caplog.records
    assert record.getMessage() == f"{file}: these keys are accepted and have no effect here: performance"


def test_a_file_whose_keys_all_have_effect_causes_no_warning(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded(file, "features: {enable_sms: true}\ndatabase: {connection_pool: {connection_timeout: 3}}\n")
    assert caplog.records == []


def test_the_project_ships_no_key_without_effect(caplog: pytest.LogCaptureFixture) -> None:
    load_config(CONFIG)
    assert caplog.records == []


def test_keys_without_effect_are_found_where_they_stand() -> None:
    assert sorted(
        ineffective_keys({"audit": {"enable_audit_logs": True}, "performance": {}, "features": None})
    ) == [
        "audit.enable_audit_logs",
        "performance",
    ]


# -- strict YAML -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_holds_the_defaults(file: Path, text: str) -> None:
    assert loaded(file, text) == SchedulerConfig()


def test_a_number_with_a_point_is_exactly_what_is_written(file: Path) -> None:
    balancing = loaded(
        file, "load_balancing: {overage_threshold: 1.15, daily_send_percentage_cap: 7.0e-2}"
    ).load_balancing
    assert balancing.overage_threshold == Decimal("1.15")
    assert balancing.daily_send_percentage_cap == Decimal("0.07")


@pytest.mark.parametrize(
    "name", ["e5", "E10", "-e1", ".", "1.2.3", "v1", "0x1F", "1_0", "12:30", "2026-01-01"]
)
def test_a_template_may_have_a_name_that_looks_like_a_number(file: Path, name: str) -> None:
    config = loaded(file, f"email_templates: {{anniversary: {{aep: {name}}}}}")
    assert config.email_templates.anniversary.aep == name


def test_times_and_dates_need_no_quotes(file: Path) -> None:
    config = loaded(file, "timing_constants: {send_time: 17:30:00}\ngo_live_date: 2026-01-31\n")
    assert config.timing_constants.send_time == "17:30:00"
    assert str(config.go_live_date) == "2026-01-31"


@pytest.mark.parametrize("written", ["17:30", "8:30", "'8:30'"])
def test_a_time_without_seconds_is_refused_with_what_is_accepted(file: Path, written: str) -> None:
    line = problem(file, f"timing_constants: {{send_time: {written}}}")
    assert line.startswith(
        f"scheduler.yaml: timing_constants.send_time: value '{written.strip(chr(39))}': accepted is"
    )
    assert "HH:MM:SS" in line


@pytest.mark.parametrize("code", ["NO", "ON", "OFF", "yes"])
def test_what_other_programs_read_as_a_boolean_stays_text(file: Path, code: str) -> None:
    line = problem(file, f"state_rules:\n  year_round_exclusion: [CT, {code}]\n")
    assert line.startswith(
        f"scheduler.yaml: state_rules.year_round_exclusion (entry 2): value '{code}': accepted is"
    )


def test_a_pragma_that_looks_like_a_boolean_is_a_name(file: Path) -> None:
    config = loaded(file, "database: {sqlite_optimizations: {synchronous: OFF}}")
    assert config.database.sqlite_optimizations.synchronous == "OFF"


@pytest.mark.parametrize(
    "number", ["010", "0x10", "1_000", "'14'", "14.0", "1e3", "true", "1:30", "", "9" * 5000]
)
def test_a_whole_number_is_written_in_plain_digits(file: Path, number: str) -> None:
    line = problem(file, f"processing: {{batch_size: {number}}}")
    assert line.startswith("scheduler.yaml: processing.batch_size: value ")
    assert line.endswith("accepted is a whole number, 1 or more")
    assert len(line) < 250


def test_a_key_that_stands_twice_is_refused_with_both_lines(file: Path) -> None:
    line = problem(file, "features:\n  enable_sms: true\n  enable_followups: true\n  enable_sms: true\n")
    assert (
        line == "scheduler.yaml: features.enable_sms: stands twice, on line 2 and on line 4: accepted is once"
    )


def test_a_key_that_stands_twice_at_the_top_is_refused(file: Path) -> None:
    assert "features: stands twice, on line 1 and on line 2" in problem(file, "features: {}\nfeatures: {}\n")


def test_an_unknown_key_is_refused_with_those_that_there_are(file: Path) -> None:
    line = problem(file, "features: {enable_text: true}")
    assert line == (
        "scheduler.yaml: features.enable_text: unknown key: accepted is one of enable_campaigns, "
        "enable_followups, enable_load_balancing, enable_sms, enable_ab_testing,"
        " watch_contacts"
    )


@pytest.mark.parametrize(
    ("text", "key", "known"),
    [
        (
            "state_rules: {birthday_windows: {CA: {days: 3}}}",
            "state_rules.birthday_windows.CA.days",
            "valid_from",
        ),
        (
            "state_rules: {birthday_windows: {CA: [{days: 3}]}}",
            "state_rules.birthday_windows.CA (entry 1).days",
            "valid_to",
        ),
        (
            "aep_config: {default_dates: [{month: 9, day: 1, year: 3}]}",
            "aep_config.default_dates (entry 1).year",
            "month, day",
        ),
        ("campaign_types: {x: {prio: 3}}", "campaign_types.x.prio", "priority"),
        ("email_templates: {followups: {warm: x}}", "email_templates.followups.warm", "cold"),
        ("database: {connection_pool: {size: 3}}", "database.connection_pool.size", "connection_timeout"),
        ("timings: {}", "timings", "timing_constants"),
    ],
)
def test_an_unknown_key_is_named_with_its_path_at_every_depth(
    file: Path, text: str, key: str, known: str
) -> None:
    name, found_key, rest = problem(file, text).split(": ", maxsplit=2)
    assert (name, found_key) == ("scheduler.yaml", key)
    assert rest.startswith("unknown key: accepted is one of ")
    assert known in rest


def test_all_problems_of_a_file_are_reported_one_a_line(file: Path) -> None:
    file.write_text(
        "timing_constants: {send_time: noon}\n"
        "aep_config: {default_dates: [{month: 2, day: 30}, {month: 9}]}\n"
        "state_rules: {birthday_windows: {ZZ: {window_after_days: 1}}}\n"
        "features: {enable_sms: maybe, enable_sms: true}\n",
        encoding="utf-8",
    )
    keys = [line.split(": ")[1] for line in problems(file)]
    assert sorted(keys) == [
        "aep_config.default_dates (entry 1)",
        "aep_config.default_dates (entry 2).day",
        "features.enable_sms",
        "state_rules.birthday_windows.ZZ",
        "timing_constants.send_time",
    ]


def test_a_section_without_content_is_refused(file: Path) -> None:
    line = problem(file, "state_rules:\n# year_round_exclusion: [NY]\n")
    assert line == (
        "scheduler.yaml: state_rules: value null: accepted is a mapping "
        "(to have the defaults, leave the key out)"
    )


def test_anchors_and_merge_keys_are_accepted_and_own_keys_win(file: Path) -> None:
    config = loaded(
        file,
        "state_rules:\n"
        "  birthday_windows:\n"
        "    OK: &sixty {window_after_days: 60, window_before_days: 1}\n"
        "    KY: *sixty\n"
        "    MD: {<<: *sixty, window_after_days: 30}\n",
    )
    rules = config.state_rules.birthday_windows
    assert rules["KY"] == rules["OK"]
    assert (rules["MD"][0].window_before_days, rules["MD"][0].window_after_days) == (1, 30)


def test_the_earlier_of_several_merged_mappings_wins(file: Path) -> None:
    config = loaded(
        file,
        "state_rules:\n"
        "  birthday_windows:\n"
        "    OK: &a {window_after_days: 1}\n"
        "    KY: &b {window_after_days: 2, window_before_days: 5}\n"
        "    MD: {<<: [*a, *b]}\n",
    )
    [window] = config.state_rules.birthday_windows["MD"]
    assert (window.window_before_days, window.window_after_days) == (5, 1)


GROWING = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        (b"- a\n", "a mapping"),
        (b"just text", "a mapping"),
        (b"42", "a mapping"),
        (b"''", "a mapping"),
        (b"a: b: c", "line 1, column 5: not valid YAML"),
        (b"a: [1, 2", "not valid YAML"),
        (b"features: {}\n---\nfeatures: {}\n", "line 2, column 1: not valid YAML"),
        (b"a: *nowhere", "not valid YAML"),
        (b"\tfeatures: {}", "not valid YAML"),
        (b"features: \xff\xfe", "byte 10 is not UTF-8"),
        ("features: {}".encode("utf-16"), "UTF-8"),
        (b"features: {}\n# \x00\n", "line 2: a character that no text file holds"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{a: " * 100_000, "nested too deeply"),
        (b"features: &f {x: *f}", "nested too deeply"),
        (GROWING.encode(), "too large"),
        (b"features: !!python/object/apply:os.system [ls]", "a value without a tag"),
        (b"logging: {level: !!str INFO}", "a value without a tag"),
        (b"processing: {batch_size: !!int '14'}", "a value without a tag"),
        (b"!!map {features: {}}", "a value without a tag"),
        (b"? [a, b]\n: 1\n", "line 1: a key that is a list or a mapping"),
        (b"<<: 3", "accepted is a mapping"),
    ],
)
def test_what_is_no_configuration_is_refused_with_its_file(file: Path, content: bytes, accepted: str) -> None:
    file.write_bytes(content)
    lines = problems(file)
    assert lines[0].startswith("scheduler.yaml: ")
    assert accepted in lines[0]


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbffeatures: {enable_sms: true}")
    assert load_config(file).features.enable_sms


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path / "missing.yaml") == ["missing.yaml: cannot be read: No such file or directory"]


def test_a_value_is_shown_on_one_short_line(file: Path) -> None:
    line = problem(file, f'logging: {{level: "a\\nb\\u2028{"x" * 500}"}}')
    assert len(line) < 250


def test_a_password_in_a_url_is_never_shown(file: Path) -> None:
    line = problem(file, "database: 'postgresql://agency:secret@host/db'")
    assert "secret" not in line
    assert "host" in line


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=60), st.text(alphabet="ae:-[]{}&*!|>'\"#%@`,? \n1.~<", max_size=40).map(str.encode)
    )
)
@example(content=b"a: !")
@example(content=b"!!map {a: 1}")
@example(content=b"&a &b c")
def test_whatever_a_file_holds_it_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.yaml"
    path.write_bytes(content)
    try:
        config = load_config(path)
    except ConfigurationError as error:
        assert str(path) in str(error)  # noqa: PT017 - most contents are refused, some are accepted
    else:
        assert config == SchedulerConfig()


# -- a directory -------------------------------------------------------------------------------------------


def test_the_sections_of_a_directorys_files_are_one_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("features: {enable_sms: true}")
    (tmp_path / "b.yml").write_text("go_live_date: 2026-01-01")
    config = load_config(tmp_path)
    assert config.features.enable_sms
    assert str(config.go_live_date) == "2026-01-01"


def test_a_key_in_two_files_of_a_directory_is_refused_with_both_names(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("features: {enable_sms: true}")
    (tmp_path / "b.yaml").write_text("features: {enable_followups: true}")
    assert problems(tmp_path) == ["b.yaml: features: stands in a.yaml too: accepted is one of the two files"]


def test_campaigns_may_be_spread_over_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "campaign_types: {spring: {priority: 3}}\n"
        "campaign_instances: {spring: {easter: {email_template: easter_v1}}}"
    )
    (tmp_path / "b.yaml").write_text(
        "campaign_types: {autumn: {priority: 4}}\n"
        "campaign_instances: {spring: {may: {email_template: m}}, autumn: {harvest: {email_template: h}}}"
    )
    config = load_config(tmp_path)
    assert {name: each.priority for name, each in config.campaign_types.items()} == {"spring": 3, "autumn": 4}
    assert {name: sorted(each) for name, each in config.campaign_instances.items()} == {
        "spring": ["easter", "may"],
        "autumn": ["harvest"],
    }


def test_a_campaign_in_two_files_is_refused_with_both_names(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "campaign_types: {spring: {priority: 3}, autumn: {}}\n"
        "campaign_instances: {spring: {easter: {email_template: easter_v1}}}"
    )
    (tmp_path / "b.yaml").write_text(
        "campaign_types: {spring: {priority: 4}}\n"
        "campaign_instances: {spring: {easter: {email_template: easter_v2}}}"
    )
    assert problems(tmp_path) == [
        "b.yaml: campaign_types.spring: stands in a.yaml too: accepted is one of the two files",
        "b.yaml: campaign_instances.spring.easter: stands in a.yaml too: accepted is one of the two files",
    ]


def test_a_section_of_campaigns_that_is_no_mapping_is_refused_beside_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("campaign_types: {spring: {priority: 3}}")
    (tmp_path / "b.yaml").write_text("campaign_types: null")
    text = "campaign_types: stands in a.yaml too: accepted is one of the two files"
    assert problems(tmp_path) == [f"b.yaml: {text}"]


def test_a_problem_of_a_campaign_names_the_file_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("campaign_types: {spring: {priority: 3}}")
    (tmp_path / "b.yaml").write_text("campaign_types: {autumn: {priority: 0}}")
    (problem,) = problems(tmp_path)
    assert problem.startswith("b.yaml: campaign_types.autumn.priority: value 0")


def test_a_problem_in_a_directory_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("features: {enable_sms: 1}")
    (tmp_path / "b.yaml").write_text("priorities: {aep: 0}\nnonsense: 1")
    assert sorted(line.partition(": value")[0].partition(": unknown")[0] for line in problems(tmp_path)) == [
        "a.yaml: features.enable_sms",
        "b.yaml: nonsense",
        "b.yaml: priorities.aep",
    ]


@pytest.mark.parametrize("name", ["organizations.yaml", "dagster.yaml", ".#scheduler.yaml", "notes.txt"])
def test_other_files_of_a_directory_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("not: [the scheduler's")
    (tmp_path / "a.yaml").write_text("features: {enable_sms: true}")
    assert load_config(tmp_path).features.enable_sms


def test_a_directory_without_yaml_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no file \*\.yaml"):
        load_config(tmp_path)


# -- overrides ---------------------------------------------------------------------------------------------


def test_an_override_changes_its_key_and_no_other(file: Path) -> None:
    file.write_text("load_balancing: {period_days: 20, daily_send_percentage_cap: 0.1}")
    balancing = load_config(
        file, {"load_balancing": {"daily_send_percentage_cap": Decimal("0.05")}}
    ).load_balancing
    assert balancing.daily_send_percentage_cap == Decimal("0.05")
    assert balancing.period_days == 20
    assert balancing.ed_daily_soft_limit == 15


def test_an_override_of_one_state_leaves_the_rules_of_the_others_in_force() -> None:
    override = {"state_rules": {"birthday_windows": {"CA": {"window_after_days": 1}}}}
    rules = load_config(None, override).state_rules
    defaults = SchedulerConfig().state_rules
    assert rules.birthday_windows.keys() == defaults.birthday_windows.keys()
    assert rules.birthday_windows["NV"] == defaults.birthday_windows["NV"]
    assert rules.year_round_exclusion == defaults.year_round_exclusion


def test_an_override_of_state_rules_is_laid_over_those_that_are_written_and_not_over_the_defaults(
    file: Path,
) -> None:
    file.write_text("state_rules: {birthday_windows: {OR: {window_after_days: 31}}}")
    override = {"state_rules": {"birthday_windows": {"CA": {"window_after_days": 1}}}}
    rules = load_config(file, override).state_rules
    assert sorted(rules.birthday_windows) == ["CA", "OR"]
    assert rules.year_round_exclusion == frozenset()


def test_an_override_replaces_the_windows_of_a_state_as_a_whole() -> None:
    override = {"state_rules": {"birthday_windows": {"CA": {"window_after_days": 1}}}}
    [window] = load_config(None, override).state_rules.birthday_windows["CA"]
    assert (window.window_before_days, window.window_after_days) == (0, 1)


def test_an_override_replaces_a_list_as_a_whole() -> None:
    rules = load_config(None, {"state_rules": {"year_round_exclusion": ["VT"]}}).state_rules
    assert rules.year_round_exclusion == {"VT"}


def test_overriding_one_text_message_keeps_the_others(file: Path) -> None:
    file.write_text("email_templates: {anniversary: {aep: own}}")
    templates = load_config(file, {"email_templates": {"sms": {"aep": "aep_sms"}}}).email_templates
    assert templates.anniversary.aep == "own"
    assert templates.sms == {**SchedulerConfig().email_templates.sms, "aep": "aep_sms"}


def test_overriding_the_aep_section_keeps_the_years_that_held_before() -> None:
    aep = load_config(None, {"aep_config": {"send_period_days": 5}}).aep_config
    assert aep.years == SchedulerConfig().aep_config.years
    assert aep.send_period_days == 5


def test_an_overridden_extension_counts_for_windows_that_do_not_say_theirs(file: Path) -> None:
    file.write_text("state_rules: {birthday_windows: {OR: {window_after_days: 31}}}")
    rules = load_config(file, {"timing_constants": {"pre_window_exclusion_days": 10}}).state_rules
    assert rules.birthday_windows["OR"][0].pre_window_extension_days == 10


def test_an_override_does_not_mend_a_file_that_is_refused(file: Path) -> None:
    file.write_text("state_rules:\n")
    with pytest.raises(ConfigurationError, match="state_rules: value null"):
        load_config(file, {"state_rules": {"year_round_exclusion": ["NY"]}})


# -- organisations -----------------------------------------------------------------------------------------


def organizations(tmp_path: Path, text: str) -> dict[str, Organization]:
    (tmp_path / "organizations.yaml").write_text(text, encoding="utf-8")
    return load_organizations(tmp_path)


def organization_problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        organizations(tmp_path, text)
    return str(error.value).replace(f"{tmp_path}/", "").splitlines()


def test_what_is_wrong_with_the_source_of_a_state_is_said_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.yaml"
    entries = "[CT, {state: NY, sauce: x}]"
    assert problem(file, f"state_rules:\n  year_round_exclusion: {entries}\n") == (
        "scheduler.yaml: state_rules.year_round_exclusion (entry 2): value {state: 'NY', sauce: 'x'}:"
        " accepted is the two letters of a state, or a mapping with the keys state and source"
    )
    twice = "  - state: NY\n    source: a\n    source: b\n"
    assert "source" in problem(file, f"state_rules:\n  year_round_exclusion:\n{twice}")


def test_an_organisation_has_a_database_and_overrides(tmp_path: Path) -> None:
    found = organizations(
        tmp_path,
        "organizations:\n"
        "  b: {database: 'sqlite:///b.db', overrides: {load_balancing: {daily_send_percentage_cap: 0.05}}}\n"
        "  a_1-x: {database: 'postgresql+psycopg://u@h/d'}\n",
    )
    assert list(found) == ["b", "a_1-x"]
    assert found["b"].database_url() == "sqlite:///b.db"
    assert organization_config(None, found["b"]).load_balancing.daily_send_percentage_cap == Decimal("0.05")
    assert organization_config(None, found["a_1-x"]) == SchedulerConfig()


def test_the_file_of_organisations_may_be_named_itself(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("organizations: {a: {database: 'sqlite:///a.db'}}")
    assert load_organizations(path)["a"].file == str(path)


def test_a_database_url_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = organizations(tmp_path, "organizations: {a: {database_env: A_DATABASE}}")["a"]
    monkeypatch.setenv("A_DATABASE", "sqlite:///a.db")
    assert found.database_url() == "sqlite:///a.db"


def test_a_copy_of_the_database_may_be_named_and_need_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_COPY", "postgresql+psycopg://u@standby/a")
    entries = (
        "a: {database: 'sqlite:///a.db'}, b: {database: 'sqlite:///b.db', replica: 'sqlite:///c.db'}, "
        "c: {database: 'postgresql+psycopg://u@h/a', replica_env: A_COPY}"
    )
    found = organizations(tmp_path, f"organizations: {{{entries}}}")
    assert [each.replica_url() for each in found.values()] == [
        None,
        "sqlite:///c.db",
        "postgresql+psycopg://u@standby/a",
    ]


def test_a_copy_is_named_in_one_way(tmp_path: Path) -> None:
    entry = "{database: 'sqlite:///a.db', replica: 'sqlite:///b.db', replica_env: B}"
    [line] = organization_problems(tmp_path, f"organizations: {{a: {entry}}}")
    assert line.endswith("value (not shown): accepted is replica or replica_env, not both")


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_environment_variable_is_named_when_the_url_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    found = organizations(tmp_path, "organizations: {a: {database_env: A_DATABASE}}")["a"]
    monkeypatch.delenv("A_DATABASE", raising=False)
    if value is not None:
        monkeypatch.setenv("A_DATABASE", value)
    with pytest.raises(ConfigurationError, match=r"organizations\.a\.database_env: .* A_DATABASE is not set"):
        found.database_url()


def test_an_environment_variable_that_holds_no_url_is_named_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = organizations(tmp_path, "organizations: {a: {database_env: A_DATABASE}}")["a"]
    monkeypatch.setenv("A_DATABASE", "hunter2")
    with pytest.raises(ConfigurationError, match="A_DATABASE") as error:
        found.database_url()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "entry", ["{}", "{database: 'sqlite:///hunter2.db', database_env: A}", "{overrides: {}}"]
)
def test_an_organisation_says_in_one_way_where_its_database_is(tmp_path: Path, entry: str) -> None:
    [line] = organization_problems(tmp_path, f"organizations: {{a: {entry}}}")
    assert line == (
        "organizations.yaml: organizations.a: value (not shown): "
        "accepted is either database or database_env, one of the two"
    )


@pytest.mark.parametrize(
    "url",
    [
        *("hunter2", "mysql://u:hunter2@h/d", "sqlite:hunter2", "3", "sqlite:///hunter2 .db"),
        *("postgresql://u:hunter2@h/d", "postgresql+asyncpg://u:hunter2@h/d"),
    ],
)
def test_what_is_no_database_url_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    [line] = organization_problems(tmp_path, f"organizations: {{a: {{database: '{url}'}}}}")
    assert line.startswith(
        "organizations.yaml: organizations.a.database: value (not shown): accepted is a database URL"
    )
    assert "hunter2" not in line


def test_the_url_of_a_database_is_not_part_of_an_organisations_text(tmp_path: Path) -> None:
    found = organizations(tmp_path, "organizations: {a: {database: 'postgresql+psycopg://u:hunter2@h/d'}}")
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("name", ["A", "_a", "-a", "a b", "ä", "''", "a" * 64, "a.b", "../a", "/a", "a/b"])
def test_an_organisations_name_is_lower_case_letters_digits_and_dashes(tmp_path: Path, name: str) -> None:
    [line] = organization_problems(tmp_path, f"organizations: {{{name}: {{database: 'sqlite:///a.db'}}}}")
    assert "accepted is a name of at most 63 lower-case letters" in line


@pytest.mark.parametrize("name", ["a\\0", "a\\n", "\\u212a", "con\\ufe0f", "..", "a" * 500])
def test_a_name_that_might_lead_to_another_file_is_refused(tmp_path: Path, name: str) -> None:
    [line] = organization_problems(tmp_path, f'organizations: {{"{name}": {{database: "sqlite:///a.db"}}}}')
    assert "accepted is a name of at most 63 lower-case letters" in line
    assert line.isprintable()
    assert len(line) < 300


def test_no_two_names_differ_by_large_and_small_letters_only(tmp_path: Path) -> None:
    entries = "  acme: {database: 'sqlite:///a.db'}\n  Acme: {database: 'sqlite:///b.db'}\n"
    [line] = organization_problems(tmp_path, f"organizations:\n{entries}")
    assert line.startswith("organizations.yaml: organizations.Acme: ")


@pytest.mark.parametrize("name", ["a", "0", "a" * 63, "a-b_c"])
def test_short_and_long_names_are_accepted(tmp_path: Path, name: str) -> None:
    text = f"organizations: {{'{name}': {{database: 'sqlite:///a.db'}}}}"
    assert list(organizations(tmp_path, text)) == [name]


def test_an_organisation_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = "organizations:\n  a: {database: 'sqlite:///a.db'}\n  a: {database: 'sqlite:///b.db'}\n"
    assert organization_problems(tmp_path, text) == [
        "organizations.yaml: organizations.a: stands twice, on line 2 and on line 3: accepted is once"
    ]


def test_an_unknown_key_of_an_organisation_is_refused(tmp_path: Path) -> None:
    [line] = organization_problems(tmp_path, "organizations: {a: {database: 'sqlite:///a.db', cap: 3}}")
    assert line == (
        "organizations.yaml: organizations.a.cap: unknown key: accepted is one of database, "
        "database_env, replica, replica_env, overrides"
    )


def test_a_missing_file_of_organisations_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"organizations\.yaml: cannot be read"):
        load_organizations(tmp_path)


OVERRIDES: list[tuple[str, str]] = [
    (
        "{load_balancing: {daily_send_percentage_cap: 7}}",
        "load_balancing.daily_send_percentage_cap: value 7: accepted is",
    ),
    ("{features: {enable_text: true}}", "features.enable_text: unknown key: accepted is"),
    ("{nonsense: 1}", "nonsense: unknown key: accepted is"),
    ("{aep_config: {default_dates: [{month: 2, day: 30}]}}", "aep_config.default_dates (entry 1): value"),
    (
        "{state_rules: {birthday_windows: {OR: {window_after_days: -99}}}}",
        "state_rules.birthday_windows.OR: value",
    ),
    ("{state_rules: {birthday_windows: {XX: {}}}}", "state_rules.birthday_windows.XX: key 'XX': accepted is"),
    ("{features: }", "features: value null: accepted is a mapping"),
]


@pytest.mark.parametrize(("overrides", "message"), OVERRIDES)
def test_an_override_that_is_refused_is_named_with_the_file_of_the_organisations(
    tmp_path: Path, overrides: str, message: str
) -> None:
    (tmp_path / "scheduler.yaml").write_text("features: {enable_sms: true}")
    text = f"organizations: {{a: {{database: 'sqlite:///a.db', overrides: {overrides}}}}}"
    found = organizations(tmp_path, text)["a"]
    with pytest.raises(ConfigurationError) as error:
        organization_config(tmp_path, found)
    [line] = str(error.value).splitlines()
    assert line.startswith(f"{tmp_path}/organizations.yaml: organizations.a.overrides.{message}")


def test_an_override_without_effect_is_named_in_the_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "organizations: {a: {database: 'sqlite:///a.db', overrides: {performance: {cache_ttl: 1}}}}"
    organization_config(None, organizations(tmp_path, text)["a"])
    [record] = caplog.records
    assert record.getMessage().endswith(
        "organizations.yaml: these keys are accepted and have no effect here: performance"
    )


def test_organisations_do_not_share_their_overrides(tmp_path: Path) -> None:
    found = organizations(
        tmp_path,
        "organizations:\n"
        "  a: {database: 'sqlite:///a.db', overrides: {features: {enable_sms: true}}}\n"
        "  b: {database: 'sqlite:///b.db'}\n",
    )
    configs: dict[str, Any] = {name: organization_config(None, each) for name, each in found.items()}
    assert configs["a"].features.enable_sms
    assert not configs["b"].features.enable_sms
