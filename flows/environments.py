"""Makes the Prefect deployment of one environment when it is first deployed to from outside."""

from __future__ import annotations

from prefect.client.orchestration import get_client

from flows.registering import register

POOL = "fairlead"


async def register_environment(environment: str) -> list[str]:
    """Make `deploy/ENVIRONMENT` like those that prefect.yaml declares. Safe to call twice."""
    async with get_client() as client:
        return await register(client, pool=POOL, environments=[environment])
