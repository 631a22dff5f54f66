"""How Prefect's processes are told where everything is, and to keep to this machine: commands and variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from deployments.domain.errors import Refused
from deployments.settings import Settings

PACKAGE_ROOT = Path(__file__).resolve().parents[3]
KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONUTF8"})
KEPT_PREFIXES = ("FAIRLEAD_", "XDG_", "PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_")
KEPT_SUFFIXES = ("_PROXY", "_proxy")


def quiet_environment(home: Path) -> dict[str, str]:
    """For every process that imports Prefect: nothing is sent to its makers, nothing is kept in the user's home."""
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
    }


def prefect_environment(api_url: str, home: Path) -> dict[str, str]:
    """For a process that runs flows or talks to the API. It has to be set before Prefect is imported."""
    return {
        **quiet_environment(home),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        # A call is repeated after 2, 4 and 8 s: enough for a server that restarts. A deployment whose server stays away
        # goes on without it, so it is not to wait for two further attempts, which take a minute.
        "PREFECT_CLIENT_MAX_RETRIES": "3",
    }


def server_environment(database_url: str, *, port: int, home: Path) -> dict[str, str]:
    """For Prefect's server."""
    return {
        **quiet_environment(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": asynchronous(database_url),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        # One transaction for each event costs the server more than all else; states are shown up to a second late.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }


def server_command(port: int) -> list[str]:
    """Prefect's server, reachable from this machine only."""
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]


def runner_command(claims: Path, *, pool: str, limit: int, ready: Path) -> list[str]:
    """The warm runner, which registers the Prefect deployments before it takes runs."""
    return [
        *(sys.executable, "-m", "flows.runner", "--register"),
        *("--claims", str(claims), "--pool", pool, "--limit", str(limit), "--ready", str(ready)),
    ]


def reconciler_command() -> list[str]:
    """The loop that takes over what nobody drives."""
    return [sys.executable, "-m", "deployments.reconciler"]


def asynchronous(database_url: str) -> str:
    """The same database for Prefect, which talks to PostgreSQL through asyncpg. Raises Refused for another kind."""
    parts = urlsplit(database_url)
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise Refused(
            f"{parts.scheme or 'an empty scheme'} is not PostgreSQL.",
            remedy="Give a URL that begins with postgresql://.",
        )
    # asyncpg knows libpq's `sslmode` as `ssl`, and refuses options that it does not know.
    asked = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    query = urlencode([(name, value) for name, value in asked if name in ("host", "port", "ssl")], safe="/")
    user = parts.netloc or "postgres@"
    return f"postgresql+asyncpg://{user}{parts.path}{'?' if query else ''}{query}"


def service_environment(settings: Settings, own: Mapping[str, str]) -> dict[str, str]:
    """A service's complete environment: enough of the starter's to build and run, the settings, and its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES) or name.endswith(KEPT_SUFFIXES)
    }
    return {**kept, **settings_environment(settings), "PYTHONPATH": str(PACKAGE_ROOT), **own}


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, so that a service reads what its starter read, whatever directory either is in."""
    values = {
        "FAIRLEAD_HOME": str(settings.home),
        "FAIRLEAD_DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else "",
        "FAIRLEAD_WHEELHOUSE": str(settings.wheelhouse or ""),
        "FAIRLEAD_HAPROXY": str(settings.haproxy or ""),
    }
    for name in ("renew", "lease", "takeover", "handle"):
        values[f"FAIRLEAD_{name.upper()}_SECONDS"] = f"{getattr(settings.timings, name).total_seconds():g}"
    return values
