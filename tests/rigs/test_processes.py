"""Real processes are found, waited for, stopped, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rigs.ports import first_free, free_port, free_ports, is_free
from rigs.processes import (
    ManagedProcess,
    NotReady,
    Program,
    ProgramMissing,
    alive,
    wait_until,
)

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SERVER = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1")

# Starts a program and says its pid.
SUPERVISOR = """
import sys, signal
from pathlib import Path
from rigs.processes import ManagedProcess
child = ManagedProcess("child", [sys.executable, "-c", sys.argv[2]], log_path=Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
signal.pause()
"""
IDLE = "import signal; signal.pause()"
HOLD_PORT = """
import socket, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(flush=True)
sys.stdin.read()
"""


def test_a_server_is_ready_when_it_answers_and_gone_when_stopped(tmp_path: Path) -> None:
    port = free_port()
    server = ManagedProcess("server", [*SERVER, str(port)], log_path=tmp_path / "log")
    with server:
        server.wait_ready(f"http://127.0.0.1:{port}/")
        pid = server.pid
        assert (server.running, is_free(port)) == (True, False)

    assert (server.running, alive(pid), is_free(port)) == (False, False, True)
    assert '"GET / HTTP/1.1" 200' in server.log_tail()


def test_a_program_that_ends_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    failing = ManagedProcess(
        "failing", ["/bin/sh", "-c", "echo port taken; exit 7"], log_path=tmp_path / "log"
    )
    with failing, pytest.raises(NotReady, match=r"failing ended with code 7\.\nport taken"):
        failing.wait_ready(lambda: False)


def test_a_program_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    idle = ManagedProcess("idle", [sys.executable, "-c", IDLE], log_path=tmp_path / "log")

    with idle, pytest.raises(NotReady, match="was not ready within 0 s"):
        idle.wait_ready(lambda: False, timeout_seconds=0.2)


def test_a_missing_program_names_the_line_that_installs_it() -> None:
    with pytest.raises(ProgramMissing, match=r"apt-get install .* no-such-package"):
        Program(("no-such-program",), package="no-such-package").require()


def test_a_program_that_ignores_the_request_is_ended_with_its_children(tmp_path: Path) -> None:
    stubborn = ManagedProcess(
        "stubborn",
        ["/bin/sh", "-c", "trap '' TERM; sleep 300 & echo $!; wait; sleep 300"],
        log_path=tmp_path / "log",
    )
    stubborn.start()
    wait_until(lambda: bool(stubborn.log_tail()), timeout_seconds=10)
    child = int(stubborn.log_tail())

    stubborn.stop(grace_seconds=0.2)

    wait_until(lambda: not alive(child), timeout_seconds=5)
    assert stubborn.exit_code == -signal.SIGKILL


def test_a_paused_program_stalls_and_goes_on(tmp_path: Path) -> None:
    port = free_port()
    with ManagedProcess("server", [*SERVER, str(port)], log_path=tmp_path / "log") as server:
        server.wait_ready(f"http://127.0.0.1:{port}/")
        server.pause()
        wait_until(lambda: process_state(server.pid) == "T", timeout_seconds=5)
        server.resume()
        server.wait_ready(f"http://127.0.0.1:{port}/")


def process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_output_lines_are_handed_over_and_kept(tmp_path: Path) -> None:
    speaking = ManagedProcess(
        "speaking",
        ["/bin/sh", "-c", "echo one; echo two >&2"],
        log_path=tmp_path / "log",
        pipe_output=True,
    )
    with speaking:
        assert list(speaking.lines()) == [b"one\n", b"two\n"]
    assert speaking.log_tail() == "one\ntwo"


def test_kill_dash_nine_of_the_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path / "log"), IDLE],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert supervisor.stdout is not None
    child = int(supervisor.stdout.readline())
    assert alive(child)

    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()

    wait_until(lambda: not alive(child), timeout_seconds=10, what="the child is gone")


def test_free_ports_differ_and_a_taken_one_is_passed_over() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5

    with subprocess.Popen(
        [
            *(sys.executable, "-c"),
            HOLD_PORT,
            str(ports[0]),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert (is_free(ports[0]), first_free(ports[0]) > ports[0]) == (False, True)
        holder.communicate()
    assert is_free(ports[0])
