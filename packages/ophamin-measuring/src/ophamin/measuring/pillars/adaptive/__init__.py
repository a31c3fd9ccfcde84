"""Pillar A, adaptive and sequential inference: tests that may stop early, and bounds that hold at every look.

``sprt`` holds Wald's test, ``mixture`` the always-valid one, ``sequences`` intervals for every n at once, ``evalues``
evidence that multiplies, ``group_sequential`` a few planned looks, ``ratio_mismatch`` the sequential check of an
allocation, ``peeking`` what looking without any of this does. ``plugins`` wraps them. Nothing is imported here.
"""

__all__: list[str] = []
