"""Effects on instances: start, await, attach, stop, keep warm, retire."""

from __future__ import annotations

from datetime import timedelta

from deployments.domain.codec import program_to_json
from deployments.domain.entities import Instance, InstanceLife
from deployments.domain.errors import InstanceExited, NeverHealthy, ProxyUnavailable
from deployments.domain.ports import Endpoint, InstanceState, ProbeOutcome
from deployments.domain.programs import program_for
from deployments.domain.spec.checks import HealthCheck
from deployments.domain.steps import (
    AttachInstance,
    AwaitHealthy,
    KeepWarm,
    RetireInstance,
    StartInstance,
    StopInstance,
)
from deployments.driver.probing import probe_request
from deployments.driver.run import Run
from deployments.driver.waiting import wait_until

ATTACH_DEADLINE = timedelta(seconds=15)


def start_instance(action: StartInstance, run: Run) -> dict[str, object]:
    """Record it, then start it; the port is reserved by the instance's name and a running one is found, not doubled."""
    world = run.world
    found = world.supervisor.observe(action.instance)
    is_there = found.state in (InstanceState.STARTING, InstanceState.RUNNING)
    port = found.port if is_there and found.port else world.provisioner.free_port(action.instance)
    program = program_for(
        run.specification,
        run.service(action.service),
        run.surroundings(action.service),
        instance=action.instance,
        revision=action.revision,
        port=port,
        log=world.log_directory / run.environment / action.service / f"{action.instance}.log",
    )
    instance = Instance(
        id=action.instance,
        environment=run.environment,
        service=action.service,
        revision=action.revision,
        release=run.plan.change(action.service).release,
        deployment=run.deployment,
        port=port,
        state=InstanceLife.STARTING,
        created_at=world.clock.now(),
        program=program_to_json(program),
    )
    world.records.instances.record(run.lease, instance)
    report = world.supervisor.ensure_started(program, fence=run.fence)
    return {"port": report.port or port, "pid": report.pid}


def await_healthy(action: AwaitHealthy, run: Run) -> dict[str, object]:
    """Ask until every health check held often enough in a row, for as long as min_healthy asks."""
    service = run.service(action.service)
    return ask_until_healthy(
        run,
        action.instance,
        checks=service.health_checks,
        deadline=service.timing.healthy_deadline,
        min_healthy=service.timing.min_healthy,
    )


def ask_until_healthy(
    run: Run, instance: str, *, checks: tuple[HealthCheck, ...], deadline: timedelta, min_healthy: timedelta
) -> dict[str, object]:
    """Raises InstanceExited when its process ended, NeverHealthy at the deadline with the last answer."""
    clock, port = run.world.clock, run.port_of(instance)
    began = clock.monotonic()
    healthy_since: float | None = None
    in_a_row = [0] * len(checks)
    last = "no answer yet"
    restarts = run.world.supervisor.observe(instance).restarts
    while True:
        run.interruption.check()
        ensure_alive(run, instance, restarts)
        for index, check in enumerate(checks):
            outcome = ask(run, check, port)
            in_a_row[index] = in_a_row[index] + 1 if outcome.is_good else 0
            last = last if outcome.is_good else outcome.detail
        now = clock.monotonic()
        if all(count >= check.successes for count, check in zip(in_a_row, checks, strict=True)):
            healthy_since = now if healthy_since is None else healthy_since
            if now - healthy_since >= min_healthy.total_seconds():
                return {"seconds": round(now - began, 3), "port": port}
        else:
            healthy_since = None
        if now - began > deadline.total_seconds():
            raise NeverHealthy(
                f"{instance} did not become healthy within {deadline.total_seconds():g} s: {last}.",
                remedy="See its log, or raise timing.healthy_deadline.",
                instance=instance,
                last_answer=last,
            )
        clock.sleep(min((check.interval for check in checks), default=timedelta(milliseconds=200)))


def ask(run: Run, check: HealthCheck, port: int) -> ProbeOutcome:
    """One look by one health check."""
    return run.world.prober.probe(
        probe_request(check.probe, port=port, timeout=check.timeout, deployment=run.deployment)
    )


