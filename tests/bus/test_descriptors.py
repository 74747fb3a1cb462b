"""Descriptors that libzmq holds, and those that are free."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

from hudd.bus.descriptors import descriptors_free, end_connection, is_readable


def open_descriptors() -> int:
    """Of this process, and one for looking."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_free_descriptors_are_told_by_opening_them() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open("rb") as some:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            before = open_descriptors()
            assert descriptors_free(20, some.fileno())
            assert not descriptors_free(300, some.fileno())
            assert open_descriptors() == before
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_is_ended_only_by_the_name_of_its_own_end(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        with listener.accept()[0] as ours:
            assert not end_connection(ours.fileno(), ["another"])
            assert not is_readable(client.fileno())
            assert end_connection(ours.fileno(), [path])
            assert client.recv(1) == b"", "it ended"
            assert end_connection(ours.fileno(), [path]), "ended already: nothing to do"


def test_a_number_that_went_to_a_file_is_left_alone_and_nothing_stays_open(tmp_path: Path) -> None:
    before = open_descriptors()
    with (tmp_path / "f").open("wb") as file:
        for _ in range(10):
            assert not end_connection(file.fileno(), ["s"])
        file.write(b"still open")
    assert not end_connection(file.fileno() if not file.closed else 10_000, ["s"])
    assert open_descriptors() == before
