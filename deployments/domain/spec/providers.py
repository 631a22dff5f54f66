"""Every provider, by the name a specification gives. A new one is an adapter and a row here."""

from __future__ import annotations

PROVIDERS: dict[str, str] = {
    "internal": "supervised processes on this machine, behind its proxy",
}
