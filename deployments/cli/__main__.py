"""`fairlead`: parse the words, run the verb, answer with an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from deployments.cli import reaching
from deployments.cli.failing import OK, UNEXPECTED, tell, to_json
from deployments.cli.output import Output
from deployments.cli.parser import make_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Never raises, but for what argparse ends with (`--help`, a usage error)."""
    output = Output.of_process()
    parser = make_parser()
    asked = parser.parse_args(arguments)
    if asked.version:
        output.line(f"fairlead {version()}")
        return OK
    if asked.verb is None:
        parser.print_help()
        return OK
    try:
        code = asked.run(asked, output)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place where an error can be told
        if getattr(asked, "json", False):
            output.json({"error": to_json(error)})
        return tell(error, output)
    finally:
        reaching.close()
    return code if isinstance(code, int) else UNEXPECTED


def version() -> str:
    """Of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("fairlead")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
