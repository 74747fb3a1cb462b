from __future__ import annotations

from hudd.adapters import FramePixels
from hudd.config.settings import GateSettings, PictureSettings
from hudd.flow.watcher import Watcher
from hudd.screen.gate import Decision
from tests.fakes.screen import Canvas


def page(ink: int, ground: int, lines: int = 4) -> Canvas:
    canvas = Canvas(colour=ground)
    for line in range(lines):
        canvas.write(20, 20 + 40 * line, 60, ink)
    return canvas


DAY, NIGHT = (0x202020, 0xFFFFFF), (0xE0E0E0, 0x101018)


def watcher() -> Watcher:
    settings = GateSettings(settle_s=0.0, min_interval_s=0.0)
    return Watcher(page(*DAY).source, settings, FramePixels(PictureSettings(), settings.luma_step))


def look(watching: Watcher, canvas: Canvas, now: float) -> Decision:
    seen = watching.examine(canvas.shot(), ())
    decision = watching.judge(seen, now)
    if decision.action == "send":
        watching.sent(seen, now)
    return decision


def test_a_theme_is_held_back_once_and_words_that_change_later_are_judged_in_its_colours() -> None:
    watching = watcher()
    assert look(watching, page(*DAY), 0.0).reason == "first"
    assert look(watching, page(*NIGHT), 10.0).reason == "colours"
    assert look(watching, page(*NIGHT), 20.0).reason == "same"
    assert look(watching, page(*NIGHT, lines=5), 30.0).reason == "changed"
    assert look(watching, page(*DAY, lines=5), 40.0).reason == "colours"


def test_a_frame_that_did_not_leave_is_news_also_after_a_theme_was_held_back() -> None:
    watching = watcher()
    seen = watching.examine(page(*DAY).shot(), ())
    assert watching.judge(seen, 0.0).action == "send"
    watching.sent(seen, 0.0)
    assert look(watching, page(*NIGHT), 10.0).reason == "colours"
    watching.unsent("of another frame", 20.0)
    assert look(watching, page(*NIGHT), 21.0).reason == "same"
    watching.unsent(seen.print_.hash, 30.0)
    assert look(watching, page(*NIGHT), 40.0).action == "send"


def test_a_theme_and_words_at_once_are_news() -> None:
    watching = watcher()
    look(watching, page(*DAY, lines=2), 0.0)
    assert look(watching, page(*NIGHT, lines=5), 10.0).reason == "changed"
