"""The log of a run as a story: a sentence for each phase, with what it came to and how long it took."""

from typing import Final

# Phase to what it has done when it is over.
_SENTENCES: Final = {
    "read": "Read the organisation's tables",
    "validate contacts": "Judged which contacts are valid",
    "look ahead": "Looked a year ahead for the days on which contacts are excluded",
    "anniversaries": "Planned the anniversary and post-window emails",
    "campaigns": "Planned the campaign emails",
    "follow up": "Planned the follow-ups",
    "put together": "Put the emails of all kinds together",
    "balancing": "Chose the day of each email",
    "limits": "Applied the limits per contact",
    "rows": "Made the rows of the plan",
    "prove": "Proved the plan rule by rule",
    "draw": "Drew the charts",
    "wait for the planner lock": "Got the planner lock",
    "compare": "Compared the plan with the table",
    "finish the backup": "Waited for the backup of the day",
    "write": "Wrote what differs",
    "read again": "Read the table again",
    "report": "Made the report",
}


def sentence(phase: str, seconds: float, amount: str) -> str:
    """Return what a phase has done.

    Args:
        phase: Its name.
        seconds: How long it took.
        amount: What it came to; empty where that is said elsewhere.
    """
    result = f": {amount}" if amount else ""
    return f"{_SENTENCES.get(phase, phase.capitalize())} in {seconds:.2f} s{result}."
