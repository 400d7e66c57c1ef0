"""PINs: what is one, what is a hash, and that only the right PIN fits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.config.pins import hash_pin, is_pin, is_pin_hash, quick_hash, verify_pin
from acd.domain.errors import ConfigurationError

# made by hashlib.scrypt(b"1234", salt=b"0123456789abcdef", n=16384, r=8, p=1, dklen=32): must verify for ever
KNOWN = "scrypt$16384$8$1$MDEyMzQ1Njc4OWFiY2RlZg$up_o323VSGYpOKapuyuVyli-5JQdSla4zd3CPm2ViOM"


def test_a_pin_fits_its_own_hash_only() -> None:
    stored = hash_pin("1234")
    assert stored.startswith("scrypt$16384$8$1$")
    assert verify_pin("1234", stored)
    assert not verify_pin("1235", stored)
    assert hash_pin("1234") != stored


def test_hashes_of_earlier_versions_stay_good() -> None:
    assert verify_pin("1234", KNOWN)
    assert not verify_pin("4321", KNOWN)


@pytest.mark.parametrize("pin", ["123", "000", "123456789012"])
def test_pins(pin: str) -> None:
    assert is_pin(pin)
    assert verify_pin(pin, quick_hash(pin, "anna"))


@pytest.mark.parametrize("text", ["", "12", "1234567890123", "12 4", "abcd", "１２３４", "1234\n", "-123", "+123"])
def test_no_pins(text: str) -> None:
    assert not is_pin(text)
    assert not verify_pin(text, KNOWN)
    with pytest.raises(ConfigurationError, match=r"^a PIN is 3 to 12 digits$"):
        hash_pin(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234",
        "scrypt",
        KNOWN.replace("scrypt", "bcrypt"),
        KNOWN.replace("$8$", "$x$"),
        KNOWN.replace("16384", "16383"),
        KNOWN.replace("16384", "1"),
        KNOWN.replace("16384", "524288"),
        KNOWN.replace("$8$", "$0$"),
        KNOWN.replace("$8$", "$100$"),
        KNOWN.replace("$1$", "$999999$"),
        KNOWN.replace("16384", "9" * 500),
        KNOWN.replace("MDEyMzQ1Njc4OWFiY2RlZg", ""),
        KNOWN.replace("MDEy", "!!!!"),
        KNOWN + "AAAA",
        KNOWN + "$",
        KNOWN[:-1],
        KNOWN.replace("MDEy", "MDEé"),
    ],
)
def test_what_is_no_hash_fits_nothing(text: str) -> None:
    assert not is_pin_hash(text)
    assert not verify_pin("1234", text)


@given(st.text(), st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_nothing_raises(pin: str, stored: str) -> None:
    assert not verify_pin(pin, stored)
    assert not verify_pin("1234", f"scrypt$2$1$1${stored}")
