"""`fairlead doctor`: what this machine has, what is missing, and the remedy."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from deployments.cli.failing import OK, UNAVAILABLE
from deployments.cli.output import Output
from deployments.cli.verb import Verb, with_json


def options(parser: ArgumentParser) -> None:
    """--json."""
    with_json(parser)


def run(asked: Namespace, output: Output) -> int:
    """Look at everything; the exit code is 0 when nothing that is needed is missing."""
    from deployments.cli.examining import Verdict, examine
    from deployments.cli.reaching import read_settings

    findings = examine(read_settings())
    is_well = all(finding.verdict is not Verdict.MISSING for finding in findings)
    if asked.json:
        output.json({"is_well": is_well, "findings": findings})
        return OK if is_well else UNAVAILABLE
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        colour = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.MISSING: "red"}[finding.verdict]
        output.line(
            f"{output.styled(finding.verdict.value.ljust(7), colour)}  {finding.what:<{width}}  {finding.found}"
        )
        if finding.remedy:
            output.line(f"{'':<9}{'':<{width}}  remedy: {finding.remedy}")
    output.line("Everything that is needed is here." if is_well else "Something that is needed is missing.")
    return OK if is_well else UNAVAILABLE


VERB = Verb(
    name="doctor",
    summary="say what this machine has and what is missing",
    story="Looks at the machine, the programs that Fairlead runs, directories, disk, memory, limits, ports, the "
    "wheelhouse and the database, without starting or changing anything. What is missing comes with its "
    "remedy; a note is worth knowing and stops nothing. The exit code is 0 when nothing that is needed is "
    "missing, else 5.",
    examples=(
        ("fairlead doctor", "on a machine where something does not work"),
        ("fairlead doctor --json", "for machines"),
    ),
    options=options,
    run=run,
)
