"""Procedural patients and implants, the data of built-in benchmarks. The rest of the house sees slices and masks."""

__all__ = ["PHANTOMS_VERSION"]

PHANTOMS_VERSION = 1
"""Raised when a picture changes: patients, implants, their places in a split. Part of a benchmark's identity."""
