"""Contract kits: what a plug-in of each kind must do, as checks its author runs.

Each is a function of bare assertions that says in its message what is wrong; it needs no test
framework. Built-in plug-ins pass the same kits as foreign ones.
"""

from ophamin.testing._auditor import check_auditor
from ophamin.testing._corpus import check_corpus
from ophamin.testing._estimator import check_estimator
from ophamin.testing._instrument import check_instrument
from ophamin.testing._pillar import check_pillar
from ophamin.testing._records import check_exporter, check_record_kind, check_renderer
from ophamin.testing._scenario import check_scenario
from ophamin.testing._stimuli import ODD_RECORDS, RECORDS
from ophamin.testing._substrate import check_substrate

__all__ = [
    "ODD_RECORDS",
    "RECORDS",
    "check_auditor",
    "check_corpus",
    "check_estimator",
    "check_exporter",
    "check_instrument",
    "check_pillar",
    "check_record_kind",
    "check_renderer",
    "check_scenario",
    "check_substrate",
]
