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

FILES = repetitions(full=1000, short=150)
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


def is_clear(error: ConfigurationError, path: Path) -> bool:
    """Say whether each line names the file, and a key or a line or what is wrong with the whole of it."""
    return all(
        line.startswith(f"{path}: ") and line.isprintable() and len(line) < MOST_CHARACTERS and "secret" not in line
        for line in str(error).split("\n")
    )


def check(seed: int, directory: Path) -> str:
    name, content = malformed_yaml(seed)
    path = directory / name
    path.write_bytes(content)
    begin = time.perf_counter()
    try:
        configurations = load(path)
    except ConfigurationError as error:
        assert is_clear(error, path), str(error)
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
        f"{FILES:,} YAML files: keys and values changed, lines and bytes damaged, aliases of aliases, deep nesting",
        f"{outcomes['refused']} refused, each line with its file; {outcomes['accepted']} loaded, and plans made"
        " with them; 0 tracebacks",
    )
