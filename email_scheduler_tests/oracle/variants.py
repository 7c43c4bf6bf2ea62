"""Section 8 of the planning rules, "Variants"."""

from email_scheduler_tests.oracle.book import Book, Instance
from email_scheduler_tests.oracle.words import stable_hash


def variant_of(contact_id: int, instance: Instance | None, book: Book) -> dict[str, object] | None:
    """Return the variant that a contact has of an instance; ``None`` where the instance is not split."""
    variants = None if instance is None else instance.metadata.get("variants")
    if not variants or not book.config.features.enable_ab_testing:
        return None
    total = sum(variant["weight"] for variant in variants)
    point = stable_hash("variant", contact_id, instance.email_type, instance.id) * total // 2**64
    for variant in variants:
        if point < variant["weight"]:
            return variant
        point -= variant["weight"]
    raise AssertionError("the point is less than the sum of the weights")
