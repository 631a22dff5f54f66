"""A full disk is one error, wherever it is met."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from deployments.domain.errors import DiskFull


@contextmanager
def disk_full_named(doing: str) -> Iterator[None]:
    """Turn the operating system's "no space left" and "quota exceeded" into DiskFull; `doing` begins the message."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"{doing} found no space left: {error.filename}.", remedy="Make room.") from error
