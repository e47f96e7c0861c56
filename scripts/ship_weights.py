"""Put trained weights into the plugins that they belong to: ``python3 scripts/ship_weights.py OUT [METHODS]``.

Every folder below OUT that a training has finished holds ``weights.toml``. Its weights and card are copied to
``METHODS/<name>/weights`` (METHODS is ``methods`` unless given) and declared in ``method.toml``.
"""

import re
import shutil
import sys
import tomllib
from pathlib import Path

from marbench.method.weights import WeightsFile


def ship(training: Path, methods: Path) -> None:
    """Copy the weights of one training and declare them in place of an older declaration of the same file."""
    stanza = (training / "weights.toml").read_text(encoding="utf-8")
    name = Path(tomllib.loads(stanza)["weights"][0]["file"]).name
    weights = training / name
    card = WeightsFile.of(weights).card
    folder = methods / card.method
    (folder / "weights").mkdir(exist_ok=True)
    for path in (weights, weights.with_suffix(".json")):
        shutil.copyfile(path, folder / "weights" / path.name)
    toml = folder / "method.toml"
    older = rf'\n*\[\[weights\]\]\nfile = "weights/{re.escape(name)}"\n(?:[a-z0-9_]+ = .*\n)*'
    others = re.sub(older, "\n", toml.read_text(encoding="utf-8"))
    toml.write_text(others.rstrip("\n") + "\n\n" + stanza, encoding="utf-8")
    print(f"{card.label}: {folder / 'weights' / name} ({weights.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    out, methods = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "methods")
    found = sorted(out.glob("*/weights.toml"))
    if not found:
        sys.exit(f"No folder in {out} holds weights.toml, which a training leaves at its end.")
    for declaration in found:
        ship(declaration.parent, methods)
