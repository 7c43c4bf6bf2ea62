"""What a run knows of time: the date in US Central time, its own name, and how long its phases take."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from uuid import uuid4
from zoneinfo import ZoneInfo

_log = logging.getLogger(__name__)
TIME_ZONE_NAME: Final = "America/Chicago"
TIME_ZONE: Final = ZoneInfo(TIME_ZONE_NAME)


def today() -> date:
    """Return the date in US Central time: what a plan is made for unless another date is asked for."""
    return datetime.now(TIME_ZONE).date()


def new_run_id(as_of: date, kind: str = "plan") -> str:
    """Return an id for a run that no other run has; it begins with what the run does."""
    return f"{kind}-{as_of.isoformat()}-{uuid4().hex[:12]}"


def _line(phase: str, seconds: float, amount: str) -> str:
    return ", ".join(filter(None, (f"{phase}: {seconds:.2f} s", amount)))


@dataclass
class PhaseTimer:
    """Takes the time of each phase, and tells when one begins.

    Attributes:
        seconds: Seconds by phase, of those that are over.
        on_phase: Told the name of each phase as it begins.
        log: Told what became of each phase, a line each; None: nobody wants to know.
        amount: What the phase that is running works on, such as ``1,250 rows``; for that line.
        in_words: Returns that line for a phase, its seconds and the amount.
    """

    on_phase: Callable[[str], None] = lambda _: None
    log: Callable[[str], None] | None = _log.info
    amount: str = ""
    in_words: Callable[[str, float, str], str] = _line
    seconds: dict[str, float] = field(default_factory=dict)
    _phase: str | None = None
    _since: float = 0.0

    def begin(self, phase: str) -> None:
        """End the phase before, if there is one, and begin this one."""
        self.end()
        self._phase, self._since = phase, time.perf_counter()
        self.on_phase(phase)

    def end(self) -> None:
        """End the phase that is running."""
        if self._phase is not None:
            elapsed = time.perf_counter() - self._since
            self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + elapsed
            if self.log is not None:
                self.log(self.in_words(self._phase, elapsed, self.amount))
            self._phase = None
