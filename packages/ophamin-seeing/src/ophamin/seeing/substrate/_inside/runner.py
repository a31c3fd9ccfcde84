"""Answers JSON lines with a target of a repository, inside that repository's own interpreter.

Run as ``python runner.py CONFIG`` where CONFIG is one JSON object (see ``Target``). Standard library only, Python 3.8
and later. Standard output is for answers alone: whatever the target prints goes to standard error.

Words, each answered: ``{"op": "load", "id", "seed"}`` imports and constructs; ``{"op": "probe", "id"}`` says what can
be done; ``{"id", "input", "meta", "seed"}`` is one cycle. Starting over is a new process.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["Target", "main"]


class Refused(Exception):
    """Why the target cannot be used, in one sentence."""


class Target:
    """A function, a callable object, or a method of an object, named ``module:dotted.path``.

    Args:
        config: ``root`` (where the module must come from), ``paths`` (put on ``sys.path``), ``target``, ``convert`` (a
            name of the same form, or ""), ``init`` and ``kwargs`` (keyword arguments of construction and of a call),
            ``input`` (``payload``, ``record`` or ``self_driven``), ``seed_argument`` (of construction, self-driven).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.owner: type | None = None
        self.method = ""
        self.function: Any = None
        self.convert: Callable[[Any], Any] | None = None

    def load(self) -> None:
        """Import the module and find the target; nothing is constructed.

        Raises:
            Refused: It cannot be imported, comes from elsewhere, or has no such name.
        """
        module, path = self._module(self.config["target"])
        self._check_origin(module)
        found: Any = module
        parts = path.split(".")
        for position, part in enumerate(parts):
            if isinstance(found, type) and not isinstance(
                inspect.getattr_static(found, part, None), (staticmethod, classmethod, type)
            ):
                if position != len(parts) - 1 or not hasattr(found, part):
                    raise Refused("{} has no {}".format(found.__name__, ".".join(parts[position:])))
                self.owner, self.method = found, part
                break
            if not hasattr(found, part):
                raise Refused(f"{module.__name__} has no {path}")
            found = getattr(found, part)
        self.function = found
        usable = callable(found)
        if self.owner is None and isinstance(found, type):
            self.owner, self.method = found, "__call__"
            usable = any("__call__" in vars(parent) for parent in found.__mro__)
        elif self.owner is not None:
            usable = callable(getattr(self.owner, self.method))
        if not usable:
            raise Refused("{} cannot be called".format(self.config["target"]))
        if self.config["convert"]:
            converting, name = self._module(self.config["convert"])
            convert = converting
            for part in name.split("."):
                convert = getattr(convert, part, None)
            if not callable(convert):
                raise Refused("the converter {} is not there or cannot be called".format(self.config["convert"]))
            self.convert = convert

    def construct(self, seed: int | None) -> None:
        """Make the object whose method is the target, where there is one and it is not made anew for every cycle.

        Raises:
            Refused: Construction failed.
        """
        seed_everything(seed)
        if self.owner is not None and self.config["input"] != "self_driven":
            self.function = getattr(self._instance({}), self.method)

    def call(self, request: dict[str, Any]) -> Any:
        """One cycle; every generator is seeded for it, so that neither order nor earlier cycles change it."""
        seed = request.get("seed")
        seed_everything(seed)
        kwargs = self.config["kwargs"]
        if self.config["input"] == "self_driven":
            function = self.function
            if self.owner is not None:
                argument = self.config["seed_argument"]
                function = getattr(self._instance({argument: seed} if argument else {}), self.method)
            return finished(function(**kwargs))
        given: Any = request.get("input")
        if self.config["input"] == "record":
            given = {"id": request["id"], "payload": given, "meta": request.get("meta"), "seed": seed}
        if self.convert is not None:
            given = self.convert(given)
            if isinstance(given, tuple):
                return finished(self.function(*given, **kwargs))
        return finished(self.function(given, **kwargs))

    def probe(self) -> dict[str, Any]:
        """What can be done with the target: importable, constructible, signature, and why not."""
        said: dict[str, Any] = {"importable": False, "constructible": False, "signature": "", "why": ""}
        try:
            self.load()
            said["importable"] = True
            said["signature"] = self._signature()
            seeded = {self.config["seed_argument"]: 0} if self.config["seed_argument"] else {}
            seed_everything(0)
            if self.owner is not None:
                self._instance(seeded if self.config["input"] == "self_driven" else {})
            said["constructible"] = True
        except Refused as error:
            said["why"] = str(error)
        return said

    def _module(self, name: str) -> tuple[Any, str]:
        module, _, path = name.partition(":")
        try:
            return importlib.import_module(module), path
        except (Exception, SystemExit) as error:
            raise Refused(f"importing {module} failed: {told(error)}") from error

    def _check_origin(self, module: Any) -> None:
        root = os.path.realpath(self.config["root"])
        file = getattr(module, "__file__", None)
        where = os.path.realpath(file) if file else "the interpreter itself"
        if not where.startswith(root + os.sep):
            raise Refused(
                f"{module.__name__} was imported from {where}, not from the revision in {root}; name its folder by src="
            )

    def _instance(self, more: dict[str, Any]) -> Any:
        assert self.owner is not None
        try:
            return self.owner(**dict(self.config["init"], **more))
        except (Exception, SystemExit) as error:
            raise Refused(f"{self.owner.__name__}(…) failed: {told(error)}") from error

    def _signature(self) -> str:
        try:
            function = self.function if self.owner is None else getattr(self.owner, self.method)
            called = str(inspect.signature(function))
            if self.owner is None:
                return called
            return f"{self.owner.__name__}{inspect.signature(self.owner)}.{self.method}{called}"
        except (TypeError, ValueError):  # some built in C have none
            return ""


def told(error: BaseException) -> str:
    """Type and message of an exception, at most 2,000 characters."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - its own __str__ may fail too
        message = "(its message cannot be shown)"
    return (f"{type(error).__name__}: {message}")[:2000]


def seed_everything(seed: int | None) -> None:
    """Seed ``random``, and numpy's global generator where the program loaded numpy."""
    if seed is None:
        return
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def finished(value: Any) -> Any:
    """The result of a coroutine, or the value itself."""
    if not inspect.iscoroutine(value):
        return value
    import asyncio  # costs 30 ms, and few need it

    return asyncio.run(value)


def _rules() -> Any:
    """The rules by which ``python`` substrates write JSON: one file serves both."""
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "_json.py")
    spec = importlib.util.spec_from_file_location("_ophamin_json", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _answer(target: Target, request: dict[str, Any], to_json: Callable[[Any], Any]) -> dict[str, Any]:
    operation = request.get("op")
    try:
        if operation == "load":
            target.load()
            target.construct(request.get("seed"))
            output: Any = {}
        elif operation == "probe":
            output = target.probe()
        else:
            output = to_json(target.call(request))
    except Refused as error:
        return {"id": request["id"], "error": str(error)}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the system under test raises is its behaviour
        return {"id": request["id"], "error": told(error)}
    return {"id": request["id"], "output": output}


def main() -> None:
    """Answer until standard input ends."""
    # This folder is no place to import from; the target's own folders come first.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    config = json.loads(sys.argv[1])
    sys.path[:0] = config["paths"]
    sys.argv[1:] = []
    # The pipe moves out of the way: descriptor 1 becomes standard error, also for C code and children.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Nor may a target read the requests.
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    to_json = _rules().to_json
    target = Target(config)
    for line in requests:
        answer = _answer(target, json.loads(line.decode("utf-8")), to_json)
        text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        out.write(text.encode("utf-8", "backslashreplace") + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
