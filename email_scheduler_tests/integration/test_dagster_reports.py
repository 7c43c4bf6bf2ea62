"""What a run shows of its plan: charts, the link to its report, and a log that reads like a story."""

import re
import stat
from pathlib import Path

import dagster as dg

from email_scheduler.clock import today
from email_scheduler.definitions import build_definitions
from email_scheduler.sample.sample_data import generate_sample
from email_scheduler_tests.integration.dagster_organizations import (
    failure_messages,
    run_job,
    settings_of,
    write_configuration,
)

NORTH = "northwind"
CHARTS = ["volume by day", "the coming 30 days", "heat map", "skipped by state and reason"]


def run(instance: dg.DagsterInstance, config: Path, *assets: str) -> dg.ExecuteInProcessResult:
    result = run_job(build_definitions(config), instance, NORTH, today(), *assets)
    assert result.success, failure_messages(result)
    return result


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dg.MetadataValue]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return dict(materialization.metadata)


def story(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[tuple[int, str]]:
    return [
        (entry.level, entry.user_message)
        for entry in instance.all_logs(result.run_id)
        if entry.dagster_event is None and entry.level > 10
    ]


def test_a_run_shows_charts_links_its_report_and_tells_what_it_did(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, reporting="url: https://planner.example.com/reports/")
    url, settings = settings_of(config, NORTH)
    generate_sample(url, 120, 1, today(), settings)
    page = tmp_path / "reports" / NORTH / f"{today()}.html"
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(instance, config)
        shown = metadata(result, "balanced_schedules")
        for name in CHARTS:
            assert re.match(r"!\[[^\]]*\d[^\]]*\]\(data:image/png;base64,iVBOR", shown[name].value), name
            assert len(shown[name].value) < 80_000
        published = metadata(result, "email_schedules")
        assert published["report"] == dg.MetadataValue.url(
            f"https://planner.example.com/reports/{NORTH}/{today()}.html"
        )
        assert published["emails added"].value == published["pre-scheduled"].value > 0
        assert "| added | birthday | new |" in published["emails added, moved and cancelled"].value
        text = page.read_text()
        assert f"<h1>Report of {NORTH}, " in text
        # the assets and the page show the same pictures
        for name in CHARTS:
            assert published[name] == shown[name]
            assert shown[name].value.partition("](")[2].rstrip(")") in text
        modes = {stat.S_IMODE(each.stat().st_mode) for each in (page, page.parent, page.parent.parent)}
        assert modes == {0o600, 0o700}
        assert list(page.parent.iterdir()) == [page]

        told = story(instance, result)
        assert {level for level, _ in told} == {20}
        assert all(re.fullmatch(r"[A-Z].* in \d+\.\d\d s(: .*)?\.", line) for _, line in told), told
        lines = "\n".join(line for _, line in told)
        assert "contacts, " in lines.splitlines()[0]
        assert re.search(r"Proved the plan rule by rule in .*: [\d,]+ rows, 25 rules, none of them br", lines)
        assert re.search(r"Wrote what differs in .*: [\d,]+ added, 0 changed, 0 removed, 0 unch", lines)

        # what cannot be written stops no plan, and leaves the page that was there
        scheduler = config / "scheduler.yaml"
        (tmp_path / "taken").write_text("no directory")
        scheduler.write_text(
            scheduler.read_text().replace(str(tmp_path / "reports"), str(tmp_path / "taken"))
        )
        result = run(instance, config, "email_schedules")
        assert metadata(result, "email_schedules")["report"].value.startswith("not made: ")
        (warning,) = [line for level, line in story(instance, result) if level == 30]
        assert warning.startswith(f"report of {today()}|{NORTH}: not made: ")
        assert page.read_text() == text
