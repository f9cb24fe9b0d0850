"""The key table and the validation of configured keys."""

from __future__ import annotations

import pytest

from sp500tui.config.keys import KEYS, KEYS_BY_ID, validate_keymap


def test_every_key_has_a_unique_id_and_an_explanation() -> None:
    assert len(KEYS_BY_ID) == len(KEYS)
    assert all(key.keys and key.explanation for key in KEYS)


@pytest.mark.parametrize("key_id", ["quit", "replay.play", "pipeline.stop"])
def test_a_keymap_names_ids_of_every_kind_of_dashboard(key_id: str) -> None:
    validate_keymap({key_id: "x,ctrl+q"})


@pytest.mark.parametrize(
    ("keymap", "message"),
    [
        ({"zzzz": "x"}, "has no binding for the id 'zzzz'; `sp500tui config init`"),
        ({"stage.mroe": "x"}, "did you mean stage.more"),
        ({"quit": "x,,y"}, "has the empty key 'x,,y' for 'quit'"),
        ({"quit": " "}, "has the empty key ' ' for 'quit'"),
    ],
)
def test_an_unknown_id_or_an_empty_key_is_refused(keymap: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validate_keymap(keymap)
