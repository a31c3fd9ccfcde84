"""``.mailmap``: one name and address for each person, in all forms git reads.

Own reader, because git itself applies a mailmap only in commands that fail offline in partial clones.
Source: gitmailmap(5).
"""

from __future__ import annotations

import re

__all__ = ["Mailmap"]

_ENTRY = re.compile(r"\s*([^<>]*?)\s*<([^<>]*)>\s*(?:([^<>]*?)\s*<([^<>]*)>)?")


class Mailmap:
    """Maps the name and address a commit has to the proper ones.

    Args:
        text: The file's content. Lines that are no entries are ignored, as git does.

    Example:
        >>> people = Mailmap("Jane Doe <jane@example.org> <jdoe@OLD.example.org>")
        >>> people.proper("jd", "jdoe@old.example.org")
        ('Jane Doe', 'jane@example.org')
        >>> people.proper("John", "john@example.org")
        ('John', 'john@example.org')
    """

    def __init__(self, text: str = "") -> None:
        # address → (commit name, or "" for any) → (proper name, proper address), "" where it stays as it is
        self._known: dict[str, dict[str, tuple[str, str]]] = {}
        for line in text.split("\n"):
            if line.startswith("#"):
                continue
            found = _ENTRY.match(line)
            if found is None:
                continue
            name, first, old_name, second = found.groups()
            address, proper = (first, "") if second is None else (second, first)
            names = self._known.setdefault(address.strip().lower(), {})
            key = (old_name or "").lower()
            known = names.get(key, ("", ""))
            names[key] = (name or known[0], proper.strip() or known[1])

    def __len__(self) -> int:
        return len(self._known)

    def proper(self, name: str, address: str) -> tuple[str, str]:
        """The proper name and address; both are compared without regard to case."""
        names = self._known.get(address.lower())
        if names is None:
            return name, address
        found = names.get(name.lower()) or names.get("")
        if found is None:
            return name, address
        return found[0] or name, found[1] or address
