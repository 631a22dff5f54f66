"""How many requests the proxy answered and the meter never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from deployments.adapters.haproxy.runtime import CURRENT, FRONTENDS, Runtime
from deployments.domain.errors import ProxyUnavailable

_ANSWERS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")


class Losses:
    """Compares HAProxy's own counters, of each worker, with the lines that came from it."""

    def __init__(self, runtime: Runtime, *, answered: Mapping[str, int]) -> None:
        """`answered` are the counters by process id of the worker, as a meter before this one last read them."""
        self._runtime = runtime
        self.answered: dict[str, int] = dict(answered)
        self._latest: dict[str, int] = {}

    def total(self, counted: Mapping[str, int]) -> int:
        """Lost so far, by all workers that ever were."""
        return sum(max(0, answers - counted.get(pid, 0)) for pid, answers in self.answered.items())

    def look(self) -> None:
        """Read the counters; those of the look before count from now on, as their lines have had time to arrive.

        A worker that ended keeps its last ones; a proxy that is away changes nothing.
        """
        self.answered.update(self._latest)
        with suppress(ProxyUnavailable):
            for worker in (CURRENT, *self._runtime.processes().old_workers):
                self._look_at(worker)

    def _look_at(self, worker: str) -> None:
        information = self._runtime.ask("show info", worker=worker)
        pid = next((line.split()[1] for line in information.splitlines() if line.startswith("Pid:")), None)
        if pid is not None:
            self._latest[pid] = self._answers(worker)

    def _answers(self, worker: str) -> int:
        rows = self._runtime.statistics(FRONTENDS, worker=worker)
        public: Counter[str] = Counter()
        for row in rows:
            if "." not in row["pxname"]:
                public.update({name: int(row[name]) for name in _ANSWERS if row[name]})
        return public.total()
