"""Ports for things that a test starts."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below the range from which the kernel takes ports for outgoing connections: those cannot be listened on meanwhile.
_FIRST, _LAST = 10_000, 32_000
_candidates = itertools.count(random.Random(os.urandom(8)).randrange(_LAST - _FIRST))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that this process was not given before."""
    for candidate in _candidates:
        port = _FIRST + candidate % (_LAST - _FIRST)
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("127.0.0.1", port))
                attempt.listen(1)
            except OSError:
                continue
            return port
    raise AssertionError("counting never ends")
