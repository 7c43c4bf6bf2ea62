"""Text columns."""

import pandas as pd
import pytest

from email_scheduler.planning.columns.dates import WHITESPACE, codes_and_texts, to_arrow, trim


def test_white_space_is_what_python_takes_for_it() -> None:
    assert set(WHITESPACE) == {character for character in map(chr, range(0x110000)) if character.isspace()}


def test_trimming_takes_white_space_from_both_ends_only() -> None:
    texts = [f"{WHITESPACE}a{WHITESPACE}b{WHITESPACE}", "\u200bc\u200b", WHITESPACE, "", None]
    trimmed = trim(to_arrow(pd.Series(texts, dtype="str"))).to_pylist()
    assert trimmed == [None if text is None else text.strip() for text in texts]


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_codes_and_distinct_texts_put_the_column_together_again(dtype: str) -> None:
    texts = ["b", None, "a", "b", "", None]
    column = pd.Series(texts, dtype="str").astype(dtype)
    codes, distinct = codes_and_texts(column)
    assert [None if code < 0 else distinct[code].as_py() for code in codes] == texts
    assert len(distinct) == 3
    assert to_arrow(column).to_pylist() == texts


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_a_column_without_a_text_has_no_distinct_ones(dtype: str) -> None:
    codes, distinct = codes_and_texts(pd.Series([None, None], dtype="str").astype(dtype))
    assert codes.tolist() == [-1, -1]
    assert len(distinct) == 0
