"""Whatever stands where a configuration has a name, a key or a value: refused in words, or it is one."""

import random
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.definitions import build_definitions
from email_scheduler.errors import ConfigurationError
from email_scheduler.visible import visible
from email_scheduler_tests.hostile_urls import HOSTILE_URLS, SECRET
from email_scheduler_tests.hostile_values import STORED, hostile_examples
from email_scheduler_tests.reference import configuration_keys

# what YAML can hold; a file is text in UTF-8
TEXTS = [each for each in STORED if not any("\ud800" <= letter <= "\udfff" for letter in each)]
OTHERS = [None, True, -1, 2**70, 1.5, float("nan"), float("inf"), [], {}, [[]], {"": ""}]
KEYS = sorted(key.name for key in configuration_keys() if not key.model and key.name != "organizations")
some = hostile_examples(4)


def written(path: Path, document: Any) -> Path:
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path


def refused(load: Any, path: Path) -> bool:
    """Load a file; tell whether it is refused, in lines that name it."""
    said = ""
    try:
        load(path)
    except ConfigurationError as error:
        said = str(error)
    assert all(path.name in each for each in visible(said, keep="\n").splitlines()), said
    return said != ""


@some
@given(st.integers(0, 2**32))
def test_any_value_of_any_key_is_taken_or_refused(tmp_path: Path, seed: int) -> None:
    taken: dict[str, Any] = {}
    for key in KEYS:
        value = random.Random(f"{seed} {key}").choice([*TEXTS, *OTHERS])
        section, _, name = key.rpartition(".")
        document: Any = {name: value}
        for outer in reversed(section.split(".") if section else []):
            document = {outer: document}
        if not refused(load_config, written(tmp_path / "scheduler.yaml", document)):
            taken[key] = value
    # texts, times and switches are among what is taken; Dagster takes what is taken
    assert taken
    directory = tmp_path / "config"
    directory.mkdir(exist_ok=True)
    written(directory / "organizations.yaml", {"organizations": {"north": {"database": "sqlite:///n.db"}}})
    for key, value in taken.items():
        section, _, name = key.partition(".")
        if "." not in name and section in {"orchestration", "alerts", "reporting", "health"}:
            written(directory / "scheduler.yaml", {section: {name: value}})
            assert isinstance(build_definitions(directory), dg.Definitions)


@pytest.mark.parametrize("text", TEXTS)
def test_any_name_of_an_organisation_a_section_and_a_key_is_taken_or_refused(
    text: str, tmp_path: Path
) -> None:
    database = {"database": "sqlite:///north.db"}
    file = tmp_path / "organizations.yaml"
    refused(load_organizations, written(file, {"organizations": {text: database}}))
    assert refused(load_organizations, written(file, {"organizations": {"north": {**database, text: 1}}}))
    written(file, {"organizations": {"north": {**database, "overrides": {text: {text: text}}}}})
    # overrides are read with the files that they go with
    assert refused(
        lambda path: organization_config(path.parent, load_organizations(path.parent)["north"]), file
    )
    for document in ({text: text}, {"load_balancing": {text: 1}}):
        assert refused(load_config, written(tmp_path / "scheduler.yaml", document))


@pytest.mark.parametrize("url", [each for each in HOSTILE_URLS if each.isprintable()])
def test_any_url_is_taken_or_refused_without_its_secret(url: str, tmp_path: Path) -> None:
    file = written(tmp_path / "organizations.yaml", {"organizations": {"north": {"database": url}}})
    said = ""
    try:
        load_organizations(file)
    except ConfigurationError as error:
        said = str(error)
    assert SECRET not in said
