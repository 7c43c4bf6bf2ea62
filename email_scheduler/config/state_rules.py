"""The state rules: in which states, and when, nothing may be sent (section 5 of the planning rules)."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from email_scheduler.config.setting_types import (
    Age,
    DaysEitherWay,
    Flag,
    IsoDate,
    Section,
    StateCode,
    States,
    StatesWithSources,
    Text,
    refusal,
)

DEFAULT_PRE_WINDOW_EXCLUSION_DAYS = 60


class Window(Section):
    """One exclusion window around the anniversary of a contact's date; both ends are inclusive.

    Lengths are days; negative ones are allowed as long as the window is not empty.
    """

    window_before_days: DaysEitherWay = Field(
        default=0, description="the window begins this many days before the anniversary"
    )
    window_after_days: DaysEitherWay = Field(default=0, description="and ends this many days after it")
    pre_window_extension_days: DaysEitherWay = Field(
        default=DEFAULT_PRE_WINDOW_EXCLUSION_DAYS,
        description="this many more days before the window are excluded too. Without it:"
        " `timing_constants.pre_window_exclusion_days`",
    )
    use_month_start: Flag = Field(
        default=False, description="the window is counted from the first of the anniversary's month"
    )
    valid_from: IsoDate | None = Field(default=None, description="the first day on which the rule is law")
    valid_to: IsoDate | None = Field(
        default=None, description="the last day on which the rule is law; not before `valid_from`"
    )
    source: Text | None = Field(default=None, description="where the rule is written. For people only")

    @property
    def first_offset_days(self) -> int:
        """The first excluded day, in days from the anniversary."""
        return -(self.window_before_days + self.pre_window_extension_days)

    @property
    def last_offset_days(self) -> int:
        """The last excluded day, in days from the anniversary."""
        return self.window_after_days

    @model_validator(mode="after")
    def _holds_a_day(self) -> Self:
        if self.first_offset_days > self.last_offset_days:
            raise refusal(
                "a window that holds a day: it begins window_before_days + pre_window_extension_days "
                f"(here {-self.first_offset_days}) before the date, and ends window_after_days "
                f"(here {self.last_offset_days}) after it"
            )
        return self

    @model_validator(mode="after")
    def _is_law_for_a_day(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise refusal(f"a valid_from ({self.valid_from}) that is not after valid_to ({self.valid_to})")
        return self


class BirthdayWindow(Window):
    """One exclusion window around the birthday, which may concern some ages only."""

    min_age: Age | None = Field(
        default=None,
        description="only birthdays on which the contact becomes at least this old have the window",
    )
    max_age: Age | None = Field(
        default=None, description="only birthdays on which the contact becomes at most this old have it"
    )

    @model_validator(mode="after")
    def _concerns_an_age(self) -> Self:
        if self.min_age is not None and self.max_age is not None and self.min_age > self.max_age:
            raise refusal(f"a min_age ({self.min_age}) that is not above max_age ({self.max_age})")
        return self


def _one_or_several(value: object) -> object:
    if isinstance(value, dict | Window):
        return (value,)
    if isinstance(value, list | tuple) and value:
        return value
    raise refusal("a window (a mapping) or a list of windows that is not empty")


Windows = dict[StateCode, Annotated[tuple[Window, ...], BeforeValidator(_one_or_several)]]
BirthdayWindows = dict[StateCode, Annotated[tuple[BirthdayWindow, ...], BeforeValidator(_one_or_several)]]


class StateRules(Section):
    """What the states forbid. A key that is missing means that there is no such rule anywhere."""

    year_round_exclusion: StatesWithSources = Field(
        default=frozenset(),
        description="nothing is sent in these states. Instead of its letters a state may be a mapping of"
        " `state` and `source`, which is where the rule is written",
    )
    age_76_plus_exclusion: States = Field(
        default=frozenset(), description="contacts of 76 or more get nothing in these states"
    )
    exclude_when_anchor_missing: Flag = Field(
        default=False,
        description="in a state with a window, or with the rule about ages, whether a contact whose date"
        " is missing gets nothing. One whose date is unreadable never gets anything there",
    )
    birthday_windows: BirthdayWindows = Field(default_factory=dict, description="windows around the birthday")
    effective_date_windows: Windows = Field(
        default_factory=dict, description="windows around the anniversary of the effective date"
    )

    def year_round_source(self, state: str) -> str | None:
        """Return where it is written that nothing is sent in a state; None: nobody says."""
        return next((each.source for each in self.year_round_exclusion if each == state), None)


def default_state_rules() -> StateRules:
    """Return the rules that hold where a configuration has no section ``state_rules``.

    Every window has its extension of 60 days, whatever ``timing_constants.pre_window_exclusion_days`` says.
    """
    return StateRules.model_validate(
        {
            "year_round_exclusion": ["CT", "MA", "NY", "WA"],
            "birthday_windows": {
                "CA": {"window_before_days": 30, "window_after_days": 60},
                "ID": {"window_after_days": 63},
                "KY": {"window_after_days": 60},
                "MD": {"window_after_days": 30},
                "NV": {"window_after_days": 60, "use_month_start": True},
                "OK": {"window_after_days": 60},
                "OR": {"window_after_days": 31},
                "VA": {"window_after_days": 30},
            },
            "effective_date_windows": {"MO": {"window_before_days": 30, "window_after_days": 33}},
        }
    )
