"""How the contacts of a simulation react to what they are sent: by given rates, the same way each time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.errors import UsageError
from email_scheduler.planning.dates import Flags, years_of
from email_scheduler.planning.hashing import mix, stable_hash

# A float has so many bits for what lies behind the point.
_FRACTION_BITS: Final = 53


@dataclass(frozen=True)
class Reactions:
    """What contacts do the day after an email went out.

    Whether a contact clicks on an email depends on the email and the seed, not on the day on which it goes
    out nor on other emails: two simulations with one seed and different configurations differ by their plans.

    Attributes:
        click_rate: The share of emails that are clicked on.
        answer_rate: The share of those after whose click the contact answers the health questions.
        condition_rate: The share of the answers that tell of medical conditions.
        seed: Another one gives other contacts that react.

    Raises:
        UsageError: A rate is not from 0 to 1.
    """

    click_rate: float = 0.25
    answer_rate: float = 0.4
    condition_rate: float = 0.3
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("click_rate", "answer_rate", "condition_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}; accepted is a number from 0 to 1")

    def is_clicked(self, emails: pd.DataFrame) -> Flags:
        """Tell which emails (rows of ``EMAIL_SCHEDULES``) are clicked on."""
        return self._draw("click", emails) < self.click_rate

    def is_answered(self, clicked: pd.DataFrame) -> Flags:
        """Tell after which of the emails that were clicked on the contact answers."""
        return self._draw("answer", clicked) < self.answer_rate

    def has_conditions(self, answered: pd.DataFrame) -> Flags:
        """Tell which of the answers tell of medical conditions."""
        return self._draw("conditions", answered) < self.condition_rate

    def _draw(self, what: str, emails: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return a number from 0 to below 1 for each email."""
        events = emails["event_date"].to_numpy()
        numbers = stable_hash(
            f"simulated {what} {self.seed}",
            emails["contact_id"].to_numpy(),
            emails["email_type"].array,
            years_of(events),
        )
        for name in ("event_date", "campaign_instance_id"):
            numbers = mix(numbers ^ emails[name].to_numpy().astype(np.int64).view(np.uint64))
        whole = numbers >> np.uint64(64 - _FRACTION_BITS)
        drawn: npt.NDArray[np.float64] = whole.astype(np.float64) * 2.0**-_FRACTION_BITS
        return drawn
