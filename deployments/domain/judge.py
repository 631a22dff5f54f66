"""Judges success criteria on what the meter counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deployments.domain.ports import MeterReading, MeterReport
from deployments.domain.spec.specification import SuccessCriteria, WhenUnmeasured
from deployments.domain.values import Verdict, worst


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on one revision, with what was measured in words."""

    service: str
    verdict: Verdict
    detail: str
    requests: int = 0
    errors: int = 0


def judge_reading(reading: MeterReading, criteria: SuccessCriteria) -> Judgement:
    """One revision against the criteria. BAD names the criterion and both numbers."""
    requests, errors = reading.requests, reading.errors
    if requests < criteria.minimum_requests:
        detail = f"{requests} requests are fewer than the {criteria.minimum_requests} that can be judged"
        return Judgement(reading.service, Verdict.UNMEASURED, detail, requests, errors)
    rate = errors / requests
    if rate > criteria.error_rate:
        detail = f"error rate {rate:.1%} ({errors} of {requests}) is above {criteria.error_rate:.1%}"
        return Judgement(reading.service, Verdict.BAD, detail, requests, errors)
    for percentile, limit in criteria.latency_ms.items():
        seen = reading.latency_ms.get(percentile, 0.0)
        if seen > limit:
            detail = f"latency {percentile} of {seen:.0f} ms is above {limit:g} ms"
            return Judgement(reading.service, Verdict.BAD, detail, requests, errors)
    return Judgement(reading.service, Verdict.GOOD, f"{errors} errors in {requests} requests", requests, errors)


def judge(
    report: MeterReport, criteria: SuccessCriteria, revisions: Iterable[tuple[str, str]]
) -> tuple[Judgement, ...]:
    """Every (service, revision) of a deployment. A meter that is away, or lost more than 1 %, measured nothing."""
    by_revision = {(reading.service, reading.revision): reading for reading in report.readings}
    counted = sum(reading.requests for reading in report.readings)
    if not report.is_running:
        return tuple(Judgement(s, Verdict.UNMEASURED, "the meter is not running") for s, _ in revisions)
    found = []
    for service, revision in revisions:
        reading = by_revision.get((service, revision))
        if reading is None:
            found.append(Judgement(service, Verdict.UNMEASURED, "no requests came"))
            continue
        judgement = judge_reading(reading, criteria)
        if judgement.verdict is Verdict.GOOD and report.lost > max(5, 0.01 * counted):
            judgement = Judgement(service, Verdict.UNMEASURED, f"the meter lost {report.lost} requests")
        found.append(judgement)
    return tuple(found)


def conclude(judgements: Iterable[Judgement], criteria: SuccessCriteria) -> Verdict:
    """The verdict at the end of the bake: the worst, with the unmeasured counted as the criteria say."""
    counted = []
    for judgement in judgements:
        if judgement.verdict is Verdict.UNMEASURED:
            is_failure = criteria.when_unmeasured is WhenUnmeasured.FAIL
            counted.append(Verdict.BAD if is_failure else Verdict.GOOD)
        else:
            counted.append(judgement.verdict)
    return worst(*counted)
