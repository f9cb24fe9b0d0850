"""Text made safe to show: passwords masked, control characters escaped, on one line.

Masking fails closed. An address is shown only where it can be read as one and every part of it is of a kind that
holds no secret; of anything else nothing is quoted. Imports nothing heavy.
"""

from __future__ import annotations

import re
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
_KNOWN_SCHEME = re.compile(rf"(?i)(?<![a-z0-9+.-]){_SCHEME}://")
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
    """.split()  # noqa: SIM905 - sixty of them, one a line
)
_SECRET_PARAMETERS = frozenset({"password", "sslpassword", "ssl_password", "oauth_client_secret"})
_ASSIGNMENT = r"""
    (\b\w*(?:password|passwd|passphrase|pwd|secret)|\b(?:proxy-)?authorization)
    (["']?\s*[=:]\s*)
    (?: \*\*\*(?=[\s&,;:)}\]"']|$)
      | (?:"(?:[^"\\]|\\.)*(?:"|$) | '(?:[^'\\]|\\.|'')*(?:'|$)) [^\s&,;:)}\]"']*
      | (?:basic|bearer|digest)\s+\S+
      | (?:\\.|\S)+
    )
    """
_NAMED = re.compile(rf"(?ix){_ASSIGNMENT}")
_NAMED_OUTSIDE_ADDRESSES = re.compile(rf"(?ix)(?<![?&;:/@]){_ASSIGNMENT}")
_AFTER_ADDRESS = "'\"`,;:.…!?)>}]"
_CREDENTIALS = re.compile(r":.*@", re.DOTALL)


def redact_url(url: str) -> str:
    """An address with its passwords masked: `postgresql://me:***@host:5432/db?password=***`.

    Of text that cannot be read as an address no more is shown than `***`, behind the scheme where that is a known one.
    """
    shown = _readable(url)
    return _hidden(url) if shown is None else shown


def redact(text: str) -> str:
    """The text with every password masked: in addresses, in `user:password@host` and in `password=…`."""
    named = _may_name_a_secret(text)
    if named:
        # First: a password may contain `://` and then a blank, and its name would be masked with what looks like an
        # address.
        text = _NAMED_OUTSIDE_ADDRESSES.sub(rf"\1\2{MASK}", text)
    if "@" in text or "://" in text:
        text = "\n".join(_without_credentials(line) for line in text.split("\n"))
    return _NAMED.sub(rf"\1\2{MASK}", text) if named else text


def plain(text: str) -> str:
    """One line without control or direction characters (shown as escapes) and with passwords masked."""
    return redact(without_control(text))


def without_control(text: str) -> str:
    r"""Control characters, line ends and direction marks written as `\n`, `\x1b` or `\u202e`."""
    return _CONTROL.sub(_escape, text) if _CONTROL.search(text) else text


def one_line(text: object, longest: int = LONGEST_LINE) -> str:
    """Text of another program or server on one line, passwords masked, cut to `longest` characters.

    White space becomes single blanks; what cannot be printed is dropped.
    """
    # Cut first as well: a body of megabytes must not be searched.
    words = " ".join(str(text)[:_LONGEST_SEARCHED].split())
    line = redact("".join(character for character in words if character.isprintable()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


def _may_name_a_secret(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in ("pass", "pwd", "secret", "authorization"))


def _readable(text: str) -> str | None:
    """The address with its passwords masked; None where it cannot be read as one without doubt."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return None
    scheme, user, hosts, path, query, fragment = found.group(
        "scheme", "user", "hosts", "path", "query", "fragment"
    )
    if scheme.lower() not in ("http", "https") and (fragment or re.search("(?i):|%3a|%40", path)):
        return None
    if not (
        hosts or scheme.lower() in ("postgres", "postgresql", "file") or found.end("scheme") + 3 == len(text)
    ):
        return None
    who = "" if user is None else _user(user, scheme.lower()) + "@"
    parameters = "".join(map(_parameter, re.split("([&;])", query[1:])))
    return f"{scheme}://{who}{hosts}{path}{query[:1]}{parameters}{fragment}"


def _user(text: str, scheme: str) -> str:
    """`me:***` for `me:secret`. Without a colon, only PostgreSQL's is certain to be a name and no secret."""
    name, colon, _ = text.partition(":")
    if name and not _USER.fullmatch(name):
        return MASK
    if colon:
        return f"{name}:{MASK}"
    return name if scheme.startswith("postgres") or not name else MASK


def _parameter(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals:
        return text if text in ("", "&", ";") else MASK
    is_socket_folder = name == "host" and unquote(value).startswith("/")
    if name in _HARMLESS_PARAMETERS and (is_socket_folder or _HARMLESS_VALUE.fullmatch(value)):
        return text
    return f"{name}={MASK}" if name in _HARMLESS_PARAMETERS | _SECRET_PARAMETERS else MASK


def _without_credentials(line: str) -> str:
    """The line with its addresses redacted, and with them what may be the rest of a password with blanks in it."""
    parts = re.split(r"(\s+)", line)
    latest: int | None = None
    for index, part in enumerate(parts):
        shown = _address_in(part) if "://" in part else None
        if shown is not None:
            parts[index], latest = shown, index
        elif latest is not None and ("@" in part or "://" in part):
            parts[latest : index + 1] = [_hidden_in(parts[latest]), *[""] * (index - latest)]
        elif "://" in part:
            parts[index], latest = _hidden_in(part), index
        elif "@" in part:
            parts[index] = _CREDENTIALS.sub(f":{MASK}@", part)
    return "".join(parts)


def _address_in(part: str) -> str | None:
    """A part without blanks, with its address redacted; what stands around it is kept, such as quotation marks.

    None where the address cannot be read.
    """
    before, address = _split_at_scheme(part)
    for end in (len(address), len(address.rstrip(_AFTER_ADDRESS))):
        shown = _readable(address[:end])
        if shown is not None:
            return before + shown + address[end:]
    return None


def _hidden_in(part: str) -> str:
    before, address = _split_at_scheme(part)
    return before + _hidden(address) if address else MASK


def _split_at_scheme(part: str) -> tuple[str, str]:
    """What stands before the scheme of an address, and the address; the latter is empty where there is none."""
    begin = _KNOWN_SCHEME.search(part)
    # With `:`, `/` or `@` before it, it may be the password of another address.
    if begin is None or re.search("[:/@]", part[: begin.start()]):
        return part, ""
    return part[: begin.start()], part[begin.start() :]


def _hidden(address: str) -> str:
    scheme = _KNOWN_SCHEME.match(address)
    return (scheme[0] if scheme else "") + MASK
