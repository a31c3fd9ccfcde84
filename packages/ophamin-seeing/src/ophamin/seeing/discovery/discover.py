"""Run stimuli through a substrate and keep the schema of what it answered as a signed record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ophamin.proof.canonical import digest
from ophamin.proof.errors import CorpusUnavailable, UsageError
from ophamin.protocols import Progress, Settings
from ophamin.registry import make_corpus, make_substrate
from ophamin.seeing._payload import content_key
from ophamin.seeing._signed import Kept, identity, keep, reproduction, signer_of, text
from ophamin.seeing.discovery.miner import SchemaMiner
from ophamin.seeing.discovery.record import SCHEMA_DOCUMENT

__all__ = ["DiscoverSpec", "discover"]

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


def discover(spec: DiscoverSpec, settings: Settings, *, progress: Callable[[Progress], None] | None = None) -> Kept:
    """Mine the schema of a substrate's raw output.

    Args:
        spec: What to run.
        settings: Of the project whose store is used.
        progress: Told of the cycles done.

    Raises:
        UsageError: A spec that makes no sense.
        CorpusUnavailable: The corpus is not there, or has no record.
        SubstrateFailure: The substrate cannot be started or kept alive.
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
    miner, errors, counts = SchemaMiner(spec.examples), Counter[str](), Counter[str]()
    began = time.monotonic()
    with closing(make_substrate(spec.substrate, data_root)) as substrate:
        system = substrate.identity()
        substrate.reset(spec.seed)
        # In batches, so that a substrate that answers a batch at a time lets progress and Ctrl-C through.
        for begin in range(0, len(records), _BATCH):
            for result in substrate.run_batch(
                records[begin : begin + _BATCH], seed=spec.seed, timeout_s=spec.timeout_s
            ):
                counts[result.status] += 1
                if result.status == "ok":
                    miner.add(str(begin + result.index), result.output)
                else:
                    errors[text(result.error or "")[:300]] += 1
                if progress is not None:
                    progress(Progress("discover", counts.total(), len(records), time.monotonic() - began))
    fields, left_out = miner.fields()
    info = corpus.describe()
    body: dict[str, JSON] = {
        "schema_version": SCHEMA_DOCUMENT.version,
        "identity": identity(),
        "substrate": {
            "spec": text(spec.substrate),
            "kind": system.kind,
            "name": text(system.name),
            "config_hash": system.config_hash,
            "revision": system.revision,
            "dirty": system.dirty,
        },
        "corpus": {
            "spec": text(spec.corpus),
            "name": info.name,
            "content_hash": corpus.content_hash(),
            "revision": info.revision,
            "seed": spec.seed,
            "n_selected": len(records),
            "selection_hash": digest([[r.id, content_key(r.payload)] for r in records]),
        },
        "cycles": {
            "n": counts.total(),
            "n_ok": counts["ok"],
            "n_error": counts["error"],
            "n_unmeasured": counts["unmeasured"],
        },
        "errors": [{"message": m, "n": n} for m, n in sorted(errors.items(), key=lambda i: (-i[1], i[0]))][
            :_ERRORS_SHOWN
        ],
        "fields": fields,
        "n_fields_left_out": left_out,
        "options": {"examples": spec.examples, "timeout_s": float(spec.timeout_s)},
        "reproduction": reproduction(spec.command()),
    }
    return keep(body, SCHEMA_DOCUMENT, settings, signer)
