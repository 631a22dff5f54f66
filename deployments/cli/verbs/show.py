"""`fairlead show DEPLOYMENT`: its timeline, its steps, its report."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from deployments.cli.failing import OK
from deployments.cli.output import Output, cell
from deployments.cli.progress.board import objects
from deployments.cli.progress.lines import words_of
from deployments.cli.reaching import open_world, read_settings
from deployments.cli.verb import Verb, with_environment, with_json
from deployments.cli.words import at, duration, services_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deployments.domain.entities import Deployment
    from deployments.domain.events import Event


def options(parser: ArgumentParser) -> None:
    """DEPLOYMENT, --environment, --json."""
    parser.add_argument("deployment", metavar="DEPLOYMENT", help="its name or id")
    with_environment(parser, "where the deployment is, when several environments have one of this name")
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Everything that is known of it."""
    records = open_world(read_settings()).records
    found = records.deployments.get(asked.deployment, environment=asked.environment)
    events = records.events.timeline(deployment=found.id)
    report = records.deployments.report(found.id)
    if asked.json:
        plan = records.deployments.plan(found.id)
        output.json({"deployment": found, "plan": plan, "events": events, "report": report})
        return OK
    tell_facts(found, output)
    tell_timeline(found, events, output)
    if report:
        tell_traffic(report, output)
    return OK


def tell_facts(found: Deployment, output: Output) -> None:
    """Who, what, when, and how it stands."""
    took = found.finished_at - found.created_at if found.finished_at else None
    facts = {
        "id": found.id,
        "project": found.project,
        "environment": found.environment,
        "status": found.status.value + (f" ({found.reason.value})" if found.reason.value != "none" else ""),
        "message": found.message,
        "services": services_words(found.services),
        "created": f"{at(found.created_at)} by {found.created_by}",
        "took": duration(took) if took else f"{found.progress.done} of {found.progress.total} steps done",
        "takes back" if found.is_rollback else "follows": found.parent or "",
        "flow run": found.flow_run or "",
        "correlation": found.correlation_id if found.correlation_id != found.id else "",
    }
    metadata = found.specification.get("metadata")
    if isinstance(metadata, dict):
        facts |= {name: str(value) for name, value in metadata.items() if value}
    output.line(output.styled(found.name, "bold"))
    for name, value in facts.items():
        if value:
            output.line(f"  {name:<12} {cell(value)}")


def tell_timeline(found: Deployment, events: Sequence[Event], output: Output) -> None:
    """Each event with the seconds since the deployment was opened."""
    output.line()
    output.line("timeline")
    for event in events:
        told = words_of(event)
        if told is not None:
            seconds = (event.at - found.created_at).total_seconds()
            output.line(f"  {event.at.astimezone():%H:%M:%S}  {seconds:>+8.2f}s  {told}")


def tell_traffic(report: Mapping[str, object], output: Output) -> None:
    """Requests by release, as the meter counted them."""
    rows = [
        (
            row.get("service"),
            row.get("revision"),
            row.get("requests"),
            row.get("errors"),
            latencies(row.get("latency_ms")),
        )
        for row in objects(report.get("traffic"))
    ]
    if rows:
        output.line()
        output.line("traffic during the deployment")
        output.table(("service", "revision", "requests", "errors", "latency in ms"), rows, indent="  ")


def latencies(found: object) -> str:
    """`p50 3, p99 12`."""
    return ", ".join(f"{name} {value:g}" for name, value in found.items()) if isinstance(found, dict) else ""


VERB = Verb(
    name="show",
    summary="show one deployment: its timeline, its steps, its report",
    story="Everything the records know of it: who asked, what changed, each step when it was done, checks and "
    "verdicts, the requests that each release answered.",
    examples=(
        ("fairlead show shop-42", "by name or id; `fairlead history` lists them"),
        ("fairlead show shop-42 --json", "the same with specification, plan and report"),
    ),
    options=options,
    run=run,
)
