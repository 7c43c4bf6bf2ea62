"""The rows that a plan publishes (section 13 of the planning rules).

Dates, adjustments, target statuses, what emails are made from, and which variant they are of.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig, Variant
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.categories import is_label, labels
from email_scheduler.planning.columns import (
    Flags,
    SortedIds,
    chunks,
    is_among,
    pack,
    pack_alike,
    side_by_side,
)
from email_scheduler.planning.frames import EMAIL_SCHEDULES, NO_DATE, TARGET_STATUSES
from email_scheduler.planning.rules.campaign_instances import (
    CampaignInstance,
    variant_metadata,
    variants_of_contacts,
)
from email_scheduler.planning.rules.campaign_occurrences import OPEN_TARGET_STATUSES, trigger_days
from email_scheduler.planning.rules.exclusions import Rows
from email_scheduler.planning.rules.history import has_type
from email_scheduler.registry import (
    ADJUSTMENTS,
    ANNIVERSARY_TYPES,
    BROUGHT_FORWARD,
    CAMPAIGN_PREFIX,
    CATCH_UP,
    FOLLOW_UP_EMAILS,
    FOLLOW_UP_PREFIX,
    PRE_SCHEDULED,
    REDISTRIBUTED,
    SENT_STATUSES,
    SMOOTHED,
    STATUSES,
)

_NO_TEXT: Final = -1
Choices = npt.NDArray[np.int64]
_SMOOTHED, _BROUGHT_FORWARD, _REDISTRIBUTED, _CATCH_UP = (
    list(ADJUSTMENTS).index(name) for name in (SMOOTHED, BROUGHT_FORWARD, REDISTRIBUTED, CATCH_UP)
)
_NONE = -1
Ids = npt.NDArray[np.int64]
_SHARED: Final = [
    "contact_id",
    "email_type",
    "campaign_instance_id",
    "event_date",
    "ideal_send_date",
    "send_date",
    "priority",
    "skip_reason",
]
# What rows are made from.
COLUMNS_OF_ROWS: Final = [*_SHARED, "base_date", "is_brought_forward"]


class Templates:
    """The texts of rows: as many answers as there are pairs of email type and choice.

    A choice is no instance (0), an instance, or one of the variants of an instance that is split.
    """

    def __init__(self, basis: PlanningBasis, balanced: pd.DataFrame, follow_ups: pd.DataFrame) -> None:
        """Find the texts for these rows.

        Args:
            basis: What planning looked at, for all contacts of the organisation.
            balanced: ``COLUMNS_OF_ROWS`` of ``BALANCED_SCHEDULES``.
            follow_ups: ``FOLLOW_UPS``.
        """
        self._instances = [instance for _, instance in sorted(basis.instances.items())]
        self._index = SortedIds(np.array([each.id for each in self._instances], np.int64))
        self._is_sms_enabled = basis.config.features.enable_sms
        self._is_campaign = basis.email_types.categories.str.startswith(CAMPAIGN_PREFIX).astype(np.bool_)
        self._choices: list[tuple[CampaignInstance | None, Variant | None]] = [
            (None, None),
            *((each, None) for each in self._instances),
        ]
        # for each instance that is split the choice of its first variant; the others follow
        self._first_variants = np.zeros(len(self._choices), np.int64)
        if basis.config.features.enable_ab_testing:
            for choice, instance in enumerate(self._instances, 1):
                if instance.variants:
                    self._first_variants[choice] = len(self._choices)
                    self._choices += [(instance, variant) for variant in instance.variants]
        self._email, self._sms = self._texts(basis, [balanced, follow_ups])
        self._variants = _coded(
            [None if variant is None else variant_metadata(variant.name) for _, variant in self._choices]
        )
        said = [*self._variants.categories, *follow_ups["metadata"].cat.categories]
        self._metadata = pd.CategoricalDtype(pd.Index(said, dtype="str"))

    def of_rows(self, basis: PlanningBasis, rows: pd.DataFrame) -> tuple[pd.Categorical, pd.Categorical]:
        """Return email and SMS template of each row; ``basis`` holds the contacts of the rows."""
        pair = self._pairs(rows)
        has_phone = basis.contacts["has_phone"].to_numpy()[basis.positions(rows["contact_id"].to_numpy())]
        sms = np.where(has_phone & self._is_sms_enabled, self._sms.codes[pair], _NO_TEXT)
        return (
            pd.Categorical.from_codes(self._email.codes[pair], dtype=self._email.dtype),
            pd.Categorical.from_codes(sms, dtype=self._sms.dtype),
        )

    def metadata_of_rows(self, balanced: pd.DataFrame, follow_ups: pd.DataFrame) -> pd.Categorical:
        """Return the metadata of rows: of emails the variant, of the follow-ups behind them why."""
        of_emails = self._variants.codes[self._choices_of(balanced)].astype(np.int32)
        of_follow_ups = follow_ups["metadata"].cat.codes.to_numpy().astype(np.int32)
        of_follow_ups[of_follow_ups != _NO_TEXT] += len(self._variants.categories)
        return pd.Categorical.from_codes(np.concatenate([of_emails, of_follow_ups]), dtype=self._metadata)

    def _texts(
        self, basis: PlanningBasis, frames: list[pd.DataFrame]
    ) -> tuple[pd.Categorical, pd.Categorical]:
        """Return email and SMS template of each pair that occurs in one of the frames."""
        types = basis.email_types.categories
        count = len(types) * len(self._choices)

        def occurring(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
            return np.bincount(self._pairs(frame), minlength=count)

        slices = [frame.iloc[part] for frame in frames for part in chunks(len(frame))]
        present = np.logical_or.reduce(side_by_side(occurring, slices))
        texts: list[tuple[str | None, str | None]] = [(None, None)] * count
        for pair in np.flatnonzero(present):
            type_code, choice = divmod(int(pair), len(self._choices))
            texts[pair] = _templates_of(types[type_code], *self._choices[choice], basis.config)
        email, sms = (_coded([each[kind] for each in texts]) for kind in (0, 1))
        return email, sms

    def _pairs(self, rows: pd.DataFrame) -> Choices:
        pairs: Choices = rows["email_type"].array.codes * np.int64(len(self._choices))
        pairs += self._choices_of(rows)
        return pairs

    def _choices_of(self, rows: pd.DataFrame) -> Choices:
        # 0 is no instance, and one that the database does not know
        choice: Choices = self._index.positions(rows["campaign_instance_id"].to_numpy()) + 1
        if not self._first_variants.any():
            return choice
        split = np.flatnonzero(
            (self._first_variants[choice] != 0) & self._is_campaign[rows["email_type"].array.codes]
        )
        instance_of, contact_ids = choice[split], rows["contact_id"].to_numpy()[split]
        for number in np.unique(instance_of).tolist():
            at = np.flatnonzero(instance_of == number)
            instance = self._instances[number - 1]
            variants = variants_of_contacts(
                contact_ids[at], instance.email_type, instance.id, instance.variants
            )
            choice[split[at]] = self._first_variants[number] + variants
        return choice


def _templates_of(
    email_type: str, instance: CampaignInstance | None, variant: Variant | None, config: SchedulerConfig
) -> tuple[str | None, str | None]:
    templates = config.email_templates
    if email_type in ANNIVERSARY_TYPES:
        return getattr(templates.anniversary, email_type), templates.sms.get(email_type)
    if email_type in FOLLOW_UP_EMAILS:
        kind = FOLLOW_UP_EMAILS[email_type].kind
        own: Mapping[str, str] = {} if instance is None else instance.followup_templates
        own_sms: Mapping[str, str] = {} if instance is None else instance.followup_sms_templates
        return (
            own.get(kind) or getattr(templates.followups, kind),
            own_sms.get(kind) or templates.sms.get(FOLLOW_UP_PREFIX + kind),
        )
    if instance is None:
        raise AssertionError(f"{email_type} without a campaign instance")
    sms = instance.sms_template or templates.sms.get(email_type)
    if variant is None:
        return instance.email_template, sms
    return variant.email_template, variant.sms_template or sms


def _coded(texts: list[str | None]) -> pd.Categorical:
    distinct = sorted({text for text in texts if text is not None})
    codes = [_NO_TEXT if text is None else distinct.index(text) for text in texts]
    return labels(np.array(codes, np.int32), distinct)


def email_schedules_by_part(
    basis: PlanningBasis, balanced: pd.DataFrame, balanced_by_part: list[Rows], follow_ups: pd.DataFrame
) -> list[pd.DataFrame]:
    """Return the plan as rows of ``EMAIL_SCHEDULES``, in its order, for each part of ``basis`` (section 13).

    Args:
        basis: What planning looked at, for all contacts of the organisation.
        balanced: ``COLUMNS_OF_ROWS`` of ``BALANCED_SCHEDULES`` after the limits per contact.
        balanced_by_part: Its rows by the parts of ``basis``.
        follow_ups: ``FOLLOW_UPS``.
    """
    templates = Templates(basis, balanced, follow_ups)

    def rows_of_part(part: tuple[PlanningBasis, Rows, Rows]) -> pd.DataFrame:
        contacts, rows, follow_up_rows = part
        return _rows(contacts, balanced.take(rows), follow_ups.take(follow_up_rows), templates)

    follow_ups_by_part = basis.rows_by_part(follow_ups["contact_id"].to_numpy())
    parts = zip(basis.parts, balanced_by_part, follow_ups_by_part, strict=True)
    return side_by_side(rows_of_part, parts)


def _rows(
    basis: PlanningBasis, balanced: pd.DataFrame, follow_ups: pd.DataFrame, templates: Templates
) -> pd.DataFrame:
    both = pd.concat([balanced[_SHARED], follow_ups[_SHARED]], ignore_index=True)
    count = len(both)
    is_skipped = both["skip_reason"].notna().to_numpy()
    adjustment = np.concatenate([_adjustments(balanced, basis.config), _follow_up_adjustments(follow_ups)])
    initial = np.zeros(count, np.int64)
    initial[len(balanced) :] = follow_ups["initial_email_id"]
    email_templates, sms_templates = templates.of_rows(basis, both)
    metadata = templates.metadata_of_rows(balanced, follow_ups)
    columns: dict[str, object] = {name: both[name] for name in _SHARED}
    columns |= {
        "initial_email_id": initial,
        "scheduled_send_date": both["send_date"],
        "status": labels(is_skipped.astype(np.int8), STATUSES),
        "adjustment": labels(np.where(is_skipped, _NONE, adjustment), ADJUSTMENTS),
        "scheduled_send_time": labels(np.zeros(count, np.int8), [basis.config.timing_constants.send_time]),
        "email_template": email_templates,
        "sms_template": sms_templates,
        "metadata": metadata,
    }
    frame = EMAIL_SCHEDULES.build(columns)
    in_order = [frame[name].array for name in EMAIL_SCHEDULES.order]
    keys = pack([each.codes if isinstance(each, pd.Categorical) else each.to_numpy() for each in in_order])
    return frame.take(np.argsort(keys)).reset_index(drop=True)


def target_statuses(basis: PlanningBasis, schedules: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Return what becomes of ``contact_campaigns.status`` (section 13): only rows that change.

    Args:
        basis: What planning looked at.
        schedules: ``EMAIL_SCHEDULES``.
        targets: ``CONTACT_CAMPAIGNS_TABLE``.
    """
    history, instances = basis.history, basis.instances
    opened = targets[targets["status"].isin(OPEN_TARGET_STATUSES)]
    trigger, has_date, _ = trigger_days(opened, instances)
    wanted = {
        "contact_id": opened["contact_id"].to_numpy(),
        "campaign_instance_id": opened["campaign_instance_id"].to_numpy(),
        "event_date": trigger,
    }
    is_scheduled = _is_among(
        wanted,
        schedules,
        (schedules["campaign_instance_id"].to_numpy() != 0)
        & (schedules["initial_email_id"].to_numpy() == 0)
        & is_label(schedules["status"], [PRE_SCHEDULED]),
    )
    is_sent_row = (
        (history["campaign_instance_id"].to_numpy() != 0)
        & is_label(history["status"], SENT_STATUSES)
        & has_type(history, CAMPAIGN_PREFIX).to_numpy()
    )
    # a target without a date is handled by any row of its instance
    of_any_day = {name: wanted[name] for name in ("contact_id", "campaign_instance_id")}
    is_sent = np.where(
        has_date,
        _is_among(wanted, history, is_sent_row),
        (trigger != NO_DATE) & _is_among(of_any_day, history, is_sent_row),
    )
    status = np.where(is_sent, "sent", np.where(is_scheduled, "scheduled", "pending"))
    changed = status != opened["status"].astype("str").to_numpy()
    return TARGET_STATUSES.build(
        {"id": opened["id"].to_numpy()[changed], "status": pd.Categorical(status[changed])}
    ).sort_values("id", ignore_index=True)


