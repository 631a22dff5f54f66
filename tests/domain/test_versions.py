"""Versions: two grammars, and an order where there is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.versions import InvalidVersion, parse_version

GOOD = (
    "1",
    "1.10",
    "2.0rc1",
    "1!2.0",
    "1.0.post1",
    "v1.2",
    "1.0+local.1",
    "1.0.0-beta.2",
    "1.0.0-x.7.z.92",
    "1.0.0-a+b.c",
)
BAD = ("", " 1.0", "1.0\n", "latest", "1..2", "01.x", "1.0.0-", "1.0.0-x.01", "x" * 200, "1" * 101, "\u0661.\u0662")
OLDER = {
    "numbers, not letters": ("1.9", "1.10"),
    "a candidate before its release": ("2.0rc1", "2.0"),
    "a pre-release before its release": ("1.0.0-x.7", "1.0.0-z.1"),
    "numbers before words": ("1.0.0-q.1", "1.0.0-q.x"),
    "fewer fields first": ("1.0.0-q", "1.0.0-q.w"),
    "across grammars by number": ("1.0.0-q.w", "1.1"),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_version_reads_as_written(text: str) -> None:
    assert str(parse_version(text)) == text


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_version_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidVersion, match=r"1\.4\.2"):
        parse_version(text)


@pytest.mark.parametrize(("older", "newer"), OLDER.values(), ids=OLDER)
def test_the_order_is_the_grammars(older: str, newer: str) -> None:
    left, right = parse_version(older), parse_version(newer)
    assert left.is_older_than(right) is True
    assert right.is_older_than(left) is False


def test_different_grammars_with_the_same_numbers_are_not_compared() -> None:
    assert parse_version("1.0.0-x.7.z").is_older_than(parse_version("1.0")) is None


@given(st.text(max_size=120))
def test_any_text_is_a_version_or_refused(text: str) -> None:
    try:
        version = parse_version(text)
    except InvalidVersion:
        return
    assert version.is_older_than(version) is False
