"""The simulator under one name; it lives in `marbench.cases`."""

from marbench.cases.info import CaseKey
from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.suite import Suite

__all__ = ["CaseKey", "MetalFree", "Simulator", "Suite"]
