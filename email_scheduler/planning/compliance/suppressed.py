"""Nobody who has unsubscribed or bounced gets an email (section 4)."""

import unicodedata

import numpy as np

from email_scheduler.planning.compliance.columns import ContactPositions, days_of_timestamps
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.frames import NO_DATE, PlanInputs


def check_suppressed(
    as_of: int, inputs: PlanInputs, positions: ContactPositions, rows: PlanRows, report: Report
) -> None:
    """Report planned emails to contacts that are suppressed, or share the address of one that is."""
    suppressed_at = days_of_timestamps(inputs.suppressions["suppressed_at"])
    # one day more: in UTC it is tomorrow already while it is evening in US Central time
    in_force = (suppressed_at <= as_of + 1) | (suppressed_at == NO_DATE)
    suppressed = inputs.suppressions["contact_id"][in_force]
    if not len(suppressed):
        return
    is_named = inputs.contacts["id"].isin(suppressed)
    address = inputs.contacts["email"].astype("object").map(_meaning, na_action="ignore")
    found = inputs.contacts["id"][is_named | (address.isin(address[is_named].dropna()) & (address != ""))]
    who = positions.of(found.to_numpy())
    is_suppressed = np.zeros(len(positions.ids) + 1, dtype=bool)
    is_suppressed[who[who >= 0]] = True
    report.rows("suppressed_contact", np.flatnonzero(rows.is_planned & is_suppressed[rows.who]))


def _meaning(address: str) -> str:
    """Return what all spellings of an address have in common (section 1)."""
    text = address.strip()
    if text.isascii() and "xn--" not in text.lower():
        return text.lower()
    # what is left to do after a pass is done by the next one
    while (simpler := _simpler(text)) != text:
        text = simpler
    return text


def _simpler(address: str) -> str:
    text = unicodedata.normalize("NFKC", address.strip()).casefold()
    at = text.rfind("@") + 1
    if at == 0:
        return text
    labels = text[at:].split(".")
    for number, label in enumerate(labels):
        if label.startswith("xn--"):
            try:
                decoded = label[4:].encode("ascii").decode("punycode")
                decoded.encode("utf-8")
            except UnicodeError:
                continue
            labels[number] = unicodedata.normalize("NFKC", decoded).casefold()
    return text[:at] + ".".join(labels)
