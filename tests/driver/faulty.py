"""What storage tests stand on: a controller behind a relay, a proxy that is watched, records whose answers are lost."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import event, text

from deployments.domain.entities import Deployment
from deployments.domain.errors import DatabaseUnavailable
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.driver.forward import go_forward
from deployments.driver.world import SystemClock, World
from deployments.settings import Timings
from deployments.store.engine import make_engine
from deployments.store.records import Records
from tests.driver.stage import ENVIRONMENT, Stage
from tests.fakes.proxy import FakeProxy
from tests.fakes.relay import Relay
from tests.waiting import until

PATIENT = Timings(
    renew=timedelta(seconds=1), lease=timedelta(minutes=2), takeover=timedelta(minutes=3), handle=timedelta(minutes=4)
)
"""A lease that outlasts every fault of a test."""
HASTY = Timings(
    renew=timedelta(milliseconds=100),
    lease=timedelta(milliseconds=800),
    takeover=timedelta(seconds=1),
    handle=timedelta(minutes=4),
)
"""A lease that is soon over."""
STATEMENTS = {
    "environments.ensure_default": "INSERT INTO fairlead.environments",
    "deployments.open": "INSERT INTO fairlead.deployments",
    "deployments.advance": "UPDATE fairlead.deployments",
    "deployments.withdraw": "UPDATE fairlead.deployments",
    "deployments.fail_and_plan_undo": "UPDATE fairlead.deployments",
    "deployments.save_plan": "INSERT INTO fairlead.documents",
    "deployments.save": "INSERT INTO fairlead.documents",
    "deployments.save_report": "INSERT INTO fairlead.documents",
    "deployments.note": "INSERT INTO fairlead.events",
    "leases.acquire": "UPDATE fairlead.leases SET owner",
    "leases.refence": "UPDATE fairlead.leases SET owner",
    "leases.release": "UPDATE fairlead.leases SET owner",
    "journal.intend": "INSERT INTO fairlead.journal",
    "journal.receipt": "UPDATE fairlead.journal",
    "stables.mark": "INSERT INTO fairlead.stables",
    "instances.record": "INSERT INTO fairlead.instances",
    "instances.set_state": "UPDATE fairlead.instances",
    "routes.record": "INSERT INTO fairlead.routes",
    "routes.remove": "DELETE FROM fairlead.routes",
    "resources.record": "INSERT INTO fairlead.resources",
    "resources.remove": "DELETE FROM fairlead.resources",
    "releases.record": "INSERT INTO fairlead.releases",
    "quarantine.add": "INSERT INTO fairlead.quarantine",
    "commands.obeyed": "UPDATE fairlead.commands",
}
"""Every write of a controller, and the statement by which it is known on the wire."""


class BriskClock(SystemClock):
    """The machine's clock, with waits cut to a tenth."""

    def sleep(self, duration: timedelta) -> None:
        super().sleep(duration / 10)


class WatchedProxy(FakeProxy):
    """Looks into the records, directly, whenever weights are set; `at_weights` happens once, just before."""

    def __init__(self, records: Records) -> None:
        super().__init__()
        self.unintended: list[str] = []
        self.at_weights: Callable[[], None] | None = None
        self._records = records

    def set_weights(self, service: str, weights: Mapping[str, int], *, fence: int) -> None:
        fault, self.at_weights = self.at_weights, None
        if fault is not None:
            fault()
        elif not self._is_intended(service):
            self.unintended.append(service)
        super().set_weights(service, weights, fence=fence)

    def _is_intended(self, service: str) -> bool:
        newest = self._records.queries.history(limit=1)[0].id
        doubtful = [entry.key for entry in self._records.journal.entries(newest) if not entry.is_done]
        mine = (f"shift:{service}:", f"undo:traffic:{service}", f"undo:restart:{service}", "promote")
        return any(key.startswith(mine) for key in doubtful)


