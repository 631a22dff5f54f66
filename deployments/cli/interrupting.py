"""Ctrl-C, SIGTERM and a terminal that closes: counted, never fatal, while a deployment is under way."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """A context. `count` grows with each signal; what they mean is decided where it is read."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupts:
        for number in ASKING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked for that
                self._before[number] = signal.signal(number, self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` itself returned

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
