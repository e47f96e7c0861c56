"""Procedural CT patients: axial slices of seven body regions, drawn at random and the same at any resolution."""

from marbench.anatomy.patients.scenes import RandomScenes
from marbench.anatomy.patients.source import REGIONS, ProceduralPatients

__all__ = ["REGIONS", "ProceduralPatients", "RandomScenes"]
