"""Renews the screenshots that the README shows: ``python -m email_scheduler_tests.e2e.screenshots``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from email_scheduler.orchestration.values import BALANCED_SCHEDULES
from email_scheduler_tests.e2e.dagster_ui import (
    REPOSITORY,
    Operator,
    find_browser,
    operator,
    prepare_project,
    running_ui,
)

CONTACT_COUNT = 2000
IMAGES = REPOSITORY / "docs" / "images"


def main() -> int:
    """Plan today for a sample organisation and look at what came of it."""
    browser = find_browser()
    if browser is None:
        print("make screenshots: needs Chromium; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    with TemporaryDirectory() as directory:
        prepare_project(Path(directory), CONTACT_COUNT)
        with running_ui(Path(directory)) as url, operator(url, browser, IMAGES) as someone:
            someone.launch_today(keep=False)
            outcome = someone.outcome_of_run()
            if outcome != "Success":
                raise RuntimeError(f"the run ended with {outcome}")
            for path in (show_graph(someone), show_balanced_schedules(someone)):
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


if __name__ == "__main__":
    sys.exit(main())
