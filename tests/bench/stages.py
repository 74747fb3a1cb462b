"""What each stage of a look costs, on real frames, beside the naive way of the same run, and how long the loop is kept.

Naive is: grab, RGB, LANCZOS to the same size, PNG, base64, every second, whether anything changed or not.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from typing import Final

import numpy as np
import xxhash
from PIL import Image

from hudctl import Client
from hudd.clock import SystemClock
from hudd.config.settings import SERVICE_LONG_SIDE_PX, PictureSettings, ScreenSettings
from hudd.model import Shot, Source
from hudd.screen.content import describe
from hudd.screen.mss_source import MssScreen
from hudd.screen.pixels import compare, encode, fingerprint, scaled
from tests.bench.process import FULL_HD, ULTRA_HD, Painter, daemon_on_x
from tests.bench.rows import NO_BAR, Row
from tests.bench.screen import least_ms
from tests.fakes.screen import x_server

LAG_BAR_MS: Final = 20.0
LIVELY: Final = {"screen_interval_s": 0.5, "gate_settle_s": 0.0, "gate_min_interval_s": 0.0}
_ASK_EVERY_S: Final = 0.02
_ROUNDS: Final = 6
_ROUND_S: Final = 4.0


def bench_stages(*, quick: bool = False) -> list[Row]:
    """Milliseconds of CPU for each stage at both sizes, then for whole frames, ours and the naive ones."""
    times = 2 if quick else 15
    rows: list[Row] = []
    for name, size in (("1080p", FULL_HD), ("4K", ULTRA_HD)):
        with x_server(size) as server:
            painter = Painter(server.number, size)
            screen = MssScreen(ScreenSettings(), server.environ, SystemClock())
            source = screen.sources()[0]

            def grab(screen: MssScreen = screen, source: Source = source) -> Shot:
                return screen.grab(source, epoch=0, captured_at=0.0)

            before = grab()
            painter.step(1)
            rows += _stages(name, grab, before, grab(), times)
            screen.close()
            painter.close()
    return rows


def _stages(name: str, grab: Callable[[], Shot], before: Shot, now: Shot, times: int) -> list[Row]:
    settings = PictureSettings()
    long_side = settings.long_side_px or SERVICE_LONG_SIDE_PX
    old = fingerprint(before)
    new = fingerprint(now, old)
    change = compare(new, old)
    small, picture = scaled(now, long_side, half_colour=True), encode(now, settings).data
    text = base64.b64encode(picture).decode("ascii")
    raw = np.frombuffer(now.pixels, dtype=np.uint8)
    copy = np.empty_like(raw)
    stages: dict[str, Callable[[], object]] = {
        "memcpy, for comparison": lambda: np.copyto(copy, raw),
        "grab": grab,
        "hash": lambda: xxhash.xxh3_64_intdigest(now.pixels),
        "fingerprint, equal": lambda: fingerprint(before, old),
        "fingerprint, changed": lambda: fingerprint(now, old),
        "compare": lambda: compare(new, old),
        "what sort of change": lambda: describe(change, new, old),
        "scale": lambda: scaled(now, long_side, half_colour=True),
        "encode": lambda: small.save(io.BytesIO(), "JPEG", quality=settings.quality, subsampling="4:2:0"),
        "base64": lambda: base64.b64encode(picture).decode("ascii"),
        "JSON": lambda: json.dumps({"type": "input_image", "image_url": f"data:image/jpeg;base64,{text}"}),
    }

    def still() -> None:
        fingerprint(grab(), new)

    def sent() -> None:
        shot = grab()
        seen = fingerprint(shot, old)
        describe(compare(seen, old), seen, old)
        _event(encode(shot, settings, frame_hash=seen.hash).data)

    def naive() -> None:
        shot = grab()
        picture = Image.frombytes("RGB", (shot.width, shot.height), bytes(shot.pixels), "raw", "BGRX")
        out = io.BytesIO()
        side = (long_side, round(shot.height * long_side / shot.width))
        picture.resize(side, Image.Resampling.LANCZOS).save(out, "PNG")
        _event(out.getvalue())

    how = "CPU of the thread, least of many, Xvfb"
    rows = [Row(f"stage, {name}, {stage}", least_ms(work, times), NO_BAR, "ms", how) for stage, work in stages.items()]
    costs = {"look at a still screen": still, "look and send": sent, "naive, every second": naive}
    milliseconds = {what: least_ms(work, times) for what, work in costs.items()}
    rows += [Row(f"frame, {name}, {what}", value, NO_BAR, "ms", how) for what, value in milliseconds.items()]
    share = milliseconds["look and send"] / milliseconds["naive, every second"]
    return [*rows, Row(f"frame, {name}, sent over naive", share, 1.0, "x", how)]


def _event(data: bytes) -> str:
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
    return json.dumps({"type": "input_image", "image_url": url})


def bench_lag(*, quick: bool = False) -> list[Row]:
    """How long a status waits for its answer while every frame of a screen is news: at least what the loop is kept."""
    rows: list[Row] = []
    for name, size in (("1080p", FULL_HD), ("4K", ULTRA_HD)):
        with (
            daemon_on_x(size, **LIVELY) as (daemon, server),
            Client(runtime_dir=daemon.environ["HUDD_RUNTIME_DIR"]) as client,
        ):
            painter = Painter(server.number, size)
            rounds = [_waits_ms(client, painter, 1.0 if quick else _ROUND_S) for _ in range(1 if quick else _ROUNDS)]
            painter.close()
        waits = min(rounds, key=_p99)
        how = f"status every {_ASK_EVERY_S * 1000:.0f} ms, a changed frame every 0.5 s, least of {len(rounds)} rounds"
        told = f"{how}; medians {', '.join(f'{sorted(waits)[len(waits) // 2]:.1f}' for waits in rounds)} ms"
        rows.append(Row(f"event loop, {name}, wait for a status, p99", _p99(waits), LAG_BAR_MS, "ms", told))
    return rows


def _waits_ms(client: Client, painter: Painter, seconds: float) -> list[float]:
    waits: list[float] = []
    number, paint_at, end = 0, 0.0, time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        if now >= paint_at:
            painter.step(number)
            number, paint_at = number + 1, now + 0.5
        started = time.monotonic()
        client.status()
        waits.append((time.monotonic() - started) * 1000.0)
        time.sleep(_ASK_EVERY_S)
    return waits


def _p99(waits: list[float]) -> float:
    return sorted(waits)[min(len(waits) - 1, round(0.99 * len(waits)))]
