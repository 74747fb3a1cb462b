"""The allocator is told, where it can be."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from hudd.service import memory

FREED = """
import sys
from hudd.service.memory import give_memory_back
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4
if sys.argv[1] == "told":
    assert give_memory_back()
frame = b"x" * 8_294_400
for _ in range(3):
    copy = bytearray(frame)
    del copy
before = resident()
size = int(sys.argv[2])
large = [bytearray(size) for _ in range(24_000_000 // size)]
pin = bytearray(100_000)
del large
print(resident() - before)
"""


def resident_growth(word: str, size: int) -> int:
    command = [sys.executable, "-c", FREED, word, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and is about glibc")
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(1920 * 1080 * 4, id="frame"),
        pytest.param(1920 * 1080, id="grey copy"),
        pytest.param(400_000, id="request with a picture"),
    ],
)
def test_what_is_made_of_a_frame_goes_back_to_the_system_although_something_small_lies_behind_it(size: int) -> None:
    assert resident_growth("told", size) < 2_000
    assert resident_growth("untold", size) > 8_000, "then this is no longer needed"


def test_a_c_library_without_it_is_left_alone() -> None:
    assert memory.give_memory_back(object()) is False


def test_what_lies_free_in_gaps_is_given_back_by_trimming() -> None:
    assert memory.trim_memory(object()) is False
    code = FREED.replace(
        "print(resident", "from hudd.service.memory import trim_memory; assert trim_memory(); print(resident"
    )
    done = subprocess.run([sys.executable, "-c", code, "untold", "60000"], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4_000 <= resident_growth("untold", 60_000)


def test_a_refusal_is_told() -> None:
    asked: list[int] = []

    class Library:
        def mallopt(self, option: int, value: int) -> int:
            asked.append(option)
            return 0

    assert memory.give_memory_back(Library()) is False
    assert len(asked) == 3


def test_what_is_there_at_the_start_is_left_out_of_later_rounds() -> None:
    before = gc.get_freeze_count()
    try:
        memory.spare_what_stays()
        assert gc.get_freeze_count() > before + 1000
    finally:
        gc.unfreeze()
