"""What the kernel says about its network, from recorded and made-up messages."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hudd.service.network import Network, ask_for_links, messages

RUNNING = 0x10043
"""Up, broadcast, running, lower layer up: an Ethernet interface with its cable in."""
NO_CARRIER = 0x1003


def message(kind: int, body: bytes) -> bytes:
    data = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    return data + bytes(-len(data) % 4)


def link(flags: int, index: int = 2) -> bytes:
    return message(16, struct.pack("=BxHiII", 0, 1, index, flags, 0))


def address(scope: int) -> bytes:
    return message(20, struct.pack("=BBBBi", 2, 24, 0, scope, 2))


def route(length: int, kind: int = 1) -> bytes:
    return message(24, struct.pack("=BBBBBBBBI", 2, length, 0, 0, 254, 3, 0, kind, 0))


def test_an_interface_that_begins_to_run() -> None:
    network = Network()
    assert not network.came_up(link(NO_CARRIER)), "the first word of it"
    assert network.came_up(link(RUNNING))
    assert not network.came_up(link(RUNNING)), "told once more, for instance because its statistics changed"
    assert not network.came_up(link(NO_CARRIER))
    assert network.came_up(link(RUNNING))


def test_an_interface_that_runs_when_it_is_heard_of_the_first_time_is_no_news() -> None:
    assert not Network().came_up(link(RUNNING))


def test_interfaces_are_told_apart() -> None:
    network = Network()
    network.came_up(link(RUNNING, 2) + link(NO_CARRIER, 3))
    assert not network.came_up(link(RUNNING, 2))
    assert network.came_up(link(RUNNING, 3))


@pytest.mark.parametrize(("scope", "up"), [(0, True), (200, True), (253, False), (254, False)])
def test_an_address_counts_when_it_leads_beyond_this_machine_and_its_cable(scope: int, up: bool) -> None:
    assert Network().came_up(address(scope)) == up


@pytest.mark.parametrize(("length", "kind", "up"), [(0, 1, True), (24, 1, False), (0, 7, False)])
def test_a_default_route_counts(length: int, kind: int, up: bool) -> None:
    assert Network().came_up(route(length, kind)) == up


def test_what_goes_is_no_news() -> None:
    gone = [message(kind, bytes(20)) for kind in (17, 21, 25)]
    assert not any(Network().came_up(data) for data in gone)


def test_one_datagram_may_hold_several() -> None:
    network = Network()
    assert network.came_up(link(NO_CARRIER) + route(0) + link(RUNNING))
    assert not network.came_up(link(RUNNING)), "all of them were read"


def test_the_request_is_a_message_of_the_right_length() -> None:
    [asked] = messages(ask_for_links())
    assert (asked.type, len(asked.body)) == (18, 16)


@given(
    st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from([link(RUNNING), route(0), b"\0", b"\xff" * 3])).map(b"".join)
    )
)
def test_nothing_that_comes_raises(data: bytes) -> None:
    network = Network()
    network.came_up(data)
    network.came_up(data)
