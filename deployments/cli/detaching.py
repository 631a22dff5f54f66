"""Hands a deployment to the warm runner, by Prefect's API like any other trigger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import control_plane, open_world
from deployments.domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    import httpx

    from deployments.domain.spec.specification import DeploymentSpecification
    from deployments.settings import Settings

PATIENCE_SECONDS = 30.0


def detach(
    settings: Settings, specification: DeploymentSpecification, base: Path, output: Output, *, as_json: bool
) -> int:
    """Trigger `deploy/ENVIRONMENT` and say where it can be watched."""
    environment = specification.target_environment
    settings.ensure_directories()
    open_world(settings)
    plane = control_plane(settings)
    url = plane.up()
    try:
        run = trigger(url, environment, parameters(specification, base))
    except NotRegistered:
        register(plane.environment(), environment)
        run = trigger(url, environment, parameters(specification, base))
    page = f"{url.removesuffix('/api')}/runs/flow-run/{run}"
    if as_json:
        output.json({"flow_run": run, "url": page, "environment": environment})
        return OK
    output.line(f"Handed to the runner: flow run {run}")
    output.line(f"  watch it: {page}")
    output.line(f"  or:       fairlead status {environment}")
    return OK


class NotRegistered(Exception):
    """There is no Prefect deployment for this environment yet."""


def parameters(specification: DeploymentSpecification, base: Path) -> dict[str, object]:
    """Of the flow."""
    asked = specification.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {"specification": asked, "base": str(base)}


def trigger(url: str, environment: str, parameters: dict[str, object]) -> str:
    """Create the run; its id. Raises NotRegistered, Refused or Unavailable."""
    import httpx

    try:
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            found = client.get(f"/deployments/name/deploy/{environment}")
            if found.status_code == httpx.codes.NOT_FOUND:
                raise NotRegistered
            body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
            answer = client.post(f"/deployments/{checked(found)['id']}/create_flow_run", json=body)
            return str(checked(answer)["id"])
    except httpx.HTTPError as error:
        raise Unavailable(f"Prefect at {url} did not answer: {error}.", remedy="Try again.") from error


def checked(answer: httpx.Response) -> dict[str, object]:
    """The document of a good answer."""
    if answer.is_client_error:
        raise Refused(f"Prefect refused the run: {answer.text[:2000]}", remedy="Correct the specification.")
    if answer.is_error:
        raise Unavailable(f"Prefect answered {answer.status_code}: {answer.text[:500]}", remedy="Try again.")
    document = answer.json()
    return document if isinstance(document, dict) else {}


def register(variables: dict[str, str], environment: str) -> None:
    """Make the Prefect deployment of an environment that prefect.yaml does not name."""
    import asyncio
    import os

    os.environ.update(variables)  # before Prefect is imported, by the module below
    from flows.environments import register_environment

    asyncio.run(register_environment(environment))
