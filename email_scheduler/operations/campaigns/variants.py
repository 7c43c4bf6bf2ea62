"""How the variants of a campaign instance compare (A/B)."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, Final

from email_scheduler.planning.variants import read_variants, variant_in

# Two-sided: 95 of 100 intervals hold the true rate.
_Z: Final = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Rate:
    """How many of the emails that went out did something.

    Attributes:
        share: ``count`` of those that went out; None: none went out, like the two after it.
        low, high: The ends of the 95 % interval of the true rate.
    """

    count: int
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class VariantResult:
    """What a variant has in store and what it has achieved.

    Attributes:
        name: None: emails of no variant.
        weight, email_template: As the instance declares it; None: it does not any more.
        planned: Emails that are waiting.
        sent: Emails that went out.
    """

    name: str | None
    weight: int | None
    email_template: str | None
    planned: int
    sent: int
    clicked: Rate
    answered: Rate


def variant_results(
    declared: Any,
    *,
    planned: Mapping[str | None, int],
    sent: Mapping[str | None, int],
    clicked: Mapping[str | None, int],
    answered: Mapping[str | None, int],
) -> list[VariantResult]:
    """Return the variants in the order of the list, then others that emails are of, then emails of none.

    Args:
        declared: ``metadata.variants`` of the instance.
        planned: Emails that are waiting, by their metadata as it is stored.
        sent: The same of emails that went out.
        clicked: Of these, the same of those that were clicked.
        answered: And of those whose contact answered.

    Returns:
        Nothing where no variant is declared and no email is of one.
    """
    counts = [_by_variant(each) for each in (planned, sent, clicked, answered)]
    variants = {each.name: each for each in read_variants(declared)[0]}
    others = sorted({name for each in counts for name in each if name is not None} - set(variants))
    names: list[str | None] = [*variants, *others]
    if names and any(None in each for each in counts):
        names.append(None)
    results = []
    for name in names:
        waiting, out, clicks, answers = (each.get(name, 0) for each in counts)
        variant = variants.get(name) if name is not None else None
        results.append(
            VariantResult(
                name=name,
                weight=None if variant is None else variant.weight,
                email_template=None if variant is None else variant.email_template,
                planned=waiting,
                sent=out,
                clicked=_rate(clicks, out),
                answered=_rate(answers, out),
            )
        )
    return results


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % score interval of a rate, without continuity correction.

    With n = total, p = count / n, q = 1 - p and z = 1.96: (p + z²/2n ± z √(pq/n + z²/4n²)) / (1 + z²/n).
    It stays within 0 and 1, and is sound for few emails and for rates near 0 and 1 as well.

    Args:
        count: How many did it, from 0 to ``total``.
        total: Of how many, at least 1.
    """
    share, square = count / total, _Z * _Z / total
    middle = share + square / 2
    half = _Z * sqrt(share * (1 - share) / total + square / (4 * total))
    low, high = ((middle + sign * half) / (1 + square) for sign in (-1, 1))
    # exact where rounding would leave something over
    return (0.0 if count == 0 else low), (1.0 if count == total else high)


def _rate(count: int, total: int) -> Rate:
    if total == 0:
        return Rate(count, None, None, None)
    return Rate(count, count / total, *wilson_interval(count, total))


def _by_variant(counts: Mapping[str | None, int]) -> dict[str | None, int]:
    result: dict[str | None, int] = {}
    for metadata, count in counts.items():
        name = None if metadata is None else variant_in(metadata)
        result[name] = result.get(name, 0) + count
    return result
