"""Which addresses are valid, and which are the same (sections 1 and 4 of the planning rules)."""

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_scheduler.planning.rules.contacts import address_key, address_keys, are_valid
from email_scheduler.proof.planned_and_sent import _meanings
from email_scheduler_tests.oracle import contacts as oracle

ODD = "\x1c\x85İaAzZ09.@'-+!xn ßſüÜ\u0308\u0345\u212a\u0390\u1fb3\u200b\ufeff\ufffd\0\n\u3000ﬁⅣ½中"
texts = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]), max_size=12)
domains = texts | st.sampled_from(["xn--mnchen-3ya.de", "XN--Mnchen-3YA.DE", "xn--a.xn--.b", "xn--\ufffd.b"])
addresses = texts | st.builds("{}@{}".format, texts, domains)


def column(*several: str | None) -> pa.Array:
    return pa.array(several, pa.large_string())


@pytest.mark.parametrize("address", [
    "o'neil@b.co", "a+b@c.de", "jürgen@exämple.de", "ju\u0308rgen@b.co", " a@b.co\n", "a@1.co", "a@b.1a",
    "a" * 64 + "@b.co", "a@" + "b" * 63 + ".co",
])  # fmt: skip
def test_an_address_is_valid(address: str) -> None:
    assert are_valid(column(address)).to_pylist() == [True]


@pytest.mark.parametrize("address", [
    "a..b@c.de", ".a@b.co", "a@b..co", "a@b.co.", "<a@b.co>", "'a@b.co", "mailto:a@b.co", "a@b", "a@10.0.0.1",
    "x@-b.co", "x@b-.co", "a\u200b@b.co", "\ufeffa@b.co", "a@b\0.co", "a@b.co\0", "a@b@c.de", "a b@c.de",
    "@b.co",
    "a" * 65 + "@b.co", "a@" + "b" * 64 + ".co", "a@c." + "b" * 64 + ".co", "a@" + ".".join(["b" * 60] * 5),
])  # fmt: skip
def test_an_address_is_not_valid(address: str) -> None:
    assert are_valid(column(address)).to_pylist() == [False]


@pytest.mark.parametrize("several", [
    ("jürgen@example.com", "JÜRGEN@Example.com", "ju\u0308rgen@example.com"),
    ("STRASSE@b.example", "straße@b.example"),
    ("x@münchen.example", "X@xn--mnchen-3ya.example"),
    ("\u212aim@example.com", "kim@example.com"),
    (" Ann@Example.COM\t", "ann@example.com"),
])  # fmt: skip
def test_spellings_of_one_address_have_one_key(several: tuple[str, ...]) -> None:
    assert len(set(address_keys(column(*several)).to_pylist())) == 1


def test_where_there_is_no_address_there_is_no_key() -> None:
    assert address_keys(column(None, "A@b.co", "Ü@b.co")).to_pylist() == [None, "a@b.co", "ü@b.co"]
    assert are_valid(column(None)).to_pylist() == [None]


def test_a_label_that_cannot_be_decoded_stays_as_it_is() -> None:
    assert address_key("a@XN--\ud7ff\u0301.example") == "a@xn--\ud7ff\u0301.example"
    assert address_key("a@xn--99999999.example") == "a@xn--99999999.example"


@given(addresses)
def test_the_key_of_a_key_is_the_key(address: str) -> None:
    key = address_key(address)
    assert address_key(key) == key
    assert address_keys(column(address)).to_pylist() == [key]


@given(addresses)
def test_keys_and_validity_are_those_of_a_slow_reading(address: str) -> None:
    assert address_key(address) == oracle.address_key(address)
    assert _meanings(pd.Series([address], dtype="str")).tolist() == [address_key(address)]
    assert are_valid(column(address)).to_pylist() == [oracle.is_valid_address(address.strip())]
