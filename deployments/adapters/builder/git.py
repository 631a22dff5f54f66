"""Git sources: a reference becomes a commit, a commit becomes a directory."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deployments.adapters.builder.archives import unpack
from deployments.adapters.builder.holding import held
from deployments.domain.errors import Refused, SourceUnavailable

FETCH_SECONDS = 600.0
WAIT_MARGIN_SECONDS = 30.0
WHOLE_HISTORY = 2**31 - 1
NETWORK_TROUBLE = re.compile(
    r"could not resolve host|unable to access|connection (refused|reset|timed out|closed)|timed out|early eof"
    r"|the remote end hung up|could not read from remote repository",
    re.I,
)
KEPT_VARIABLES = ("HOME", "PATH", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY")


class GitSources:
    """Bare copies of repositories, by address."""

    def __init__(self, cache: Path, environ: Mapping[str, str]) -> None:
        """Nothing is fetched yet."""
        self._cache = cache
        self._environment = {
            **{name: environ[name] for name in KEPT_VARIABLES if name in environ},
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
            "LC_ALL": "C",
        }

    def resolve(self, url: str, reference: str, *, base: Path) -> tuple[str, str]:
        """The commit and a digest of its tree.

        Raises Refused when repository or reference does not exist, SourceUnavailable when it cannot be reached.
        """
        with self._repository(url) as repository:
            commit = self._commit(repository, _address(url, base), reference)
        return commit, self._digest(repository, commit)

    def export(self, url: str, commit: str, target: Path, *, base: Path) -> str:
        """Write the files of a commit into `target`; the digest of its tree."""
        with self._repository(url) as repository:
            if not self._has(repository, commit):
                self._commit(repository, _address(url, base), commit)
        with tempfile.TemporaryDirectory(dir=self._cache) as directory:
            archive = Path(directory) / "tree.tar"
            self._git(repository, "archive", "--format=tar", f"--output={archive}", commit)
            if _has_members(archive):
                unpack(archive, target)
            else:
                target.mkdir(parents=True, exist_ok=True)
        return self._digest(repository, commit)

    def _digest(self, repository: Path, commit: str) -> str:
        listing = self._git(repository, "ls-tree", "-r", "--full-tree", "-z", commit)
        if "160000 commit" in listing:
            raise Refused("the repository has submodules, which are not supported.", remedy="Vendor them.")
        return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()

    @contextmanager
    def _repository(self, url: str) -> Iterator[Path]:
        """The copy of a repository, for one fetch at a time; a stopped process does not keep it. Raises Unavailable."""
        if url.startswith("-") or "::" in url:
            raise Refused(f"{url!r} is no address of a repository.", remedy="Give a directory or a URL.")
        repository = self._cache / hashlib.sha256(url.encode()).hexdigest()[:32]
        repository.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = repository.with_suffix(".lock")
        with held(lock, FETCH_SECONDS + WAIT_MARGIN_SECONDS, purpose=f"fetching {url}", end_leftovers=lambda: None):
            if not (repository / "HEAD").exists():
                self._git(repository, "init", "--quiet", "--bare", ".")
            yield repository

    def _commit(self, repository: Path, address: str, reference: str) -> str:
        is_commit = re.fullmatch(r"[0-9a-f]{40}", reference) is not None
        if is_commit and self._has(repository, reference):
            return reference
        fetch = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
        target = f"refs/fairlead/{hashlib.sha256(reference.encode()).hexdigest()[:32]}"
        try:
            self._git(repository, *fetch, "--depth=1", "--end-of-options", address, f"+{reference}:{target}")
        except Refused:
            if not re.fullmatch(r"[0-9a-f]{4,40}", reference):
                raise
            # Servers may not give single commits away: take every branch and tag, and look there.
            every = ("+refs/heads/*:refs/fairlead/heads/*", "+refs/tags/*:refs/fairlead/tags/*")
            self._git(repository, *fetch, f"--depth={WHOLE_HISTORY}", "--end-of-options", address, *every)
            target = reference
        return self._git(repository, "rev-parse", "--verify", "--end-of-options", f"{target}^{{commit}}").strip()

    def _has(self, repository: Path, commit: str) -> bool:
        try:
            self._git(repository, "cat-file", "-e", f"{commit}^{{commit}}")
        except Refused:
            return False
        return True

    def _git(self, repository: Path, *arguments: str) -> str:
        command = ["git", "-C", str(repository), *arguments]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="surrogateescape",
                env=self._environment,
                timeout=FETCH_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise Refused("git is not installed.", remedy="Install git, or use another kind of source.") from error
        except subprocess.TimeoutExpired as error:
            raise SourceUnavailable(f"git {arguments[0]} did not end in {FETCH_SECONDS:.0f} s.") from error
        if done.returncode == 0:
            return done.stdout
        words = done.stderr.strip()[-1000:]
        is_remote = arguments[0] == "fetch" and NETWORK_TROUBLE.search(words) and "does not appear to be" not in words
        if is_remote:
            raise SourceUnavailable(f"git {arguments[0]} failed: {words}", remedy="Try again.")
        raise Refused(f"git {arguments[0]} failed: {words}", remedy="Correct the source's url or ref.")


def _address(url: str, base: Path) -> str:
    """A relative directory is meant from the specification's own."""
    local = base / url
    return os.fspath(local.resolve()) if local.is_dir() else url


def _has_members(archive: Path) -> bool:
    with tarfile.open(archive) as opened:
        return opened.next() is not None
