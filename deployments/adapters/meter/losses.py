"""How many requests the proxy answered and the meter never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from deployments.adapters.haproxy.rendering import PUBLIC
from deployments.adapters.haproxy.runtime import CURRENT, FRONTENDS, Runtime
from deployments.domain.errors import ProxyUnavailable

_ANSWERS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")


class Losses:
    """Compares HAProxy's own counters, of each worker, with the lines that came from it."""

    def __init__(
        self, runtime: Runtime, counted: Counter[str], *, answered: Mapping[str, int], lost_by_ended: int
    ) -> None:
        """`counted` grows elsewhere. The others are what a meter before this one knew."""
        self._runtime = runtime
        self._counted = counted
        self.answered: dict[str, int] = dict(answered)
        """Requests by process id of the worker."""
        self.lost_by_ended = lost_by_ended
        """Lost of workers that have ended, and that nothing more is kept of."""
        self._latest: dict[str, int] = {}
        self._ended: set[str] = set()

    def total(self) -> int:
        """Lost so far, by all workers that ever were."""
        return self.lost_by_ended + sum(self._lost_by(pid) for pid in self.answered)

    def look(self) -> None:
        """Read the counters; those of the look before count from now on, as their lines have had time to arrive.

        A proxy that is away changes nothing.
        """
        self.answered.update(self._latest)
        with suppress(ProxyUnavailable):
            workers = (CURRENT, *self._runtime.processes().old_workers)
            self._latest = dict(found for worker in workers if (found := self._look_at(worker)))
            self._settle_ended()

    def _settle_ended(self) -> None:
        """Forget the workers that were gone at the look before this one already."""
        gone = (set(self._counted) | set(self.answered)) - set(self._latest)
        for pid in gone & self._ended:
            self.lost_by_ended += self._lost_by(pid)
            self.answered.pop(pid, None)
            del self._counted[pid]
        self._ended = gone

    def _lost_by(self, pid: str) -> int:
        return max(0, self.answered.get(pid, 0) - self._counted.get(pid, 0))

    def _look_at(self, worker: str) -> tuple[str, int] | None:
        information = self._runtime.ask("show info", worker=worker)
        pid = next((line.split()[1] for line in information.splitlines() if line.startswith("Pid:")), None)
        return (pid, self._answers(worker)) if pid else None

    def _answers(self, worker: str) -> int:
        rows = self._runtime.statistics(FRONTENDS, worker=worker)
        public: Counter[str] = Counter()
        for row in rows:
            if row["pxname"].endswith(PUBLIC):
                public.update({name: int(row[name]) for name in _ANSWERS if row[name]})
        return public.total()
