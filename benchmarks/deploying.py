"""(a) Time to deploy against the longest chain's own start time, a bare Prefect flow, and a plain sequential script."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.finding import Bar, Finding
from benchmarks.house import PATIENCE, ROOT, CommandFailed, House, house
from benchmarks.measuring import median, ratio, share_over
from benchmarks.rendering import percent, seconds, times
from benchmarks.sequential import run_scripts
from benchmarks.specifications import layered, specification

TITLE = "Time to deploy a graph of services"
LAYERS_AND_WIDTH = ((1, 1), (2, 5), (10, 5))
ALSO_TASKS = {"validation": 2}
"""Tasks of the flow that are not steps of the plan: to observe and plan, and to judge the rules."""
PHASES = ("validation", "preparation", "deployment", "testing", "completion")
COLUMNS = (
    "services",
    "longest chain",
    "Fairlead",
    "over the chain",
    "share of the chain",
    "bare Prefect flow",
    "tasks in it",
    "sequential script",
    "script / Fairlead",
)


@dataclass(frozen=True, slots=True)
class Size:
    """What one size took, in seconds."""

    services: int
    chain: float
    fairlead: float
    bare: float
    tasks: int


def measure(*, quick: bool) -> Finding:
    """One home for all sizes, an environment of its own for each deployment."""
    start, repetitions = (1.0, 1) if quick else (5.0, 3)
    with house() as home:
        sizes = [measure_size(home, *shape, start=start, repetitions=repetitions) for shape in LAYERS_AND_WIDTH]
        scripts = run_scripts(home.source, [size.services for size in sizes], seconds=start)
    conditions = (
        f"Each service accepts connections exactly {start:g} s after its process was made. One service; ten in two "
        "layers; fifty in ten layers of five, each service needing all of the layer before. `fairlead up` is running, "
        "the releases are built, the environment is new and no other service runs. Fairlead and the bare flow are "
        "timed from the start of the flow run to its end, as Prefect records them; the bare flow has the same five "
        "subflows and as many tasks, which do nothing, all of a phase at once. The script starts one service after "
        f"the other. Medians of {repetitions}; of the script, one run.",
    )
    return Finding(
        "a",
        TITLE,
        conditions,
        COLUMNS,
        [row(*each) for each in zip(sizes, scripts, strict=True)],
        bars(sizes, is_judged=not quick),
    )


def measure_size(home: House, layers: int, width: int, *, start: float, repetitions: int) -> Size:
    """Deploy it again and again, each time followed by the bare flow."""
    services = layered(home.source, layers=layers, width=width, seconds=start)
    home.build(specification("built", services))
    fairlead, bare, tasks = [], [], {}
    for number in range(repetitions):
        deployed = home.deploy(specification(f"env-{len(services)}-{number}", services))
        fairlead.append(deployed.seconds)
        home.empty()
        steps = home.steps_by_phase(deployed.id)
        tasks = {phase: steps.get(phase, 0) + ALSO_TASKS.get(phase, 0) for phase in PHASES}
        bare.append(run_bare(home, tasks))
    return Size(len(services), layers * start, median(fairlead), median(bare), sum(tasks.values()))


def run_bare(home: House, tasks: dict[str, int]) -> float:
    """Seconds from the start of the bare flow to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare", json.dumps(tasks)],
        cwd=ROOT,
        env=home.prefect_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise CommandFailed(f"The bare flow ended with {done.returncode}: {done.stderr[-1500:]}")
    began, ended = home.times_of(done.stdout.split()[-1])
    return ended - began


def row(size: Size, script: float) -> tuple[str, ...]:
    """Of the table."""
    return (
        str(size.services),
        seconds(size.chain),
        seconds(size.fairlead),
        seconds(size.fairlead - size.chain),
        percent(share_over(size.fairlead, size.chain)),
        seconds(size.bare),
        str(size.tasks),
        seconds(script),
        times(ratio(script, size.fairlead)),
    )


def bars(sizes: list[Size], *, is_judged: bool) -> list[Bar]:
    """The share is promised for starts of 5 s only, so a quick run does not judge it."""
    one, fifty = sizes[0], sizes[-1]
    found = [Bar("one service, over its own start time", one.fairlead - one.chain, 3, "s")]
    if is_judged:
        share = 100 * share_over(fifty.fairlead, fifty.chain)
        found.append(Bar("fifty services of 5 s in ten layers, over the longest chain", share, 15, "%"))
    return found
