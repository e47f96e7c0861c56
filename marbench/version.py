"""The version of marbench."""

__all__ = ["__version__"]

__version__ = "0.1.0"
