"""How many units a claim needs, before anything runs.

The functions are loaded on first use: whoever only asks for a name here pays for no science.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ophamin.measuring.planning._family import FamilyPlan, Together, plan_family
    from ophamin.measuring.planning._more import More, how_many_more
    from ophamin.measuring.planning._plan import Plan, plan, plan_claim

__all__ = ["FamilyPlan", "More", "Plan", "Together", "how_many_more", "plan", "plan_claim", "plan_family"]


def __getattr__(name: str) -> Any:
    if name in ("Plan", "plan", "plan_claim"):
        from ophamin.measuring.planning import _plan

        return getattr(_plan, name)
    if name in ("FamilyPlan", "Together", "plan_family"):
        from ophamin.measuring.planning import _family

        return getattr(_family, name)
    if name in ("More", "how_many_more"):
        from ophamin.measuring.planning import _more

        return getattr(_more, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
