"""The state rules: in which states, and when, nothing may be sent (section 5 of the planning rules)."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from email_scheduler.config.values import (
    Age,
    DaysEitherWay,
    Flag,
    IsoDate,
    Section,
    StateCode,
    States,
    Text,
    refusal,
)

DEFAULT_PRE_WINDOW_EXCLUSION_DAYS = 60


class Window(Section):
    """One exclusion window around the anniversary of a contact's date; both ends are inclusive.

    Lengths are days; negative ones are allowed as long as the window is not empty.

    Attributes:
        pre_window_extension_days: Days before the window that are excluded too. In a ``SchedulerConfig`` a
            window without it has ``timing_constants.pre_window_exclusion_days``.
        use_month_start: The window stands around the first of the anniversary's month.
        valid_from: The first day on which the rule is law; none: it always was.
        valid_to: The last day on which the rule is law; none: it still is.
        source: Where the rule is written.
    """

    window_before_days: DaysEitherWay = 0
    window_after_days: DaysEitherWay = 0
    pre_window_extension_days: DaysEitherWay = DEFAULT_PRE_WINDOW_EXCLUSION_DAYS
    use_month_start: Flag = False
    valid_from: IsoDate | None = None
    valid_to: IsoDate | None = None
    source: Text | None = None

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
    """One exclusion window around the birthday, which may concern some ages only.

    Attributes:
        min_age, max_age: Only birthdays on which the contact becomes that old have the window, both
            inclusive; none: whatever the age.
    """

    min_age: Age | None = None
    max_age: Age | None = None

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
    """What the states forbid. A key that is missing means that there is no such rule anywhere.

    Attributes:
        year_round_exclusion: States in which nothing is ever sent.
        age_76_plus_exclusion: States in which contacts aged 76 or more get nothing.
        exclude_when_anchor_missing: In a state with a window, a contact whose date is unknown gets nothing.
        birthday_windows: State to its windows around the birthday.
        effective_date_windows: State to its windows around the anniversary of the effective date.
    """

    year_round_exclusion: States = frozenset()
    age_76_plus_exclusion: States = frozenset()
    exclude_when_anchor_missing: Flag = False
    birthday_windows: BirthdayWindows = Field(default_factory=dict)
    effective_date_windows: Windows = Field(default_factory=dict)


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