class Losses:
    """Loses the answer to every write once, or its question; what is asked again passes."""

    def __init__(self, relay: Relay, lose: Callable[[str], None]) -> None:
        self.made: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._relay, self._lose = relay, lose
        self._repeated: set[str] = set()

    def around(self, name: str, write: Callable[..., Any]) -> Callable[..., Any]:
        """The write, with its loss."""

        def losing(*arguments: Any, **named: Any) -> Any:
            if name in self._repeated:
                self._repeated.discard(name)
                return write(*arguments, **named)
            self.made[name] += 1
            self._lose(STATEMENTS[name])
            try:
                return write(*arguments, **named)
            except DatabaseUnavailable:
                self._repeated.add(name)
                self.lost[name] += 1
                raise
            finally:
                self._relay.forgive()

        return losing


class LosingRepository:
    """A repository whose writes get lost."""

    def __init__(self, inner: object, kind: str, losses: Losses) -> None:
        self._inner, self._kind, self._losses = inner, kind, losses

    def __getattr__(self, name: str) -> Any:
        found, whole = getattr(self._inner, name), f"{self._kind}.{name}"
        return self._losses.around(whole, found) if whole in STATEMENTS else found


class LosingRecords:
    """Records whose writes get lost."""

    def __init__(self, inner: Records, losses: Losses) -> None:
        self._inner = inner
        for kind in {name.split(".")[0] for name in STATEMENTS}:
            setattr(self, kind, LosingRepository(getattr(inner, kind), kind, losses))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def records_over(url: str) -> Records:
    """Records that send every statement as text, so that a relay can know it: none is prepared."""
    engine = make_engine(url)
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "prepare_threshold", None))
    return Records(engine)


def controller(stage: Stage, records: Any, timings: Timings = PATIENT) -> World:
    """The outside as a controller of these records sees it."""
    return replace(stage.world(), records=records, clock=BriskClock(), timings=timings)


def drive(stage: Stage, world: World, specification: DeploymentSpecification) -> Deployment:
    """A deployment from its beginning to its end, as the flow does it."""
    with stage.held(specification, world) as (conductor, run):
        try:
            go_forward(run)
        except Exception as error:  # noqa: BLE001 - whatever ends it, as in the flow
            conductor.fail(run, error)
        return stage.records.deployments.get(run.deployment)


def story(stage: Stage) -> list[str]:
    """What was told of the newest deployment, in its order."""
    return [event.kind.value for event in stage.records.events.timeline(deployment=stage.last().id)]


def assert_told_once(stage: Stage) -> None:
    """Nothing is told twice of any deployment, and every journal entry is told by its intent and its receipt."""
    doubled = """
        SELECT kind, subject, service, data, count(*) FROM fairlead.events WHERE deployment IS NOT NULL
        GROUP BY family, kind, environment, deployment, subject, service, data HAVING count(*) > 1
    """
    silent = """
        SELECT j.deployment, j.key, e.kind FROM fairlead.journal j
        CROSS JOIN (VALUES ('%Intended', false), ('%Done', true), ('%Undone', true)) AS e (kind, is_end)
        WHERE (e.is_end = false OR (j.done_at IS NOT NULL AND (j.key LIKE 'undo:%') = (e.kind = '%Undone')))
        AND NOT EXISTS (SELECT FROM fairlead.events t
            WHERE t.deployment = j.deployment AND t.subject = j.key AND t.kind LIKE e.kind)
    """
    with stage.engine.connect() as connection:
        assert connection.execute(text(doubled)).all() == []
        assert connection.execute(text(silent)).all() == []


def lease_is_over(stage: Stage) -> bool:
    """Whether nobody holds the environment any more."""
    return stage.records.leases.holder(ENVIRONMENT) is None


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Something that happens beside the block; what it raises is raised when the block ends."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    thread = threading.Thread(target=run, name="meanwhile", daemon=True)
    thread.start()
    yield
    thread.join(timeout=60)
    assert not thread.is_alive(), "what was to happen meanwhile goes on"
    if raised:
        raise raised[0]


class Waiting(logging.Handler):
    """Hears for what the driver waits."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.causes: list[str] = []
        self.remedies: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.causes.append(str(record.__dict__.get("cause")))
        self.remedies.append(str(record.__dict__.get("remedy")))

    def until_it_waits(self) -> None:
        """Return when the driver has looked some times in vain."""
        known = len(self.causes)
        until(lambda: len(self.causes) >= known + 3, "the driver to wait for its records")
