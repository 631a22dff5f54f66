"""(g) Commands that people wait for: `fairlead --help` and `fairlead validate`, against the bare interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.finding import Bar, Finding
from benchmarks.house import ROOT, command, house
from benchmarks.measuring import ratio, seconds_of
from benchmarks.rendering import seconds, times
from benchmarks.specifications import layered, service, specification

TITLE = "Commands that people wait for"
LIMIT = 0.7
COLUMNS = ("command", "median", "times the bare interpreter")


def measure(*, quick: bool) -> Finding:
    """Whole processes, from their start to their end."""
    repetitions = 3 if quick else 11
    with house(is_up=False) as home:
        one, fifty = home.home / "one.json", home.home / "fifty.json"
        one.write_text(json.dumps(specification("production", [service(home.source)])))
        services = layered(home.source, layers=10, width=5, seconds=0)
        fifty.write_text(json.dumps(specification("production", services)))
        commands = {
            "`python -c pass`": [sys.executable, "-c", "pass"],
            "`fairlead --help`": command("--help"),
            "`fairlead validate FILE`, one service": command("validate", str(one)),
            "`fairlead validate FILE`, fifty services": command("validate", str(fifty)),
        }
        taken = {name: seconds_of(partial(run, words), times=repetitions) for name, words in commands.items()}
    bare, *ours = taken
    rows = [(name, seconds(taken[name]), times(ratio(taken[name], taken[bare]))) for name in taken]
    conditions = (f"Whole processes, files cached. Medians of {repetitions}.",)
    return Finding("g", TITLE, conditions, COLUMNS, rows, [Bar(name, taken[name], LIMIT, "s") for name in ours])


def run(words: Sequence[str]) -> None:
    """To its end. Raises CalledProcessError."""
    subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True)
