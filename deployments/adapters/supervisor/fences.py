"""The highest fence seen per environment, kept on disk: who was overtaken is refused, also after a restart."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from deployments.adapters.supervisor.records import write_atomically
from deployments.domain.errors import StaleFence


class Fences:
    """One small file per environment. Written by the supervisor's single thread only; anybody may read."""

    def __init__(self, state_directory: Path) -> None:
        """Nothing is made before the first fence."""
        self._directory = state_directory / "fences"

    def highest(self, project_environment: str) -> int:
        """The highest fence seen; 0 for a new environment.

        Also 0 when the file cannot be read, as after a disk lost it: a lease takes the highest of the store's fence,
        the proxy's and this one, so one that is lost is made up for by the others, and no person has to mend it.
        """
        try:
            return int(self._path(project_environment).read_bytes())
        except (FileNotFoundError, ValueError):
            return 0

    def admit(self, project_environment: str, fence: int) -> None:
        """Let a writer with this fence pass and remember it. Raises StaleFence when a newer one passed before."""
        highest = self.highest(project_environment)
        if fence < highest:
            raise StaleFence(
                f"the supervisor has seen fence {highest} for {project_environment} and refused {fence}.",
                fence=fence,
                highest=highest,
                project_environment=project_environment,
            )
        if fence > highest:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path(project_environment), str(fence), durable=True)

    def _path(self, project_environment: str) -> Path:
        return self._directory / (quote(project_environment, safe="") or "%")
