"""What happens on a screen, from a seed: episodes that type, scroll, print, blink, play and re-theme in real windows.

An episode draws and yields the seconds that pass until its next step. What it does to the words is known from the
terminals, whatever the pixels look like.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from tests.bench.screen import WORDS
from tests.bench.windows import THEMES, Desk, Panel, Terminal, Theme

Steps = Iterator[float]

_CODE: Final = (
    *("def", "return", "import", "class", "self.total", "budget()", "caps.py:41", "if", "else:", "for", "in"),
    *("None", "True", "await", "yield", "->", "int", "str", "0x3f", "1,204", "99.5%", "2026-11-21", "10:31"),
    *("the", "and", "to", "of", "screen", "note", "a", "is", "session", "window", "picture", "changed", "waits"),
)
_FONTS: Final = (
    (("-fa", "DejaVu Sans Mono", "-fs", "8"), 7, 14),
    (("-fa", "DejaVu Sans Mono", "-fs", "9"), 8, 15),
    (("-fa", "DejaVu Sans Mono", "-fs", "10"), 8, 17),
    (("-fa", "DejaVu Sans Mono", "-fs", "11"), 9, 18),
    (("-fn", "6x13"), 6, 13),
)
_MAIN: Final = (10, 25, 750, 500)
_LOG: Final = (10, 570, 750, 200)
_CHAT: Final = (790, 25, 470, 250)
_CLOCK: Final = (790, 330)
_POPUP: Final = (790, 660, 440, 100)
_FILM: Final = (800, 400)
_WHEEL: Final = (1190, 345)
_BAR: Final = (1000, 350)
_BAR_SIZE: Final = (160, 12)


class Film:
    """Moving pictures that are no text: clouds that pan, spots that move, and a cut now and then."""

    def __init__(self, chance: random.Random, size: tuple[int, int]) -> None:
        self._chance, self._size = chance, size
        self._time = 0
        self._cut()

    def frame(self) -> Image.Image:
        """The next picture."""
        self._time += 1
        if self._chance.random() < 0.06:
            self._cut()
        width, height = self._size
        left, top = (int(step * self._time) % span for step, span in zip(self._pan, self._size, strict=True))
        picture = self._scene.crop((left, top, left + width, top + height))
        draw = ImageDraw.Draw(picture)
        for radius, speed, colour in self._spots:
            x = width / 2 + width / 2.5 * math.cos(self._time * speed)
            y = height / 2 + height / 2.5 * math.sin(self._time * speed * 1.3)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return picture

    def _cut(self) -> None:
        chance, (width, height) = self._chance, self._size
        noise = np.random.default_rng(chance.randrange(1 << 30))
        total = np.zeros((2 * height, 2 * width, 3))
        for cells, weight in ((4, 120), (12, 60), (40, 35), (120, 20)):
            small = Image.fromarray(noise.integers(0, 255, (cells, 2 * cells, 3), dtype=np.uint8))
            total += weight / 255 * np.asarray(small.resize((2 * width, 2 * height), Image.Resampling.BICUBIC), float)
        self._scene = Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))
        self._pan = (chance.uniform(2, 9), chance.uniform(1, 6))
        colours = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(4)]
        self._spots = [(chance.uniform(5, 40), chance.uniform(0.05, 0.4), colour) for colour in colours]


@dataclass(slots=True)
class Room:
    """A desk with its windows open."""

    desk: Desk
    chance: random.Random
    editors: list[Terminal]
    log: Terminal
    chat: Terminal
    clock: Terminal
    popup: Terminal
    film: Panel
    wheel: Panel
    bar: Panel
    theme: Theme
    second: int = 0
    row: int = 0
    top: int = 0

    @property
    def editor(self) -> Terminal:
        """The one in front."""
        return self.editors[0]

    def words(self, count: int) -> str:
        """So many words; no two lines are alike."""
        chosen = [self.chance.choice(_CODE if self.chance.random() < 0.6 else WORDS) for _ in range(count)]
        chosen[-1] = str(self.chance.randrange(100_000))
        return " ".join(chosen)

    def line(self) -> str:
        """A line as an editor has it; some are empty."""
        if self.chance.random() < 0.12:
            return ""
        return " " * self.chance.choice((0, 0, 2, 4, 4, 8)) + self.words(self.chance.randint(2, 11))

    def tick(self) -> None:
        """A second on the clock."""
        self.second += 1
        minutes, seconds = divmod(self.second + 37_000, 60)
        hours, minutes = divmod(minutes, 60)
        self.clock.put(0, f"{hours:02}:{minutes:02}:{seconds:02}")


def furnish(desk: Desk, chance: random.Random) -> Room:
    """Open the windows, with fonts and colours by chance, and fill them."""
    theme = chance.choice(THEMES)

    def at(title: str, place: tuple[int, int, int, int]) -> Terminal:
        font, width, height = chance.choice(_FONTS)
        left, top, room_x, room_y = place
        colours = theme if chance.random() < 0.7 else chance.choice(THEMES)
        options = {"font": font, "theme": colours, "rows": room_y // height, "columns": room_x // width}
        return desk.terminal(title, place=(left, top), **options)

    font, _, _ = chance.choice(_FONTS)
    clock = desk.terminal("clock", place=_CLOCK, font=font, theme=theme, rows=1, columns=12)
    size = chance.choice(((240, 136), (320, 180), (400, 226)))
    ring = chance.choice((16, 24, 32, 48, 64))
    room = Room(
        desk,
        chance,
        editors=[at("first", _MAIN), at("second", _MAIN)],
        log=at("log", _LOG),
        chat=at("chat", _CHAT),
        clock=clock,
        popup=at("popup", _POPUP),
        film=desk.panel("film", _FILM, size),
        wheel=desk.panel("wheel", _WHEEL, (ring, ring)),
        bar=desk.panel("bar", _BAR, _BAR_SIZE),
        theme=theme,
    )
    for terminal in (*room.editors, room.log, room.chat):
        terminal.fill([room.line() for _ in terminal.lines])
    room.tick()
    desk.show(room.popup, shown=False)
    desk.cover(room.editors[1], room.editors[0])
    room.film.paint(Film(chance, size).frame())
    return room


def typing(room: Room) -> Steps:
    """Words come one by one behind the cursor, down the page."""
    editor = room.editor
    for _ in range(room.chance.randint(1, 40)):
        line = editor.lines[room.row]
        if len(line) > editor.columns - 16:
            room.row += 1
            if room.row == len(editor.lines):
                room.row -= 1
                editor.append("")
            line = ""
        editor.put(room.row, f"{line} {room.words(1)}")
        yield room.chance.uniform(0.15, 0.6)


def editing(room: Room) -> Steps:
    """Some lines become others, at once or one after the other."""
    pause = room.chance.choice((0.0, 0.3, 1.0))
    for _ in range(room.chance.randint(1, 8)):
        room.editor.put(room.chance.randrange(len(room.editor.lines)), room.line())
        yield pause


def printing(room: Room) -> Steps:
    """A program prints below, and everything moves up."""
    target = room.chance.choice((room.log, room.log, room.chat))
    pause = room.chance.choice((0.0, 0.05, 0.4, 1.2))
    for _ in range(room.chance.randint(1, 25)):
        target.append(room.words(room.chance.randint(2, 9)))
        yield pause


def scrolling(room: Room) -> Steps:
    """The page moves under the window, by the wheel."""
    editor, step = room.editor, room.chance.choice((1, 3, 3, 5))
    for _ in range(room.chance.randint(1, 12)):
        if room.chance.random() < 0.8:
            editor.fill([*editor.lines[step:], *(room.line() for _ in range(step))])
        else:
            editor.fill([*(room.line() for _ in range(step)), *editor.lines[:-step]])
        yield room.chance.choice((0.05, 0.1, 0.3))


def paging(room: Room) -> Steps:
    """Another page altogether."""
    room.editor.fill([room.line() for _ in room.editor.lines])
    room.row = 0
    yield 0.0


def switching(room: Room) -> Steps:
    """The other window comes to the front."""
    room.editors.reverse()
    room.desk.cover(room.editors[1], room.editors[0])
    yield 0.0


def popping(room: Room) -> Steps:
    """A message appears, or goes."""
    shown = room.popup.title in room.desk.hidden
    if shown:
        room.popup.fill([room.words(room.chance.randint(3, 9)) for _ in range(room.chance.randint(1, 5))])
    room.desk.show(room.popup, shown=shown)
    yield 0.0


def typing_beside_film(room: Room) -> Steps:
    """Words come while a film plays."""
    film = Film(room.chance, room.film.size)
    for pause in typing(room):
        room.film.paint(film.frame())
        yield pause
        room.film.paint(film.frame())
        yield 0.2


def printing_beside_wheel(room: Room) -> Steps:
    """A program prints while a wheel turns and the clock ticks."""
    for angle, pause in enumerate(printing(room)):
        _turn(room, angle)
        room.tick()
        yield pause + 0.2


def retheming_with_words(room: Room) -> Steps:
    """Colours change, and the page at the same time."""
    yield from theming(room)
    yield from paging(room)


def blinking(room: Room) -> Steps:
    """The cursor blinks where it stands."""
    line = room.editor.lines[room.row]
    for blink in range(room.chance.randint(2, 20)):
        room.editor.cursor(room.row, min(len(line) + 1, room.editor.columns - 1), shown=blink % 2 == 1)
        yield 0.53
    room.editor.cursor(room.row, 0, shown=True)


def walking(room: Room) -> Steps:
    """The cursor moves through the text."""
    row, column = room.row, 0
    for _ in range(room.chance.randint(2, 20)):
        row = max(0, min(len(room.editor.lines) - 1, row + room.chance.choice((-1, 0, 1))))
        column = max(0, min(room.editor.columns - 1, column + room.chance.choice((-1, 1, 5))))
        room.editor.cursor(row, column, shown=True)
        yield 0.15


def ticking(room: Room) -> Steps:
    """The clock shows the next seconds."""
    for _ in range(room.chance.randint(1, 20)):
        room.tick()
        yield 1.0


def turning(room: Room) -> Steps:
    """A wheel turns while somebody waits."""
    for angle in range(room.chance.randint(8, 60)):
        _turn(room, angle)
        yield 0.12


def filling(room: Room) -> Steps:
    """A bar fills."""
    dark = room.chance.random() < 0.5
    steps = room.chance.randint(5, 30)
    for done in range(steps + 1):
        picture = Image.new("RGB", room.bar.size, "#303030" if dark else "#e0e0e0")
        width = round(done / steps * room.bar.size[0])
        picture.paste("#3584e4", (0, 0, width, room.bar.size[1]))
        room.bar.paint(picture)
        yield 0.3


def playing(room: Room) -> Steps:
    """A film plays."""
    film = Film(room.chance, room.film.size)
    for _ in range(room.chance.randint(12, 80)):
        room.film.paint(film.frame())
        yield 0.25


def picturing(room: Room) -> Steps:
    """One photograph takes the place of another."""
    room.film.paint(Film(room.chance, room.film.size).frame())
    yield 0.0


def theming(room: Room) -> Steps:
    """One window, or all of them, get other colours."""
    room.theme = room.chance.choice([theme for theme in THEMES if theme != room.theme])
    all_of_them = room.chance.random() < 0.5
    for terminal in room.desk.terminals if all_of_them else (room.editor,):
        terminal.dress(room.theme)
    yield 0.0


def selecting(room: Room) -> Steps:
    """Lines are selected, and some time later no more."""
    first = room.chance.randrange(len(room.editor.lines) - 8)
    last = first + room.chance.randint(1, 8)
    room.editor.mark(first, last, inverse=True)
    yield room.chance.choice((0.5, 5.0))
    room.editor.mark(first, last, inverse=False)
    yield 0.0


def focusing(room: Room) -> Steps:
    """Another window has the keyboard; only title bars and cursors tell."""
    for terminal in (room.log, room.chat, room.editor):
        room.desk.focus(terminal)
        yield room.chance.uniform(0.3, 2.0)


WITH_WORDS: Final[Mapping[str, tuple[Callable[[Room], Steps], int]]] = {
    "type": (typing, 6),
    "edit": (editing, 4),
    "print": (printing, 5),
    "scroll": (scrolling, 5),
    "page": (paging, 3),
    "switch": (switching, 2),
    "popup": (popping, 2),
    "type beside a film": (typing_beside_film, 3),
    "print beside a wheel": (printing_beside_wheel, 3),
    "retheme with words": (retheming_with_words, 2),
}
WORDLESS: Final[Mapping[str, tuple[Callable[[Room], Steps], int]]] = {
    "cursor blinks": (blinking, 4),
    "cursor walks": (walking, 3),
    "clock": (ticking, 4),
    "wheel": (turning, 4),
    "bar fills": (filling, 3),
    "film": (playing, 5),
    "photograph": (picturing, 3),
    "theme": (theming, 4),
    "selection": (selecting, 3),
    "focus": (focusing, 2),
}
"""Kinds of episodes and how often each comes. A clock's digits are no words that anybody would miss."""


def episodes(chance: random.Random, count: int) -> Iterator[tuple[str, Callable[[Room], Steps]]]:
    """So many kinds by chance."""
    kinds = {**WITH_WORDS, **WORDLESS}
    for name in chance.choices(list(kinds), weights=[weight for _, weight in kinds.values()], k=count):
        yield name, kinds[name][0]


def _turn(room: Room, angle: int) -> None:
    size = room.wheel.size[0]
    picture = Image.new("RGB", room.wheel.size, "#f0f0f0")
    draw = ImageDraw.Draw(picture)
    for dot in range(8):
        grey = 40 + (dot + angle) % 8 * 25
        x = size / 2 + size / 2.8 * math.cos(dot * math.pi / 4)
        y = size / 2 + size / 2.8 * math.sin(dot * math.pi / 4)
        radius = size / 12
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(grey, grey, grey))
    room.wheel.paint(picture)
