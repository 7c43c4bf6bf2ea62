"""The charts of a plan, which the assets and the report show alike.

The year by type, the coming days one by one, the year as a heat map; and what keeps emails from going out: a
row for each state, a column for each kind of reason.
"""

import calendar
import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from email_scheduler.planning import DAYS_COUNTED, FiguresOfPlan
from email_scheduler.reports.chart_style import (
    CAP,
    CLOSED,
    INK,
    LIMIT,
    LINE,
    PALETTE,
    QUIET,
    TAKEN,
    colours_of,
    months_of,
    new_figure,
    png,
    set_labels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DAYS_AHEAD: Final = 30
_MOST_TYPES: Final = len(PALETTE)
# Of the room for a day, two thirds.
_BAR_POINTS: Final = 17
_FAR_BELOW: Final = 0.3
# How long the names of a legend of so many columns may be.
_LEGEND_COLUMNS: Final = {5: 22, 4: 29, 3: 41}
_LONGEST_NAME: Final = 41
_ALREADY_TAKEN: Final = "taken or of others"
_MOST_STATES: Final = 20
_OTHERS: Final = "others"


def year_chart(figures: FiguresOfPlan, as_of: date) -> bytes:
    """Return the emails of each day of a year, stacked by type, with the daily cap and the limit."""
    names, counts, colours = _layers(figures, DAYS_COUNTED)
    last = as_of + timedelta(days=DAYS_COUNTED - 1)
    title = f"Emails by day and type, {as_of} to {last}"
    figure, axes = new_figure(title, 5.2, right=0.15, top=_top(names), bottom=0.75)
    days, below = np.arange(DAYS_COUNTED), np.zeros(DAYS_COUNTED)
    for layer, colour in zip(counts, colours, strict=True):
        axes.fill_between(days, below, below + layer, step="mid", color=colour, linewidth=0)
        below = below + layer
    set_labels(axes, "day of sending", "emails")
    _draw_limits(axes, figures, below, dict(zip(names, colours, strict=True)))
    axes.set_xlim(-0.5, DAYS_COUNTED - 0.5)
    axes.set_xticks(*months_of(as_of, DAYS_COUNTED))
    return png(figure)


def text_of_year_chart(figures: FiguresOfPlan, as_of: date) -> str:
    """Say what the chart of the year shows."""
    volume = figures.volume_by_day()
    peak = int(np.argmax(volume))
    return (
        f"{sum(volume):,} emails in the year from {as_of} on, by day and type; at most {volume[peak]:,} on"
        f" {as_of + timedelta(days=peak)}, with a daily cap of {figures.daily_cap:,}"
    )


def days_chart(figures: FiguresOfPlan, as_of: date) -> bytes:
    """Return the emails of each of the coming days as bars, by type, with weekdays and closed days."""
    names, counts, colours = _layers(figures, DAYS_AHEAD)
    last = as_of + timedelta(days=DAYS_AHEAD - 1)
    title = f"The coming {DAYS_AHEAD} days, {as_of} to {last}"
    figure, axes = new_figure(title, 5.4, right=0.15, top=_top(names), bottom=0.85)
    places = np.arange(DAYS_AHEAD)
    below = np.zeros(DAYS_AHEAD)
    for day in figures.closed:
        if day < DAYS_AHEAD:
            axes.axvspan(day - 0.5, day + 0.5, color=CLOSED, linewidth=0)
    for layer, colour in zip(counts, colours, strict=True):
        # lines as thick as bars: one thing to draw instead of thirty
        axes.vlines(places, below, below + layer, color=colour, linewidth=_BAR_POINTS, capstyle="butt")
        below = below + layer
    if any(day < DAYS_AHEAD for day in figures.closed):
        names, colours = [*names, "closed day"], [*colours, CLOSED]
    set_labels(axes, "", "emails")
    highest = _draw_limits(axes, figures, below, dict(zip(names, colours, strict=True)))
    for place, total in zip(places, below, strict=True):
        if total:
            axes.annotate(
                _short(int(total)),
                (place, total + highest * 0.01),
                ha="center",
                va="bottom",
                fontsize=8.5,
                color=INK,
            )
    axes.set_xlim(-0.6, DAYS_AHEAD - 0.4)
    axes.set_xticks(
        places, [_day_label(as_of + timedelta(days=day)) for day in places.tolist()], fontsize=9.5
    )
    return png(figure)


def text_of_days_chart(figures: FiguresOfPlan, as_of: date) -> str:
    """Say what the chart of the coming days shows."""
    volume = figures.volume_by_day(DAYS_AHEAD)
    return (
        f"{sum(volume):,} emails in the {DAYS_AHEAD} days from {as_of} on, by day and type; {volume[0]:,} on"
        f" the first day, {max(volume):,} on the fullest one"
    )


def heat_map(figures: FiguresOfPlan, as_of: date) -> bytes:
    """Return the emails of each day of a year, a row for each month."""
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 - see new_figure
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    volume = figures.volume_by_day()
    months, grid = _month_grid(volume, as_of)
    closed = {as_of + timedelta(days=day) for day in figures.closed}
    title = f"Emails by month and day{'; a dot is a closed day' if closed else ''}"
    figure, axes = new_figure(title, 5.4, right=0.75, top=0.6, bottom=0.7)
    scale = LinearSegmentedColormap.from_list("volume", ["#f4f8fc", "#9cc6e4", "#2f78b5", "#0b3a66"])
    colours = scale.with_extremes(bad="white")
    image = axes.imshow(np.ma.masked_invalid(grid), cmap=colours, aspect="auto", vmin=0, vmax=max(*volume, 1))
    for day in sorted(closed):
        row = (day.year - as_of.year) * 12 + day.month - as_of.month
        axes.text(day.day - 1, row, "•", ha="center", va="center", fontsize=9, color=QUIET)
    axes.set_xticks(range(31), [str(day) for day in range(1, 32)])
    axes.set_yticks(range(len(months)), [f"{month:%b %Y}" for month in months])
    axes.set_xticks(np.arange(-0.5, 31), minor=True)
    axes.set_yticks(np.arange(-0.5, len(months)), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    set_labels(axes, "day of the month", "")
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015, ticks=MaxNLocator(6, integer=True))
    bar.set_label("emails", color=QUIET, fontsize=11)
    bar.ax.tick_params(labelsize=10, colors=INK)
    bar.ax.yaxis.set_major_formatter(lambda count, _: _short(int(count)))
    bar.outline.set_edgecolor(LINE)
    return png(figure)


def text_of_heat_map(figures: FiguresOfPlan, as_of: date) -> str:
    """Say what the heat map shows."""
    volume = figures.volume_by_day()
    by_month: dict[str, int] = {}
    for number, count in enumerate(volume):
        month = f"{as_of + timedelta(days=number):%B %Y}"
        by_month[month] = by_month.get(month, 0) + count
    fullest = max(by_month, key=lambda month: by_month[month])
    return (
        f"Fullest month: {fullest} with {by_month[fullest]:,} emails; days without any:"
        f" {volume.count(0):,} of {len(volume):,}"
    )


def _layers(figures: FiguresOfPlan, days: int) -> tuple[list[str], list[npt.NDArray[np.int64]], list[str]]:
    """Return names, emails by day and colours of what is stacked: the types, the largest first."""
    totals = {name: sum(counts) for name, counts in figures.volume.items()}
    # a type has its colour and its place in both charts
    names = sorted(totals, key=lambda name: (-totals[name], name))
    shown, rest = names[:_MOST_TYPES], names[_MOST_TYPES:]
    layers = [_padded(figures.volume[name], days) for name in shown]
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…" for name in shown]
    colours = colours_of(shown)
    if rest:
        shown = [*shown, f"{len(rest)} other types"]
        layers.append(np.sum([_padded(figures.volume[name], days) for name in rest], axis=0))
        colours = colours_of(shown)
    taken = _padded(figures.taken, days)
    if taken.any():
        return [_ALREADY_TAKEN, *shown], [taken, *layers], [TAKEN, *colours]
    return shown, layers, colours


def _top(names: list[str]) -> float:
    """Return the room for title and legend, in inches: two lines and the mark of closed days stand beside."""
    return 0.55 + 0.215 * -(-(len(names) + 3) // _columns(names))


def _columns(names: list[str]) -> int:
    """Return how many columns a legend of these names has."""
    longest = max(map(len, names), default=0)
    return next((columns for columns, most in _LEGEND_COLUMNS.items() if longest <= most), 3)


def _padded(counts: list[int], days: int) -> npt.NDArray[np.int64]:
    padded = np.zeros(days, np.int64)
    padded[: len(counts[:days])] = counts[:days]
    return padded


def _draw_limits(
    axes: "Axes", figures: FiguresOfPlan, totals: npt.NDArray[np.float64], colours: dict[str, str]
) -> float:
    """Draw the lines of the cap and the limit, and the legend above the chart; return the top of the axis."""
    from matplotlib.patches import Patch  # noqa: PLC0415 - see new_figure

    highest = float(totals.max(initial=0))
    # lines far above what is planned would leave no room for it
    is_far = 0 < highest < _FAR_BELOW * figures.daily_cap
    top = 1.6 * highest if is_far else max(1.08 * highest, 1.08 * figures.daily_limit, 1.0)
    beyond = " (above)" if is_far else ""
    lines = [
        axes.axhline(count, color=colour, linewidth=1.6, linestyle=dashes, label=f"{name}: {count:,}{beyond}")
        for name, count, colour, dashes in (
            ("daily cap", figures.daily_cap, CAP, "-"),
            ("limit", figures.daily_limit, LIMIT, "--"),
        )
    ]
    axes.set_ylim(0, top)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.locator_params(axis="y", integer=True)
    axes.legend(
        handles=[*(Patch(color=colour, label=name) for name, colour in colours.items()), *lines],
        loc="lower left",
        bbox_to_anchor=(-0.08, 1.0),
        ncols=_columns([*colours]),
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handlelength=1.3,
        columnspacing=1.2,
    )
    return top


def _month_grid(volume: list[int], as_of: date) -> tuple[list[date], npt.NDArray[np.float64]]:
    """Return the months that some days touch, and the emails by month and day; NaN where there is no day."""
    last = as_of + timedelta(days=len(volume) - 1)
    count = (last.year - as_of.year) * 12 + last.month - as_of.month + 1
    months = [
        date(as_of.year + (as_of.month - 1 + number) // 12, (as_of.month - 1 + number) % 12 + 1, 1)
        for number in range(count)
    ]
    grid = np.full((count, 31), np.nan)
    start = 0
    for row, month in enumerate(months):
        first = as_of.day if row == 0 else 1
        days = calendar.monthrange(month.year, month.month)[1]
        some = volume[start : start + days - first + 1]
        grid[row, first - 1 : first - 1 + len(some)] = some
        start += len(some)
    return months, grid


def _day_label(day: date) -> str:
    """Return a weekday and a day below it; the month where one begins to be read."""
    return f"{day:%a}"[:2] + f"\n{day.day}" + (f"\n{day:%b}" if day.day == 1 else "")


def _short(count: int) -> str:
    """Return a number that takes little room: ``950``, ``1.2k``, ``210k``, ``1.2M``."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{letter}" if count < 100 * size else f"{count / size:.0f}{letter}"
    return str(count)


def state_matrix(figures: FiguresOfPlan) -> bytes:
    """Return the skipped rows by state and kind of reason; the states with most of them first."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm  # noqa: PLC0415 - see new_figure

    states, kinds, grid = _grid(figures)
    title = "Emails that are skipped, by state and reason"
    height = max(3.0, 1.7 + 0.27 * len(states))
    figure, axes = new_figure(title, height, right=0.2, top=1.5, bottom=0.2)
    if not kinds:
        axes.axis("off")
        axes.text(0.5, 0.5, "No email is skipped.", ha="center", va="center", fontsize=13, color=QUIET)
        return png(figure)
    highest = grid.max()
    scale = LinearSegmentedColormap.from_list("skipped", ["#fff7ec", "#fdc98b", "#e0742c", "#8c2d04"])
    colours = scale.with_extremes(bad="white")
    axes.imshow(
        np.ma.masked_equal(grid, 0),
        cmap=colours,
        aspect="auto",
        # a few of one reason stay visible beside many of another
        norm=PowerNorm(0.4, vmin=0, vmax=float(highest)),
    )
    for row, line in enumerate(grid):
        for column, count in enumerate(line):
            if count:
                is_dark = (count / highest) ** 0.4 > 0.6
                colour = "white" if is_dark else INK
                axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=10, color=colour)
    axes.set_xticks(range(len(kinds)), [_wrapped(kind) for kind in kinds])
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(states)), states)
    axes.set_xticks(np.arange(-0.5, len(kinds)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(states)), minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.7)
    axes.tick_params(which="minor", length=0, top=False)
    axes.tick_params(axis="x", labelsize=10)
    return png(figure)


