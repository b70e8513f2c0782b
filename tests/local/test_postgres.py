"""PostgreSQL of the local stack: it dies with its parent, survives any kill, and runs as root from a closed folder."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import postgres
from deploy.local.process import ChildFailed, run
from tests.local.orphans import ended, ends_within, killed_parent_of, owner


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    postgres.wipe(tmp_path / "var")


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_it_serves_a_durable_utf8_database_with_a_password(home: Path) -> None:
    with postgres.running(home) as url:
        assert await value(url, "SELECT current_database() || ' ' || current_user") == "silverbear silverbear"
        assert await value(url, "SELECT current_setting('server_encoding')") == "UTF8"
        assert await value(url, "SELECT current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
        assert await value(url, "SELECT current_setting('max_connections')::int") == 300
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url.replace("silverbear:", "silverbear:wrong"))


async def test_what_was_committed_is_there_after_a_crash_and_after_a_clean_stop(home: Path) -> None:
    with postgres.serving(home) as server:
        await value(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        before = server.url
        server.kill()
        server.start()
        assert server.url == before
        assert await value(server.url, "SELECT answer FROM kept") == 42
    with postgres.running(home) as url:
        assert await value(url, "SELECT answer FROM kept") == 42


async def test_killing_the_parent_leaves_no_postmaster_and_the_next_start_works(home: Path) -> None:
    with postgres.running(home) as url:
        await value(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert ends_within(killed_parent_of("postgres", home), seconds=5)
    with postgres.running(home) as url:
        assert await value(url, "SELECT answer FROM kept") == 42


def test_a_second_start_on_the_same_folder_is_refused(home: Path) -> None:
    with postgres.running(home), pytest.raises(ChildFailed, match="another process"), postgres.running(home):
        pass


def test_a_half_made_data_folder_is_made_anew(home: Path) -> None:
    with postgres.serving(home) as server:
        data = server.data
    data.rename(data.with_suffix(".new"))
    (data.with_suffix(".new") / "PG_VERSION").unlink()
    with postgres.running(home):
        assert data.exists()
    assert not data.with_suffix(".new").exists()


def test_a_lock_file_with_a_living_foreign_process_id_does_not_stop_the_start(home: Path) -> None:
    with postgres.serving(home) as server:
        lock = server.data / "postmaster.pid"
        lines = lock.read_text().splitlines()
        server.kill()
        lock.write_text("\n".join(["1", *lines[1:]]) + "\n")
        server.start()
        assert server.pid != 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
async def test_root_in_a_closed_folder_runs_it_as_nobody_and_changes_no_permission(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "var"
    with postgres.serving(home) as server:
        assert await value(server.url, "SELECT 1") == 1
        assert owner(server.pid) != 0
        assert not server.data.is_relative_to(closed)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    postgres.wipe(home)
    assert not server.data.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_binaries_in_a_closed_folder_are_copied_to_where_nobody_can_run_them(tmp_path: Path) -> None:
    user = postgres.unprivileged()
    assert user is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in postgres.PARTS:
        shutil.copytree(postgres.wheel() / part, closed / part, symlinks=True)
    with pytest.raises(ChildFailed, match="Permission denied"):
        run([str(closed / postgres.BINARIES / "initdb"), "--version"], user=user, cwd=Path("/"))
    copied = postgres.binaries(closed, user)
    assert not copied.is_relative_to(closed)
    assert "initdb (PostgreSQL)" in run([str(copied / "initdb"), "--version"], user=user, cwd=Path("/"))
    assert "postgres (PostgreSQL)" in run([str(copied / "postgres"), "--version"], user=user, cwd=Path("/"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_the_data_of_a_deleted_clone_goes_at_the_next_start_elsewhere_but_not_that_of_others(tmp_path: Path) -> None:
    homes = [tmp_path / name / "var" for name in ("deleted", "kept", "next")]
    for home in homes:
        home.parent.mkdir(mode=0o700)
    deleted, kept = (postgres.Server(home).data.parent for home in homes[:2])
    shutil.rmtree(homes[0].parent)
    postgres.Server(homes[2])
    assert not deleted.exists()
    assert kept.exists()
    for home in homes[1:]:
        postgres.wipe(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_a_temporary_folder_somebody_else_made_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    squatted = postgres.refuge(closed / "var")
    squatted.mkdir()
    os.chown(squatted, 65534, 65534)
    try:
        with pytest.raises(ChildFailed, match="belongs to somebody else"):
            postgres.Server(closed / "var")
    finally:
        shutil.rmtree(squatted)


def test_stop_is_a_clean_shutdown(home: Path) -> None:
    with postgres.serving(home) as server:
        pid = server.pid
    assert ended(pid)
    assert "database system is shut down" in (home / "logs" / "postgres.log").read_text()
    with pytest.raises(ChildFailed, match="not started"):
        server.pid.bit_length()
