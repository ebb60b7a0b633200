"""Encryption at rest of a gallery's biometric data: AES-256-GCM, with a nonce for each value.

Every value is bound to its row and its column (associated data), so that it cannot be moved to
another person's row. The labels of prints and the audit log are not encrypted.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from pathlib import Path

KEY_VARIABLE = "IFVIT_GALLERY_KEY"
"""Environment variable of the key, as 64 hexadecimal digits or base64."""

KEY_BYTES, NONCE_BYTES = 32, 12

CHECK = b"the key of this ifvit gallery"
"""A text that a gallery keeps encrypted, by which a key is checked."""

EXPECTED = (
    f"a key of {KEY_BYTES} bytes, plain, as hexadecimal digits or as base64: make one by "
    "`openssl rand -hex 32`"
)


def read_key(path: str | Path | None) -> bytes | None:
    """Return the key from a file, or else from the environment, or None where there is neither.

    Raises FileNotFoundError, and ValueError where there is something else than a key.
    """
    if path is not None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"no such key file: {path}; expected {EXPECTED}")
        with open(path, "rb") as file:
            return _key(file.read(4096), str(path))
    text = os.environ.get(KEY_VARIABLE)
    return _key(text.encode(), KEY_VARIABLE) if text else None


def _key(data: bytes, where: str) -> bytes:
    if len(data) == KEY_BYTES:
        return data
    text = data.strip()
    for read in (binascii.unhexlify, lambda one: base64.b64decode(one, validate=True)):
        try:
            key = read(text)
        except (binascii.Error, ValueError):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise ValueError(f"{where} holds no key: expected {EXPECTED}")


class Sealer:
    """A key that encrypts, decrypts and signs."""

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes. Raises ImportError where ``cryptography`` is not installed."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher, self._key = AESGCM(key), key

    def sealed(self, data: bytes, place: bytes) -> bytes:
        """Return data encrypted: nonce, then ciphertext and tag; bound to ``place``."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, place)

    def opened(self, data: bytes, place: bytes) -> bytes:
        """Return what was encrypted; raises ValueError for another key, another place, damage."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as error:
            raise ValueError(
                f"what is encrypted for {place.decode(errors='replace')} cannot be read: it is "
                "damaged, or encrypted with another key; run `ifvit gallery check`"
            ) from error

    def keyed(self, data: bytes) -> bytes:
        """Return a digest that only the owner of the key can compute (HMAC-SHA-256)."""
        return hmac.digest(self._key, data, "sha256")
