"""The specifications that people copy are valid: the examples', and the README's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployments.domain.reading.specification import read_specification

ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("examples/**/*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_an_example_is_valid(file: Path) -> None:
    outcome = read_specification(file.read_text(), file=file.name)

    assert not outcome.problems
    assert outcome.specification is not None


def test_the_specification_of_the_readme_is_valid() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)

    problems = [problem for block in blocks for problem in read_specification(block, file="README.md").problems]

    assert blocks
    assert not problems
