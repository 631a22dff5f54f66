"""Every kind of action and the function that brings it about. A new kind is a function and a row here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deployments.domain import steps
from deployments.driver.effects import checks, completion, instances, preparation, traffic
from deployments.driver.run import Run

Effect = Callable[[Any, Run], dict[str, object]]

EFFECTS: dict[type[object], Effect] = {
    steps.BuildRelease: preparation.build_release,
    steps.ProvisionResource: preparation.provision_resource,
    steps.DeclareRoutes: preparation.declare_routes,
    steps.RenderConfiguration: preparation.render_configuration,
    steps.HoldTraffic: traffic.hold_traffic,
    steps.StopInstance: instances.stop_instance,
    steps.StartInstance: instances.start_instance,
    steps.AwaitHealthy: instances.await_healthy,
    steps.AttachInstance: instances.attach_instance,
    steps.RunChecks: checks.run_checks,
    steps.VerifyIntegration: checks.verify_integration,
    steps.ArmHandle: traffic.arm_handle,
    steps.ShiftTraffic: traffic.shift_traffic,
    steps.ReleaseTraffic: traffic.release_traffic,
    steps.Bake: checks.bake,
    steps.MarkStable: completion.mark_stable,
    steps.PromoteRoutes: completion.promote_routes,
    steps.DisarmHandle: completion.disarm_handle,
    steps.KeepWarm: instances.keep_warm,
    steps.RetireInstance: instances.retire_instance,
    steps.RemoveTemporary: preparation.remove_temporary,
    steps.WriteReport: completion.write_report,
}
