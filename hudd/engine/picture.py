"""Pictures of the engine: decoding, what can be told without reading, and where text is likely.

Text is many short horizontal jumps of brightness in a low band. So: mark the jumps, drop tall straight ones (window
borders), close the gaps between letters, take the connected pieces as words, and join words that sit on one line.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError

from hudd.engine.findings import Area, PictureFacts, around
from hudd.engine.layout import MOST_LINE_PX, TALL_WORD_PX, Box, join_tiles, join_words, with_headings
from hudd.errors import PictureError

Grey = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]

MAX_PIXELS: Final = 64_000_000  # an 8K screen has 33 million
TILE_PX: Final = 16
CHANGE_STEP: Final = 24  # grey levels; JPEG noise on a still screen stays below
MAX_AREAS: Final = 12
MEDIA_TYPES: Final = {"image/png": "PNG", "image/jpeg": "JPEG", "image/jpg": "JPEG", "image/webp": "WEBP"}

EDGE_STEP: Final = 22  # grey levels between neighbours; dim text on a dark theme still makes 25
LETTER_GAP_PX: Final = 6  # closes the gaps between letters, not between columns
BORDER_PX: Final = 46  # a straight vertical edge this tall is a border, not a letter
MIN_LINE_PX: Final = 5
BORDER_REACH_PX: Final = 3  # how far inside a line's ends a window's border may stand
HEADING_STEP: Final = 4  # so much smaller, the largest headings have the size of plain text
MIN_DENSITY: Final = 0.07  # share of jumps inside a line of text; boxes and ramps have less
PAPER_MARGIN_PX: Final = 2
PAPER_STEP: Final = 70  # grey levels between the backgrounds of two windows
RED_IS_BETTER: Final = 1.25
WEAK_SIDE: Final = 0.75  # a shadow holds less ink than the letters that cast it
VALLEY: Final = 0.25  # rows of a tall piece with fewer jumps than this share of its strong rows part two lines


@dataclass(frozen=True, slots=True)
class Page:
    """A decoded picture: grey and red at full size for reading, a small coloured one for the facts."""

    grey: Image.Image
    small: Image.Image
    red: Image.Image | None = None

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.grey.width

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.grey.height


def decode(data: bytes, media_type: str) -> Page:
    """Decode a picture.

    Args:
        data: The file's bytes.
        media_type: ``image/png``, ``image/jpeg`` or ``image/webp``.

    Raises:
        PictureError: The bytes are no such picture, are cut off, or hold too many pixels.
    """
    kind = MEDIA_TYPES.get(media_type.lower())
    if kind is None:
        raise PictureError(f"A picture of type {media_type!r} cannot be read; send PNG, JPEG or WebP.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=[kind]) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise PictureError(f"The picture has {image.width}x{image.height} pixels, too many to read.")
                plain = image if image.mode in ("RGB", "L") else image.convert("RGBA").convert("RGB")
                grey = plain.convert("L")
                red = plain.getchannel("R") if plain.mode == "RGB" else None
                small = plain.reduce(max(1, plain.width // 240)).convert("RGB")
    except UnidentifiedImageError as error:
        raise PictureError(f"The bytes are no {kind} picture.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("The picture has too many pixels to read.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow's decoders raise on damaged files
        raise PictureError(f"The {kind} picture is damaged: {error}.") from error
    return Page(grey, small, red)


def facts_of(page: Page, before: Page | None) -> PictureFacts:
    """Tell size, brightness and colours of a picture, and where it differs from the one before.

    A picture of another size than the one before counts as not comparable.
    """
    levels = [level for level, count in enumerate(page.grey.histogram()) if count]
    compared = before is not None and before.grey.size == page.grey.size
    areas: tuple[Area, ...] = ()
    fraction = 0.0
    if before is not None and compared:
        areas, fraction = changed_areas(page.grey, before.grey)
    return PictureFacts(
        width=page.width,
        height=page.height,
        brightness=ImageStat.Stat(page.small.convert("L")).mean[0] / 255.0,
        uniform=levels[-1] - levels[0] <= 6,
        colours=_dominant_colours(page.small),
        compared=compared,
        changed=around(areas) if areas else None,
        changed_fraction=fraction,
        changed_areas=areas,
    )


def changed_areas(now: Image.Image, before: Image.Image) -> tuple[tuple[Area, ...], float]:
    """Find the rectangles (a tile grid, neighbours joined) where two grey pictures of one size differ.

    Returns:
        The largest rectangles first, at most ``MAX_AREAS`` (further ones are joined into the last), and the share of
        the picture's tiles that changed.
    """
    difference = ImageChops.difference(now, before)
    if difference.getbbox() is None:
        return (), 0.0
    marks = difference.point([0] * CHANGE_STEP + [255] * (256 - CHANGE_STEP))
    if marks.getbbox() is None:
        return (), 0.0
    tiles = marks.reduce(TILE_PX).point([0] + [255] * 255)
    across, down = tiles.size
    data = tiles.tobytes()
    changed = {(i % across, i // across) for i, value in enumerate(data) if value}
    fraction = len(changed) / (across * down)
    boxes = sorted(join_tiles(changed), key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))
    areas = [_tiles_to_area(box, now.width, now.height) for box in boxes]
    if len(areas) > MAX_AREAS:
        areas = [*areas[: MAX_AREAS - 1], around(areas[MAX_AREAS - 1 :])]
    return tuple(areas), fraction


def _tiles_to_area(box: Box, width: int, height: int) -> Area:
    left, top = box[0] * TILE_PX, box[1] * TILE_PX
    return Area(left, top, min(width, box[2] * TILE_PX) - left, min(height, box[3] * TILE_PX) - top)


def _dominant_colours(small: Image.Image, limit: int = 3) -> tuple[str, ...]:
    """The most common colours as ``#rrggbb``, most common first; only those that fill a tenth of the picture."""
    coarse = small.quantize(8, method=Image.Quantize.MEDIANCUT)
    palette = coarse.getpalette() or []
    counts = coarse.histogram()
    total = small.width * small.height
    order = sorted(range(min(8, len(palette) // 3)), key=lambda i: -counts[i])
    wanted = [i for i in order[:limit] if counts[i] * 10 >= total]
    return tuple("#" + "".join(f"{value:02x}" for value in palette[3 * i : 3 * i + 3]) for i in wanted)


def find_segments(grey: Grey) -> list[Area]:
    """Find the lines of likely text.

    Args:
        grey: Brightness, one byte a pixel, rows first.

    Returns:
        One area a line piece (words further apart than a space is wide are separate pieces), top to bottom.
    """
    step = max(1, grey.shape[1] // 1440)  # big screens are drawn at 2x or more: look at every second pixel
    areas = with_headings(_segments_at(grey, step), _segments_at(grey, HEADING_STEP * step), BORDER_PX * step * 3 // 4)
    areas = [part for area in areas for part in _split_at_papers(grey, area)]
    areas.sort(key=lambda a: (a.top, a.left))
    return areas


def _split_at_papers(grey: Grey, area: Area) -> list[Area]:
    """Part a line where its background changes for good: the edge of a window that covers another one.

    Only the margins above and below the line are looked at, which letters do not fill; both have to change.
    """
    reach, room = 2 * area.height, PAPER_MARGIN_PX
    if area.width < 2 * reach or area.top < room or area.top + area.height + room > grey.shape[0]:
        return [area]
    across = slice(area.left, area.left + area.width)
    above = grey[area.top - room : area.top, across].astype(np.int16)
    below = grey[area.top + area.height : area.top + area.height + room, across].astype(np.int16)
    rows = np.stack([np.median(above, axis=0), np.median(below, axis=0)])
    papers = np.median(np.lib.stride_tricks.sliding_window_view(rows, reach, axis=1), axis=2)
    changes = np.abs(papers[:, reach:] - papers[:, :-reach]).min(axis=0)  # from the left to the right of each place
    if not changes.size or float(changes.max()) <= PAPER_STEP:
        return [area]
    first = int(changes.argmax())
    near = first + reach // 2
    edge = near + 1 + int(np.abs(np.diff(rows[:, near : first + 2 * reach])).sum(axis=0).argmax())
    if min(edge, area.width - edge) < area.height:
        return [area]
    left = Area(area.left, area.top, edge, area.height)
    right = Area(area.left + edge, area.top, area.width - edge, area.height)
    return [*_split_at_papers(grey, left), *_split_at_papers(grey, right)]


def _segments_at(grey: Grey, step: int) -> list[Area]:
    """Segments of a picture seen ``step`` times smaller, in pixels of the whole one."""
    height, width = grey.shape
    small = grey[::step, ::step]
    if small.shape[0] < MIN_LINE_PX or small.shape[1] < MIN_LINE_PX:
        return []
    edges = _edges(small)
    pieces = _split_rows(edges, _components(*_close_gaps(edges, LETTER_GAP_PX)))
    areas: list[Area] = []
    for x0, y0, x1, y1 in join_words(pieces):
        tall, wide = y1 - y0, x1 - x0
        if not MIN_LINE_PX <= tall <= MOST_LINE_PX or wide < 1.2 * tall:
            continue
        if float(edges[y0:y1, x0:x1].mean()) < MIN_DENSITY:
            continue
        left, top, right, bottom = x0 * step, y0 * step, min(width, x1 * step), min(height, y1 * step)
        areas.append(Area(left, top, right - left, bottom - top))
    return areas


def cut(grey: Grey, area: Area, margin_px: int = 0) -> Grey:
    """The pixels of an area, with a margin where the picture has one."""
    return grey[
        max(0, area.top - margin_px) : area.top + area.height + margin_px,
        max(0, area.left - margin_px) : area.left + area.width + margin_px,
    ]


def same_strip(now: Grey, before: Grey) -> bool:
    """Tell whether two strips show the same text, allowing for the noise of JPEG but not for one changed letter."""
    if now.shape != before.shape or now.size == 0:
        return False
    difference = np.maximum(now, before) - np.minimum(now, before)
    largest = int(difference.max())
    if largest <= 8:
        return True
    contrast = max(int(now.max()) - int(now.min()), int(before.max()) - int(before.min()))
    return largest <= 0.3 * contrast and float(difference.mean()) <= 0.06 * contrast


def clearest(grey: Grey, red: Grey | None, area: Area) -> Grey:
    """The plane on which a line stands out most: red where it is clearly better than grey.

    To grey, red letters on black are dim, and white ones on the light blue of a title as well.
    """
    if red is None:
        return grey
    return red if _contrast(cut(red, area)) > RED_IS_BETTER * _contrast(cut(grey, area)) else grey


def _contrast(strip: Grey) -> float:
    paper = int(np.bincount(strip.ravel(), minlength=256).argmax())
    return float(np.percentile(np.abs(strip.astype(np.int16) - paper), 97))


def dark_on_white(grey: Grey, area: Area, margin_px: int = 3) -> Grey:
    """Cut a line out and make it dark on white, each word stretched to full contrast, whatever its colours were."""
    strip = cut(grey, area, margin_px)
    paper = int(np.bincount(strip.ravel(), minlength=256).argmax())
    ink = _without_shadows(strip.astype(np.float32) - paper, area.height)
    _wipe_borders(ink, margin_px + BORDER_REACH_PX)
    columns = np.sort(ink, axis=0)[-min(2, ink.shape[0])]
    reach = (2 * area.height) | 1
    pad = reach // 2
    peaks = np.lib.stride_tricks.sliding_window_view(np.pad(columns, pad, mode="edge"), reach).max(axis=1)
    sums = np.concatenate([np.zeros(1), np.cumsum(np.pad(peaks, pad, mode="edge"))])
    strength = np.maximum((sums[reach:] - sums[:-reach]) / reach, 40.0)  # below 40 levels it is noise, not dim text
    return (255.0 - np.minimum(255.0, ink * (255.0 / strength))).astype(np.uint8)


def _without_shadows(difference: npt.NDArray[np.float32], height: int) -> npt.NDArray[np.float32]:
    """Ink of a strip: what is brighter than the paper or what is darker, whichever is more around a place.

    A title's light letters often cast a dark shadow, which would make other letters of them. Where both sides hold
    about as much, two inks stand on one paper and both count.
    """
    light, dark = np.maximum(difference, 0.0), np.maximum(-difference, 0.0)
    reach = (4 * height) | 1
    kernel = np.ones(reach, dtype=np.float32)
    light_here = np.convolve(np.pad(light.sum(axis=0), reach // 2), kernel, "valid")
    dark_here = np.convolve(np.pad(dark.sum(axis=0), reach // 2), kernel, "valid")
    light[:, light_here < WEAK_SIDE * dark_here] = 0.0
    dark[:, dark_here < WEAK_SIDE * light_here] = 0.0
    return np.maximum(light, dark)


def _wipe_borders(ink: npt.NDArray[np.float32], reach_px: int) -> None:
    """Take out a straight bar at either end and all beyond it: a window's border, which would be read as a letter.

    A letter never fills the margins above and below the line; a border does.
    """
    if ink.shape[0] < MIN_LINE_PX or ink.shape[1] < 4 * reach_px:
        return
    bars = ink.min(axis=0) > 40.0  # as dim as text may be
    left, right = np.flatnonzero(bars[:reach_px]), np.flatnonzero(bars[-reach_px:])
    if left.size:
        ink[:, : int(left[-1]) + 1] = 0.0
    if right.size:
        ink[:, ink.shape[1] - reach_px + int(right[0]) :] = 0.0


def _edges(grey: Grey) -> _Mask:
    edges: _Mask = np.zeros(grey.shape, dtype=np.bool_)
    here, there = grey[:, :-1], grey[:, 1:]
    edges[:, :-1] = (np.maximum(here, there) - np.minimum(here, there)) > EDGE_STEP
    height = edges.shape[0]
    if height <= BORDER_PX:
        return edges
    counts = np.zeros((height + 1, edges.shape[1]), dtype=np.int32)
    np.cumsum(edges, axis=0, out=counts[1:])
    full = (counts[BORDER_PX:] - counts[:-BORDER_PX]) == BORDER_PX
    if full.any():
        cover = np.zeros((height + 1, edges.shape[1]), dtype=np.int16)
        cover[: height - BORDER_PX + 1] += full
        cover[BORDER_PX : height + 1] -= full
        edges &= np.cumsum(cover, axis=0)[:height] == 0
    return edges


def _close_gaps(mask: _Mask, gap_px: int) -> tuple[_Ints, _Ints, _Ints]:
    """Horizontal runs of the mask, joined where the gap is small: rows, starts, ends."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    if rows.size == 0:
        return rows, starts, ends
    apart = (rows[1:] != rows[:-1]) | (starts[1:] - ends[:-1] > gap_px)
    edge = np.ones(1, dtype=np.bool_)
    first, last = np.concatenate([edge, apart]), np.concatenate([apart, edge])
    return rows[first], starts[first], ends[last]


def _components(rows: _Ints, starts: _Ints, ends: _Ints) -> list[Box]:
    """Bounding boxes (left, top, right, bottom) of runs that touch from row to row."""
    count = len(rows)
    if count == 0:
        return []
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    begins: list[int] = starts.tolist()
    stops: list[int] = ends.tolist()
    row_numbers, firsts = np.unique(rows, return_index=True)
    bounds: list[int] = [*firsts.tolist(), count]
    numbers: list[int] = row_numbers.tolist()
    for k in range(len(numbers) - 1):
        if numbers[k + 1] != numbers[k] + 1:
            continue
        a, a_end, b, b_end = bounds[k], bounds[k + 1], bounds[k + 1], bounds[k + 2]
        while a < a_end and b < b_end:
            if begins[a] < stops[b] and begins[b] < stops[a]:
                root_a, root_b = root(a), root(b)
                if root_a != root_b:
                    parent[root_b] = root_a
            if stops[a] < stops[b]:
                a += 1
            else:
                b += 1
    roots = np.array([root(i) for i in range(count)], dtype=np.int64)
    names, which = np.unique(roots, return_inverse=True)
    big = np.iinfo(np.int64).max
    boxes = np.tile(np.array([big, big, 0, 0], dtype=np.int64), (len(names), 1))
    np.minimum.at(boxes[:, 0], which, starts)
    np.minimum.at(boxes[:, 1], which, rows)
    np.maximum.at(boxes[:, 2], which, ends)
    np.maximum.at(boxes[:, 3], which, rows + 1)
    return [(box[0], box[1], box[2], box[3]) for box in boxes.tolist()]


def _split_rows(edges: _Mask, boxes: list[Box]) -> list[Box]:
    """Cut tall pieces at their empty rows; drop specks, bars and what is too tall for text."""
    pieces: list[Box] = []
    for left, top, right, bottom in boxes:
        tall, wide = bottom - top, right - left
        if tall < 2 or (tall < 4 and wide < 2) or (tall > 14 and wide <= 4):
            continue
        if tall > TALL_WORD_PX and wide > tall:
            profile = edges[top:bottom, left:right].sum(axis=1)
            strong = float(np.sort(profile)[-max(1, tall // 3) :].mean())
            on = np.concatenate([[0], (profile > VALLEY * strong).astype(np.int8), [0]])
            begins, ends = np.nonzero(np.diff(on) == 1)[0].tolist(), np.nonzero(np.diff(on) == -1)[0].tolist()
            if len(begins) > 1 and max(e - b for b, e in zip(begins, ends, strict=True)) <= 34:
                rows = [(b, e) for b, e in zip(begins, ends, strict=True) if e - b >= MIN_LINE_PX]
                pieces.extend((left, top + b, right, top + e) for b, e in rows)
                continue
        if tall <= MOST_LINE_PX:
            pieces.append((left, top, right, bottom))
    return pieces
