"""The definitions as Dagster loads them."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler.orchestration.asset_frames import ASSET_FRAMES
from email_scheduler.orchestration.checks import CHECKS
from email_scheduler.orchestration.graph import table_key
from email_scheduler.orchestration.io_managers import frames_io_manager
from email_scheduler.orchestration.maintenance import UPKEEP_CHECKS
from email_scheduler_tests.integration.dagster_organizations import (
    failure_messages,
    generate_organizations,
    run_job,
    write_configuration,
)

REPOSITORY = Path(__file__).parents[2]
PLANNED = [*ASSET_FRAMES, "email_schedules"]


def test_every_asset_is_described_owned_grouped_and_has_columns(tmp_path: Path) -> None:
    graph = build_definitions(write_configuration(tmp_path)).resolve_asset_graph()
    for name in PLANNED:
        node = graph.get(dg.AssetKey(name))
        assert len(node.description or "") > 40
        assert node.owners == ["team:operations"]
        assert node.kinds
        assert node.group_name in {"inputs", "planning", "publication"}
        assert len(node.metadata["dagster/column_schema"].columns) > 2


def test_lineage_begins_at_the_tables_of_the_organisation(tmp_path: Path) -> None:
    graph = build_definitions(write_configuration(tmp_path)).resolve_asset_graph()
    assert graph.get(dg.AssetKey("contacts")).parent_keys == {
        table_key("contacts"),
        table_key("contact_suppressions"),
    }
    assert graph.get(dg.AssetKey("email_schedules")).parent_keys >= {dg.AssetKey("balanced_schedules")}
    assert all(graph.get(key).group_name == "organization_database" for key in graph.external_asset_keys)


def test_every_check_says_what_to_do(tmp_path: Path) -> None:
    graph = build_definitions(write_configuration(tmp_path)).resolve_asset_graph()
    checks = (*CHECKS, *UPKEEP_CHECKS)
    assert len(graph.asset_check_keys) == len(checks)
    for check in checks:
        assert re.search(r"\b(If|have) ", check.description), check.name
        assert check.description.endswith(".")


def test_importing_the_definitions_loads_nothing_that_only_a_run_needs() -> None:
    code = (
        "import sys, email_scheduler.definitions;"
        "unwanted = ('matplotlib', 'sqlalchemy', 'alembic', 'rich.table');"
        "print([name for name in unwanted if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "key",
    ["2026-11-23|../../x", "2026-11-23|/etc", "../x|northwind", "2026-11-23|a/b", "2026-11-23|a\0", "x"],
)
def test_a_partition_that_is_none_leads_to_no_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(dg.Failure) as refused:
        frames_io_manager(str(tmp_path)).directory("contacts", key)
    assert "accepted is a date and the name of an organisation" in str(refused.value.description)


def test_frames_may_be_kept_at_any_url(tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    generate_organizations(config)
    definitions = build_definitions(config, io_manager=frames_io_manager("memory://frames"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_job(definitions, instance, "northwind", today())
        assert result.success, failure_messages(result)
        again = run_job(definitions, instance, "northwind", today(), "balanced_schedules")
        assert again.success, failure_messages(again)
    assert not (tmp_path / "frames").exists()
