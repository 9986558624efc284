"""The wire to a Neo4j server: from an address to transactions, and from the driver's errors to one sentence each.

An address comes in as `neo4j://[user:password@]host[:port][/database]` (or bolt, neo4j+s, neo4j+ssc, bolt+s, bolt+ssc).
User and password may stand in `NEO4J_USERNAME` and `NEO4J_PASSWORD` instead. A `Connection` goes out, whose
transactions carry their timeout to the server and are retried only where the driver says that this is safe.
"""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import neo4j
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    DriverError,
    Forbidden,
    IncompleteCommit,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    UnsupportedServerProduct,
)

from circuitdb.backends.neo4j.background import in_background
from circuitdb.errors import CircuitdbError, InputError

SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
OLDEST_SERVER = (5, 9)
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 15.0
WRITE_SECONDS = 600.0
STOP_SECONDS = 0.5
"""How long what was interrupted is waited for: a server short of memory answers late."""

_MARK = "circuitdb"
_MARKED = "SHOW TRANSACTIONS YIELD transactionId, metaData WHERE metaData[$name] = $mark RETURN transactionId"

logging.getLogger("neo4j").addHandler(logging.NullHandler())  # its errors reach us as exceptions

Parameters = Mapping[str, Any]
Statement = tuple[str, Parameters]
T = TypeVar("T")


class UnreachableError(CircuitdbError):
    """No server answers, or none any more."""


class SearchTimeoutError(CircuitdbError):
    """The server stopped a transaction because its time was over."""


@dataclass(frozen=True)
class Address:
    """A server, a database and who asks. `url` and `shown` hold no password."""

    url: str
    database: str | None
    user: str | None
    password: str | None = field(repr=False)

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        return self.url if self.database is None else f"{self.url}/{self.database}"


