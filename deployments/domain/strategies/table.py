"""Every strategy, by the `kind` a specification names. A new one is a file and a row here."""

from __future__ import annotations

from deployments.domain.strategies.blue_green import BlueGreenRules
from deployments.domain.strategies.decision import StrategyRules
from deployments.domain.strategies.recreate import RecreateRules
from deployments.domain.strategies.rolling import RollingRules

STRATEGIES: dict[str, StrategyRules] = {
    "blue_green": BlueGreenRules(),
    "rolling": RollingRules(),
    "recreate": RecreateRules(),
}
