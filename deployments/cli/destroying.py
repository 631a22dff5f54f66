"""Stops all of one home, from what answers requests down to what remembers them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from deployments.cli.reaching import control_plane, open_world
from deployments.domain.errors import Conflict, DeploymentError, LeaseHeld, NotFound
from deployments.driver.opening import highest_fence

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
    with environments_held(settings, force=force) if has_data_plane(settings) else nullcontext():
        removed = data_plane(settings).stop()
    removed += control_plane(settings).down()
    if everything:
        removed += remove_files(settings)
    return removed


def has_data_plane(settings: Settings) -> bool:
    """Whether there ever was one: a home that only had a control plane has nothing to tell the records."""
    return (settings.home / "data-plane").exists()


@contextmanager
def environments_held(settings: Settings, *, force: bool) -> Iterator[None]:
    """While inside, nobody deploys or repairs, and the records say that all instances are gone."""
    try:
        world = open_world(settings)
        names = world.records.environments.names()
    except DeploymentError:
        if not force:
            raise
        yield
        return
    leases: list[Lease] = []
    try:
        leases += [lease for name in names if (lease := hold(world, name, force=force))]
        for lease in leases:
            retire(world, lease)
        yield
    finally:
        for lease in leases:
            with suppress(DeploymentError):
                world.records.leases.release(lease)


def hold(world: World, environment: str, *, force: bool) -> Lease | None:
    """The environment's lease. Raises Conflict naming the deployment that has it.

    A reconciler that is just repairing something has it for moments.
    """
    leases, minimum = world.records.leases, highest_fence(world, environment)
    ttl = world.timings.takeover
    end = world.clock.monotonic() + ttl.total_seconds()
    while True:
        current = world.records.queries.environment(environment).current
        try:
            if force:
                return leases.take_over(environment, OWNER, ttl, minimum_fence=minimum)
            lease = leases.acquire(environment, OWNER, ttl, minimum_fence=minimum)
            break
        except LeaseHeld as error:
            if current is None and world.clock.monotonic() < end:
                world.clock.sleep(world.poll)
                continue
            name = current.name if current else "another process"
            raise Conflict(
                f"{name} is under way in {environment}: {error.message}",
                remedy="Wait for it"
                + (f", cancel it (fairlead cancel {name})," if current else "")
                + " or use --force.",
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
