"""The documentation describes what there is, and nothing else; names are taken from the code."""

import csv
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest
import yaml

from email_scheduler.cli.app import COMMANDS
from email_scheduler.config.loader import load_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.cutover.shadow_reasons import BEYOND_THEIR_LAST_DAY, IDEAL_DATE, ONLY_THERE_REASONS
from email_scheduler.cutover.shadow_run import OUTCOMES
from email_scheduler.database import tables
from email_scheduler.database.upgrade import initialise_database
from email_scheduler.definitions import build_definitions
from email_scheduler.errors import ConfigurationError
from email_scheduler.planning.columns import packing
from email_scheduler.proof.violations import RULES
from email_scheduler.registry.email_types import ANNIVERSARY_TYPES, FOLLOW_UP_TYPES, LIVE_STATUSES, STATUSES
from email_scheduler.registry.notes import NOTES
from email_scheduler.registry.reasons import (
    ADJUSTMENTS,
    EXCLUSIONS,
    INVALIDATING_ISSUES,
    ISSUES,
    SKIP_REASONS,
)
from email_scheduler_tests.reference import DOCUMENTS as DOCUMENTS_WITH_REFERENCE
from email_scheduler_tests.reference import commands, configuration_keys

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
GOLDEN = REPOSITORY / "email_scheduler_tests" / "golden" / "worked_examples.csv"
KEYS = {key.name for key in configuration_keys()}
COMMAND_NAMES = set(commands())


def text_of(document: str) -> str:
    return (DOCS / document).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    start = re.search(rf"^{re.escape(heading)}$", text, re.MULTILINE)
    assert start is not None, f"there is no heading {heading!r}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{level}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def table_rows(text: str, first_heading: str = "") -> list[list[str]]:
    """Return the cells of the rows of all tables, or of those whose first column has this heading."""
    tables_found = re.findall(r"^\| *(.*?) *\|.*\n\|(?: --- \|)+\n((?:\|.*\n?)*)", text, re.MULTILINE)
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for heading, body in tables_found
        if not first_heading or heading == first_heading
        for line in body.splitlines()
    ]


def described(text: str, first_heading: str = "") -> dict[str, str]:
    """Return the rows of these tables that begin with one name in code type: the name, and the rest."""
    rows = [(re.fullmatch(r"`([^`]+)`", cells[0]), cells[1:]) for cells in table_rows(text, first_heading)]
    return {match[1]: " | ".join(rest) for match, rest in rows if match}


# -- reference --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS_WITH_REFERENCE)
def test_the_tables_of_the_reference_are_current(document: str) -> None:
    text = text_of(document)
    assert DOCUMENTS_WITH_REFERENCE[document](text) == text, "make reference"


def test_every_key_and_every_option_is_described() -> None:
    assert len(KEYS) > 90
    assert [key.name for key in configuration_keys() if not key.meaning] == []
    options = [option for command in commands().values() for option in command.params]
    assert len(options) > 90
    assert [option.opts for option in options if not option.help] == []


def test_a_list_of_commands_shows_what_they_do_without_loading_them() -> None:
    code = "import sys; from email_scheduler.cli import main; sys.argv[1:] = ['--help']\n"
    code += "try: main()\nfinally: sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pandas", "pydantic", "sqlalchemy", "zipcodes"}.isdisjoint(done.stderr.split())
    shown = " ".join(done.stdout.split())
    for title, entries in COMMANDS.items():
        assert f"{title}:" in shown
        for name, entry in entries.items():
            assert f"{name} {entry.says}" in shown


