"""A real daemon on a real desktop with a window that must not be seen."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hudctl import Client, HudctlError
from hudd.engine.commands import Ask
from hudd.engine.ocr import best_reader
from hudd.engine.picture import Page
from hudd.screen.mask import COLOUR
from tests.fakes.daemon import DaemonProcess
from tests.fakes.desks import XDesk, manage, x_desk
from tests.fakes.screen import x_server
from tests.soak.service import KEY, MODEL, Answering, Service

pytestmark = pytest.mark.slow


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 20.0
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def started(folder: Path, desk: XDesk, **settings: object) -> DaemonProcess:
    daemon = DaemonProcess(folder, privacy_exclude_apps='["hudd-secret"]', engine_answers="canned", **settings)
    daemon.environ |= desk.environ
    return daemon


def reasons(client: Client) -> list[str]:
    return client.call("status")["sending"]["reasons"]


def test_a_snap_says_what_withholds_and_works_when_the_window_is_gone(tmp_path: Path) -> None:
    with x_desk() as desk, started(tmp_path, desk) as daemon:
        daemon.start().ready()
        with Client(timeout_s=20, runtime_dir=tmp_path / "run") as client:
            client.snap()
            desk.secret(shown=True)
            until(lambda: reasons(client) == ["excluded"])
            with pytest.raises(HudctlError, match=r"window that \[privacy\] excludes") as caught:
                client.snap()
            assert caught.value.code == "E_STATE"
            assert "Vault" not in str(client.call("status"))  # titles are nobody's business
            desk.secret(shown=False)
            until(lambda: not reasons(client))
            client.snap()


def test_a_masked_window_is_counted_in_the_note_and_in_the_journal(tmp_path: Path) -> None:
    with x_desk() as desk, started(tmp_path, desk, privacy_on_excluded="mask") as daemon:
        daemon.start().ready()
        with Client(timeout_s=20, runtime_dir=tmp_path / "run") as client:
            desk.secret(shown=True)
            until(lambda: client.snap().pictures[0].masked == 1)
            kept = client.call("notes.since", seq=0, limit=500)["notes"]
            assert kept[-1]["snap"]["pictures"][0]["masked"] == 1
            assert reasons(client) == []


def test_strict_withholds_where_a_lock_cannot_be_known(tmp_path: Path) -> None:
    with x_desk() as desk, started(tmp_path, desk, privacy_strict=True) as daemon:
        for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
            daemon.environ[name] = "unix:path=/nonexistent/bus"
        daemon.start().ready("connected")
        with Client(timeout_s=20, runtime_dir=tmp_path / "run") as client:
            assert "not_strict_enough" in reasons(client)
            facts = {fact["name"]: fact["state"] for fact in client.call("status")["privacy"]["facts"]}
            assert (facts["lock"], facts["windows"]) == ("not_available", "known")


CARD = "4111 1111 1111 1111"
"""A number that cards are tested with; its last digit is right (Luhn)."""


class Teller(Answering):
    """Answers with a card number, as a model that knew it would."""

    async def answer(self, ask: Ask) -> AsyncGenerator[str, None]:
        del ask
        for piece in ("A letter of Larkspur with the card ", CARD[:9], CARD[9:], "."):
            yield piece


class Keeping(Service):
    """A service that keeps the pictures that it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.answering = Teller()
        self.pictures: list[Image.Image] = []

    def received(self, index: int, frame: str | bytes) -> None:
        event: Any = json.loads(frame)
        if event.get("type") == "response.create":
            for item in event["response"]["input"]:
                for part in item["content"]:
                    if part["type"] == "input_image":
                        data = base64.b64decode(part["image_url"].partition(",")[2])
                        self.pictures.append(Image.open(io.BytesIO(data)).convert("RGB"))
        super().received(index, frame)


def words_on(picture: Image.Image) -> str:
    """What the real reader finds on a picture."""
    reader = best_reader()
    assert reader.name != "none"
    sheet = reader.find_lines(Page(picture.convert("L"), picture.reduce(4), picture.getchannel("R")))
    read = reader.read_lines(sheet, sheet.areas, time.monotonic() + 60.0)
    return " ".join(line.text for lines in read for line in lines or ())


def painted_over(picture: Image.Image) -> int:
    """How many pixels have the colour of what was painted over, as far as JPEG keeps it."""
    blue, green, red = COLOUR[:3]
    colours = picture.getcolors(picture.width * picture.height)
    assert colours is not None
    return sum(count for count, (r, g, b) in colours if max(abs(r - red), abs(g - green), abs(b - blue)) < 10)


def test_a_card_number_in_a_window_is_painted_over_before_it_leaves_and_counted(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text(f"Invoice of Larkspur Harbour\n\nCard {CARD} valid\n\nThank you for sailing\n")
    with x_server((1000, 500)) as server, Keeping() as service:
        manage(server)
        font = ("-fa", "DejaVu Sans Mono", "-fs", "14", "-fg", "black", "-bg", "white")
        server.start("xterm", *font, "-geometry", "60x12+40+40", "-e", "sh", "-c", f"cat {page}; exec sleep 100")
        settings = {
            "realtime_use": "service", "realtime_model": MODEL, "realtime_url": service.url,
            "privacy_redact": True, "gate_heartbeat_s": 0, "cost_cap_day_usd": 100.0,
        }  # fmt: skip
        with DaemonProcess(tmp_path, display=server.environ["DISPLAY"], **settings) as daemon:
            daemon.environ["HUDD_REALTIME_KEY"] = KEY
            daemon.start().ready()
            with Client(timeout_s=30, runtime_dir=tmp_path / "run") as client:
                until(lambda: client.snap().pictures[0].redacted == 1)
                kept = client.call("notes.since", seq=0, limit=500)["notes"]
        assert kept[-1]["snap"]["pictures"][0]["redacted"] == 1
        assert "Larkspur" in kept[-1]["text"]
        assert service.pictures
        for picture in service.pictures:
            assert "4111" not in words_on(picture)
        assert "Larkspur" in words_on(service.pictures[-1])
        assert painted_over(service.pictures[-1]) > 1000
        written = (tmp_path / "state" / "journal.db").read_bytes()
        for place in (*(note["text"] for note in kept), daemon.log(), written.decode("latin-1")):
            assert "1111 1111" not in place
