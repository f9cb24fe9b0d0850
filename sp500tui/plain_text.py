"""Text from outside made safe to show: no control characters, no passwords, one line."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PASSWORD_IN_URL = re.compile(r"(://[^\s:/?#]*):[^\s]*@")
_PASSWORD_NAMED = re.compile(
    r"""(?ix)
    \b(password|passwd|pgpassword|ssl_?password) (["']?\s*[=:]\s*)   # name, separator
    ("[^"]*" | '[^']*' | [^\s&"']+)                                # value
    """
)


def plain(text: str) -> str:
    """One line without control or direction characters (shown as escapes) and with passwords masked."""
    return without_control(without_passwords(text))


def without_control(text: str) -> str:
    r"""Control characters, line ends and direction marks written as `\n`, `\x1b` or `\u202e`."""
    return _CONTROL.sub(_escape, text) if _CONTROL.search(text) else text


def without_passwords(text: str) -> str:
    """The password of every URL, and every `password=` value, replaced by `***`."""
    if "://" in text:
        text = _PASSWORD_IN_URL.sub(r"\1:***@", text)
    return _PASSWORD_NAMED.sub(r"\1\2***", text) if "pass" in text.lower() else text


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]