def test_the_error_message_that_is_shown_is_the_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(
        r"```(?:yaml|text)\n(.*?)```", section(text_of("configuration.md"), "## Error messages"), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    Path("scheduler.yaml").write_text(blocks[0], encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_config(Path("scheduler.yaml"))
    assert str(refused.value) == blocks[1].strip()


# -- promises ---------------------------------------------------------------------------------------------


def test_what_the_documentation_promises_is_said_there_and_held_by_a_test() -> None:
    rows = table_rows(text_of("architecture.md"), "page")
    assert len(rows) > 40
    for page, promise, tests in rows:
        said = plain(text_of(page))
        assert plain(promise) in said, (page, promise)
        held_by = re.findall(r"`([^`]+)`", tests)
        assert held_by, promise
        for path, _, name in (each.partition("::") for each in held_by):
            file = REPOSITORY / "email_scheduler_tests" / path
            assert re.fullmatch(r"test_\w+\.py", file.name), path
            assert re.search(rf"^def {name or r'test_'}", file.read_text(encoding="utf-8"), re.MULTILINE), (
                path
            )


def plain(text: str) -> str:
    return " ".join(text.replace("**", "").split())


# -- planning rules ---------------------------------------------------------------------------------------


def test_the_planning_rules_have_the_sections_that_the_code_refers_to() -> None:
    numbers = re.findall(r"^## (\d+)\. ", text_of("planning-rules.md"), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 19)]


def test_every_skip_reason_is_described_and_no_other() -> None:
    rows = described(section(text_of("planning-rules.md"), "### Skip reasons"))
    words = {f"{name} in S": exclusion for name, exclusion in EXCLUSIONS.items()} | SKIP_REASONS
    assert set(rows) == set(words)
    for name, row in rows.items():
        assert re.match(rf"{words[name].section}\b", row), name


def test_every_adjustment_is_described_and_no_other() -> None:
    assert set(described(section(text_of("planning-rules.md"), "### Adjustments"))) == set(ADJUSTMENTS)


def test_every_issue_is_described_with_its_field_and_whether_it_makes_a_contact_invalid() -> None:
    text = section(text_of("planning-rules.md"), "## 4. Contacts")
    invalidating = described(section(text, "### What makes a contact invalid"))
    others = described(section(text, "### What is recorded without making the contact invalid"))
    assert tuple(invalidating) == INVALIDATING_ISSUES
    assert set(others) == set(ISSUES) - set(INVALIDATING_ISSUES)
    for issue, row in (invalidating | others).items():
        assert row.startswith(f"`{ISSUES[issue].field}` |"), issue


def test_every_note_about_data_is_described_where_data_changes_and_no_other() -> None:
    text = section(text_of("how-to/when-data-changes.md"), "## Notes about data")
    assert list(described(text, "note")) == list(NOTES)


@pytest.mark.parametrize("word", [*ANNIVERSARY_TYPES, *FOLLOW_UP_TYPES, *STATUSES, *LIVE_STATUSES])
def test_every_email_type_and_status_is_explained(word: str) -> None:
    assert f"`{word}`" in text_of("planning-rules.md")


def test_every_rule_of_the_proof_is_described_and_no_other() -> None:
    assert set(described(section(text_of("architecture.md"), "## The proof"), "rule")) == set(RULES)


def test_the_worked_examples_are_those_that_the_planner_is_tested_with() -> None:
    rows = table_rows(section(text_of("planning-rules.md"), "## 15. Worked examples"))
    dates = {name: as_of for name, as_of, *_ in (row for row in rows if len(row) == 4)}
    shown = [(dates[row[0]], *row) for row in rows if len(row) == 5]
    with GOLDEN.open(newline="", encoding="utf-8") as file:
        expected = [
            (
                row["as_of"],
                row["example"],
                f"`{row['email_type']}`",
                row["event_date"],
                row["scheduled_send_date"],
                outcome(row),
            )
            for row in csv.DictReader(file)
        ]
    assert shown == expected


def outcome(row: Mapping[str, str]) -> str:
    if row["status"] == "skipped":
        return f"skipped: {row['skip_reason']}"
    return ", ".join(filter(None, (row["status"], row["adjustment"])))


def test_the_stable_hash_that_is_described_is_the_one_of_the_planner() -> None:
    text = section(text_of("planning-rules.md"), "## 14. stable_hash")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    examples = {
        call: result for call, result in described(text).items() if call.startswith(("mix", "stable"))
    }
    assert len(examples) == 6
    for call, result in examples.items():
        assert eval(call, names) == int(result), call
    planners = packing.stable_hash(
        "smooth", np.array([42]), pd.Categorical(["effective_date"]), np.array([2027], np.int32)
    )
    assert names["stable_hash"]("smooth", 42, "effective_date", 2027) == int(planners[0])


# -- database ---------------------------------------------------------------------------------------------


TABLES = {table.name: list(table.columns.keys()) for table in tables.metadata.sorted_tables}


def columns_described(table: str) -> list[str]:
    return list(described(section(text_of("database.md"), f"### `{table}`"), "column"))


def test_every_table_and_view_is_described_and_no_other() -> None:
    headings = re.findall(r"^### `(\w+)`$", text_of("database.md"), re.MULTILINE)
    assert sorted(headings) == sorted([*TABLES, "due_emails"])


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"email_schedules_archive"}))
def test_every_column_of_a_table_is_described_and_no_other(table: str) -> None:
    assert columns_described(table) == TABLES[table]


