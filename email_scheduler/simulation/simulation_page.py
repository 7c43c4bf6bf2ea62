"""The page of a simulation, and its charts: what contacts would get, what would not go out. Counts only."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from email_scheduler.reports.chart_style import CAP, LINE, PALETTE, colours_of, new_figure, png, set_labels
from email_scheduler.reports.pages import picture, render_page
from email_scheduler.simulation.simulation_figures import SimulationFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HIGH: Final = 4.9
_LOW: Final = 3.7
_MOST_BARS: Final = 30


def volume_chart(figures: SimulationFigures) -> bytes:
    """Return the emails of each day, by kind, and the daily cap as a line."""
    # drawing takes a second to load, which importing the definitions must not
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    figure, axes = _axes(f"Emails by day, {figures.days[0]} to {figures.days[-1]}", _HIGH)
    days = np.array(figures.days, "datetime64[D]")
    # one bar more than there are days would be wider than the window
    axes.stackplot(
        days,
        *figures.volume.values(),
        labels=[name.replace("_", " ") for name in figures.volume],
        colors=colours_of(list(figures.volume)),
        step="mid",
        linewidth=0,
    )
    axes.step(days, figures.caps, where="mid", color=CAP, linewidth=1.5, label="daily cap")
    set_labels(axes, "day of sending", "emails")
    axes.set_ylim(0, max(*figures.total_by_day, *figures.caps, 1) * 1.25)
    axes.margins(x=0.01)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.legend(loc="upper right", ncols=4, frameon=False)
    return png(figure)


def emails_per_contact_chart(figures: SimulationFigures) -> bytes:
    """Return how many contacts got 0, 1, 2, ... emails."""
    figure, axes = _axes("Contacts by emails that they got", _LOW)
    _bars(axes, dict(enumerate(figures.contacts_by_emails)), 0, PALETTE[0])
    set_labels(axes, "emails", "contacts")
    return png(figure)


def late_chart(figures: SimulationFigures) -> bytes:
    """Return how many emails went out how many days after their ideal date."""
    figure, axes = _axes("Late emails by days after their ideal date", _LOW)
    _bars(axes, dict(figures.late_by_days), 1, PALETTE[1])
    set_labels(axes, "days late", "emails")
    return png(figure)


def _bars(axes: "Axes", counts: dict[int, int], first: int, colour: str) -> None:
    """Draw a bar for each number from ``first`` on; what is above the last one counts with it."""
    most = max(counts, default=first)
    last = min(most, _MOST_BARS)
    numbers = range(first, last + 1)
    heights = [counts.get(number, 0) for number in numbers]
    heights[-1] += sum(count for number, count in counts.items() if number > last)
    bars = axes.bar(numbers, heights, width=0.85, color=colour)
    axes.bar_label(bars, [f"{height:,}" if height else "" for height in heights], fontsize=8, padding=2)
    axes.set_xticks(
        numbers, [*(str(number) for number in numbers[:-1]), f"{last}+" if most > last else str(last)]
    )
    axes.set_ylim(0, max(*heights, 1) * 1.15)


def _axes(title: str, height: float) -> "tuple[Figure, Axes]":
    figure, axes = new_figure(title, height, right=0.15, top=0.5, bottom=0.65)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


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
