"""The records go away, lose answers, die or are full in mid-rollout: nothing lost, nothing doubled, nothing unintended.

The controller reaches its PostgreSQL through a relay, or one of its own is killed; the tests look directly.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from deployments.domain.errors import DatabaseUnavailable, DiskFull, LeaseLost
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus, Reason
from deployments.driver import conducting, enduring, following
from deployments.driver.reconciling import reconcile_environment
from deployments.store.migrate import migrate
from deployments.store.records import Records
from tests.driver.faulty import (
    HASTY,
    LosingRecords,
    Losses,
    Waiting,
    WatchedProxy,
    assert_told_once,
    controller,
    drive,
    lease_is_over,
    meanwhile,
    records_over,
    story,
)
from tests.driver.stage import ENVIRONMENT, Reaper, Stage, service, specification
from tests.driver.test_killing import Case
from tests.fakes.database import PostgresServer, postgres_server
from tests.fakes.relay import Relay, relay_to
from tests.waiting import until

COMPLETED, ROLLED_BACK = DeploymentStatus.COMPLETED, DeploymentStatus.ROLLED_BACK


@pytest.fixture
def relay(postgres: PostgresServer) -> Iterator[Relay]:
    """A relay to the server that all tests share."""
    own = Path(tempfile.mkdtemp(prefix="fl-r-", dir="/tmp"))
    with relay_to(postgres.directory, own) as found:
        yield found
    shutil.rmtree(own, ignore_errors=True)


@pytest.fixture
def remote(relay: Relay, fresh_database_url: str) -> Iterator[Records]:
    """The controller's records, by way of the relay."""
    with records_over(relay.url(fresh_database_url)) as records:
        yield records


@pytest.fixture
def proxy(stage: Stage) -> WatchedProxy:
    """The stage's proxy, which looks for intents; the first release serves already."""
    found = WatchedProxy(stage.records)
    stage.proxy = found
    stage.deploy(specification(service("api", "1.0")))
    return found


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """Hears for what the driver waits."""
    handler = Waiting()
    logger = logging.getLogger("fairlead.records")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


def upgrade(**fields: object) -> DeploymentSpecification:
    return specification(service("api", "2.0"), **fields)


def resuming() -> DeploymentSpecification:
    return upgrade(emergency_procedures={"on_controller_lost": "resume"})


def assert_one_end(stage: Stage, proxy: WatchedProxy, status: DeploymentStatus) -> None:
    """One release serves, nothing is held or left, and every weight had its intent."""
    done = stage.last()
    assert done.status is status, done
    assert stage.records.stables.current(ENVIRONMENT)["api"].version == ("2.0" if status is COMPLETED else "1.0")
    serving = {endpoint.instance for endpoint in stage.records.stables.current(ENVIRONMENT)["api"].endpoints}
    assert stage.serving("api").keys() == serving
    assert not proxy.handle().is_armed
    assert proxy.unintended == []
    assert lease_is_over(stage)
    assert_told_once(stage)


@pytest.mark.parametrize(
    ("strategy", "kind", "loss"),
    [
        ("rolling", "first", "answer"),
        ("rolling", "failing", "answer"),
        ("blue_green", "upgrade", "answer"),
        ("recreate", "failing", "answer"),
        ("rolling", "upgrade", "question"),
        ("blue_green", "failing", "question"),
    ],
)
def test_a_deployment_whose_every_write_is_lost_once_tells_the_same_story(
    relay: Relay, fresh_database_url: str, tmp_path: Path, strategy: str, kind: str, loss: str
) -> None:
    case = Case(fresh_database_url, tmp_path, strategy, kind)
    stage, wanted = case.prepare()
    stage.deploy(wanted)
    undisturbed, status, opened = story(stage), stage.last().status, len(stage.records.queries.history(limit=9))
    stage.close()

    stage, wanted = case.prepare()
    losses = Losses(relay, relay.lose_answer if loss == "answer" else relay.lose_question)
    with records_over(relay.url(fresh_database_url)) as remote:
        done = drive(stage, controller(stage, LosingRecords(remote, losses)), wanted)

    assert done.status is status
    assert story(stage) == undisturbed
    assert len(stage.records.queries.history(limit=9)) == opened
    assert_told_once(stage)
    assert losses.lost == losses.made
    assert losses.lost.total() == relay.cuts
    stage.close()


