"""Releases built for real."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.adapters.builder import LocalBuilder, holding
from deployments.adapters.builder.releases import Releases
from deployments.adapters.supervisor.identity import find_by_environment
from deployments.domain.errors import BuildFailed, DiskFull, Unavailable
from deployments.domain.ports import BuiltRelease
from tests.adapters.builder.workshop import Workshop, make_wheel
from tests.adapters.supervisor.worlds import wait_until


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def output_of(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def test_files_are_released_as_they_are(workshop: Workshop) -> None:
    request = workshop.request(workshop.path_source({"index.html": "hello", "css/a.css": "x"}), framework="static")
    built = workshop.builder.ensure_built(request)
    assert (built.path / "css" / "a.css").read_text() == "x"
    assert built.bin is None
    assert built.size_bytes == 6
    assert workshop.builder.find(request.digest) == built


def test_a_package_is_installed_with_its_programs(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0", code="word = 'hello'")
    make_wheel(
        workshop.wheelhouse,
        "whole",
        "2.0",
        code="import part\ndef main(): print(part.word)\n",
        needs=("part",),
        script="say",
    )
    request = workshop.request({"kind": "pypi", "requirement": "whole"}, framework="python")
    built = workshop.builder.ensure_built(request)
    assert built.bin is not None
    assert output_of(built.bin / "say") == "hello\n"


def test_a_package_whose_content_is_not_the_locked_one_is_not_installed(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0", code="honest = True")
    request = workshop.request({"kind": "pypi", "requirement": "part"}, framework="python")
    make_wheel(workshop.wheelhouse, "part", "1.0", code="honest = False")
    shutil.rmtree(workshop.state / "cache" / "uv")  # it still has the honest one, and would install that
    with pytest.raises(BuildFailed, match="installing packages"):
        workshop.builder.ensure_built(request)
    assert workshop.builder.find(request.digest) is None


def test_a_python_project_gets_its_requirements(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0", code="word = 'hello'")
    source = workshop.path_source({"app.py": "import part; print(part.word)", "requirements.txt": "part\n"})
    request = workshop.request({**source, "framework": "python"}, framework="python")
    built = workshop.builder.ensure_built(request)
    assert built.bin is not None
    assert output_of(built.bin / "python", built.path / "app.py") == "hello\n"


BACKEND = """
import sys; sys.path.insert(0, {tests!r})
from pathlib import Path
from tests.adapters.builder.workshop import make_wheel
def build_wheel(directory, settings=None, metadata=None):
    return make_wheel(Path(directory), "project", "1.0", code="def main(): print('project')", script="go").name
"""
PYPROJECT = """
[project]
name = "project"
version = "1.0"
dependencies = ["part"]
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def test_a_project_with_a_build_system_is_installed_itself(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "part", "1.0")
    backend = BACKEND.format(tests=str(Path(__file__).resolve().parents[3]))
    source = workshop.path_source({"pyproject.toml": PYPROJECT, "backend.py": backend})
    built = workshop.builder.ensure_built(workshop.request({**source, "framework": "python"}, framework="python"))
    assert built.bin is not None
    assert output_of(built.bin / "go") == "project\n"
    assert output_of(built.bin / "python", "-c", "import part; print(1)") == "1\n"


def test_an_install_command_takes_the_place_of_the_frameworks_own_and_has_pip(workshop: Workshop) -> None:
    make_wheel(workshop.wheelhouse, "pip", "99.0", code="def main(): print('installed')", script="pip")
    source = workshop.path_source({"requirements.txt": "no-such-package\n"})
    request = workshop.request(source, framework="python", install_command=shell("pip > seen"))
    assert (workshop.builder.ensure_built(request).path / "seen").read_text() == "installed\n"


