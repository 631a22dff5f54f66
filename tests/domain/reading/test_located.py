"""Text to values with lines: YAML 1.2 and JSON, bounded."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.reading import located
from deployments.domain.reading.located import DEEPEST, LARGEST_BYTES, MOST_VALUES, locate

MEANINGS: dict[str, Any] = {
    "on": "on",
    "no": "no",
    "2026-11-26": "2026-11-26",
    "1:30": "1:30",
    "1_000": "1_000",
    "true": True,
    "~": None,
    "": None,
    "1.10": 1.1,
    "1e3": 1000.0,
    "0x1f": 31,
    "0o17": 15,
    "-.inf": -math.inf,
    "'1.10'": "1.10",
    "!!str 1.10": "1.10",
    "!!int '7'": 7,
    "! 12": "12",
}


@pytest.mark.parametrize(("text", "value"), MEANINGS.items(), ids=[repr(text) for text in MEANINGS])
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    found = locate(f"a: {text}")
    assert found.problems == []
    assert found.value == {"a": value}
    assert type(found.value["a"]) is type(value)


def test_every_field_knows_its_line() -> None:
    found = locate("a: 1\nb:\n  - x\n  - c: |\n      two\n      lines\n    d: 2\n")
    assert found.line_of(("a",)) == 1
    assert found.line_of(("b", 0)) == 3
    assert found.line_of(("b", 1, "c")) == 4
    assert found.line_of(("b", 1, "d")) == 7


def test_a_field_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    assert locate("a:\n- b: 1\n- c: 2\n").line_of(("a", 1, "missing", 0)) == 3


PROBLEMS = {
    "two documents": ("a: 1\n---\nb: 2\n", 2, "several documents"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", 3, "written twice; first on line 1"),
    "a number as key": ("1: a\n", 1, "is not text"),
    "a list as key": ("? [a]\n: b\n", 1, "cannot be a key"),
    "a tag of Python": ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tag"),
    "a tag of its own": ("a: !secret x\n", 1, "tag"),
    "an open bracket": ("a: [1,\n", 2, "not valid YAML"),
    "a tab as indent": ("a:\n\tb: 1\n", 2, "not valid YAML"),
    "a control character": ("a: 1\nb: \x1b[31m\n", 2, "not text"),
    "half a character": ("a: \ud800\n", 1, "not text"),
    "half a character in JSON": ('{"a": "\\ud800"}', 1, "not valid YAML"),
    "an alias of nothing": ("a: *b\n", 1, "names nothing"),
    "an alias within its anchor": ("a: &a\n  b: *a\n", 2, "names nothing that is complete"),
    "too deep": ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), 1, "nested deeper"),
    "far too deep": ("[" * 5000, 1, "nest"),
}


@pytest.mark.parametrize(("text", "line", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_is_wrong_with_a_text_has_a_line_and_a_remedy(text: str, line: int, words: str) -> None:
    [problem] = locate(text).problems
    assert words in problem.message
    assert problem.line == line
    assert problem.remedy


def test_aliases_are_counted_in_full() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    found = locate("\n".join(rows))
    assert found.value is None
    assert str(MOST_VALUES) in found.problems[0].message


def test_an_alias_stands_for_its_value() -> None:
    assert locate("a: &x {b: 1}\nc: *x\n").value == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_large_text_is_not_read() -> None:
    [problem] = locate("a" * (LARGEST_BYTES + 1)).problems
    assert "larger than" in problem.message


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_text_has_no_value(text: str) -> None:
    found = locate(text)
    assert found.value is None
    assert found.problems == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_json_reads_as_json_says(value: dict[str, Any], is_ascii: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    try:
        text.encode()
        has_halves = any(0xD800 <= ord(c) <= 0xDFFF for c in json.dumps(value, ensure_ascii=False))
    except UnicodeEncodeError:
        has_halves = True
    found = locate(text)
    if has_halves:
        assert found.problems
    else:
        assert (found.problems, found.value) == ([], value)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@`\n \t,?~01.\x00\x85\u2028\ufeff<=\\ux"), max_size=40))
def test_any_text_is_read_or_has_problems(text: str) -> None:
    found = locate(text)
    assert all(problem.message for problem in found.problems)


def test_without_libyaml_it_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x {b: [1, 'two', on]}\nc: *x\nd: |\n  lines\ne: !!str 1\nf: 1\nf: 2\n"
    compiled = locate(text)
    monkeypatch.setattr(located, "LOADER", yaml.SafeLoader)
    assert locate(text) == compiled
