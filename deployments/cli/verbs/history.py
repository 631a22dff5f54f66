"""`fairlead history`: the deployments there were."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from deployments.cli.failing import OK
from deployments.cli.output import Output
from deployments.cli.reaching import open_world, read_settings
from deployments.cli.verb import Verb, with_environment, with_json
from deployments.cli.words import age, duration, moment, services_words

if TYPE_CHECKING:
    from deployments.domain.entities import Deployment

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def options(parser: ArgumentParser) -> None:
    """Filters, paging, --statistics, --json."""
    with_environment(parser, "only of this environment")
    parser.add_argument("--project", metavar="NAME", help="only of this project")
    parser.add_argument("--status", metavar="STATUS", action="append", help="only in this state; may be given again")
    parser.add_argument("--failed", action="store_true", help="only those that failed or were rolled back")
    parser.add_argument("--type", choices=("forward", "rollback", "retry"), help="only of this kind")
    parser.add_argument("--by", metavar="WHO", help="only those of this person")
    parser.add_argument(
        "--since", metavar="WHEN", type=point_in_time, help="not older: 2026-11-26, an ISO time, or 30m, 12h, 7d"
    )
    parser.add_argument("--until", metavar="WHEN", type=point_in_time, help="older than this")
    parser.add_argument("--limit", metavar="N", type=natural, default=20, help="at most N (default: %(default)s)")
    parser.add_argument("--offset", metavar="N", type=natural, default=0, help="leave out the first N")
    parser.add_argument(
        "--statistics", action="store_true", help="counts, success rate and durations in place of a list"
    )
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Newest first."""
    from deployments.domain.errors import Refused
    from deployments.domain.status import DeploymentStatus
    from deployments.store.criteria import Criteria, DeploymentType

    try:
        statuses = tuple(DeploymentStatus(status) for status in asked.status or ())
    except ValueError as error:
        known = ", ".join(DeploymentStatus)
        raise Refused(f"{error} of a deployment.".replace("'", ""), remedy=f"It is one of {known}.") from error
    criteria = Criteria(
        environment=asked.environment,
        project=asked.project,
        statuses=statuses,
        type=DeploymentType(asked.type) if asked.type else None,
        created_by=asked.by,
        since=asked.since,
        until=asked.until,
    )
    queries = open_world(read_settings()).records.queries
    if asked.statistics:
        return tell_statistics(queries.statistics(criteria), asked, output)
    read = queries.failed if asked.failed else queries.history
    found = read(criteria, limit=asked.limit, offset=asked.offset)
    if asked.json:
        output.json({"limit": asked.limit, "offset": asked.offset, "deployments": [row_json(one) for one in found]})
        return OK
    if not found:
        output.line("There are no such deployments.")
        return OK
    output.table(
        ("name", "environment", "status", "when", "took", "by", "services"),
        [
            (
                one.name,
                one.environment,
                one.status.value + (" (rollback)" if one.is_rollback else ""),
                age(one.created_at),
                duration(one.finished_at - one.created_at if one.finished_at else None),
                one.created_by,
                services_words(one.services),
            )
            for one in found
        ],
    )
    return OK


def row_json(one: Deployment) -> dict[str, object]:
    """A deployment without its specification."""
    return {
        "id": one.id,
        "name": one.name,
        "project": one.project,
        "environment": one.environment,
        "status": one.status,
        "reason": one.reason,
        "message": one.message,
        "created_by": one.created_by,
        "created_at": one.created_at,
        "finished_at": one.finished_at,
        "services": dict(one.services),
        "is_rollback": one.is_rollback,
        "parent": one.parent,
        "retry": one.retry,
        "flow_run": one.flow_run,
        "correlation_id": one.correlation_id,
        "steps_done": one.steps_done,
        "steps_total": one.steps_total,
    }


def tell_statistics(found: object, asked: Namespace, output: Output) -> int:
    """Over all, and by environment."""
    from deployments.store.statistics import Statistics

    assert isinstance(found, Statistics)
    if asked.json:
        output.json({"success_rate": found.success_rate, "statistics": found})
        return OK
    rows = [("all", found), *found.by_environment.items()]
    output.table(
        ("environment", "deployments", "success", "median", "p95", "by status"),
        [
            (
                name,
                one.total,
                "-" if one.success_rate is None else f"{one.success_rate:.0%}",
                duration(one.median_duration),
                duration(one.p95_duration),
                ", ".join(f"{count} {status.value}" for status, count in one.by_status.items()),
            )
            for name, one in rows
        ],
    )
    return OK


def point_in_time(text: str) -> datetime:
    """A date, a time, or how long ago."""
    number, unit = text[:-1], text[-1:]
    try:
        if unit in UNITS and number.isdigit():
            return datetime.now(UTC) - timedelta(**{UNITS[unit]: int(number)})
        return moment(text)
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r} is no time; write 2026-11-26, 2026-11-26T10:30, 30m, 12h or 7d") from error


def natural(text: str) -> int:
    """A number that is not negative."""
    if not text.isdigit() or len(text) > 9:
        raise ArgumentTypeError(f"{text!r} is no number of deployments")
    return int(text)


VERB = Verb(
    name="history",
    summary="list the deployments there were",
    story="Newest first, from the records. Name one to `fairlead show` for its timeline and report.",
    examples=(
        ("fairlead history --environment production --limit 5", "the last five of an environment"),
        ("fairlead history --failed --since 7d", "what went wrong in the last week"),
        ("fairlead history --offset 20 --json", "the second page, for machines"),
        ("fairlead history --statistics --since 30d", "counts, success rate and durations of a month"),
    ),
    options=options,
    run=run,
)
