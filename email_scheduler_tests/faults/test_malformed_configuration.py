"""Configuration files as nobody should leave them: an error that names file and key, or a configuration."""

import time
from collections import Counter
from pathlib import Path

from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import ConfigurationError
from email_scheduler.planning.plan import make_plan
from email_scheduler_tests.builders import contact, inputs
from email_scheduler_tests.faults.malformed_yaml import malformed_yaml
from email_scheduler_tests.faults.report import record, repetitions

FILES = repetitions(full=1000, short=80)
MOST_SECONDS = 10
MOST_CHARACTERS = 2000
ORGANISATION = inputs(
    "2026-11-23",
    [contact(1, "75001", "1950-03-10", "2019-06-01"), contact(2, "90210", "1948-02-10", "2018-03-01")],
)


def load(path: Path) -> list[SchedulerConfig]:
    """Load what the program loads from a file of this name."""
    if path.name != "organizations.yaml":
        return [load_config(path)]
    return [organization_config(None, found) for found in load_organizations(path).values()]


def assert_is_clear(error: ConfigurationError, path: Path) -> None:
    """Make sure that each line names the file, can be read, and shows no password."""
    for line in str(error).split("\n"):
        assert line.startswith(f"{path}: "), line
        assert line.isprintable(), line
        assert len(line) < MOST_CHARACTERS, line
        assert "secret" not in line, line


def check(seed: int, directory: Path) -> str:
    name, content = malformed_yaml(seed)
    path = directory / name
    path.write_bytes(content)
    begin = time.perf_counter()
    try:
        configurations = load(path)
    except ConfigurationError as error:
        assert_is_clear(error, path)
        return "refused"
    finally:
        assert time.perf_counter() - begin < MOST_SECONDS
    for config in configurations:
        assert SchedulerConfig.model_validate(config.model_dump()) == config
        assert config.version_hash()
        make_plan(ORGANISATION, config)
    return "accepted"


def test_a_malformed_file_is_refused_in_words_or_holds_a_configuration(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(FILES):
        try:
            outcomes[check(seed, tmp_path)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    assert outcomes["refused"] > FILES // 3
    record(
        "malformed configuration files",
        "an error that names file and key, or a valid configuration; never a traceback or a hang",
        f"{FILES:,} YAML files: keys, values, lines and bytes changed, aliases of aliases, deep nesting",
        f"{outcomes['refused']} refused, each line naming its file; {outcomes['accepted']} loaded, and a plan"
        " made with each; 0 tracebacks",
    )
