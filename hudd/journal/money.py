"""The statements of the journal about money. Each takes a connection and begins no transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from typing import Any, Final

from hudd.errors import StorageError
from hudd.journal.queries import storable
from hudd.ledger.calibration import SAMPLES
from hudd.ledger.caps import hour_of
from hudd.ledger.records import (
    Charge,
    CostReport,
    CostRow,
    MoneyFacts,
    Period,
    Reservation,
    Sample,
    Settlement,
    Totals,
)
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
    coalesce(sum(status <> 'open'), 0),
    coalesce(sum(status <> 'open' AND engine <> 'local' AND cost_microusd IS NULL), 0)
    FROM ledger WHERE day = ?"""  # noqa: S608 - see above
_PERIOD: Final = f"""SELECT
    coalesce(sum(CASE WHEN status <> 'open' THEN {_SPENT} END), 0),
    coalesce(sum(CASE WHEN status = 'open' THEN reserved_microusd END), 0)
    FROM ledger WHERE engine <> 'local' AND """  # noqa: S608 - see above
_CHARGES: Final = f"""SELECT reserved_at, {_SPENT} FROM ledger
    WHERE day = ? AND engine <> 'local' AND trigger <> 'manual' AND (status = 'open' OR {_SPENT} > 0)
    ORDER BY reserved_at, id"""  # noqa: S608 - see above
_SAMPLES: Final = f"""SELECT pictures, expected_image_tokens, {", ".join(_KINDS)} FROM ledger
    WHERE model = ? AND engine <> 'local' AND status <> 'open' AND NOT assumed AND input_tokens > 0
    ORDER BY id DESC LIMIT ?"""  # noqa: S608 - see above
_UNNOTED: Final = f"""SELECT count(*), coalesce(sum({_SPENT}), 0), coalesce(sum(cost_microusd IS NULL), 0)
    FROM ledger
    WHERE engine <> 'local' AND noted = 0 AND status <> 'open' AND coalesce(cost_microusd, 1) > 0 AND id > coalesce(
        (SELECT id FROM ledger WHERE noted = 1 AND engine <> 'local' ORDER BY id DESC LIMIT 1), 0)"""  # noqa: S608 - see above
_EVER_PAID: Final = "SELECT 1 FROM ledger INDEXED BY ledger_paid WHERE engine <> 'local' LIMIT 1"


def _costs(time: str) -> str:
    """The statement of the report; ``time`` is the columns that split it by time, or what stands for them."""
    return f"""SELECT {time}, engine, model, trigger,
    sum(status <> 'open'),
    sum(CASE WHEN status <> 'open' THEN cost_microusd END),
    coalesce(sum(CASE WHEN status <> 'open' AND assumed THEN cost_microusd END), 0),
    coalesce(sum(CASE WHEN status = 'open' THEN reserved_microusd END), 0),
    coalesce(sum(status <> 'open' AND cost_microusd IS NULL), 0),
    coalesce(sum(CASE WHEN status <> 'open' AND NOT noted THEN cost_microusd END), 0),
    {", ".join(f"sum({kind})" for kind in _KINDS)}
    FROM ledger WHERE reserved_at >= ? AND reserved_at < ?
    GROUP BY 1, 2, 3, 4, 5 ORDER BY 2, 1, 3, 4, 5"""  # noqa: S608 - see above


_COSTS: Final = _costs("'', NULL")
_COSTS_BY_TIME: Final = _costs("day, CAST(reserved_at / 900 AS INTEGER)")
_SETTLE: Final = f"""UPDATE ledger SET
    settled_at = :at, status = :status, note_seq = coalesce(:note_seq, note_seq), price_date = :price_date,
    noted = max(noted, :noted),
    assumed = :assumed, cost_microusd = CASE WHEN :assumed THEN reserved_microusd ELSE :cost END,
    {", ".join(f"{kind} = :{kind}" for kind in _KINDS)}
    WHERE id = :id AND (status = 'open' OR assumed)"""  # noqa: S608 - see above


