"""Run stimuli through a substrate and keep the schema of what it answered as a signed record.

Whoever interrupts it, or a substrate that cannot be kept alive, ends it early: what was answered until then is kept as
a document that says that it is partial, and why.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import CorpusUnavailable, SubstrateFailure, UsageError
from ophamin.protocols import CycleResult, Progress, Record, Settings, SubstrateProbe
from ophamin.registry import make_corpus, make_substrate
from ophamin.seeing._payload import content_key
from ophamin.seeing._signed import Kept, identity, keep, reproduction, signer_of, text
from ophamin.seeing.discovery.miner import SchemaMiner
from ophamin.seeing.discovery.record import SCHEMA_DOCUMENT

__all__ = ["DiscoverSpec", "Interrupted", "discover"]

JSON = Any
_BATCH = 100
_ERRORS_SHOWN = 20


@dataclass(frozen=True)
class DiscoverSpec:
    """What to run; JSON-able, so that it can be handed to another process.

    Args:
        substrate: Substrate spec.
        corpus: Corpus spec.
        n: Stimuli, at most; the corpus may have fewer.
        seed: Of the sample, and of the substrate.
        examples: Examples kept of each field; 0 keeps none, and no enumeration of texts.
        timeout_s: Longest one cycle may take, seconds.
        data_root: Where corpora lie, "" for the settings'.
        key_file: Signing key, "" for ``$OPHAMIN_SIGN_KEY`` or the installation's own.

    Example:
        >>> DiscoverSpec("mock", "table:rows.csv?text=text").n
        200
    """

    substrate: str
    corpus: str
    n: int = 200
    seed: int = 0
    examples: int = 3
    timeout_s: float = 60.0
    data_root: str = ""
    key_file: str = ""
    argv: tuple[str, ...] = field(default=())

    def command(self) -> list[str]:
        """The command that does the same."""
        if self.argv:
            return list(self.argv)
        words = ["ophamin", "discover", self.substrate, "--corpus", self.corpus, "--n", str(self.n)]
        return [*words, "--seed", str(self.seed), "--examples", str(self.examples)]


class Interrupted(KeyboardInterrupt):
    """Somebody pressed Ctrl-C; ``kept`` is the partial document of what was answered until then."""

    def __init__(self, kept: Kept) -> None:
        super().__init__("interrupted")
        self.kept = kept


class _Found:
    """What was answered so far."""

    def __init__(self, examples: int) -> None:
        self.miner = SchemaMiner(examples)
        self.errors, self.counts = Counter[str](), Counter[str]()
        self._groups: dict[str, bool] = {}  # group → whether its first cycle was answered

    def add(self, position: int, record: Record, result: CycleResult) -> None:
        self.counts[result.status] += 1
        ok = result.status == "ok"
        # A stimulus without a group is one of its own; the prefix keeps its number apart from a group's name.
        self._groups.setdefault(f"#{position}" if record.group is None else f"g{record.group}", ok)
        if ok:
            self.miner.add(str(position), result.output, record.group)
        else:
            self.errors[text(result.error or "")[:300]] += 1

    def cycles(self) -> dict[str, JSON]:
        """Section ``cycles``."""
        return {
            "n": self.counts.total(),
            "n_ok": self.counts["ok"],
            "n_error": self.counts["error"],
            "n_unmeasured": self.counts["unmeasured"],
            "groups": {
                "n": len(self._groups),
                "n_failed": sum(not ok for ok in self._groups.values()),
                "n_ok": self.miner.n_groups,
            },
        }


def discover(spec: DiscoverSpec, settings: Settings, *, progress: Callable[[Progress], None] | None = None) -> Kept:
    """Mine the schema of a substrate's raw output.

    Args:
        spec: What to run.
        settings: Of the project whose store is used.
        progress: Told of the cycles done.

    Raises:
        UsageError: A spec that makes no sense.
        CorpusUnavailable: The corpus is not there, or has no record.
        SubstrateFailure: The substrate cannot be started or kept alive; names the partial document when there is one.
        Interrupted: By Ctrl-C, after at least one cycle.
        KeyPolicyError: The key cannot be used.
    """
    if not spec.timeout_s > 0:
        raise UsageError(f"a timeout is more than 0 seconds, not {spec.timeout_s:g}")
    signer = signer_of(Path(spec.key_file) if spec.key_file else None)
    root = spec.data_root or settings.data_root
    data_root = Path(root) if root else None
    corpus = make_corpus(spec.corpus, data_root)
    records = corpus.sample(spec.n, spec.seed)
    if not records:
        raise CorpusUnavailable(f"the corpus {spec.corpus} has no record; name one that has")
    info = corpus.describe()
    about: dict[str, JSON] = {
        "spec": text(spec.corpus),
        "name": info.name,
        "content_hash": corpus.content_hash(),
        "revision": info.revision,
        "seed": spec.seed,
        "n_selected": len(records),
        "selection_hash": digest([[r.id, content_key(r.payload)] for r in records]),
    }
    found = _Found(spec.examples)
    ended: KeyboardInterrupt | SubstrateFailure | None = None
    with closing(make_substrate(spec.substrate, data_root)) as substrate:
        system = _system(spec, substrate)
        try:
            substrate.reset(spec.seed)
            _ask(spec, substrate, records, found, progress)
        except (KeyboardInterrupt, SubstrateFailure) as error:
            ended = error
    done = found.counts.total()
    if ended is not None and not done:
        raise ended
    fields, left_out = found.miner.fields()
    worst_first = sorted(found.errors.items(), key=lambda i: (-i[1], i[0]))
    body: dict[str, JSON] = {
        "schema_version": SCHEMA_DOCUMENT.version,
        "identity": identity(),
        "substrate": system,
        "corpus": about,
        "cycles": found.cycles(),
        "errors": [{"message": m, "n": n} for m, n in worst_first][:_ERRORS_SHOWN],
        "fields": fields,
        "n_fields_left_out": left_out,
        "options": {"examples": spec.examples, "timeout_s": float(spec.timeout_s)},
        "reproduction": reproduction(spec.command()),
    }
    if done < len(records):
        body["partial"] = "interrupted" if isinstance(ended, KeyboardInterrupt) else text(ended)
    kept = keep(body, SCHEMA_DOCUMENT, settings, signer)
    if isinstance(ended, SubstrateFailure):
        told = f"{ended}; its first {done} of {len(records)} cycles are kept as a partial document: {kept.path}"
        raise SubstrateFailure(told) from ended
    if ended is not None:
        raise Interrupted(kept) from ended
    return kept


def _system(spec: DiscoverSpec, substrate: SubstrateProbe) -> dict[str, JSON]:
    """Section ``substrate``."""
    system = substrate.identity()
    return {
        "spec": text(spec.substrate),
        "kind": system.kind,
        "name": text(system.name),
        "config_hash": system.config_hash,
        "revision": system.revision,
        "dirty": system.dirty,
    }


def _ask(
    spec: DiscoverSpec,
    substrate: SubstrateProbe,
    records: Sequence[Record],
    found: _Found,
    progress: Callable[[Progress], None] | None,
) -> None:
    """Every stimulus, in the sample's order; what is found stands in ``found`` cycle by cycle."""
    began = time.monotonic()
    # In batches, so that a substrate that answers a batch at a time lets progress and Ctrl-C through.
    for begin in range(0, len(records), _BATCH):
        batch = records[begin : begin + _BATCH]
        for result in substrate.run_batch(batch, seed=spec.seed, timeout_s=spec.timeout_s):
            found.add(begin + result.index, batch[result.index], result)
            if progress is not None:
                progress(Progress("discover", found.counts.total(), len(records), time.monotonic() - began))
