"""The proxy of one environment: `deployments.domain.ports.Proxy` on HAProxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from deployments.adapters.haproxy.control import Control
from deployments.adapters.haproxy.files import ProxyFiles
from deployments.adapters.haproxy.instances import Instances
from deployments.adapters.haproxy.names import require_names, require_weights
from deployments.adapters.haproxy.process import ProxyProcess
from deployments.adapters.haproxy.process_host import ProcessHost
from deployments.adapters.haproxy.routes import Routes
from deployments.adapters.haproxy.runtime import Runtime
from deployments.domain.errors import StaleFence
from deployments.domain.ports import BackendState, Endpoint, HandleState, RouteDeclaration


class HAProxy:
    """One HAProxy, master and worker, under a supervisor; and beside it the meter that counts its requests.

    What must hold between a check and its effect is inside HAProxy (`lua/fairlead.lua`). Every write raises StaleFence,
    HandleTripped, or ProxyUnavailable, which also a proxy that restarted and was not armed since raises.
    """

    def __init__(
        self,
        environment: str,
        state_directory: Path,
        run_directory: Path,
        host: ProcessHost,
        *,
        program: Path | None = None,
    ) -> None:
        """`program` is the HAProxy to run, by default the wheel's. Nothing is started or written yet."""
        require_names(environment)
        self._files = ProxyFiles(environment, state_directory, run_directory)
        self._runtime = Runtime(self._files.master_socket)
        self._control = Control(self._runtime)
        self._process = ProxyProcess(environment, self._files, self._runtime, host)
        self._routes = Routes(self._files, self._runtime, self._control)
        self._instances = Instances(self._files, self._runtime, self._control)
        self._program = program

    def ensure_running(self, *, fence: int) -> None:
        """Start what is not there, arm it with `fence`, and finish what a killed writer left half done."""
        highest = self.highest_fence()
        is_running = self._runtime.is_there()
        if fence < highest and not is_running:
            raise StaleFence(f"Fence {fence} is older than {highest}.", fence=fence, highest=highest)
        self._files.prepare(is_running=is_running)
        self._process.ensure_running(self._program, is_running=is_running)
        self._control.arm(fence)
        self._control.retire_old_workers()
        self._routes.tidy(fence=fence)

    def highest_fence(self) -> int:
        """From disk, where HAProxy writes it before it acts."""
        return self._files.highest_fence()

    def routes(self) -> Sequence[RouteDeclaration]:
        """The routes declared on disk."""
        return self._files.routes()

    def ensure_routes(self, routes: Sequence[RouteDeclaration], *, fence: int) -> None:
        """Add the named routes in one reload. Raises Refused when a port is taken."""
        with self._control.judging(fence):
            self._routes.ensure(routes, fence=fence)

    def remove_routes(self, services: Sequence[str], *, fence: int) -> None:
        """Take routes away in one reload."""
        with self._control.judging(fence):
            self._routes.remove(services, fence=fence)

    def attach(self, service: str, endpoint: Endpoint, *, fence: int) -> None:
        """Make an instance known with weight 0. Raises Refused when the name is taken with another port."""
        with self._control.judging(fence):
            self._instances.attach(service, endpoint, fence=fence)

    def detach(self, service: str, instance: str, *, fence: int) -> None:
        """Forget an instance. Raises Refused while it has weight, or while the armed handle returns to it."""
        with self._control.judging(fence):
            self._instances.detach(service, instance, fence=fence)

    def backends(self, service: str) -> Sequence[BackendState]:
        """What is attached now, in the order in which it was attached. Raises NotFound without a route."""
        return self._instances.states(service)

    def set_weights(self, service: str, weights: Mapping[str, int], *, fence: int) -> None:
        """Set weights, make before break. Raises NotFound for an instance that is not attached, and Broken."""
        with self._control.judging(fence):
            self._instances.set_weights(service, weights, fence=fence)

    def hold(self, service: str, up_to: timedelta, *, fence: int) -> None:
        """Keep new requests waiting, each for at most `up_to`; then they get 503. A fired handle releases them too."""
        require_names(service)
        self._control.hold(service, up_to, fence=fence)

    def unhold(self, service: str, *, fence: int) -> None:
        """Let held requests go on."""
        require_names(service)
        self._control.unhold(service, fence=fence)

    def held(self) -> frozenset[str]:
        """As the current worker has it."""
        return frozenset(self._control.status().holds)

    def arm_handle(self, weights: Mapping[str, Mapping[str, int]], time_to_live: timedelta, *, fence: int) -> None:
        """Arm, or arm anew. Raises HandleTripped while it is latched: disarm it knowingly first."""
        require_names(*weights)
        for by_instance in weights.values():
            require_weights(by_instance)
        self._control.arm_handle(weights, time_to_live, fence=fence)

    def renew_handle(self, time_to_live: timedelta, *, fence: int) -> None:
        """Start the time to live again. Raises Conflict when it is not armed, as after a restart of HAProxy."""
        self._control.renew_handle(time_to_live, fence=fence)

    def disarm_handle(self, *, fence: int) -> None:
        """Disarm, and clear the latch."""
        self._control.disarm_handle(fence=fence)

    def handle(self) -> HandleState:
        """Observe the handle."""
        handle = self._control.status().handle
        if handle is None:
            return HandleState(is_armed=False, has_fired=False, fence=0, remaining=timedelta(0))
        return HandleState(
            is_armed=not handle.has_fired, has_fired=handle.has_fired, fence=handle.fence, remaining=handle.remaining
        )

    def promote(self, stable: Mapping[str, Sequence[Endpoint]], *, fence: int) -> None:
        """Write the file so that a bare restart serves these instances. No reload."""
        with self._control.judging(fence):
            self._routes.promote(stable, fence=fence)

    def stop(self) -> None:
        """Stop HAProxy and the meter."""
        self._process.stop()
