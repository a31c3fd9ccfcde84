"""How many files a process may have open."""

from __future__ import annotations

from ophamin.proof.errors import UsageError

__all__ = ["allow_files"]

# For libraries, pipes to workers, the store and the ledger.
OTHERS = 512


def allow_files(count: int) -> None:
    """Make room for so many open files, beside those any process has.

    Raises:
        UsageError: The system allows fewer.
    """
    try:
        import resource
    except ImportError:  # Windows counts otherwise, and allows more
        return
    needed = count + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        raise UsageError(
            f"{count:,} registered cells hold a file each, and a process here may have {soft:,}; "
            f"raise the limit (ulimit -n {needed}) or split the sweep"
        ) from None
