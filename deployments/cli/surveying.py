"""Looks at environments: what the records say beside what the proxy, the meter and the supervisor report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from deployments.cli.output import Output, cell
from deployments.cli.words import age, at
from deployments.domain.errors import DeploymentError, Unavailable
from deployments.domain.ports import BackendState, InstanceReport, InstanceState, MeterReport, RouteDeclaration

if TYPE_CHECKING:
    from deployments.adapters.control_plane.plane import ControlPlaneStatus
    from deployments.domain.entities import Environment, Instance
    from deployments.driver.world import World
    from deployments.settings import Settings
    from deployments.store.leases import Lease

RECENTLY = timedelta(minutes=5)


@dataclass(slots=True)
class Survey:
    """One environment as it was seen. What could not be asked is empty, and `silent` says why."""

    environment: Environment
    holder: Lease | None
    routes: Sequence[RouteDeclaration] = ()
    backends: dict[str, Sequence[BackendState]] = field(default_factory=dict)
    reports: dict[str, InstanceReport] = field(default_factory=dict)
    traffic: MeterReport | None = None
    quarantined: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)


def survey(world: World, name: str | None) -> list[Survey]:
    """Of one environment, or of all. Raises NotFound for one that is not there."""
    queries = world.records.queries
    found = [queries.environment(name)] if name else queries.environments()
    return [survey_one(world, environment) for environment in found]


def survey_one(world: World, environment: Environment) -> Survey:
    """Records first; then whatever of the data plane answers."""
    name, records = environment.name, world.records
    seen = Survey(environment, records.leases.holder(name))
    seen.quarantined = {revision: entry.reason for revision, entry in records.quarantine.active(name).items()}
    try:
        seen.reports = {report.instance: report for report in world.supervisor.observe_all(name)}
        proxy = world.proxy(name)
        seen.routes = proxy.routes()
        seen.backends = {route.service: proxy.backends(route.service) for route in seen.routes}
        seen.traffic = world.meter(name).read(since=datetime.now(UTC) - RECENTLY)
    except DeploymentError as error:
        seen.silent.append(error.message)
    return seen


def survey_without_records(settings: Settings, environment: str | None) -> list[InstanceReport]:
    """Instances as the data plane knows them."""
    from deployments.assembly import data_plane

    plane = data_plane(settings)
    logs = settings.home / "logs" / "instances"
    names = [environment] if environment else sorted(path.name for path in logs.glob("*") if path.is_dir())
    return [report for name in names for report in plane.observe_all(name)]


def document(seen: Survey) -> dict[str, object]:
    """For machines."""
    environment = seen.environment
    return {
        "name": environment.name,
        "project": environment.record.project,
        "status": environment.status,
        "services": [service_document(seen, name) for name in service_names(seen)],
        "instances": [instance_document(seen, instance) for instance in environment.instances],
        "resources": environment.resources,
        "current": current_document(seen),
        "latest": environment.latest.id if environment.latest else None,
        "holder": None if seen.holder is None else {"owner": seen.holder.owner, "expires_at": seen.holder.expires_at},
        "quarantined": seen.quarantined,
        "not_answering": seen.silent,
    }


def service_names(seen: Survey) -> list[str]:
    """Stable ones, and those that only have instances yet."""
    stable = [service.name for service in seen.environment.services]
    return list(dict.fromkeys([*stable, *(instance.service for instance in seen.environment.instances)]))


def service_document(seen: Survey, name: str) -> dict[str, object]:
    """Version, address, traffic."""
    stable = next((service for service in seen.environment.services if service.name == name), None)
    route = next((route for route in seen.routes if route.service == name), None)
    readings = seen.traffic.readings if seen.traffic else ()
    return {
        "name": name,
        "version": stable.version if stable else None,
        "revision": stable.revision if stable else None,
        "stable_since": stable.stable_since if stable else None,
        "url": f"http://127.0.0.1:{route.port}" if route else None,
        "preview_url": f"http://127.0.0.1:{route.preview_port}" if route else None,
        "traffic": shares(seen.backends.get(name, ())),
        "recently": {
            reading.revision: {"requests": reading.requests, "errors": reading.errors}
            for reading in readings
            if reading.service == name
        },
    }


def instance_document(seen: Survey, instance: Instance) -> dict[str, object]:
    """One instance: what was meant, and what is."""
    report = seen.reports.get(instance.id)
    return {
        "id": instance.id,
        "service": instance.service,
        "revision": instance.revision,
        "deployment": instance.deployment,
        "port": instance.port,
        "meant": instance.state,
        "state": state_of(report),
        "pid": report.pid if report else None,
        "restarts": report.restarts if report else 0,
        "weight": weight_of(seen, instance),
        "retire_at": instance.retire_at,
    }


def current_document(seen: Survey) -> dict[str, object] | None:
    """The deployment under way."""
    current = seen.environment.current
    if current is None:
        return None
    progress = current.progress
    return {
        "id": current.id,
        "name": current.name,
        "status": current.status,
        "by": current.created_by,
        "created_at": current.created_at,
        "steps_done": progress.done,
        "steps_total": progress.total,
        "is_driven": seen.holder is not None,
    }


def shares(backends: Sequence[BackendState]) -> dict[str, float]:
    """Share of the traffic by revision, from the weights that the proxy reports."""
    weights: dict[str, int] = {}
    for backend in backends:
        weights[backend.endpoint.revision] = weights.get(backend.endpoint.revision, 0) + backend.weight
    total = sum(weights.values())
    return {revision: round(weight / total, 4) for revision, weight in weights.items() if total}


def state_of(report: InstanceReport | None) -> str:
    """What its process does; `gone` when the data plane does not know it."""
    return "gone" if report is None or report.state is InstanceState.UNKNOWN else report.state.value


def weight_of(seen: Survey, instance: Instance) -> int | None:
    """As the proxy reports it; None when it is not attached."""
    backends = seen.backends.get(instance.service, ())
    return next((backend.weight for backend in backends if backend.endpoint.instance == instance.id), None)


def tell(seen: Survey, output: Output) -> None:
    """For people."""
    environment = seen.environment
    title = f"{environment.name} (project {environment.record.project}): {environment.status.value.replace('_', ' ')}"
    output.line(output.styled(title, "bold"))
    tell_deployment(seen, output)
    tell_services(seen, output)
    tell_instances(seen, output)
    for revision, reason in seen.quarantined.items():
        output.line(f"  quarantined {revision}: {cell(reason)}")
    for silence in seen.silent:
        output.line(f"  not answering: {cell(silence)}")
    output.line()


def tell_deployment(seen: Survey, output: Output) -> None:
    """The one under way, or how the last one ended."""
    environment, current = seen.environment, seen.environment.current
    if current is not None:
        progress = current.progress
        driven = f"driven by {seen.holder.owner}" if seen.holder else "driven by nobody: `fairlead up` takes it up"
        output.line(
            f"  now: {current.name} {current.status.value.replace('_', ' ')},"
            f" {progress.done} of {progress.total} steps, {driven}"
        )
    elif environment.latest is not None:
        latest = environment.latest
        words = f"{latest.name} {latest.status.value.replace('_', ' ')} {age(latest.finished_at)}"
        output.line(f"  last: {words}{': ' + cell(latest.message) if latest.message else ''}")
        if seen.holder is not None:
            output.line(f"  held by {seen.holder.owner}")


def tell_services(seen: Survey, output: Output) -> None:
    """A row per service."""
    rows = []
    for name in service_names(seen):
        found = service_document(seen, name)
        traffic = ", ".join(
            f"{revision} {share:.0%}" for revision, share in shares(seen.backends.get(name, ())).items()
        )
        readings = [reading for reading in (seen.traffic.readings if seen.traffic else ()) if reading.service == name]
        requests, errors = sum(r.requests for r in readings), sum(r.errors for r in readings)
        counted = f"{requests} / {errors}" if seen.traffic else None
        rows.append((name, found["version"], found["revision"], found["url"], traffic, counted))
    if rows:
        output.table(
            ("service", "version", "revision", "address", "traffic", "requests / errors in 5m"), rows, indent="  "
        )


def tell_instances(seen: Survey, output: Output) -> None:
    """A row per instance."""
    rows = [
        (
            instance.id,
            f"{instance.state.value}{f' until {at(instance.retire_at)}' if instance.retire_at else ''}",
            state_of(seen.reports.get(instance.id)),
            instance.port,
            weight_of(seen, instance),
            seen.reports[instance.id].restarts if instance.id in seen.reports else None,
        )
        for instance in seen.environment.instances
    ]
    if rows:
        output.table(("instance", "meant to be", "is", "port", "weight", "restarts"), rows, indent="  ")


def tell_control_plane(status: ControlPlaneStatus, output: Output) -> None:
    """One line."""
    services = ", ".join(f"{name} {'up' if is_up else 'down'}" for name, is_up in status.services.items())
    output.line(f"control plane: {services}; {status.runs} runs in progress")
    if status.prefect_url:
        output.line(f"  Prefect: {status.prefect_url.removesuffix('/api')}")


def tell_without_records(reports: Sequence[InstanceReport], away: Unavailable, output: Output) -> None:
    """What the data plane alone can say."""
    output.line(f"The records cannot be read: {cell(away.message)}")
    if away.remedy:
        output.line(f"  remedy: {away.remedy}")
    if not reports:
        output.line("The data plane runs no instances.")
        return
    output.line("The data plane runs, whatever the records say:")
    rows = [(r.project_environment, r.service, r.instance, r.revision, r.state.value, r.port) for r in reports]
    output.table(("environment", "service", "instance", "revision", "is", "port"), rows, indent="  ")
