"""What a parent flow asks for around its phases: begin, enter a state, complete, fail, leave."""

from __future__ import annotations

import getpass
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployments.domain.entities import Deployment
from deployments.domain.environment import Permission
from deployments.domain.errors import Cancelled, Conflict, DeploymentError, LeaseLost, SecurityError, Unavailable
from deployments.domain.facts import Principal
from deployments.domain.failing import reason_of, status_of
from deployments.domain.reading.specification import parse_specification
from deployments.domain.spec.specification import DeploymentSpecification
from deployments.domain.status import DeploymentStatus
from deployments.driver.enduring import BRIEF, patient
from deployments.driver.following import bring_to_an_end
from deployments.driver.forward import complete, enter
from deployments.driver.keeping import LeaseKeeper
from deployments.driver.opening import Request, open_deployment, owner_name, resume
from deployments.driver.queueing import wait_for_lease
from deployments.driver.recovery import fail
from deployments.driver.run import Run
from deployments.driver.world import World


class Conductor:
    """Begins and ends one deployment in this process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._brief = patient(world, BRIEF)
        """Records that are away are waited for: shortly before the deployment is on record, ..."""
        self._patient = patient(world)
        """... and patiently while it waits for its lease, and after it."""
        self._keeper: LeaseKeeper | None = None

    def begin(
        self,
        specification: DeploymentSpecification,
        principal: str | None,
        base: Path,
        flow_run: str | None,
        parent: str | None = None,
        is_rollback: bool = False,
    ) -> Run:
        """Parse, ask for permission, open the record (or find the one of this flow run again), take the lease."""
        asker = Principal(principal, is_verified=False) if principal else operating_system_user()
        read = parse_specification(specification)
        checked = read.require()
        self._permit(checked, asker, is_rollback)
        record = self._record(
            Request(checked, asker, base, flow_run, parent, is_rollback=is_rollback, sanitised=read.changes)
        )
        try:
            lease = wait_for_lease(self._patient, record, owner_name())
        except DeploymentError as error:
            self._withdraw(record, error)
            raise
        record = self._patient.records.deployments.get(record.id)
        if record.is_final and record.status is not DeploymentStatus.COMPLETED:
            self._patient.records.leases.release(lease)
            raise ended_meanwhile(record)
        run = resume(self._patient, record, lease)
        self._keeper = LeaseKeeper(run)
        self._keeper.__enter__()
        return run

    def _withdraw(self, record: Deployment, error: DeploymentError) -> None:
        """End what never began. While the records are away it stays in the queue, and the reconciler ends it."""
        records = self._patient.records
        with suppress(Unavailable):
            records.deployments.withdraw(record.id, status_of(error), reason=reason_of(error), message=error.message)
            records.commands.obeyed(record.id)

    def _permit(self, specification: DeploymentSpecification, asker: Principal, is_rollback: bool) -> None:
        environments = self._brief.records.environments
        record = environments.ensure_default(
            specification.target_environment, project=specification.project, principal=asker.name
        )
        needed = Permission.ROLLBACK if is_rollback else Permission.DEPLOY
        if not record.permits(asker.name, needed):
            raise SecurityError(
                f"{asker.name} may not {needed} to {specification.target_environment}.",
                remedy="Ask who administers the environment for a grant (fairlead environment show).",
            )

    def _record(self, request: Request) -> Deployment:
        """A run that Prefect repeats goes on with its deployment while that is not final, else opens a new one."""
        deployments = self._brief.records.deployments
        known = deployments.by_flow_run(request.flow_run) if request.flow_run else None
        if known is None:
            return open_deployment(self._brief, request)
        if not known.is_final:
            return known
        return open_deployment(
            self._brief,
            Request(
                request.specification.model_copy(update={"name": None}),
                request.principal,
                request.base,
                request.flow_run,
                parent=known.id,
                retry=known.retry + 1,
                is_rollback=request.is_rollback,
            ),
        )

    def enter(self, run: Run, status: DeploymentStatus) -> None:
        """Advance to a state on the way forward; one that was passed already (a resumed run) is skipped."""
        enter(run, status)

    def complete(self, run: Run) -> None:
        """Everything is done: the end, with the lease given back."""
        complete(run)

    def fail(self, run: Run, error: BaseException) -> DeploymentStatus:
        """Take back what was touched, and return how it ended.

        A run that lost its lease, or could not write any more, changes nothing under it: it waits until it can be seen
        who has it, and takes it over again when nobody does. Raises LeaseLost when somebody else has ended it.
        """
        try:
            return fail(run, error)
        except (LeaseLost, Unavailable) as cause:
            self.leave(run)
            return bring_to_an_end(self.world, run.lease, run.deployment, cause)
        except Conflict:
            return self._patient.records.deployments.get(run.deployment).status

    def leave(self, run: Run) -> None:
        """Stop renewing."""
        if self._keeper is not None:
            self._keeper.__exit__(None, None, None)
            self._keeper = None

    def outcome(self, run: Run) -> dict[str, Any]:
        """What the flow returns."""
        record = self._patient.records.deployments.get(run.deployment)
        return {"deployment": record.id, "name": record.name, "status": record.status.value}


def ended_meanwhile(record: Deployment) -> DeploymentError:
    """Why a process that stood still in the queue does not begin what others have ended."""
    if record.status is DeploymentStatus.CANCELLED:
        return Cancelled(record.message)
    return LeaseLost(
        f"{record.name} has ended {record.status.value.replace('_', ' ')} while this process waited: {record.message}",
        remedy="Deploy again.",
        environment=record.environment,
        deployment=record.id,
    )


def operating_system_user() -> Principal:
    """Who this process runs as."""
    return Principal(getpass.getuser())
