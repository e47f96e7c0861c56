"""Names for patients that tell nobody who they are.

A digest of an id alone hides nothing: whoever guesses the ids of a hospital, seven digits say, finds each in seconds.
So ids are digested with a secret of this machine's user (HMAC-SHA256, RFC 2104), which never enters a results folder.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

import platformdirs

from marbench.errors import DataError
from marbench.machine.text import said_by

__all__ = ["SALT_VARIABLE", "patient_label"]

SALT_VARIABLE = "MARBENCH_SALT"
SALT_BYTES = 32
_DIGITS = 12


def patient_label(identity: str) -> str:
    """Return a patient's published name: ``patient-`` and 12 hex digits, the same wherever the salt is the same.

    The salt is ``MARBENCH_SALT`` where that is set, else a file of the user's, which is made on first need.

    Raises
    ------
    DataError
        The salt cannot be read or kept.
    """
    digest = hmac.new(_salt(), identity.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"patient-{digest[:_DIGITS]}"


def _salt() -> bytes:
    named = os.environ.get(SALT_VARIABLE)
    if named:
        return os.fsencode(named)
    path = Path(platformdirs.user_data_dir("marbench", appauthor=False)) / "salt"
    try:
        if not path.exists():
            _make(path)
        salt = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"Patients are named by a secret salt, which cannot be kept in {path} ({said_by(error)}). Mend that, or "
            f"set {SALT_VARIABLE} to a secret text of your own, the same for all runs of these data."
        ) from None
    if len(salt) != SALT_BYTES:
        raise DataError(
            f"{path} should hold the {SALT_BYTES} bytes by which patients are named; it holds {len(salt)}. Restore it, "
            "or remove it: patients get other names then, and runs of CT data start anew."
        )
    return salt


def _make(path: Path) -> None:
    """Write a new salt, whole or not at all; of processes that do so at once the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".salt-")  # only its owner may read it
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SALT_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            os.replace(draft, path)  # noqa: PTH105 (draft is text)
    finally:
        Path(draft).unlink(missing_ok=True)
