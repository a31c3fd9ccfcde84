"""Where a result came from: W3C PROV documents, the lineage of a store, and its exchange with other tools.

``graph`` turns a record into a PROV-JSON graph, ``documents`` writes graphs in the forms of W3C PROV, ``lineage`` keeps
the graphs of a whole store so that they can be asked. ``tracking`` (MLflow), ``dvc_data`` (DVC) and ``crdt`` each need
their extra.
"""

from __future__ import annotations

__all__: list[str] = []
