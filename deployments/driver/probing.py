"""Turns a probe of the specification into a question for the prober."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from deployments.domain.placeholders import fill
from deployments.domain.ports import STEP_VARIABLE, ProbeRequest
from deployments.domain.spec.checks import CommandProbe, HttpProbe, Probe


def probe_request(
    probe: Probe, *, port: int, timeout: timedelta, deployment: str, release_bin: Path | None = None
) -> ProbeRequest:
    """The question; `{port}` and `{url}` of a command are filled in, and it carries the deployment that asks."""
    match probe:
        case HttpProbe():
            return ProbeRequest(
                kind="http",
                port=port,
                path=probe.path,
                method=probe.method,
                headers=probe.headers,
                expect_status=probe.expect_status,
                expect_text=probe.expect_text,
                timeout=timeout,
            )
        case CommandProbe():
            values = {"port": str(port), "url": f"http://127.0.0.1:{port}", "bin": str(release_bin or "")}
            path = f"{release_bin}:/usr/local/bin:/usr/bin:/bin" if release_bin else "/usr/local/bin:/usr/bin:/bin"
            return ProbeRequest(
                kind="command",
                command=tuple(fill(word, values) for word in probe.command),
                environment={"PATH": path, "PORT": str(port), STEP_VARIABLE: deployment},
                timeout=timeout,
            )
        case _:
            return ProbeRequest(kind="tcp", port=port, timeout=timeout)