def insert_reservation(connection: sqlite3.Connection, reservation: Reservation) -> int:
    """Write a reservation; returns its id."""
    cursor = connection.execute(
        "INSERT INTO ledger (snap_id, model, engine, trigger, day, reserved_at, reserved_microusd, reserved_tokens,"
        " pictures, expected_image_tokens) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            storable(reservation.snap_id),
            storable(reservation.model),
            reservation.engine,
            reservation.trigger,
            reservation.day,
            reservation.reserved_at,
            reservation.microusd,
            reservation.tokens,
            reservation.pictures,
            reservation.image_tokens,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def settle(
    connection: sqlite3.Connection,
    settlement: Settlement,
    *,
    note_seq: int | None,
    at: float,
    noted: bool = False,
) -> None:
    """Write what became of a reservation. Known figures replace assumed ones; known figures are final.

    What a lower figure has freed may be reserved again already, so a second, higher one could pass a cap.

    Args:
        connection: In a transaction.
        settlement: What became of it.
        note_seq: The note of its answer, or None.
        at: Wall clock.
        noted: Whether the answer made a note that is no failure.

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
        "noted": noted,
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


def totals(connection: sqlite3.Connection, day: str, at: float | None = None) -> Totals:
    """What a local day, its month and the hour of a moment have cost so far.

    Args:
        connection: Any.
        day: ``2026-11-21``.
        at: Wall clock; None leaves the hour empty.
    """
    figures = (int(value) for value in connection.execute(_TOTALS, (day,)).fetchone())
    # '-' and '.' stand on both sides of every day of the month.
    month = _period(connection, "day > ? AND day < ?", (f"{day[:7]}-", f"{day[:7]}."))
    hour = Period() if at is None else _period(connection, "reserved_at >= ? AND reserved_at < ?", hour_of(at))
    return Totals(*figures, hour=hour, month=month)


def _period(connection: sqlite3.Connection, where: str, bounds: tuple[str, str] | tuple[float, float]) -> Period:
    settled, reserved = connection.execute(_PERIOD + where, bounds).fetchone()
    return Period(int(settled), int(reserved))


def facts(connection: sqlite3.Connection, day: str, at: float, model: str) -> MoneyFacts:
    """Everything that stages and status need, as of one moment."""
    unnoted, unnoted_microusd, unnoted_unpriced = connection.execute(_UNNOTED).fetchone()
    return MoneyFacts(
        totals=totals(connection, day, at),
        charges=tuple(Charge(*row) for row in connection.execute(_CHARGES, (day,))),
        samples=tuple(
            Sample(pictures, expected, Usage(*kinds))
            for pictures, expected, *kinds in connection.execute(_SAMPLES, (model, SAMPLES))
        ),
        unnoted=unnoted,
        unnoted_microusd=unnoted_microusd,
        unnoted_unpriced=unnoted_unpriced,
        ever_paid=connection.execute(_EVER_PAID).fetchone() is not None,
        first_use=first_use(connection),
    )


def first_use(connection: sqlite3.Connection) -> str:
    """Whether a person was told that money is spent: ``due``, ``told``, or ''."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'first_use'").fetchone()
    return "" if row is None else str(row[0])


def set_first_use(connection: sqlite3.Connection, word: str) -> None:
    """Write that a person is to be told (``due``), or was (``told``)."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('first_use', ?)", (word,))


def costs(
    connection: sqlite3.Connection, since: float | None, until: float | None, *, by_time: bool = False
) -> CostReport:
    """What was spent on questions of a range of time.

    Args:
        connection: Any.
        since: From this moment; None for the beginning.
        until: To before this moment; None for now.
        by_time: Whether the rows are split by the quarter of an hour.
    """
    bounds = (-_INFINITE if since is None else since, _INFINITE if until is None else until)
    rows: list[CostRow] = []
    for (
        day,
        quarter,
        engine,
        model,
        trigger,
        answers,
        microusd,
        assumed,
        reserved,
        unpriced,
        unnoted,
        *kinds,
    ) in connection.execute(_COSTS_BY_TIME if by_time else _COSTS, bounds):
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
                unnoted_microusd=unnoted,
                day=day,
                quarter=quarter,
            )
        )
    return CostReport(since=since, until=until, rows=tuple(rows))