def ensure_alive(run: Run, instance: str, restarts: int) -> None:
    """Raise InstanceExited when its process ended by itself, also when the supervisor has started it again since."""
    report = run.world.supervisor.observe(instance)
    if report.state in (InstanceState.EXITED, InstanceState.STOPPED) or report.restarts > restarts:
        raise InstanceExited(
            f"{instance} ended by itself with exit code {report.exit_code}.",
            remedy=f"See its log: fairlead logs {instance}.",
            instance=instance,
            exit_code=report.exit_code,
        )


def restarts_of(run: Run, services: tuple[str, ...]) -> dict[str, int]:
    """How often the supervisor has started each new instance again so far."""
    observe = run.world.supervisor.observe
    return {instance: observe(instance).restarts for name in services for instance in run.plan.change(name).instances}


def ensure_all_alive(run: Run, services: tuple[str, ...], restarts: dict[str, int]) -> None:
    """Raise InstanceExited for the first new instance that has ended by itself; a release goes out with all of them."""
    for name in services:
        for instance in run.plan.change(name).instances:
            ensure_alive(run, instance, restarts.get(instance, 0))


def attach_instance(action: AttachInstance, run: Run) -> dict[str, object]:
    """Make it known without traffic, and wait until the proxy itself sees it up."""
    revision = run.plan.change(action.service).revision
    endpoint = Endpoint(action.instance, run.port_of(action.instance), revision)
    proxy = run.proxy
    proxy.attach(action.service, endpoint, fence=run.fence)

    def is_up() -> bool:
        return any(b.endpoint.instance == action.instance and b.is_up for b in proxy.backends(action.service))

    if not wait_until(run, is_up, ATTACH_DEADLINE):
        raise ProxyUnavailable(f"The proxy does not see {action.instance} up on port {endpoint.port}.")
    return {"port": endpoint.port}


def stop_instance(action: StopInstance, run: Run) -> dict[str, object]:
    """Drain to the deadline, then stop; its program stays in the record so that undo can start it again."""
    drain(run, action.service, action.instance, deadline=run.specification.rollback_procedures.drain)
    grace = run.specification.rollback_procedures.stop_grace
    run.world.supervisor.ensure_stopped(action.instance, grace=grace, fence=run.fence)
    return {"port": run.port_of(action.instance)}


def drain(run: Run, service: str, instance: str, *, deadline: timedelta) -> int:
    """Wait until no request is in flight, at most until the deadline. Returns the requests that were left."""

    def open_sessions() -> int:
        return sum(b.sessions for b in run.backends(service) if b.endpoint.instance == instance)

    wait_until(run, lambda: open_sessions() == 0, deadline)
    return open_sessions()


def keep_warm(action: KeepWarm, run: Run) -> dict[str, object]:
    """Leave them running; the record says until when, and the reconciler obeys."""
    until = run.world.clock.now() + timedelta(seconds=action.seconds)
    for instance in action.instances:
        run.world.records.instances.set_state(run.lease, instance, InstanceLife.WARM, retire_at=until)
    return {"until": until.isoformat()}


def retire_instance(action: RetireInstance, run: Run) -> dict[str, object]:
    """Drain to a deadline, stop, forget; what is gone stays gone."""
    left = drain(run, action.service, action.instance, deadline=run.specification.rollback_procedures.drain)
    remove_instance(run, action.service, action.instance)
    return {"cut": left}


def remove_instance(run: Run, service: str, instance: str) -> None:
    """Stop it and forget it everywhere: proxy, supervisor, port, record."""
    grace = run.specification.rollback_procedures.stop_grace
    if any(b.endpoint.instance == instance for b in run.backends(service)):
        run.proxy.detach(service, instance, fence=run.fence)
    run.world.supervisor.ensure_stopped(instance, grace=grace, fence=run.fence)
    run.world.provisioner.release_port(instance)
    run.world.records.instances.set_state(run.lease, instance, InstanceLife.RETIRED)
