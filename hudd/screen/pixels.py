"""The door to numpy, xxhash and Pillow for frames: fingerprints, comparison, scaling, encoding.

Every function here may run in a worker thread; the long parts release the interpreter lock. No second full frame
is ever kept: what stays of a frame is its ``Fingerprint``, about 1/64 of its size.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import xxhash
from PIL import Image

from hudd.clock import Clock, SystemClock
from hudd.config.settings import SERVICE_LONG_SIDE_PX, PictureSettings
from hudd.errors import CaptureError, PictureError
from hudd.model import Picture, Shot, Source
from hudd.screen.change import SAMPLE_STEP_PX, TILE_HEIGHT_PX, TILE_WIDTH_PX, Change, Tiles
from hudd.screen.source import Rect

_ROWS_PER_TILE = TILE_HEIGHT_PX // SAMPLE_STEP_PX
_COLUMNS_PER_TILE = TILE_WIDTH_PX // SAMPLE_STEP_PX
_PRECISE_TILES = 48
"""Up to so many changed tiles their spots are measured exactly; more are surely no cursor."""
_LEAST_QUALITY = 30
_LEAST_LONG_SIDE_PX = 256
_STRIP_ROWS = 64

_Samples = npt.NDArray[np.uint8]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What is kept of a frame: a hash for each band of tiles, and the brightness of every fourth pixel.

    Attributes:
        source: What was grabbed.
        width: Pixels in a row of the frame.
        height: Rows of the frame.
        bands: For each band of 32 rows the xxh3-64 of all its pixels; None when its first row differed from the frame
            before, which made more exactness useless. Equal hashes mean equal samples, all else a closer look.
        samples: Brightness of one colour each, 0-255; shared between fingerprints of equal frames, never written.
    """

    source: Source
    width: int
    height: int
    bands: tuple[int | None, ...]
    samples: _Samples = field(repr=False)

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that stand for the frame as far as it was sampled."""
        return f"{_digest(self.samples):016x}"


def fingerprint(shot: Shot, previous: Fingerprint | None = None) -> Fingerprint:
    """Reduce a frame to its fingerprint. Bands that equal those of ``previous``, by hash, are not sampled again.

    Raises:
        CaptureError: The shot has not as many bytes as its size says.
    """
    pixels = _frame(shot)
    if previous is None or (previous.width, previous.height) != (shot.width, shot.height):
        exact = [_band(shot, index) for index in range(-(-shot.height // TILE_HEIGHT_PX))]
        return Fingerprint(shot.source, shot.width, shot.height, tuple(exact), _samples(pixels))
    differing = _first_rows_differ(pixels, previous)
    bands = [None if differs else _band(shot, index) for index, differs in enumerate(differing)]
    dirty = _dirty(bands, previous.bands)
    if not dirty:
        return previous if previous.source == shot.source else replace(previous, source=shot.source)
    if 2 * len(dirty) > len(bands):
        samples = _samples(pixels)
    else:
        samples = previous.samples.copy()
        for index in dirty:
            top = index * TILE_HEIGHT_PX
            samples[_sample_rows(index)] = _samples(pixels[top : top + TILE_HEIGHT_PX])
    return Fingerprint(shot.source, shot.width, shot.height, tuple(bands), samples)


def compare(now: Fingerprint, before: Fingerprint, *, luma_step: int = 16, ignored: Sequence[Rect] = ()) -> Change:
    """Tell where a frame differs from an earlier one of the same source.

    Args:
        now: The newer frame.
        before: The older one. A frame of another size differs everywhere.
        luma_step: Difference in brightness that counts, 1-255.
        ignored: Rectangles in desktop pixels; what changes inside them does not count.
    """
    columns = -(-now.width // TILE_WIDTH_PX)
    rows = -(-now.height // TILE_HEIGHT_PX)
    if (now.width, now.height) != (before.width, before.height):
        everything = Tiles.full(columns, rows)
        return Change(everything, now.source.rect, 1.0, everything.count)
    dirty = [] if now.samples is before.samples else _dirty(now.bands, before.bands)
    if not dirty:
        return Change(Tiles(columns, rows))
    first, last = dirty[0], dirty[-1] + 1
    flags = _differing(now, before, first, last, luma_step)
    hidden = _hide(flags, now, first, ignored)
    tile_flags = _tile_flags(flags)
    count = int(np.count_nonzero(tile_flags))
    if not count:
        return Change(Tiles(columns, rows), ignored=hidden, subtle=not hidden)
    packed = np.packbits(tile_flags.ravel(), bitorder="little").tobytes()
    tiles = Tiles(columns, rows, int.from_bytes(packed, "little") << (first * columns))
    fraction = count / (columns * rows)
    if count > _PRECISE_TILES:
        return Change(tiles, _rect(tile_flags, now, first, TILE_WIDTH_PX, TILE_HEIGHT_PX), fraction, count, hidden)
    rect = _rect(flags, now, first * _ROWS_PER_TILE, SAMPLE_STEP_PX, SAMPLE_STEP_PX)
    return Change(tiles, rect, fraction, _patches(flags, tiles, first), hidden)


def uniform(shot: Shot) -> Literal["", "black", "one-coloured"]:
    """Tell whether all pixels of a frame are alike; '' when they are not. A few hundred pixels decide most times.

    Raises:
        CaptureError: The shot has not as many bytes as its size says.
    """
    pixels = _frame(shot)
    colour = int(pixels[0, 0]) & 0xFFFFFF
    for view in (pixels[:: max(1, shot.height // 16), :: max(1, shot.width // 16)], pixels):
        if bool(np.any((view & 0xFFFFFF) != colour)):
            return ""
    return "one-coloured" if colour else "black"


def encode(
    shot: Shot, settings: PictureSettings, *, frame_hash: str | None = None, clock: Clock | None = None
) -> Picture:
    """Scale and encode a frame, within the byte budget of the settings.

    The frame is shrunk to ``long_side_px``; too many bytes lower the quality first, then the size.

    Args:
        shot: The frame; only read.
        settings: Format, quality, size, byte budget.
        frame_hash: ``Fingerprint.hash`` of the same shot when it is at hand; computed otherwise.
        clock: Measures ``encode_ms``; the machine's clock when None.

    Raises:
        CaptureError: The shot has not as many bytes as its size says.
        PictureError: It does not fit the byte budget at any size that can be read.
    """
    clock = clock or SystemClock()
    started = clock.monotonic()
    _frame(shot)
    if frame_hash is None:
        frame_hash = fingerprint(shot).hash
    wanted = max(_LEAST_LONG_SIDE_PX, settings.long_side_px or SERVICE_LONG_SIDE_PX)
    long_side = min(wanted, max(shot.width, shot.height))
    while True:
        picture = scaled(shot, long_side, half_colour=settings.format == "jpeg")
        data = _encode_within(picture, settings)
        if data is not None:
            break
        if long_side <= _LEAST_LONG_SIDE_PX:
            raise PictureError(
                f"The picture of {shot.source.name} does not fit into {settings.max_bytes} bytes.",
                hint='Raise [picture] max_bytes, or use format = "jpeg".',
            )
        long_side = max(_LEAST_LONG_SIDE_PX, long_side * 4 // 5)
    return Picture(
        source=shot.source,
        media_type="image/jpeg" if settings.format == "jpeg" else "image/png",
        data=data,
        width=picture.width,
        height=picture.height,
        scale=round(picture.width / max(1, shot.source.rect[2]), 4),
        hash=frame_hash,
        captured_at=shot.captured_at,
        epoch=shot.epoch,
        grab_ms=shot.grab_ms,
        encode_ms=(clock.monotonic() - started) * 1000.0,
    )


def scaled(shot: Shot, long_side_px: int, *, half_colour: bool = False) -> Image.Image:
    """The frame as a picture whose longest side is at most ``long_side_px``.

    Whole factors are reduced by averaging, the rest by a bicubic filter: averaging the rest is faster, and loses up to
    half of the words in small letters.

    Args:
        shot: The frame.
        long_side_px: Longest side of the picture; smaller frames stay as they are.
        half_colour: Colours may come at half the resolution, as JPEG keeps them anyway. It saves a third of the time,
            and the picture may be YCbCr instead of RGB.
    """
    size = (shot.width, shot.height)
    # Red and blue stay swapped while the picture is large: the view is free, and the swap is cheap when it is small.
    # (Pillow takes any buffer; its types name fewer.)
    pixels = cast("bytes", shot.pixels)
    view = Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", 0, 1)
    longest = max(size)
    if longest <= long_side_px:
        return _swapped(view)
    target = (max(1, round(size[0] * long_side_px / longest)), max(1, round(size[1] * long_side_px / longest)))
    factor = longest // long_side_px
    reduced = view.reduce(factor) if factor > 1 else view
    if reduced.size == target:
        return _swapped(reduced)
    if not half_colour:
        return _swapped(reduced.resize(target, Image.Resampling.BICUBIC))
    grey = _swapped(reduced).convert("L") if factor > 1 else _grey(shot)
    brightness = grey.resize(target, Image.Resampling.BICUBIC)
    half = ((target[0] + 1) // 2, (target[1] + 1) // 2)
    small = reduced.reduce(max(1, reduced.width // half[0]))
    small = _swapped(small if small.size == half else small.resize(half, Image.Resampling.BOX)).convert("YCbCr")
    # Doubled here and halved again by the encoder, the colours come out as they went in.
    colours = (small.getchannel(channel).resize(target, Image.Resampling.NEAREST) for channel in (1, 2))
    return Image.merge("YCbCr", (brightness, *colours))


def _grey(shot: Shot) -> Image.Image:
    """The brightness of a frame, strip by strip: a copy of it in colour would take as much memory as the frame."""
    grey = Image.new("L", (shot.width, shot.height))
    pixels, row_bytes = memoryview(shot.pixels), shot.width * 4
    for top in range(0, shot.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, shot.height - top)
        part = cast("bytes", pixels[top * row_bytes : (top + rows) * row_bytes])
        grey.paste(Image.frombuffer("RGB", (shot.width, rows), part, "raw", "BGRX", 0, 1).convert("L"), (0, top))
    return grey


def _swapped(picture: Image.Image) -> Image.Image:
    blue, green, red, _ = picture.split()
    return Image.merge("RGB", (red, green, blue))


def _encode_within(picture: Image.Image, settings: PictureSettings) -> bytes | None:
    if settings.format == "png":
        for palette in (False, True):
            data = _png(picture, palette=palette)
            if len(data) <= settings.max_bytes:
                return data
        return None
    quality = settings.quality
    while True:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, subsampling="4:2:0")
        if out.tell() <= settings.max_bytes:
            return out.getvalue()
        if quality <= _LEAST_QUALITY:
            return None
        quality = max(_LEAST_QUALITY, quality - 15)


def _png(picture: Image.Image, *, palette: bool) -> bytes:
    out = io.BytesIO()
    reduced = picture.quantize(256, method=Image.Quantize.FASTOCTREE) if palette else picture
    reduced.save(out, "PNG", compress_level=3)
    return out.getvalue()


def _frame(shot: Shot) -> npt.NDArray[np.uint32]:
    if shot.width < 1 or shot.height < 1 or len(shot.pixels) != shot.width * shot.height * 4:
        raise CaptureError(
            f"The frame of {shot.source.name} has {len(shot.pixels)} bytes instead of {shot.width}x{shot.height}x4.",
            hint="Look again; when it stays, report it: hudctl bugreport.",
        )
    return np.frombuffer(shot.pixels, dtype="<u4").reshape(shot.height, shot.width)


def _digest(data: Any) -> int:
    return xxhash.xxh3_64_intdigest(data)


def _band(shot: Shot, index: int) -> int:
    step = shot.width * 4 * TILE_HEIGHT_PX
    return _digest(memoryview(shot.pixels)[index * step : (index + 1) * step])


def _dirty(new: Sequence[int | None], old: Sequence[int | None]) -> list[int]:
    """Bands that are not known to be equal."""
    return [index for index, (now, then) in enumerate(zip(new, old, strict=True)) if now is None or now != then]


def _sample_rows(band: int) -> slice:
    return slice(band * _ROWS_PER_TILE, (band + 1) * _ROWS_PER_TILE)


def _first_rows_differ(pixels: npt.NDArray[np.uint32], previous: Fingerprint) -> list[bool]:
    """For each band whether the green samples of its first row differ: then it need not be hashed to be found dirty."""
    now = pixels.view(np.uint8)[::TILE_HEIGHT_PX, 1::32]
    return (now != previous.samples[::_ROWS_PER_TILE, ::2]).any(axis=1).tolist()


def _samples(pixels: npt.NDArray[np.uint32]) -> _Samples:
    """One byte for every fourth pixel of every fourth row: green, and in every other column red and blue by turns.

    Taking one channel as it is costs a third less than weighing three, and text of any colour shows in its samples.
    """
    # The frame is read once; what follows reads a sixteenth of it, which the processor still has at hand.
    few = np.ascontiguousarray(pixels[::SAMPLE_STEP_PX, ::SAMPLE_STEP_PX])
    samples = np.empty(few.shape, dtype=np.uint8)
    # Bytes of a pixel: blue, green, red, nothing. Red and blue change places from row to row, so that a line of text
    # meets both.
    channels = few.view(np.uint8)
    samples[:, ::2] = channels[:, 1::8]
    samples[::2, 1::4] = channels[::2, 6::16]
    samples[::2, 3::4] = channels[::2, 12::16]
    samples[1::2, 1::4] = channels[1::2, 4::16]
    samples[1::2, 3::4] = channels[1::2, 14::16]
    return samples


def _differing(now: Fingerprint, before: Fingerprint, first: int, last: int, luma_step: int) -> _Flags:
    """Flags per sample for bands first..last, padded to whole tiles."""
    new = now.samples[first * _ROWS_PER_TILE : last * _ROWS_PER_TILE]
    old = before.samples[first * _ROWS_PER_TILE : last * _ROWS_PER_TILE]
    height, width = new.shape
    columns = -(-width // _COLUMNS_PER_TILE)
    flags = np.zeros(((last - first) * _ROWS_PER_TILE, columns * _COLUMNS_PER_TILE), dtype=np.bool_)
    distance = np.maximum(new, old)
    distance -= np.minimum(new, old)
    np.greater_equal(distance, luma_step, out=flags[:height, :width])
    return flags


def _hide(flags: _Flags, now: Fingerprint, first_band: int, ignored: Sequence[Rect]) -> bool:
    """Clear the flags inside the ignored rectangles; True when there were any."""
    hidden = False
    left, top, width, height = now.source.rect
    for rect in ignored:
        # A frame may have more pixels than the desktop says (macOS), so everything is scaled.
        x0 = (rect[0] - left) * now.width / max(1, width)
        x1 = (rect[0] + rect[2] - left) * now.width / max(1, width)
        y0 = (rect[1] - top) * now.height / max(1, height) - first_band * TILE_HEIGHT_PX
        y1 = (rect[1] + rect[3] - top) * now.height / max(1, height) - first_band * TILE_HEIGHT_PX
        rows = slice(_sample(y0), _sample(y1))
        columns = slice(_sample(x0), _sample(x1))
        part = flags[rows, columns]
        if part.any():
            hidden = True
            part[...] = False
    return hidden


def _sample(pixel: float) -> int:
    """Index of the first sample at or after a pixel."""
    return max(0, -int(-pixel // SAMPLE_STEP_PX))


def _tile_flags(flags: _Flags) -> _Flags:
    """Whether any sample of a tile is set. The samples of a tile's row become one number, and its rows are folded."""
    words = np.packbits(flags, axis=None).view(np.uint16)
    folded = words.reshape(-1, _ROWS_PER_TILE, flags.shape[1] // _COLUMNS_PER_TILE)
    while (half := folded.shape[1] // 2) > 0:
        folded = folded[:, :half] | folded[:, half:]
    return folded[:, 0] != 0


def _span(flags: _Flags, axis: Literal[0, 1]) -> tuple[int, int]:
    """First and one past the last line with a set sample; axis 0 counts rows, 1 columns."""
    places = np.flatnonzero(np.bitwise_or.reduce(flags, axis=1 - axis))
    return int(places[0]), int(places[-1]) + 1


def _rect(flags: _Flags, now: Fingerprint, first_row: int, step_x: int, step_y: int) -> Rect:
    """Smallest rectangle around the set flags, which stand ``step_x`` and ``step_y`` pixels apart, on the desktop."""
    y0, y1 = _span(flags, 0)
    x0, x1 = _span(flags, 1)
    left, top, width, height = now.source.rect
    x_scale, y_scale = width / now.width, height / now.height
    x0, x1 = round(x0 * step_x * x_scale), round(min(now.width, x1 * step_x) * x_scale)
    y0, y1 = round((first_row + y0) * step_y * y_scale), round(min(now.height, (first_row + y1) * step_y) * y_scale)
    return (left + x0, top + y0, x1 - x0, y1 - y0)


def _patches(flags: _Flags, tiles: Tiles, first_band: int) -> int:
    """Size of the largest spot in tiles, however the grid cuts it; see ``Change.patches``."""
    largest = total = 0
    for cluster in tiles.clusters():
        top, left, bottom, right = cluster.bounds()
        part = flags[
            (top - first_band) * _ROWS_PER_TILE : (bottom + 1 - first_band) * _ROWS_PER_TILE,
            left * _COLUMNS_PER_TILE : (right + 1) * _COLUMNS_PER_TILE,
        ]
        y0, y1 = _span(part, 0)
        x0, x1 = _span(part, 1)
        size = min(cluster.count, -(-(x1 - x0) // _COLUMNS_PER_TILE) * -(-(y1 - y0) // _ROWS_PER_TILE))
        largest = max(largest, size)
        total += size
    return max(largest, total // 2)
