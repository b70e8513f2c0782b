"""Child processes of the local stack: ready or explained, ended politely or not, never left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deploy.local.process import Child, ChildFailed, clear_orphans, free_ports, locked, run, spawn, terminate

SERVER = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Ready.asked += 1
        self.send_response(200 if Ready.asked > 2 else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""

ASKING = """
import sys
from deploy.local import process
process.PORTS = [int(port) for port in sys.argv[1:]]
print(process.free_ports(1), flush=True)
sys.stdin.read()
"""


def python(name: str, code: str, *arguments: str, log: Path) -> Child:
    return spawn(name, [sys.executable, "-c", code, *arguments], log=log)


def wait_for(text: str, log: Path) -> None:
    deadline = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ready_means_http_200_and_not_just_an_open_port(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    child = python("web", SERVER, str(port), log=tmp_path / "logs" / "web.log")
    try:
        child.wait_ready(f"http://127.0.0.1:{port}/health/ready", timeout_s=20)
        assert (tmp_path / "logs" / "web.log").read_text().count(" 503 ") == 2
    finally:
        terminate(child)
    assert child.process.returncode == -signal.SIGTERM


def test_a_child_that_ends_early_shows_its_last_words(tmp_path: Path) -> None:
    child = python("web", "raise SystemExit('no such setting')", log=tmp_path / "web.log")
    with pytest.raises(ChildFailed, match=r"web ended with exit code 1\n.*\nno such setting"):
        child.wait_ready("http://127.0.0.1:9/health/ready")


def test_a_child_that_is_never_ready_is_reported_in_time(tmp_path: Path) -> None:
    child = python("web", "import time; time.sleep(60)", log=tmp_path / "web.log")
    try:
        with pytest.raises(ChildFailed, match=r"not ready after 0\.3 s"):
            child.wait_ready("http://127.0.0.1:9/health/ready", timeout_s=0.3)
    finally:
        terminate(child)


def test_deaf_children_are_killed_after_one_common_grace(tmp_path: Path) -> None:
    children = [python(f"deaf-{number}", STUBBORN, log=tmp_path / f"{number}.log") for number in range(2)]
    for child in children:
        wait_for("deaf", child.log)
    started = time.monotonic()
    terminate(*children, grace_s=0.5)
    assert time.monotonic() - started < 2
    assert [child.process.returncode for child in children] == [-signal.SIGKILL, -signal.SIGKILL]


def test_a_thread_may_not_spawn_because_the_child_would_end_with_it(tmp_path: Path) -> None:
    refused: list[str] = []

    def attempt() -> None:
        try:
            python("web", "pass", log=tmp_path / "web.log")
        except ChildFailed as failed:
            refused.append(str(failed))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(refused) == 1
    assert "main thread" in refused[0]


def test_run_gives_the_output_or_the_reason() -> None:
    assert run([sys.executable, "-c", "print(input()[::-1])"], text="drow\n") == "word\n"
    with pytest.raises(ChildFailed, match=r"exit code 3\nwhy"):
        run([sys.executable, "-c", "print('why'); raise SystemExit(3)"])
    with pytest.raises(ChildFailed, match="did not end"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.2)


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(50))) == 50


def test_a_port_given_to_one_process_is_given_to_no_other_until_it_ends() -> None:
    two = json.loads(run([sys.executable, "-c", "from deploy.local import process; print(process.free_ports(2))"]))

    def ask() -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", ASKING, *map(str, two)]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with ask() as one, ask() as other:
        first, second = (json.loads(asked.stdout.readline())[0] for asked in (one, other) if asked.stdout)
        assert {first, second} == set(two)
        assert "no 1 free ports" in ask().communicate()[1]
        one.communicate()
        with ask() as heir:
            assert heir.communicate()[0] == f"[{first}]\n"
        other.communicate()


def test_a_lock_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with locked(lock), pytest.raises(ChildFailed, match="locked"), locked(lock):
        pass
    with locked(lock):
        pass


def test_orphans_are_told_by_program_and_tag(tmp_path: Path) -> None:
    tag = f"tag-of-{tmp_path.name}-{time.monotonic_ns()}"
    program = Path(sys.executable).name
    ours = python("ours", "import time; time.sleep(60)", tag, log=tmp_path / "ours.log")
    other = python("other", "import time; time.sleep(60)", log=tmp_path / "other.log")
    try:
        time.sleep(0.5)
        clear_orphans("java", tag, patience_s=0.0)
        assert ours.running
        clear_orphans(program, tag, patience_s=0.0)
        ours.process.wait(timeout=5)
        assert ours.process.returncode == -signal.SIGKILL
        assert other.running
    finally:
        terminate(ours, other)


def test_who_is_patient_waits_for_the_lock(tmp_path: Path) -> None:
    lock, order = tmp_path / "lock", []

    def hold() -> None:
        with locked(lock):
            held.set()
            time.sleep(0.3)
            order.append("first")

    held = threading.Event()
    first = threading.Thread(target=hold)
    first.start()
    held.wait(10)
    with locked(lock, patience_s=30):
        order.append("second")
    first.join()
    assert order == ["first", "second"]
