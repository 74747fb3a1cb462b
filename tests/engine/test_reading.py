"""The plan of what to read: everything once, nothing twice, changed lines first, never past the deadline."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from hudd.engine.findings import Area, TextLine
from hudd.engine.ocr import GreySheet, Sheet
from hudd.engine.picture import Page, dark_on_white, decode, facts_of, find_segments, same_strip
from hudd.engine.reading import KnownLine, Memory, plan_reading, read_picture
from hudd.errors import PictureError


def draw(texts: Sequence[tuple[int, int, str]], *, dark: bool = False, size: int = 16) -> Image.Image:
    image = Image.new("RGB", (800, 400), (24, 24, 30) if dark else (250, 250, 250))
    pen = ImageDraw.Draw(image)
    for left, top, text in texts:
        pen.text((left, top), text, fill=(210, 210, 190) if dark else (20, 20, 20), font=ImageFont.load_default(size))
    return image


def page_of(image: Image.Image, kind: str = "PNG") -> Page:
    data = io.BytesIO()
    image.save(data, kind)
    return decode(data.getvalue(), f"image/{kind.lower()}")


class CountingReader:
    """Names every area it reads; each takes one tick of a clock that only it moves."""

    name = "counting"

    def __init__(self) -> None:
        self.now_s = 0.0
        self.read: list[Area] = []

    def monotonic(self) -> float:
        return self.now_s

    def find_lines(self, page: Page) -> Sheet:
        grey = np.asarray(page.grey)
        return GreySheet(grey, find_segments(grey))

    def read_lines(self, sheet: Sheet, areas: Sequence[Area], deadline_s: float) -> list[tuple[TextLine, ...] | None]:
        results: list[tuple[TextLine, ...] | None] = []
        for area in areas:
            if self.now_s >= deadline_s:
                results.append(None)
                continue
            self.now_s += 1.0
            self.read.append(area)
            text = f"line {area.left} {area.top}"
            results.append((TextLine(text, area.left, area.top, area.width, area.height, 0.9),))
        return results

    def look(self, page: Page, memory: Memory | None, budget_s: float = 1000.0, *, whole: bool = False):
        self.read.clear()
        facts = facts_of(page, None)
        return read_picture(
            page, facts, memory, self, started_s=self.now_s, budget_s=budget_s, monotonic=self.monotonic, whole=whole
        )


ROWS = [(40, 40 + 30 * n, f"row number {n} of the larkspur list") for n in range(8)]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_rows_are_found_one_by_one(dark: bool, kind: str):
    areas = find_segments(np.asarray(page_of(draw(ROWS, dark=dark), kind).grey))
    assert len(areas) == len(ROWS)
    assert all(abs(area.left - 40) < 8 and area.width > 150 for area in areas)


def test_columns_stay_apart_and_words_stay_together():
    areas = find_segments(
        np.asarray(page_of(draw([(40, 40, "left column words"), (400, 40, "right column words")])).grey)
    )
    assert len(areas) == 2


@pytest.mark.parametrize("scale", [1, 3])
def test_a_very_large_heading_is_one_line(scale: int):
    image = Image.new("RGB", (800 * scale, 400 * scale), (250, 250, 250))
    pen = ImageDraw.Draw(image)
    pen.text((40 * scale, 60 * scale), "Weekly Report", fill=(20, 20, 20), font=ImageFont.load_default(72 * scale))
    pen.text(
        (40 * scale, 300 * scale), "plain words below it", fill=(20, 20, 20), font=ImageFont.load_default(16 * scale)
    )
    large, plain = find_segments(np.asarray(page_of(image).grey))
    assert large.width > 350 * scale
    assert 45 * scale < large.height < 110 * scale
    assert plain.height < 30 * scale


def test_rows_of_short_words_are_no_heading():
    rows = [(40 + 90 * column, 40 + 16 * row, f"{row}{column}0 dhh") for row in range(20) for column in range(8)]
    areas = find_segments(np.asarray(page_of(draw(rows, size=14)).grey))
    assert len(areas) == len(rows)


def test_an_empty_or_tiny_picture_has_no_segments():
    assert find_segments(np.zeros((400, 800), dtype=np.uint8)) == []
    assert find_segments(np.zeros((2, 3), dtype=np.uint8)) == []
    assert find_segments(np.zeros((1, 4000), dtype=np.uint8)) == []


def test_strips_become_dark_on_white():
    grey = np.asarray(page_of(draw(ROWS, dark=True)).grey)
    strip = dark_on_white(grey, find_segments(grey)[0])
    assert np.median(strip) > 240
    assert strip.min() < 60


def test_a_still_screen_reads_nothing_twice():
    reader = CountingReader()
    page = page_of(draw(ROWS), "JPEG")
    first, memory = reader.look(page, None)
    assert len(reader.read) == len(ROWS)
    second, _ = reader.look(page, memory)
    assert reader.read == []
    assert second.lines == first.lines


def test_only_the_changed_line_is_read_again():
    reader = CountingReader()
    _, memory = reader.look(page_of(draw(ROWS)), None)
    changed = [*ROWS[:3], (40, 130, "row number 3 of the larkspur Iist"), *ROWS[4:]]
    reader.look(page_of(draw(changed)), memory)
    assert len(reader.read) == 1
    assert abs(reader.read[0].top - 133) < 8


def test_scrolled_lines_keep_their_words():
    reader = CountingReader()
    first, memory = reader.look(page_of(draw(ROWS)), None)
    scrolled = [(left, top - 30, text) for left, top, text in ROWS[1:]] + [(40, 250, "a fresh row at the end")]
    second, _ = reader.look(page_of(draw(scrolled)), memory)
    assert len(reader.read) == 1
    assert [one.text for one in first.lines[1:]] == [one.text for one in second.lines[:-1]]
    assert second.lines[0].top == first.lines[1].top - 30


def test_at_the_deadline_the_rest_is_told_as_unread_and_read_little_by_little():
    reader = CountingReader()
    page = page_of(draw(ROWS))
    first, memory = reader.look(page, None, budget_s=3.0)
    assert len(first.lines) == 3
    assert len(first.unread) == len(ROWS) - 3
    assert 0.5 < first.unread_fraction < 0.8
    for more in range(4, len(ROWS) + 1):
        second, memory = reader.look(page, memory)
        assert len(reader.read) == 1  # a line takes longer than what is left for old ones
        assert len(second.lines) == more
    assert second.unread_fraction == 0.0


def test_the_whole_budget_is_for_a_screen_asked_for_as_a_whole():
    reader = CountingReader()
    page = page_of(draw(ROWS))
    _, memory = reader.look(page, None, budget_s=3.0)
    some, memory = reader.look(page, memory, budget_s=3.0, whole=True)
    assert len(some.lines) == 6
    every, _ = reader.look(page, memory, whole=True)
    assert every.unread_fraction == 0.0


def test_news_come_before_what_was_left_unread():
    reader = CountingReader()
    _, memory = reader.look(page_of(draw(ROWS)), None, budget_s=3.0)
    reading, _ = reader.look(page_of(draw([*ROWS, (40, 320, "fresh")])), memory)
    assert len(reader.read) == 1
    assert reader.read[0].top > 310
    assert len(reading.unread) == len(ROWS) - 3


def test_another_size_starts_afresh():
    reader = CountingReader()
    _, memory = reader.look(page_of(draw(ROWS)), None)
    other = draw(ROWS).crop((0, 0, 700, 350))
    reading, _ = reader.look(page_of(other), memory)
    assert len(reading.lines) == len(ROWS)


def test_same_strip_sees_one_letter():
    one = np.asarray(page_of(draw([(40, 40, "total 1234")])).grey)
    other = np.asarray(page_of(draw([(40, 40, "total 1284")])).grey)
    area = find_segments(one)[0]
    cut_one = one[area.top : area.top + area.height, area.left : area.left + area.width]
    cut_other = other[area.top : area.top + area.height, area.left : area.left + area.width]
    assert same_strip(cut_one, cut_one)
    assert not same_strip(cut_one, cut_other)
    assert not same_strip(cut_one, cut_one[:, :-1])


areas_strategy = st.builds(Area, st.integers(0, 300), st.integers(0, 300), st.integers(1, 80), st.integers(5, 20))


@given(
    st.lists(areas_strategy, max_size=25, unique=True),
    st.lists(areas_strategy, max_size=25, unique=True),
    st.lists(areas_strategy, max_size=5),
    st.integers(0, 2**32),
)
def test_every_area_is_planned_exactly_once(areas: list[Area], old: list[Area], unread: list[Area], seed: int):
    known = [KnownLine(area, (TextLine("words", area.left, area.top, area.width, area.height, 0.9),)) for area in old]
    asked: list[tuple[Area, Area]] = []

    def same(area: Area, before: Area) -> bool:
        asked.append((area, before))
        return hash((area, before, seed)) % 2 == 0

    unread += areas[:5]
    plan = plan_reading(areas, known, same, unread)
    planned = [*(item.area for item in plan.kept), *plan.again, *plan.new, *plan.late]
    assert set(plan.late) <= set(unread)
    assert sorted(planned, key=repr) == sorted(areas, key=repr)
    assert all((a.width, a.height) == (b.width, b.height) for a, b in asked)
    assert all(any(area.overlaps(b) for b in old) for area in plan.again)
    assert not any(area.overlaps(b) for area in plan.new for b in old)
    sizes = [area.width * area.height for area in plan.new]
    assert sizes == sorted(sizes, reverse=True)
    assert all(text.left == item.area.left and text.top == item.area.top for item in plan.kept for text in item.lines)


def test_facts_of_pictures():
    light, dark = page_of(draw(ROWS)), page_of(draw(ROWS, dark=True))
    assert facts_of(light, None).brightness > 0.8
    assert facts_of(dark, None).brightness < 0.2
    assert not facts_of(light, None).compared
    assert facts_of(page_of(Image.new("RGB", (200, 100), (255, 0, 0))), None) == replace(
        facts_of(page_of(Image.new("RGB", (200, 100), (255, 0, 0))), None), uniform=True, colours=("#ff0000",)
    )
    same = facts_of(light, light)
    assert same.compared
    assert same.changed is None
    assert same.changed_fraction == 0.0
    moved = facts_of(page_of(draw([*ROWS[:-1], (600, 370, "new")])), light)
    assert len(moved.changed_areas) == 2
    assert moved.changed is not None
    assert 0 < moved.changed_fraction < 0.2


def test_many_changes_are_joined_into_a_few_areas():
    spots = [(40 + 100 * (n % 7), 10 + 60 * (n // 7), "o") for n in range(35)]
    facts = facts_of(page_of(draw(spots)), page_of(draw([])))
    assert len(facts.changed_areas) == 12


def test_pictures_with_transparency_or_a_palette_are_decoded():
    image = Image.new("P", (60, 40), 3)
    image.info["transparency"] = bytes(range(8))
    data = io.BytesIO()
    image.save(data, "PNG", transparency=bytes(range(8)))
    assert decode(data.getvalue(), "image/png").width == 60


@pytest.mark.parametrize(
    ("data", "media_type", "part"),
    [
        (b"", "image/png", "no PNG picture"),
        (b"hello", "image/jpeg", "no JPEG picture"),
        (b"GIF89a", "image/gif", "cannot be read"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(data: bytes, media_type: str, part: str):
    with pytest.raises(PictureError, match=part):
        decode(data, media_type)


def test_a_cut_off_picture_is_refused():
    data = io.BytesIO()
    draw(ROWS).save(data, "PNG")
    with pytest.raises(PictureError, match="damaged"):
        decode(data.getvalue()[: len(data.getvalue()) // 2], "image/png")


def test_a_picture_with_too_many_pixels_is_refused():
    data = io.BytesIO()
    Image.new("1", (9000, 8000)).save(data, "PNG")
    with pytest.raises(PictureError, match="too many"):
        decode(data.getvalue(), "image/png")
