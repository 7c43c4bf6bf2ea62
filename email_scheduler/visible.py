"""Values as people see them: no character of theirs does anything to a terminal or a log."""

from typing import Final
from unicodedata import category

# control and format characters, halves of characters, ends of lines and paragraphs
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def visible(text: str, keep: str = "") -> str:
    r"""Return a text with its control characters as escapes, such as ``\x1b``; all others are as they are.

    Args:
        text: The text.
        keep: Control characters that stay: the ends of lines, where the text is one of several lines.
    """
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable() or each in keep or category(each) not in _UNSEEN
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
