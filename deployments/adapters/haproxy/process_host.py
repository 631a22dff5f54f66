"""What the proxy asks of the supervisor that keeps it running."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class ProcessHost(Protocol):
    """Keeps programs running, and outlives the controller that asked for them."""

    def ensure_service(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start the program unless it runs; restart it when it ends."""

    def stop_service(self, name: str) -> None:
        """Stop it and forget it; an unknown one is fine."""

    def service_is_running(self, name: str) -> bool:
        """Whether its process is there."""
