"""The story in four acts: first release, upgrade under load, a mistake that comes back, the accounts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from examples.demo.accounting import Books
from examples.demo.fairlead import TAKEN_BACK, Fairlead
from examples.demo.narration import Narrator
from examples.demo.timeline import Moment, Told, moments
from examples.demo.visitors import Visitors
from examples.demo.visits import MISTAKE

HERE = Path(__file__).parent
FIRST, UPGRADE, BAD = "airports-1", "airports-2", "airports-3"
"""Names of the three deployments, as in their files."""
QUIET = 60
"""Requests between two acts, so that each has a before and an after."""


@dataclass(slots=True)
class Outcome:
    """What the story came to."""

    books: Books
    told: tuple[Told, ...]
    code_of_bad: int

    @property
    def moments(self) -> list[Moment]:
        """Of all deployments, in order."""
        return moments(self.told)

    @property
    def rollback_seconds(self) -> float | None:
        """From the decision to the last new request that the bad release got; 0 when none was sent after it."""
        decision, last = self.told[-1].decided_at, self.books.last_sent_to(MISTAKE.release)
        return None if decision is None or last is None else max(0.0, last - decision)

    @property
    def return_seconds(self) -> float | None:
        """From the decision to the record that the traffic is back."""
        decision, back = self.told[-1].decided_at, self.told[-1].returned_at
        return None if decision is None or back is None else back - decision

    @property
    def complaints(self) -> list[str]:
        """Why the story is not as it should be; empty when it is."""
        books, bad = self.books, MISTAKE.release
        found = []
        if unexplained := books.unexplained(bad):
            found.append(f"{len(unexplained)} requests failed that {bad} did not cause.")
        if books.missing:
            found.append(f"{books.missing} requests were sent and nobody knows what became of them.")
        if not books.failed_because_of(bad):
            found.append(f"{bad} was to fail under load and did not.")
        if self.rollback_seconds is None:
            found.append(f"The records of {BAD} tell of no decision.")
        if self.code_of_bad != TAKEN_BACK:
            found.append(f"{BAD} was to come back by itself and did not.")
        return found


def tell(narrator: Narrator, fairlead: Fairlead) -> Outcome:
    """Play it. Raises CommandFailed or LoadLost when it cannot go on."""
    narrator.line(f"This demo has a home of its own: {fairlead.home}")
    release_first(narrator, fairlead)
    urls = routes(fairlead)
    narrator.line()
    narrator.say("It answers on these addresses, through HAProxy:")
    narrator.table(sorted(urls.items()))
    visitors = Visitors.arrive(urls, fairlead.home / "ledger.jsonl")
    try:
        upgrade(narrator, fairlead, visitors)
        code = release_mistake(narrator, fairlead, visitors)
        books = visitors.leave()
    finally:
        visitors.end()
    told = tuple(Told.of(fairlead.ask("show", name)) for name in (FIRST, UPGRADE, BAD))
    return Outcome(books, told, code)


def release_first(narrator: Narrator, fairlead: Fairlead) -> None:
    """Act 1."""
    narrator.act(1, "Three programs go out for the first time")
    narrator.say(
        "Datasette publishes the airports of the world as pages (catalogue); ROAPI reads them from it and answers SQL"
        " (api); Paste under gunicorn puts both behind one address (gateway). They are built from PyPI packages, and"
        " use one another over HTTP. The first command starts what Fairlead itself needs: PostgreSQL, Prefect, HAProxy."
    )
    deploy(narrator, fairlead, "v1.yaml")


def upgrade(narrator: Narrator, fairlead: Fairlead, visitors: Visitors) -> None:
    """Act 2."""
    narrator.act(2, "An upgrade of all three, while visitors come")
    narrator.say(
        "Visitors arrive and stay to the end: on kept connections, on new ones, and slowly, with requests in flight at"
        " every moment. Now a newer Datasette with newer data goes out. Catalogue and api change by blue-green, the"
        " gateway rolls through its two instances."
    )
    visitors.wait_for(QUIET)
    deploy(narrator, fairlead, "v2.yaml")


def release_mistake(narrator: Narrator, fairlead: Fairlead, visitors: Visitors) -> int:
    """Act 3. Returns the exit code of the deployment that is to come back."""
    visitors.wait_for(QUIET)
    narrator.act(3, "A mistake goes out, and comes back by itself")
    narrator.say(
        "Version 2.1.0 of the catalogue is to list the airports by city. Its metadata names the column `city_name`; the"
        " data calls it `city`. Health checks and the checks before traffic are green, because Datasette starts, and"
        " most pages work. Only under real traffic do the lists of airports answer 500."
    )
    code = deploy(narrator, fairlead, "v3.yaml", expect=(0, TAKEN_BACK))
    visitors.wait_for(QUIET)
    time.sleep(1)
    return code


def deploy(narrator: Narrator, fairlead: Fairlead, file: str, *, expect: tuple[int, ...] = (0,)) -> int:
    """As a user does."""
    path = HERE / file
    narrator.line()
    narrator.command(("fairlead", "deploy", f"examples/demo/{file}"))
    return fairlead.show("deploy", str(path), expect=expect)


def routes(fairlead: Fairlead) -> dict[str, str]:
    """Public address by service, as `fairlead status` tells them."""
    [environment] = fairlead.ask("status", "demo")["environments"]
    return {service["name"]: service["url"] for service in environment["services"]}
