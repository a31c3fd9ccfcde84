"""Started by py-spy in place of a program, to start it: ``python _launch.py REPORT STDOUT STDERR COMMAND…``.

py-spy watches the children of what it starts but does not tell their exit code, and it speaks on the streams it
hands on. So this file, a Python program itself, gives the program its streams back and writes down its pid and
how it ended. Standard library only, and nothing of ours: it also runs where only the interpreter is known.
"""

from __future__ import annotations

import signal
import subprocess
import sys

__all__ = ["main"]


def main(report: str, stdout: str, stderr: str, *command: str) -> int:
    """Run the command; its exit code, negative for a signal, goes into the report."""
    # An interrupt of the terminal is the program's, which decides what to do; this waits for it. A handler, unlike
    # "ignore", does not outlive exec, so the program begins with the default. No preexec_fn: the moment between
    # fork and exec, in which py-spy would take the child for another of this program, stays as short as it can be.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        program = subprocess.Popen(command, stdout=int(stdout), stderr=int(stderr))
    except OSError as error:
        with open(report, "w", encoding="utf-8") as out:
            out.write(f"0\n127\n{error}\n")
        return 127
    with open(report, "w", encoding="utf-8") as out:
        out.write(f"{program.pid}\n")
    code = program.wait()
    with open(report, "a", encoding="utf-8") as out:
        out.write(f"{code}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