def test_whoever_takes_over_through_losses_brings_it_to_one_end_and_tells_nothing_twice(
    stage: Stage, proxy: WatchedProxy, relay: Relay, remote: Records
) -> None:
    stage.deploy(upgrade(), Reaper(kill_at=30))
    assert not stage.last().is_final
    losses = Losses(relay, relay.lose_answer)
    taker = controller(stage, LosingRecords(remote, losses))
    while not stage.last().is_final:
        stage.expire_leases()
        reconcile_environment(taker, ENVIRONMENT)

    assert_one_end(stage, proxy, ROLLED_BACK)
    assert {"leases.acquire", "deployments.note", "deployments.fail_and_plan_undo"} <= set(losses.lost)


def test_a_database_that_is_killed_in_mid_rollout_and_starts_again_costs_nothing(
    tmp_path: Path, waiting: Waiting
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server())
        url = server.url("postgres")
        migrate(url)
        stage = Stage(url, tmp_path)
        stack.callback(stage.close)
        proxy = WatchedProxy(stage.records)
        stage.proxy = proxy
        for version in ("0.8", "0.9", "1.0"):
            stage.deploy(specification(service("api", version)))
        undisturbed = story(stage)
        proxy.at_weights = server.kill
        remote = stack.enter_context(Records(url))
        with meanwhile(lambda: drive(stage, controller(stage, remote), upgrade())):
            waiting.until_it_waits()
            server.start_again()  # here, for it dies with the thread that starts it
        assert_one_end(stage, proxy, COMPLETED)
        assert story(stage) == undisturbed


def test_a_database_that_is_away_for_longer_than_the_lease_is_awaited_and_the_deployment_comes_back(
    stage: Stage, proxy: WatchedProxy, relay: Relay, remote: Records
) -> None:
    proxy.at_weights = relay.refuse

    def return_late() -> None:
        until(lambda: proxy.at_weights is None and lease_is_over(stage), "the lease to be over")
        relay.allow()

    with meanwhile(return_late):
        done = drive(stage, controller(stage, remote, HASTY), upgrade())

    assert_one_end(stage, proxy, ROLLED_BACK)
    assert done.reason is Reason.CONTROLLER_LOST
    assert story(stage).count("TakenOver") >= 1


def test_it_goes_on_by_itself_where_the_specification_says_so(
    stage: Stage, proxy: WatchedProxy, relay: Relay, remote: Records
) -> None:
    proxy.at_weights = relay.refuse

    def return_late() -> None:
        until(lambda: proxy.at_weights is None and lease_is_over(stage), "the lease to be over")
        relay.allow()

    with meanwhile(return_late):
        drive(stage, controller(stage, remote, HASTY), resuming())

    assert_one_end(stage, proxy, COMPLETED)


@pytest.mark.parametrize("is_resumed", [False, True], ids=["taken back", "completed"])
def test_who_was_overtaken_while_the_database_was_away_changes_nothing_and_says_by_whom(
    stage: Stage, proxy: WatchedProxy, relay: Relay, remote: Records, is_resumed: bool
) -> None:
    proxy.at_weights = relay.refuse
    after: list[object] = []

    def overtake() -> None:
        until(lambda: proxy.at_weights is None and lease_is_over(stage), "the lease to be over")
        assert len(stage.reconcile()) == 1
        after.append((list(proxy.history), len(stage.records.events.timeline()), stage.supervisor.running()))
        relay.allow()

    with meanwhile(overtake):
        if is_resumed:
            drive(stage, controller(stage, remote, HASTY), resuming())
        else:
            with pytest.raises(LeaseLost, match="rolled back") as caught:
                drive(stage, controller(stage, remote, HASTY), upgrade())
            assert str(caught.value.context["holder"]) in caught.value.message
            assert "could not be renewed in time" in caught.value.message

    assert after == [(proxy.history, len(stage.records.events.timeline()), stage.supervisor.running())]
    assert_one_end(stage, proxy, COMPLETED if is_resumed else ROLLED_BACK)


