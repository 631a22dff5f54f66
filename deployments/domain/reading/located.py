"""YAML or JSON text to plain values, with the line of every field.

YAML's 1.2 core schema decides what a word means, so `on`, `no` and `2026-11-26` are text, as in JSON. Size, depth and
the expansion of aliases are bounded while reading: a small file cannot become a large value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from deployments.domain.sanitising import shown
from deployments.domain.spec.problems import Path

LARGEST_BYTES = 16 * 1024 * 1024
MOST_VALUES = 1_000_000
DEEPEST = 40
Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NULL = re.compile(r"(?:null|Null|NULL|~|)")
BOOLEAN = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
OTHER_BASE = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}")
REAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
TAGS = {
    "!": "str",
    **{f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null", "map", "seq")},
}
JSON_ESCAPE = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)", re.IGNORECASE)
JSON_ALIENS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class TextProblem:
    """What is wrong with the text itself."""

    line: int | None
    path: Path
    message: str
    remedy: str = ""


@dataclass(slots=True)
class Located:
    """The value of a text. `lines` and `written` (numbers and words as they stood there) are by path."""

    value: Value = None
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    problems: list[TextProblem] = field(default_factory=list)

    def line_of(self, path: Path) -> int | None:
        """The line of a field, or of the nearest field around it that is there."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1 if self.lines else None


class Unreadable(ValueError):
    """The text cannot be read further."""

    def __init__(self, line: int | None, message: str, remedy: str, path: Path = ()) -> None:
        """Where and why."""
        super().__init__(message)
        self.problem = TextProblem(line, path, message, remedy)


def locate(text: str) -> Located:
    """Read as far as possible; what is wrong is in `problems`, and the value is None when nothing could be read."""
    reader = Reader()
    try:
        reader.read(prepare(text))
    except Unreadable as error:
        reader.found.problems.append(error.problem)
        reader.found.value = None
    except yaml.MarkedYAMLError as error:
        reader.found.problems.append(syntax_problem(error))
        reader.found.value = None
    return reader.found


def prepare(text: str) -> str:
    """The text as YAML, which JSON nearly is: tabs and pairs of surrogates are not."""
    if len(text) > LARGEST_BYTES or len(text.encode("utf-8", "replace")) > LARGEST_BYTES:
        raise Unreadable(
            None, f"It is larger than {LARGEST_BYTES // 1024 // 1024} MiB.", "Split it, or fetch large files."
        )
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("{", "[") and is_json(text):
        text = JSON_ALIENS.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\t", " "))
        text = JSON_ESCAPE.sub(joined_surrogates, text)
    if bad := UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise Unreadable(
            line, f"It holds the character {shown(bad[0])}, which is not text.", "Remove it, or escape it."
        )
    return text


def is_json(text: str) -> bool:
    """Whether it is JSON rather than YAML that begins like it."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def joined_surrogates(match: re.Match[str]) -> str:
    """JSON writes one character beyond the basic plane as two escapes, YAML as one."""
    if match[1] is None:
        return match[0]
    character = bytes.fromhex(match[1] + match[2]).decode("utf-16-be")
    return f"\\U{ord(character):08x}"


def syntax_problem(error: yaml.MarkedYAMLError) -> TextProblem:
    """A YAML error in one sentence."""
    mark = error.problem_mark or error.context_mark
    what = " ".join(part for part in (error.context, error.problem) if part)
    remedy = "Check indentation, quotes and brackets here."
    if "\\t" in what or "token" in what:
        remedy = "Indent with spaces, never tabs; check quotes and brackets here."
    if "undefined alias" in what:
        remedy = "Write the anchor (&name) before its alias (*name)."
    return TextProblem(mark.line + 1 if mark else None, (), f"It is not valid YAML: {what}.", remedy)


@dataclass(slots=True)
class Frame:
    """A list or mapping that is being read. `key` is the mapping's open key."""

    path: Path
    items: list[Value] | dict[str, Value]
    line: int
    anchor: str | None
    before: int
    """Values read before it began."""
    key: str | None = None
    has_key: bool = False

    @property
    def next_path(self) -> Path:
        """The path of the value that comes next."""
        if isinstance(self.items, list):
            return (*self.path, len(self.items))
        return self.path if self.key is None else (*self.path, self.key)


