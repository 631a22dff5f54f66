"""Deadlines that can be kept: min_healthy < healthy_deadline < progress_deadline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from deployments.domain.spec.model import format_duration as words
from deployments.domain.spec.problems import Finding
from deployments.domain.spec.service import ServiceSpecification
from deployments.domain.spec.specification import DeploymentSpecification


def deadlines(specification: DeploymentSpecification) -> Iterator[Finding]:
    """Each deadline leaves room for the one within it."""
    for index, service in enumerate(specification.services):
        path = ("services", index, "timing")
        timing = service.timing
        if timing.min_healthy >= timing.healthy_deadline:
            yield _too_short(path, "min_healthy", timing.min_healthy, "healthy_deadline", timing.healthy_deadline)
        if timing.healthy_deadline >= timing.progress_deadline:
            yield _too_short(
                path, "healthy_deadline", timing.healthy_deadline, "progress_deadline", timing.progress_deadline
            )


def _too_short(path: tuple[str | int, ...], inner: str, short: timedelta, outer: str, long: timedelta) -> Finding:
    return Finding(
        (*path, inner),
        f"It is {words(short)}, which is not less than `{outer}` ({words(long)}).",
        f"Lower `{inner}` or raise `{outer}`.",
    )


def health_can_be_reached(specification: DeploymentSpecification) -> Iterator[Finding]:
    """The answers in a row that health asks for fit before its deadline."""
    for index, service in enumerate(specification.services):
        deadline = service.timing.healthy_deadline
        for place, check in enumerate(service.health_checks):
            needed = check.interval * (check.successes - 1)
            if needed >= deadline:
                yield Finding(
                    ("services", index, "health_checks", place, "successes"),
                    f"{check.successes} answers every {words(check.interval)} take {words(needed)}, "
                    f"not less than `timing.healthy_deadline` ({words(deadline)}).",
                    "Ask for fewer answers or more often, or raise the deadline.",
                )


def tolerated_failures(specification: DeploymentSpecification) -> Iterator[Finding]:
    """A check that tolerates every answer being bad asks nothing."""
    for index, service in enumerate(specification.services):
        yield from _tolerated(index, service)


def _tolerated(index: int, service: ServiceSpecification) -> Iterator[Finding]:
    for place, check in enumerate(service.checks):
        if check.tolerated_failures >= check.attempts:
            yield Finding(
                ("services", index, "checks", place, "tolerated_failures"),
                f"{check.tolerated_failures} of {check.attempts} attempts may be bad: the check could never fail.",
                "Tolerate fewer than `attempts`.",
            )
