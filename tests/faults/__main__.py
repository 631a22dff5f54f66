"""`python -m tests.faults`: kill the controller at every boundary of every kind of deployment, and see how it ends.

python -m tests.faults                         the whole matrix
python -m tests.faults --kind "rolling undo"   one kind, or several
python -m tests.faults --at "after intent of start:api-1" --kind "rolling upgrade"    one row
python -m tests.faults --sample 10             every tenth boundary of each kind

The whole matrix has Prefect's edges beside it: see tests.faults.edges.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import edges
from tests.faults.edges import Edge
from tests.faults.kinds import KINDS
from tests.faults.matrix import enumerate_rows, lanes, leave, sample
from tests.faults.rows import Result, Row
from tests.faults.table import complaints, details, edge_complaints, edge_table, summary

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
MINUTES = 58.0


def main(arguments: Sequence[str]) -> int:
    """0 when every row that was run ended as it must, and every row was run."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, leave)
    began = time.monotonic()
    until = began + options.minutes * 60
    kinds = [kind for kind in KINDS if not options.kind or str(kind) in options.kind]
    if not kinds:
        sys.stderr.write(f"no such kind; there are: {', '.join(map(str, KINDS))}\n")
        return 2
    with ExitStack() as stack:
        found = stack.enter_context(lanes(options.lanes))
        beside = stack.enter_context(edges.started()) if is_whole(options) and options.edges else None
        if options.at:
            results = found.run([Row(kind, at) for kind in kinds for at in options.at], tell, until=until)
        else:
            unkilled, rows = enumerate_rows(found, kinds, tell, until=until)
            chosen = sample(rows, options.sample) if options.sample > 1 else rows
            sys.stdout.write(f"{len(chosen)} of {len(rows)} boundaries of {len(kinds)} kinds\n")
            results = [*unkilled, *in_order(found.run(chosen, tell, until=until), rows)]
        seen = beside.result(until=until) if beside is not None else []
    seconds = time.monotonic() - began
    report(results, seen, seconds)
    if options.write:
        write(results, seen, seconds, options)
    is_right = all(not result.wrong and result.end != "not run" for result in results)
    return 0 if is_right and all(edge.is_good for edge in seen) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kind", action="append", help=f"one of: {', '.join(map(str, KINDS))}")
    parser.add_argument("--at", action="append", help="one boundary, by the name that a run prints")
    parser.add_argument("--sample", type=int, default=1, help="run one of so many boundaries (default: all)")
    parser.add_argument(
        "--no-edges",
        dest="edges",
        action="store_false",
        help="leave out Prefect's edges, which go with the whole matrix",
    )
    parser.add_argument("--lanes", type=int, default=4 * (os.cpu_count() or 1), help="rows at the same time")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="begin no row after this time")
    parser.add_argument("--write", action="store_true", help=f"write the table to docs/{PAGE.name}")
    return parser.parse_args(arguments)


def tell(result: Result) -> None:
    """A line as soon as a row has ended."""
    what = result.row.boundary or f"nobody killed, {len(result.passed)} boundaries"
    sign = "WRONG" if result.wrong else result.end
    sys.stdout.write(f"{sign:10} {result.seconds:6.2f} s  {result.row.kind}: {what}\n")
    for wrong in result.wrong:
        sys.stdout.write(f"           {wrong}\n")
    sys.stdout.flush()


def in_order(results: Sequence[Result], rows: Sequence[Row]) -> list[Result]:
    """As the boundaries were passed, not as the lanes were free."""
    position = {row: index for index, row in enumerate(rows)}
    return sorted(results, key=lambda result: position[result.row])


def report(results: Sequence[Result], seen: Sequence[Edge], seconds: float) -> None:
    """The table for people, and what was wrong."""
    lines = ["", *summary(results), *section(seen), "", f"{seconds / 60:.1f} minutes.", *complaints(results)]
    lines += edge_complaints(seen)
    not_run = [f"not run: {r.row.kind}: {r.row.boundary}" for r in results if r.end == "not run" and not r.wrong]
    sys.stdout.write("\n".join([*lines, *not_run]) + "\n")


def section(seen: Sequence[Edge]) -> list[str]:
    """The table of Prefect's edges, where they were run."""
    return ["", *edge_table(seen)] if seen else []


def write(results: Sequence[Result], seen: Sequence[Edge], seconds: float, options: argparse.Namespace) -> None:
    """The page in docs/."""
    tables = [text for kind in KINDS for text in details(results, kind)]
    wrong = [*complaints(results), *edge_complaints(seen)] or ["Nothing was wrong."]
    page = [
        "# Killed anywhere",
        "",
        PREFACE,
        "",
        f"Written by `{command(options)}` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"{options.lanes} lanes, {seconds / 60:.0f} minutes.",
        "",
        *summary(results),
        "",
        *wrong,
        *([*section(seen), "", EDGES] if seen else []),
        "",
        "## Every point",
        "",
        *tables,
    ]
    PAGE.write_text("\n".join(page).rstrip() + "\n", encoding="utf-8")


def command(options: argparse.Namespace) -> str:
    """What wrote the page."""
    if is_whole(options) and options.edges and options.minutes == MINUTES:
        return "make faults"
    words = [f"--minutes {options.minutes:g}", *([] if options.edges else ["--no-edges"])]
    return " ".join(["python -m tests.faults --write", *words, *(f"--sample {n}" for n in [options.sample] if n > 1)])


def is_whole(options: argparse.Namespace) -> bool:
    """Whether every row of every kind is run."""
    return not options.kind and not options.at and options.sample == 1


PREFACE = """\
What happens when the controller dies: for every kind of deployment, each boundary of what it writes was found by
running it once. Then the process that drove it was killed with SIGKILL at exactly that boundary, under constant load,
with a real HAProxy, supervisor, PostgreSQL and services, and another process took over as `fairlead up`'s reconciler
does. A row is right when exactly one release of every service serves afterwards, the new one everywhere or the old one
everywhere; no request was dropped that a bad release did not cause; no process, port, route, hold, handle, lease,
configuration or resource is left over; and the events replay to the recorded state.

- *out*: the deployment went on and completed. *back*: everything is as it was. *=*: the same moment as the receipt of
  the step before, which is a row already.
- `first`: nothing served before, so there is no load. `failing`: the new release answers 500, and its check takes it
  back. `undo`: the controller died in the middle of an upgrade, and the *taker* was killed at the boundary.
  `resumed`: the specification says `on_controller_lost: resume`."""


EDGES = """\
Each with Prefect's real server, warm runner or process worker, a real HAProxy, supervisor, PostgreSQL and services. An
edge is right when the deployment ends complete or back as it must, one release serves, and neither the flow run nor a
subflow run of it is left unfinished in Prefect. `blue-green`, `rolling`, `recreate`: an upgrade. `rollback`: a run of
the flow `rollback`. `first`: nothing served before."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
