"""Makes the Prefect deployments that prefect.yaml declares, so that `fairlead up` and `prefect deploy --all` agree.

prefect.yaml is the one truth: nothing about a deployment is written here. A deployment that is registered and has not
changed is left alone, so that a schedule which somebody paused in the UI stays paused.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

import blocks
from deployments.domain.errors import Broken
from deployments.domain.spec.specification import DeploymentSpecification

PREFECT_YAML = Path(__file__).parent.parent / "prefect.yaml"
SPECIFICATION, ENVIRONMENT = "specification", "target_environment"
"""The parameter and its field that bind a deployment of the `deploy` flow to an environment."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One deployment as prefect.yaml declares it."""

    name: str
    entrypoint: str
    description: str
    parameters: dict[str, Any]  # JSON, as Prefect takes it
    tags: tuple[str, ...]
    schedules: tuple[dict[str, Any], ...]  # as in prefect.yaml: {cron, timezone} or {interval}
    job_variables: dict[str, Any]

    def bound_to(self, environment: str) -> Declaration:
        """The same deployment for another environment."""
        return replace(
            self,
            name=environment,
            description=self.description.replace(f"`{self.environment}`", f"`{environment}`"),
            parameters={**self.parameters, SPECIFICATION: {ENVIRONMENT: environment}},
        )

    @property
    def environment(self) -> str | None:
        """The environment it is bound to."""
        bound = self.parameters.get(SPECIFICATION)
        return bound.get(ENVIRONMENT) if isinstance(bound, dict) else None


def declarations(file: Path = PREFECT_YAML, environments: Sequence[str] = ()) -> list[Declaration]:
    """What the file declares, and one more `deploy` for each environment it does not name."""
    declared = [_declaration(entry, file) for entry in yaml.safe_load(file.read_text())["deployments"]]
    bound = [declaration for declaration in declared if declaration.environment]
    known = {declaration.environment for declaration in bound}
    added = [bound[0].bound_to(name) for name in environments if name not in known] if bound else []
    return declared + added


def _declaration(entry: dict[str, Any], file: Path) -> Declaration:
    try:
        return Declaration(
            name=entry["name"],
            entrypoint=entry["entrypoint"],
            description=entry.get("description", ""),
            parameters=entry.get("parameters") or {},
            tags=tuple(entry.get("tags") or ()),
            schedules=tuple(entry.get("schedules") or ()),
            job_variables=_on_this_machine((entry.get("work_pool") or {}).get("job_variables") or {}),
        )
    except KeyError as missing:
        raise Broken(
            f"A deployment in {file} has no {missing}.",
            remedy="Every entry of `deployments` needs a name and an entrypoint.",
        ) from missing


def _on_this_machine(job_variables: dict[str, Any]) -> dict[str, Any]:
    """With this very Python in place of the one on somebody's PATH."""
    program, _, rest = job_variables.get("command", "").partition(" ")
    return (
        {**job_variables, "command": shlex.join([sys.executable]) + f" {rest}"}
        if program == "python"
        else job_variables
    )


async def register(
    client: PrefectClient, *, pool: str, file: Path = PREFECT_YAML, environments: Sequence[str] = ()
) -> list[str]:
    """Make pool, block types and deployments; answers `flow/deployment` names. Safe to call twice."""
    await ensure_pool(client, pool)
    for block in blocks.ALL:
        await block.register_type_and_schema(client=client)
    return [await _ensure_deployment(client, pool, each) for each in declarations(file, environments)]


async def ensure_pool(client: PrefectClient, pool: str) -> None:
    """A work pool of type process, which an ordinary worker can serve as well."""
    try:
        await client.read_work_pool(pool)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        try:
            await client.create_work_pool(WorkPoolCreate(name=pool, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            return


async def _ensure_deployment(client: PrefectClient, pool: str, declared: Declaration) -> str:
    flow: Flow[..., object] = load_flow_from_entrypoint(declared.entrypoint)
    name = f"{flow.name}/{declared.name}"
    schema = pinned(parameter_schema(flow).model_dump_for_openapi(), declared.environment)
    version = _digest(declared, schema, pool)
    try:
        if (await client.read_deployment_by_name(name)).version == version:
            return name
    except ObjectNotFound:
        pass
    await client.create_deployment(
        flow_id=await client.create_flow(flow),
        name=declared.name,
        version=version,
        entrypoint=declared.entrypoint,
        description=declared.description,
        parameters=declared.parameters,
        tags=list(declared.tags),
        schedules=[
            DeploymentScheduleCreate(schedule=_schedule(each), active=each.get("active", True))
            for each in declared.schedules
        ],
        work_pool_name=pool,
        job_variables=declared.job_variables,
        pull_steps=[],
        parameter_openapi_schema=schema,
        enforce_parameter_schema=True,
    )
    return name


def pinned(schema: dict[str, Any], environment: str | None) -> dict[str, Any]:
    """The form with the environment's name as its only choice, so that the server refuses a run for another one."""
    fields = schema.get("definitions", {}).get(DeploymentSpecification.__name__, {}).get("properties", {})
    if environment is not None and ENVIRONMENT in fields:
        fields[ENVIRONMENT] = {**fields[ENVIRONMENT], "enum": [environment]}
    return schema


def _schedule(declared: dict[str, Any]) -> CronSchedule | IntervalSchedule:
    if "cron" in declared:
        return CronSchedule(cron=declared["cron"], timezone=declared.get("timezone", "UTC"))
    if "interval" in declared:
        return IntervalSchedule(interval=timedelta(seconds=declared["interval"]))
    raise Broken(
        f"The schedule {declared} in prefect.yaml is neither cron nor interval.", remedy="Give it one of them."
    )


def _digest(declared: Declaration, schema: dict[str, Any], pool: str) -> str:
    everything = json.dumps([repr(declared), schema, pool], sort_keys=True, default=str)
    return hashlib.sha256(everything.encode()).hexdigest()[:16]