class Reader:
    """Builds the value from YAML's events, without recursion."""

    def __init__(self) -> None:
        """Nothing read yet."""
        self.found = Located()
        self.stack: list[Frame] = []
        self.anchors: dict[str, tuple[Value, int] | None] = {}
        self.count = 0
        self.documents = 0

    def read(self, text: str) -> None:
        """All events. Raises Unreadable, or what PyYAML raises."""
        for event in events(text):
            line = event.start_mark.line + 1 if event.start_mark else 1
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        remedy = "Keep one document (no second `---`) per file."
                        raise Unreadable(line, "It holds several documents.", remedy)
                case yaml.AliasEvent():
                    self.alias(event.anchor or "", line)
                case yaml.ScalarEvent():
                    self.scalar(event, line)
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self.begin(event, line)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self.end()

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        """A word, a number or a text; or the key of a mapping."""
        value = self.meaning(event, line)
        self.grow(1, line)
        if self.is_key():
            self.name(value, event.value, line)
        else:
            if not isinstance(value, str):
                self.found.written[self.here()] = event.value
            if event.anchor:
                self.anchors[event.anchor] = (value, 1)
            self.put(value, line)

    def alias(self, anchor: str, line: int) -> None:
        """A value again. Its size counts again too: that is what bounds the expansion."""
        if self.anchors.get(anchor) is None:
            message = f"The alias *{shown(anchor)} names nothing that is complete."
            raise Unreadable(line, message, "Write the anchor before its alias, not around it.", self.here())
        value, size = self.anchors[anchor] or (None, 0)
        self.grow(size, line)
        if self.is_key():
            self.name(value, str(value), line)
        else:
            self.put(value, line)

    def begin(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, line: int) -> None:
        """A list or a mapping begins."""
        if self.is_key():
            raise Unreadable(line, "A list or mapping cannot be a key.", "Write keys as plain words.", self.here())
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag is not None and TAGS.get(event.tag) != ("seq" if is_list else "map"):
            self.refuse_tag(event.tag, line)
        if len(self.stack) >= DEEPEST:
            raise Unreadable(
                line, f"It is nested deeper than {DEEPEST} levels.", "Nothing here needs that.", self.here()
            )
        self.grow(1, line)
        if event.anchor:
            self.anchors[event.anchor] = None
        items: list[Value] | dict[str, Value] = [] if is_list else {}
        self.stack.append(Frame(self.here(), items, line, event.anchor, self.count - 1))

    def end(self) -> None:
        """A list or a mapping is complete."""
        frame = self.stack.pop()
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.items, self.count - frame.before)
        self.put(frame.items, frame.line)

    def is_key(self) -> bool:
        """Whether the next value names an entry of a mapping."""
        return bool(self.stack) and isinstance(self.stack[-1].items, dict) and not self.stack[-1].has_key

    def here(self) -> Path:
        """The path of the value that comes next."""
        return self.stack[-1].next_path if self.stack else ()

    def name(self, key: Value, text: str, line: int) -> None:
        """Open an entry. One that is there already is a problem, and so is a key that is not text."""
        frame = self.stack[-1]
        frame.has_key = True
        path = (*frame.path, text)
        if not isinstance(key, str):
            self.problem(
                line, frame.path, f"The key {shown(text)} is not text.", f'Write it in quotes: "{shown(text)}".'
            )
        elif text in frame.items:
            first = self.found.lines.get(path)
            self.problem(line, path, f"It is written twice; first on line {first}.", "Keep one of them.")
        frame.key = text
        self.found.lines.setdefault(path, line)

    def put(self, value: Value, line: int) -> None:
        """Place a complete value."""
        if not self.stack:
            self.found.value = value
            self.found.lines.setdefault((), line)
            return
        frame = self.stack[-1]
        if isinstance(frame.items, list):
            self.found.lines.setdefault(frame.next_path, line)
            frame.items.append(value)
        else:
            frame.items.setdefault(frame.key or "", value)
            frame.key, frame.has_key = None, False

    def grow(self, size: int, line: int) -> None:
        """Count values, repeated ones too."""
        self.count += size
        if self.count > MOST_VALUES:
            raise Unreadable(line, f"It holds more than {MOST_VALUES} values, aliases counted in full.", "Split it.")

    def meaning(self, event: yaml.ScalarEvent, line: int) -> Value:
        """What a scalar stands for."""
        if event.tag is None:
            return plain_meaning(event.value) if event.implicit[0] else str(event.value)
        kind = TAGS.get(event.tag)
        if kind == "str":
            return str(event.value)
        if kind not in ("int", "float", "bool", "null"):
            self.refuse_tag(event.tag, line)
        return plain_meaning(event.value)

    def refuse_tag(self, tag: str, line: int) -> None:
        """Only the tags of the core schema mean something here."""
        self.problem(line, self.here(), f"The tag {shown(tag)} means nothing here.", "Leave it out.")

    def problem(self, line: int, path: Path, message: str, remedy: str) -> None:
        """Note a problem and go on."""
        self.found.problems.append(TextProblem(line, path, message, remedy))


def events(text: str) -> Iterator[yaml.Event]:
    """YAML's events, from libyaml where it is there."""
    try:
        yield from yaml.parse(text, Loader=LOADER)
    except yaml.reader.ReaderError as error:
        raise Unreadable(None, f"It is not text: {error.reason}.", "Save it as UTF-8.") from error


def plain_meaning(text: str) -> Value:
    """YAML 1.2's core schema."""
    if NULL.fullmatch(text):
        return None
    if BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    if OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if REAL.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
