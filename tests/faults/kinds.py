"""The kinds of deployment that the matrix kills: strategy by occasion, two services of which one needs the other."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.domain.spec.specification import DeploymentSpecification

PROGRAM = Path(__file__).with_name("program.py")
STRATEGIES: dict[str, dict[str, Any]] = {
    "blue_green": {"kind": "blue_green"},
    "rolling": {"kind": "rolling"},
    "recreate": {"kind": "recreate", "hold": "30s"},
}
OCCASIONS = ("first", "upgrade", "failing", "rollback", "undo", "resumed")
"""`undo`: the controller dies in the middle of an upgrade, and whoever takes it back is killed at every point of that.
`resumed`: an upgrade whose specification says that it goes on when its controller is lost."""
SERVICES = ("api", "web")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of deployment."""

    strategy: str
    occasion: str

    def __str__(self) -> str:
        return f"{self.strategy} {self.occasion}"

    @property
    def is_first(self) -> bool:
        """Nothing served before."""
        return self.occasion == "first"


KINDS = tuple(Kind(strategy, occasion) for strategy in STRATEGIES for occasion in OCCASIONS)


def write_source(directory: Path, version: str) -> Path:
    """The source of a version: the program, and a file of its own so that its release is built."""
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROGRAM, directory / "serve.py")
    (directory / "version").write_text(version, encoding="ascii")
    return directory


def specification(
    kind: Kind, environment: str, version: str, source: Path, *, is_bad: bool = False
) -> DeploymentSpecification:
    """Two instances of `api` and one of `web`, with a check on the public route, files and a resource."""
    return DeploymentSpecification.model_validate(
        {
            "project": "shop",
            "target_environment": environment,
            "services": [
                service("api", kind, version, source, scaling={"replicas": 2}),
                service(
                    "web",
                    kind,
                    version,
                    source,
                    is_bad=is_bad,
                    dependencies=["api"],
                    configuration={"files": {"settings": f"{version} {{route.api}} {{resource.data}}"}},
                ),
            ],
            "resource_requirements": [{"name": "data", "kind": "directory"}],
            "success_criteria": {"bake": "200ms", "error_rate": 1.0},
            "rollback_procedures": {"drain": "5s", "stop_grace": "5s"},
            "emergency_procedures": {"on_controller_lost": "resume" if kind.occasion == "resumed" else "undo"},
        }
    )


def service(
    name: str, kind: Kind, version: str, source: Path, *, is_bad: bool = False, **fields: Any
) -> dict[str, Any]:
    """One of them. A bad one is healthy, and answers its public route with 500."""
    return {
        "name": name,
        "version": version,
        "source": {"kind": "path", "path": str(source)},
        "framework": "none",
        "run_command": ["{python}", "-S", "-E", "serve.py", "{port}", version, "bad" if is_bad else "good"],
        "health_checks": [{"probe": {"kind": "http", "path": "/health"}, "interval": "50ms"}],
        "checks": [{"name": "answers", "when": "after_traffic", "attempts": 3, "probe": {"kind": "http", "path": "/"}}],
        "deployment_strategy": STRATEGIES[kind.strategy],
        **fields,
    }
