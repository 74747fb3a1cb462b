from __future__ import annotations

import json
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hudd.errors import CaptureError
from hudd.screen.source import Rect, Window
from hudd.screen.sway import subscribe, sway_windows

TREE = {
    "nodes": [
        {
            "pid": 7,
            "id": 4,
            "name": "Mail",
            "app_id": "org.mail",
            "visible": True,
            "focused": True,
            "rect": {"x": 1, "y": 2, "width": 3, "height": 4},
        },
        {"pid": 8, "id": 5, "name": "hidden", "app_id": "x", "visible": False, "rect": {}},
    ],
    "floating_nodes": [
        {
            "pid": 9,
            "id": 6,
            "name": None,
            "app_id": None,
            "visible": True,
            "rect": {"x": 0, "y": 0, "width": 9, "height": 9},
            "window_properties": {"class": "XTerm"},
        }
    ],
}


def answered(folder: Path, answer: bytes, *, tabs: bool = False) -> tuple[Window, ...]:
    """What is made of an answer of sway."""
    path = folder / "ipc"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return sway_windows(str(path), tabs=tabs)
        finally:
            thread.join()


def framed(tree: Any) -> bytes:
    body = json.dumps(tree).encode()
    return struct.pack("=6sII", b"i3-ipc", len(body), 4) + body


def test_windows_that_are_shown_are_told_with_place_and_process(tmp_path: Path) -> None:
    assert answered(tmp_path, framed(TREE)) == (
        Window("4", "Mail", "org.mail", 7, (1, 2, 3, 4), focused=True),
        Window("6", "", "XTerm", 9, (0, 0, 9, 9), popup=True),
    )


def leaf(number: int, rect: Rect, deco: Rect, *, visible: bool, **more: object) -> dict[str, object]:
    sides = ("x", "y", "width", "height")
    places = {"rect": dict(zip(sides, rect, strict=True)), "deco_rect": dict(zip(sides, deco, strict=True))}
    return {"pid": number, "id": number, "name": f"w{number}", "visible": visible, **places, **more}


@pytest.mark.parametrize(
    ("layout", "decos", "rects"),
    [  # as sway 1.7 tells three windows of 640x400 with the last one in front, and what is seen of each
        (
            "tabbed",
            [(0, 0, 213, 27), (213, 0, 213, 27), (426, 0, 213, 27)],
            [(0, 0, 640, 400), (0, 0, 213, 27), (213, 0, 213, 27)],
        ),
        (
            "stacked",
            [(0, 0, 640, 27), (0, 27, 640, 27), (0, 54, 640, 27)],
            [(0, 54, 640, 346), (0, 0, 640, 27), (0, 27, 640, 27)],
        ),
    ],
)
def test_titles_of_tabs_and_stacks_belong_to_their_windows(
    tmp_path: Path, layout: str, decos: list[Rect], rects: list[Rect]
) -> None:
    below = 27 if layout == "tabbed" else 81
    place = (0, below, 640, 400 - below)
    nodes = [leaf(n, place, deco, visible=n == 2) for n, deco in enumerate(decos)]
    tree = {"nodes": [{"layout": layout, "nodes": nodes}, {"layout": layout, "nodes": nodes[:2]}]}
    told = answered(tmp_path, framed(tree), tabs=True)
    assert [(window.id, window.rect) for window in told] == list(zip("201", rects, strict=True)), "the topmost last"
    assert [window.id for window in answered(tmp_path, framed(tree))] == ["2"]


def test_what_floats_is_above_the_tiles_of_all_monitors(tmp_path: Path) -> None:
    floating = leaf(1, (600, 127, 100, 73), (600, 100, 100, 27), visible=True)
    tile = leaf(2, (640, 0, 640, 400), (0, 0, 0, 0), visible=True)
    tree = {"nodes": [{"layout": "stacked", "floating_nodes": [floating]}, {"layout": "splith", "nodes": [tile]}]}
    told = answered(tmp_path, framed(tree), tabs=True)
    assert [(window.id, window.rect) for window in told] == [("2", (640, 0, 640, 400)), ("1", (600, 100, 100, 100))]


@pytest.mark.parametrize(
    "answer",
    [b"", b"i3-ipc", b"x" * 14, framed(TREE)[:-5], framed([1]), framed("x"), framed({"pid": 1, "visible": True})],
)
def test_an_answer_that_is_no_tree_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(CaptureError, match="sway"):
        answered(tmp_path, answer)


@settings(max_examples=40, deadline=None)
@given(
    tree=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["nodes", "floating_nodes", "pid", "visible", "rect", "deco_rect", "layout", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_tree_is_windows_or_an_error(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    try:
        windows = answered(tmp_path_factory.mktemp("s"), framed(tree))
    except CaptureError:
        return
    assert all(isinstance(window, Window) for window in windows)


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="sway does not tell of its windows"):
        sway_windows(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"success": True}, ""),
        ({"success": False}, "refuses to tell"),
        ({}, "does not tell"),
        ([], "does not tell"),
        (None, "does not tell"),
    ],
)
def test_events_are_told_from_the_moment_that_sway_says_so(answer: Any, sentence: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(framed(answer))
        if sentence:
            with pytest.raises(CaptureError, match=sentence):
                subscribe(ours, ("window",))
        else:
            subscribe(ours, ("window",))
        assert theirs.recv(100) == struct.pack("=6sII", b"i3-ipc", 10, 2) + b'["window"]'


def test_who_closes_before_it_answers_tells_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(CaptureError, match="does not tell"):
            subscribe(ours, ("window",))
