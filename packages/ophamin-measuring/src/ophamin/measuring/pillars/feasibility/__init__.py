"""Pillar F, feasibility: does a treatment do something, and can these data tell?

``regression`` and ``standardisation`` model the outcome, ``propensity`` and ``weighting`` the treatment,
``doubly_robust`` both; ``stratification`` and ``matching`` compare like with like; ``instrument`` uses an instrument;
``learning`` wraps econml; ``balance``, ``sensitivity`` and ``refutation`` ask how far to trust the answer. The modules
named ``plugins_*`` wrap them as plug-ins. Nothing is imported here.
"""

__all__: list[str] = []
