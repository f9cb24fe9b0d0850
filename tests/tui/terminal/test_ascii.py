"""Every sign of the dashboard has an ASCII form of the same width, and only ASCII reaches the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sp500tui.tui.terminal.ascii import as_ascii
from tests.support.parameters import rest_thorough
from tests.support.tui.canned_market import CannedMarket
from tests.support.tui.fake_pipeline import FakePipeline, degraded, running
from tests.tui.conftest import Drive
from tests.tui.shell.test_contrast import LOOKS


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=40))
def test_any_text_becomes_ascii(text: str) -> None:
    assert as_ascii(text).isascii()


@given(st.text(st.sampled_from("─│╭╮╰╯━●○✓✗▲▼▁▂▃▄▅▆▇█░▒▓…·→⇄é株👍 a1"), max_size=40))
def test_the_width_stays(text: str) -> None:
    assert cell_len(as_ascii(text)) == cell_len(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31m● running\x1b[0m", "\x1b[1;31m* running\x1b[0m"),
        ("▲ +1.00 % ▼ −2.00 %", "^ +1.00 % v -2.00 %"),
        ("Estée Lauder", "Estee Lauder"),
        ("╭─ prices ─╮", "+- prices -+"),
    ],
)
def test_signs_names_and_frames(text: str, shown: str) -> None:
    assert as_ascii(text) == shown


@pytest.mark.parametrize(
    "signs",
    [
        "·░▒▓█◔◧◇‖✗ ",
        "·▁▂▃▄▅▆█ ",
        "●○◌◧◔◇↻‖▽✗",
        "━─",
        "▲△=▽▼·",
        "■◧□·?▣×◆ ",
    ],
    ids=["activity", "depth", "worker states", "progress", "market map", "coverage"],
)
def test_signs_that_differ_still_differ_in_ascii(signs: str) -> None:
    assert len({as_ascii(sign) for sign in signs}) == len(signs)


@pytest.mark.slow
@pytest.mark.parametrize("state", rest_thorough([degraded, running]), ids=["degraded", "calm"])
async def test_every_sign_on_every_screen_has_a_form(drive: Drive, state: object) -> None:
    fake = FakePipeline(degraded() if state is degraded else running())
    fake.demo_market = CannedMarket(throttle=0.5)
    async with drive(fake, size=(200, 60)) as driven:
        for keys in ((), *LOOKS):
            await driven.press(*keys)
            text = driven.text()
            signs = {sign for sign in text if not sign.isascii() and unicodedata.category(sign)[0] != "L"}
            assert {sign for sign in signs if as_ascii(sign) == "?"} == set(), keys
            assert all(cell_len(as_ascii(line)) == cell_len(line) for line in text.splitlines())
