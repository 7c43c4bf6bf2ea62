"""Why a contact gets, or does not get, an email: the published rows, and what the rules say of them.

Pure: the rows come from ``explain.read_contact``, and nobody but the caller knows the clock.
"""

from email_scheduler.explain.explaining import explain_address, explain_contact
from email_scheduler.explain.explanation import (
    NO_EMAIL,
    PLANNED,
    SKIPPED,
    ContactAnswer,
    ExplainedContact,
    Explanation,
)
from email_scheduler.explain.lines import (
    Line,
    answer_object,
    contact_lines,
    email_line,
    lines_of,
    next_lines,
    outcome_of,
    plan_lines,
    row_line,
    title_of,
    why_of,
    window_lines,
)

__all__ = [
    "NO_EMAIL",
    "PLANNED",
    "SKIPPED",
    "ContactAnswer",
    "ExplainedContact",
    "Explanation",
    "Line",
    "answer_object",
    "contact_lines",
    "email_line",
    "explain_address",
    "explain_contact",
    "lines_of",
    "next_lines",
    "outcome_of",
    "plan_lines",
    "row_line",
    "title_of",
    "why_of",
    "window_lines",
]
