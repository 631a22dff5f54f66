"""Order in a graph, and the circles that leave none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.graph import find_cycle, waves

Graph = dict[str, list[str]]
NAMES = [f"s{n}" for n in range(8)]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, ()),
        ({"a": []}, (("a",),)),
        ({"b": [], "a": []}, (("b", "a"),)),
        ({"web": ["api"], "api": ["db"], "db": []}, (("db",), ("api",), ("web",))),
        ({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": []}, (("a",), ("c", "b"), ("d",))),
        ({"c": ["a", "b"], "b": ["a"], "a": []}, (("a",), ("b",), ("c",))),
        ({"a": ["elsewhere"], "b": ["a", "a"]}, (("a",), ("b",))),
        ({"x": [], "a": ["b"], "b": ["a"], "c": ["b"]}, (("x",),)),
    ],
    ids=[
        "nothing",
        "one",
        "in the order they are written",
        "a chain",
        "a diamond",
        "as deep as the longest way",
        "unknown names and repetitions count for nothing",
        "a circle and what is behind it are left out",
    ],
)
def test_waves(graph: Graph, expected: tuple[tuple[str, ...], ...]) -> None:
    assert waves(graph) == expected


@pytest.mark.parametrize(
    ("graph", "cycle"),
    [
        ({}, ()),
        ({"a": ["b"], "b": []}, ()),
        ({"a": ["elsewhere"]}, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"web": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ("a", "b", "c", "a")),
        ({"a": ["x", "b"], "x": [], "b": ["a"]}, ("a", "b", "a")),
    ],
    ids=[
        "nothing",
        "a chain",
        "an unknown name",
        "itself",
        "each other",
        "what leads to the circle is not in it",
        "what is beside it neither",
    ],
)
def test_cycles(graph: Graph, cycle: tuple[str, ...]) -> None:
    assert find_cycle(graph) == cycle


GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4))


@given(GRAPHS)
def test_there_is_an_order_or_a_circle(graph: Graph) -> None:
    found, cycle = waves(graph), find_cycle(graph)
    ordered = [name for wave in found for name in wave]
    depth = {name: index for index, wave in enumerate(found) for name in wave}
    assert len(set(ordered)) == len(ordered)
    for name in ordered:
        needed = [d for d in graph[name] if d in graph and d != name]
        assert depth[name] == max((depth[d] + 1 for d in needed), default=0), "no earlier and no later than it must"
    if cycle:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1, "nobody is in it twice"
        assert all(later in graph[earlier] for earlier, later in pairwise(cycle))
    else:
        assert set(ordered) == set(graph)


def test_a_long_chain_is_no_trouble() -> None:
    chain = {f"s{n}": [f"s{n + 1}"] for n in range(5000)}
    assert len(waves(chain)) == 5000
    assert len(find_cycle({**chain, "s5000": ["s0"]})) == 5002
