"""Records of environments: made with defaults, replaced whole, changes told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.domain.environment import Capacity, EnvironmentRecord, Permission
from deployments.domain.errors import NotFound, Refused, VersionConflict
from deployments.domain.events import SecurityEvent
from deployments.store.records import Records


def changes(records: Records, name: str) -> list[tuple[str, object]]:
    happened = records.events.timeline(environment=name)
    return [(event.principal, event.data["changed"]) for event in happened if isinstance(event, SecurityEvent)]


def test_a_default_is_made_once_and_owned_by_who_asked_first(records: Records) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda n: records.environments.ensure_default("made", project="shop", principal=f"p{n}"), range(8))
        )
    record = records.environments.get("made")
    (grant,) = record.grants
    assert record.permits(grant.principal, Permission.DEPLOY)
    assert not record.permits("somebody", Permission.DEPLOY)
    assert len(changes(records, "made")) == 1
    assert "shop" in [project.name for project in records.environments.projects()]


def test_a_record_is_replaced_and_the_changed_fields_are_told(records: Records) -> None:
    record = EnvironmentRecord(name="put", project="shop")
    records.environments.put(record, by="ada")
    changed = record.model_copy(update={"capacity": Capacity(cpu=4)})
    records.environments.put(changed, by="bob")
    assert records.environments.get("put") == changed
    assert changes(records, "put")[1] == ("bob", ["capacity"])


def test_the_same_record_again_changes_nothing(records: Records) -> None:
    for _ in range(2):
        records.environments.put(EnvironmentRecord(name="same", project="shop"), by="ada")
    assert records.environments.version("same") == 1
    assert len(changes(records, "same")) == 1


def test_a_record_that_was_written_since_is_a_conflict(records: Records) -> None:
    record = EnvironmentRecord(name="since", project="shop")
    records.environments.put(record, by="ada", version=0)
    with pytest.raises(VersionConflict):
        records.environments.put(record.model_copy(update={"region": "north"}), by="ada", version=0)
    records.environments.put(record.model_copy(update={"region": "north"}), by="ada", version=1)


def test_an_environment_stays_with_its_project(records: Records) -> None:
    records.environments.put(EnvironmentRecord(name="mine", project="shop"), by="ada")
    with pytest.raises(Refused, match="shop"):
        records.environments.put(EnvironmentRecord(name="mine", project="bank"), by="ada")


def test_environments_are_listed_by_project(records: Records) -> None:
    records.environments.put(EnvironmentRecord(name="vault", project="bank"), by="ada")
    assert [record.name for record in records.environments.all(project="bank")] == ["vault"]
    assert "vault" in records.environments.names()


def test_an_unknown_environment_is_refused_with_the_remedy(records: Records) -> None:
    assert records.environments.find("nowhere") is None
    with pytest.raises(NotFound, match="environment apply"):
        records.environments.get("nowhere")
