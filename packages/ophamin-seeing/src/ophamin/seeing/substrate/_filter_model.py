"""The classifier behind ``payload-filter``; the one module that loads scikit-learn for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

__all__ = ["fitted"]


def fitted(
    texts: Sequence[str], attacks: Sequence[bool], tfidf: Mapping[str, Any], logistic: Mapping[str, Any]
) -> Pipeline:
    """TF-IDF and logistic regression, fitted.

    Args:
        texts: What to learn from.
        attacks: Of each, whether it is one.
        tfidf: Parameters of ``TfidfVectorizer``.
        logistic: Parameters of ``LogisticRegression``.
    """
    model = make_pipeline(TfidfVectorizer(**tfidf), LogisticRegression(**logistic))
    return model.fit(list(texts), list(attacks))
