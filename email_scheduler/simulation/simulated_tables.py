"""The organisation's tables as the days of a simulation pass: a copy in memory that nobody else sees.

Contacts react to what they are sent by given rates, the same way each time.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.database import append_rows
from email_scheduler.errors import InputDataError, UsageError
from email_scheduler.planning import (
    ANSWERS_TABLE,
    CLICKS_TABLE,
    CONTACT_CAMPAIGNS_TABLE,
    HISTORY_TABLE,
    TEXT,
    Anchors,
    Flags,
    Frame,
    PlanInputs,
    labels,
    mix,
    stable_hash,
    years_of,
)
from email_scheduler.registry import CAMPAIGN_PREFIX

# A float has so many bits for what lies behind the point.
_FRACTION_BITS: Final = 53
# beyond it there is no room for the ids of what is simulated
_LAST_ID: Final = 1 << 62
_SENT_AT: Final = "T08:30:00"
_REACTED_AT: Final = "T10:00:00"
_ANSWERS: Final = ('{"main_questions_yes_count": 0}', '{"main_questions_yes_count": 1}')


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


class Tables:
    """What plans are made from, day by day.

    Args:
        inputs: The tables as they are on the first day.
        reactions: What contacts do.
    """

    def __init__(self, inputs: PlanInputs, reactions: Reactions) -> None:
        self._inputs = replace(
            inputs,
            history=_encoded(inputs.history, HISTORY_TABLE),
            clicks=_encoded(inputs.clicks, CLICKS_TABLE),
            answers=_encoded(inputs.answers, ANSWERS_TABLE),
        )
        self._reactions = reactions
        self._reacting_today = CLICKS_TABLE.empty(), ANSWERS_TABLE.empty()
        ids = (inputs.history["id"], inputs.history["initial_email_id"], inputs.clicks["email_schedule_id"])
        self._last_email_id = _last_of("email_schedules or tracking_clicks", *ids)
        self._last_answer_id = _last_of("contact_events", inputs.answers["id"])

    def on(self, day: date) -> PlanInputs:
        """Return the tables as they are in the morning of a day."""
        return replace(self._inputs, as_of=day)

    def publish(self, target_statuses: pd.DataFrame) -> None:
        """Let the statuses of campaign targets follow a plan (``TARGET_STATUSES``)."""
        if len(target_statuses):
            targets = self._inputs.contact_campaigns
            new = target_statuses.set_index("id")["status"].astype("str")
            status = targets["id"].map(new).fillna(targets["status"].astype("str")).astype("str")
            targets = CONTACT_CAMPAIGNS_TABLE.check(targets.assign(status=status))
            self._inputs = replace(self._inputs, contact_campaigns=targets)

    def send(self, emails: pd.DataFrame, day: date) -> None:
        """Send emails (rows of ``EMAIL_SCHEDULES``) on a day; their contacts react in the course of the next.

        A plan is made in the morning: what is done on its day, only the next plan knows.
        """
        before = self._inputs
        clicks, answers = self._reacting_today
        ids = np.arange(1, len(emails) + 1) + self._last_email_id
        self._last_email_id += len(emails)
        is_clicked = self._reactions.is_clicked(emails)
        clicked = emails[is_clicked]
        answered = clicked[self._reactions.is_answered(clicked)]
        after = f"{day + timedelta(days=1)}{_REACTED_AT}"
        self._reacting_today = _clicks(clicked, ids[is_clicked], after), self._answers(answered, after)
        self._inputs = replace(
            before,
            history=_longer(before.history, _history(emails, ids, day)),
            clicks=_longer(before.clicks, clicks),
            answers=_longer(before.answers, answers),
        )

    def _answers(self, answered: pd.DataFrame, after: str) -> pd.DataFrame:
        ids = np.arange(1, len(answered) + 1) + self._last_answer_id
        self._last_answer_id += len(answered)
        tells = self._reactions.has_conditions(answered)
        return ANSWERS_TABLE.build(
            {
                "id": ids,
                "contact_id": answered["contact_id"].to_numpy(),
                "created_at": _all(after, len(answered)),
                "event_data": labels(tells.astype(np.int8), _ANSWERS),
            }
        )


def _last_of(table: str, *ids: "pd.Series[int]") -> int:
    last = max((int(column.max()) for column in ids if len(column)), default=0)
    if last > _LAST_ID:
        raise InputDataError(
            f"{table}: an id is {last}; accepted, for a simulation, are those up to {_LAST_ID}"
        )
    return last


def _history(emails: pd.DataFrame, ids: npt.NDArray[np.int64], day: date) -> pd.DataFrame:
    count = len(emails)
    events = Anchors.of(emails["event_date"].to_numpy())
    columns: dict[str, object] = {name: emails[name].to_numpy() for name in _KEPT}
    columns |= {
        "id": ids,
        "email_type": emails["email_type"].array,
        "status": _all("sent", count),
        "scheduled_send_date": _all(day.isoformat(), count),
        "actual_send_datetime": _all(f"{day}{_SENT_AT}", count),
        "event_year": events.year,
        "event_month": events.month.astype(np.int32),
        "event_day": events.day.astype(np.int32),
        "metadata": _metadata_of_campaigns(emails),
    }
    return HISTORY_TABLE.build(columns)


_KEPT: Final = ("contact_id", "campaign_instance_id", "priority", "initial_email_id")


def _longer(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    return append_rows([table, rows]) if len(rows) else table


def _clicks(clicked: pd.DataFrame, ids: npt.NDArray[np.int64], after: str) -> pd.DataFrame:
    return CLICKS_TABLE.build(
        {
            "contact_id": clicked["contact_id"].to_numpy(),
            "email_schedule_id": ids,
            "clicked_at": _all(after, len(clicked)),
        }
    )


def _metadata_of_campaigns(emails: pd.DataFrame) -> pd.Categorical:
    """Return the metadata of campaign emails; that of others is not looked at again (``HISTORY_TABLE``)."""
    types, metadata = emails["email_type"].array, emails["metadata"].array
    is_campaign = types.categories.str.startswith(CAMPAIGN_PREFIX)[types.codes]
    codes = np.where(is_campaign, metadata.codes, -1)
    kept = pd.Categorical.from_codes(codes, dtype=metadata.dtype)
    return kept.remove_unused_categories()


def _all(text: str, count: int) -> pd.Categorical:
    return labels(np.zeros(count, np.int8), [text])


def _encoded(frame: pd.DataFrame, contract: Frame) -> pd.DataFrame:
    """Return a table whose texts are all categories, so that rows can be appended to it."""
    texts = [name for name, kind in contract.columns.items() if kind == TEXT]
    return contract.check(frame.astype(dict.fromkeys(texts, "category")))
