"""The last act: timeline, counts and verdict, for people and as JSON."""

from __future__ import annotations

from typing import Any

from examples.demo.narration import Narrator
from examples.demo.story import Outcome
from examples.demo.visits import MISTAKE

SHOWN = 20
"""Failed requests that are told one by one."""


def tell_outcome(narrator: Narrator, outcome: Outcome) -> None:
    """What happened, and what visitors saw of it."""
    books, bad = outcome.books, MISTAKE.release
    narrator.act(4, "What happened, and what visitors saw of it")
    began = min((moment.at for moment in outcome.moments), default=0.0)
    narrator.table([f"{m.at - began:7.2f} s", m.deployment, m.words] for m in outcome.moments)
    narrator.line()
    narrator.table([*((f"answered by {name}", count) for name, count in books.by_release.items())])
    narrator.line()
    narrator.table([*((f"on {name} connections", count) for name, count in books.by_way.items())])
    narrator.line()
    narrator.table(
        [
            ("requests sent", books.sent),
            (f"failed because of {bad}", len(books.failed_because_of(bad))),
            ("failed for any other reason", len(books.unexplained(bad))),
            ("sent, and nobody knows", books.missing),
        ]
    )
    tell_rollback(narrator, outcome)
    for line in books.unexplained(bad)[:SHOWN]:
        narrator.line(f"  failed: {line.sent - began:7.2f} s  {line.way}  {line.visit}: {line.problem}")
    tell_verdict(narrator, outcome)


def tell_rollback(narrator: Narrator, outcome: Outcome) -> None:
    """From the decision to the last request that the bad release got."""
    narrator.line()
    rows = [
        (f"from the decision to the last new request routed to {MISTAKE.release}", outcome.rollback_seconds),
        ("from the decision to the record that the traffic is back", outcome.return_seconds),
    ]
    narrator.table((words, "?" if took is None else f"{took * 1000:.0f} ms") for words, took in rows)


def tell_verdict(narrator: Narrator, outcome: Outcome) -> None:
    """Good or not, in a sentence."""
    if outcome.complaints:
        narrator.verdict(" ".join(outcome.complaints), is_good=False)
        return
    narrator.verdict(
        f"Of {outcome.books.sent:,} requests none failed through a deployment or a rollback. The only failures are"
        f" pages of {MISTAKE.release}, until it was taken back.",
        is_good=True,
    )


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The counts, for machines."""
    books, bad = outcome.books, MISTAKE.release
    return {
        "sent": books.sent,
        "answered_well": len(books.lines) - len(books.failed),
        "failed": len(books.failed),
        "failed_because_of_the_bad_release": len(books.failed_because_of(bad)),
        "failed_otherwise": len(books.unexplained(bad)),
        "missing": books.missing,
        "by_release": books.by_release,
        "by_way": books.by_way,
        "rollback_seconds": outcome.rollback_seconds,
        "return_seconds": outcome.return_seconds,
        "complaints": outcome.complaints,
        "timeline": [{"at": m.at, "deployment": m.deployment, "words": m.words} for m in outcome.moments],
    }
