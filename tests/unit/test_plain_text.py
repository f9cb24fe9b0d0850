"""Text from outside made safe: one line, no control characters, no passwords."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sp500tui.plain_text import plain, without_passwords


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("two\nlines\ttab", r"two\nlines\ttab"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("lone \ud800", r"lone \ud800"),
        ("Ærø 🎉 שלום", "Ærø 🎉 שלום"),
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://me:***@host/db"),
        ("http://host:8080/path", "http://host:8080/path"),
        ("http://user@host/path", "http://user@host/path"),
        ("postgresql://h/db?password=secret&x=1", "postgresql://h/db?password=***&x=1"),
        ("host=h password='se cret' x", "host=h password=*** x"),
        ("rediss://h/0?ssl_password=secret&x=1", "rediss://h/0?ssl_password=***&x=1"),
        ("PGPASSWORD=secret psql", "PGPASSWORD=*** psql"),
        ('{"password": "secret"}', '{"password": ***}'),
    ],
)
def test_text_is_made_safe(text: str, safe: str) -> None:
    assert plain(text) == safe


@given(st.text())
def test_no_control_character_is_left_and_cleaning_twice_changes_nothing(text: str) -> None:
    cleaned = plain(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in cleaned)
    assert plain(cleaned) == cleaned


@given(
    st.text(st.characters(codec="ascii", exclude_characters=" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f"), min_size=8)
)
def test_whatever_the_password_it_is_masked(password: str) -> None:
    assert without_passwords(f"x postgresql://me:{password}@host/db y") == "x postgresql://me:***@host/db y"