def parse_address(text: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Take an address apart.

    Raises
    ------
    InputError
        If it is none.
    """
    form = "neo4j://[user:password@]host[:port][/database]"
    scheme = text.partition("://")[0].lower()
    if scheme not in SCHEMES:
        raise InputError(f"{scheme!r} is no scheme of a Neo4j address; an address looks like {form}")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # raises where the port is no number
    except ValueError as error:
        raise InputError(f"the Neo4j address cannot be read ({error}); it looks like {form}") from None
    host = parts.netloc.rpartition("@")[2]
    if not parts.hostname or parts.fragment or "/" in parts.path.strip("/"):
        raise InputError(
            f"the Neo4j address cannot be read; it looks like {form}, "
            "with special characters of the password percent-encoded"
        )
    user = unquote(parts.username) if parts.username else environment.get("NEO4J_USERNAME")
    password = unquote(parts.password) if parts.password is not None else environment.get("NEO4J_PASSWORD")
    if user is None and password is not None:
        user = "neo4j"
    return Address(
        url=f"{parts.scheme}://{host}" + (f"?{parts.query}" if parts.query else ""),
        database=unquote(parts.path.strip("/")) or None,
        user=user,
        password=password,
    )


def server_version(agent: str) -> tuple[int, ...]:
    """The version in a server's name, as (5, 26, 19) of `Neo4j/5.26.19`; empty where there is none."""
    match = re.search(r"/(\d+(?:\.\d+)*)", agent)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def translate(error: Exception, address: Address) -> CircuitdbError:
    """The sentence that stands for an error of the driver or the server."""
    where = address.shown
    code = (error.code or "") if isinstance(error, Neo4jError) else ""
    reason = _first_line(error)
    login = "give them in the address or in NEO4J_USERNAME and NEO4J_PASSWORD"
    if code.endswith("AuthenticationRateLimit"):
        return CircuitdbError(
            f"{where} refuses logins for some seconds after too many wrong passwords; wait, then try again"
        )
    if isinstance(error, AuthError):
        if address.password is None:
            return InputError(f"{where} asks for a user and a password; {login}")
        return InputError(f"{where} refuses the password of user {address.user!r}; {login}")
    if code.endswith("DatabaseNotFound"):
        return InputError(
            f"there is no database {address.database!r} at {address.url}; leave it out for the default one"
        )
    if code.endswith(("ReadOnlyDatabase", "WriteOnReadOnlyAccessDatabase", "NotALeader", "ReadOnlyDbOnReplica")):
        return CircuitdbError(f"{where} is read-only here, so nothing was changed; write to a server that takes writes")
    if isinstance(error, Forbidden):
        return CircuitdbError(f"user {address.user!r} may not do this at {where}: {reason}")
    if ".TransactionTimedOut" in code:
        return SearchTimeoutError(f"{where} stopped the transaction because its time was over")
    if "OutOfMemory" in code or "TransactionMemoryLimit" in code:
        return CircuitdbError(f"{where} has too little memory for this; narrow the query or raise the server's memory")
    if isinstance(error, UnsupportedServerProduct) or ("protocol" in reason and isinstance(error, ServiceUnavailable)):
        return CircuitdbError(f"what answers at {where} is no Neo4j server of version 5.9 or later: {reason}")
    if _certificate_refused(error):
        return CircuitdbError(
            f"the certificate of {where} is not trusted; install its authority's certificate, or use "
            f"neo4j+ssc:// for a self-signed one"
        )
    if isinstance(error, IncompleteCommit):
        return CircuitdbError(
            f"the connection to {where} was lost while a change was being completed; "
            "look whether it is there, then try again"
        )
    if isinstance(error, SessionExpired):
        return UnreachableError(
            f"the connection to {where} was lost; a model that was being written is not in it: try again"
        )
    if isinstance(error, ServiceUnavailable):
        asked = "is it running, and are host and port right?"
        if "+s" in address.url.partition("://")[0]:
            asked = "is it running, are host and port right, does it encrypt, and is its certificate trusted here?"
        return UnreachableError(f"no Neo4j server answers at {where}; {asked}")
    if isinstance(error, ConfigurationError):
        return InputError(f"the driver cannot use the address {where}: {reason}")
    return CircuitdbError(f"Neo4j at {where} failed: {reason}" + (f" ({code})" if code else ""))


def _first_line(error: Exception) -> str:
    message = error.message if isinstance(error, Neo4jError) else str(error)
    return (message or type(error).__name__).strip().splitlines()[0].strip()


def _certificate_refused(error: BaseException | None) -> bool:
    import ssl

    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


class Connection:
    """Transactions on one database of one server.

    Raises
    ------
    InputError
        If the address, the password or the database is wrong.
    CircuitdbError
        If no server of version 5.9 or later answers.
    """

    def __init__(self, text: str) -> None:
        self.address = parse_address(text)
        auth = (self.address.user, self.address.password or "") if self.address.user is not None else None
        self._unfinished: list[Future[Any]] = []
        self._bookmarks = neo4j.GraphDatabase.bookmark_manager()
        with self.errors():
            self._driver = neo4j.GraphDatabase.driver(
                self.address.url,
                auth=auth,
                user_agent="circuitdb",
                connection_timeout=CONNECT_SECONDS,
                max_transaction_retry_time=RETRY_SECONDS,
                notifications_min_severity="OFF",
            )
        try:
            check_version(self._stoppable(self._agent), self.address)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver raises inside into circuitdb's errors."""
        try:
            yield
        except (Neo4jError, DriverError) as error:
            raise translate(error, self.address) from error
        except (OSError, ValueError) as error:
            raise CircuitdbError(f"the connection to {self.address.shown} failed: {_first_line(error)}") from error

    def read(
        self, text: str, parameters: Parameters | None = None, *, seconds: float | None = None
    ) -> list[neo4j.Record]:
        """All rows of one reading statement."""

        def work(transaction: neo4j.ManagedTransaction) -> list[neo4j.Record]:
            return list(transaction.run(text, dict(parameters or {})))

        return self.reading(work, seconds=seconds)

    def reading(self, work: Callable[[neo4j.ManagedTransaction], T], *, seconds: float | None = None) -> T:
        """What `work` returns, run in one reading transaction, which may be run again."""

        def read(metadata: dict[str, Any]) -> T:
            with self.session(neo4j.READ_ACCESS) as session:
                return session.execute_read(neo4j.unit_of_work(metadata, seconds)(work))

        return self._stoppable(read)

    def write(self, *statements: Statement, seconds: float = WRITE_SECONDS) -> list[list[neo4j.Record]]:
        """The rows of each statement; all of them are one transaction."""

        def work(transaction: neo4j.ManagedTransaction) -> list[list[neo4j.Record]]:
            return [list(transaction.run(text, dict(values))) for text, values in statements]

        return self.transaction(work, seconds=seconds)

    def transaction(self, work: Callable[[neo4j.ManagedTransaction], T], *, seconds: float = WRITE_SECONDS) -> T:
        """What `work` returns, run in one writing transaction; it may be run again where the driver calls that safe."""

        def write(metadata: dict[str, Any]) -> T:
            with self.session(neo4j.WRITE_ACCESS) as session:
                return session.execute_write(neo4j.unit_of_work(metadata, seconds)(work))

        return self._stoppable(write)

    def define(self, statements: Sequence[str]) -> None:
        """Run statements that change the schema, each in a transaction of its own."""
        for text in statements:
            self.write((text, {}))

    def _agent(self, metadata: dict[str, Any]) -> str:
        """What the server says it is; nothing is tried again."""
        with self.session(neo4j.READ_ACCESS) as session:
            return session.run(neo4j.Query("RETURN 1", metadata)).consume().server.agent

    def _stoppable(self, work: Callable[[dict[str, Any]], T]) -> T:
        """What `work` returns, run so that Ctrl-C stops it within a second, here and on the server.

        A signal that met the driver would leave half a message on the wire, or wait for the server. So the driver is in
        a thread of its own, and a signal meets the caller, who has the server terminate what bears the metadata.
        """
        mark = uuid.uuid4().hex
        result = in_background(lambda: work({_MARK: mark}))
        try:
            return result.result()
        except (KeyboardInterrupt, SystemExit):
            stopped: list[Future[Any]] = [result, in_background(lambda: self._terminate(mark))]
            self._unfinished += stopped
            wait(stopped, timeout=STOP_SECONDS)
            raise

    def _terminate(self, mark: str) -> None:
        with self.session(neo4j.READ_ACCESS) as session:
            for record in list(session.run(_MARKED, {"name": _MARK, "mark": mark})):
                session.run("TERMINATE TRANSACTIONS $id", {"id": record["transactionId"]}).consume()

    @contextmanager
    def session(self, access: str) -> Iterator[neo4j.Session]:
        """A session on the database, whose errors are circuitdb's."""
        with (
            self.errors(),
            self._driver.session(
                database=self.address.database,
                default_access_mode=access,
                fetch_size=2000,
                bookmark_manager=self._bookmarks,
            ) as session,
        ):
            yield session

    def close(self) -> None:
        """Close all connections, at once or as soon as nothing unfinished uses them any more."""

        def close() -> None:
            wait(self._unfinished)
            self._driver.close()

        if all(work.done() for work in self._unfinished):
            close()
        else:
            in_background(close)


def check_version(agent: str, address: Address) -> None:
    """Refuse a server that is too old.

    Raises
    ------
    CircuitdbError
        If it is, or if it does not tell its version.
    """
    version = server_version(agent)
    if version < OLDEST_SERVER:
        said = agent or "no version"
        raise CircuitdbError(f"{address.shown} says {said}, but circuitdb needs Neo4j 5.9 or later; upgrade the server")
