"""A real PostgreSQL server of our own for the tests: started in a temporary folder, gone afterwards.

A test module that needs it says ``pytest_plugins = ["tests.postgres"]`` and asks for ``postgres_url``, the
SQLAlchemy URL of a new, empty database. Each pytest-xdist worker that gets such a test starts its own server.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

USER = "postgres"
#: Speed instead of safety: the data live for one test run. The socket lies in the folder; there is no port.
SETTINGS = "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c synchronous_commit=off"


def skip_or_fail(reason: str) -> None:
    """Skip a test whose tool is missing; fail it where SALESSIM_REQUIRE_ALL=1 forbids that."""
    if os.environ.get("SALESSIM_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} (SALESSIM_REQUIRE_ALL=1)")
    pytest.skip(reason)


def binaries() -> Path:
    """The folder of initdb and pg_ctl: on the PATH, else where Debian keeps them; skips if there is none."""
    named = shutil.which("initdb")
    places = [Path(named).resolve().parent] if named else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [place for place in places if (place / "initdb").is_file() and (place / "pg_ctl").is_file()]
    if not found:
        skip_or_fail("no PostgreSQL server (apt-get install postgresql)")
    return found[0]


def unprivileged() -> pwd.struct_passwd | None:
    """Who runs the server: we ourselves, but a system user where we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    skip_or_fail("PostgreSQL does not run as root, and there is no user postgres or nobody")
    return None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The SQLAlchemy URL of a running server's first database."""
    tools, user = binaries(), unprivileged()
    # not pytest's folder, which only its owner may enter, and whose path is too long for a socket
    folder = Path(tempfile.mkdtemp(prefix="pg-"))

    def run(tool: str, *arguments: str) -> None:
        done = subprocess.run(
            [tools / tool, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=(folder / "output").open("ab"),  # a pipe would stay open as long as the server runs
            stderr=subprocess.STDOUT,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        )
        assert done.returncode == 0, (folder / "output").read_text(errors="replace")

    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = str(folder / "data")
        run("initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        log = str(folder / "log")
        run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", f"-k {folder} {SETTINGS}")
        try:
            yield f"postgresql+psycopg://{USER}:geheim@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "-D", data, "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


NUMBERS = count(1)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The SQLAlchemy URL of a new, empty database of the server."""
    name = f"test_{next(NUMBERS)}"
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return postgres_server.replace("/postgres?", f"/{name}?")
