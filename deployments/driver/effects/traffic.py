"""Effects on traffic. Each is decided by a strategy, done by the proxy and read back from it."""

from __future__ import annotations

from datetime import timedelta

from deployments.domain.errors import NeverHealthy, ProxyUnavailable
from deployments.domain.steps import ArmHandle, HoldTraffic, ReleaseTraffic, ShiftTraffic
from deployments.domain.strategies.decision import Abort, Hold, Promote, Shift, even
from deployments.domain.values import Verdict
from deployments.driver.deciding import decide
from deployments.driver.run import Run

LOOK = timedelta(milliseconds=500)


def arm_handle(action: ArmHandle, run: Run) -> dict[str, object]:
    """Arm with everything for the old instances; what is not named gets nothing. Arming again starts the time anew."""
    weights = {}
    for service in action.services:
        change = run.plan.change(service)
        weights[service] = even(change.previous)
    run.proxy.arm_handle(weights, run.world.timings.handle, fence=run.fence)
    return {"weights": weights, "seconds": run.world.timings.handle.total_seconds()}


def hold_traffic(action: HoldTraffic, run: Run) -> dict[str, object]:
    """Keep new requests waiting; holding twice is the same."""
    run.proxy.hold(action.service, timedelta(seconds=action.seconds), fence=run.fence)
    return {"seconds": action.seconds, "at": run.world.clock.now().isoformat()}


def release_traffic(action: ReleaseTraffic, run: Run) -> dict[str, object]:
    """Let held requests go on; doing it twice is the same."""
    run.proxy.unhold(action.service, fence=run.fence)
    return {"at": run.world.clock.now().isoformat()}


def shift_traffic(action: ShiftTraffic, run: Run) -> dict[str, object]:
    """Ask the strategy, obey it, and read the weights back."""
    while True:
        match decide(run, action.service, stages_done=action.stage - 1, verdict=Verdict.GOOD):
            case Shift() | Promote():
                return set_weights(run, action.service, dict(action.weights))
            case Hold(wait=wait):
                run.interruption.check()
                run.world.clock.sleep(min(wait, LOOK))
            case Abort(reason=reason):
                raise NeverHealthy(f"{action.service}: {reason}", service=action.service)


def set_weights(run: Run, service: str, weights: dict[str, int]) -> dict[str, object]:
    """Write the weights, then trust only what the proxy reports."""
    proxy = run.proxy
    proxy.set_weights(service, weights, fence=run.fence)
    seen = {b.endpoint.instance: b.weight for b in proxy.backends(service)}
    wrong = {name: seen.get(name) for name, weight in weights.items() if weight and not seen.get(name)}
    if wrong:
        raise ProxyUnavailable(f"The proxy reports other weights for {service} than were set: {wrong}.")
    return {"weights": seen, "at": run.world.clock.now().isoformat()}
