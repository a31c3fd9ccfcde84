"""DVC: corpora and stores as tracked data, whose versions stand in git as small ``.dvc`` files.

Source: DVC's Python API, https://dvc.org/doc (3.x): ``Repo.init``, ``Repo.add``, ``Repo.data_status``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ophamin.comparing._output import to_standard_error
from ophamin.proof.errors import MissingDependency, UnknownRecord, UsageError

# Read when it is imported and when it is used: without it DVC reports home.
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
try:
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import SCMError
except ImportError as missing:
    raise MissingDependency("tracking data with DVC", "dvc", "ophamin-comparing[dvc]") from missing

__all__ = ["Tracked", "status", "track"]


@dataclass(frozen=True)
class Tracked:
    """Data that DVC tracks.

    Args:
        path: Of the data, relative to the project.
        dvc_file: The file that names its version, for git.
        digest: ``md5:…``, with ``.dir`` at its end for a folder, as DVC has it.
        state: ``same`` as its version, ``changed``, or ``absent``.
    """

    path: str
    dvc_file: str
    digest: str
    state: str


def track(project: Path, paths: Sequence[Path]) -> list[Tracked]:
    """Track files or folders; what is tracked already gets a new version where it changed.

    Args:
        project: Root of the project; DVC is set up there if it is not, without git where there is none.
        paths: Data inside the project, such as a corpus or ``proofs``.

    Raises:
        UsageError: A path is missing, outside the project, or refused by DVC.
    """
    inside = [_inside(project, path) for path in paths]
    with _said():
        if not (project / ".dvc").is_dir():
            Repo.init(str(project), no_scm=not (project / ".git").exists()).close()
        with contextlib.closing(Repo(str(project))) as repo:
            repo.add([str(project / path) for path in inside])
    known = status(project)
    # What lies in a folder that is tracked is a part of it.
    return [next(item for item in known if f"{path}/".startswith(f"{item.path}/")) for path in inside]


def status(project: Path) -> list[Tracked]:
    """All tracked data of a project, and whether it is still the version that is named.

    Raises:
        UnknownRecord: The project has no DVC.
    """
    if not (project / ".dvc").is_dir():
        raise UnknownRecord(f"{project} tracks no data; ophamin dvc track PATH begins")
    found = []
    with _said(), contextlib.closing(Repo(str(project))) as repo:
        for stage in repo.index.stages:
            for out in stage.outs:
                path = Path(out.fs_path)
                state = "absent" if not path.exists() else "changed" if out.changed_checksum() else "same"
                named = stage.dvcfile.path if stage.dvcfile else ""
                digest = f"md5:{out.hash_info.value}"
                found.append(Tracked(_relative(project, path), _relative(project, Path(named)), digest, state))
    return sorted(found, key=lambda item: item.path)


def _inside(project: Path, path: Path) -> str:
    whole = path.absolute()
    if not whole.exists():
        raise UsageError(f"{path}: there is no such file or folder to track")
    if not whole.resolve().is_relative_to(project.resolve()) or whole.resolve() == project.resolve():
        raise UsageError(f"{path} lies outside of the project {project}; DVC tracks what lies in it")
    return _relative(project, whole)


def _relative(project: Path, path: Path) -> str:
    """From the project; whole where a ``.dvc`` file that somebody wrote leads out of it."""
    whole, root = path.resolve(), project.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else whole.as_posix()


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        # DVC talks to people by the standard output it found when it was imported; that is for results.
        with to_standard_error():
            yield
    except (DvcException, SCMError, OSError, ImportError) as error:
        raise UsageError(f"DVC refuses: {error}") from error
    except Exception as error:  # DVC raises whatever comes of a file of its own that somebody wrote or tore
        said = str(error) or type(error).__name__
        raise UsageError(f"DVC cannot read what tracks the data here ({said}); look at the newest .dvc file") from error