def test_the_columns_that_email_schedules_lacks_are_described_where_they_are(tmp_path: Path) -> None:
    initialise_database(f"sqlite:///{tmp_path}/org.db")
    with closing(sqlite3.connect(tmp_path / "org.db")) as connection:
        for name in ("email_schedules_archive", "due_emails"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            own = [column for column in columns if column not in TABLES["email_schedules"]]
            assert columns_described(name) == own


# -- cutover ----------------------------------------------------------------------------------------------


def test_every_outcome_of_a_shadow_run_is_described_and_no_other() -> None:
    rows = table_rows(section(text_of("migration.md"), "## 6. The shadow run"), "outcome")
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(names) == sorted(OUTCOMES)


def test_every_reason_of_a_shadow_run_is_described_and_no_other() -> None:
    rows = table_rows(section(text_of("migration.md"), "## 6. The shadow run"), "reason")
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(names) == sorted((IDEAL_DATE, BEYOND_THEIR_LAST_DAY, *ONLY_THERE_REASONS))


# -- Dagster ----------------------------------------------------------------------------------------------


@cache
def definitions() -> dg.Definitions:
    return build_definitions(REPOSITORY / "config")


def specs() -> Iterator[dg.AssetSpec]:
    for each in definitions().assets or ():
        yield from each.specs if isinstance(each, dg.AssetsDefinition) else (each,)


def check_specs() -> Iterator[dg.AssetCheckSpec]:
    for each in definitions().assets or ():
        yield from each.check_specs if isinstance(each, dg.AssetsDefinition) else ()


def test_every_asset_is_described_and_no_other() -> None:
    rows = described(section(text_of("assets.md"), "## Assets"), "asset")
    assert set(rows) == {spec.key.to_user_string() for spec in specs()}


def test_every_group_of_assets_is_explained() -> None:
    for group in {spec.group_name for spec in specs()}:
        assert f"`{group}`" in text_of("assets.md"), group
        assert f"`{group}`" in text_of("operations.md"), group


def test_every_check_is_described_with_its_asset_and_what_it_stops_and_no_other() -> None:
    text = section(text_of("assets.md"), "## Checks")
    rows = described(text, "check")
    found = {spec.name: spec for spec in check_specs()}
    assert set(rows) == set(found)
    for name, row in rows.items():
        if name in RULES:
            assert found[name].blocking
            assert found[name].asset_key.to_user_string() == "balanced_schedules"
        else:
            asset, effect, *_ = row.split(" | ")
            assert asset == f"`{found[name].asset_key.to_user_string()}`", name
            assert (effect == "stops the plan") == found[name].blocking, name


@pytest.mark.parametrize("kind", ["job", "schedule", "sensor"])
def test_every_job_schedule_and_sensor_is_described_and_no_other(kind: str) -> None:
    rows = described(section(text_of("assets.md"), f"## {kind.capitalize()}s"), kind)
    assert set(rows) == {each.name for each in getattr(definitions(), f"{kind}s") or ()}


def test_every_sensor_is_described_where_operators_look_and_no_other() -> None:
    rows = described(section(text_of("operations.md"), "## Sensors"), "sensor")
    assert set(rows) == {sensor.name for sensor in definitions().sensors or ()}


# -- all --------------------------------------------------------------------------------------------------


# at the beginning of a line of code or of inline code
SHOWN_COMMAND = r"(?:^(?:\$ )?|`)email-scheduler ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?\b"
DOCUMENTS = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", [*DOCUMENTS, "../README.md"])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    """As they are read in the repository; the site's own links are those of its strict build."""
    page = DOCS / document
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = page.parent / path if path else page
        assert other.exists(), target
        if anchor and other.suffix == ".md":
            assert anchor in anchors(other), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_names_only_commands_and_keys_that_there_are(document: str) -> None:
    text = text_of(document)
    for command, inner in re.findall(SHOWN_COMMAND, text, re.MULTILINE):
        assert command in COMMAND_NAMES, command
        if inner and any(name.startswith(f"{command} ") for name in COMMAND_NAMES):
            assert f"{command} {inner}" in COMMAND_NAMES
    sections = set(SchedulerConfig.model_fields)
    for name in re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)+)`", text):
        if name.split(".")[0] in sections and not name.endswith((".py", ".yaml", ".md")):
            assert name in KEYS or any(key.startswith(f"{name}.") for key in KEYS), name


# -- the site ---------------------------------------------------------------------------------------------


def test_the_site_can_be_built_with_every_page_and_link_and_without_the_internet(tmp_path: Path) -> None:
    """``--strict``: a page that no navigation names, or a link or anchor that leads nowhere, is an error."""
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert {page.relative_to(tmp_path).with_suffix(".md").as_posix() for page in pages} == {
        *DOCUMENTS,
        "404.md",
    }
    for page in pages:
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        assert [tag for tag in tags if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag)] == [], page


def test_the_site_has_a_beginning_and_four_parts() -> None:
    site = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    assert [title for part in site["nav"] for title in part] == [
        "Start",
        "Tutorial",
        "How-to guides",
        "Reference",
        "Explanation",
    ]


def test_the_sample_of_contacts_is_kept_and_is_like_the_table() -> None:
    with (REPOSITORY / "data/sample_contacts.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    assert names == [column.name for column in tables.contacts.columns]
    assert len(rows) == 20
    people = [dict(zip(names, row, strict=True)) for row in rows]
    assert {each["email"].partition("@")[2] for each in people} == {"example.com", "example.org"}
    assert {"CA", "NY", "MO"} <= {each["state"] for each in people}
    assert [each["zip_code"] for each in people if each["zip_code"].startswith("0")] == ["02108", "00000"]


def test_git_keeps_what_is_to_be_kept_of_data() -> None:
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ignored[-3:] == ["data/*", "!data/README.md", "!data/sample_contacts.csv"]


def test_git_ignores_the_built_site() -> None:
    site = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"{Path(site['site_dir']).parts[0]}/*" in ignored
