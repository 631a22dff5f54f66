"""The end of a deployment, whichever it is: its report, and the lease given back."""

from __future__ import annotations

from deployments.domain.status import DeploymentStatus
from deployments.driver.reporting import report_of
from deployments.driver.run import Run


def end(run: Run, status: DeploymentStatus) -> DeploymentStatus:
    """Nothing drives it any more: keep the report of one that did not complete, and give the lease back.

    Only now are orders obeyed: a controller that dies before leaves them to the next.
    """
    if status is not DeploymentStatus.COMPLETED and run.has_plan:
        run.world.records.deployments.save_report(run.lease, run.deployment, report_of(run))
    run.world.records.commands.obeyed(run.deployment)
    run.world.records.leases.release(run.lease)
    return status
