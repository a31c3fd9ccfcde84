"""One class per entry-point group: names without importing, origin, and a checked load.

Not a ``Mapping``: ``in`` on a mapping of plug-ins would import them.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from ophamin.proof.errors import DuplicatePlugin, PluginError, PluginLoadError, ProtocolViolation, UnknownPlugin

__all__ = ["Group", "PluginState"]

P = TypeVar("P")
IN_PROCESS = "in-process"


def _distribution(entry: EntryPoint) -> str:
    dist = entry.dist
    return f"{dist.metadata['Name']} {dist.version}" if dist is not None else "an unknown distribution"


def _members(protocol: type) -> set[str]:
    names: set[str] = set()
    for cls in protocol.__mro__:
        if cls is object or cls.__module__ in ("typing", "typing_extensions", "collections.abc"):
            continue
        names |= {n for n in vars(cls) if not n.startswith("_")}
        names |= {n for n in vars(cls).get("__annotations__", {}) if not n.startswith("_")}
    return names


def _protocol(name: type | str | None) -> type | None:
    if not isinstance(name, str):
        return name
    if name == "RecordKind":  # the one protocol that reading a record needs
        from ophamin.proof.recordkind import RecordKind

        return RecordKind
    import ophamin.protocols

    found: type = getattr(ophamin.protocols, name)
    return found


class PluginState(tuple[str, str, str, str]):
    """``(group, name, origin, problem)``; an empty problem means it loads and fits its protocol."""

    __slots__ = ()

    def __new__(cls, group: str, name: str, origin: str, problem: str) -> PluginState:
        """Make one line of ``ophamin plugins``."""
        return super().__new__(cls, (group, name, origin, problem))


class Group(Generic[P]):
    """The plug-ins of one kind.

    Args:
        group: Entry-point group, e.g. ``ophamin.pillars``.
        protocol: What each must satisfy, or its name in ``ophamin.protocols``, loaded with the first
            plug-in; ``None`` checks only that it can be called.
        noun: What one is called in messages, e.g. "pillar".

    Example:
        >>> from ophamin.registry import records
        >>> "proof" in records.names()
        True
    """

    def __init__(self, group: str, protocol: type[P] | str | None, noun: str) -> None:
        self.group, self.noun = group, noun
        self._protocol = protocol
        self._registered: dict[str, P] = {}
        self._found: dict[str, list[EntryPoint]] | None = None
        self._loaded: dict[str, P] = {}

    def _entries(self) -> dict[str, list[EntryPoint]]:
        if self._found is None:
            found: dict[str, list[EntryPoint]] = {}
            for entry in entry_points(group=self.group):
                same = found.setdefault(entry.name, [])
                # An editable install can be seen twice on the path; that is one plug-in, not two.
                if all((e.value, _distribution(e)) != (entry.value, _distribution(entry)) for e in same):
                    same.append(entry)
            self._found = found
        return self._found

    def names(self) -> list[str]:
        """All names, sorted; imports no plug-in."""
        return sorted({*self._entries(), *self._registered})

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def origin(self, name: str) -> str:
        """Distribution and version that brought ``name``, e.g. ``ophamin-seeing 0.1.0``.

        Raises:
            UnknownPlugin: Nothing of that name is installed.
            DuplicatePlugin: Two distributions claim the name.
        """
        if name in self._registered:
            return IN_PROCESS
        return _distribution(self._one(name))

    def _one(self, name: str) -> EntryPoint:
        entries = self._entries().get(name, [])
        if not entries:
            from difflib import get_close_matches  # 15 ms that only a typo pays

            near = get_close_matches(name, self.names(), 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            known = ", ".join(self.names()) or "none"
            raise UnknownPlugin(f"no {self.noun} is called {name!r}; {hint}installed: {known}")
        if len(entries) > 1:
            both = " and ".join(sorted(f"{_distribution(e)} ({e.value})" for e in entries))
            raise DuplicatePlugin(f"two distributions register the {self.noun} {name!r}: {both}; uninstall one")
        return entries[0]

    def get(self, name: str) -> P:
        """Load one plug-in and check it against its protocol.

        Raises:
            UnknownPlugin: Nothing of that name is installed.
            DuplicatePlugin: Two distributions claim the name.
            PluginLoadError: It failed to import; the cause is chained.
            ProtocolViolation: It lacks what the protocol asks for.
        """
        if name in self._registered:
            return self._registered[name]
        if name not in self._loaded:
            entry = self._one(name)
            try:
                plugin = entry.load()
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise PluginLoadError(
                    f"the {self.noun} {name!r} of {_distribution(entry)} does not load: {reason}"
                ) from error
            self._check(name, plugin, _distribution(entry))
            self._loaded[name] = plugin
        return self._loaded[name]

    def _check(self, name: str, plugin: Any, origin: str) -> None:
        protocol = _protocol(self._protocol)
        if protocol is None or "__call__" in vars(protocol):
            if not callable(plugin):
                raise ProtocolViolation(
                    f"the {self.noun} {name!r} of {origin} is a {type(plugin).__name__}, not callable"
                )
            return
        have = set(dir(plugin))
        for cls in getattr(plugin, "__mro__", type(plugin).__mro__):
            have |= set(vars(cls).get("__annotations__", {}))
        missing = sorted(_members(protocol) - have)
        if missing:
            raise ProtocolViolation(
                f"the {self.noun} {name!r} of {origin} does not satisfy {protocol.__name__}: it lacks "
                + ", ".join(missing)
            )

    def register(self, name: str, plugin: P) -> P:
        """Add a plug-in of this process, for notebooks and tests.

        Raises:
            DuplicatePlugin: The name is taken, by an installed plug-in or this process.
            ProtocolViolation: It lacks what the protocol asks for.
        """
        if name in self._registered or name in self._entries():
            raise DuplicatePlugin(
                f"the {self.noun} {name!r} is already registered by {self.origin(name)}; rename yours"
            )
        self._check(name, plugin, IN_PROCESS)
        self._registered[name] = plugin
        return plugin

    def unregister(self, name: str) -> None:
        """Take back what ``register`` added."""
        self._registered.pop(name, None)

    def states(self) -> list[PluginState]:
        """Load every plug-in and say what is wrong with each; never raises."""
        lines = []
        for name in self.names():
            origin, problem = "?", ""
            try:
                if name in self._entries():
                    origin = " and ".join(sorted(_distribution(e) for e in self._entries()[name]))
                else:
                    origin = IN_PROCESS
                self.get(name)
            except PluginError as error:
                problem = str(error)
            lines.append(PluginState(self.group.removeprefix("ophamin."), name, origin, problem))
        return lines
