"""The one style of all charts: PNG on white, as wide as Dagster's dialog, small enough to keep with a run."""

import base64
from collections.abc import Sequence
from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1c2430"
QUIET: Final = "#55606f"
LINE: Final = "#d5dae1"
CLOSED: Final = "#eceff3"
CAP: Final = "#8a5200"
LIMIT: Final = "#a3211a"
TAKEN: Final = "#8d96a3"
# Okabe and Ito's colours, which stay apart for eyes that do not see all of them; each has another lightness.
PALETTE: Final = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a5cc0", "#b5a300"),
    *("#00525e", "#f2b6a0"),
)
OTHERS: Final = "#4d4d4d"

_WIDTH: Final = 11.0
_LEFT: Final = 0.95
_DPI: Final = 100
_COLOURS: Final = 96


def new_figure(
    title: str, height: float, *, right: float, top: float, bottom: float
) -> "tuple[Figure, Axes]":
    """Return a figure with its title, and its axes.

    Args:
        title: What the chart shows, in the upper left corner.
        height: Of the figure, in inches.
        right: Room beside the axes, in inches.
        top: Room above them.
        bottom: Room below them.
    """
    # drawing takes a second to load, which importing the definitions must not
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    figure.subplots_adjust(
        left=_LEFT / _WIDTH, right=1 - right / _WIDTH, top=1 - top / height, bottom=bottom / height
    )
    figure.text(0.012, 1 - 0.14 / height, title, fontsize=14, color=INK, va="top")
    axes = figure.subplots()
    axes.set_facecolor("white")
    axes.tick_params(colors=QUIET, labelcolor=INK, labelsize=11, length=3)
    for side in axes.spines.values():
        side.set_color(LINE)
    return figure, axes


def set_labels(axes: "Axes", x: str, y: str) -> None:
    """Say what the axes hold."""
    axes.set_xlabel(x, fontsize=11, color=QUIET)
    axes.set_ylabel(y, fontsize=11, color=QUIET)


def months_of(first: date, days: int) -> tuple[list[int], list[str]]:
    """Return where in some days each month begins, and its name; with the year for the first, and January."""
    places: list[int] = []
    names: list[str] = []
    for number in range(days):
        day = first + timedelta(days=number)
        if day.day == 1 or number == 0:
            # a month that begins just after the first day would be written over its name
            if places and number - places[-1] < 12:
                places.pop()
                names.pop()
            is_new_year = not places or day.month == 1
            places.append(number)
            names.append(f"{day:%b %Y}" if is_new_year else f"{day:%b}")
    return places, names


def colours_of(types: Sequence[str]) -> list[str]:
    """Return a colour for each name, in their order."""
    return [PALETTE[number] if number < len(PALETTE) else OTHERS for number in range(len(types))]


def data_uri(picture: bytes) -> str:
    """Return the address of a PNG that holds the picture itself."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"


def png(figure: "Figure") -> bytes:
    """Return the picture, with as few colours as a chart needs: it is kept with each run."""
    from PIL import Image  # noqa: PLC0415 - comes with matplotlib

    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 1})
    with Image.open(drawn) as image:
        reduced = image.convert("RGB").quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)
    # fast, and nearly right: what should be white is made white again
    palette = reduced.getpalette() or []
    background = 3 * int(reduced.getpixel((0, 0)))  # type: ignore[arg-type]
    palette[background : background + 3] = [255] * 3
    reduced.putpalette(palette)
    reduced.save(small, format="png")
    return small.getvalue()
