"""Stands in for ``slicer.i18n``, which the wheel lacks: an application whose language is English."""

from __future__ import annotations


def translate(context: str, text: str) -> str:
    if not isinstance(context, str) or not isinstance(text, str):
        raise TypeError(f"context and text are strings, not {type(context).__name__} and {type(text).__name__}")
    return text


def tr(text: str) -> str:
    return translate("", text)
