"""Plugins that were imported from folders and single files: each is a package below this one, see `PluginFinder`."""

import sys

from marbench.method.finder import PluginFinder

sys.meta_path.append(PluginFinder())
