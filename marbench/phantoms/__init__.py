"""Procedural patients and implants, the data of built-in benchmarks. The rest of the house sees slices and masks."""
