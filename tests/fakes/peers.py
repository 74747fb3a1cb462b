"""Peers of other users, and what became of them. Runs as a program in a process of its own: ``python peers.py ADDRESS``."""

from __future__ import annotations

import struct
import sys
import time

import zmq


def outcome(address: str, *, kind: int = zmq.DEALER, within_s: float = 5.0, **options: bytes) -> tuple[str, float]:
    """Connect once; returns what the handshake came to and how many milliseconds that took after the connection."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    peer = context.socket(kind)
    peer.setsockopt(zmq.LINGER, 0)
    peer.setsockopt(zmq.RECONNECT_IVL, -1)
    for name, value in options.items():
        peer.setsockopt(getattr(zmq, name), value)
    monitor = peer.get_monitor_socket(
        zmq.EVENT_CONNECTED
        | zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_DISCONNECTED
    )
    names = {
        zmq.EVENT_HANDSHAKE_SUCCEEDED: "accepted",
        zmq.EVENT_HANDSHAKE_FAILED_AUTH: "refused",
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "failed",
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "failed",
        zmq.EVENT_DISCONNECTED: "disconnected",
    }
    started = time.perf_counter()
    end = started + within_s
    peer.connect(address)
    try:
        while (left_s := end - time.perf_counter()) > 0:
            if not monitor.poll(int(left_s * 1000) + 1):
                break
            event, value = struct.unpack("=Hi", monitor.recv_multipart()[0])
            if event == zmq.EVENT_CONNECTED:
                started = time.perf_counter()
                continue
            took_ms = (time.perf_counter() - started) * 1000
            return f"{names[event]}{f' {value}' if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH else ''}", took_ms
        return "nothing", (time.perf_counter() - started) * 1000
    finally:
        peer.disable_monitor()
        monitor.close(linger=0)
        peer.close(linger=0)
        context.term()


def main() -> None:
    """Knock so often; print each outcome and its milliseconds."""
    address, kind, times = sys.argv[1], getattr(zmq, sys.argv[2]), int(sys.argv[3])
    for _ in range(times):
        what, took_ms = outcome(address, kind=kind)
        print(f"{what}\t{took_ms:.2f}")


if __name__ == "__main__":
    main()
