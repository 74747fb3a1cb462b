"""What small text a picture's tokens buy: the whole screen made smaller, against it with a part in full size.

Words are counted by the local engine's text recognition. A word counts when it is read where the full screen has it, so
that nonsense never counts, and a word on both pictures counts once. The service is believed to reduce each picture
until its short side has 512 pixels, and to bill it by squares of that size; it is counted after that reduction, and
again without it.

``bench_legible()`` returns the rows. Pictures are those of ``HUDD_SCREENS`` (a folder) where that is set, otherwise two
that are painted here; ``python -m tests.bench.legible FOLDER --save DIR`` prints a table and keeps the parts.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from hudd.config.settings import PictureSettings
from hudd.engine.ocr import TextReader, best_reader
from hudd.engine.picture import decode
from hudd.ledger.calibration import expected_image_tokens
from hudd.model import Picture, Shot, Source
from hudd.screen.change import Change, Tiles
from hudd.screen.cropping import details, text_map
from hudd.screen.crops import MODEL_SHORT_SIDE_PX
from hudd.screen.pictures import read_picture
from hudd.screen.pixels import encode
from tests.bench.rows import NO_BAR, Row
from tests.bench.screen import WORDS, least_ms, make_shot, text_frame

DENSE_WORDS: Final = 300
"""A screen with so many words is a dense one."""
LEAST_GAIN: Final = 1.5
MOST_TOKENS: Final = 646
_NEAR_PX: Final = (60, 14)
"""A word is the same one when its middle is so near, across and down, in pixels of the screen: places inside a line
are told by the share of its letters."""
_WORD: Final = re.compile(r"[a-z0-9]{3,}")
SPOT_TILES: Final = (6, 4)
"""Rows and columns of tiles of a changed spot: 192 x 256 pixels."""
_FOREVER_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where its middle is, in pixels of the screen."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Legible:
    """Words that were read, of one screen.

    Attributes:
        name: Of the screen.
        truth: Words of the screen in full size.
        whole: Of the picture of the whole, reduced as the service is believed to do.
        part: Of the part, reduced likewise.
        both: Of both, each word once.
        unreduced: Of the picture of the whole as it is sent, of the part, of both.
        whole_tokens: Of the picture of the whole.
        part_tokens: Of the part; 0 when there is none.
    """

    name: str
    truth: int
    whole: int
    part: int
    both: int
    unreduced: tuple[int, int, int]
    whole_tokens: int
    part_tokens: int

    @property
    def dense(self) -> bool:
        """Whether the bar holds for it."""
        return self.truth >= DENSE_WORDS

    @property
    def gain(self) -> float:
        """Words per token of both pictures over those of the whole alone."""
        return _ratio(self.both, self.whole_tokens + self.part_tokens, self.whole, self.whole_tokens)

    @property
    def part_gain(self) -> float:
        """Words per token of the part alone over those of the whole alone."""
        return _ratio(self.part, self.part_tokens, self.whole, self.whole_tokens)

    @property
    def unreduced_gain(self) -> float:
        """``gain`` if the service reduced nothing and billed the same."""
        whole, _, both = self.unreduced
        return _ratio(both, self.whole_tokens + self.part_tokens, whole, self.whole_tokens)


def _ratio(words: int, tokens: int, other_words: int, other_tokens: int) -> float:
    return 0.0 if tokens == 0 else (words / tokens) / (max(1, other_words) / other_tokens)


class Counter:
    """Reads words off pictures."""

    def __init__(self) -> None:
        self._reader: TextReader = best_reader()

    @property
    def works(self) -> bool:
        """Whether there is text recognition at all."""
        return self._reader.name != "none"

    def read(self, data: bytes, media_type: str, scale: float = 1.0, left: int = 0, top: int = 0) -> list[Word]:
        """The words of a picture; ``scale`` and place tell where it is on the screen."""
        page = decode(data, media_type)
        sheet = self._reader.find_lines(page)
        found: list[Word] = []
        for lines in self._reader.read_lines(sheet, sheet.areas, time.monotonic() + _FOREVER_S):
            for line in lines or ():
                for match in _WORD.finditer(line.text.lower()):
                    share = (match.start() + match.end()) / 2 / len(line.text)
                    x, y = line.left + share * line.width, line.top + line.height / 2
                    found.append(Word(match[0], left + x / scale, top + y / scale))
        return found


def kept(truth: Sequence[Word], read: Iterable[Word]) -> set[int]:
    """Which words of the truth were read, each at most once."""
    places: dict[str, list[int]] = {}
    for index, word in enumerate(truth):
        places.setdefault(word.text, []).append(index)
    found: set[int] = set()
    for word in read:
        for index in places.get(word.text, ()):
            known = truth[index]
            if index not in found and abs(known.x - word.x) <= _NEAR_PX[0] and abs(known.y - word.y) <= _NEAR_PX[1]:
                found.add(index)
                break
    return found


def reduced(data: bytes) -> bytes:
    """A picture as the service is believed to see it."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    scale = min(1.0, MODEL_SHORT_SIDE_PX / min(picture.size))
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "PNG")
    return out.getvalue()


