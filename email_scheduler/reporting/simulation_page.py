"""The page of a simulation: what contacts would get, and what would not go out. Counts only."""

from collections.abc import Mapping

from email_scheduler.reporting.pages import picture, render_page
from email_scheduler.reporting.simulation_charts import emails_per_contact_chart, late_chart, volume_chart
from email_scheduler.reporting.simulation_figures import SimulationFigures


def simulation_page(figures: SimulationFigures) -> str:
    """Return the page, self-contained."""
    busiest, most = figures.busiest
    first, last = figures.days[0], figures.days[-1]
    return render_page(
        "simulation.html.j2",
        figures=figures,
        busiest=busiest,
        most=most,
        volume_picture=picture(
            volume_chart(figures),
            f"Emails of each day from {first} to {last} by kind, beside the daily cap; at most {most:,},"
            f" on {busiest}.",
        ),
        contacts_picture=picture(
            emails_per_contact_chart(figures),
            f"How many contacts got how many emails: {figures.mean_emails:.1f} on average,"
            f" {figures.most_emails} at most. The table below has the numbers.",
        ),
        late_picture=picture(
            late_chart(figures),
            "How many emails went out how many days after their ideal date. The table below has the numbers.",
        )
        if figures.late_by_days
        else None,
        contacts_by_emails=list(enumerate(figures.contacts_by_emails)),
        outcome_names=list(figures.outcomes),
        types=_rows(figures.by_type),
        states=_rows(figures.by_state),
    )


def _rows(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[object, ...]]:
    return [(name, *outcomes.values()) for name, outcomes in counts.items()]
