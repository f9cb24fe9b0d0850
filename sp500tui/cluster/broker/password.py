"""The broker's password from its file, so that neither a process list nor a shell's history shows it."""

from __future__ import annotations

from sp500tui.config.settings import Settings
from sp500tui.errors import ConfigurationError

_LONGEST = 4096


def broker_password(settings: Settings) -> str | None:
    """The first line of the password file; None where none is named.

    Raises:
        ConfigurationError: it cannot be read, or holds no password.
    """
    file = settings.broker_password_file
    if file is None:
        return None
    remedy = "name a file with the password on its first line (--broker-password-file FILE)"
    try:
        with file.open(encoding="utf-8") as opened:
            line = opened.read(_LONGEST).partition("\n")[0].rstrip("\r")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(
            f"the broker's password file {file} cannot be read: {reason}; {remedy}"
        ) from None
    if not line:
        raise ConfigurationError(f"the broker's password file {file} is empty; {remedy}")
    return line
