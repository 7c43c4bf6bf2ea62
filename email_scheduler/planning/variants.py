"""Which variant of a campaign instance a contact gets (section 8 of the planning rules, "Variants")."""

import json
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from email_scheduler.config.campaigns import InstanceMetadata, Variant
from email_scheduler.config.problems import problems_of
from email_scheduler.planning.hashing import stable_hash_of_contacts

_KEY: Final = "variants"
_END: Final = 1 << 64


def read_variants(stored: Any) -> tuple[tuple[Variant, ...], str | None]:
    """Return what ``metadata.variants`` says, none where it is null; or else what of it is not accepted."""
    try:
        metadata = InstanceMetadata.model_validate({_KEY: stored})
    except ValidationError as error:
        first = problems_of(error, InstanceMetadata, {_KEY: stored}, lambda key: ("", key))[0]
        return (), str(first).removeprefix(": ")
    return metadata.variants or (), None


def variants_of_contacts(
    contact_ids: npt.NDArray[np.int64], email_type: str, instance_id: int, variants: Iterable[Variant]
) -> npt.NDArray[np.int64]:
    """Return the position in ``variants`` of each contact's variant; it depends on nothing else.

    Args:
        contact_ids: int64, one a row.
        email_type: The instance's.
        instance_id: The instance.
        variants: In the order in which its metadata lists them.
    """
    *ends, total = accumulate(variant.weight for variant in variants)
    # floor(hash * total / 2^64) < end where hash < end * 2^64 / total; rounded up, since a hash is whole
    limits = np.array([-(-end * _END // total) for end in ends], np.uint64)
    hashes = stable_hash_of_contacts("variant", contact_ids, email_type, instance_id)
    return limits.searchsorted(hashes, side="right")


def variant_metadata(name: str) -> str:
    """Return what ``metadata`` of a row says of its variant, as JSON text."""
    return json.dumps({"variant": name})


def variant_in(metadata: str) -> str | None:
    """Return the variant that the ``metadata`` of a campaign email names; None if it names none."""
    try:
        said = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    name = said.get("variant") if isinstance(said, dict) else None
    # JSON writes characters that no text of a database holds
    return name if isinstance(name, str) and name.isprintable() else None
