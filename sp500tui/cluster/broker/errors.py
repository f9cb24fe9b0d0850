"""What can go wrong with the broker, in one line each: what failed, where, what to do."""

from __future__ import annotations

from sp500tui.errors import ExitCode, Sp500tuiError


class BrokerError(Sp500tuiError):
    """The broker cannot be used as it is: wrong password, wrong kind of server, keys that are not ours."""

    exit_code = ExitCode.DATABASE


class BrokerAwayError(BrokerError):
    """The broker could not be reached, or takes nothing, for now; the same call may work later."""


class FencedError(BrokerError):
    """This node may no longer do what another node does now, such as starting cycles."""
