from __future__ import annotations

from hudd.flow.printers import MOST, Printers


def test_who_prints_is_known_for_as_long_as_it_runs() -> None:
    running = {7, 8}
    printers = Printers(running.__contains__)
    printers.add(7, 100)
    printers.add(8, 200)
    printers.add(8, 300)
    assert printers.windows() == [100, 300]
    running.discard(7)
    assert printers.windows() == [300]


def test_a_process_that_does_not_run_is_not_remembered() -> None:
    asked: list[int] = []
    printers = Printers(lambda pid: bool(asked.append(pid)))
    for pid in range(1, 10_000):
        printers.add(pid, pid)
    assert printers.windows() == []
    assert asked == list(range(1, 10_000))  # once each: none was kept to be asked for again


def test_no_number_that_means_a_group_of_processes_is_one() -> None:
    printers = Printers(lambda _: True)
    for pid in (0, -1, -7):
        printers.add(pid, 100)
    assert printers.windows() == []


def test_there_are_so_many_at_most_and_those_that_ended_make_room() -> None:
    running = set(range(1, MOST + 20))
    printers = Printers(running.__contains__)
    for pid in running:
        printers.add(pid, pid + 1000)
    assert printers.windows() == [pid + 1000 for pid in range(1, MOST + 1)]
    printers.add(1, 5)  # it is known already
    running -= {2}
    printers.add(MOST + 5, 6)
    assert printers.windows() == [5, 6, *(pid + 1000 for pid in range(3, MOST + 1))]
