"""The certificate authorities that the sources trust: `--ca-file`, or those named in the environment."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sp500tui.errors import ConfigurationError, resource_remedy

VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Environment variables that name a file or folder of trusted authorities; the first one set is used."""
DIRECTORY = "SSL_CERT_DIR"
"""Folders of authorities, separated by colons; used if none of `VARIABLES` is set."""

_BUNDLE = "authorities.pem"
_LARGEST_CERTIFICATE = 1 << 20
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def trusted_authorities(ca_file: Path | None, environment: Mapping[str, str], cache_dir: Path) -> Path | None:
    """The PEM file of authorities for both sources; None for the libraries' own.

    `requests` and `curl_cffi` read different variables, so the choice is made here for both. The authorities of a
    folder are collected in a file in `cache_dir`.

    Raises:
        ConfigurationError: the file or folder that a variable names cannot be used.
    """
    if ca_file is not None:
        return ca_file
    # Path.is_dir raises in a folder that cannot be entered; os.path does not.
    for name in VARIABLES:
        value = environment.get(name, "").strip()
        if value:
            path = Path(value)
            return _collected(name, [path], cache_dir) if os.path.isdir(path) else _checked(name, path)  # noqa: PTH112
    folders = [Path(folder) for folder in environment.get(DIRECTORY, "").split(os.pathsep) if folder.strip()]
    # OpenSSL skips folders that are absent; distributions and environment modules rely on it.
    present = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112
    return _collected(DIRECTORY, present, cache_dir) if present else None


def _checked(name: str, path: Path) -> Path:
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        # A pipe can be read only once, and each source reads the file itself.
        raise ConfigurationError(
            f"{name} names {path}, which is not a regular file; correct the variable, unset it or give --ca-file"
        )
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        raise ConfigurationError(
            f"{name} names {path}, which holds no PEM certificate; correct the variable, unset it or give --ca-file"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"{name} names {path}, which cannot be read: {reason}; correct the variable, unset it or give --ca-file"
        ) from None
    return path


def _collected(name: str, folders: list[Path], cache_dir: Path) -> Path:
    """One file with the certificates of all files in these folders."""
    shown = os.pathsep.join(map(str, folders))
    certificates: dict[str, None] = {}
    try:
        # The same certificate often exists twice, under its name and under its hash.
        files = {entry.resolve() for folder in folders for entry in folder.iterdir() if entry.is_file()}
        for file in sorted(files):
            certificates |= dict.fromkeys(_certificates(file))
    except OSError as error:
        raise ConfigurationError(
            f"{name} names {shown}, which cannot be read: {error.strerror}; correct the variable, unset it or give "
            "--ca-file"
        ) from None
    if not certificates:
        raise ConfigurationError(
            f"{name} names {shown}, which holds no PEM certificate; correct the variable, unset it or give --ca-file"
        )
    bundle = cache_dir / _BUNDLE
    _replace(bundle, "\n".join(certificates))
    return _checked(name, bundle)


def _certificates(file: Path) -> list[str]:
    """The PEM certificates of a file; none if it is unreadable or something else."""
    try:
        if file.stat().st_size > _LARGEST_CERTIFICATE:
            return []
        text = file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    parts = (part.partition(_END)[0] for part in text.split(_BEGIN)[1:])
    return [f"{_BEGIN}{part}{_END}\n" for part in parts]


def _replace(path: Path, text: str) -> None:
    name = ""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{_BUNDLE}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="ascii", errors="replace") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        with suppress(OSError):
            Path(name or path.parent / _BUNDLE).unlink(missing_ok=True)
        remedy = resource_remedy(error) or "make it writable"
        raise ConfigurationError(
            f"trusted certificates cannot be collected in {path.parent}: {error.strerror}; {remedy}"
        ) from None
