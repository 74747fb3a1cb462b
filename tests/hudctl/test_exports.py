from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudctl.exports import FORMS, as_csv, as_ics, as_jsonl, as_markdown
from hudd.wire.messages import Note
from tests.fakes.journal import make_note

ANY = st.text(max_size=300)


def note(seq: int = 1, text: str = "The invoice says 42 €.", **changes: object) -> Note:
    return make_note(stream="s1", seq=seq, published=1_795_343_467.0, text=text, **changes)


def unfold(ics: str) -> dict[str, str]:
    """The properties of the first event."""
    rows = ics.replace("\r\n ", "").split("\r\n")
    return dict(row.split(":", 1) for row in rows[rows.index("BEGIN:VEVENT") + 1 : rows.index("END:VEVENT")])


@given(st.lists(ANY, max_size=5))
def test_json_lines_give_every_note_back(texts: list[str]) -> None:
    notes = [note(n, text.encode("utf-8", "replace").decode()) for n, text in enumerate(texts, start=1)]
    lines = "".join(as_jsonl(notes)).split("\n")
    assert lines.pop() == ""
    assert [Note.from_json(json.loads(line)) for line in lines] == notes


@given(ANY)
def test_csv_is_read_back_and_no_cell_is_a_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO("".join(as_csv([note(text=text)])), newline="")))
    assert len(rows) == 2
    row = dict(zip(*rows, strict=True))
    assert (row["seq"], row["source"], row["cost_microusd"]) == ("1", "eDP-1", "4100")
    assert row["time"] == "2026-11-22T10:31:06.412Z"
    assert not re.match(r"\s*[=+\-@]", row["text"])


def test_csv_puts_an_apostrophe_before_a_formula_only() -> None:
    rows = list(csv.reader(io.StringIO("".join(as_csv([note(text="=HYPERLINK(1)"), note(text="a = b")])))))
    assert [row[-1] for row in rows] == ["text", "'=HYPERLINK(1)", "a = b"]


def test_markdown_is_a_list_a_day_in_local_time() -> None:
    zone = timezone(timedelta(hours=1), "CET")
    notes = [
        note(1, time=1_795_343_466.0),
        note(2, kind="unchanged"),
        note(3, "", complete=False),  # forgotten
        note(4, "Cut", complete=False, time=1_795_343_466.0 + 86_400),
    ]
    assert "".join(as_markdown(notes, zone=zone)) == (
        "## Sunday 2026-11-22\n\n- **11:31:06 CET**, eDP-1: The invoice says 42 €.\n"
        "\n## Monday 2026-11-23\n\n- **11:31:06 CET**, eDP-1: Cut …\n"
    )


@given(ANY)
def test_markdown_holds_no_markup_of_the_screen(text: str) -> None:
    shown = "".join(as_markdown([note(text=f"x{text}")], zone=UTC)).split("eDP-1: ", 1)[1]
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>`\[\]]", shown.replace("\\\\", ""))
    assert "\x1b" not in shown


@given(ANY)
def test_ics_is_folded_escaped_and_complete(text: str) -> None:
    ics = "".join(as_ics([note(text=f"x{text}")]))
    assert ics.startswith("BEGIN:VCALENDAR\r\n")
    assert ics.endswith("END:VCALENDAR\r\n")
    assert all(len(row.encode("utf-8", "surrogatepass")) <= 75 for row in ics.split("\r\n"))
    assert "\n" not in ics.replace("\r\n", "")
    event = unfold(ics)
    assert (event["UID"], event["DTSTART"], event["DTSTAMP"]) == ("1@s1", "20261122T103106Z", "20261122T103107Z")
    described = event["DESCRIPTION"]
    assert not re.search(r"(?<!\\)[;,]", described.replace("\\\\", ""))


def test_ics_says_the_text_and_a_short_summary() -> None:
    event = unfold("".join(as_ics([note(text="One, two; three\\four\n" + "word " * 40)])))
    assert event["DESCRIPTION"].startswith("One\\, two\\; three\\\\four\\nword")
    assert event["SUMMARY"].endswith("…")
    assert len(event["SUMMARY"]) < 80


@pytest.mark.parametrize("form", FORMS)
def test_no_notes_are_no_mistake(form: str) -> None:
    assert "".join(FORMS[form]([])).count("The") == 0
