from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hudd.adapters
from hudd.adapters import (
    Endpoint,
    FramePixels,
    engine_arguments,
    is_alive,
    load_prices,
    picture_settings,
    shipped_text,
)
from hudd.cli import main
from hudd.config.settings import CostSettings, EngineSettings, PictureSettings, RealtimeSettings, Settings
from hudd.errors import EXIT_SETTINGS, KeyMissingError, LinkRefusedError, SettingsError
from hudd.model import Usage
from tests.fakes.screen import Canvas

SERVICE = Settings(realtime=RealtimeSettings(use="service", url="wss://example.test/v1/realtime"))
MICRO = 1_000_000


def test_pictures_shrink_until_it_is_no_use() -> None:
    pixels = FramePixels(PictureSettings(long_side_px=1280, quality=90), 8)
    canvas = Canvas(1280, 800)
    for top in range(0, 800, 8):
        canvas.fill((top % 48, top, 1200 - top, 4), top * 7919)
    before = len(pixels.encode(canvas.shot(), frame_hash="x").data)
    shrunk = 0
    while pixels.shrink():
        shrunk += 1
        after = len(pixels.encode(canvas.shot(), frame_hash="x").data)
        assert after <= before // 2
        before = after
    assert shrunk >= 1
    assert before // 2 < 20_000, "it went on for as long as text could be read"


