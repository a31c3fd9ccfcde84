"""What a process has used up to a moment, as plain tuples: they are made twice a cycle."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COUNTED", "NOTHING", "Account", "Reading"]


class Account(NamedTuple):
    """What was used up to a moment; it only grows. What the platform cannot tell is ``None``, never 0.

    Args:
        cpu_s: User and system CPU seconds, as finely as the platform tells.
        user_s: User CPU seconds.
        system_s: System CPU seconds.
        minor_faults: Page faults served without disk.
        major_faults: Page faults that read from disk.
        voluntary: Context switches of a process that waited.
        involuntary: Context switches of a process that was put aside.
        read_bytes: Bytes read from storage.
        written_bytes: Bytes written to storage.
    """

    cpu_s: float | None = None
    user_s: float | None = None
    system_s: float | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    voluntary: int | None = None
    involuntary: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


COUNTED = (
    "cpu_s",
    "cpu_user_s",
    "cpu_system_s",
    "page_faults_minor",
    "page_faults_major",
    "context_switches_voluntary",
    "context_switches_involuntary",
    "io_read_bytes",
    "io_written_bytes",
)
"""What the fields of an account are called in ``resources``, in their order."""

NOTHING = Account()


class Reading(NamedTuple):
    """One process at one moment.

    Args:
        rss_bytes: Resident memory now; ``None`` when it has none any more (a zombie).
        rss_peak_bytes: The most resident memory it ever had.
        threads: Threads now.
        own: What it used itself.
        ended: What children it has waited for used in their lives.
        parent: Pid of its parent; ``None`` when not asked.
    """

    rss_bytes: int | None
    rss_peak_bytes: int | None
    threads: int | None
    own: Account
    ended: Account = NOTHING
    parent: int | None = None
