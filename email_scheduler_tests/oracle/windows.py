"""Section 5 of the planning rules: exclusion windows."""

from datetime import date

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler_tests.oracle.contacts import Contact
from email_scheduler_tests.oracle.words import anniversary, plus


class Windows:
    """The exclusion windows of one configuration."""

    def __init__(self, config: SchedulerConfig) -> None:
        self.rules = config.state_rules
        self._known: dict[tuple[int, date], str | None] = {}

    def reason(self, contact: Contact, day: date) -> str | None:
        """Say why ``day`` is excluded for ``contact``; ``None`` where it is allowed."""
        if (contact.id, day) not in self._known:
            self._known[contact.id, day] = self._find_reason(contact, day)
        return self._known[contact.id, day]

    def is_allowed(self, contact: Contact, day: date) -> bool:
        """Say whether ``day`` is not excluded."""
        return self.reason(contact, day) is None

    def _find_reason(self, contact: Contact, day: date) -> str | None:
        """Section 5: the first of the four rules that applies is the reason."""
        state = contact.state
        if state in self.rules.year_round_exclusion:
            return f"Year-round exclusion in {state}"
        kinds = (
            (
                "Birth",
                "Birthday",
                self.rules.birthday_windows.get(state, ()),
                contact.birth_date,
                contact.is_birth_date_unreadable,
            ),
            (
                "Effective",
                "Effective date",
                self.rules.effective_date_windows.get(state, ()),
                contact.effective_date,
                contact.is_effective_date_unreadable,
            ),
        )
        for date_name, window_name, windows, anchor, is_unreadable in kinds:
            is_unknown = is_unreadable or (anchor is None and self.rules.exclude_when_anchor_missing)
            for window in windows:
                if not is_law(window, day):
                    continue
                if is_unknown:
                    return f"{date_name} date unknown in {state}"
                if anchor is not None and is_in_window(window, anchor, day):
                    return f"{window_name} exclusion window in {state}"
        if state in self.rules.age_76_plus_exclusion:
            if contact.birth_date is None and (
                contact.is_birth_date_unreadable or self.rules.exclude_when_anchor_missing
            ):
                return f"Birth date unknown in {state}"
            if is_aged_76(contact, day):
                return f"Age 76+ exclusion in {state}"
        return None


def is_aged_76(contact: Contact, day: date) -> bool:
    """Section 5, rule 4; nobody is, whose birth date is not known."""
    birth_date = contact.birth_date
    return birth_date is not None and day >= anniversary(birth_date, birth_date.year + 76)


def is_of_the_age(window: object, age: int) -> bool:
    """Section 5: a birthday window may exist only for those who become so old, both ages inclusive."""
    least, most = getattr(window, "min_age", None), getattr(window, "max_age", None)
    return (least is None or age >= least) and (most is None or age <= most)


def is_law(window: object, day: date) -> bool:
    """Section 5: a window with ``valid_from``/``valid_to`` excludes only days within them."""
    if window.valid_from is not None and day < window.valid_from:
        return False
    return window.valid_to is None or day <= window.valid_to


def is_in_window(window: object, anchor: date, day: date) -> bool:
    """Section 5, rules 2 and 3: for some year from that of the anchor on."""
    before = window.window_before_days + window.pre_window_extension_days
    after = window.window_after_days
    years_around = 2 + max(abs(before), abs(after)) // 365
    for year in range(day.year - years_around, day.year + years_around + 1):
        if year < anchor.year or not is_of_the_age(window, year - anchor.year):
            continue
        a = anniversary(anchor, year)
        if window.use_month_start:
            a = a.replace(day=1)
        if plus(a, -before) <= day <= plus(a, after):
            return True
    return False
