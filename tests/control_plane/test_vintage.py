"""A process that holds old code in memory is told from one that does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployments.adapters.control_plane.vintage import vintage

SETTINGS = {"FAIRLEAD_HOME": "/srv/fairlead"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "deploy.py").write_text("order = 1\n")
    return tmp_path


def test_the_same_code_and_settings_are_of_one_vintage(root: Path) -> None:
    assert vintage(root, SETTINGS) == vintage(root, dict(SETTINGS))


def test_a_changed_file_a_new_file_and_another_setting_make_another_vintage(root: Path) -> None:
    seen = [vintage(root, SETTINGS), vintage(root, {"FAIRLEAD_HOME": "/elsewhere"})]
    os.utime(root / "flows" / "deploy.py", (1, 1))
    seen.append(vintage(root, SETTINGS))
    (root / "flows" / "more.py").touch()
    seen.append(vintage(root, SETTINGS))
    assert len(set(seen)) == len(seen)
