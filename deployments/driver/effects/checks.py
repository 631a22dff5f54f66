"""Effects that only look: checks of a release, integration, the bake."""

from __future__ import annotations

from datetime import timedelta

from deployments.domain.errors import CheckFailed, CriteriaBreached, ProxyUnavailable
from deployments.domain.judge import Judgement, conclude, judge
from deployments.domain.spec.checks import Check, HttpProbe, TcpProbe, When
from deployments.domain.steps import Bake, RunChecks, VerifyIntegration
from deployments.domain.strategies.decision import Abort, Hold
from deployments.domain.values import TestResult, Verdict, worst
from deployments.driver.deciding import decide
from deployments.driver.effects.instances import ensure_all_alive, restarts_of
from deployments.driver.probing import probe_request
from deployments.driver.run import Run

LOOK = timedelta(milliseconds=500)
INTEGRATION_ATTEMPTS = 20


def run_checks(action: RunChecks, run: Run) -> dict[str, object]:
    """Ask every check of the moment, and the strategy what that means: go on, ask again, or abort."""
    service = run.service(action.service)
    while True:
        results = [ask(run, action, check) for check in service.checks if check.when is action.when]
        verdict = worst(*(result.verdict for result in results))
        match decide(run, action.service, stages_done=action.stage, verdict=verdict):
            case Abort(reason=reason):
                raise failure(action, results, reason)
            case Hold(wait=wait) if verdict is not Verdict.GOOD:
                run.interruption.check()
                run.world.clock.sleep(wait)
            case _:
                return {"verdict": verdict.value, "results": [result_to_json(result) for result in results]}


def failure(action: RunChecks, results: list[TestResult], reason: str) -> CheckFailed:
    """The error an abort becomes: it names the check that was bad, and what was seen."""
    bad = next((result for result in results if result.verdict is Verdict.BAD), None)
    if bad is None:
        return CheckFailed(f"{action.service}: {reason}", service=action.service)
    return CheckFailed(
        f"{action.service}: the check {bad.name} ({action.when}) failed {bad.failures} of {bad.attempts} times: "
        f"{bad.detail}.",
        service=action.service,
        check=bad.name,
    )


def ask(run: Run, action: RunChecks, check: Check) -> TestResult:
    """Ask one check as often as it says."""
    service = action.service
    built = run.world.builder.find(run.plan.change(service).release)
    request = probe_request(
        check.probe,
        port=port_for(run, action),
        timeout=check.timeout,
        deployment=run.deployment,
        release_bin=built.bin if built else None,
    )
    began = run.world.clock.monotonic()
    failures, unmeasured, detail = 0, 0, "as expected"
    for _ in range(check.attempts):
        run.interruption.check()
        outcome = run.world.prober.probe(request)
        if not outcome.is_good:
            detail = outcome.detail
            failures += 1 if outcome.was_measured else 0
            unmeasured += 0 if outcome.was_measured else 1
    verdict = Verdict.GOOD
    if failures > check.tolerated_failures:
        verdict = Verdict.BAD
    elif unmeasured:
        verdict = Verdict.UNMEASURED
    elapsed = (run.world.clock.monotonic() - began) * 1000
    return TestResult(check.name, service, verdict, check.attempts, failures, detail, round(elapsed, 1))


def port_for(run: Run, action: RunChecks) -> int:
    """Before traffic: the preview route; a worker: its first instance; otherwise the public route."""
    for route in run.proxy.routes():
        if route.service == action.service:
            return route.port if action.when is When.AFTER_TRAFFIC else route.preview_port
    return run.port_of(run.plan.change(action.service).instances[0])


def result_to_json(result: TestResult) -> dict[str, object]:
    """A result as JSON values."""
    return {
        "name": result.name,
        "verdict": result.verdict.value,
        "attempts": result.attempts,
        "failures": result.failures,
        "detail": result.detail,
        "duration_ms": result.duration_ms,
    }


def verify_integration(action: VerifyIntegration, run: Run) -> dict[str, object]:
    """Ask each dependency's own health question on its public route, as the dependent service will."""
    ports = {route.service: route.port for route in run.proxy.routes()}
    return {name: verify_one(action.service, name, ports[name], run) for name in action.dependencies}


def verify_one(service: str, dependency: str, port: int, run: Run) -> str:
    """What the dependency answered. Raises CheckFailed when it does not, for seconds."""
    checks = run.service(dependency).health_checks
    probe = next((check.probe for check in checks if isinstance(check.probe, HttpProbe)), TcpProbe())
    request = probe_request(probe, port=port, timeout=timedelta(seconds=5), deployment=run.deployment)
    detail = ""
    for _ in range(INTEGRATION_ATTEMPTS):
        run.interruption.check()
        outcome = run.world.prober.probe(request)
        detail = outcome.detail
        if outcome.is_good:
            return detail
        run.world.clock.sleep(timedelta(milliseconds=100))
    raise CheckFailed(
        f"{service} needs {dependency}, which does not answer on its route: {detail}.",
        service=service,
        dependency=dependency,
    )


def bake(action: Bake, run: Run) -> dict[str, object]:
    """Judge again and again until the bake time is over; the first bad verdict ends it at once."""
    clock, criteria = run.world.clock, run.specification.success_criteria
    routed = {route.service for route in run.proxy.routes()}
    web = [name for name in action.services if name in routed]
    revisions = [(name, run.plan.change(name).revision) for name in web]
    restarts = restarts_of(run, action.services)
    since = clock.now()
    end = clock.monotonic() + action.seconds
    while True:
        run.interruption.check()
        is_over = clock.monotonic() >= end
        judgements = judge(run.meter.read(since=since), criteria, revisions)
        if any(j.verdict is Verdict.BAD for j in judgements):
            raise breach(judgements)
        ensure_all_alive(run, action.services, restarts)
        for name in web:
            ensure_instances_up(run, name)
        if is_over:
            break
        clock.sleep(LOOK)
    if conclude(judgements, criteria) is Verdict.BAD:
        raise breach(judgements)
    return {"judgements": [judgement_to_json(j) for j in judgements], "since": since.isoformat()}


def ensure_instances_up(run: Run, service: str) -> None:
    """Raise CriteriaBreached when the new release has no instance left that the proxy sees up.

    Raises ProxyUnavailable when the proxy was restarted, and with it the traffic returned: no fault of the release.
    """
    change = run.plan.change(service)
    backends = run.backends(service)
    if not {b.endpoint.instance for b in backends}.intersection(change.instances):
        raise ProxyUnavailable(f"The proxy has forgotten the new release of {service}: it was restarted meanwhile.")
    up = {b.endpoint.instance for b in backends if b.is_up}
    if not up.intersection(change.instances):
        raise CriteriaBreached(f"{service}: no instance of the new release is up.", service=service)


def breach(judgements: tuple[Judgement, ...]) -> CriteriaBreached:
    """The error, with the worst judgement in words."""
    bad = next((j for j in judgements if j.verdict is Verdict.BAD), None)
    bad = bad or next(j for j in judgements if j.verdict is Verdict.UNMEASURED)
    return CriteriaBreached(
        f"{bad.service}: {bad.detail}.", service=bad.service, requests=bad.requests, errors=bad.errors
    )


def judgement_to_json(judgement: Judgement) -> dict[str, object]:
    """A judgement as JSON values."""
    return {
        "service": judgement.service,
        "verdict": judgement.verdict.value,
        "detail": judgement.detail,
        "requests": judgement.requests,
        "errors": judgement.errors,
    }
