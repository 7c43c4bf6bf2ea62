"""Dagster's UI as ``make ui`` starts it, over a sample organisation of its own, and an operator at it."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import environ, killpg
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, Request, sync_playwright

from email_scheduler.clock import TIME_ZONE_NAME, today
from email_scheduler.config.loader import load_organizations, organization_config
from email_scheduler.orchestration.partitions import JOB_NAME
from email_scheduler.sample.sample_data import generate_sample

REPOSITORY = Path(__file__).parents[2]
# Where what a test has seen is kept.
SCREENSHOTS = Path(environ.get("EMAIL_SCHEDULER_SCREENSHOTS", REPOSITORY / "data" / "screenshots"))
ORGANIZATION = "sample"
LOCATION = "email_scheduler"
WINDOW = {"width": 1400, "height": 900}
# As seen on a busy machine with two cores; nothing waits longer than it has to.
PATIENCE_SECONDS = 180
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Chromium has business with the internet unless it is told not to.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)


def find_browser() -> str | None:
    """Return where Chromium is, if it is installed."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def prepare_project(directory: Path, contacts: int, seed: int = 1) -> Path:
    """Make a place that the project can run in, with a sample organisation; its database is returned."""
    shutil.copytree(REPOSITORY / "config", directory / "config")
    shutil.copyfile(REPOSITORY / "workspace.yaml", directory / "workspace.yaml")
    home = directory / "home"
    home.mkdir()
    shutil.copyfile(REPOSITORY / "config" / "dagster.yaml", home / "dagster.yaml")
    organization = load_organizations(directory / "config")[ORGANIZATION]
    database = directory / organization.database_url().removeprefix("sqlite:///")
    database.parent.mkdir(parents=True)
    config = organization_config(directory / "config", organization)
    generate_sample(f"sqlite:///{database}", contacts, seed, today(), config)
    return database