def _png(shot: Shot) -> bytes:
    out = io.BytesIO()
    pixels = Image.frombuffer("RGB", (shot.width, shot.height), bytes(shot.pixels), "raw", "BGRX", 0, 1)
    pixels.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _kept_on(counter: Counter, truth: Sequence[Word], picture: Picture, *, reduce: bool) -> set[int]:
    left, top, width, _ = picture.source.rect
    data = reduced(picture.data) if reduce else picture.data
    seen = Image.open(io.BytesIO(data)).width / width
    return kept(truth, counter.read(data, "image/png" if reduce else picture.media_type, seen, left, top))


def measure(
    counter: Counter, name: str, shot: Shot, *, save: Path | None = None, spots: bool = True
) -> tuple[Legible, tuple[int, int, int]]:
    """One screen: its words on each picture, and in changed spots all, on the whole, and on both."""
    truth = counter.read(_png(shot), "image/png")
    settings = PictureSettings()
    whole = encode(shot, settings)
    parts = details(shot, None, settings, most=1)
    sets = {
        reduce: [_kept_on(counter, truth, picture, reduce=reduce) for picture in (whole, *parts)]
        for reduce in (True, False)
    }
    seen, sent = ([*found, set[int]()] for found in (sets[True], sets[False]))
    legible = Legible(
        name,
        len(truth),
        len(seen[0]),
        len(seen[1]),
        len(seen[0] | seen[1]),
        (len(sent[0]), len(sent[1]), len(sent[0] | sent[1])),
        expected_image_tokens(whole.width, whole.height),
        sum(expected_image_tokens(part.width, part.height) for part in parts),
    )
    for number, part in enumerate(parts if save is not None else ()):
        assert save is not None
        (save / f"{name}-part-{number + 1}.jpg").write_bytes(part.data)
    return legible, _spots(counter, shot, truth, seen[0]) if spots else (0, 0, 0)


