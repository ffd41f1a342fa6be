"""A stand-in for this Python: hands its command to the fork server, and is from then on as if it were that process.

`python -IS tests/forked_python.py SOCKET WORD ...` is what `tests.forked.python()` runs. It needs the standard library
alone, so that it starts in no time: its streams, folder, environment and open files go to a fork of a process that has
its imports behind it, signals are passed on, the exit status comes back. Killed, it takes the fork with it.
"""

import array
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

LENGTH = 8  # bytes before a request that say how long it is


def ask(
    server: str, words: Sequence[str], cwd: str, env: Mapping[str, str], files: Mapping[int, int]
) -> tuple[socket.socket, int]:
    """Have a command run by a fork, in which each of `files` has that number; return its connection and its id.

    The connection gives the exit status in four bytes; when it is closed, the fork is killed.
    """
    request = json.dumps([list(words), cwd, dict(env), list(files)], ensure_ascii=True).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server)
    handles = array.array("i", files.values())
    length = len(request).to_bytes(LENGTH, "big")
    connection.sendmsg([length], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
    connection.sendall(request)
    return connection, answer(connection)


def answer(connection: socket.socket) -> int:
    """Return the next number that the server says."""
    said = connection.recv(4, socket.MSG_WAITALL)
    if len(said) < 4:
        raise EOFError("the fork server has ended")
    return int.from_bytes(said, "big", signed=True)


def _stand_in(server: str, words: Sequence[str]) -> None:
    files = [int(name) for name in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")]
    open_ones = {file: file for file in files if file < 3 or _is_inherited(file)}
    connection, pid = ask(server, words, os.getcwd(), os.environ, open_ones)

    def passed_on(number: int, _: FrameType | None) -> None:
        os.kill(pid, number)

    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(one, passed_on)
    status = answer(connection)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _is_inherited(file: int) -> bool:
    try:
        return os.get_inheritable(file)
    except OSError:  # that of the listing itself
        return False


if __name__ == "__main__":
    _stand_in(sys.argv[1], sys.argv[2:])
