"""Archives from outside."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from deployments.adapters.builder import archives
from deployments.adapters.builder.archives import unpack
from deployments.domain.errors import Refused


def entry(name: str, content: bytes | None = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes | None]:
    info = tarfile.TarInfo(name)
    info.size = len(content or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes | None]:
    return entry(name, None, type=kind, linkname=target)


def tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes | None], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is a test's parameter
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content) if content is not None else None)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked_with_its_programs_and_links(tmp_path: Path, mode: str) -> None:
    archive = tar(
        tmp_path / "a.tar",
        entry("app/run", b"#!", mode=0o4755),
        entry("app/data", b"d", mode=0o600),
        link("app/latest", "data"),
        link("app/same", "app/data", tarfile.LNKTYPE),
        mode=mode,
    )
    unpack(archive, tmp_path / "out")
    out = tmp_path / "out" / "app"
    assert (out / "run").stat().st_mode & 0o7777 == 0o755
    assert (out / "data").stat().st_mode & 0o7777 == 0o644
    assert (out / "latest").readlink() == Path("data")
    assert (out / "same").read_bytes() == b"d"


def test_a_zip_is_unpacked_with_its_programs_and_links(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        program, symlink = zipfile.ZipInfo("app/run"), zipfile.ZipInfo("app/latest")
        program.external_attr, symlink.external_attr = 0o100755 << 16, 0o120777 << 16
        archive.writestr(program, "#!")
        archive.writestr(symlink, "run")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/app/run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/app/latest").readlink() == Path("run")


EVIL = {
    "a path that climbs": [entry("../evil")],
    "a path that climbs from within": [entry("a/../../evil")],
    "an absolute path": [entry("/tmp/evil")],
    "a link to an absolute path": [link("a", "/etc/passwd")],
    "a link that climbs": [link("a", "../evil")],
    "a file through a link out": [link("a", ".."), entry("a/evil")],
    "a link that climbs through a link": [link("p/q", "../r"), entry("r/f"), link("p/q/l", "../../x")],
    "a link made to climb by a later link": [link("l", "s/t/../../x"), link("s/t", "..")],
    "a hard link out": [link("a", "../../etc/passwd", tarfile.LNKTYPE)],
    "a device": [entry("a", None, type=tarfile.CHRTYPE)],
    "a pipe": [entry("a", None, type=tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("entries", EVIL.values(), ids=EVIL.keys())
def test_an_archive_that_reaches_out_is_refused(
    tmp_path: Path, entries: list[tuple[tarfile.TarInfo, bytes | None]]
) -> None:
    archive = tar(tmp_path / "a.tar.gz", *entries)
    with pytest.raises(Refused):
        unpack(archive, tmp_path / "deep" / "out")
    assert not [path for path in tmp_path.rglob("*") if path.name in ("evil", "x")]


def test_a_zip_that_reaches_out_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil", "x")
    with pytest.raises(Refused, match="not safe"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_an_archive_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 10)
    with pytest.raises(Refused, match="too large"):
        unpack(tar(tmp_path / "a.tar", entry("a", b"x" * 11), mode="w"), tmp_path / "out")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(Refused, match="neither a tar nor a zip"):
        unpack(tmp_path / "a.txt", tmp_path / "out")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    whole = tar(tmp_path / "a.tar.gz", entry("a", bytes(range(256)) * 400))
    (tmp_path / "b.tar.gz").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(Refused):
        unpack(tmp_path / "b.tar.gz", tmp_path / "out")
