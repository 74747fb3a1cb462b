"""The reading process and its parent's side: real processes, started, killed, left alone."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageDraw, ImageFont

from hudd.engine.errors import ReaderClosedError, ReaderCrashedError, ReaderError, ReaderOverrunError
from hudd.engine.ocr import best_reader
from hudd.engine.reader_process import ReaderProcess
from hudd.engine.worker import LENGTH, Describer, read_frame, serve
from hudd.errors import PictureError

ROOT = Path(__file__).resolve().parents[2]


def picture(*lines: str, size: tuple[int, int] = (900, 400), kind: str = "PNG") -> bytes:
    image = Image.new("RGB", size, (250, 250, 250))
    pen = ImageDraw.Draw(image)
    for n, text in enumerate(lines):
        pen.text((40, 30 + 30 * n), text, fill=(20, 20, 20), font=ImageFont.load_default(17))
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def need(name: str) -> None:
    try:
        best_reader(name)
    except ReaderError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{error}")


@pytest.fixture
async def blind() -> AsyncIterator[ReaderProcess]:
    """A process without a text library: fast to start, and the same in every other way."""
    reader = ReaderProcess(reader="none")
    yield reader
    await reader.close()


async def gone(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        await asyncio.sleep(0.05)
    return False


def header(number: int = 1, **changes: object) -> dict[str, object]:
    head: dict[str, object] = {
        "id": number, "stream": "s", "media_type": "image/png", "max_tokens": 200, "whole": False, "budget_s": 3.0, "told": 0,
    }  # fmt: skip
    return head | changes


# The child's side, in this process.


def test_frames_go_in_and_answers_come_out():
    data = picture()
    text = json.dumps(header(size=len(data))).encode()
    sink = io.BytesIO()
    serve(io.BytesIO(LENGTH.pack(len(text)) + text + data), sink, Describer("none"))
    (length,) = LENGTH.unpack(sink.getvalue()[:4])
    answer = json.loads(sink.getvalue()[4 : 4 + length])
    assert answer["id"] == 1
    assert answer["reader"] == "none"
    assert "one colour" in answer["text"]


@pytest.mark.parametrize("frame", [b"", b"\0\0", b"\0\0\0\x09{}", b"\0\0\0\x0a" + b'{"size":9}' + b"abc"])
def test_a_pipe_that_ends_within_a_frame_is_an_end(frame: bytes):
    assert read_frame(io.BytesIO(frame)) is None


def test_a_header_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="too long"):
        read_frame(io.BytesIO(b"\xff\xff\xff\xff"))


def test_the_memory_compares_with_the_last_delivered_picture():
    describer = Describer("none")
    first, second = picture(), picture("something is here now")
    describer.answer(header(1), first, time.monotonic())
    assert describer.answer(header(2, told=0), second, time.monotonic())["changed_fraction"] == 1.0  # 1 never arrived
    assert 0 < describer.answer(header(3, told=2), first, time.monotonic())["changed_fraction"] < 0.2
    assert describer.answer(header(4, told=2), second, time.monotonic())["changed_fraction"] == 0.0  # 3 never arrived


def test_streams_do_not_see_each_other_and_old_ones_are_forgotten():
    describer = Describer("none")
    data = picture("some words")
    for number, name in enumerate("abcd", start=1):
        assert describer.answer(header(number, stream=name), data, time.monotonic())["changed_fraction"] == 1.0
    assert describer.answer(header(5, stream="a", told=1), data, time.monotonic())["changed_fraction"] == 0.0
    describer.answer(header(6, stream="e"), data, time.monotonic())
    assert describer.answer(header(7, stream="b", told=2), data, time.monotonic())["changed_fraction"] == 1.0


# The parent's side.


def test_the_parent_side_is_light():
    code = (
        "import sys, hudd.engine.reader_process; print(*(m for m in ('PIL', 'numpy', 'tesserocr') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.strip() == ""


@pytest.mark.slow
async def test_a_picture_is_described(blind: ReaderProcess):
    assert blind.pid is None
    described = await blind.describe(picture("words"), "image/png")
    assert described.text.endswith("Install hudd[local] to read the text.")
    assert (described.width, described.height, described.reader) == (900, 400, "none")
    assert blind.pid is not None


@pytest.mark.slow
async def test_what_is_no_picture_is_an_error_and_the_process_lives_on(blind: ReaderProcess):
    with pytest.raises(PictureError, match="no PNG picture"):
        await blind.describe(b"nonsense", "image/png")
    pid = blind.pid
    await blind.describe(picture(), "image/png")
    assert blind.pid == pid


@pytest.mark.slow
async def test_calls_queue_and_each_gets_its_own_answer(blind: ReaderProcess):
    sizes = [(200 + 10 * n, 100) for n in range(12)]
    answers = await asyncio.gather(*(blind.describe(picture(size=size), "image/png") for size in sizes))
    assert [(a.width, a.height) for a in answers] == sizes


@pytest.mark.slow
async def test_after_a_crash_the_next_picture_starts_a_new_process(blind: ReaderProcess):
    await blind.describe(picture(), "image/png")
    first = blind.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert (await blind.describe(picture(), "image/png")).width == 900
    assert blind.pid not in (None, first)


@pytest.mark.slow
async def test_cancelled_calls_leave_the_process_usable(blind: ReaderProcess):
    await blind.describe(picture(), "image/png")
    pid = blind.pid
    for delay_s in (0.0, 0.001, 0.01, 0.03):
        calls = [asyncio.create_task(blind.describe(picture("lost"), "image/png")) for _ in range(3)]
        await asyncio.sleep(delay_s)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    described = await blind.describe(picture(size=(300, 200)), "image/png")
    assert described.width == 300
    assert blind.pid == pid


@pytest.mark.slow
async def test_a_cancelled_picture_does_not_count_as_told(blind: ReaderProcess):
    await blind.describe(picture(), "image/png")
    call = asyncio.create_task(blind.describe(picture("many words", "that nobody was told"), "image/png"))
    await asyncio.sleep(0.005)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await blind.describe(picture(), "image/png")).changed_fraction == 0.0


@pytest.mark.slow
async def test_a_process_that_hangs_is_killed_and_replaced():
    reader = ReaderProcess(reader="none", budget_s=0.2, grace_s=0.5)
    try:
        async with asyncio.timeout(30):
            while True:  # the first start alone may take longer than this patience
                try:
                    await reader.describe(picture(), "image/png")
                    break
                except ReaderOverrunError:
                    reader._grace_s += 1.0
        pid = reader.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ReaderOverrunError, match="took longer than"):
            await reader.describe(picture(), "image/png")
        assert await gone(pid)
        reader._grace_s = 20.0
        await reader.describe(picture(), "image/png")
    finally:
        await reader.close()


@pytest.mark.slow
async def test_a_process_that_cannot_start_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "broken").write_text("#!/bin/sh\necho 'the last words' >&2\nexit 3\n")
    (tmp_path / "broken").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "broken"))
    reader = ReaderProcess(reader="none")
    with pytest.raises(ReaderCrashedError, match=r"ended twice over one picture\. the last words"):
        await reader.describe(picture(), "image/png")
    await reader.close()


@pytest.mark.slow
async def test_an_idle_process_is_ended_and_started_again():
    reader = ReaderProcess(reader="none", idle_s=0.2)
    await reader.describe(picture(), "image/png")
    pid = reader.pid
    assert pid is not None
    assert await gone(pid)
    assert reader.pid is None
    described = await reader.describe(picture(), "image/png")
    assert described.changed_fraction == 1.0  # it has nothing to compare with
    await reader.close()


@pytest.mark.slow
async def test_what_is_forgotten_ends_with_the_process(blind: ReaderProcess):
    await blind.describe(picture("The old secret"), "image/png")
    pid = blind.pid
    assert pid is not None
    await blind.forget()
    assert await gone(pid)
    described = await blind.describe(picture("The old secret"), "image/png")
    assert described.changed_fraction == 1.0  # it has nothing to compare with


@pytest.mark.slow
async def test_close_ends_the_process_and_calls_under_way():
    reader = ReaderProcess(reader="none")
    await reader.describe(picture(), "image/png")
    pid = reader.pid
    assert pid is not None
    calls = [asyncio.create_task(reader.describe(picture("words"), "image/png")) for _ in range(3)]
    await asyncio.sleep(0)
    await reader.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, ReaderClosedError) for result in results), results
    assert await gone(pid)
    with pytest.raises(ReaderClosedError):
        await reader.describe(picture(), "image/png")
    await reader.close()


@pytest.mark.slow
async def test_the_process_ends_with_its_parent():
    parent = textwrap.dedent("""
        import asyncio, io, sys
        from PIL import Image
        from hudd.engine.reader_process import ReaderProcess
        async def main():
            reader = ReaderProcess(reader="none")
            data = io.BytesIO(); Image.new("RGB", (64, 64)).save(data, "PNG")
            await reader.describe(data.getvalue(), "image/png")
            print(reader.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert psutil.pid_exists(pid)
    process.kill()
    await process.wait()
    assert await gone(pid)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tesserocr", "rapidocr"])
async def test_a_real_reader_tells_what_is_new(name: str):
    need(name)
    reader = ReaderProcess(reader=name, budget_s=30.0)
    try:
        first = await reader.describe(picture("Weekly plan of the larkspur team"), "image/png")
        assert '"Weekly plan of the larkspur team"' in first.text
        again = await reader.describe(picture("Weekly plan of the larkspur team"), "image/png")
        assert again.text.startswith("Nothing changed on the screen.")
        assert again.new_lines == 0
        second = await reader.describe(
            picture("Weekly plan of the larkspur team", "error: cannot find crate serde"), "image/png"
        )
        assert 'New error: "error: cannot find crate serde".' in second.text
        assert second.new_lines == 1
        assert second.reader == name
    finally:
        await reader.close()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most_mb"), [("tesserocr", 200), ("rapidocr", 900)])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_memory_stays_within_bounds(name: str, most_mb: int):
    need(name)
    reader = ReaderProcess(reader=name, budget_s=2.0)
    try:
        for n in range(4):
            rows = [f"row {row} of page {n}: the larkspur list goes on and on" for row in range(34)]
            await reader.describe(picture(*rows, size=(1920, 1080)), "image/png")
        assert reader.pid is not None
        status = await asyncio.to_thread(Path(f"/proc/{reader.pid}/status").read_text)
        peak_kb = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM"))
        assert peak_kb / 1024 < most_mb
    finally:
        await reader.close()


@pytest.mark.slow
async def test_somebody_who_asks_gets_the_whole_picture_and_not_only_the_news() -> None:
    need("tesserocr")
    seen = picture("Harbour office is open", "Berth twelve is free")
    reader = ReaderProcess(reader="tesserocr")
    try:
        first = await reader.describe(seen, "image/png")
        again = await reader.describe(seen, "image/png")
        whole = await reader.describe(seen, "image/png", whole=True)
    finally:
        await reader.close()
    assert "Berth twelve" in first.text
    assert "Berth twelve" not in again.text
    assert "Berth twelve" in whole.text
