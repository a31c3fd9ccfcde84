"""The environment a bill is made for: where its packages lie, and what its markers say. It is never started."""

from __future__ import annotations

import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from packaging import tags
from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName, default_environment
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from ophamin.auditing.target import text
from ophamin.proof.errors import UsageError

__all__ = ["Platform"]

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


@dataclass(frozen=True)
class Platform:
    """A Python environment, seen from outside.

    Args:
        prefix: Its folder.
        folders: Where packages lie, those that shadow others first.
        markers: Values of the environment markers.

    Example:
        >>> here = Platform.running()
        >>> here.holds("python_version >= '3.11'"), here.holds("extra == 'plot'"), here.holds("extra == 'plot'", "plot")
        (True, False, True)
    """

    prefix: Path
    folders: tuple[Path, ...]
    markers: Mapping[str, str]
    _known: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def running(cls) -> Platform:
        """The environment of this interpreter, as far as it is on its path."""
        paths = sysconfig.get_paths()
        wanted = [paths["purelib"], paths["platlib"], *site.getsitepackages()]
        if site.ENABLE_USER_SITE:
            wanted.append(site.getusersitepackages())
        visible = {os.path.realpath(p) for p in sys.path if p}
        folders = [f for f in _folders(wanted) if os.path.realpath(f) in visible]
        return cls(Path(sys.prefix), tuple(folders), _markers())

    @classmethod
    def at(cls, path: Path) -> Platform:
        """The environment in a folder, or the one an interpreter belongs to.

        Args:
            path: A virtual environment, a prefix, its ``python``, or a folder of packages itself.

        Raises:
            UsageError: No packages lie there.
        """
        prefix = Path(os.path.abspath(path))
        if not prefix.exists():
            raise UsageError(f"{text(path)}: no such environment; give the folder of a virtual environment")
        if prefix.is_file() and prefix.parent.name in ("bin", "Scripts"):
            prefix = prefix.parent.parent  # not resolved: a virtual environment's python is a link out of it
        found = _site_packages(prefix)
        if not found and prefix.is_dir() and any(prefix.glob("*.dist-info")):
            return cls(prefix, (prefix,), _markers())  # pip install --target
        if not found:
            raise UsageError(f"{text(path)}: no site-packages in it; give the folder of a virtual environment")
        settings = _settings(prefix / "pyvenv.cfg")
        if settings.get("include-system-site-packages", "").lower() == "true" and settings.get("home"):
            found += _site_packages(Path(settings["home"]).parent)
        written = settings.get("version_info") or settings.get("version") or ""
        version = _VERSION.match(written) or _VERSION.search(found[0].parent.name)
        implementation = settings.get("implementation", "")
        windows = found[0].parent.name == "Lib"
        return cls(prefix, tuple(_folders(found)), _markers(version[0] if version else "", implementation, windows))

    def holds(self, marker: str, extra: str = "") -> bool:
        """Whether a marker holds here.

        Args:
            marker: As in ``Requires-Dist``; "" always holds.
            extra: The extra that was asked for.

        Raises:
            ValueError: It is no marker.
        """
        if not marker:
            return True
        key = marker, extra
        if key not in self._known:
            try:
                self._known[key] = Marker(marker).evaluate({**self.markers, "extra": extra})
            except (UndefinedComparison, UndefinedEnvironmentName):
                self._known[key] = False
        return self._known[key]

    def accepts(self, wheel: str) -> bool:
        """Whether an installer could choose a wheel here; ``True`` where that cannot be told.

        Args:
            wheel: Its file name.

        Example:
            >>> here = Platform.running()
            >>> here.accepts("a-1-py3-none-any.whl"), here.accepts("a-1-cp27-cp27m-win32.whl")
            (True, False)
        """
        try:
            names = parse_wheel_filename(wheel)[3]
        except InvalidWheelFilename:
            return True
        return self._tags is None or not names.isdisjoint(self._tags)

    @cached_property
    def _tags(self) -> frozenset[tags.Tag] | None:
        """What wheels may be tagged with; ``None`` for an implementation or a system that is not this one."""
        if self.markers["implementation_name"] != "cpython" or self.markers["sys_platform"] != sys.platform:
            return None
        major, minor = (int(n) for n in self.markers["python_version"].split(".")[:2])
        interpreter = f"cp{major}{minor}"
        return frozenset((*tags.cpython_tags((major, minor)), *tags.compatible_tags((major, minor), interpreter)))

    def describe(self) -> dict[str, str]:
        """What the markers were evaluated for."""
        names = ("implementation_name", "python_full_version", "sys_platform", "platform_machine")
        return {f"ophamin:environment:{name}": self.markers[name] for name in names}


def _markers(version: str = "", implementation: str = "", windows: bool | None = None) -> dict[str, str]:
    markers = {name: str(value) for name, value in default_environment().items()}
    if version:
        same = markers["python_full_version"].startswith(version)
        full = markers["python_full_version"] if same else version if version.count(".") > 1 else f"{version}.0"
        markers |= {"python_version": ".".join(version.split(".")[:2]), "python_full_version": full}
        markers["implementation_version"] = full
    if implementation.lower() in ("cpython", "pypy"):
        python = "CPython" if implementation.lower() == "cpython" else "PyPy"
        markers |= {"implementation_name": python.lower(), "platform_python_implementation": python}
    if windows is not None and windows != (markers["sys_platform"] == "win32"):
        # An environment of the other kind of system, looked at from here: nothing more is known of it.
        values = ("nt", "win32", "Windows") if windows else ("posix", "linux", "Linux")
        markers |= dict(zip(("os_name", "sys_platform", "platform_system"), values, strict=True))
    return markers


def _settings(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _site_packages(prefix: Path) -> list[Path]:
    patterns = (
        "lib/python3*/site-packages", "lib64/python3*/site-packages", "Lib/site-packages", "lib/pypy3*/site-packages",
        "local/lib/python3*/dist-packages", "lib/python3/dist-packages",
    )  # fmt: skip
    return _folders(found for pattern in patterns for found in sorted(prefix.glob(pattern)))


def _folders(paths: Iterable[Path | str]) -> list[Path]:
    """Those that are folders, each once although links may name it twice."""
    found: dict[str, Path] = {}
    for path in paths:
        if os.path.isdir(path):
            found.setdefault(os.path.realpath(path), Path(path))
    return list(found.values())
