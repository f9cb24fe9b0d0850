"""Which stages a node of a cluster runs, as people write it: `scraper,price=16`."""

from __future__ import annotations

STAGES = ("scraper", "price", "converter", "writer")
MOST = {"scraper": 1, "price": 64, "converter": 64, "writer": 64}
"""Workers that a stage may have on one node."""
_EXAMPLE = "give some such as price=16,writer=4"


def parse_stages(text: str) -> dict[str, int | None]:
    """Stage → number of workers, None where none is named.

    Raises:
        ValueError: what cannot be understood, and the remedy.
    """
    chosen: dict[str, int | None] = {}
    for part in text.split(","):
        name, given, number = (piece.strip() for piece in part.partition("="))
        if name not in STAGES:
            raise ValueError(f"names no stage with {name!r}; the stages are {', '.join(STAGES)}")
        if name in chosen:
            raise ValueError(f"names the stage {name} twice; name each once")
        if given and not (number.isascii() and number.isdecimal() and 1 <= int(number[:4]) <= MOST[name]):
            workers = "just one worker" if MOST[name] == 1 else f"1 to {MOST[name]} workers"
            raise ValueError(
                f"asks for {number or 'no number of'} {name} workers; {name} has {workers} a node"
            )
        chosen[name] = int(number) if given else None
    return chosen


def check_stages(text: str) -> None:
    """Raise ValueError with the remedy unless the text names stages."""
    if not text.strip():
        raise ValueError(f"names no stage; {_EXAMPLE}")
    parse_stages(text)
