"""Order in a graph of names: waves of what is independent, and the cycle when there is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping


def waves(dependencies: Mapping[str, Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Names by depth: each wave needs only earlier ones; order within a wave is that of the mapping.

    Names outside the mapping are ignored. Kahn's algorithm, linear in names and edges. Names on a cycle, or behind one,
    are left out: `find_cycle` names it.
    """
    waiting = {name: {d for d in needed if d in dependencies and d != name} for name, needed in dependencies.items()}
    followers: dict[str, list[str]] = {name: [] for name in dependencies}
    for name, needed in waiting.items():
        for dependency in needed:
            followers[dependency].append(name)
    counts = {name: len(needed) for name, needed in waiting.items()}
    position = {name: index for index, name in enumerate(dependencies)}
    present = [name for name in dependencies if not counts[name]]
    found: list[tuple[str, ...]] = []
    while present:
        found.append(tuple(present))
        following: list[str] = []
        for name in present:
            for follower in followers[name]:
                counts[follower] -= 1
                if not counts[follower]:
                    following.append(follower)
        present = sorted(following, key=position.__getitem__)
    return tuple(found)


def find_cycle(dependencies: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """One cycle as (a, b, a), or () when there is none."""
    left = {name: [d for d in needed if d in dependencies] for name, needed in dependencies.items()}
    for name, needed in left.items():
        if name in needed:
            return (name, name)
    sorted_out = {name for wave in waves(dependencies) for name in wave}
    start = next((name for name in left if name not in sorted_out), None)
    if start is None:
        return ()
    path: deque[str] = deque([start])
    seen = {start: 0}
    while True:
        step = next(d for d in left[path[-1]] if d not in sorted_out)
        if step in seen:
            return (*list(path)[seen[step] :], step)
        seen[step] = len(path)
        path.append(step)
