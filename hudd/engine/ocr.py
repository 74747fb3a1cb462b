"""Text readers: one small face for the text recognition libraries, each imported only when it is used.

Finding lines is ours (``hudd.engine.picture``) for every reader, so a reader only recognises: that is what makes a
few changed lines cheap. ``tesserocr`` is preferred (5 to 10 ms a line, about 100 MB); ``rapidocr`` is second (90 ms
of one core for a long line, two at a time, about 550 MB); without either the engine still tells size, brightness and
change.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from hudd.engine.agreement import agreed
from hudd.engine.errors import ReaderError
from hudd.engine.findings import Area, TextLine
from hudd.engine.picture import Grey, Page, clearest, cut, dark_on_white, find_segments, same_strip
from hudd.engine.reading import Sheet
from hudd.engine.reading import TextReader as AnyTextReader

TextReader = AnyTextReader[Page]

THREADS: Final = 2
LANGUAGE_FILE: Final = "eng.traineddata"
READ_HEIGHT_PX: Final = 30  # a line is enlarged to about this height; measured best for 8 to 14 px text
MAX_ENLARGEMENT: Final = 3.0
WHITE_MARGIN_PX: Final = 10
CUT_MARGIN_PX: Final = 3
LONGEST_STRIP: Final = 40  # width in heights; recognition time grows with it
READERS: Final = ("auto", "tesserocr", "rapidocr", "none")


class GreySheet:
    """The sheet of both libraries: grey pixels, red ones when there are colours, and found lines."""

    def __init__(self, grey: Grey, areas: Sequence[Area], red: Grey | None = None) -> None:
        self.grey = grey
        self.red = red
        self.areas: Sequence[Area] = tuple(areas)

    def shows_same(self, area: Area, before: Sheet, area_before: Area) -> bool:
        return isinstance(before, GreySheet) and same_strip(cut(self.grey, area), cut(before.grey, area_before))


class _NoSheet:
    areas: Sequence[Area] = ()

    def shows_same(self, area: Area, before: Sheet, area_before: Area) -> bool:  # noqa: ARG002  # the face of Sheet
        return False


class NoReader:
    """Stands in when no library is installed: finds nothing, reads nothing."""

    name = "none"

    def find_lines(self, page: Page) -> Sheet:  # noqa: ARG002  # the face of TextReader
        return _NoSheet()

    def read_lines(
        self,
        sheet: Sheet,  # noqa: ARG002
        areas: Sequence[Area],
        deadline_s: float,  # noqa: ARG002
    ) -> list[tuple[TextLine, ...] | None]:
        return [None] * len(areas)


def _grey_sheet(page: Page) -> GreySheet:
    grey = np.asarray(page.grey, dtype=np.uint8)
    red = None if page.red is None else np.asarray(page.red, dtype=np.uint8)
    return GreySheet(grey, find_segments(grey), red)


def _own(sheet: Sheet) -> GreySheet:
    if not isinstance(sheet, GreySheet):
        raise ReaderError("A sheet of another reader was handed over.")
    return sheet


class TesserReader:
    """Reads with tesserocr (Tesseract's LSTM), each thread with an engine of its own.

    Args:
        data_path: The folder that holds ``eng.traineddata``.
    """

    name = "tesserocr"

    def __init__(self, data_path: Path) -> None:
        os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # Tesseract's own threads only wait for each other
        import tesserocr  # noqa: PLC0415  # loaded only where it is used

        library: Any = tesserocr
        self._engines: list[Any] = []
        for _ in range(min(THREADS, os.cpu_count() or 1)):
            engine = library.PyTessBaseAPI(
                path=str(data_path), lang="eng", psm=library.PSM.SINGLE_BLOCK, oem=library.OEM.LSTM_ONLY
            )
            engine.SetVariable("tessedit_do_invert", "0")  # strips are already dark on white
            self._engines.append(engine)

    def find_lines(self, page: Page) -> Sheet:
        return _grey_sheet(page)

    def read_lines(self, sheet: Sheet, areas: Sequence[Area], deadline_s: float) -> list[tuple[TextLine, ...] | None]:
        own = _own(sheet)
        return _share(areas, [partial(self._read_one, engine, own) for engine in self._engines], deadline_s)

    def _read_one(self, engine: Any, sheet: GreySheet, area: Area) -> tuple[TextLine, ...]:
        strip = Image.fromarray(dark_on_white(clearest(sheet.grey, sheet.red, area), area, CUT_MARGIN_PX))
        scale = min(MAX_ENLARGEMENT, max(0.5, READ_HEIGHT_PX / area.height))
        return agreed(lambda part: self._read_strip(engine, strip, area, part * scale))

    def _read_strip(self, engine: Any, strip: Image.Image, area: Area, scale: float) -> tuple[TextLine, ...]:
        strip = strip.resize(
            (max(1, round(strip.width * scale)), max(1, round(strip.height * scale))), Image.Resampling.BICUBIC
        )
        white = 2 * WHITE_MARGIN_PX
        paper = Image.new("L", (strip.width + white, strip.height + white), 255)
        paper.paste(strip, (WHITE_MARGIN_PX, WHITE_MARGIN_PX))
        engine.SetImageBytes(paper.tobytes(), paper.width, paper.height, 1, paper.width)
        engine.SetSourceResolution(150)  # otherwise it guesses, and says so on stderr
        engine.Recognize()
        origin = (max(0, area.left - CUT_MARGIN_PX), max(0, area.top - CUT_MARGIN_PX))
        return lines_of_tsv(engine.GetTSVText(0), origin, scale)


def lines_of_tsv(tsv: str, origin: tuple[int, int], scale: float) -> tuple[TextLine, ...]:
    """Turn Tesseract's table of words into lines in the picture's pixels; marks that icons left at the ends go."""
    rows: dict[tuple[str, str, str], list[tuple[str, float, int, int, int, int]]] = {}
    for row in tsv.splitlines():
        cells = row.split("\t")
        if len(cells) < 12 or cells[0] != "5" or not cells[11].strip():
            continue
        left, top, width, height = (int(cell) for cell in cells[6:10])
        word = (cells[11].strip(), float(cells[10]) / 100.0, left, top, left + width, top + height)
        rows.setdefault((cells[2], cells[3], cells[4]), []).append(word)
    lines: list[TextLine] = []
    for words in rows.values():
        while words and _is_stray(words[0]) and not _are_one_number(words[:2]):
            words.pop(0)
        while words and _is_stray(words[-1]) and not _are_one_number(words[-2:]):
            words.pop()
        if not words:
            continue
        letters = sum(len(word[0]) for word in words)
        confidence = sum(word[1] * len(word[0]) for word in words) / letters
        left, top = min(word[2] for word in words), min(word[3] for word in words)
        right, bottom = max(word[4] for word in words), max(word[5] for word in words)
        lines.append(
            TextLine(
                text=mended(" ".join(word[0] for word in words)),
                left=max(0, origin[0] + round((left - WHITE_MARGIN_PX) / scale)),
                top=max(0, origin[1] + round((top - WHITE_MARGIN_PX) / scale)),
                width=max(1, round((right - left) / scale)),
                height=max(1, round((bottom - top) / scale)),
                confidence=max(0.0, min(1.0, confidence)),
            )
        )
    return tuple(lines)


def mended(text: str) -> str:
    """Put right what recognition always gets wrong: slashed zeros, dots and dashes between words, letters in hashes."""
    text = _LONE_MARK.sub("-", _SLASHED_ZERO.sub("0", text))
    return _HASH.sub(lambda found: found[0].translate(_HASH_DIGITS), text)


_LONE_MARK: Final = re.compile(r"(?<=\w )(?:\u00ab-?|-\u00ab|-?\u00bb)(?= \w)")
# Digits in two places at least: a name such as label24 is no hash. Between dots, as git prints ranges.
_HASH: Final = re.compile(r"(?<![^\s\[(.'\u2018])(?=[a-f]*\d+[a-flIO]+\d)[\da-flIO]{7,40}(?![^\s\]).,:;'])")
_HASH_DIGITS: Final = str.maketrans("lIO", "110")
_SLASHED_ZERO: Final = re.compile(r"(?<![^\s\d(])@(?=\d?[:.]\d)|(?<=\d)@(?=[\s\d]|$)")  # Tesseract takes it for an @
_MARKS: Final = frozenset("®©°•»«|@=_\u2014~\u2018\u2019'¥><")  # what Tesseract makes of icons, arrows and borders


def _are_one_number(words: Sequence[tuple[str, float, int, int, int, int]]) -> bool:
    """True for ``1 920`` and ``1 test``: a figure at an end is doubted as part of its line, never left out of it."""
    return words[0][0].isdigit() or words[-1][0].isdigit()


def _is_stray(word: tuple[str, float, int, int, int, int]) -> bool:
    text, confidence = word[0], word[1]
    if not any(c.isalnum() for c in text):
        return all(c in _MARKS for c in text) or (confidence < 0.8 and text not in ("$", "#", "{", "}", "(", ")"))
    return (len(text) == 1 and confidence < 0.85) or (len(text) == 2 and confidence < 0.6)


class RapidReader:
    """Reads with rapidocr's recognition model alone; its models come in its wheel, nothing is downloaded."""

    name = "rapidocr"

    def __init__(self) -> None:
        import rapidocr  # noqa: PLC0415  # takes a second and 100 MB

        library: Any = rapidocr
        # Lines in parallel, one thread each: two threads on one line spend half their time waiting for each other.
        self._engines: list[Any] = [
            library.RapidOCR(
                params={
                    "Global.log_level": "error",
                    "Global.use_det": False,
                    "Global.use_cls": False,
                    "Global.use_preprocess_img": False,  # it would shrink long lines
                    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                }
            )
            for _ in range(min(THREADS, os.cpu_count() or 1))
        ]

    def find_lines(self, page: Page) -> Sheet:
        return _grey_sheet(page)

    def read_lines(self, sheet: Sheet, areas: Sequence[Area], deadline_s: float) -> list[tuple[TextLine, ...] | None]:
        own = _own(sheet)
        return _share(areas, [partial(self._read_one, engine, own) for engine in self._engines], deadline_s)

    def _read_one(self, engine: Any, sheet: GreySheet, area: Area) -> tuple[TextLine, ...]:
        longest = LONGEST_STRIP * area.height
        texts: list[str] = []
        scores: list[float] = []
        for left in range(area.left, area.left + area.width, longest):
            part = Area(left, area.top, min(longest, area.left + area.width - left), area.height)
            plane = clearest(sheet.grey, sheet.red, part)
            strip = np.repeat(dark_on_white(plane, part, CUT_MARGIN_PX)[:, :, None], 3, axis=2)
            found = engine(strip, use_det=False, use_cls=False, use_rec=True)
            for text, score in zip(found.txts or (), found.scores or (), strict=True):
                if text.strip():
                    texts.append(str(text).strip())
                    scores.append(float(score))
        if not texts:
            return ()
        text = " ".join(texts)
        return (TextLine(text, area.left, area.top, area.width, area.height, min(1.0, max(0.0, min(scores)))),)


def _share(
    areas: Sequence[Area], readers: Sequence[Callable[[Area], tuple[TextLine, ...]]], deadline_s: float
) -> list[tuple[TextLine, ...] | None]:
    """Let several readers, a thread each, take areas in order until the deadline."""
    results: list[tuple[TextLine, ...] | None] = [None] * len(areas)
    waiting = list(enumerate(areas))[::-1]

    def work(read: Callable[[Area], tuple[TextLine, ...]]) -> None:
        while time.monotonic() < deadline_s:
            try:
                index, area = waiting.pop()  # atomic, so no lock
            except IndexError:
                return
            results[index] = read(area)

    crew = readers[: max(1, len(areas))]
    if len(crew) == 1:
        work(crew[0])
        return results
    with ThreadPoolExecutor(len(crew)) as pool:
        for done in [pool.submit(work, read) for read in crew]:
            done.result()
    return results


def best_reader(prefer: str = "auto") -> TextReader:
    """Load the best text reader that is installed: tesserocr with its language file, else rapidocr, else none.

    Args:
        prefer: ``auto``, or the one reader to use.

    Raises:
        ReaderError: The reader asked for by name is unknown or not installed.
    """
    if prefer not in READERS:
        raise ReaderError(f"There is no text reader {prefer!r}; choose one of {', '.join(READERS)}.")
    if prefer in ("auto", "tesserocr") and _installed("tesserocr"):
        data_path = find_tessdata()
        if data_path is not None:
            return TesserReader(data_path)
    if prefer in ("auto", "rapidocr") and _rapid_installed():
        return RapidReader()
    if prefer in ("auto", "none"):
        return NoReader()
    raise ReaderError(f"The text reader {prefer} is not installed.", hint=reader_advice() or "")


def reader_advice() -> str | None:
    """One sentence how to get a (better) text reader; None when the best is there. Imports no library."""
    if _installed("tesserocr"):
        if find_tessdata() is not None:
            return None
        return f"Install the English data of Tesseract ({LANGUAGE_FILE}; on Debian: tesseract-ocr-eng) to read faster."
    if _rapid_installed():
        return "Install tesserocr and tesseract-ocr-eng to read faster and with less memory."
    return "Install hudd[local] to read the text."


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _rapid_installed() -> bool:
    return _installed("rapidocr") and _installed("onnxruntime")


def find_tessdata() -> Path | None:
    """The folder with the English data of Tesseract, or None. ``TESSDATA_PREFIX`` comes first when it is set."""
    for folder in _tessdata_folders():
        if (folder / LANGUAGE_FILE).is_file():
            return folder
    return None


def _tessdata_folders() -> Iterable[Path]:
    prefix = os.environ.get("TESSDATA_PREFIX")
    if prefix:
        yield Path(prefix)
        yield Path(prefix) / "tessdata"
    versions = Path("/usr/share/tesseract-ocr")
    if versions.is_dir():
        yield from sorted((folder / "tessdata" for folder in versions.iterdir()), reverse=True)
    yield versions / "tessdata"
    for root in (sys.prefix, "/usr", "/usr/local", "/opt/homebrew", "/opt/local"):
        yield Path(root) / "share" / "tessdata"
    for variable in ("PROGRAMFILES", "LOCALAPPDATA"):
        program_files = os.environ.get(variable)
        if program_files:
            yield Path(program_files) / "Tesseract-OCR" / "tessdata"
