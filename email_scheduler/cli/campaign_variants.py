"""How ``campaigns show`` compares the variants of an instance."""

from rich.console import Group, RenderableType
from rich.text import Text

from email_scheduler.cli.campaign_output import plain_table
from email_scheduler.operations.campaigns.variants import Rate, VariantResult


def variants_table(variants: list[VariantResult]) -> RenderableType:
    """Return the variants of an instance beside each other."""
    table = plain_table("Variants", "variant", "weight", "planned", "sent", "clicked", "answered", "template")
    table.columns[-1].justify = "left"
    for each in variants:
        table.add_row(
            each.name or "(none)",
            "-" if each.weight is None else f"{each.weight:,}",
            f"{each.planned:,}",
            f"{each.sent:,}",
            _rate(each.clicked),
            _rate(each.answered),
            each.email_template or "-",
        )
    return Group(table, Text("In brackets: the 95 % interval of the rate."))


def _rate(rate: Rate) -> str:
    if rate.share is None:
        return "-"
    return f"{rate.count:,}: {rate.share:.1%} ({rate.low:.1%}-{rate.high:.1%})"