class Opened:
    """Records how a link is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.hidden: list[str] = []
        self.log: Any = SimpleNamespace(mask=SimpleNamespace(hide=self.hidden.append))
        monkeypatch.setattr(hudd.adapters, "open_link", self.open_link)

    async def open_link(self, url: str, headers: dict[str, str], **options: Any) -> object:
        self.calls.append((url, headers, options))
        return self


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    return Opened(monkeypatch)


async def test_the_service_is_asked_with_the_key_that_is_hidden_from_the_log_first(opened: Opened) -> None:
    link = await Endpoint(SERVICE, {"HUDD_REALTIME_KEY": "sk-larkspur-123456"}, None, opened.log).open()
    assert link is opened
    ((url, headers, _),) = opened.calls
    assert url.startswith("wss://example.test/v1/realtime?")
    assert f"model={SERVICE.realtime.model}" in url
    assert headers == {"Authorization": "Bearer sk-larkspur-123456"}
    assert opened.hidden == ["sk-larkspur-123456"]


async def test_the_local_engine_is_asked_with_the_token_that_its_parent_made_up(opened: Opened) -> None:
    engine: Any = SimpleNamespace(address=SimpleNamespace(url="ws://127.0.0.1:4242/v1/realtime", token="made-up"))
    await Endpoint(Settings(), {"OPENAI_API_KEY": "sk-lies-around"}, engine, opened.log).open()
    ((url, headers, _),) = opened.calls
    assert url.startswith("ws://127.0.0.1:4242/v1/realtime")
    assert headers == {"Authorization": "Bearer made-up"}


async def test_an_engine_that_is_not_up_yet_is_waited_for(opened: Opened) -> None:
    engine: Any = SimpleNamespace(address=None)
    with pytest.raises(LinkRefusedError, match="not up yet"):
        await Endpoint(Settings(), {}, engine, opened.log).open()
    assert opened.calls == []


async def test_without_a_key_nothing_is_opened(opened: Opened) -> None:
    with pytest.raises(KeyMissingError, match="no key"):
        await Endpoint(SERVICE, {}, None, opened.log).open()
    assert opened.calls == []


async def test_a_key_file_that_is_open_to_others_is_for_a_person_to_mend_and_no_crash(
    tmp_path: Path, opened: Opened
) -> None:
    file = tmp_path / "key"
    file.write_text("sk-larkspur-123456")
    file.chmod(0o644)
    settings = replace(SERVICE, realtime=replace(SERVICE.realtime, key_file=str(file)))
    with pytest.raises(KeyMissingError, match=str(file)) as refused:
        await Endpoint(settings, {}, None, opened.log).open()
    assert "larkspur" not in str(refused.value)
    assert opened.calls == []
    file.chmod(0o600)
    await Endpoint(settings, {}, None, opened.log).open()
    assert len(opened.calls) == 1


def test_the_pixel_work_has_the_settings_filled_in() -> None:
    before = Canvas(640, 320, 0x808080).shot()
    after = Canvas(640, 320, 0x909090).shot()
    for luma_step, tiles in ((4, 100), (64, 0)):
        pixels = FramePixels(PictureSettings(format="png", long_side_px=256), luma_step)
        old = pixels.fingerprint(before, None)
        change = pixels.compare(pixels.fingerprint(after, old), old, ignored=())
        assert change.tiles.count == tiles
    picture = pixels.encode(after, frame_hash="9f3c")
    assert (picture.media_type, picture.width, picture.hash) == ("image/png", 256, "9f3c")


def test_the_engine_is_started_with_its_settings() -> None:
    settings = Settings(engine=EngineSettings(reader="none", budget_s=1.5, idle_s=7.0, answers="canned"))
    arguments = engine_arguments(settings)
    assert (arguments.reader, arguments.budget_s, arguments.idle_s) == ("none", 1.5, 7.0)
    assert arguments.answers == "canned"


def test_prices_of_a_person_replace_and_add_to_the_shipped_ones(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('date = 2026-12-01\n[models."my-model"]\ntext_in = 1_000_000\ntext_out = 2_000_000\n')
    usage = Usage(input_tokens=MICRO, text_tokens=MICRO)
    shipped = load_prices(Settings(), {})
    assert shipped.cost_microusd(usage, "my-model") is None
    own = load_prices(Settings(cost=CostSettings(prices_file="~/prices.toml")), {"HOME": str(tmp_path)})
    assert own.cost_microusd(usage, "my-model") == MICRO
    assert own.cost_microusd(usage, "gpt-realtime-1.5") == shipped.cost_microusd(usage, "gpt-realtime-1.5")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"[models", b'[models."m"]\ntext_in = "free"\n'])
def test_prices_that_cannot_be_read_are_a_mistake_in_the_settings_that_names_the_file(
    content: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "prices.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"prices\.toml"):
        load_prices(Settings(cost=CostSettings(prices_file=str(file))), {})


def test_what_is_shipped_can_be_read() -> None:
    assert "[models" in shipped_text("prices.toml")
    assert shipped_text("instructions.txt").strip()


def test_a_process_is_alive_until_it_was_waited_for() -> None:
    assert is_alive(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert not is_alive(child.pid)


@pytest.mark.parametrize("pid", [2**31 - 1, 2**40, 2**70])
def test_a_number_that_is_no_process_is_not_alive(pid: int) -> None:
    assert not is_alive(pid)


def test_the_local_engine_gets_large_and_clear_pictures_unless_somebody_said_otherwise() -> None:
    local = picture_settings(Settings())
    assert (local.long_side_px, local.quality) == (2560, 92)
    asked = picture_settings(replace(Settings(), picture=PictureSettings(long_side_px=800, quality=60)))
    assert (asked.long_side_px, asked.quality) == (800, 60)
    paid = picture_settings(replace(Settings(), realtime=RealtimeSettings(use="service")))
    assert paid == PictureSettings()


@pytest.mark.parametrize("key", ['notes]\nprofile = "/no/such/file"', 'cost]\nprices_file = "/no/such/file"'])
def test_check_also_reads_the_files_that_the_settings_name(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[{key}\n", encoding="utf-8")
    assert main(["--config", str(config), "--check"]) == EXIT_SETTINGS
    assert "/no/such/file" in capsys.readouterr().err
    config.write_text("", encoding="utf-8")
    assert main(["--config", str(config), "--check"]) == 0


def test_check_also_looks_whether_another_machine_could_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUDD_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HUDD_BUS_REMOTE", "tcp://127.0.0.1:7433")
    assert main(["--check"]) == EXIT_SETTINGS
    assert "hudctl key add NAME" in capsys.readouterr().err


def test_another_key_is_known_from_the_one_that_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-larkspur-123456", encoding="utf-8")
    path.chmod(0o600)
    settings = replace(SERVICE, realtime=replace(SERVICE.realtime, key_file=str(path)))
    endpoint = Endpoint(settings, {}, None, SimpleNamespace())  # type: ignore[arg-type]  # no link is opened
    assert endpoint.key_news(settings) == (False, ""), "none was shown yet"
    endpoint._key = "sk-foxglove-654321"
    assert endpoint.key_news(settings) == (True, "")
    path.chmod(0o644)
    assert "chmod 600" in endpoint.key_news(settings)[1]
