"""The pictures of a plan, which the assets and the report show alike."""

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from email_scheduler.planning.figures import FiguresOfPlan
from email_scheduler.reporting import charts, matrix


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
    return _drawn(json.dumps(figures.document(), sort_keys=True), as_of)


@lru_cache(maxsize=2)
def _drawn(document: str, as_of: date) -> tuple[Picture, ...]:
    figures = FiguresOfPlan.of_document(json.loads(document))
    if figures is None:
        raise ValueError("the document holds no figures")
    return (
        Picture(
            "volume by day", charts.year_chart(figures, as_of), charts.text_of_year_chart(figures, as_of)
        ),
        Picture(
            f"the coming {charts.DAYS_AHEAD} days",
            charts.days_chart(figures, as_of),
            charts.text_of_days_chart(figures, as_of),
        ),
        Picture("heat map", charts.heat_map(figures, as_of), charts.text_of_heat_map(figures, as_of)),
        Picture(
            "skipped by state and reason",
            matrix.state_matrix(figures),
            matrix.text_of_state_matrix(figures),
        ),
    )
