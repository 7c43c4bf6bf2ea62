"""What emails are made from, and which variant they are of (section 13 of the planning rules)."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.campaigns import Variant
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.basis import PlanningBasis
from email_scheduler.planning.campaign_instances import CampaignInstance
from email_scheduler.planning.chunks import chunks, side_by_side
from email_scheduler.planning.labels import labels
from email_scheduler.planning.packing import SortedIds
from email_scheduler.planning.registry.email_types import (
    ANNIVERSARY_TYPES,
    CAMPAIGN_PREFIX,
    FOLLOW_UP_EMAILS,
    FOLLOW_UP_PREFIX,
)
from email_scheduler.planning.variants import variant_metadata, variants_of_contacts

_NONE: Final = -1
Choices = npt.NDArray[np.int64]


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
        sms = np.where(has_phone & self._is_sms_enabled, self._sms.codes[pair], _NONE)
        return (
            pd.Categorical.from_codes(self._email.codes[pair], dtype=self._email.dtype),
            pd.Categorical.from_codes(sms, dtype=self._sms.dtype),
        )

    def metadata_of_rows(self, balanced: pd.DataFrame, follow_ups: pd.DataFrame) -> pd.Categorical:
        """Return the metadata of rows: of emails the variant, of the follow-ups behind them why."""
        of_emails = self._variants.codes[self._choices_of(balanced)].astype(np.int32)
        of_follow_ups = follow_ups["metadata"].cat.codes.to_numpy().astype(np.int32)
        of_follow_ups[of_follow_ups != _NONE] += len(self._variants.categories)
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
    codes = [_NONE if text is None else distinct.index(text) for text in texts]
    return labels(np.array(codes, np.int32), distinct)
