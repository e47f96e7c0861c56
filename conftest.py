"""What pytest passes over when it collects the doctests of the package."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("triton") else ["marbench/ct/triton"]
