"""The one grammar of placeholders: `{port}`, `{route.NAME}` and their like, in commands, variables and files.

Only an exact token of a known word is a placeholder; the braces of JSON, templates and shells stay as they are:

    {port}                 filled in
    {{port}}               stays, as {port}
    ${port}                stays: that is a shell's
    {"port": 1}, { port }  stay
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.domain.errors import Refused

WORDS = {
    "port": "the instance's own port",
    "url": "the instance's own address, in the command of a probe",
    "config": "the directory of the configuration files",
    "release": "the directory of the release",
    "bin": "the directory of the release's programs",
    "python": "the Python that runs Fairlead",
}
FAMILIES = {
    "route": "base URL of a service of the specification, http://127.0.0.1:PORT",
    "resource": "path, number or address of a resource requirement",
    "value": "a value of the service's configuration",
}
TOKEN = (
    rf"(?:(?P<word>{'|'.join(WORDS)})"
    rf"|(?P<family>{'|'.join(FAMILIES)})\.(?P<name>[A-Za-z_][A-Za-z0-9_-]{{0,99}}))"
)
PATTERN = re.compile(rf"(?P<lead>[${{])?\{{{TOKEN}\}}(?P<trail>\}})?")
SHELL = "$"


@dataclass(frozen=True, slots=True, order=True)
class Placeholder:
    """One placeholder: a word, or a family with a name."""

    word: str
    name: str | None = None

    @property
    def key(self) -> str:
        """As in the mapping given to `fill`: `port` or `route.api`."""
        return self.word if self.name is None else f"{self.word}.{self.name}"

    def __str__(self) -> str:
        """As written in a template."""
        return f"{{{self.key}}}"


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every placeholder replaced by its value; `values` is keyed as `Placeholder.key`.

    Values are put in as they are, their braces not looked at again. Raises Refused for a placeholder without a value.
    """
    if "{" not in template:
        return template
    return PATTERN.sub(lambda match: _replacement(match, values), template)


def used_in(template: str) -> tuple[Placeholder, ...]:
    """The placeholders that `fill` would replace, each once, in order."""
    if "{" not in template:
        return ()
    found = (_placeholder(match) for match in PATTERN.finditer(template) if not _stays(match))
    return tuple(dict.fromkeys(found))


def _replacement(match: re.Match[str], values: Mapping[str, str]) -> str:
    placeholder = _placeholder(match)
    if match["lead"] == SHELL:
        return match[0]
    if _stays(match):
        return str(placeholder)
    try:
        value = values[placeholder.key]
    except KeyError:
        known = ", ".join(sorted(values)) or "none"
        message = f"There is no value for the placeholder {placeholder}."
        raise Refused(message, remedy=f"Known here: {known}.", placeholder=str(placeholder)) from None
    return f"{match['lead'] or ''}{value}{match['trail'] or ''}"


def _placeholder(match: re.Match[str]) -> Placeholder:
    return Placeholder(match["word"] or match["family"], match["name"])


def _stays(match: re.Match[str]) -> bool:
    return match["lead"] == SHELL or (match["lead"] is not None and match["trail"] is not None)
