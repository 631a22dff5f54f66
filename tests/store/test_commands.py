"""Orders: asked once, obeyed by the holder, refused when there is nothing left to do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.domain.errors import NotFound, Refused
from deployments.domain.status import DeploymentStatus
from deployments.store.commands import CommandKind
from tests.store.conftest import Held


def test_an_order_is_pending_until_it_is_obeyed(held: Held) -> None:
    commands = held.records.commands
    assert commands.pending(held.deployment) is None
    asked = commands.request(held.deployment, "cancel", by="ada", reason="wrong version")
    assert commands.pending(held.deployment) == asked
    assert (asked.kind, asked.by, asked.reason) == (CommandKind.CANCEL, "ada", "wrong version")
    assert commands.obeyed(held.deployment, outcome="cancelled") == 1
    assert commands.pending(held.deployment) is None
    assert commands.obeyed(held.deployment) == 0


def test_the_same_order_while_one_is_pending_is_that_one(held: Held) -> None:
    def ask(number: int) -> int:
        return held.records.commands.request(held.deployment, "cancel", by=f"person {number}").id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    kinds = [event.kind.value for event in held.records.events.timeline(deployment=held.deployment)]
    assert kinds.count("CancelAsked") == 1


def test_the_oldest_order_comes_first(held: Held) -> None:
    first = held.records.commands.request(held.deployment, CommandKind.ROLLBACK, by="ada")
    held.records.commands.request(held.deployment, CommandKind.CANCEL, by="ada")
    assert held.records.commands.pending(held.deployment) == first


def test_a_final_deployment_takes_no_orders(held: Held) -> None:
    held.bring_to(DeploymentStatus.COMPLETED)
    with pytest.raises(Refused, match="completed"):
        held.records.commands.request(held.deployment, "cancel", by="ada")


def test_an_order_for_an_unknown_deployment_is_refused(held: Held) -> None:
    with pytest.raises(NotFound):
        held.records.commands.request("nowhere", "cancel", by="ada")
