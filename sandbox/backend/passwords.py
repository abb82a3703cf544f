"""Salted password hashes, as the database holds them."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# Small on purpose: logins are frequent here and the accounts are synthetic.
_COST = 2**10


def hash_password(password: str) -> str:
    """`scrypt$<salt>$<hash>`, both in hexadecimal."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Whether the password is the one that `stored` was made from."""
    _, salt, digest = stored.split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)), bytes.fromhex(digest))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=8, p=1, dklen=32)
