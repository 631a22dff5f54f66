"""Keys become names that any file system and PostgreSQL take, and that a person still recognises."""

from __future__ import annotations

import hashlib
import re


def file_name(key: str) -> str:
    """`shop/production orders` -> `shop-production-orders-1a2b3c4d`; different keys never meet."""
    return f"{re.sub(r'[^A-Za-z0-9._]+', '-', key)[:80].strip('.-') or 'x'}-{_digest(key)}"


def database_name(key: str) -> str:
    """At most 63 characters, lower case, needs no quotes."""
    return f"fl_{re.sub(r'[^a-z0-9]+', '_', key.lower())[:45].strip('_') or 'x'}_{_digest(key)}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]
