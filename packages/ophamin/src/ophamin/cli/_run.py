"""Turns whatever a command raises into one sentence on stderr and the right exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from ophamin.cli._tree import root
from ophamin.proof.errors import OphaminError

__all__ = ["run"]

OUR_BUG = 70
INTERRUPTED = 130


def _say(sentence: str) -> None:
    # A claim or a path may hold anything; the terminal gets no control characters from it.
    clean = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in sentence)
    print(f"ophamin: {clean}", file=sys.stderr)


def run(args: Sequence[str]) -> int:
    """Run one command line.

    Args:
        args: The words after ``ophamin``.

    Returns:
        The exit code, as the family's table of exit codes has it.
    """
    try:
        result = root.main(list(args), prog_name="ophamin", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; nothing that was finished is lost")
        return INTERRUPTED
    except OphaminError as error:
        _say(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (``| head``); point stdout at nothing so that exit stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            return _bug(error)
        _say(f"{error.filename}: {error.strerror or error}")
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: a traceback is never the answer
        return _bug(error)
    return result if isinstance(result, int) else 0


def _bug(error: BaseException) -> int:
    if os.environ.get("OPHAMIN_TRACEBACK"):
        raise error
    _say(
        f"this is a bug of ours, not yours: {type(error).__name__}: {error}; "
        "run again with OPHAMIN_TRACEBACK=1 and report what it prints"
    )
    return OUR_BUG
