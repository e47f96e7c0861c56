"""The simulator under one name; it lives in `marbench.cases`."""

from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.suite import CaseKey, Suite

__all__ = ["CaseKey", "MetalFree", "Simulator", "Suite"]
