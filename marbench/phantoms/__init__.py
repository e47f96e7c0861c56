"""Procedural patients and implants, the data of built-in benchmarks. The rest of the house sees slices and masks."""

PHANTOMS_VERSION = 1
"""Raised whenever a procedural patient looks different."""

METALS_VERSION = 1
"""Raised whenever an implant of the library looks different, or is another one."""
