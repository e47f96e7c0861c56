"""Procedural CT patients: axial slices of seven body regions, drawn at random and the same at any resolution."""

from marbench.phantoms.patients.scenes import RandomScenes
from marbench.phantoms.patients.source import FIELD_OF_VIEW_CM, REGIONS, ProceduralPatients

__all__ = ["FIELD_OF_VIEW_CM", "REGIONS", "ProceduralPatients", "RandomScenes"]
