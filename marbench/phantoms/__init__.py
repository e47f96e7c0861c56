"""Procedural patients and implants, the data of built-in benchmarks. The rest of the house sees slices and masks."""

__all__ = ["FIELD_OF_VIEW_CM", "IMPLANTS_VERSION", "METALS_VERSION", "PHANTOMS_VERSION"]

FIELD_OF_VIEW_CM = 40.96
"""Width of the picture in which procedural patients have their true size."""

PHANTOMS_VERSION = 2
"""Raised when a procedural patient looks different. Part of a benchmark's identity."""

METALS_VERSION = 1
"""Raised when an implant of the library looks different, or is another one. Part of a benchmark's identity."""

IMPLANTS_VERSION = 2
"""Raised when an implant of a region looks different or goes elsewhere; part of the identity of benchmarks with it."""
