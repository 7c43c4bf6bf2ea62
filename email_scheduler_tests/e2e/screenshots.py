"""Renews the screenshots that the README shows: ``python -m email_scheduler_tests.e2e.screenshots``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from email_scheduler.clock import today
from email_scheduler.config.loader import load_config
from email_scheduler.explain.explaining import explain_contact
from email_scheduler.explain.explanation_page import explanation_page
from email_scheduler.orchestration.asset_frames import BALANCED_SCHEDULES
from email_scheduler_tests.databases import SqliteDatabase
from email_scheduler_tests.e2e.dagster_ui import (
    ORGANIZATION,
    REPOSITORY,
    Operator,
    find_browser,
    operator,
    prepare_project,
    running_ui,
)
from email_scheduler_tests.e2e.pages import reading

CONTACT_COUNT = 2000
IMAGES = REPOSITORY / "docs" / "images"


def main() -> int:
    """Plan today for a sample organisation and look at what came of it."""
    browser = find_browser()
    if browser is None:
        print("make screenshots: needs Chromium; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    with TemporaryDirectory() as directory:
        database = prepare_project(Path(directory), CONTACT_COUNT)
        with running_ui(Path(directory)) as url, operator(url, browser, IMAGES) as someone:
            someone.launch_today(keep=False)
            outcome = someone.outcome_of_run()
            if outcome != "Success":
                raise RuntimeError(f"the run ended with {outcome}")
            pictures = [show_graph(someone), show_balanced_schedules(someone)]
        report = Path(directory) / "data" / "reports" / ORGANIZATION / f"{today()}.html"
        pictures += [
            show_page(report, browser, "report"),
            show_page(explain_somebody(database, Path(directory)), browser, "explanation"),
        ]
    for path in pictures:
        print(path.relative_to(REPOSITORY), f"{path.stat().st_size / 1024:.0f} KB")
    return 0


def show_graph(someone: Operator) -> Path:
    """Keep the graph, with the groups open whose assets have something to say."""
    someone.resize(height=720)
    someone.open_graph("planning", "publication")
    someone.fit_graph()
    return someone.keep_screenshot("asset-graph")


def show_balanced_schedules(someone: Operator) -> Path:
    """Keep the page of the plan, with its figures in view."""
    someone.resize()
    someone.go_to(f"/assets/{BALANCED_SCHEDULES}")
    someone.metadata_value("skip reasons")
    for section in ("Description", "Columns"):
        someone.page.get_by_text(section, exact=True).first.click()
    last = someone.page.get_by_role("cell", name="skip reasons", exact=True)
    last.evaluate("cell => cell.scrollIntoView({block: 'end'})")
    someone.settle()
    return someone.keep_screenshot("balanced-schedules")


def explain_somebody(database: Path, directory: Path) -> Path:
    """Write the page of a contact in a state with a window and with an email that makes up for it."""
    url = f"sqlite:///{database}"
    ((contact_id,),) = SqliteDatabase(database).query(
        "SELECT contact_id FROM email_schedules AS made_up JOIN email_schedules AS skipped USING (contact_id)"
        " WHERE made_up.email_type = 'post_window' AND skipped.skip_reason LIKE 'Birthday % in CA'"
        " ORDER BY contact_id LIMIT 1"
    )
    answer = explain_contact(url, load_config(directory / "config"), contact_id, today())
    page = directory / "explanation.html"
    page.write_text(explanation_page(answer, ORGANIZATION), encoding="utf-8")
    return page


def show_page(page: Path, browser: str, name: str) -> Path:
    """Keep the first screen of a page."""
    with reading(page, browser) as reader:
        path = IMAGES / f"{name}.png"
        reader.resize({"width": 1100, "height": 1240})
        reader.page.screenshot(path=path)
    return path


if __name__ == "__main__":
    sys.exit(main())