def text_of_state_matrix(figures: FiguresOfPlan) -> str:
    """Say what the matrix shows."""
    total = sum(count for reasons in figures.by_state.values() for count in reasons.values())
    if not total:
        return "No email is skipped"
    count, state, kind = max(
        (count, state, kind) for state, kinds in figures.by_state.items() for kind, count in kinds.items()
    )
    return f"{total:,} emails are skipped, by state and reason; most of them, {count:,}, in {state}: {kind}"


def _grid(
    figures: FiguresOfPlan,
) -> tuple[list[str], list[str], npt.NDArray[np.int64]]:
    by_state = figures.by_state
    totals = {state: sum(kinds.values()) for state, kinds in by_state.items()}
    states = sorted(totals, key=lambda state: (-totals[state], state))
    by_kind: dict[str, int] = {}
    for kinds in by_state.values():
        for kind, count in kinds.items():
            by_kind[kind] = by_kind.get(kind, 0) + count
    names = sorted(by_kind, key=lambda kind: (-by_kind[kind], kind))
    grid = np.array([[by_state[state].get(name, 0) for name in names] for state in states], np.int64)
    if len(states) > _MOST_STATES:
        shown = states[: _MOST_STATES - 1]
        rest = grid[len(shown) :].sum(axis=0, keepdims=True)
        grid = np.concatenate([grid[: len(shown)], rest])
        states = [*shown, f"{len(states) - len(shown)} {_OTHERS}"]
    return states, names, grid.reshape(len(states), len(names))


