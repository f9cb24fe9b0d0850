"""Yahoo Finance's cookie, crumb and consent, which a client needs before it can request quotes."""

from __future__ import annotations

import base64
import hashlib
import secrets
from http.cookies import CookieError, SimpleCookie

COOKIE = "A3"
_YEAR = 31_557_600


class Sessions:
    """Issues cookies and the crumb of each; stateless except for one secret."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)

    def new_cookie(self) -> str:
        """A `Set-Cookie` value for all of yahoo.com."""
        value = f"d={secrets.token_urlsafe(24)}&S={secrets.token_urlsafe(8)}"
        return (
            f"{COOKIE}={value}; Max-Age={_YEAR}; Domain=.yahoo.com; Path=/; SameSite=None; Secure; HttpOnly"
        )

    def cookie_of(self, header: str) -> str | None:
        """The session's cookie in a `Cookie` header; one of an earlier market is accepted."""
        try:
            morsel = SimpleCookie(header).get(COOKIE)
        except CookieError:
            return None
        return morsel.value if morsel is not None and morsel.value else None

    def crumb_for(self, cookie: str) -> str:
        """The crumb of a cookie: eleven characters."""
        digest = hashlib.blake2b(cookie.encode(), key=self._secret).digest()
        return base64.b64encode(digest).decode()[:11]

    def new_consent(self) -> tuple[str, str]:
        """A consent session and the token its form must return."""
        session = f"3_cc-session_{secrets.token_hex(8)}"
        return session, self.consent_token(session)

    def consent_token(self, session: str) -> str:
        """The token of a consent session."""
        return hashlib.blake2b(session.encode(), key=self._secret, digest_size=8).hexdigest()


def consent_page(session: str, token: str) -> str:
    """The page that asks for consent to cookies, with the form that a client submits."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><title>Yahoo is part of the Yahoo family of brands</title></head>
<body><form method="post" action="/v2/collectConsent?sessionId={session}" class="consent-form">
<input type="hidden" name="csrfToken" value="{token}">
<input type="hidden" name="sessionId" value="{session}">
<input type="hidden" name="originalDoneUrl" value="https://finance.yahoo.com/">
<input type="hidden" name="namespace" value="yahoo">
<button type="submit" name="agree" value="agree">Accept all</button>
<button type="submit" name="reject" value="reject">Reject all</button>
</form></body></html>
"""
