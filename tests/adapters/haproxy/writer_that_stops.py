"""A writer in a process of its own, which stops itself (SIGSTOP) just before one of its commands to HAProxy.

    python -m tests.adapters.haproxy.writer_that_stops STATE RUN FENCE COMMAND ACTION ARGUMENTS

It prints what became of the action: `done`, or the class of the error. ARGUMENTS are JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from deployments.adapters.haproxy.proxy import HAProxy
from deployments.adapters.haproxy.runtime import Runtime
from deployments.domain.errors import DeploymentError
from deployments.domain.ports import Endpoint, RouteDeclaration
from tests.fakes.process_host import ChildProcessHost
from tests.fakes.proxy_world import ENVIRONMENT

LONG = timedelta(minutes=10)
ACTIONS: Mapping[str, Callable[[HAProxy, int, Any], None]] = {
    "ensure_routes": lambda p, f, ports: p.ensure_routes([RouteDeclaration("api", *ports)], fence=f),
    "remove_routes": lambda p, f, _: p.remove_routes(["worker"], fence=f),
    "promote": lambda p, f, port: p.promote({"web": [Endpoint("web-2", port, "v2")]}, fence=f),
    "attach": lambda p, f, port: p.attach("web", Endpoint("web-4", port, "v4"), fence=f),
    "detach": lambda p, f, _: p.detach("web", "web-3", fence=f),
    "set_weights": lambda p, f, _: p.set_weights("web", {"web-2": 256}, fence=f),
    "arm_handle": lambda p, f, _: p.arm_handle({"web": {"web-2": 256}, "worker": {}}, LONG, fence=f),
}


def stop_before(command: int) -> None:
    """Stop this process just before it sends its command of this number."""
    send, numbers = Runtime._exchange, count(1)

    def stop_then_send(self: Runtime, text: str, timeout: timedelta) -> str:
        if next(numbers) == command:
            os.kill(os.getpid(), signal.SIGSTOP)
        return send(self, text, timeout)

    Runtime._exchange = stop_then_send  # type: ignore[method-assign]  # the fault is in this process alone


def main(state: str, run: str, fence: str, command: str, action: str, arguments: str) -> None:
    """Act once."""
    proxy = HAProxy(ENVIRONMENT, Path(state), Path(run), ChildProcessHost())
    stop_before(int(command))
    try:
        ACTIONS[action](proxy, int(fence), json.loads(arguments))
    except DeploymentError as error:
        print(type(error).__name__)
    else:
        print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