def _is_among(wanted: Mapping[str, npt.NDArray[np.integer]], frame: pd.DataFrame, is_asked: Flags) -> Flags:
    """Tell which rows of these columns have the values of one of the rows that are asked."""
    rows = np.flatnonzero(is_asked)
    instance = "campaign_instance_id"
    rows = rows[np.isin(frame[instance].to_numpy()[rows], np.unique(wanted[instance]))]
    keys, asked = pack_alike([(column, frame[name].to_numpy()[rows]) for name, column in wanted.items()])
    return is_among(keys, np.sort(asked))


def _adjustments(balanced: pd.DataFrame, config: SchedulerConfig) -> npt.NDArray[np.int8]:
    send, ideal, base = (balanced[name].to_numpy() for name in ("send_date", "ideal_send_date", "base_date"))
    deadline_of_spread = base.astype(np.int64) + config.load_balancing.catch_up_spread_days
    on_base = np.where(balanced["is_brought_forward"].to_numpy(), _BROUGHT_FORWARD, _SMOOTHED)
    later = np.where(send <= deadline_of_spread, _REDISTRIBUTED, _CATCH_UP)
    return np.where(send == ideal, _NONE, np.where(send == base, on_base, later)).astype(np.int8)


def _follow_up_adjustments(follow_ups: pd.DataFrame) -> npt.NDArray[np.int8]:
    is_on_time = follow_ups["send_date"].to_numpy() == follow_ups["ideal_send_date"].to_numpy()
    return np.where(is_on_time, _NONE, _CATCH_UP).astype(np.int8)
