"""The post-window emails that excluded occurrences promise, and their rows (section 7)."""

import numpy as np

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import POST_WINDOW
from email_scheduler.planning.compliance.days import (
    LONG_AGO,
    Flags,
    Ids,
    is_among,
    merged,
    number_of,
    pack,
    unpack,
)
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.senders import SenderRows
from email_scheduler.planning.compliance.series import Series
from email_scheduler.planning.compliance.windows import ALLOWED, Windows
from email_scheduler.planning.frames import NO_DATE

_HANDLED_WITHIN_DAYS = 60
_LONGEST_WAIT_DAYS = 366


def check_promises(
    as_of: int,
    series: list[Series],
    windows: Windows,
    senders: SenderRows,
    rows: PlanRows,
    contact_ids: Ids,
    config: SchedulerConfig,
    report: Report,
) -> None:
    """Settle the post-window rows; report those that nothing promised, and promises without a row."""
    grace_days = config.timing_constants.post_window_grace_days
    promises = _promises(as_of, series, windows, config)
    is_handled = _are_handled(promises, senders.answering(POST_WINDOW).dated())

    of_kind = rows.of_kind(POST_WINDOW)
    keys = pack(rows.who[of_kind], rows.event[of_kind])
    is_plain = (rows.instance[of_kind] == 0) & (rows.initial[of_kind] == 0)
    found = is_plain & is_among(keys, promises)
    event = rows.event[of_kind[found]]
    rows.settle(of_kind[found], event + 1, event + 1 + grace_days)
    report.rows("already_handled", of_kind[is_plain & is_among(keys, promises[is_handled])])
    report.rows("unknown_occurrence", of_kind[~found])

    lacking = promises[~is_handled]
    lacking = lacking[~is_among(lacking, np.sort(keys[is_plain]))]
    who, event = unpack(lacking)
    report.missing(contact_ids[who], "post_window", event)


def _promises(as_of: int, series: list[Series], windows: Windows, config: SchedulerConfig) -> Ids:
    """Return contact and event of the post-window emails that are still due, packed, ascending, each once."""
    go_live = number_of(config.go_live_date) if config.go_live_date else LONG_AGO
    grace_days = config.timing_constants.post_window_grace_days
    ruled = windows.open_again()
    parts = []
    for one in series:
        for occurrences in (one.current, one.previous):
            event = occurrences.event[ruled]
            ideal = event.astype(np.int64) - one.days_before
            counts = (event != NO_DATE) & ~occurrences.is_handled[ruled] & (ideal >= go_live)
            who, day = ruled[counts], ideal[counts].astype(np.int32)
            is_excluded = windows.reasons(who, day) != ALLOWED
            who, day = who[is_excluded], day[is_excluded]
            latest = day + _LONGEST_WAIT_DAYS
            first_allowed = windows.next_allowed(who, day, latest)
            due = (
                (first_allowed <= latest) & (first_allowed + grace_days >= as_of) & (first_allowed >= go_live)
            )
            parts.append(pack(who[due], first_allowed[due] - 1))
    return merged(parts)


def _are_handled(promises: Ids, answers: SenderRows) -> Flags:
    """Return which promises a sender's post-window row answers that is near enough."""
    who, event = unpack(promises)
    sent = np.sort(pack(answers.who, answers.event))
    first = np.searchsorted(sent, pack(who, event - _HANDLED_WITHIN_DAYS), side="left")
    last = np.searchsorted(sent, pack(who, event + _HANDLED_WITHIN_DAYS), side="right")
    handled: Flags = last > first
    return handled
