"""One Prefect task per kind of step. Each performs one journalled step of the driver, and is safe to run twice: a step
with a receipt is not repeated, and one in doubt looks at the world first.

Prefect does not retry these: the driver repeats what may be repeated, by the family of the error, under one intent.
Nothing here is cached: builds are found by their digest, and what moves traffic is always done.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from deployments.domain import steps
from deployments.driver.performing import perform
from tasks.runs import held, in_thread

StepTask = Task[[str, str], Coroutine[Any, Any, dict[str, object]]]


async def perform_step(deployment: str, step: str) -> dict[str, object]:
    """Perform one step of a held deployment and return the values of its receipt."""
    run = held(deployment)
    receipt = await in_thread(perform, run, run.plan.step(step))
    return dict(receipt.values)


def step_task(kind: type[object], title: str) -> StepTask:
    """The task of one kind of step, named as people know it."""
    declared = task(
        name=title,
        description=(kind.__doc__ or "").strip(),
        task_run_name="{step}",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return declared(perform_step)


TASKS: Mapping[type[object], StepTask] = MappingProxyType(
    {
        steps.BuildRelease: step_task(steps.BuildRelease, "build release"),
        steps.ProvisionResource: step_task(steps.ProvisionResource, "provision resource"),
        steps.DeclareRoutes: step_task(steps.DeclareRoutes, "declare routes"),
        steps.RenderConfiguration: step_task(steps.RenderConfiguration, "render configuration"),
        steps.HoldTraffic: step_task(steps.HoldTraffic, "hold traffic"),
        steps.StopInstance: step_task(steps.StopInstance, "stop instance"),
        steps.StartInstance: step_task(steps.StartInstance, "start instance"),
        steps.AwaitHealthy: step_task(steps.AwaitHealthy, "await healthy"),
        steps.AttachInstance: step_task(steps.AttachInstance, "attach instance"),
        steps.RunChecks: step_task(steps.RunChecks, "run checks"),
        steps.VerifyIntegration: step_task(steps.VerifyIntegration, "verify integration"),
        steps.ArmHandle: step_task(steps.ArmHandle, "arm dead man's handle"),
        steps.ShiftTraffic: step_task(steps.ShiftTraffic, "shift traffic"),
        steps.ReleaseTraffic: step_task(steps.ReleaseTraffic, "release traffic"),
        steps.Bake: step_task(steps.Bake, "bake"),
        steps.MarkStable: step_task(steps.MarkStable, "mark stable"),
        steps.PromoteRoutes: step_task(steps.PromoteRoutes, "promote routes"),
        steps.DisarmHandle: step_task(steps.DisarmHandle, "disarm dead man's handle"),
        steps.KeepWarm: step_task(steps.KeepWarm, "keep previous warm"),
        steps.RetireInstance: step_task(steps.RetireInstance, "retire instance"),
        steps.RemoveTemporary: step_task(steps.RemoveTemporary, "remove temporary resource"),
        steps.WriteReport: step_task(steps.WriteReport, "write report"),
    }
)
