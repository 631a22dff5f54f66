"""`python -m benchmarks [a b c d e f g h] [--quick] [--write]`: measure, tell, and with --write keep in docs/.

Exit codes: 0, every promise was held; 1, one was missed or could not be measured; 130, interrupted. Whatever happens,
nothing keeps running.
"""

from __future__ import annotations

import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from benchmarks import commands, cutting_over, deploying, history, planning, returning, settling, triggering
from benchmarks.finding import Finding, failed
from benchmarks.machine import command_line, describe_machine, is_busy, load_average
from benchmarks.rendering import render_page, section, verdicts

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BENCHMARKS: dict[str, tuple[str, Callable[..., Finding]]] = {
    "a": (deploying.TITLE, deploying.measure),
    "b": (cutting_over.TITLE, cutting_over.measure),
    "c": (returning.TITLE, returning.measure),
    "d": (planning.TITLE, planning.measure),
    "e": (history.TITLE, history.measure),
    "f": (triggering.TITLE, triggering.measure),
    "g": (commands.TITLE, commands.measure),
    "h": (settling.TITLE, settling.measure),
}
"""By letter. A new one is a file and a row here."""
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, one after the other."""
    asked = parse(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    facts = describe_machine(command_line())
    if is_busy():
        say(f"The machine is busy (load average {load_average()}): read ratios, not seconds.")
    began = time.monotonic()
    try:
        findings = [measure(letter, quick=asked.quick) for letter in asked.letters]
    except KeyboardInterrupt:
        say("Interrupted; everything that was started is stopped.")
        return INTERRUPTED
    facts |= {"load average after": load_average(), "took": f"{(time.monotonic() - began) / 60:.1f} minutes"}
    if asked.write:
        PAGE.write_text(render_page(findings, facts), encoding="utf-8")
        say(f"Written to {PAGE}.")
    return 0 if all(finding.is_good for finding in findings) else 1


def parse(arguments: Sequence[str] | None) -> Namespace:
    """Letters, --quick, --write."""
    parser = ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("letters", nargs="*", metavar="LETTER", help="which ones, of a to h; all unless given")
    parser.add_argument("--quick", action="store_true", help="few and short: whether it works, not how fast")
    parser.add_argument("--write", action="store_true", help=f"write all of them, at full length, to docs/{PAGE.name}")
    asked = parser.parse_args(arguments)
    if unknown := [letter for letter in asked.letters if letter not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]}: choose from {', '.join(BENCHMARKS)}")
    if asked.write and (asked.quick or asked.letters):
        parser.error("--write takes all benchmarks at full length: the page is from one run")
    asked.letters = asked.letters or list(BENCHMARKS)
    return asked


def measure(letter: str, *, quick: bool) -> Finding:
    """One benchmark; one that fails is told, and the others go on."""
    title, benchmark = BENCHMARKS[letter]
    say(f"({letter}) {title} ...")
    began = time.monotonic()
    try:
        finding = benchmark(quick=quick)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in place of the numbers
        finding = failed(letter, title, error)
    print("\n".join([*section(finding), "", *verdicts(finding)]), flush=True)
    say(f"({letter}) took {time.monotonic() - began:.0f} s\n")
    return finding


def say(text: str) -> None:
    """Progress, beside the results."""
    print(text, file=sys.stderr, flush=True)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends it as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
