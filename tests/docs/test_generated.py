"""Pages that are made from the code say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.cli.verbs.table import VERBS
from docs.generate import pages

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_page_is_what_the_code_says_now(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")

    assert written == pages()[name](), f"docs/{name} is old: run `make docs`"


def test_every_verb_has_its_section_and_an_example() -> None:
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")

    for verb in VERBS:
        assert f"## fairlead {verb.name}\n" in page
        assert verb.examples
