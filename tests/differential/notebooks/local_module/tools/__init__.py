"""Helpers of the lesson."""

from tools.numbers import total

__all__ = ["total"]
