"""Who may come in: a text file of user names and password hashes.

One line a user, ``name:scrypt:n:r:p:salt:hash``, salt and hash in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from caiseg.errors import InvalidInput

# 2**15 · 8 · 128 bytes = 32 MiB and about a tenth of a second a try (OWASP's advice for scrypt).
_N, _R, _P = 2**15, 8, 3
_MAX_MEMORY = 2**27
MIN_PASSWORD_LENGTH = 8


@dataclass(frozen=True, slots=True)
class _PasswordHash:
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str) -> _PasswordHash:
        salt = secrets.token_bytes(16)
        return cls(_N, _R, _P, salt, _scrypt(password, _N, _R, _P, salt))

    def matches(self, password: str) -> bool:
        given = _scrypt(password, self.n, self.r, self.p, self.salt)
        return hmac.compare_digest(given, self.digest)

    def to_text(self) -> str:
        salt, digest = (base64.b64encode(part).decode("ascii") for part in (self.salt, self.digest))
        return f"scrypt:{self.n}:{self.r}:{self.p}:{salt}:{digest}"

    @classmethod
    def from_text(cls, text: str) -> _PasswordHash:
        scheme, n, r, p, salt, digest = text.split(":")
        if scheme != "scrypt":
            raise ValueError(scheme)
        return cls(int(n), int(r), int(p), base64.b64decode(salt), base64.b64decode(digest))


class Accounts:
    """The users of an auth file.

    Args:
        path: The file.

    Raises:
        InvalidInput: The file is not an auth file.
    """

    def __init__(self, path: Path):
        self._hashes = _read(path)
        # An unknown name must take as long to refuse as a wrong password.
        self._nobody = _PasswordHash.of(secrets.token_hex(16))

    def admits(self, name: str, password: str) -> bool:
        """Whether the password is this user's; takes the same time whether or not."""
        known = self._hashes.get(name)
        matches = (known or self._nobody).matches(password)
        return matches and known is not None


def add_user(path: Path, name: str, password: str) -> None:
    """Add a user to an auth file, or change the password of one; the file is made if missing.

    Raises:
        InvalidInput: The name or password cannot be used, or the file is not an auth file.
    """
    if not name or ":" in name or not name.isprintable() or name != name.strip():
        raise InvalidInput(f"'{name}' cannot be a user name; use letters, digits and dots.")
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidInput(f"A password needs at least {MIN_PASSWORD_LENGTH} characters.")
    hashes = _read(path) if path.exists() else {}
    hashes[name] = _PasswordHash.of(password)
    text = "".join(f"{user}:{entry.to_text()}\n" for user, entry in sorted(hashes.items()))
    # mkstemp makes files that nobody else can read; the rename makes the change whole.
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(unfinished, path)


def _read(path: Path) -> dict[str, _PasswordHash]:
    hashes = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            name, _, entry = line.partition(":")
            hashes[name] = _PasswordHash.from_text(entry)
    except (OSError, ValueError):
        raise InvalidInput(
            f"{path} is not an auth file; make one with --add-user NAME --auth FILE."
        ) from None
    return hashes


def _scrypt(password: str, n: int, r: int, p: int, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8"), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32
    )
