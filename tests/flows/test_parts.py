"""Which deployment a run of Prefect's is about: its own, or that of the `deploy` run which is a part of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from flows.parts import deployment_of

RUN, PART = uuid4(), uuid4()


class Prefect:
    """Its API: the parts of one run, and how often it was asked for them."""

    def __init__(self, *parts: UUID) -> None:
        self._parts = parts
        self.asked = 0

    async def read_flow_runs(self, **filters: Any) -> list[Any]:
        self.asked += 1
        assert filters["flow_run_filter"].parent_flow_run_id.any_ == [RUN]
        return [SimpleNamespace(id=part) for part in self._parts]


def found(prefect: Prefect, opened: dict[str, str]) -> object:
    records: Any = SimpleNamespace(deployments=SimpleNamespace(by_flow_run=opened.get))
    client: Any = prefect
    return asyncio.run(deployment_of(client, records, RUN))


def test_a_run_that_opened_one_is_about_that_and_prefect_is_not_asked() -> None:
    prefect = Prefect(PART)
    assert found(prefect, {str(RUN): "its own", str(PART): "another"}) == "its own"
    assert prefect.asked == 0


def test_a_rollback_is_about_the_deployment_that_its_part_opened() -> None:
    assert found(Prefect(uuid4(), PART), {str(PART): "of its part"}) == "of its part"


def test_a_run_that_opened_none_is_about_none() -> None:
    assert found(Prefect(), {}) is None
