"""Puts the business together for one machine: adapters around the driver's world. Called by each face's root."""

from __future__ import annotations

import sys
from functools import cache

from deployments.adapters.builder.builder import LocalBuilder
from deployments.adapters.control_plane.plane import ControlPlane
from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.machine import LocalMachine
from deployments.adapters.meter.reader import ProxyMeter
from deployments.adapters.prober import LocalProber
from deployments.adapters.provisioner.provisioner import LocalProvisioner
from deployments.adapters.supervisor.data_plane import DataPlane
from deployments.adapters.supervisor.host import ProcessHost
from deployments.driver.world import World
from deployments.settings import Settings
from deployments.store.records import Records


def data_plane(settings: Settings) -> DataPlane:
    """The supervisor that owns proxy, meter and instances, and outlives every command."""
    return DataPlane(settings.home / "data-plane", settings.run_directory / "data")


def control_plane(settings: Settings, *, is_durable: bool = True) -> ControlPlane:
    """PostgreSQL, Prefect's server, the runner and the reconciler, under a supervisor of their own."""
    host = ProcessHost(settings.home / "control-plane", settings.run_directory / "control")
    return ControlPlane(settings, host, is_durable=is_durable)


def assemble(settings: Settings) -> World:
    """The world of a process: records are migrated, PostgreSQL is started if it is ours and away; nothing else is."""
    settings.ensure_directories()
    records = Records(control_plane(settings).ensure_database(), lease=settings.timings.lease)
    records.migrate()
    supervisor = data_plane(settings)

    @cache
    def proxy(environment: str) -> HAProxy:
        return HAProxy(
            environment,
            settings.home / "proxy",
            settings.run_directory,
            supervisor,
            program=settings.haproxy,
        )

    def meter(environment: str) -> ProxyMeter:
        return ProxyMeter(environment, settings.home / "proxy")

    return World(
        records=records,
        proxy=proxy,
        meter=meter,
        supervisor=supervisor,
        builder=LocalBuilder(settings.home, wheelhouse=settings.wheelhouse),
        provisioner=LocalProvisioner(settings.home, database_url=control_plane(settings).ensure_database),
        prober=LocalProber(),
        machine=LocalMachine(settings.home),
        log_directory=settings.home / "logs" / "instances",
        python=sys.executable,
        timings=settings.timings,
    )
