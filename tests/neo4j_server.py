"""A real Neo4j for the tests: fetched once through Maven, started on a free port, stopped whatever happens.

`python tests/neo4j_server.py fetch` brings the Java artifacts of tests/neo4j/pom.xml into the user's cache. A started
server has a home folder of its own and a guard process that stops the server and removes its home as soon as the
process that asked for it is gone, however that came about. Works on Linux and macOS.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

POM = Path(__file__).with_name("neo4j") / "pom.xml"
PASSWORD = "open-circuits"
SERVER_VARIABLE = "CIRCUITDB_TEST_NEO4J"
REQUIRE_VARIABLE = "CIRCUITDB_REQUIRE_NEO4J"
START_SECONDS = 180

JAVA_OPTIONS = (
    "-Xmx1g",
    "-XX:+UseSerialGC",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dlog4j2.disable.jmx=true",
)


class ServerError(Exception):
    """The server cannot be fetched or started; the sentence says why."""


@dataclass(frozen=True)
class Server:
    """A running server. `address` holds user and password."""

    address: str
    home: Path | None


def jars_folder() -> Path:
    """Where the artifacts of this POM are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    return cache / "circuitdb" / f"neo4j-{version}"


def fetch() -> Path:
    """Bring the server's artifacts into the cache unless they are there; a broken download leaves nothing behind.

    Raises
    ------
    ServerError
        If Java or Maven is missing or the download fails.
    """
    jars = jars_folder()
    if jars.is_dir():
        return jars
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise ServerError(f"no Neo4j server to test against: {program!r} is not installed")
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="download-") as scratch:
        pom = Path(scratch) / "pom.xml"
        shutil.copy(POM, pom)
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={scratch}/jars"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason given")
            raise ServerError(f"Maven could not fetch Neo4j: {reason[:300]}")
        try:
            (Path(scratch) / "jars").rename(jars)
        except OSError:
            if not jars.is_dir():
                raise
    return jars


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_configuration(home: Path, port: int, *, read_only: bool = False, page_cache: str = "128m") -> None:
    """Write conf/neo4j.conf of a small local server with passwords."""
    settings = {
        "server.default_listen_address": "127.0.0.1",
        "server.bolt.listen_address": f"127.0.0.1:{port}",
        "server.bolt.advertised_address": f"127.0.0.1:{port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        "server.memory.pagecache.size": page_cache,
        "db.tx_log.preallocate": "false",
        "db.tx_log.rotation.size": "32m",
        "db.tx_log.rotation.retention_policy": "keep_none",
        "dbms.security.auth_max_failed_attempts": "0",
        "dbms.usage_report.enabled": "false",
    }
    if read_only:
        settings["server.databases.read_only"] = "neo4j"
    (home / "conf").mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    (home / "conf" / "neo4j.conf").write_text(text)


def admin(home: Path, folder: Path, *arguments: str) -> str:
    """Run neo4j-admin in `folder` on a stopped server's home folder and return what it printed."""
    environment = {**os.environ, "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")}
    command = ["java", *JAVA_OPTIONS, "-cp", f"{fetch()}/*", "org.neo4j.cli.AdminTool", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode != 0:
        raise ServerError(f"neo4j-admin {' '.join(arguments[:3])} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def running(home: Path | None = None, *, read_only: bool = False, page_cache: str = "128m") -> Iterator[Server]:
    """Start a server (in `home` where something was imported, else in a new one) and stop it at the end.

    Raises
    ------
    ServerError
        If it cannot be fetched or does not come up.
    """
    jars = fetch()
    if home is None:
        home = Path(tempfile.mkdtemp(prefix="circuitdb-neo4j-"))
    port = free_port()
    write_configuration(home, port, read_only=read_only, page_cache=page_cache)
    guard = subprocess.Popen(
        [sys.executable, __file__, "guard", str(jars), str(home)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        _wait_until_it_answers(port, guard, home)
        yield Server(f"bolt://neo4j:{PASSWORD}@127.0.0.1:{port}", home)
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(60)


@contextlib.contextmanager
def for_tests() -> Iterator[Server]:
    """The server that CIRCUITDB_TEST_NEO4J names, or one of our own.

    Where there is none the test is skipped, or fails where CIRCUITDB_REQUIRE_NEO4J is 1.
    """
    import pytest

    if given := os.environ.get(SERVER_VARIABLE):
        from circuitdb.backends.neo4j.connection import Connection

        with contextlib.closing(Connection(given)) as connection:
            if connection.read("MATCH (n) RETURN 1 LIMIT 1"):
                pytest.fail(f"the server of {SERVER_VARIABLE} holds data, which the tests would delete; empty it first")
            yield Server(given, None)
            connection.write(("MATCH (n) DETACH DELETE n", {}))
        return
    try:
        fetch()
    except ServerError as error:
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with running() as server:
        yield server


def _wait_until_it_answers(port: int, guard: subprocess.Popen[bytes], home: Path) -> None:
    import neo4j
    from neo4j.exceptions import AuthError, ClientError, DriverError, Neo4jError

    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if guard.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                pass
            with neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("neo4j", "neo4j")) as driver:
                change = "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password"
                driver.execute_query(change, password=PASSWORD, database_="system")
        except AuthError:
            pass
        except (OSError, DriverError, ClientError, Neo4jError):
            time.sleep(0.2)
            continue
        with (
            contextlib.suppress(DriverError, Neo4jError),
            neo4j.GraphDatabase.driver(f"bolt://127.0.0.1:{port}", auth=("neo4j", PASSWORD)) as driver,
        ):
            driver.execute_query("RETURN 1", database_="neo4j")
            return
        time.sleep(0.2)
    log = home / "server.log"
    said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise ServerError(f"Neo4j did not start: {said}")


def guard(jars: Path, home: Path) -> None:
    """Run the server until standard input ends or this process is asked to stop; then stop it and remove its home."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    command = ["java", *JAVA_OPTIONS, "-cp", f"{jars}/*", "org.neo4j.server.CommunityEntryPoint"]
    command += [f"--home-dir={home}", f"--config-dir={home}/conf"]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=home)
    try:
        while sys.stdin.buffer.read(1):
            pass
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fetch"]:
            try:
                print(fetch())
            except ServerError as error:
                sys.exit(str(error))
        case ["guard", jars_argument, home_argument]:
            guard(Path(jars_argument), Path(home_argument))
        case _:
            sys.exit("usage: python tests/neo4j_server.py fetch")
