"""Charts of a simulation, as PNG: light background, labelled axes."""

from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np

from email_scheduler.reporting.simulation_figures import SimulationFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE: Final = (11.0, 4.5)
_NARROW: Final = (11.0, 3.6)
_GREY, _ORANGE, _BLUE, _INK = "#d9d9d9", "#c77700", "#2f6db3", "#1c2430"
# By kind of email, in the order of the figures; told apart without colours by their order.
_COLOURS: Final = ("#1f5a9e", "#79aedc", "#c77700", "#8a5fa8", "#4d7c3f", "#9aa3ad")
_MOST_BARS: Final = 30


def volume_chart(figures: SimulationFigures) -> bytes:
    """Return the emails of each day, by kind, and the daily cap as a line."""
    # drawing takes a second to load, which importing the definitions must not
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

    figure, axes = _axes(_WIDE)
    days = np.array(figures.days, "datetime64[D]")
    # one bar more than there are days would be wider than the window
    axes.stackplot(
        days,
        *figures.volume.values(),
        labels=[name.replace("_", " ") for name in figures.volume],
        colors=_COLOURS,
        step="mid",
        linewidth=0,
    )
    axes.step(days, figures.caps, where="mid", color=_INK, linewidth=1.2, linestyle="--", label="daily cap")
    axes.set_title(f"Emails by day, {figures.days[0]} to {figures.days[-1]}", loc="left")
    axes.set_xlabel("day of sending")
    axes.set_ylabel("emails")
    axes.set_ylim(0, max(*figures.total_by_day, *figures.caps, 1) * 1.25)
    axes.margins(x=0.01)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.legend(loc="upper right", ncols=4, frameon=False)
    return _png(figure)


def emails_per_contact_chart(figures: SimulationFigures) -> bytes:
    """Return how many contacts got 0, 1, 2, ... emails."""
    figure, axes = _axes(_NARROW)
    _bars(axes, dict(enumerate(figures.contacts_by_emails)), 0, _BLUE)
    axes.set_title("Contacts by emails that they got", loc="left")
    axes.set_xlabel("emails")
    axes.set_ylabel("contacts")
    return _png(figure)


def late_chart(figures: SimulationFigures) -> bytes:
    """Return how many emails went out how many days after their ideal date."""
    figure, axes = _axes(_NARROW)
    _bars(axes, dict(figures.late_by_days), 1, _ORANGE)
    axes.set_title("Late emails by days after their ideal date", loc="left")
    axes.set_xlabel("days late")
    axes.set_ylabel("emails")
    return _png(figure)


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


def _axes(size: tuple[float, float]) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("white")
    axes.grid(axis="y", color=_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _png(figure: "Figure") -> bytes:
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
