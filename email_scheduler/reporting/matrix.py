"""The chart of what keeps emails from going out: a row for each state, a column for each kind of reason."""

from typing import Final

import numpy as np
import numpy.typing as npt

from email_scheduler.planning.figures import FiguresOfPlan
from email_scheduler.reporting.chart_style import INK, LINE, QUIET, new_figure, png

_MOST_STATES: Final = 20
_OTHERS: Final = "others"


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
