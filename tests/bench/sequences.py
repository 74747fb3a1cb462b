"""How well the gate knows news from noise on pictures of real screens, in folders that somebody else recorded.

Each folder inside of the folder that a variable names is a sequence, its pictures in the order of their names. Of those
in ``HUDD_SCREENS`` only what the gate says is printed. Those in ``HUDD_SEQUENCES`` are judged: text recognition reads,
before and after, the places that differ between a picture and the one that was sent last, and the words that came or
went tell whether it was to be sent. ``python -m tests.bench.sequences --json FILE`` writes every verdict.

Nobody labelled these pictures, and text recognition errs: where it counts ten words, a person looks (``--save DIR``).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageChops

from hudd.config.settings import GateSettings
from hudd.screen.judge import FolderVerdict, judge_folder
from tests.bench.gate_table import LEAST_HELD_PERCENT, MANY_WORDS, MOST_MISSED_PERCENT
from tests.bench.rows import NO_BAR, Row

STEP: Final = 24
"""A pixel differs when one of its colours does by more, 0-255: artefacts of JPEG stay below."""
CELL_PX: Final = 32
LEAST_PIXELS: Final = 6
"""A cell of 32 x 32 pixels differs when so many of its pixels do."""
MARGIN_PX: Final = (24, 12)
"""Words are read whole: so much is added to what differs, across and down."""
LEAST_CONFIDENCE: Final = 60
TESSDATA: Final = Path("/usr/share/tesseract-ocr")
_WORD: Final = re.compile(r"[^\W_]{2,}")
_IDEOGRAPHS: Final = re.compile("[\u4e00-\u9fff]{1,2}")

_Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture, what the gate said of it, and what differs from the picture before it that was sent.

    Attributes:
        sequence: Name of the folder.
        file: Name of the picture.
        before: Name of the picture that was sent last.
        action: Of the gate.
        reason: Of the gate.
        words: That came or that went, whichever are more.
    """

    sequence: str
    file: str
    before: str
    action: str
    reason: str
    words: int

    @property
    def held(self) -> bool:
        """Whether it was not sent."""
        return self.action != "send"


class WordReader:
    """Counts the words of a picture, in all languages that are installed."""

    def __init__(self) -> None:
        import tesserocr  # an extra; whoever judges nothing does without

        folder = max(TESSDATA.glob("*/tessdata"))
        known = sorted(file.stem for file in folder.glob("*.traineddata") if file.stem not in ("osd", "equ"))
        languages = "+".join(sorted(known, key=lambda name: name != "eng"))
        self._api = tesserocr.PyTessBaseAPI(path=str(folder), lang=languages, psm=tesserocr.PSM.SPARSE_TEXT)

    def read(self, picture: Image.Image) -> Counter[str]:
        """The words, in lower case; of scripts without spaces each two signs are one."""
        larger = (picture.width * 2, picture.height * 2)
        self._api.SetImage(picture.resize(larger, Image.Resampling.BICUBIC))
        self._api.Recognize()
        found: Counter[str] = Counter()
        # It warns of a picture without words.
        for text, confidence in self._api.MapWordConfidences() if self._api.AllWordConfidences() else ():
            if confidence >= LEAST_CONFIDENCE:
                found.update(_IDEOGRAPHS.findall(text))
                found.update(_WORD.findall(_IDEOGRAPHS.sub(" ", text.lower())))
        return found


