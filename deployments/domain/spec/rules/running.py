"""What runs can be started, and a worker is not asked for a route it does not have."""

from __future__ import annotations

from collections.abc import Iterator

from deployments.domain.spec.checks import When
from deployments.domain.spec.problems import Finding, nearest, one_of
from deployments.domain.spec.providers import PROVIDERS
from deployments.domain.spec.service import Framework, ServiceSpecification, ServiceType
from deployments.domain.spec.specification import DeploymentSpecification


def providers(specification: DeploymentSpecification) -> Iterator[Finding]:
    """The provider is one that exists."""
    for index, service in enumerate(specification.services):
        if service.provider not in PROVIDERS:
            meant = nearest(service.provider, PROVIDERS)
            guess = f"Did you mean `{meant}`? " if meant else ""
            message = f"There is no provider `{service.provider}`."
            yield Finding(("services", index, "provider"), message, f"{guess}Known: {one_of(PROVIDERS)}.")


def run_commands(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Every service that is started says how, except static ones, which have a server of their own."""
    if specification.skip_deploy:
        return
    for index, service in enumerate(specification.services):
        path = ("services", index, "run_command")
        if service.run_command and not service.run_command[0].strip():
            yield Finding(path, "Its first word, the program, is empty.", "Write the program first.")
        if service.run_command or service.framework is Framework.STATIC:
            continue
        remedy = 'Add it, for instance `run_command: ["{bin}/gunicorn", "app:app", "--bind", "127.0.0.1:{port}"]`.'
        yield Finding(path, f"It is missing: nothing says how `{service.name}` is started.", remedy)


def workers(specification: DeploymentSpecification) -> Iterator[Finding]:
    """A worker has no route: no public port, no traffic that moves step by step, nothing to serve."""
    for index, service in enumerate(specification.services):
        if service.type is ServiceType.WORKER:
            yield from _worker(index, service)


def _worker(index: int, service: ServiceSpecification) -> Iterator[Finding]:
    path = ("services", index)
    remedy = "Make it `type: web`, or leave this out."
    if service.port is not None:
        yield Finding((*path, "port"), "A worker has no route, so no public port.", remedy)
    if service.framework is Framework.STATIC and not service.run_command:
        yield Finding((*path, "type"), "Static files are served, and a worker serves nothing.", "Make it `type: web`.")
    for place, check in enumerate(service.checks):
        if check.when is When.AT_STEP:
            message = f"No traffic moves to a worker, so `{check.name}` would never be asked."
            remedy = "Ask it `before_traffic` or `after_traffic`: a worker's checks reach its first instance."
            yield Finding((*path, "checks", place, "when"), message, remedy)
