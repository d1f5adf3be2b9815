"""The state in one SQLite file: objects as JSON by id, meter events as rows."""

import json
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.stripe.errors import missing

Json = dict[str, Any]
"""An object of Stripe. Names that begin with `_` are internal and never leave the server."""

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,
    kind TEXT NOT NULL, customer TEXT, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS of_kind ON objects (kind, customer, seq);
CREATE TABLE IF NOT EXISTS usage (
    identifier TEXT PRIMARY KEY, event_name TEXT NOT NULL, customer TEXT NOT NULL,
    value INTEGER NOT NULL, timestamp INTEGER NOT NULL, received_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS of_customer ON usage (customer, event_name, timestamp);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    attempt INTEGER NOT NULL, due_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class StripeStore:
    """The state of one server. Every change needs a transaction.

    Args:
        path: the database file; None: in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        where = str(path) if path else ":memory:"
        self._database = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
        self._in_transaction = False

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Run the block as one transaction. Transactions run one at a time; a nested one joins the outer one."""
        with self._lock:
            if self._in_transaction:
                yield
                return
            self._in_transaction, is_done = True, False
            self.run("BEGIN IMMEDIATE")
            try:
                yield
                is_done = True
            finally:
                self._in_transaction = False
                self.run("COMMIT" if is_done else "ROLLBACK")

    def run(self, statement: str, *values: str | int | None) -> "list[tuple[Any, ...]]":
        """Execute a statement and return its rows."""
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def put(self, thing: Json) -> Json:
        """Save an object, replacing one with the same id."""
        customer = thing.get("customer")
        self.run(
            "INSERT INTO objects (id, kind, customer, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body, customer = excluded.customer",
            *(thing["id"], thing["object"], customer, json.dumps(thing)),
        )
        return thing

    def find(self, name: str) -> Json | None:
        """Return the object with this id, of any kind."""
        rows = self.run("SELECT body FROM objects WHERE id = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def get(self, kind: str, name: str) -> Json:
        """Return the object of this kind and id.

        Raises:
            StripeError: there is none.
        """
        found = self.find(name)
        if found is None or found["object"] != kind:
            raise missing(kind, name)
        return found

    def remove(self, name: str) -> None:
        """Delete an object."""
        self.run("DELETE FROM objects WHERE id = ?", name)

    def all(self, kind: str, *, customer: str | None = None) -> list[Json]:
        """Return all objects of a kind, newest first."""
        where, values = "", [kind]
        if customer is not None:
            where, values = " AND customer = ?", [kind, customer]
        rows = self.run(f"SELECT body FROM objects WHERE kind = ?{where} ORDER BY seq DESC", *values)  # noqa: S608 — no input
        return [json.loads(row[0]) for row in rows]

    def setting(self, name: str) -> Any:  # noqa: ANN401 — JSON of the setting's own shape
        """Return a setting; None if it was never set."""
        rows = self.run("SELECT value FROM settings WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def set(self, name: str, value: object) -> None:
        """Save a setting."""
        self.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", name, json.dumps(value))
