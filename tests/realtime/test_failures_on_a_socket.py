"""Each row of the failure table once more, through a real socket."""

from __future__ import annotations

import pytest

from tests.fakes.client import client
from tests.fakes.failures import ROWS, Row, failing_service


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_the_failure_table_over_a_socket(row: Row) -> None:
    async with failing_service(row) as url, client(url) as one:
        if row.at == "answer":
            one.ask()

        def played() -> bool:
            fitting = [e for e in one.errors if row.raw.items() <= {**e.wire(), "fatal": e.fatal}.items()]
            return any(row.says in error.sentence for error in fitting)

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
