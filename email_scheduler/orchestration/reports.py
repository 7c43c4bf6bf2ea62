"""The charts and the report page of a plan, beside the assets. What goes wrong with them stops no plan."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from email_scheduler.errors import EmailSchedulerError
from email_scheduler.orchestration.metadata import picture
from email_scheduler.orchestration.step import Step
from email_scheduler.planning.figures import FiguresOfPlan, figures_of_plan
from email_scheduler.planning.frames import PlanInputs
from email_scheduler.planning.plan import Plan

if TYPE_CHECKING:
    from dagster import DagsterLogManager


def charts(step: Step, log: "DagsterLogManager", plan: Plan, inputs: PlanInputs) -> dict[str, Any]:
    """Draw the charts of a plan.

    Args:
        step: The step that shows them.
        log: Told if they cannot be drawn.
        plan: The plan.
        inputs: What it was made from.
    """

    def draw() -> dict[str, Any]:
        return _pictures(figures_of_plan(plan, inputs, step.config), step)

    return _or_warning(step, log, "charts", draw)


def report(step: Step, log: "DagsterLogManager") -> dict[str, Any]:
    """Write the report page of the plan that was just published, say where it is, and show its charts.

    Args:
        step: The step that published it.
        log: Told if the page cannot be written.
    """
    from email_scheduler.reporting.page_files import page_path, page_url, write_page  # noqa: PLC0415
    from email_scheduler.reporting.report import read_report  # noqa: PLC0415
    from email_scheduler.reporting.report_page import report_page  # noqa: PLC0415

    def write() -> dict[str, Any]:
        settings, organization = step.config.reporting, step.partition.organization
        path = page_path(settings.directory, organization, step.as_of)
        found = read_report(step.url, step.config, organization, step.as_of)
        write_page(path, report_page(found))
        link = (
            dg.MetadataValue.path(path.resolve())
            if settings.url is None
            else dg.MetadataValue.url(page_url(settings.url, organization, step.as_of))
        )
        return {"report": link, **(_pictures(found.figures, step) if found.figures else {})}

    return _or_warning(step, log, "report", write)


def _pictures(figures: FiguresOfPlan, step: Step) -> dict[str, Any]:
    # drawing takes a second to load, which importing the definitions must not
    from email_scheduler.reporting.calendar import calendar_pictures  # noqa: PLC0415

    return {each.name: picture(each.png, each.text) for each in calendar_pictures(figures, step.as_of)}


def _or_warning(
    step: Step, log: "DagsterLogManager", what: str, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return metadata, or why there are none; nothing where reporting is switched off."""
    if not step.config.reporting.enabled:
        return {}
    try:
        return make()
    except Exception as error:
        # the messages of other errors may show anything
        is_ours = isinstance(error, EmailSchedulerError | OSError)
        why = f"not made: {' '.join(str(error).split()) if is_ours else type(error).__name__}"
        log.warning("%s of %s: %s. The plan is not affected.", what, step.partition, why)
        return {what: why}
