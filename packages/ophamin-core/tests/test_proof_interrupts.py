"""Ctrl-C waits for the end of the block, whichever thread the signal finds."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ophamin.proof.interrupts import interrupts_held


@pytest.fixture
def another_thread() -> Iterator[None]:
    """One that lets every signal through, like those of a library for linear algebra."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield
    ended.set()
    thread.join()


def _interrupt_inside(done: list[str]) -> None:
    with interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        done.append("inside")
    done.append("after")


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
@pytest.mark.parametrize("threads", [False, True])
def test_an_interrupt_comes_after_the_block(threads: bool, request: pytest.FixtureRequest) -> None:
    if threads:
        request.getfixturevalue("another_thread")
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _interrupt_inside(done)
    assert done == ["inside"]


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
def test_an_ignored_interrupt_stays_ignored(another_thread: None) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done: list[str] = []
        _interrupt_inside(done)
        assert done == ["inside", "after"]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_everything_is_as_before() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError), interrupts_held():
        raise KeyError
    assert signal.getsignal(signal.SIGINT) is handler
    if hasattr(signal, "pthread_sigmask"):
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_elsewhere_than_in_the_main_thread() -> None:
    done: list[bool] = []

    def work() -> None:
        with interrupts_held():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
