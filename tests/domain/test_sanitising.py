"""Sanitising: what could deceive or drive a terminal goes, what is legitimate stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.sanitising import CONTROL, Use, sanitise, shown

CASES = {
    "colours": (Use.VALUE, "a\x1b[31mred\x1b[0m", "ared"),
    "a window title": (Use.VALUE, "\x1b]0;title\x07x", "x"),
    "an unfinished sequence": (Use.VALUE, "x\x1b[", "x"),
    "a NUL": (Use.CONTENT, "a\x00b", "ab"),
    "a lonely carriage return": (Use.CONTENT, "good\rbad", "goodbad"),
    "text that is reordered": (Use.VALUE, "a\u202eb\u2066c", "abc"),
    "hidden letters": (Use.VALUE, "a\U000e0041b", "ab"),
    "half a character": (Use.VALUE, "a\ud800b", "ab"),
    "a script": (Use.PROSE, "a <script src='x'>alert(1)</script>", "a alert(1)"),
    "a tag within a tag": (Use.PROSE, "<scr<b>ipt>x", "x"),
    "a comment": (Use.PROSE, "a<!-- hidden -->b", "ab"),
    "a link that runs": (Use.PROSE, "[x](javascript:alert(1))", "[x](alert(1))"),
    "lines in a name": (Use.LINE, "a\nb\r\nc", "a b c"),
}
STAYS = {
    "an address in a name": (Use.LINE, "Ann <ann@example.org>"),
    "less and more": (Use.PROSE, "a < b and c > d, x<3"),
    "lines of prose": (Use.PROSE, "one\n\n\ttwo"),
    "markup of a file": (Use.CONTENT, "<html>\r\n\t<script>x</script>\u200f</html>\n"),
    "markup of a command": (Use.VALUE, "echo '<b>' > x\n\ty"),
    "letters of the world": (Use.LINE, "Zoë 東京 😀 می‌خواهم"),
}


@pytest.mark.parametrize(("use", "text", "clean"), CASES.values(), ids=CASES)
def test_it_is_taken_out_and_said(use: Use, text: str, clean: str) -> None:
    cleaned, taken = sanitise(text, use)
    assert cleaned == clean
    assert taken


@pytest.mark.parametrize(("use", "text"), STAYS.values(), ids=STAYS)
def test_it_stays_and_nothing_is_said(use: Use, text: str) -> None:
    assert sanitise(text, use) == (text, ())


@given(st.text(), st.sampled_from(Use))
def test_what_was_cleaned_is_clean(text: str, use: Use) -> None:
    cleaned, taken = sanitise(text, use)
    assert sanitise(cleaned, use) == (cleaned, ())
    assert bool(taken) == (cleaned != text)
    assert not CONTROL.search(cleaned)
    cleaned.encode()


@given(st.text(max_size=200))
def test_quoted_text_is_printable_and_short(text: str) -> None:
    quoted = shown(text)
    assert quoted.isprintable()
    assert len(quoted) <= 63
