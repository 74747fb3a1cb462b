"""Broken and hostile peers, each a process of its own: ``python -m tests.soak.attackers KIND SOCKET… COUNT SEED``.

Each prints what it did as one JSON object. ``connects`` and ``multipart`` stay until their input ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import zmq

from hudd.wire.table import COMMON_PARAMS, METHODS

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
WORDS = ("", "note/", "x" * 300, "\u202e", "é" * 40, "/etc/passwd\0", "'; DROP TABLE notes; --", "2026-11-21T10:00:00Z")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PEERS = 4
WINDOW = 16
FLOODING = 16
UNREAD_S = 3.0


def value(dice: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kinds: list[Callable[[], Any]] = [
        lambda: dice.choice(WORDS),
        lambda: dice.choice([0, -1, 1, 2**31, 2**63, -(2**64), 10**400, 3.5, 1e308, True, False, None]),
        lambda: [value(dice, depth + 1) for _ in range(dice.randrange(3))],
        lambda: {dice.choice(WORDS): value(dice, depth + 1) for _ in range(dice.randrange(3))},
    ]
    return kinds[dice.randrange(2 if depth > 2 else 4)]()


def request(dice: random.Random, number: int) -> tuple[Any, bytes]:
    """A request after the schema, more or less; its id is told by its number."""
    method = dice.choice(METHODS)
    params: dict[str, Any] = {"deadline_ms": dice.choice([1, 50, 300])}
    for param in (*COMMON_PARAMS, *method.params):
        if dice.random() < 0.5 and param.name not in ("path", "deadline_ms"):
            params[param.name] = dice.choice(param.choices) if param.choices else value(dice)
    if method.name == "snap" and dice.random() < 0.8:  # one that is really taken
        params = {"deadline_ms": params["deadline_ms"], "snap_id": "".join(dice.choices(CROCKFORD, k=25))}
        params["snap_id"] = f"0{params['snap_id']}"
        if dice.random() < 0.8:
            params["region"] = [dice.randrange(300), dice.randrange(200), *dice.choices(range(1, 400), k=2)]
    if method.name == "journal.backup":
        params["path"] = dice.choice(["relative", "", 7, None])  # never one that could be written
    identity: Any = dice.choice([f"id {number}", number, number + 0.5, f"\u00fc{number}\0"])
    frame = {"jsonrpc": dice.choice(["2.0"] * 8 + ["1.0", 2]), "id": identity, "method": method.name, "params": params}
    if dice.random() < 0.1:
        frame["method"] = value(dice)
    if dice.random() < 0.1:
        frame["params"] = value(dice)
    text = json.dumps(frame, ensure_ascii=dice.random() < 0.5)
    if dice.random() < 0.05:  # readable all the same: answered, and refused
        text = text[:-1] + dice.choice(
            [',"x":NaN}', ',"y":1e999}', ',"z":1,"z":2}', ',"s":"\\ud800"}', ',"w":' + "9" * 4301 + "}"]
        )
    return identity, text.encode("utf-8", "surrogatepass")


def unreadable(dice: random.Random) -> list[bytes]:
    """A message that has no id to answer to."""
    good = b'{"jsonrpc":"2.0","id":1,"method":"status"}'
    body = dice.choice(
        [
            dice.randbytes(dice.randrange(200)),
            b"[" * dice.choice([33, 3000, 60_000]),
            b'{"id":' * 9000,
            good.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + good,
            good[: dice.randrange(len(good))],
            b'{"jsonrpc":"2.0","id":null,"method":"status"}',
            b'{"jsonrpc":"2.0","id":NaN,"method":"status"}',
            b'{"jsonrpc":"2.0","id":1,"id":2,"method":"status"}',
            b'{"jsonrpc":"2.0","id":{"a":1},"method":"snap"}',
            b'{"jsonrpc":"2.0","id":"\\ud83d","method":"status"}',
            b'{"jsonrpc":"2.0","method":"pause"}',
            b"9" * 60_000,
            b" " * 65_536,
        ]
    )
    if body[:1] == b"[" and body.endswith(b"]"):
        body = b"x" + body  # a whole array would be a batch, which is answered
    before = dice.choice([[b""], [b"a", b""], [b"a", b"b", b"c", b"d", b""], [], [b"1", b"2", b"3", b"4", b"5", b""]])
    return [*before, body] if before and before[-1] == b"" else [body or b"x"]


def fuzz(control: str, count: int, seed: int) -> dict[str, Any]:
    """Send frames on some connections; every readable id must come back once."""
    dice = random.Random(seed)
    context: zmq.Context[Any] = zmq.Context()
    peers = [context.socket(zmq.DEALER) for _ in range(PEERS)]
    for peer in peers:
        peer.setsockopt(zmq.LINGER, 0)
        peer.connect(f"ipc://{control}")
    wanted: list[Counter[str]] = [Counter() for _ in peers]
    found: list[Counter[str]] = [Counter() for _ in peers]

    def take(index: int, wait_ms: int) -> None:
        while peers[index].poll(wait_ms):
            found[index][repr(json.loads(peers[index].recv_multipart()[-1])["id"])] += 1
            wait_ms = 0

    for number in range(count):
        index = dice.randrange(PEERS)
        if dice.random() < 0.6:
            identity, body = request(dice, number)
            wanted[index][repr(identity)] += 1
            peers[index].send_multipart([*[b"hop"] * dice.choice([0, 0, 0, 1, 4]), b"", body])
        else:
            peers[index].send_multipart(unreadable(dice))
        until = time.monotonic() + 5
        take(index, 0)
        while wanted[index].total() - found[index].total() > WINDOW and time.monotonic() < until:
            take(index, 100)
    until = time.monotonic() + 10
    while any(w.total() > f.total() for w, f in zip(wanted, found, strict=True)) and time.monotonic() < until:
        for index in range(PEERS):
            take(index, 20)
    for index in range(PEERS):
        take(index, 50)
    missing = sum(((w - f).total() for w, f in zip(wanted, found, strict=True)))
    surplus = [identity for w, f in zip(wanted, found, strict=True) for identity in (f - w)]
    context.destroy(linger=0)
    answered = sum(f.total() for f in found)
    return {"sent": count, "answered": answered, "missing": missing, "surplus": surplus[:5]}


def connect(path: str, timeout_s: float) -> socket.socket | None:
    """A raw connection; None when there was no room for so long."""
    until = time.monotonic() + timeout_s
    while True:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.setblocking(False)
        reason = raw.connect_ex(path)
        if reason == 0:
            return raw
        raw.close()
        if reason != errno.EAGAIN:
            raise OSError(reason, "connect")
        if time.monotonic() > until:
            return None
        time.sleep(0.002)


def junk(dice: random.Random) -> bytes:
    """What no ZMTP peer would say, or only half of what it would."""
    ready = b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    return dice.choice(
        [
            b"",
            dice.randbytes(dice.randrange(1, 300)),
            GREETING[: dice.randrange(1, 64)],
            GREETING + dice.randbytes(50),
            GREETING.replace(b"NULL", b"CURV") + dice.randbytes(60),
            GREETING + b"\x06" + dice.randbytes(8),
            GREETING + ready + b"\x02" + b"\x7f" * 8,
            GREETING + ready + b"\x01\xff" + dice.randbytes(100),
            GREETING + b"\x04\x05\x05READY\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x00" * 100,
        ]
    )


def garbage(control: str, notes: str, count: int, seed: int) -> dict[str, Any]:
    """Connect, say nonsense, leave; some stay a moment."""
    dice = random.Random(seed)
    held: list[socket.socket] = []
    refused = 0
    for number in range(count):
        raw = connect(notes if number % 2 else control, 30)
        if raw is None:
            refused += 1
            continue
        with contextlib.suppress(OSError):  # the daemon was faster
            raw.send(junk(dice))
        held.append(raw)
        if len(held) > 20:
            held.pop(dice.randrange(len(held))).close()
    return {"connections": count - refused, "refused": refused}


def connects(control: str, notes: str, count: int, seed: int) -> dict[str, Any]:
    """Connect and say nothing."""
    del seed
    held = [connect(notes if number % 2 else control, 0.002) for number in range(count)]
    print(json.dumps({"tried": count, "connected": sum(raw is not None for raw in held)}), flush=True)
    sys.stdin.read()
    return {}


def topics(notes: str, count: int, seed: int) -> dict[str, Any]:
    """Subscribe to ever more topics."""
    dice = random.Random(seed)
    context: zmq.Context[Any] = zmq.Context()
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.LINGER, 0)
    sub.connect(f"ipc://{notes}")
    for _ in range(count):
        sub.subscribe(dice.randbytes(60).hex())
        sub.poll(0)  # or its queue of subscriptions stays full after a thousand
        time.sleep(0.0002)
    context.destroy(linger=0)
    return {"subscribed": count}


def greet(control: str) -> socket.socket:
    """A raw connection that shook hands as a DEALER."""
    raw = connect(control, 10)
    assert raw is not None
    raw.setblocking(True)
    raw.settimeout(10)
    raw.sendall(GREETING)
    raw.sendall(b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER")
    # Whoever sends on before the daemon has said READY, too, breaks the protocol, and is ended.
    said = b""
    while len(said) < len(GREETING) + 2 or len(said) < len(GREETING) + 2 + said[len(GREETING) + 1]:
        more = raw.recv(4096)
        assert more, "the daemon did not finish the handshake"
        said += more
    return raw


def multipart(control: str, count: int, seed: int) -> dict[str, Any]:
    """One message without an end, in frames that are allowed: until the daemon has gone, or so many megabytes."""
    del seed
    raw = greet(control)
    frame = b"\x03" + (60_000).to_bytes(8, "big") + bytes(60_000)
    sent = 0
    try:
        while sent < count * 1_000_000:
            raw.sendall(frame)
            sent += len(frame)
    except OSError:
        return {"sent": sent, "ended": True}
    return {"sent": sent, "ended": False}


def wide(control: str, count: int, seed: int) -> dict[str, Any]:
    """Frames as long as is allowed that are dear to read, each with an id in front or at its end; the replies are read."""
    dice = random.Random(seed)
    context: zmq.Context[Any] = zmq.Context()
    peers = [context.socket(zmq.DEALER) for _ in range(FLOODING)]
    for peer in peers:
        peer.setsockopt(zmq.LINGER, 0)
        peer.connect(f"ipc://{control}")
    bodies: list[bytes] = []
    for item in (b"{}", b"1.5", b'{"a":1,"a":2}', b'"\\ud83d\\ude00"', b"[[]]"):
        inner = b'"params":{"a":[%b]}' % b",".join([item] * (65_400 // (len(item) + 1)))
        bodies += [b'{"jsonrpc":"2.0","id":7,"method":"status",%b}' % inner, b'{"jsonrpc":"2.0",%b,"id":7}' % inner]
    bodies.append(b'{"jsonrpc":"2.0","id":7,"method":"status","params":{"a":%b}}' % (b"[" * 3000 + b"]" * 3000))
    owed = [0] * FLOODING
    for _ in range(count):
        index = dice.randrange(FLOODING)
        peers[index].send_multipart([b"", dice.choice(bodies)])
        owed[index] += 1
        while owed[index] and peers[index].poll(5000 if owed[index] > WINDOW else 0):
            peers[index].recv_multipart()
            owed[index] -= 1
    for index, peer in enumerate(peers):
        while owed[index] and peer.poll(5000):
            peer.recv_multipart()
            owed[index] -= 1
    context.destroy(linger=0)
    return {"sent": count, "missing": sum(owed)}


def unread(control: str, count: int, seed: int) -> dict[str, Any]:
    """Ask for long answers on many connections, wait for nothing, and read none of it for a while."""
    del seed
    held = [greet(control) for _ in range(FLOODING)]
    ended = 0
    for number in range(count):
        method, params = ("wait", '"for":"note",') if number % 8 == 7 else ("notes.since", '"seq":0,')
        text = f'{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{{{params}"deadline_ms":86400000}}}}'
        try:
            held[number % FLOODING].sendall(b"\x01\x00\x00" + bytes([len(text)]) + text.encode())
        except OSError:  # the daemon has ended it
            ended += 1
            held[number % FLOODING].close()
            held[number % FLOODING] = greet(control)
    time.sleep(UNREAD_S)
    for raw in held:
        raw.close()
    return {"sent": count, "ended": ended}


def main(words: list[str]) -> None:
    """Do one of them, and leave the processor to those who are measured."""
    os.nice(15)
    kind, *paths = words[:-2]
    work: dict[str, Callable[..., dict[str, Any]]] = {
        "fuzz": fuzz, "garbage": garbage, "connects": connects, "topics": topics, "multipart": multipart,
        "wide": wide, "unread": unread,
    }  # fmt: skip
    print(json.dumps(work[kind](*paths, int(words[-2]), int(words[-1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
