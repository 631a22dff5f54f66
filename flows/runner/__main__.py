"""`python -m flows.runner`: the warm runner as a process, and the template and the runs that are forked from it.

One program, three kinds of process: this one imports everything and forks the *template* before it starts a thread; the
template forks a process per *run*. PREFECT_API_URL says where Prefect is.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import importlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client

from deployments.adapters.control_plane.runs import ClaimedRuns
from deployments.domain.errors import DeploymentError
from flows.correcting import Corrector, end_on_record
from flows.ends import End
from flows.registering import declarations, ensure_pool, register
from flows.runner.api import PoolApi, worker_name
from flows.runner.cancelling import ask_to_cancel
from flows.runner.execution import execute
from flows.runner.service import Pace, WarmRunner
from flows.runner.template import serve
from flows.runner.workshop import TemplateGone, Workshop
from flows.worlds import world_of_this_process

log = logging.getLogger("fairlead.runner")

REGISTER_SECONDS = 15.0
CORRECT_SECONDS = 5.0

LATE_IMPORTS = (
    "anyio._backends._asyncio",
    "encodings.idna",
    "fastapi",
    "http.cookies",
    "opentelemetry.metrics",
    "prefect.concurrency.services",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "rich._emoji_codes",
)
"""What Prefect's engine imports at the first flow, task and request: 0.4 s of every run, unless done beforehand."""


def main(arguments: Sequence[str]) -> int:
    """Fork the template, then work. Status 0 when asked to stop, 1 when the folder is taken or no run can start."""
    options = parse(arguments)
    declared = [each.entrypoint.rpartition(".")[0] for each in declarations()] if options.register else []
    for module in (*declared, *options.preload, *LATE_IMPORTS):
        with suppress(ModuleNotFoundError) if module in LATE_IMPORTS else nullcontext():
            importlib.import_module(module)
    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate())
        raise RuntimeError(f"Importing the flows started threads ({names}); nothing can be forked from this process.")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        return be_template(theirs, ClaimedRuns(options.claims))
    theirs.close()
    return be_runner(Workshop(ours), options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m flows.runner", description="Run due flow runs, quickly.")
    parser.add_argument("--claims", type=Path, required=True, help="folder of the claimed runs; one runner per folder")
    parser.add_argument("--pool", default="fairlead", help="Prefect work pool to serve")
    parser.add_argument("--limit", type=int, default=8, help="runs at the same time")
    parser.add_argument(
        "--serve", action="append", default=None, help="package whose flows are served (default: flows)"
    )
    parser.add_argument("--preload", action="append", default=[], help="module to import before anything is forked")
    parser.add_argument("--register", action="store_true", help="first register the deployments of prefect.yaml")
    parser.add_argument("--ready", type=Path, help="file to write once runs are being taken")
    options = parser.parse_args(arguments)
    options.serve = tuple(options.serve or ("flows",))
    return options


def be_template(orders: socket.socket, claims: ClaimedRuns) -> int:
    """Fork until the runner is gone. In a forked process: do the order, and leave as an ordinary process does."""
    order = serve(orders)
    if order is not None:
        execute(order, claims)
    return 0


def be_runner(workshop: Workshop, options: argparse.Namespace) -> int:
    """Work until SIGTERM or SIGINT."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO)
    options.claims.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (options.claims / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.error("another_runner_has claims=%s", options.claims)
            return 1
        return asyncio.run(work(workshop, options))


async def work(workshop: Workshop, options: argparse.Namespace) -> int:
    """Until a signal: then claim nothing more and leave; runs go on by themselves."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    stopping = asyncio.create_task(stopped.wait())
    working = asyncio.create_task(serve_pool(workshop, options))
    await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():
        working.cancel()
        await asyncio.wait({working})
        log.info("stopped")
        return 0
    stopping.cancel()
    try:
        await working
    except* TemplateGone:
        log.exception("cannot_start_runs")
    return 1


async def serve_pool(workshop: Workshop, options: argparse.Namespace) -> None:
    """Register if asked to, say that runs are being taken, and take them."""
    async with get_client() as client:
        await wait_for_api(client)
        await ensure_pool(client, options.pool)
        if options.register:
            await register_all(client, options.pool, ())
        api = PoolApi(client, pool=options.pool, name=worker_name(), packages=options.serve)
        claims = ClaimedRuns(options.claims)
        runner = WarmRunner(
            api,
            workshop,
            claims,
            limit=options.limit,
            ask_to_cancel=ask_to_cancel,
            end_on_record=partial(end_of_deployment, client) if options.register else no_record,
            pace=Pace(),
        )
        await api.beat(Pace().heartbeat)
        if options.ready is not None:
            options.ready.write_text(str(os.getpid()))
        log.info("ready pool=%s limit=%d", options.pool, options.limit)
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.work())
            if options.register:
                group.create_task(keep_registered(client, options.pool))
                group.create_task(keep_corrected(client, claims))


async def keep_registered(client: PrefectClient, pool: str) -> None:
    """A deployment of the `deploy` flow for each environment in the records, those that are made later included."""
    known: tuple[str, ...] = ()
    while True:
        try:
            found = await asyncio.to_thread(environments_on_record)
            if found != known:
                await register_all(client, pool, found)
            known = found
        except (DeploymentError, httpx.HTTPError) as error:
            log.warning("registering_postponed error=%r", error)
        await asyncio.sleep(REGISTER_SECONDS)


async def keep_corrected(client: PrefectClient, claims: ClaimedRuns) -> None:
    """Runs that nobody reports the end of: see flows.correcting."""
    while True:
        try:
            records = (await asyncio.to_thread(world_of_this_process)).records
            for line in await Corrector(client, records, claims).correct():
                log.info("run_corrected %s", line)
        except (DeploymentError, httpx.HTTPError) as error:
            log.warning("correcting_postponed error=%r", error)
        await asyncio.sleep(CORRECT_SECONDS)


async def end_of_deployment(client: PrefectClient, flow_run_id: UUID) -> End | None:
    """None while the records do not answer: the run's hooks, the reconciler and the corrections follow."""
    try:
        records = (await asyncio.to_thread(world_of_this_process)).records
        return await end_on_record(client, records, flow_run_id)
    except DeploymentError as error:
        log.warning("end_unknown flow_run=%s error=%r", flow_run_id, error)
        return None


async def no_record(flow_run_id: UUID) -> End | None:
    """Of a runner that serves other flows."""
    return None


def environments_on_record() -> tuple[str, ...]:
    """Names, from the records."""
    return tuple(sorted(record.name for record in world_of_this_process().records.environments.all()))


async def register_all(client: PrefectClient, pool: str, environments: tuple[str, ...]) -> None:
    """As prefect.yaml and the records say."""
    names = await register(client, pool=pool, environments=environments)
    log.info("registered names=%s", ",".join(names))


async def wait_for_api(client: PrefectClient) -> None:
    """Wait as long as it takes: after a crash of the machine the server may come up later than we do."""
    is_first = True
    while (error := await client.api_healthcheck()) is not None:
        if is_first:
            log.warning("api_unavailable error=%r", error)
        is_first = False
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
