"""Times, durations and lists as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

MOST_SERVICES = 4


def moment(text: str) -> datetime:
    """An ISO date or time; without a zone it is this machine's. Raises ValueError."""
    found = datetime.fromisoformat(text)
    return found.astimezone() if found.tzinfo is None else found


def at(when: datetime | None) -> str:
    """Local time, to the second."""
    return "-" if when is None else f"{when.astimezone():%Y-%m-%d %H:%M:%S}"


def age(when: datetime | None) -> str:
    """How long ago: `5m ago`."""
    return "-" if when is None else f"{duration(datetime.now(UTC) - when)} ago"


def duration(value: timedelta | None) -> str:
    """The two largest units: `1h05m`, `12.3s`."""
    if value is None:
        return "-"
    seconds = max(0.0, value.total_seconds())
    if seconds < 60:
        return f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if hours < 1:
        return f"{minutes:.0f}m{seconds % 60:02.0f}s"
    return f"{hours:.0f}h{minutes % 60:02.0f}m" if days < 1 else f"{days:.0f}d{hours % 24:02.0f}h"


def services_words(services: Iterable[tuple[str, str]]) -> str:
    """`api 1.2, web 3.0 and 4 more`."""
    named = [f"{name} {version}" for name, version in services]
    shown = ", ".join(named[:MOST_SERVICES])
    return f"{shown} and {len(named) - MOST_SERVICES} more" if len(named) > MOST_SERVICES else shown
