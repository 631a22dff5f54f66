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
from deployments.driver.reconciling import Rounds
from deployments.settings import Settings

log = logging.getLogger("fairlead.reconciler")
ROUND_SECONDS = 1.0


def main() -> int:
    """Run rounds until told to stop."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    rounds: Rounds | None = None
    while not ending.wait(ROUND_SECONDS):
        try:
            rounds = rounds or Rounds(assemble(Settings.read(os.environ)))
            for line in rounds.begin():
                log.info(line)
        except DeploymentError as error:
            log.warning("round postponed: %s", error)
    for line in rounds.end() if rounds else ():
        log.info(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
