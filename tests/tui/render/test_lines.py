"""Lines keep their width, and nothing that fits is cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sp500tui.tui.render.lines import Line, Role, Span, cut, joined, longest_that_fits, spread, width_of

lines = st.lists(st.text("abcé漢 ─", max_size=12), max_size=6).map(
    lambda texts: tuple(Span(text) for text in texts)
)


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


@given(lines, st.integers(1, 60))
def test_cut_is_exactly_as_wide_as_requested(line: Line, width: int) -> None:
    assert width_of(cut(line, width)) == width


@given(lines, lines, st.integers(1, 60))
def test_spread_is_exactly_as_wide_as_requested(left: Line, right: Line, width: int) -> None:
    assert width_of(spread(left, right, width)) == width


def test_what_is_cut_ends_in_an_ellipsis() -> None:
    assert text_of(cut((Span("abc"), Span("def")), 5)) == "abcd…"
    assert text_of(cut((Span("abc"), Span("def")), 3)) == "ab…"


def test_only_blanks_are_cut_without_a_sign() -> None:
    line = (Span("3 s  ", Role.BAD), Span("  "))
    assert cut(line, 4) == (Span("3 s", Role.BAD), Span(" "))
    assert cut(line, 3) == (Span("3 s", Role.BAD),)
    assert text_of(cut(line, 2)) == "3…"


def test_the_right_side_is_dropped_before_the_left_is_cut() -> None:
    assert text_of(spread((Span("left side"),), (Span("right"),), 12)) == "left side   "


def test_empty_parts_leave_no_separator() -> None:
    assert text_of(joined([(Span("a"),), (), (Span("b", Role.BAD),)], " · ")) == "a · b"


def test_the_longest_variant_that_fits_is_taken() -> None:
    variants = [(Span("a long one"),), (Span("short"),)]
    assert text_of(longest_that_fits(variants, 10)) == "a long one"
    assert text_of(longest_that_fits(variants, 7)) == "short  "
    assert text_of(longest_that_fits(variants, 3)) == "sh…"
