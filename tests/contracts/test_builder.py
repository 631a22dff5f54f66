"""What every builder promises, the real one and the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.adapters.builder import LocalBuilder
from deployments.domain.errors import BuildFailed, Refused
from deployments.domain.ports import Builder, BuildRequest
from tests.fakes.builder import FakeBuilder

DIGEST = "ab" * 32


@dataclass
class Case:
    """A builder, a directory that is a source, and how to make a service's build fail."""

    builder: Builder
    base: Path
    fail: Callable[[str], None]
    miss: Callable[[str], None]


@pytest.fixture(params=["real", "fake"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "index.html").write_text("hello")
    (tmp_path / "other").mkdir()
    (tmp_path / "wheelhouse").mkdir()
    if request.param == "fake":
        fake = FakeBuilder()
        return Case(fake, tmp_path, fake.failing.add, fake.missing.add)
    real = LocalBuilder(tmp_path / "state", wheelhouse=tmp_path / "wheelhouse")
    return Case(real, tmp_path, lambda _service: None, lambda _reference: None)


def request_for(case: Case, *, digest: str = DIGEST, build_command: tuple[str, ...] = ()) -> BuildRequest:
    source = {"kind": "path", "path": "source", "base": str(case.base)}
    lock = case.builder.resolve(source, base=case.base)
    return BuildRequest("web", digest, lock, source, "static", build_command=build_command)


def test_a_source_resolves_to_the_same_digest_each_time(case: Case) -> None:
    source = {"kind": "path", "path": "source"}
    first = case.builder.resolve(source, base=case.base)
    assert case.builder.resolve(source, base=case.base) == first
    assert first.kind == "path"
    assert len(first.digest) == 64


def test_different_sources_have_different_digests(case: Case) -> None:
    first = case.builder.resolve({"kind": "path", "path": "source"}, base=case.base)
    assert case.builder.resolve({"kind": "path", "path": "other"}, base=case.base).digest != first.digest


@pytest.mark.parametrize(
    "source", [{}, {"kind": "svn"}, {"kind": "path"}, {"kind": "pypi"}, {"kind": "git", "url": "x"}]
)
def test_a_source_that_says_too_little_is_refused(case: Case, source: dict[str, str]) -> None:
    with pytest.raises(Refused):
        case.builder.resolve(source, base=case.base)


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "path", "path": "nowhere"},
        {"kind": "git", "url": "nowhere", "ref": "main"},
        {"kind": "pypi", "requirement": "nowhere"},
        {"kind": "archive", "path": "nowhere", "sha256": "0" * 64},
    ],
    ids=lambda source: source["kind"],
)
def test_a_source_that_does_not_exist_is_refused(case: Case, source: dict[str, str]) -> None:
    case.miss("nowhere")
    with pytest.raises(Refused):
        case.builder.resolve(source, base=case.base)


def test_a_release_that_was_never_built_is_not_found(case: Case) -> None:
    assert case.builder.find(DIGEST) is None


def test_a_built_release_is_found(case: Case) -> None:
    built = case.builder.ensure_built(request_for(case))
    assert built.digest == DIGEST
    assert case.builder.find(DIGEST) == built
    assert case.builder.ensure_built(request_for(case)) == built


def test_a_failed_build_is_no_release(case: Case) -> None:
    case.fail("web")
    with pytest.raises(BuildFailed):
        case.builder.ensure_built(request_for(case, build_command=("/bin/sh", "-c", "exit 1")))
    assert case.builder.find(DIGEST) is None
