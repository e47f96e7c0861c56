"""``marbench check``: does a method keep to the contract?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from marbench.bench.limits import Limits
from marbench.conformance.examination import Examination
from marbench.conformance.specimens import Specimens
from marbench.conformance.verdict import Finding, Verdict, failed
from marbench.errors import MethodError
from marbench.machine.devices import device_of
from marbench.method.discovery import discover, is_plugin, plugin_folders
from marbench.method.request import MethodRequest, only_one, parse_methods
from marbench.spec import Spec, load_spec

__all__ = ["check"]


def check(
    method: str | Path,
    spec: str | Path | Spec = "mini",
    plugins: str | Path | Iterable[str | Path] = (),
    device: str = "cpu",
    seconds: float = 300.0,
    specimens: tuple[Specimens, Specimens] | None = None,
) -> Verdict:
    """Check a method against the contract of `marbench.Method`.

    It is called in a process of its own, so that whatever it does is a finding; where it stands that, here as well.

    Parameters
    ----------
    method : str or Path
        A name as on the command line, ``file.py:NAME``, or a plugin's folder.
    spec : str, Path or Spec
        The benchmark whose first cases are used.
    plugins : path or iterable of paths
        Folders of more methods.
    device : str
    seconds : float
        Limit of a call, and of import and load together.
    specimens : (Specimens, Specimens), optional
        Cases of ``spec`` and of another geometry, where they are at hand.

    Raises
    ------
    MarbenchError
        There is no such method, benchmark or device.
    """
    place, resolved = device_of(device), load_spec(spec)
    request = _requested(str(method), plugin_folders(plugins))
    if isinstance(request, Finding):
        return Verdict(str(method), resolved.name, device, (request,))
    home, elsewhere = specimens or (Specimens.of(resolved), Specimens.elsewhere())
    with Examination(request, home, elsewhere, place, Limits(seconds)) as examination:
        return Verdict(request.label, home.spec.name, device, tuple(examination.findings()))


def _requested(method: str, plugins: Sequence[str | Path]) -> MethodRequest | Finding:
    """Return the method that is meant, or what is wrong with its card."""
    path = Path(method).expanduser().absolute()
    is_folder = is_plugin(path)
    if path.is_dir() and not is_folder and os.sep in method:
        raise MethodError(f"{path} holds no method.toml: name a plugin's folder, or a method and --plugins.")
    found = discover([*plugins, *([path] if is_folder else [])])
    card = f"{os.sep}{path.name}{os.sep}method.toml"
    for problem in found.problems:
        if card in problem and (is_folder or method not in found.entries):
            return failed("card", problem.removeprefix("Skipped: "), "see marbench.method.card.MethodCard for the keys")
    if is_folder:
        # By where they lie: the same folder may be named in several ways.
        folders = {one.folder.resolve(): one for one in found.entries.values() if one.folder}
        return MethodRequest(folders[path.resolve()])
    return only_one(parse_methods(method, found), "Methods are checked one at a time")