@contextmanager
def running_ui(directory: Path) -> Iterator[str]:
    """Run web server and daemon over a prepared place; the address of the UI is yielded.

    Raises:
        RuntimeError: The web server does not answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    programs = Path(sys.executable).parent
    log = directory / "ui.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                *(str(programs / "dagster"), "dev", "--workspace", "workspace.yaml"),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            cwd=directory,
            env={
                **environ,
                "DAGSTER_HOME": str(directory / "home"),
                "DAGSTER_DISABLE_TELEMETRY": "yes",
                "PYTHONPATH": str(REPOSITORY),
                "PATH": f"{programs}:{environ['PATH']}",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_it_answers(url, server)
            yield url
        except Exception as error:
            error.add_note(f"{log.name}:\n{log.read_text()[-3000:]}")
            raise
        finally:
            server.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                server.wait(60)
            # what it started and did not end itself
            with suppress(ProcessLookupError):
                killpg(server.pid, signal.SIGKILL)


def _wait_until_it_answers(url: str, server: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{url}/server_info"):
            return
        time.sleep(0.3)
    raise RuntimeError(f"{url} does not answer; exit code {server.poll()}")


@dataclass
class Operator:
    """Somebody with a browser in front of the UI.

    Attributes:
        page: The page in the browser.
        url: The address of the UI.
        screenshots: Where screenshots are kept.
        strangers: What the browser asked of anybody but the UI; empty, since telemetry is off.
    """

    page: Page
    url: str
    screenshots: Path
    strangers: list[str] = field(default_factory=list)

    def go_to(self, path: str) -> None:
        """Open a page."""
        self.page.goto(f"{self.url}{path}")

    def resize(self, **size: int) -> None:
        """Give the window another width or height."""
        self.page.set_viewport_size({**WINDOW, **size})  # type: ignore[typeddict-item]

    def keep_screenshot(self, name: str) -> Path:
        """Keep a picture of the window."""
        self.screenshots.mkdir(parents=True, exist_ok=True)
        path = self.screenshots / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path

    def open_graph(self, *expanded_groups: str) -> None:
        """Open the lineage graph with nothing beside it, some groups of assets being open."""
        groups = ",".join(f"global@global:{group}" for group in expanded_groups)
        self.go_to(f"/asset-groups?expanded={quote(groups)}")
        self.page.get_by_role("button", name="Materialize all").wait_for()
        self.page.locator("button:has([aria-label='panel_show_right'])").last.click()
        self.page.get_by_placeholder("Jump to…").wait_for(state="detached")

    def fit_graph(self) -> None:
        """Zoom the graph so that its width fills the window."""
        # that is what a double click beside all assets does
        self.page.mouse.dblclick(90, (self.page.viewport_size or WINDOW)["height"] - 15)
        # where the mouse rests on an asset, its edges stand out
        self.page.mouse.move(0, 0)
        self.settle()

    def settle(self) -> None:
        """Wait until the window has come to rest: nothing moves or loads any more."""
        before = b""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            self.page.wait_for_timeout(700)
            now = self.page.screenshot()
            if now == before:
                return
            before = now
        raise AssertionError("the page does not come to rest")

    def names_in_graph(self) -> list[str]:
        """Return the names that can be read in the graph, one for each asset."""
        names: list[str] = self.page.locator("foreignObject:not(.group) [data-tooltip]").evaluate_all(
            "elements => elements.map(element => element.innerText)"
        )
        return names

    def launch_today(self, *, keep: bool = True) -> str:
        """Start the job for today's partition of the organisation as an operator does.

        Returns:
            The date that the UI offers as the latest one.
        """
        self.go_to(f"/locations/{LOCATION}/jobs/{JOB_NAME}")
        self.page.get_by_role("button", name="Materialize all").click()
        dialog = self.page.get_by_role("dialog").first
        dialog.get_by_role("button", name="Latest").click()
        day = dialog.get_by_role("textbox").first.input_value()
        dialog.get_by_text("Select a partition or create one").click()
        self.page.locator(f"[title='{ORGANIZATION}']:visible").first.click()
        if keep:
            self.keep_screenshot("launch")
        dialog.get_by_role("button", name="Launch 1 run").click()
        # the message that a run was launched has a link to it
        self.page.locator("a[href*='/runs/']").first.click()
        self.page.wait_for_url(re.compile("/runs/[0-9a-f-]+"))
        return day

    def outcome_of_run(self) -> str:
        """Wait on the page of a run until the run is over, and return how it ended."""
        ends = self.page.get_by_text(re.compile("^(Success|Failure|Canceled)$"))
        ends.first.wait_for()
        return ends.first.inner_text()

    def metadata_value(self, key: str) -> str:
        """Return what the page of an asset shows for a key."""
        self.page.get_by_role("cell", name=key, exact=True).first.wait_for()
        values: list[str] = self.page.locator("tr").evaluate_all(
            "(rows, key) => rows.filter(row => row.cells.length > 2 && row.cells[0].innerText.trim() === key)"
            ".map(row => row.cells[2].innerText.trim())",
            key,
        )
        return values[0]

    def open_picture(self, key: str) -> dict[str, Any]:
        """Open the dialog that shows a picture; its size and its text are returned."""
        row = self.page.locator("tr").filter(has=self.page.get_by_text(key, exact=True)).last
        row.get_by_text("[Show Markdown]").click()
        picture = self.page.get_by_role("dialog").locator("img")
        picture.wait_for()
        found: dict[str, Any] = picture.evaluate(
            "async image => { await image.decode();"
            " return {width: image.naturalWidth, height: image.naturalHeight, text: image.alt,"
            " shown: image.getBoundingClientRect().width} }"
        )
        return found

    def outcomes_of_checks(self, asset: str, names: Collection[str]) -> dict[str, str]:
        """Return what the page of an asset says of each of its checks."""
        # of a long list the UI draws what is in the window
        self.resize(height=400 + 60 * len(names))
        self.go_to(f"/assets/{asset}?view=checks")
        self.page.get_by_text(f"Checks ({len(names)})").wait_for()
        rows = {name: self.page.locator(f":has(> [title='{name}'])").first for name in names}
        return {name: row.inner_text().splitlines()[-1] for name, row in rows.items()}


@contextmanager
def operator(url: str, browser_path: str, screenshots: Path) -> Iterator[Operator]:
    """Start a browser; the last that it showed is kept if something goes wrong."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=list(QUIET))
        context = browser.new_context(
            viewport=WINDOW,  # type: ignore[arg-type]
            locale="en-US",
            timezone_id=TIME_ZONE_NAME,
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1000)
        context.add_init_script(
            "localStorage.setItem('dagster-nav-collapsed', 'true');"
            "localStorage.setItem('asset-node-facets',"
            " JSON.stringify(['latest-event', 'checks', 'status', 'kind-tag']));"
        )
        someone = Operator(context.new_page(), url, screenshots)

        def look_at(request: Request) -> None:
            if not request.url.startswith((url, "data:", "blob:")):
                someone.strangers.append(request.url)

        context.on("request", look_at)
        try:
            yield someone
        except Exception:
            with suppress(Exception):
                someone.keep_screenshot("failure")
            raise
        finally:
            browser.close()
