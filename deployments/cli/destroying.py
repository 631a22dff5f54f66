"""Stops all of one home, from what answers requests down to what remembers them."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from deployments.cli.reaching import control_plane, open_world
from deployments.domain.errors import Conflict, DeploymentError, LeaseHeld, NotFound

if TYPE_CHECKING:
    from deployments.driver.world import World
    from deployments.settings import Settings
    from deployments.store.leases import Lease

OWNER = "fairlead destroy"


def destroy(settings: Settings, *, everything: bool, force: bool) -> list[str]:
    """What was removed. Raises Conflict while a deployment is under way, unless forced."""
    from deployments.assembly import data_plane

    if not settings.home.exists():
        return []
    if has_data_plane(settings):
        tell_records(settings, force=force)
    removed = [*data_plane(settings).stop(), *control_plane(settings).down()]
    if everything:
        removed += remove_files(settings)
    return removed


def has_data_plane(settings: Settings) -> bool:
    """Whether there ever was one: a home that only had a control plane has nothing to tell the records."""
    return (settings.home / "data-plane").exists()


def tell_records(settings: Settings, *, force: bool) -> None:
    """Hold every environment, so that nobody deploys meanwhile, and record that its instances are gone."""
    try:
        world = open_world(settings)
        names = [record.name for record in world.records.environments.all()]
    except DeploymentError:
        if not force:
            raise
        return
    leases = [lease for name in names if (lease := hold(world, name, force=force))]
    try:
        for lease in leases:
            retire(world, lease)
    finally:
        for lease in leases:
            with suppress(DeploymentError):
                world.records.leases.release(lease)


def hold(world: World, environment: str, *, force: bool) -> Lease | None:
    """The environment's lease. Raises Conflict naming the deployment that has it."""
    leases, minimum = world.records.leases, world.proxy(environment).highest_fence()
    ttl = world.timings.takeover
    current = world.records.queries.environment(environment).current
    try:
        if force:
            return leases.take_over(environment, OWNER, ttl, minimum_fence=minimum)
        lease = leases.acquire(environment, OWNER, ttl, minimum_fence=minimum)
    except LeaseHeld as error:
        name = current.name if current else "a deployment"
        raise Conflict(
            f"{name} is under way in {environment}: {error.message}",
            remedy=f"Wait for it, cancel it (fairlead cancel {name}), or use --force.",
        ) from error
    except NotFound:
        return None
    if current is not None:
        leases.release(lease)
        raise Conflict(
            f"{current.name} in {environment} is {current.status.value} and driven by nobody.",
            remedy="`fairlead up` finishes it; or use --force.",
        )
    return lease


def retire(world: World, lease: Lease) -> None:
    """Record that the environment's instances are gone."""
    from deployments.domain.entities import InstanceLife

    records = world.records
    for instance in records.instances.of_environment(lease.environment):
        records.instances.set_state(lease, instance.id, InstanceLife.RETIRED)
        world.provisioner.release_port(instance.id)


def remove_files(settings: Settings) -> list[str]:
    """The home and the run directory, with the embedded database wherever it lies."""
    from deployments.adapters.postgres.place import choose_place

    removed = []
    if settings.database_url is None:
        choose_place(settings.home, settings.run_directory).remove()
        removed.append("the embedded database")
    for directory in (settings.run_directory, settings.home):
        if directory.exists():
            shutil.rmtree(directory, ignore_errors=True)
            removed.append(f"directory {directory}")
    return removed
