"""Steps and states in the words people use for them."""

from __future__ import annotations

from collections.abc import Mapping

VERBS: dict[str, tuple[str, str]] = {
    "build": ("building", "built"),
    "resource": ("making resource", "made resource"),
    "configure": ("configuring", "configured"),
    "start": ("starting", "started"),
    "healthy": ("waiting for", "healthy:"),
    "attach": ("attaching", "attached"),
    "check": ("checking", "checked"),
    "verify": ("asking the services needed by", "the services answered that are needed by"),
    "shift": ("moving traffic to", "moved traffic to"),
    "hold": ("holding requests for", "holding requests for"),
    "release": ("letting requests go to", "let requests go to"),
    "stop": ("stopping", "stopped"),
    "retire": ("retiring", "retired"),
    "remove": ("removing", "removed"),
}
WHOLE: dict[str, tuple[str, str]] = {
    "routes": ("declaring routes", "declared routes"),
    "handle": ("arming the dead man's handle", "armed the dead man's handle"),
    "bake": ("watching the new releases", "watched the new releases"),
    "stable": ("marking the new releases stable", "marked the new releases stable"),
    "promote": ("promoting the new releases", "promoted the new releases"),
    "warm": ("keeping the previous releases warm", "kept the previous releases warm"),
    "disarm": ("disarming the dead man's handle", "disarmed the dead man's handle"),
    "report": ("writing the report", "wrote the report"),
}
UNDO = "undo:"
UNDOING: dict[str, tuple[str, str]] = {
    "traffic": ("returning traffic of", "returned traffic of"),
    "restart": ("restarting the old release of", "restarted the old release of"),
    "instance": ("removing", "removed"),
    "routes": ("removing routes", "removed routes"),
    "configuration": ("removing configuration of", "removed configuration of"),
    "resource": ("removing resource", "removed resource"),
    "handle": ("disarming the dead man's handle", "disarmed the dead man's handle"),
}


def step_words(key: str, *, is_done: bool) -> str:
    """A step's key as a sentence; one that has no words here is told by its key."""
    if key.startswith(UNDO):
        word, _, rest = key.removeprefix(UNDO).partition(":")
        told = UNDOING.get(word)
    else:
        word, _, rest = key.partition(":")
        told = WHOLE.get(key) or VERBS.get(word)
        rest = rest if word in VERBS and key not in WHOLE else ""
    if told is None:
        return f"{'done' if is_done else 'doing'} {key}"
    name, _, more = rest.partition(":")
    if word == "shift":
        more = "" if more == "1" else f"step {more}"
    return f"{told[is_done]} {name}{f' ({more})' if more else ''}".strip()


def split_words(weights: Mapping[str, object]) -> str:
    """Weights by instance as shares: `web-1 75%, web-2 25%`."""
    numbers = {name: weight for name, weight in weights.items() if isinstance(weight, int)}
    total = sum(numbers.values())
    if not total:
        return "no traffic"
    return ", ".join(f"{name} {100 * weight / total:.0f}%" for name, weight in sorted(numbers.items()))
