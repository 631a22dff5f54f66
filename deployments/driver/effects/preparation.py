"""Effects of the preparation phase: releases, local resources, routes, configuration."""

from __future__ import annotations

from dataclasses import replace

from deployments.domain.entities import Release, Resource, Route
from deployments.domain.ports import BuildRequest, ResourceRequest, RouteDeclaration
from deployments.domain.programs import files_for
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.steps import (
    BuildRelease,
    DeclareRoutes,
    ProvisionResource,
    RemoveTemporary,
    RenderConfiguration,
)
from deployments.driver.run import Run


def source_of(service: ServiceSpecification) -> dict[str, str]:
    """A source as the builder takes it."""
    found = service.source.model_dump(mode="json", by_alias=False)
    found["framework"] = service.framework.value
    if extra := found.pop("extra_requirements", None):
        found["with"] = "\n".join(extra)
    return {key: str(value) for key, value in found.items() if value}


def build_release(action: BuildRelease, run: Run) -> dict[str, object]:
    """Build once; the builder finds the same digest again and locks against a second build of it."""
    service = run.service(action.service)
    built = run.world.builder.find(action.release)
    was_cached = built is not None
    if built is None:
        source = source_of(service)
        source["base"] = str(run.base)
        request = BuildRequest(
            service=service.name,
            digest=action.release,
            lock=run.locks[action.service],
            source=source,
            framework=service.framework.value,
            install_command=service.install_command,
            build_command=service.build_command,
            output_directory=service.output_directory,
            deployment=run.deployment,
        )
        built = run.world.builder.ensure_built(request)
    known = Release(
        digest=action.release,
        service=service.name,
        version=service.version,
        path=str(built.path),
        size_bytes=built.size_bytes,
        built_at=run.world.clock.now(),
        deployment=run.deployment,
    )
    run.world.records.releases.record(known)
    return {"path": str(built.path), "size_bytes": built.size_bytes, "cached": was_cached}


def provision_resource(action: ProvisionResource, run: Run) -> dict[str, object]:
    """Make it unless it is there; the plan says whether undo may remove it."""
    request = ResourceRequest(action.key, action.resource, action.name, run.environment)
    made = run.world.provisioner.ensure(request)
    known = Resource(
        environment=run.environment,
        name=action.name,
        kind=action.resource,
        key=action.key,
        values=made.values,
        deployment=run.deployment,
        created_at=run.world.clock.now(),
    )
    run.world.records.resources.record(run.lease, known)
    value = next(iter(made.values.values()), "")
    for name in ("path", "url", "port"):
        value = made.values.get(name, value)
    return {"value": value, "values": dict(made.values)}


def remove_temporary(action: RemoveTemporary, run: Run) -> dict[str, object]:
    """Remove it; one that is gone already is fine."""
    run.world.provisioner.remove(ResourceRequest(action.key, action.resource, action.name, run.environment))
    run.world.records.resources.remove(run.lease, action.key)
    return {}


def declare_routes(action: DeclareRoutes, run: Run) -> dict[str, object]:
    """Have the routes declared in one reload; ports are reserved by name, so that asking again finds them.

    All are named, also those that the file has already: a controller that died before the reload leaves a file that
    the proxy does not serve, and only the proxy knows.
    """
    present = {route.service: route for route in run.proxy.routes()}
    wanted = [declaration(run, service, port, present.get(service)) for service, port in action.ports.items()]
    run.proxy.ensure_routes(wanted, fence=run.fence)
    declared = {r.service: r for r in run.proxy.routes() if r.service in action.ports}
    routes = [Route(run.environment, r.service, r.port, r.preview_port) for r in declared.values()]
    run.world.records.routes.record(run.lease, routes)
    ports = {name: route.port for name, route in declared.items()}
    found = {name: present[name].port for name in action.ports if name in present}
    before = found if action.before is None else dict(action.before)
    return {"ports": ports, "before": before, "added": {n: p for n, p in ports.items() if before.get(n) != p}}


def declaration(run: Run, service: str, port: int, known: RouteDeclaration | None) -> RouteDeclaration:
    """A route as it is to be; `port` 0 keeps the one it has, or chooses one."""
    if known is not None:
        return replace(known, port=port or known.port)
    free = run.world.provisioner.free_port
    public = port or free(f"{run.environment}.{service}.route")
    return RouteDeclaration(service, public, free(f"{run.environment}.{service}.preview"))


def render_configuration(action: RenderConfiguration, run: Run) -> dict[str, object]:
    """Write the files under the name in the plan; writing them again writes the same."""
    around = run.surroundings(action.service)
    files = files_for(run.specification, run.service(action.service), around)
    path = run.world.provisioner.write_configuration(action.key, files)
    return {"path": str(path), "files": sorted(files)}
