"""Text made safe to show: passwords masked, control characters escaped, on one line.

Masking fails closed. An address is shown only if it can be parsed as one and every part of it is of a kind that
holds no secret; nothing else is quoted. Imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

MASK = "***"
LONGEST_LINE = 160
_LONGEST_SEARCHED = 16_384

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SCHEME = r"(?:postgres(?:ql)?|https?|rediss?|socks(?:4a?|5h?)|file)"
_HOST = r"(?:(?:[\w.~*-]|%2F)+|\[[0-9A-F:.]*:[0-9A-F:.]*(?:%\w+)?\])(?::\d{0,5})?"
_ADDRESS = re.compile(
    rf"""(?xi)
    (?P<scheme>{_SCHEME})://
    (?:(?P<user>[^\s/?\#]*)@)?
    (?P<hosts>(?:{_HOST}(?:,{_HOST})*)?)
    (?P<path>(?:/[^\s?\#@=]*)?)
    (?P<query>(?:\?[^\s\#@]*)?)
    (?P<fragment>(?:\#[\w.~-]*)?)
    """
)
# A path joins its slashes: an address mistaken for a path has a single one.
_KNOWN_SCHEME = re.compile(rf"(?i)(?<![a-z0-9+.-]){_SCHEME}://?")
_USER = re.compile(r"[\w.~+*-]+")
_HARMLESS_VALUE = re.compile(r"(?:[\w./~,+*-]|%2[Ff])*")
_HARMLESS_PARAMETERS = frozenset(
    # libpq's and redis-py's; what an address of Wikipedia may have.
    """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts max_protocol_version min_protocol_version options passfile port replication require_auth
    requirepeer service ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl
    sslcrldir sslkey sslmode sslnegotiation sslrootcert sslsni target_session_attrs tcp_user_timeout user
    client_name db health_check_interval max_connections protocol socket_connect_timeout socket_keepalive
    socket_timeout ssl_ca_certs ssl_ca_path ssl_cert_reqs ssl_certfile ssl_check_hostname ssl_keyfile
    action curid format oldid page title
    """.split()  # noqa: SIM905 - sixty of them, one per line
)
_SECRET_PARAMETERS = frozenset({"password", "sslpassword", "ssl_password", "oauth_client_secret"})
_NAME = r"\w*(?:password|passwd|passphrase|pwd|secret)"
_MASKED = r"""\*\*\*(?=[,;:)}\]"']*(?:\s|\Z))"""
_QUOTED = r"""[bru]{0,2}(?:"(?:[^"\\]++|\\.|\\\Z)*+(?:"|\Z)|'(?:[^'\\]++|\\.|''|\\\Z)*+(?:'|\Z))"""
_REST = r"(?:[^\s\\]++|\\.|\\\Z)"
_NAMED = re.compile(
    # (?a): for libpq, only ASCII white space ends a value. Without quotation marks around it, a
    # value of libpq can hold them anywhere; one of JSON ends with its own.
    rf"""(?xisa)
      (?<=[?&]) {_NAME} = (?P<parameter> {_QUOTED}(?:\\\s|[^\s&])* | (?:\\\s|[^\s&])+)
    | \b{_NAME} \s*=\s* (?P<value> {_MASKED} | [=>]*\s*{_QUOTED}{_REST}*+ | {_REST}++)
    | (?:\b{_NAME} | \b(?:proxy-)?authorization) ["']? \s*[=:]\s*
      (?P<field>
          {_MASKED}
        | [=>]*\s*{_QUOTED}[^\s&,;:)}}\]"']*
        | (?:basic|bearer|digest)\s+\S+
        | {_REST}++
      )
    """
)
_AFTER_ADDRESS = "'\"`,;:.…!?)>}]"
_CREDENTIALS = re.compile(r":.*@", re.DOTALL)
_PARAMETER = re.compile(r"[^&;]+")
_LINE = re.compile(r"[^\n]+")
_WORD = re.compile(r"\S+")

# Start and end of a secret, as in a slice.
_Span = tuple[int, int]


def redact_url(url: str) -> str:
    """An address with its passwords masked: `postgresql://me:***@host:5432/db?password=***`.

    Text that cannot be parsed as an address is shown as `***`, after the scheme if that is a known one.
    """
    secrets = _secrets_in_address(url, 0, len(url))
    if secrets is None:
        secrets = [(_end_of_scheme(url), len(url))]
    return _masked(url, secrets)


def redact(text: str) -> str:
    """The text with every password masked: in addresses, in `user:password@host` and in `password=…`.

    A password can contain what looks like another notation. Each notation is searched for in the original text, and
    whatever is a secret in any of them is masked.
    """
    secrets: list[_Span] = []
    if _may_name_a_secret(text):
        secrets += _named_secrets(text)
    if "@" in text or ":/" in text:
        for line in _LINE.finditer(text):
            secrets += _secrets_in_line(text, *line.span())
    masked = _masked(text, secrets)
    # The text around a mask can parse differently; masking a masked text again must change nothing.
    return masked if masked == text else redact(masked)


def plain(text: str) -> str:
    """One line without control or direction characters (shown as escapes) and with passwords masked."""
    return redact(without_control(text))


def shown_value(value: str, longest: int = 40) -> str:
    """A single value, such as an argument, as `plain` text that is cut to `longest` characters.

    It is masked before it is cut, because the rest of an address need not look like one. What may be an address
    with spaces in its password is shown as `redact_url` shows it.
    """
    text = without_control(value)
    shown = redact_url(text) if "://" in text or _CREDENTIALS.search(text) else redact(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def without_control(text: str) -> str:
    r"""Control characters, line ends and direction marks written as `\n`, `\x1b` or `\u202e`."""
    return _CONTROL.sub(_escape, text) if _CONTROL.search(text) else text


def one_line(text: object, longest: int = LONGEST_LINE) -> str:
    """Text of another program or server on one line, passwords masked, cut to `longest` characters.

    White space becomes single spaces; unprintable characters are dropped.
    """
    # Cut first as well: a body of megabytes must not be searched.
    words = re.sub(r"(?a)\s+", " ", str(text)[:_LONGEST_SEARCHED])
    # Non-ASCII white space is replaced only now: a password may contain it.
    line = redact("".join(character for character in words if character.isprintable() or character.isspace()))
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def _may_name_a_secret(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in ("pass", "pwd", "secret", "authorization"))


def _masked(text: str, secrets: Iterable[_Span]) -> str:
    """The text with `***` for each secret; secrets that overlap or touch are masked as one."""
    shown: list[str] = []
    position = 0
    for begin, end in sorted(secrets):
        if not shown or begin > position:
            shown += [text[position:begin], MASK]
        position = max(position, end)
    return "".join(shown) + text[position:]


def _named_secrets(text: str) -> Iterator[_Span]:
    """The values of names such as `password`; a value can contain another name with its value."""
    found = _NAMED.search(text)
    while found:
        begin, end = found.span(found.lastgroup or 0)
        yield begin, end
        found = _NAMED.search(text, begin)


def _secrets_in_line(text: str, begin: int, end: int) -> Iterator[_Span]:
    """The secrets in the addresses of a line, with what may be the rest of a password that contains spaces."""
    open_from: int | None = None
    for word in _WORD.finditer(text, begin, end):
        scheme = _KNOWN_SCHEME.search(text, *word.span())
        if scheme is not None or "://" in word[0]:
            # With `:`, `/` or `@` before it, it may be the password of another address.
            if scheme is not None and re.search("[:/@]", text[word.start() : scheme.start()]):
                scheme = None
            secrets = None if scheme is None else _secrets_in_quoted_address(text, scheme.start(), word.end())
            if secrets is not None or open_from is None:
                open_from = word.start() if scheme is None else scheme.end()
            yield from [(open_from, word.end())] if secrets is None else secrets
        elif "@" in word[0]:
            if open_from is not None:
                yield open_from, word.end()
            elif credentials := _CREDENTIALS.search(text, *word.span()):
                yield credentials.start() + 1, credentials.end() - 1


def _secrets_in_quoted_address(text: str, begin: int, end: int) -> list[_Span] | None:
    """The secrets of the address from `begin` to `end`, which a quotation mark or a full stop may follow."""
    secrets = _secrets_in_address(text, begin, end)
    if secrets is None:
        secrets = _secrets_in_address(text, begin, begin + len(text[begin:end].rstrip(_AFTER_ADDRESS)))
    return secrets


def _secrets_in_address(text: str, begin: int, end: int) -> list[_Span] | None:
    """The secrets of the address from `begin` to `end`; None if it cannot be parsed unambiguously."""
    found = _ADDRESS.fullmatch(text, begin, end)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    if scheme not in ("http", "https") and (found["fragment"] or re.search("(?i):|%3a|%40", found["path"])):
        return None
    if not (
        found["hosts"]
        or scheme in ("postgres", "postgresql", "file")
        or found.end("scheme") + 3 == found.end()
    ):
        return None
    secrets = []
    if found["user"]:
        name, colon, _ = found["user"].partition(":")
        if name and not _USER.fullmatch(name):
            secrets.append(found.span("user"))
        elif colon:
            secrets.append((found.start("user") + len(name) + 1, found.end("user")))
        elif not scheme.startswith("postgres"):
            # Without a colon, only PostgreSQL's user information is certain to be a user name.
            secrets.append(found.span("user"))
    for parameter in _PARAMETER.finditer(text, found.start("query") + 1, found.end("query")):
        name, equals, value = parameter[0].partition("=")
        is_socket_folder = name == "host" and unquote(value).startswith("/")
        if equals and name in _HARMLESS_PARAMETERS | _SECRET_PARAMETERS:
            if name in _SECRET_PARAMETERS or not (is_socket_folder or _HARMLESS_VALUE.fullmatch(value)):
                secrets.append((parameter.start() + len(name) + 1, parameter.end()))
        else:
            secrets.append(parameter.span())
    return secrets


def _end_of_scheme(address: str) -> int:
    scheme = _KNOWN_SCHEME.match(address)
    return 0 if scheme is None else scheme.end()
