"""Procedural CT patients: axial slices of seven body regions, drawn at random and the same at any resolution."""

from marbench.phantoms.patients.scenes import RandomScenes
from marbench.phantoms.patients.source import REGIONS, ProceduralPatients

__all__ = ["REGIONS", "ProceduralPatients", "RandomScenes"]
