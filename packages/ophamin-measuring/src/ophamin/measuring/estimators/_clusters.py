"""Variance of a mean over rows when groups of rows, not rows, are independent."""

from __future__ import annotations

import numpy as np

from ophamin.measuring.estimators._table import Floats, Table

__all__ = ["mean_variance"]


def mean_variance(table: Table, row_values: Floats) -> tuple[float, float, int]:
    """Mean over rows, the variance of that mean, and its degrees of freedom.

    With groups the mean is the ratio (sum of values) / (number of rows), both random, and its variance is
    the linearised one, G/(G−1) · Σ_g (Σ_i (x_i − mean))² / n². Source: Cochran (1977), *Sampling Techniques*,
    3rd ed., section 9A; Korn & Graubard (1999), *Analysis of Health Surveys*, section 2.5.

    Args:
        table: Rows and their groups; at least two units.
        row_values: One value per row, shape (n,).

    Returns:
        ``(mean, variance of the mean, units − 1)``.
    """
    mean = float(np.mean(row_values))
    units = table.n_groups
    residuals = table.totals(row_values - mean)
    variance = units / (units - 1) * float(residuals @ residuals) / table.n**2
    return mean, variance, units - 1