def test_a_process_that_was_stopped_beyond_its_lease_changes_nothing_and_says_why(
    stage: Stage, proxy: WatchedProxy
) -> None:
    after: list[object] = []

    def overtake() -> None:
        stage.expire_leases()
        assert len(stage.reconcile()) == 1
        after.append((list(proxy.history), len(stage.records.events.timeline()), stage.supervisor.running()))

    proxy.at_weights = overtake
    with pytest.raises(LeaseLost, match=r"took .* over from this process .*rolled back: Its controller was lost"):
        drive(stage, controller(stage, stage.records), upgrade())

    assert after == [(proxy.history, len(stage.records.events.timeline()), stage.supervisor.running())]
    assert_one_end(stage, proxy, ROLLED_BACK)


def test_a_database_that_goes_away_while_a_deployment_queues_is_awaited(
    stage: Stage, proxy: WatchedProxy, relay: Relay, remote: Records, waiting: Waiting
) -> None:
    other = stage.records.leases.acquire(ENVIRONMENT, "other", HASTY.lease * 100, minimum_fence=proxy.highest_fence())

    def free_it() -> None:
        until(lambda: stage.last().status is DeploymentStatus.PENDING, "the deployment to queue")
        relay.refuse()
        waiting.until_it_waits()
        stage.records.leases.release(other)
        relay.allow()

    with meanwhile(free_it):
        drive(stage, controller(stage, remote), upgrade())

    assert_one_end(stage, proxy, COMPLETED)


def test_a_database_that_is_away_at_the_beginning_is_not_waited_for_long(
    stage: Stage, relay: Relay, remote: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conducting, "BRIEF", HASTY.renew)
    relay.refuse()

    with pytest.raises(DatabaseUnavailable, match="did not answer"):
        drive(stage, controller(stage, remote), upgrade())

    assert stage.records.queries.history(limit=1) == []


def fill(stage: Stage, *tables: str, of_steps: str = "") -> None:
    """From now on the server answers a write to these tables as it does when its disk is full."""
    only = f"WHEN (NEW.key LIKE '{of_steps}')" if of_steps else ""
    with stage.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE"
                " '53100' USING MESSAGE = 'could not extend file \"base/1/2\": No space left on device'; END $$"
            )
        )
        for table in tables:
            trigger = f"CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON fairlead.{table} FOR EACH ROW {only}"
            connection.execute(text(f"{trigger} EXECUTE FUNCTION no_space()"))


def make_room(stage: Stage) -> None:
    with stage.engine.begin() as connection:
        connection.execute(text("DROP FUNCTION no_space CASCADE"))


@pytest.mark.parametrize(
    ("of_steps", "is_bad", "status"),
    [("%", False, COMPLETED), ("shift:%", False, COMPLETED), ("undo:%", True, ROLLED_BACK)],
    ids=["everything", "traffic", "the way back"],
)
def test_a_full_disk_is_waited_for_and_nothing_moves_meanwhile(
    stage: Stage, proxy: WatchedProxy, waiting: Waiting, of_steps: str, is_bad: bool, status: DeploymentStatus
) -> None:
    wanted = upgrade()
    if is_bad:
        stage.prober.sicken(("api", stage.revision_asked(wanted, "api")))
        wanted = specification(service("api", "2.0", timing={"healthy_deadline": "50ms", "progress_deadline": "10s"}))
    fill(stage, "journal", of_steps=of_steps)
    before = list(proxy.history)

    def free_some() -> None:
        waiting.until_it_waits()
        assert proxy.history == before
        make_room(stage)

    with meanwhile(free_some):
        drive(stage, controller(stage, stage.records), wanted)

    assert_one_end(stage, proxy, status)
    assert "is full" in waiting.causes[0]
    assert "Free some space" in waiting.remedies[0]


def test_a_disk_that_stays_full_is_named_with_its_remedy_and_the_deployment_is_left_to_the_next(
    stage: Stage, proxy: WatchedProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (enduring, following):
        monkeypatch.setattr(module, "PATIENCE", HASTY.renew)
    proxy.at_weights = lambda: fill(stage, "journal", "deployments")
    before = len(proxy.history)

    with pytest.raises(DiskFull, match=r"has not ended.*is full.*Free some space.*fairlead up"):
        drive(stage, controller(stage, stage.records, HASTY), upgrade())

    assert len(proxy.history) == before + 1, "what was intended before the disk was full, and nothing after"
    make_room(stage)
    until(lambda: lease_is_over(stage), "the lease to be over")
    stage.expire_leases()
    stage.reconcile()
    assert_one_end(stage, proxy, ROLLED_BACK)
