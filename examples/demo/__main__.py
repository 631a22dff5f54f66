"""`python -m examples.demo`: plays the story, cleans up, and answers with an exit code."""

from __future__ import annotations

import json
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from examples.demo.fairlead import CommandFailed, Fairlead, Terminated
from examples.demo.narration import Narrator
from examples.demo.report import tell_outcome, to_json
from examples.demo.story import tell
from examples.demo.visitors import LoadLost

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0: as it should be; 1: not so; 130: interrupted. Whatever happens, nothing keeps running but with --keep."""
    asked = parse(arguments)
    narrator, fairlead = Narrator(), Fairlead()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        outcome = tell(narrator, fairlead)
        tell_outcome(narrator, outcome)
        if asked.json:
            asked.json.write_text(json.dumps({"home": str(fairlead.home), **to_json(outcome)}, indent=2) + "\n")
        return 1 if outcome.complaints else 0
    except (CommandFailed, LoadLost) as error:
        narrator.verdict(f"The story ends here: {error}", is_good=False)
        return 1
    except KeyboardInterrupt:
        narrator.line()
        narrator.line("Interrupted.")
        return INTERRUPTED
    finally:
        clean_up(narrator, fairlead, keep=asked.keep)


def parse(arguments: Sequence[str] | None) -> Namespace:
    """--keep, --json."""
    parser = ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the services running, to look at them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts to this file, too")
    return parser.parse_args(arguments)


def clean_up(narrator: Narrator, fairlead: Fairlead, *, keep: bool) -> None:
    """Stop everything, unless asked to keep it; a second Ctrl-C does not cut this short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    narrator.line()
    if keep:
        home = f"FAIRLEAD_HOME={fairlead.home}"
        narrator.line(f"Everything keeps running. Look:  {home} .venv/bin/fairlead status")
        narrator.line(f"End it:  {home} .venv/bin/fairlead destroy --everything")
        return
    narrator.line("Stopping everything that was started.")
    fairlead.remove()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


if __name__ == "__main__":
    sys.exit(main())