def differing(before: Image.Image, after: Image.Image) -> list[_Box]:
    """Boxes around what differs, with a margin; cells that touch share one."""
    if before.size != after.size:
        return [(0, 0, *after.size)]
    bands = ImageChops.difference(before, after).split()
    pixels = np.max([np.asarray(band) for band in bands], axis=0) > STEP
    rows = np.add.reduceat(pixels.astype(np.int32), np.arange(0, after.height, CELL_PX), axis=0)
    cells = np.add.reduceat(rows, np.arange(0, after.width, CELL_PX), axis=1) >= LEAST_PIXELS
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(cells), strict=True)}
    boxes: list[_Box] = []
    while left:
        spot = [left.pop()]
        for y, x in spot:  # it grows while it is read
            near = {(y + down, x + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= near
            spot += near
        top, bottom = min(y for y, _ in spot) * CELL_PX, (max(y for y, _ in spot) + 1) * CELL_PX
        first, last = min(x for _, x in spot) * CELL_PX, (max(x for _, x in spot) + 1) * CELL_PX
        across, down = MARGIN_PX
        boxes.append(
            (
                max(0, first - across),
                max(0, top - down),
                min(after.width, last + across),
                min(after.height, bottom + down),
            )
        )
    return boxes


def changed_words(before: Image.Image, after: Image.Image, reader: WordReader) -> int:
    """How many words came or went, whichever are more."""
    came: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for box in differing(before, after):
        old, new = reader.read(_cut(before, box)), reader.read(_cut(after, box))
        came.update(new - old)
        gone.update(old - new)
    # A word that only changed its place, from one box to another, is in both.
    return max((came - gone).total(), (gone - came).total())


def _cut(picture: Image.Image, box: _Box) -> Image.Image:
    return picture.crop((box[0], box[1], min(box[2], picture.width), min(box[3], picture.height)))


def sequences(variable: str) -> list[Path]:
    """The folders of pictures inside of the folder that a variable names; none when it is not set."""
    folder = os.environ.get(variable)
    return sorted(path for path in Path(folder).iterdir() if path.is_dir()) if folder else []


def pairs(folder: Path, reader: WordReader) -> Iterator[Pair]:
    """Every picture of a sequence but the first that was sent."""
    before: FolderVerdict | None = None
    for verdict in judge_folder(folder, GateSettings()):
        if before is not None and verdict.action != "error":
            with Image.open(folder / before.file) as one, Image.open(folder / verdict.file) as other:
                words = changed_words(one.convert("RGB"), other.convert("RGB"), reader)
            yield Pair(folder.name, verdict.file, before.file, verdict.action, verdict.reason, words)
        if verdict.action == "send" or verdict.reason == "colours":
            before = verdict  # as the gate does: what was only recoloured was sent


def judged(told: Sequence[Pair]) -> list[Row]:
    """The two bars."""
    many = [pair for pair in told if pair.words >= MANY_WORDS]
    wordless = [pair for pair in told if not pair.words]
    missed, held = sum(pair.held for pair in many), sum(pair.held for pair in wordless)
    rest = len(told) - len(many) - len(wordless)
    return [
        Row(
            "sequences, changes of 10 words missed",
            100 * missed / max(1, len(many)),
            MOST_MISSED_PERCENT,
            "%",
            f"{missed} of {len(many)}; words by text recognition; {rest} changes of 1 to 9 words are not judged",
        ),
        Row(
            "sequences, wordless changes sent",
            100 * (len(wordless) - held) / max(1, len(wordless)),
            100 - LEAST_HELD_PERCENT,
            "%",
            f"of {len(wordless)}; {100 * held / max(1, len(wordless)):.0f} % were held back",
        ),
    ]


def printed_rows() -> list[Row]:
    """What the gate says of each sequence in ``HUDD_SCREENS``."""
    rows: list[Row] = []
    for folder in sequences("HUDD_SCREENS"):
        verdicts = list(judge_folder(folder, GateSettings()))
        sent = sum(verdict.action == "send" for verdict in verdicts)
        reasons = Counter("no picture" if verdict.action == "error" else verdict.reason for verdict in verdicts)
        how = f"{sent} of {len(verdicts)}; {', '.join(f'{name} {count}' for name, count in reasons.most_common())}"
        rows.append(
            Row(f"gate, sent of the sequence {folder.name}", 100 * sent / max(1, len(verdicts)), NO_BAR, "%", how)
        )
    return rows


def bench_sequences(*, quick: bool = False) -> list[Row]:
    """What is printed, then the bars; a quick run judges one sequence."""
    folders = sequences("HUDD_SEQUENCES")
    if not folders:
        return printed_rows()
    reader = WordReader()
    told = [pair for folder in folders[: 1 if quick else None] for pair in pairs(folder, reader)]
    return printed_rows() + judged(told)


def main(argv: Sequence[str] | None = None) -> int:
    """Judge ``HUDD_SEQUENCES``, print the bars and each change of many words that was held back."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sequences", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="every verdict")
    parser.add_argument("--save", type=Path, metavar="DIR", help="what was held back with many words, side by side")
    chosen = parser.parse_args(argv)
    reader, told = WordReader(), list[Pair]()
    for folder in sequences("HUDD_SEQUENCES"):
        for pair in pairs(folder, reader):
            told.append(pair)
            if pair.held and pair.words >= MANY_WORDS:
                print(f"held back: {pair.sequence} {pair.before} {pair.file}: {pair.words} words, {pair.reason}")
                if chosen.save is not None:
                    _save(folder, pair, chosen.save)
    for row in judged(told):
        print(f"{row.name}: {row.measured:.1f} % ({row.how})")
    if chosen.json is not None:
        body: list[dict[str, Any]] = [asdict(pair) for pair in told]
        chosen.json.write_text(json.dumps({"schema": 1, "pairs": body}, indent=1) + "\n", encoding="utf-8")
    return 0


def _save(folder: Path, pair: Pair, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    with Image.open(folder / pair.before) as one, Image.open(folder / pair.file) as other:
        both = Image.new("RGB", (one.width + other.width, max(one.height, other.height)))
        both.paste(one, (0, 0))
        both.paste(other, (one.width, 0))
    both.save(to / f"{pair.sequence}-{Path(pair.file).stem}.png")


if __name__ == "__main__":
    sys.exit(main())
