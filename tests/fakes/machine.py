"""A machine with as much room as a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.domain.ports import MachineFacts

ROOMY = MachineFacts(
    cpus=4,
    memory_total_mb=16_000,
    memory_available_mb=12_000,
    disk_free_mb=100_000,
    can_limit_memory=True,
    can_limit_cpu=True,
)


@dataclass
class FakeMachine:
    """Reports `facts`; replace them to make the machine small."""

    facts: MachineFacts = field(default=ROOMY)
    ended: list[str] = field(default_factory=list)

    def observe(self) -> MachineFacts:
        """Look once."""
        return self.facts

    def end_step_processes(self, deployment: str) -> int:
        """Steps start no processes here; it is noted who asked."""
        self.ended.append(deployment)
        return 0