def test_commands_inherit_nothing(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://user:password@127.0.0.1/")
    request = workshop.request(workshop.path_source({"a": ""}), build_command=shell("env > seen"))
    seen = (workshop.builder.ensure_built(request).path / "seen").read_text()
    names = {line.split("=", 1)[0] for line in seen.splitlines()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "PATH", "HOME", "TMPDIR", "LANG", "FAIRLEAD_BUILD", "FAIRLEAD_DEPLOYMENT",
        "PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_NO_INDEX", "UV_FIND_LINKS",
    }  # fmt: skip


def test_only_the_output_directory_is_kept(workshop: Workshop) -> None:
    source = workshop.path_source({"page.md": "hello"})
    build = shell("mkdir -p site/out && cp page.md site/out/index.html")
    request = workshop.request(source, build_command=build, output_directory="site/out")
    built = workshop.builder.ensure_built(request)
    assert sorted(path.name for path in built.path.iterdir()) == ["index.html"]
    assert sorted(path.name for path in built.path.parent.iterdir()) == ["release.json", "run"]


@pytest.mark.parametrize("output", ["dist", "../../.."])
def test_an_output_directory_that_is_not_there_fails_the_build(workshop: Workshop, output: str) -> None:
    request = workshop.request(workshop.path_source({"a": ""}), output_directory=output)
    with pytest.raises(BuildFailed, match="left no directory"):
        workshop.builder.ensure_built(request)


def test_a_command_that_exits_fails_the_build_with_the_logs_last_lines(workshop: Workshop) -> None:
    request = workshop.request(workshop.path_source({"a": ""}), build_command=shell("echo one; echo two >&2; exit 3"))
    with pytest.raises(BuildFailed, match=r"(?s)build command exited with 3.*one\ntwo") as failed:
        workshop.builder.ensure_built(request)
    assert failed.value.context["exit_code"] == 3
    assert workshop.builder.find(request.digest) is None
    assert not (workshop.state / "releases" / request.digest).exists()
    assert "two" in (workshop.state / "logs" / "builds" / f"{request.digest}.log").read_text()


def test_a_command_that_is_not_there_fails_the_build(workshop: Workshop) -> None:
    request = workshop.request(workshop.path_source({"a": ""}), build_command=("no-such-program",))
    with pytest.raises(BuildFailed, match="could not be run: no-such-program"):
        workshop.builder.ensure_built(request)


def test_a_command_that_takes_too_long_is_ended_with_its_children(workshop: Workshop) -> None:
    request = workshop.request(
        workshop.path_source({"a": ""}),
        build_command=shell("sleep 1000 & sleep 1000"),
        timeout=timedelta(milliseconds=300),
    )
    with pytest.raises(BuildFailed, match="not done in time"):
        workshop.builder.ensure_built(request)
    assert marked(workshop, request.digest) == []


def marked(workshop: Workshop, digest: str) -> list[int]:
    found = find_by_environment({"FAIRLEAD_BUILD": str(workshop.state / "releases" / digest)})
    return [identity.pid for identity in found]


def test_what_a_command_leaves_running_is_ended(workshop: Workshop) -> None:
    request = workshop.request(workshop.path_source({"a": ""}), build_command=shell("sleep 1000 & exit 0"))
    workshop.builder.ensure_built(request)
    wait_until(lambda: marked(workshop, request.digest) == [], "the end of what was left")


def test_a_build_is_done_once_though_many_ask_at_once(workshop: Workshop) -> None:
    count = workshop.directory / "count"
    build = shell(f"sleep 0.2; echo once >> {count}")
    request = workshop.request(workshop.path_source({"a": ""}), build_command=build)
    built: list[BuiltRelease] = []
    builders = [LocalBuilder(workshop.state, wheelhouse=workshop.wheelhouse) for _ in range(4)]
    threads = [threading.Thread(target=lambda b=b: built.append(b.ensure_built(request))) for b in builders]  # type: ignore[misc]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert count.read_text() == "once\n"


CRASHING = """
import sys; from pathlib import Path
from tests.adapters.builder.workshop import Workshop
workshop = object.__new__(Workshop); workshop.directory = Path(sys.argv[1])
from deployments.adapters.builder import LocalBuilder, holding
from deployments.adapters.builder.releases import Releases
workshop.builder = LocalBuilder(workshop.directory / "state", wheelhouse=workshop.directory / "wheelhouse")
source = {"kind": "path", "path": str(workshop.directory / "source")}
command = ("/bin/sh", "-c", sys.argv[2])
workshop.builder.ensure_built(workshop.request(source, build_command=command))
"""


def test_a_build_whose_builder_was_killed_leaves_no_half_release_and_is_built_anew(workshop: Workshop) -> None:
    marker = workshop.directory / "second-time"
    script = f"if [ -e {marker} ]; then echo whole > done; else touch begun {marker}; sleep 1000; fi"
    request = workshop.request(workshop.path_source({"a": ""}), build_command=shell(script))
    root = Path(__file__).resolve().parents[3]
    killed = subprocess.Popen([sys.executable, "-c", CRASHING, str(workshop.directory), script], cwd=root)
    try:
        wait_until(marker.exists, "the build's middle")
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    orphans = marked(workshop, request.digest)
    assert workshop.builder.find(request.digest) is None
    assert orphans
    built = workshop.builder.ensure_built(request)
    assert (built.path / "done").read_text() == "whole\n"
    assert not (built.path / "begun").exists()
    assert marked(workshop, request.digest) == []


def test_a_builder_that_was_stopped_is_ended_and_the_release_is_built_anew(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold the build's lock for as long as somebody likes."""
    monkeypatch.setattr(holding, "STOPPED_SECONDS", 0.2)
    marker = workshop.directory / "second-time"
    script = f"if [ -e {marker} ]; then echo whole > done; else touch begun {marker}; sleep 1000; fi"
    request = workshop.request(workshop.path_source({"a": ""}), build_command=shell(script))
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", CRASHING, str(workshop.directory), script], cwd=root) as stopped:
        try:
            wait_until(marker.exists, "the build's middle")
            stopped.send_signal(signal.SIGSTOP)
            built = workshop.builder.ensure_built(request)
        finally:
            stopped.kill()
    assert (built.path / "done").read_text() == "whole\n"
    assert not (built.path / "begun").exists()
    assert marked(workshop, request.digest) == []
    assert stopped.returncode == -signal.SIGKILL


def test_a_builder_that_goes_on_building_is_waited_for(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "STOPPED_SECONDS", 0.0)
    begun, may_end = workshop.directory / "begun", workshop.directory / "may-end"
    script = f"echo once >> {begun}; while [ ! -e {may_end} ]; do sleep 0.02; done"
    request = workshop.request(workshop.path_source({"a": ""}), build_command=shell(script))
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen([sys.executable, "-c", CRASHING, str(workshop.directory), script], cwd=root) as other:
        wait_until(begun.exists, "the build's middle")
        with pytest.raises(Unavailable, match="another process"), Releases(workshop.state).held(request.digest, 0.3):
            pass
        may_end.touch()
        workshop.builder.ensure_built(request)
    assert (other.returncode, begun.read_text()) == (0, "once\n")


def test_a_command_that_finds_no_space_left_says_so(workshop: Workshop) -> None:
    request = workshop.request(workshop.path_source({"a": "x"}), build_command=shell("cat a > /dev/full"))
    with pytest.raises(DiskFull, match="no space left"):
        workshop.builder.ensure_built(request)


def test_a_builder_that_finds_no_space_left_says_so(workshop: Workshop) -> None:
    request = workshop.request(workshop.path_source({"a": ""}), build_command=("true",))
    log = workshop.state / "logs" / "builds" / f"{request.digest}.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        workshop.builder.ensure_built(request)
    assert workshop.builder.find(request.digest) is None


def test_a_long_state_path_still_has_working_programs(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / ("long and with spaces " * 8).strip())
    make_wheel(workshop.wheelhouse, "whole", "2.0", code="def main(): print('hello')\n", script="say")
    built = workshop.builder.ensure_built(
        workshop.request({"kind": "pypi", "requirement": "whole"}, framework="python")
    )
    assert built.bin is not None
    assert output_of(built.bin / "say") == "hello\n"
