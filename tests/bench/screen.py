"""What the eyes cost: the change gate against a memcpy of the frame, the picture against the fastest other way.

``bench_gate()``, ``bench_picture()`` and ``bench_words()`` return rows ``(name, value, bar, unit)``; a value above its bar
is too slow (or keeps too few words). Every value is a ratio of two minima of the same run, so that a slow machine or a slow moment does not matter.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hudd.config.settings import GateSettings, PictureSettings
from hudd.model import Shot, Source
from hudd.screen.gate import Gate
from hudd.screen.pixels import compare, encode, fingerprint, scaled

Row = tuple[str, float, float, str]

SIZES = (("1080p", 1920, 1080, 1.5), ("4K", 3840, 2160, 1.0))
WORDS = (
    *("invoice", "larkspur", "build", "failed", "passed", "meeting", "harbour", "quarterly", "figures", "release"),
    *("candidate", "merge", "branch", "window", "parser", "token", "error", "warning", "retry", "connection"),
    *("timeout", "journal", "committed", "publisher", "subscriber", "message", "inbox", "draft"),
)


def text_frame(width: int, height: int, seed: int) -> bytearray:
    """A screen full of text: dark and light panels, 13 px letters, as ``B G R X`` bytes."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (width, height), (236, 236, 240))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(13)
    for left in range(0, width, 640):
        dark = rng.random() < 0.5
        draw.rectangle((left + 8, 8, left + 631, height - 9), fill=(30, 32, 40) if dark else (252, 252, 250))
        ink = (214, 216, 220) if dark else (28, 28, 32)
        for top in range(16, height - 32, 18):
            words = [rng.choice(WORDS) for _ in range(rng.randint(2, 9))]
            draw.text((left + 20 + 24 * rng.randint(0, 3), top), " ".join(words)[:72], fill=ink, font=font)
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


def bench_gate(times: int = 15) -> list[Row]:
    """CPU of the gate per frame (fingerprint, both comparisons, decision) over a memcpy of that frame."""
    rows: list[Row] = []
    for name, width, height, bar in SIZES:
        frames = [make_shot(text_frame(width, height, seed), width, height) for seed in (1, 2)]
        prints = [fingerprint(frame) for frame in frames]
        source = np.frombuffer(frames[0].pixels, dtype=np.uint8)
        target = np.empty_like(source)
        gate = Gate(GateSettings())
        gate.sent(0.0)

        def judge(new: int, old: int, frames=frames, prints=prints, gate=gate) -> None:
            seen = fingerprint(frames[new], prints[old])
            change = compare(seen, prints[old])
            gate.look(1.0, since_look=change, since_sent=compare(seen, prints[old]))

        copy_ms = least_ms(lambda target=target, source=source: np.copyto(target, source), times)
        for case, new in (("identical", 0), ("all changed", 1)):
            gate_ms = least_ms(lambda new=new, judge=judge: judge(new, 0), times)
            rows.append(
                (f"gate {name} {case}", gate_ms / copy_ms, bar, f"x memcpy ({gate_ms:.2f}/{copy_ms:.2f} ms CPU)")
            )
    return rows


def _event(data: bytes) -> str:
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
    return json.dumps({"type": "input_image", "image_url": url})


def _plain(shot: Shot, resample: Image.Resampling, long_side: int) -> str:
    """The usual way: all pixels to RGB, then one resize, then JPEG."""
    rgb = Image.frombuffer("RGB", (shot.width, shot.height), bytes(shot.pixels), "raw", "BGRX", 0, 1)
    size = (long_side, round(shot.height * long_side / shot.width))
    out = io.BytesIO()
    rgb.resize(size, resample).save(out, "JPEG", quality=75, subsampling="4:2:0")
    return _event(out.getvalue())


def bench_picture(times: int = 7) -> list[Row]:
    """Time from a grabbed frame to base64 JSON, over the fastest averaging way of Pillow to the same size."""
    rows: list[Row] = []
    settings = PictureSettings()
    for name, width, height, _ in SIZES:
        shot = make_shot(text_frame(width, height, 3), width, height)
        ours = least_ms(lambda shot=shot: _event(encode(shot, settings).data), times, time.perf_counter)
        others = {
            way.name.lower(): least_ms(
                lambda shot=shot, way=way: _plain(shot, way, settings.long_side_px), times, time.perf_counter
            )
            for way in (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)
        }
        fastest = min(others, key=lambda key: others[key])
        told = ", ".join(f"{key} {value:.0f}" for key, value in others.items())
        rows.append((f"picture {name}", ours / others[fastest], 1.3, f"x {fastest} ({ours:.0f} ms; {told} ms)"))
    return rows


def _words(picture: Image.Image, folder: Path) -> int:
    """Known words that text recognition finds, at twice the size."""
    import tesserocr

    with tesserocr.PyTessBaseAPI(path=str(folder), psm=tesserocr.PSM.SPARSE_TEXT) as reader:
        reader.SetImage(picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC))
        return sum(word in WORDS for word in reader.GetUTF8Text().lower().split())


def bench_words() -> list[Row]:
    """Words that LANCZOS keeps over words that our scaling keeps; no rows without text recognition."""
    folders = sorted(Path("/usr/share/tesseract-ocr").glob("*/tessdata"))
    if importlib.util.find_spec("tesserocr") is None or not folders:
        return []
    rows: list[Row] = []
    for name, width, height, _ in SIZES[:1]:
        shot = make_shot(text_frame(width, height, 4), width, height)
        ours = scaled(shot, 1280)
        full = Image.frombuffer("RGB", (width, height), bytes(shot.pixels), "raw", "BGRX", 0, 1)
        kept, best = (_words(p, folders[-1]) for p in (ours, full.resize(ours.size, Image.Resampling.LANCZOS)))
        rows.append((f"words {name}", best / max(1, kept), 1 / 0.95, f"x ours (lanczos {best}, ours {kept} words)"))
    return rows


if __name__ == "__main__":
    for row in bench_gate() + bench_picture() + bench_words():
        print(f"{row[0]:<28} {row[1]:6.2f}  bar {row[2]:.2f}  {row[3]}")