def _wrapped(kind: str) -> str:
    """Return a reason in lines that fit a narrow column."""
    lines: list[str] = []
    for word in kind.replace("_", " ").split():
        if lines and len(lines[-1]) + len(word) < 11:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


@dataclass(frozen=True)
class Picture:
    """A chart.

    Attributes:
        name: What it is called among others.
        png: The picture.
        text: What it shows, for those who do not see it.
    """

    name: str
    png: bytes
    text: str


def calendar_pictures(figures: FiguresOfPlan, as_of: date) -> tuple[Picture, ...]:
    """Return the year by type, the coming days, the heat map, and the states with their skip reasons.

    Drawing takes a second. A run draws once what it shows twice: the last ones are remembered.
    """
    # no picture shows the notes, which a plan has only when it is published
    return _drawn(json.dumps(replace(figures, notes=None).document(), sort_keys=True), as_of)


@lru_cache(maxsize=2)
def _drawn(document: str, as_of: date) -> tuple[Picture, ...]:
    figures = FiguresOfPlan.of_document(json.loads(document))
    if figures is None:
        raise ValueError("the document holds no figures")
    return (
        Picture("volume by day", year_chart(figures, as_of), text_of_year_chart(figures, as_of)),
        Picture(
            f"the coming {DAYS_AHEAD} days",
            days_chart(figures, as_of),
            text_of_days_chart(figures, as_of),
        ),
        Picture("heat map", heat_map(figures, as_of), text_of_heat_map(figures, as_of)),
        Picture(
            "skipped by state and reason",
            state_matrix(figures),
            text_of_state_matrix(figures),
        ),
    )
