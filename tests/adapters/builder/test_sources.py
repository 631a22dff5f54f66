"""Sources resolved to content."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from deployments.adapters.builder import LocalBuilder
from deployments.adapters.builder.git import NETWORK_TROUBLE
from deployments.adapters.builder.packages import _index_of
from deployments.domain.errors import Conflict, Refused, SourceUnavailable
from tests.adapters.builder.workshop import Workshop, commit, git, make_wheel, write


def test_a_directorys_digest_is_over_names_kinds_and_contents(workshop: Workshop) -> None:
    source = workshop.path_source({"a.txt": "1", "sub/b.txt": "2"})
    root = Path(source["path"])
    seen = {workshop.resolve(source).digest}
    for change in (
        lambda: (root / "a.txt").write_text("3"),
        lambda: (root / "a.txt").chmod(0o755),
        lambda: (root / "a.txt").rename(root / "c.txt"),
        lambda: (root / "empty").mkdir(),
        lambda: (root / "link").symlink_to("c.txt"),
    ):
        change()
        digest = workshop.resolve(source).digest
        assert digest not in seen
        seen.add(digest)


def test_repository_data_caches_times_and_places_do_not_count(workshop: Workshop) -> None:
    first = workshop.path_source({"a.txt": "1"}, "one")
    second = workshop.path_source({"a.txt": "1", ".git/HEAD": "x", "__pycache__/a.pyc": "y", ".venv/z": "z"}, "two")
    assert workshop.resolve(first).digest == workshop.resolve(second).digest


def test_a_relative_path_starts_from_the_base(workshop: Workshop) -> None:
    workshop.path_source({"a.txt": "1"}, "nested")
    assert workshop.resolve({"kind": "path", "path": "nested"}).reference == str(workshop.directory / "nested")


def test_a_directory_that_holds_our_own_state_is_refused(workshop: Workshop) -> None:
    with pytest.raises(Refused, match="own state"):
        workshop.resolve({"kind": "path", "path": "."})


def test_a_directory_that_changed_since_it_was_resolved_is_a_conflict(workshop: Workshop) -> None:
    source = workshop.path_source({"a.txt": "1"})
    request = workshop.request(source)
    workshop.path_source({"a.txt": "2"})
    with pytest.raises(Conflict, match="changed since it was resolved"):
        workshop.builder.ensure_built(request)
    assert workshop.builder.find(request.digest) is None


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def test_a_branch_a_tag_and_a_commit_resolve_to_the_commit(workshop: Workshop, repository: Path) -> None:
    first = commit(repository, {"a.txt": "1"})
    git(repository, "tag", "--annotate", "--message", "v1", "v1")
    second = commit(repository, {"a.txt": "2"})
    found = {
        reference: workshop.resolve({"kind": "git", "url": str(repository), "ref": reference}).reference
        for reference in ("main", "HEAD", "v1", first, first[:10], second)
    }
    assert found == {"main": second, "HEAD": second, "v1": first, first: first, first[:10]: first, second: second}


def test_a_relative_repository_starts_from_the_base(workshop: Workshop, repository: Path) -> None:
    only = commit(repository, {"a.txt": "1"})
    assert workshop.resolve({"kind": "git", "url": "repository", "ref": "main"}).reference == only


def test_equal_trees_are_one_content_whatever_the_commit(workshop: Workshop, repository: Path) -> None:
    commit(repository, {"a.txt": "1"})
    source = {"kind": "git", "url": str(repository), "ref": "main"}
    first = workshop.resolve(source)
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "nothing")
    second = workshop.resolve(source)
    assert first.reference != second.reference
    assert first.digest == second.digest


def test_the_commit_that_was_resolved_is_built_though_the_branch_moved(workshop: Workshop, repository: Path) -> None:
    commit(repository, {"a.txt": "1"})
    request = workshop.request({"kind": "git", "url": str(repository), "ref": "main"})
    commit(repository, {"a.txt": "2"})
    assert (workshop.builder.ensure_built(request).path / "a.txt").read_text() == "1"


@pytest.mark.parametrize(
    ("url", "reference"),
    [("repository", "no-such-branch"), ("nowhere", "main"), ("--upload-pack=touch evil", "main"), ("ext::sh", "main")],
)
def test_what_git_does_not_have_is_refused(workshop: Workshop, repository: Path, url: str, reference: str) -> None:
    commit(repository, {"a.txt": "1"})
    with pytest.raises(Refused):
        workshop.resolve({"kind": "git", "url": url, "ref": reference})


def test_a_repository_that_cannot_be_reached_may_be_tried_again(workshop: Workshop) -> None:
    with pytest.raises(SourceUnavailable):
        workshop.resolve({"kind": "git", "url": "http://127.0.0.1:1/x.git", "ref": "main"})
    assert NETWORK_TROUBLE.search("fatal: unable to access 'x': Could not resolve host: y")


def make_archive(workshop: Workshop, files: dict[str, str]) -> dict[str, str]:
    directory = write(workshop.directory / "packed", files)
    with tarfile.open(workshop.directory / "a.tar.gz", "w:gz") as archive:
        archive.add(directory, arcname=".")
    digest = hashlib.sha256((workshop.directory / "a.tar.gz").read_bytes()).hexdigest()
    return {"kind": "archive", "path": "a.tar.gz", "sha256": digest}


def test_an_archive_is_built_when_its_digest_matches(workshop: Workshop) -> None:
    source = {**make_archive(workshop, {"a.txt": "1"}), "base": str(workshop.directory)}
    built = workshop.builder.ensure_built(workshop.request(source))
    assert (built.path / "a.txt").read_text() == "1"


def test_an_archive_with_another_digest_is_refused(workshop: Workshop) -> None:
    source = make_archive(workshop, {"a.txt": "1"})
    with pytest.raises(Refused, match="has sha256"):
        workshop.resolve({**source, "sha256": "0" * 64})


def test_an_archive_that_was_replaced_since_is_a_conflict(workshop: Workshop) -> None:
    source = {**make_archive(workshop, {"a.txt": "1"}), "base": str(workshop.directory)}
    request = workshop.request(source)
    make_archive(workshop, {"a.txt": "2"})
    with pytest.raises(Conflict):
        workshop.builder.ensure_built(request)


def test_a_requirement_is_locked_with_what_it_needs_and_hashes(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0")
    wheel = make_wheel(workshop.wheelhouse, "whole", "2.0", needs=("part>=1",))
    lock = workshop.resolve({"kind": "pypi", "requirement": "whole==2.0"})
    assert [entry.split()[0] for entry in lock.entries] == ["part==1.0", "whole==2.0"]
    assert f"--hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" in lock.entries[1]


def test_further_requirements_are_part_of_the_lock(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0")
    make_wheel(workshop.wheelhouse, "other", "1.0")
    alone = workshop.resolve({"kind": "pypi", "requirement": "part"})
    both = workshop.resolve({"kind": "pypi", "requirement": "part", "with": "other==1.0"})
    assert len(both.entries) == 2
    assert alone.digest != both.digest


def test_a_wheelhouse_that_gained_a_version_is_looked_at_again(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0")
    first = workshop.resolve({"kind": "pypi", "requirement": "part"})
    assert workshop.resolve({"kind": "pypi", "requirement": "part"}) == first
    make_wheel(workshop.wheelhouse, "part", "1.1")
    assert workshop.resolve({"kind": "pypi", "requirement": "part"}).entries[0].startswith("part==1.1")


def test_a_requirement_the_wheelhouse_does_not_have_is_refused(workshop: Workshop) -> None:
    with pytest.raises(Refused, match="cannot be resolved from the wheelhouse"):
        workshop.resolve({"kind": "pypi", "requirement": "part==9"})


@pytest.mark.parametrize(
    "text", ["-r /etc/passwd", "--index-url=http://x", "part\n--index-url=x", "./local", "part -e ."]
)
def test_a_requirement_that_is_more_than_one_is_refused(workshop: Workshop, text: str) -> None:
    with pytest.raises(Refused, match="no requirement"):
        workshop.resolve({"kind": "pypi", "requirement": text})


def test_without_a_wheelhouse_an_index_that_is_away_may_be_tried_again(tmp_path: Path) -> None:
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple", "UV_HTTP_RETRIES": "0"}
    builder = LocalBuilder(tmp_path / "state", environ=nowhere)
    with pytest.raises(SourceUnavailable, match="did not answer"):
        builder.resolve({"kind": "pypi", "requirement": "part==1.0"}, base=tmp_path)


def test_pips_index_is_used_unless_uv_has_one() -> None:
    assert _index_of({"PIP_INDEX_URL": "a", "SECRET": "s"}) == {"UV_DEFAULT_INDEX": "a"}
    assert _index_of({"PIP_INDEX_URL": "a", "UV_INDEX_URL": "b"}) == {"UV_INDEX_URL": "b"}


def test_a_python_project_is_locked_with_its_requirements(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0")
    source = workshop.path_source({"app.py": "", "requirements.txt": "part\n"})
    alone, locked = workshop.resolve(source), workshop.resolve({**source, "framework": "python"})
    assert (alone.entries, locked.entries[0].split()[0]) == ((), "part==1.0")
    assert alone.digest != locked.digest
    make_wheel(workshop.wheelhouse, "part", "1.1")
    assert workshop.resolve({**source, "framework": "python"}).digest != locked.digest


@pytest.mark.parametrize("source", [{}, {"kind": "svn"}, {"kind": "path"}, {"kind": "git", "url": "x"}])
def test_a_source_that_says_too_little_is_refused(workshop: Workshop, source: dict[str, str]) -> None:
    with pytest.raises(Refused):
        workshop.resolve(source)