def _spots(counter: Counter, shot: Shot, truth: Sequence[Word], on_whole: set[int]) -> tuple[int, int, int]:
    """Words of changed spots all over the screen: all, read on the whole, read on it or the part sent for the spot."""
    text = text_map(shot)
    every = read = both = 0
    down, across = SPOT_TILES
    for row in range(2, text.rows - down, max(down, (text.rows - down) // 3)):
        for column in range(1, text.columns - across, max(across, (text.columns - across) // 3)):
            spot = Tiles.block(text.columns, text.rows, (row, column, row + down - 1, column + across - 1))
            left, top, right, bottom = column * 64, row * 32, (column + across) * 64, (row + down) * 32
            inside = {i for i, word in enumerate(truth) if left <= word.x < right and top <= word.y < bottom}
            if len(inside) < 5:
                continue
            parts = details(shot, Change(spot, (left, top, right - left, bottom - top)), PictureSettings(), most=1)
            found = on_whole.union(*(_kept_on(counter, truth, part, reduce=True) for part in parts))
            every, read, both = every + len(inside), read + len(inside & on_whole), both + len(inside & found)
    return every, read, both


def dense_frame(seed: int) -> bytearray:
    """A screen of 1920x1080, dark or light by turns, with a window of 1200x600 full of letters of 10 px."""
    rng = random.Random(seed)
    ground, ink = ((30, 32, 40), (220, 220, 220)) if seed % 2 else ((252, 252, 250), (25, 25, 30))
    picture = Image.new("RGB", (1920, 1080), ground)
    draw = ImageDraw.Draw(picture)
    for top in range(300, 880, 20):
        line = ""
        while draw.textlength(line, font=ImageFont.load_default(10)) < 1100:
            line += rng.choice(WORDS) + " "
        draw.text((500, top), line, fill=ink, font=ImageFont.load_default(10))
    return bytearray(picture.tobytes("raw", "BGRX"))


def screens(folder: Path | None) -> list[tuple[str, Shot]]:
    """The screens: the pictures of a folder, one of each series in a folder below it, or two that are painted."""
    if folder is None:
        return [(f"painted {seed}", make_shot(dense_frame(seed), 1920, 1080)) for seed in (1, 2)]
    files = [path for path in sorted(folder.iterdir()) if path.suffix == ".png"]
    files += [
        sorted(path.iterdir())[len(list(path.iterdir())) // 2] for path in sorted(folder.iterdir()) if path.is_dir()
    ]
    found: list[tuple[str, Shot]] = []
    for path in files:
        pixels, width, height = read_picture(path)
        found.append(
            (path.stem, Shot(Source("monitor", "bench", (0, 0, width, height)), pixels, width, height, 0.0, 0))
        )
    return found


def bench_legible(*, quick: bool = False, folder: Path | None = None, save: Path | None = None) -> list[Row]:
    """Words per token of each screen, and what finding and making the part costs."""
    if folder is None and os.environ.get("HUDD_SCREENS"):
        folder = Path(os.environ["HUDD_SCREENS"])
    counter = Counter()
    rows: list[Row] = []
    every = read = both = 0
    for name, shot in screens(folder)[: 1 if quick else None] if counter.works else ():
        legible, spots = measure(counter, name, shot, save=save)
        every, read, both = every + spots[0], read + spots[1], both + spots[2]
        rows += _rows(legible)
    if every:
        told = f"of {every} words in changed spots {read} are read without, {both} with the part sent for the spot"
        rows.append(Row("legible: lost words of changed spots", 1 - both / every, NO_BAR, "of all", told))
    return rows + _time_rows(3 if quick else 15)


def _rows(legible: Legible) -> list[Row]:
    tokens = legible.whole_tokens + legible.part_tokens
    told = (
        f"{legible.gain:.2f} x the words per token: {legible.both} words for {tokens} tokens, {legible.whole} for "
        f"{legible.whole_tokens} without the part, {legible.part} for {legible.part_tokens} by the part alone "
        f"({legible.part_gain:.2f} x); on the screen {legible.truth}"
    )
    whole, part, both = legible.unreduced
    unreduced = f"if nothing is reduced: {whole} words on the whole, {part} on the part, {both} on both"
    judged = legible.dense
    sort = "dense" if judged else "not dense" if legible.part_tokens else "not dense, no part is sent"
    gain = 0.0 if legible.gain == 0 else 1 / legible.gain
    plain = 0.0 if legible.unreduced_gain == 0 else 1 / legible.unreduced_gain
    return [
        Row(f"legible {legible.name}", gain, 1 / LEAST_GAIN if judged else NO_BAR, "x tokens/word", f"{sort}; {told}"),
        Row(f"legible {legible.name} tokens", tokens, MOST_TOKENS, "tokens", "of the question's pictures"),
        Row(f"legible {legible.name}, not reduced", plain, NO_BAR, "x tokens/word", unreduced),
    ]


def _time_rows(times: int) -> list[Row]:
    rows: list[Row] = []
    settings = PictureSettings()
    for name, width, height in (("1080p", 1920, 1080), ("4K", 3840, 2160)):
        shot = make_shot(text_frame(width, height, 3), width, height)
        whole_ms = least_ms(lambda shot=shot: encode(shot, settings), times)
        find_ms = least_ms(lambda shot=shot: text_map(shot), times)
        part_ms = least_ms(lambda shot=shot: details(shot, None, settings, most=1), times)
        told = (
            f"{part_ms:.1f} ms to find, cut and encode it ({find_ms:.1f} ms to find text); the whole {whole_ms:.1f} ms"
        )
        rows.append(Row(f"part {name}", part_ms / whole_ms, NO_BAR, "x whole", f"{told}; CPU of the thread"))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.legible", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="a folder of pictures; HUDD_SCREENS otherwise")
    parser.add_argument("--save", type=Path, metavar="DIR", help="keep the parts as files there")
    arguments = parser.parse_args(argv)
    rows = bench_legible(folder=arguments.folder, save=arguments.save)
    for row in rows:
        print(f"{row.name:<52} {row.measured:7.3f} {row.word:<5} {row.how}")
    return int(any(row.word == "over" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
