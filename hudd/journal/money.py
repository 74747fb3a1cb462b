"""The statements of the journal about money. Each takes a connection and begins no transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from typing import Any, Final

from hudd.errors import StorageError
from hudd.journal.queries import storable
from hudd.ledger.records import CostReport, CostRow, Reservation, Settlement, Totals
from hudd.model import Usage

_INFINITE: Final = float("inf")
_KINDS: Final = tuple(f.name for f in fields(Usage))

# What a row counts for. Known cost first; without one the reservation stands, so that a price that is lost between
# question and answer never makes an answer free.
_SPENT: Final = "coalesce(cost_microusd, reserved_microusd, 0)"
_USED: Final = "CASE WHEN assumed THEN reserved_tokens ELSE input_tokens + output_tokens END"

# Only names of our own record are put into these statements.
_TOTALS: Final = f"""SELECT
    coalesce(sum(CASE WHEN status <> 'open' THEN {_SPENT} END), 0),
    coalesce(sum(CASE WHEN status = 'open' THEN reserved_microusd END), 0),
    coalesce(sum(CASE WHEN status <> 'open' AND assumed THEN {_SPENT} END), 0),
    coalesce(sum(CASE WHEN status <> 'open' AND engine <> 'local' THEN {_USED} END), 0),
    coalesce(sum(CASE WHEN status <> 'open' AND engine <> 'local' AND cost_microusd IS NULL THEN {_USED} END), 0),
    coalesce(sum(CASE WHEN status = 'open' AND engine <> 'local' AND reserved_microusd IS NULL
        THEN reserved_tokens END), 0),
    coalesce(sum(status <> 'open'), 0)
    FROM ledger WHERE day = ?"""  # noqa: S608 - see above
_COSTS: Final = f"""SELECT engine, model, trigger,
    sum(status <> 'open'),
    sum(CASE WHEN status <> 'open' THEN cost_microusd END),
    coalesce(sum(CASE WHEN status <> 'open' AND assumed THEN cost_microusd END), 0),
    coalesce(sum(CASE WHEN status = 'open' THEN reserved_microusd END), 0),
    coalesce(sum(status <> 'open' AND cost_microusd IS NULL), 0),
    {", ".join(f"sum({kind})" for kind in _KINDS)}
    FROM ledger WHERE reserved_at >= ? AND reserved_at < ?
    GROUP BY engine, model, trigger ORDER BY engine, model, trigger"""  # noqa: S608 - see above
_SETTLE: Final = f"""UPDATE ledger SET
    settled_at = :at, status = :status, note_seq = coalesce(:note_seq, note_seq), price_date = :price_date,
    assumed = :assumed, cost_microusd = CASE WHEN :assumed THEN reserved_microusd ELSE :cost END,
    {", ".join(f"{kind} = :{kind}" for kind in _KINDS)}
    WHERE id = :id AND (status = 'open' OR assumed)"""  # noqa: S608 - see above


def insert_reservation(connection: sqlite3.Connection, reservation: Reservation) -> int:
    """Write a reservation; returns its id."""
    cursor = connection.execute(
        "INSERT INTO ledger (snap_id, model, engine, trigger, day, reserved_at, reserved_microusd, reserved_tokens)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (
            storable(reservation.snap_id),
            storable(reservation.model),
            reservation.engine,
            reservation.trigger,
            reservation.day,
            reservation.reserved_at,
            reservation.microusd,
            reservation.tokens,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def settle(connection: sqlite3.Connection, settlement: Settlement, *, note_seq: int | None, at: float) -> None:
    """Write what became of a reservation. Known figures replace assumed ones; known figures are final.

    What a lower figure has freed may be reserved again already, so a second, higher one could pass a cap.

    Raises:
        StorageError: There is no such reservation.
    """
    usage = settlement.usage or Usage()
    values: dict[str, Any] = {kind: getattr(usage, kind) for kind in _KINDS}
    values |= {
        "id": settlement.reservation_id,
        "at": at,
        "status": settlement.status,
        "note_seq": note_seq,
        "price_date": settlement.price_date,
        "assumed": settlement.assumed,
        "cost": settlement.cost_microusd,
    }
    if connection.execute(_SETTLE, values).rowcount:
        return
    if connection.execute("SELECT 1 FROM ledger WHERE id = ?", (settlement.reservation_id,)).fetchone() is None:
        raise StorageError(f"The ledger has no reservation {settlement.reservation_id}.")


def settle_left_open(connection: sqlite3.Connection, at: float) -> int:
    """Let the reservations that a crash left open stand as assumed; returns how many there were."""
    return connection.execute(
        "UPDATE ledger SET status = 'vanished', assumed = 1, cost_microusd = reserved_microusd, settled_at = ?"
        " WHERE status = 'open'",
        (at,),
    ).rowcount


def totals(connection: sqlite3.Connection, day: str) -> Totals:
    """What a local day has cost so far."""
    return Totals(*(int(value) for value in connection.execute(_TOTALS, (day,)).fetchone()))


def costs(connection: sqlite3.Connection, since: float | None, until: float | None) -> CostReport:
    """What was spent on questions of a range of time."""
    low = -_INFINITE if since is None else since
    high = _INFINITE if until is None else until
    rows: list[CostRow] = []
    for engine, model, trigger, answers, microusd, assumed, reserved, unpriced, *kinds in connection.execute(
        _COSTS, (low, high)
    ):
        rows.append(
            CostRow(
                engine=engine,
                model=model,
                trigger=trigger,
                answers=answers,
                usage=Usage(*kinds),
                microusd=microusd,
                assumed_microusd=assumed,
                reserved_microusd=reserved,
                unpriced=unpriced,
            )
        )
    return CostReport(since=since, until=until, rows=tuple(rows))
