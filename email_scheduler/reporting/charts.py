"""Charts, as PNG: light background, labelled axes."""

from datetime import timedelta
from io import BytesIO
from typing import Final

from email_scheduler.planning.dates import to_day
from email_scheduler.planning.plan import Plan
from email_scheduler.planning.volume import daily_volume

DAYS_SHOWN: Final = 120
_SIZE: Final = (11, 4.5)
_BLUE, _ORANGE, _RED, _GREY = "#2f6db3", "#c77700", "#b3261e", "#d9d9d9"


def volume_chart(plan: Plan) -> bytes:
    """Return the emails of each of the next ``DAYS_SHOWN`` days as bars, cap and limit as lines."""
    # drawing takes a second to load, which importing the definitions must not
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    volume = daily_volume(plan.schedules, plan.fixed, to_day(plan.as_of), DAYS_SHOWN)
    days = [plan.as_of + timedelta(days=number) for number in range(DAYS_SHOWN)]
    figure = Figure(figsize=_SIZE, dpi=100, facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("white")
    axes.bar(days, volume, width=0.9, color=_BLUE, label="emails")  # type: ignore[arg-type]
    axes.axhline(plan.daily_cap, color=_ORANGE, linewidth=1.5, label=f"daily cap: {plan.daily_cap:,}")
    axes.axhline(
        plan.daily_limit, color=_RED, linewidth=1.5, linestyle="--", label=f"limit: {plan.daily_limit:,}"
    )
    axes.set_title(f"Emails by day, {days[0]} to {days[-1]}", loc="left")
    axes.set_xlabel("day of sending")
    axes.set_ylabel("emails")
    axes.set_ylim(0, max(*volume, plan.daily_limit, 1) * 1.2)
    axes.margins(x=0.01)
    axes.grid(axis="y", color=_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.legend(loc="upper right", ncols=3, frameon=False)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
