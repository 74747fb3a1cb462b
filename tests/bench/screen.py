"""What the eyes cost: the change gate against a memcpy of the frame, the picture against the fastest other way.

``bench_gate()`` and ``bench_picture()`` return rows ``(name, value, bar, unit)``; a value above its bar is too slow, or
keeps too few words. Values are ratios of two figures of the same run, so that a slow machine does not matter.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hudd.adapters import FramePixels
from hudd.config.settings import SERVICE_LONG_SIDE_PX, GateSettings, PictureSettings
from hudd.flow.watcher import Watcher
from hudd.model import Shot, Source
from hudd.screen.pixels import encode

Row = tuple[str, float, float, str]

SIZES = (("1080p", 1920, 1080, 1.5), ("4K", 3840, 2160, 1.0))
FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
WORDS = (
    *("invoice", "larkspur", "build", "failed", "passed", "meeting", "harbour", "quarterly", "figures", "release"),
    *("candidate", "merge", "branch", "window", "parser", "token", "error", "warning", "retry", "connection"),
    *("timeout", "journal", "committed", "publisher", "subscriber", "message", "inbox", "draft"),
)


def text_frame(width: int, height: int, seed: int) -> bytearray:
    """A screen full of text, dark or light by turns: letters of 13 px, 28 at 4K, as ``B G R X`` bytes."""
    rng = random.Random(seed)
    dark = seed % 2 == 1
    letter = 28 if width > 2560 else 13
    picture = Image.new("RGB", (width, height), (30, 32, 40) if dark else (252, 252, 250))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(letter)
    for top in range(8, height - 2 * letter, int(letter * 2.2)):
        line = rng.choice(WORDS)
        while font.getlength(line) < width - 20 * letter:
            line += " " + rng.choice(WORDS)
        draw.text((letter, top), line, fill=(220, 220, 220) if dark else (25, 25, 30), font=font)
    return bytearray(picture.tobytes("raw", "BGRX"))


def make_shot(pixels: bytearray, width: int, height: int) -> Shot:
    return Shot(Source("monitor", "bench", (0, 0, width, height)), pixels, width, height, 0.0, 0)


def least_ms(work: Callable[[], object], times: int, clock: Callable[[], float] = time.thread_time) -> float:
    """The shortest of several runs: what the code costs when nothing else disturbs."""
    best = float("inf")
    for _ in range(times):
        started = clock()
        work()
        best = min(best, clock() - started)
    return best * 1000.0


GATE_CASES = {"identical": (0, 0), "all changed": (0, 1), "all changed, never at rest": (0, 1, 2)}
"""Which frames are looked at, one after the other; the first is sent, the last look is measured."""


def bench_gate(times: int = 60) -> list[Row]:
    """CPU of a look without the grab (fingerprint, comparisons, what sort of change, decision) over a memcpy.

    The copy is made of the same frame at the same point of the same story, by turns with the look: what lies in the
    processor's caches then is alike for both. A copy of a frame that was copied just before is told beside it.
    """
    rows: list[Row] = []
    for name, width, height, bar in SIZES:
        frames = [make_shot(text_frame(width, height, seed), width, height) for seed in (1, 2, 3)]
        target = np.empty(width * height * 4, dtype=np.uint8)
        again_ms = least_ms(lambda target=target, frame=frames[0]: _copy(frame, target), times)
        for case, looks in GATE_CASES.items():
            gate_ms = copy_ms = float("inf")
            for _ in range(times):
                gate_ms = min(gate_ms, _look_ms([frames[look] for look in looks]))
                copy_ms = min(copy_ms, _look_ms([frames[look] for look in looks], instead=target))
            told = f"x memcpy ({gate_ms:.2f}/{copy_ms:.2f} ms CPU; a second copy {again_ms:.2f})"
            rows.append((f"gate {name} {case}", gate_ms / copy_ms, bar, told))
    return rows


def _copy(frame: Shot, target: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
    np.copyto(target, np.frombuffer(frame.pixels, dtype=np.uint8))


def _look_ms(frames: Sequence[Shot], instead: np.ndarray[tuple[int], np.dtype[np.uint8]] | None = None) -> float:
    """CPU of the last of several looks, or of a copy of its frame to ``instead``; the first frame was sent."""
    settings = GateSettings()
    watcher = Watcher(frames[0].source, settings, FramePixels(PictureSettings(), settings.luma_step))
    for now, frame in enumerate(frames[:-1]):
        look = watcher.examine(frame, ())
        if watcher.judge(look, float(now)).action == "send":
            watcher.sent(look, float(now))
    started = time.thread_time()
    if instead is not None:
        _copy(frames[-1], instead)
    else:
        watcher.judge(watcher.examine(frames[-1], ()), float(len(frames)))
    return (time.thread_time() - started) * 1000.0


def _event(data: bytes) -> str:
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
    return json.dumps({"type": "input_image", "image_url": url})


def _plain(shot: Shot, resample: Image.Resampling, long_side: int) -> bytes:
    """The usual way: all pixels to RGB, then one resize, then JPEG."""
    rgb = Image.frombuffer("RGB", (shot.width, shot.height), bytes(shot.pixels), "raw", "BGRX", 0, 1)
    size = (long_side, round(shot.height * long_side / shot.width))
    out = io.BytesIO()
    rgb.resize(size, resample).save(out, "JPEG", quality=75, subsampling="4:2:0")
    return out.getvalue()


def _word_counter() -> Callable[[bytes], int] | None:
    """Counts known words in a picture by text recognition, at twice the size; None where there is none."""
    folders = sorted(Path("/usr/share/tesseract-ocr").glob("*/tessdata"))
    if importlib.util.find_spec("tesserocr") is None or not folders:
        return None
    import tesserocr

    def count(data: bytes) -> int:
        picture = Image.open(io.BytesIO(data))
        with tesserocr.PyTessBaseAPI(path=str(folders[-1]), psm=tesserocr.PSM.SPARSE_TEXT) as reader:
            reader.SetImage(picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC))
            return sum(word in WORDS for word in reader.GetUTF8Text().lower().split())

    return count


def bench_picture(times: int = 7) -> list[Row]:
    """Time from a grabbed frame to base64 JSON, over Pillow's fastest way that keeps 95 % of the words of LANCZOS.

    Without text recognition only BICUBIC and LANCZOS count as ways that do, and the rows about words are left out.
    """
    rows: list[Row] = []
    settings = PictureSettings()
    count = _word_counter()
    long_side = settings.long_side_px or SERVICE_LONG_SIDE_PX
    for name, width, height, _ in SIZES:
        shot = make_shot(text_frame(width, height, 3), width, height)
        ours = encode(shot, settings).data
        ours_ms = least_ms(lambda shot=shot: _event(encode(shot, settings).data), times, time.perf_counter)
        filters = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        if count is not None:
            best = count(_plain(shot, Image.Resampling.LANCZOS, long_side))
            rows.append(
                (f"picture {name} words", best / max(1, count(ours)), 1 / 0.95, f"x fewer than LANCZOS ({best})")
            )
            filters = tuple(way for way in FILTERS if count(_plain(shot, way, long_side)) >= 0.95 * best)
        others = {
            way.name.lower(): least_ms(
                lambda shot=shot, way=way: _event(_plain(shot, way, long_side)), times, time.perf_counter
            )
            for way in filters
        }
        fastest = min(others, key=lambda key: others[key])
        told = ", ".join(f"{key} {value:.0f}" for key, value in others.items())
        rows.append(
            (f"picture {name} time", ours_ms / others[fastest], 1.3, f"x {fastest} ({ours_ms:.0f} ms; {told} ms)")
        )
    return rows


if __name__ == "__main__":
    for row in bench_gate() + bench_picture():
        print(f"{row[0]:<28} {row[1]:6.2f}  bar {row[2]:.2f}  {row[3]}")
