"""When what was measured is good, bad, or nothing that can be judged."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.domain.judge import Judgement, conclude, judge, judge_reading
from deployments.domain.ports import MeterReading, MeterReport
from deployments.domain.spec.specification import SuccessCriteria, WhenUnmeasured
from deployments.domain.values import Verdict

GOOD, UNCLEAR, UNMEASURED, BAD = Verdict.GOOD, Verdict.UNCLEAR, Verdict.UNMEASURED, Verdict.BAD
CRITERIA = SuccessCriteria(error_rate=0.01, latency_ms={"p95": 250.0, "max": 1000.0}, minimum_requests=20)


def reading(requests: int = 100, errors: int = 0, service: str = "api", **latency_ms: float) -> MeterReading:
    """What was counted of revision `new`."""
    return MeterReading(service, "new", requests, errors, {200: requests - errors, 500: errors}, latency_ms)


def report(*readings: MeterReading, lost: int = 0, is_running: bool = True) -> MeterReport:
    """What the meter says."""
    return MeterReport(readings, lost, is_running)


@pytest.mark.parametrize(
    ("counted", "verdict", "detail"),
    [
        (reading(), GOOD, "0 errors in 100 requests"),
        (reading(0), UNMEASURED, "0 requests are fewer than the 20 that can be judged"),
        (reading(19, 19), UNMEASURED, "19 requests are fewer than the 20 that can be judged"),
        (reading(20), GOOD, "0 errors in 20 requests"),
        (reading(100, 1), GOOD, "1 errors in 100 requests"),
        (reading(100, 2), BAD, "error rate 2.0% (2 of 100) is above 1.0%"),
        (reading(p95=250.0), GOOD, "0 errors in 100 requests"),
        (reading(p95=250.1), BAD, "latency p95 of 250 ms is above 250 ms"),
        (reading(p95=100.0, max=1001.0), BAD, "latency max of 1001 ms is above 1000 ms"),
        (reading(p99=9000.0), GOOD, "0 errors in 100 requests"),
        (reading(100, 50, p95=9000.0), BAD, "error rate 50.0% (50 of 100) is above 1.0%"),
    ],
    ids=[
        "good",
        "no requests",
        "too few requests, though all bad",
        "just enough requests",
        "errors at the limit",
        "errors above the limit",
        "latency at the limit",
        "latency above the limit",
        "the second percentile",
        "a percentile nobody asked for",
        "errors are named before latency",
    ],
)
def test_a_reading_is_judged_by_the_criteria(counted: MeterReading, verdict: Verdict, detail: str) -> None:
    found = judge_reading(counted, CRITERIA)
    assert found == Judgement("api", verdict, detail, counted.requests, counted.errors)


@pytest.mark.parametrize(
    ("measured", "verdict", "detail"),
    [
        (report(reading()), GOOD, "0 errors in 100 requests"),
        (report(reading(100, 50)), BAD, "error rate 50.0% (50 of 100) is above 1.0%"),
        (report(), UNMEASURED, "no requests came"),
        (report(reading(service="web")), UNMEASURED, "no requests came"),
        (report(reading(), is_running=False), UNMEASURED, "the meter is not running"),
        (report(reading(100, 50), is_running=False), UNMEASURED, "the meter is not running"),
        (report(reading(), lost=5), GOOD, "0 errors in 100 requests"),
        (report(reading(), lost=6), UNMEASURED, "the meter lost 6 requests"),
        (report(reading(10_000), lost=100), GOOD, "0 errors in 10000 requests"),
        (report(reading(10_000), lost=101), UNMEASURED, "the meter lost 101 requests"),
        (report(reading(100, 50), lost=90), BAD, "error rate 50.0% (50 of 100) is above 1.0%"),
    ],
    ids=[
        "good",
        "bad",
        "nothing was counted",
        "another service was counted",
        "the meter is away",
        "the meter is away: what it counted says nothing",
        "a handful lost",
        "more than a handful lost",
        "one in a hundred lost",
        "more than one in a hundred lost",
        "bad stays bad, whatever was lost",
    ],
)
def test_every_revision_of_a_report_is_judged(measured: MeterReport, verdict: Verdict, detail: str) -> None:
    (found,) = judge(measured, CRITERIA, [("api", "new")])
    assert (found.service, found.verdict, found.detail) == ("api", verdict, detail)


def test_the_old_revision_of_a_service_is_not_judged_for_the_new() -> None:
    old = MeterReading("api", "old", 100, 100, {500: 100}, {})
    (found,) = judge(report(old), CRITERIA, [("api", "new")])
    assert found.verdict is UNMEASURED


def test_judgements_come_in_the_order_that_was_asked_for() -> None:
    measured = report(reading(service="web"), reading(100, 9))
    found = judge(measured, CRITERIA, [("api", "new"), ("jobs", "new"), ("web", "new")])
    assert [(one.service, one.verdict) for one in found] == [("api", BAD), ("jobs", UNMEASURED), ("web", GOOD)]


@pytest.mark.parametrize(
    ("verdicts", "when_unmeasured", "conclusion"),
    [
        ([], "fail", GOOD),
        ([GOOD, GOOD], "pass", GOOD),
        ([GOOD, BAD], "pass", BAD),
        ([UNMEASURED], "pass", GOOD),
        ([UNMEASURED], "fail", BAD),
        ([GOOD, UNMEASURED], "fail", BAD),
        ([BAD, UNMEASURED], "pass", BAD),
        ([GOOD, UNCLEAR, UNMEASURED], "pass", UNCLEAR),
    ],
    ids=[
        "nobody to judge",
        "all good",
        "one bad",
        "unmeasured passes",
        "unmeasured fails",
        "one unmeasured fails",
        "bad, whatever the unmeasured count as",
        "unclear stays unclear",
    ],
)
def test_the_conclusion_is_the_worst(verdicts: list[Verdict], when_unmeasured: str, conclusion: Verdict) -> None:
    criteria: dict[str, Any] = {"when_unmeasured": WhenUnmeasured(when_unmeasured)}
    judgements = [Judgement("api", verdict, "") for verdict in verdicts]
    assert conclude(judgements, SuccessCriteria(**criteria)) is conclusion
