"""Threads hand the interpreter on in time for the event loop."""

from __future__ import annotations

import subprocess
import sys

WAITS = """
import sys, threading, time
from hudd.service.threads import yield_often
if sys.argv[1] == "told":
    yield_often()
end = False
def compute():
    while not end:
        sum(range(100))
other = threading.Thread(target=compute)
other.start()
waits = []
for _ in range(100):
    before = time.perf_counter()
    time.sleep(0)  # lets go of the interpreter, as each call of ZeroMQ does
    waits.append(time.perf_counter() - before)
end = True
other.join()
print(sorted(waits)[len(waits) // 2] * 1000)
"""


def test_a_thread_that_computes_keeps_the_loop_waiting_for_less_than_python_would_let_it() -> None:
    def wait_ms(how: str) -> float:
        done = subprocess.run([sys.executable, "-c", WAITS, how], capture_output=True, text=True, check=True)
        return float(done.stdout)

    assert wait_ms("told") < wait_ms("left alone") / 2
