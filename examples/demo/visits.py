"""What the visitors ask for, and how an answer tells which release gave it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from examples.demo.wire import Pace, Request

COUNT = b"select count(*) as airports from airports"
AIRPORTS = {"7861": "1.0.0", "7884": "2.0.0"}
"""Airports with an IATA code in the data of each release of the SQL service, which tells it no other way."""
RELEASE = re.compile(rb"release (\d+\.\d+\.\d+)")
COUNTED = re.compile(rb'\[\{"airports":(\d+)\}\]')


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to the route of one service, answered in the end by `answered_by`."""

    route: str
    request: Request
    answered_by: str

    @property
    def name(self) -> str:
        """For people: `gateway /index.html`."""
        return f"{self.route} {self.request.path}"


def get(route: str, path: str, answered_by: str) -> Visit:
    """A page, asked for at once."""
    return Visit(route, Request("GET", path), answered_by)


PROMPT: Sequence[Visit] = (
    get("catalogue", "/airports/airports?_size=10", "catalogue"),
    get("gateway", "/catalogue/airports/airports/EGLL", "catalogue"),
    get("catalogue", "/airports/airports/KJFK", "catalogue"),
    get("gateway", "/index.html", "gateway"),
    Visit("api", Request("POST", "/api/sql", COUNT), "api"),
    get("gateway", "/catalogue/airports/airports?country=JP&_size=10", "catalogue"),
    get("catalogue", "/airports/airports?country=FR&_size=10", "catalogue"),
    Visit("gateway", Request("POST", "/api/sql", COUNT), "api"),
)
"""Pages and queries, each through the route of a service; through the gateway another service answers."""
SLOW: Sequence[Visit] = (
    Visit("gateway", Request("POST", "/api/sql", COUNT, Pace.SLOW_UPLOAD), "api"),
    Visit("api", Request("POST", "/api/sql", COUNT, Pace.SLOW_UPLOAD), "api"),
    Visit("catalogue", Request("GET", "/airports/airports?_sort=icao&_size=200", pace=Pace.SLOW_DOWNLOAD), "catalogue"),
)
"""In flight for a second and more, so that every change finds some of them on the way."""


def release_of(visit: Visit, body: bytes) -> str | None:
    """`catalogue 1.0.0`, from the content of the answer; None where it does not tell."""
    if visit.answered_by == "api":
        counted = COUNTED.search(body)
        release = AIRPORTS.get(counted[1].decode()) if counted else None
    else:
        found = RELEASE.search(body)
        release = found[1].decode() if found else None
    return f"{visit.answered_by} {release}" if release else None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A known mistake: the release that has it, and the words with which it fails. No other release says them."""

    release: str
    words: bytes


MISTAKE = Mistake("catalogue 2.1.0", b"Cannot sort table by city_name")
"""Of v3.yaml. Datasette itself says so, in its error page; a gateway in front passes the page on."""


def addresses(urls: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Host and port by service, of `http://127.0.0.1:8001`."""
    found = {}
    for name, url in urls.items():
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        found[name] = (host, int(port))
    return found
