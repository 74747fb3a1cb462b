"""The allocator is told, where it can be."""

from __future__ import annotations

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
small = [bytearray(frame) for _ in range(4)]
pin = bytearray(100_000)
del small
print(resident() - before)
"""


def resident_growth(word: str) -> int:
    done = subprocess.run([sys.executable, "-c", FREED, word], capture_output=True, text=True, check=True, timeout=30)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and is about glibc")
def test_freed_frames_go_back_to_the_system_although_something_small_lies_behind_them() -> None:
    assert resident_growth("told") < 2_000
    assert resident_growth("untold") > 8_000, "then this is no longer needed"


def test_a_c_library_without_it_is_left_alone() -> None:
    assert memory.give_memory_back(object()) is False


def test_a_refusal_is_told() -> None:
    asked: list[int] = []

    class Library:
        def mallopt(self, option: int, value: int) -> int:
            asked.append(option)
            return 0

    assert memory.give_memory_back(Library()) is False
    assert len(asked) == 3
