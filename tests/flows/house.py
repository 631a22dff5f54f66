"""A home with everything running, as after `fairlead up`, for tests of deployments triggered through Prefect."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun, StateType

from blocks import InternalProxy
from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.adapters.supervisor.host import ProcessHost
from deployments.assembly import control_plane, data_plane
from deployments.domain.entities import Deployment
from deployments.domain.status import DeploymentStatus
from deployments.settings import Settings
from deployments.store.records import Records
from tests.fakes.prefect_server import pointed_at
from tests.fakes.runner_process import wait_until

FINAL = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED)


class House:
    """A home with everything running, as after `fairlead up`, and a client of its Prefect API."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self.settings = Settings.read({**os.environ, "FAIRLEAD_HOME": str(home), **variables})
        self.settings.ensure_directories()
        self.plane = control_plane(self.settings, is_durable=False)
        self.log = home / "logs" / "runner.log"
        self.client: SyncPrefectClient
        self.records: Records
        self._known_parts: dict[UUID, list[str]] = {}

    def specification(
        self,
        version: str,
        environment: str = "production",
        service: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """A site of one page, which says its version. `service` is said of the site besides, such as its strategy."""
        folder = self.home / "sites" / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text(f"version {version}")
        site = {
            "name": "site",
            "version": version,
            "framework": "static",
            "source": {"kind": "path", "path": str(folder)},
            **(service or {}),
        }
        return {
            "project": "shop",
            "target_environment": environment,
            "services": [site],
            "success_criteria": {"bake": "200ms"},
            **changes,
        }

    def trigger(self, specification: dict[str, Any]) -> FlowRun:
        deployment = self.client.read_deployment_by_name(f"deploy/{specification['target_environment']}")
        return self.client.create_flow_run_from_deployment(deployment.id, parameters={"specification": specification})

    def until(self, run: FlowRun, *states: StateType) -> None:
        wait_until(lambda: self.state(run.id) in (*states, *FINAL), f"{run.name} is {states}", self.log)
        assert self.state(run.id) in states, self.story(run)

    def story(self, run: FlowRun) -> str:
        """What became of it, for the message of a failed assertion."""
        record = self.opened(run)
        state = self.client.read_flow_run(run.id).state
        return "\n".join([repr(state), record.message if record else "no deployment", self.log.read_text()[-6000:]])

    def state(self, run: UUID) -> StateType | None:
        return self.client.read_flow_run(run).state_type

    def opened(self, run: FlowRun) -> Deployment | None:
        """The deployment of the run, or of the `deploy` run that is a part of it: a rollback has one."""
        found = self.records.deployments.by_flow_run(str(run.id))
        return found or next(filter(None, map(self.records.deployments.by_flow_run, self.parts(run))), None)

    def parts(self, run: FlowRun) -> list[str]:
        """The runs that are a part of it. Remembered, for Prefect's server may be away later."""
        if not self._known_parts.get(run.id):
            of_run = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run.id]))
            self._known_parts[run.id] = [str(part.id) for part in self.client.read_flow_runs(flow_run_filter=of_run)]
        return self._known_parts[run.id]

    def deployment(self, run: FlowRun) -> Deployment:
        found = self.opened(run)
        assert found is not None
        return found

    def cancel(self, run: FlowRun, reason: str = "") -> None:
        """As a person does who asks Fairlead, not Prefect."""
        self.records.commands.request(self.deployment(run).id, "cancel", by="ada", reason=reason)

    def until_status(self, run: FlowRun, status: DeploymentStatus) -> None:
        def holds() -> bool:
            found = self.opened(run)
            return found is not None and found.status is status

        wait_until(holds, f"{run.name} is {status}", self.log)

    def host(self) -> ProcessHost:
        """What keeps the control plane's services running."""
        return ProcessHost(self.home / "control-plane", self.settings.run_directory / "control")

    def claims(self) -> ClaimedRuns:
        return ClaimedRuns(self.home / "control" / "runs")

    def page(self, environment: str = "production") -> str:
        """What the public route of the site answers; empty when there is no such route."""
        for route in InternalProxy(home=self.home, environment=environment).proxy().routes():
            return httpx.get(f"http://127.0.0.1:{route.port}/").text
        return ""


@contextmanager
def house_in(run_directory: Path, **variables: str) -> Iterator[House]:
    """Up, and down again at the end. `variables` are settings, such as FAIRLEAD_LEASE_SECONDS."""
    house = House(Path(tempfile.mkdtemp(prefix="w-", dir=run_directory)), **variables)
    house.home.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, house.settings.run_directory, ignore_errors=True)
        stack.callback(lambda: data_plane(house.settings).stop())
        stack.callback(house.plane.down)
        url = house.plane.up()
        stack.enter_context(pointed_at(url, house.plane.prefect_home))
        house.records = stack.enter_context(Records(house.plane.ensure_database()))
        house.client = stack.enter_context(get_client(sync_client=True))
        yield house
