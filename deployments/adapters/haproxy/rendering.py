"""The text of HAProxy's configuration. Pure.

The file always names the stable releases at full weight. A split is written only for the worker that a reload starts,
in blocks which HAProxy skips when it starts afresh, so a bare restart is a return to stable whatever the file holds.

A reload takes its split from one file, made for it, and from no other: the lasting file makes HAProxy refuse a reload,
and go on as it was. So a `reload` that a writer sends late, after another took over, changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from deployments.adapters.haproxy.names import FULL_WEIGHT
from deployments.domain.ports import Endpoint, RouteDeclaration

_ROUTE_LINE = "# fairlead-route: "
PUBLIC = ".public"
"""Ends the name of the frontend that clients reach. A service's own name is its backend's alone: HAProxy asked for the
statistics of a name that two have answers with the first, and a frontend has no sessions of instances.
"""

LOG_DESCRIPTOR = 9
"""The pipe to the meter, which HAProxy and every worker inherit."""

_IF_RELOADED = ".if defined(HAPROXY_MWORKER_REEXEC)"
_REFUSES_RELOAD = '    .alert "fairlead: this configuration is for a start, and not for a reload"'
_CHECK = "check inter 1s fastinter 500ms downinter 200ms rise 1 fall 5"


@dataclass(frozen=True, slots=True)
class Paths:
    """Every path that HAProxy is told."""

    lua: Path
    fence: Path
    configuration: Path
    handover: Path


@dataclass(frozen=True, slots=True)
class LiveServer:
    """One attached instance as the running worker has it."""

    instance: str
    port: int
    weight: int


@dataclass(frozen=True, slots=True)
class LiveService:
    """One service as the running worker has it; `servers` in the order in which they were attached."""

    servers: tuple[LiveServer, ...] = ()
    is_held: bool = False


def render(routes: Sequence[RouteDeclaration], paths: Paths, *, live: Mapping[str, LiveService] | None = None) -> str:
    """The whole file. With `live`, a worker started by a reload serves that; one started afresh serves the routes."""
    sections = [_HEAD, _global(routes, paths, has_live=live is not None), _DEFAULTS]
    in_order = sorted(routes, key=lambda route: route.service)
    services = [_service(route, None if live is None else live.get(route.service)) for route in in_order]
    return "\n".join([*sections, *services])


def read_routes(text: str) -> tuple[RouteDeclaration, ...]:
    """The routes which a rendered file declares."""
    lines = (line for line in text.splitlines() if line.startswith(_ROUTE_LINE))
    declared = [json.loads(line.removeprefix(_ROUTE_LINE)) for line in lines]
    return tuple(
        RouteDeclaration(**{**route, "stable": tuple(Endpoint(**endpoint) for endpoint in route["stable"])})
        for route in declared
    )


def is_for_reload(text: str) -> bool:
    """Whether a split is written in the file, which was then meant for one reload only."""
    return _REFUSES_RELOAD not in text


def routes_digest(routes: Sequence[RouteDeclaration]) -> str:
    """A name for the addresses a worker must listen on; what is stable is not part of it."""
    addresses = sorted((route.service, route.port, route.preview_port) for route in routes)
    return sha256(json.dumps(addresses).encode()).hexdigest()[:16]


def dynamic_server(service: str, instance: str, port: int) -> str:
    """The command that makes an instance known, in maintenance and without weight."""
    return f"add server {service}/{instance} 127.0.0.1:{port} {_CHECK} weight 0"


def lua_load(routes: Sequence[RouteDeclaration], paths: Paths) -> str:
    """The line that loads our commands, from where they are, and tells them where their files are."""
    files = " ".join(_quoted(path) for path in (paths.configuration, paths.handover))
    return f"lua-load {_quoted(paths.lua)} {_quoted(paths.fence)} {routes_digest(routes)} {files}"


def _global(routes: Sequence[RouteDeclaration], paths: Paths, *, has_live: bool) -> str:
    load = f"    {lua_load(routes, paths)}"
    if has_live:
        return f"{_GLOBAL}    {_IF_RELOADED}\n{load} reload\n    .else\n{load}\n    .endif\n"
    return f"{_GLOBAL}    {_IF_RELOADED}\n{_REFUSES_RELOAD}\n    .endif\n{load}\n"


def _quoted(path: Path) -> str:
    # A single-quoted word of HAProxy's configuration has no escapes but for the quote itself.
    return "'" + str(path).replace("'", "'\\''") + "'"


def _service(route: RouteDeclaration, live: LiveService | None) -> str:
    afresh = LiveService(tuple(LiveServer(one.instance, one.port, FULL_WEIGHT) for one in route.stable))
    return "\n".join(
        (
            _ROUTE_LINE + json.dumps(asdict(route)),
            f"frontend {route.service}{PUBLIC}",
            f"    bind 127.0.0.1:{route.port}",
            f"    log fd@{LOG_DESCRIPTOR} format raw daemon",
            _LOG_FORMAT.format(service=route.service),
            f"    default_backend {route.service}",
            f"backend {route.service}",
            f"    http-request lua.hold {route.service} if {{ srv_is_up({route.service}/_gate) }}",
            f"    server _successor 127.0.0.1:{route.port} weight 0",
            *_reloaded_or_afresh(live, afresh, _public_servers),
            f"frontend {route.service}.preview",
            f"    bind 127.0.0.1:{route.preview_port}",
            f"    default_backend {route.service}.preview",
            f"backend {route.service}.preview",
            *_reloaded_or_afresh(live, afresh, _preview_server),
            "",
        )
    )


def _reloaded_or_afresh(
    live: LiveService | None, afresh: LiveService, lines: Callable[[LiveService], list[str]]
) -> list[str]:
    if live is None:
        return lines(afresh)
    return [f"    {_IF_RELOADED}", *lines(live), "    .else", *lines(afresh), "    .endif"]


def _public_servers(service: LiveService) -> list[str]:
    gate = "    server _gate 127.0.0.1:9 weight 0" + ("" if service.is_held else " disabled")
    servers = [
        f"    server {one.instance} 127.0.0.1:{one.port} {_CHECK} weight {one.weight}" for one in service.servers
    ]
    return [gate, *servers]


def _preview_server(service: LiveService) -> list[str]:
    if not service.servers:
        return ["    server newest 127.0.0.1:9 disabled"]
    return [f"    server newest 127.0.0.1:{service.servers[-1].port}"]


_HEAD = "# Written by Fairlead at every change; edits are lost.\n"

# One thread: a Lua command then has no traffic beside it. noreuseport: with it, a second HAProxy on the same port fails
# to bind instead of quietly taking half of the connections.
_GLOBAL = """global
    nbthread 1
    noreuseport
    no strict-limits
    fd-hard-limit 32768
    hard-stop-after 12h
    mworker-max-reloads 50
    tune.lua.forced-yield 10000000
"""

# Only a connection that could not be made is tried again (elsewhere, if there is another instance): nothing has reached
# a server then. A request that reached one is never repeated. http-server-close gives each request a connection of its
# own to the instance: on a kept one, an instance that closes it as the next request arrives loses that request.
# http-ignore-probes: a connection that asks nothing, as from a port check, is no request and no error.
# idle-close-on-response lets clients that keep a connection learn of a reload from an answer instead of an error.
_DEFAULTS = """defaults
    mode http
    maxconn 16000
    timeout connect 3s
    timeout client 10m
    timeout server 10m
    timeout tunnel 24h
    timeout http-request 30s
    timeout http-keep-alive 60s
    timeout client-fin 30s
    timeout queue 30s
    retries 3
    retry-on conn-failure
    option redispatch 1
    option http-server-close
    option idle-close-on-response
    option dontlognull
    option http-ignore-probes
    option forwardfor
    balance roundrobin
"""

# What the meter reads: second, process, service, instance, status, milliseconds, how it ended.
_LOG_FORMAT = '    log-format "%[date] %pid {service} %s %ST %Ta %ts"'
