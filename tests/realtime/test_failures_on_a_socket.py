"""Each row of the failure table once more, through a real socket."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.client import Client, client
from tests.fakes.failures import ROWS, Row, failing_service


async def counted(one: Client) -> None:
    """Wait for an error that is no trouble, which nothing tells of but its number."""
    async with asyncio.timeout(10):
        while not one.conversation.status().benign_errors:  # noqa: ASYNC110 - a fact of others, no event of ours
            await asyncio.sleep(0.001)
    assert (one.errors, one.conversation.status().connection) == ([], "ready")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_the_failure_table_over_a_socket(row: Row) -> None:
    async with failing_service(row) as url, client(url) as one:
        if row.at == "answer":
            one.ask()

        def played() -> bool:
            fitting = [e for e in one.errors if row.raw.items() <= {**e.wire(), "fatal": e.fatal}.items()]
            return any(row.says in error.sentence for error in fitting)

        if not row.says:
            await counted(one)
            return
        await one.until(played)
        if row.word != "ready":
            await one.until(lambda: row.word in one.states)
        if row.word == "needs_attention":
            assert one.conversation.status().connects == 1
        else:
            assert "needs_attention" not in one.states
        assert len({(e.code, e.close_code, e.sentence) for e in one.errors}) == 1, "one failure, one row"
        if row.at == "answer":
            await one.until(lambda: one.answers)
            assert one.answers[0].status == "failed"
