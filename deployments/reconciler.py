"""The reconciler's process: `python -m deployments.reconciler`, kept running by `fairlead up`.

Round after round it takes up what nobody drives and retires what was warm long enough. It works with Prefect gone, and
what is away now it meets again in the next round.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from deployments.assembly import assemble
from deployments.domain.errors import DeploymentError
from deployments.driver.reconciling import reconcile_all
from deployments.settings import Settings

log = logging.getLogger("fairlead.reconciler")
ROUND_SECONDS = 1.0


def main() -> int:
    """Run rounds until told to stop."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    world = None
    while not ending.wait(ROUND_SECONDS):
        try:
            world = world or assemble(Settings.read(os.environ))
            for line in reconcile_all(world):
                log.info(line)
        except DeploymentError as error:
            log.warning("round postponed: %s", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
