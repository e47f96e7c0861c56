"""A folder of images that were made elsewhere: which is of which case, what is wrong with them, and their scores."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from marbench.bench.keeper import hold_to_patients
from marbench.bench.options import Progress
from marbench.cases.case import CaseSource
from marbench.cases.digest import case_digest
from marbench.cases.image_files import SUFFIXES, read_image, suffix_of
from marbench.cases.sources import check_cases
from marbench.errors import DataError, nearest
from marbench.machine.files import find_files
from marbench.method.card import MethodCard
from marbench.method.images import Image
from marbench.metrics.lints import Fault, faults
from marbench.metrics.measure import measures_of
from marbench.metrics.scoring import Scorer
from marbench.results.images import Gallery, ImageChoice, case_picture, method_picture, wanted_cases
from marbench.results.rows import Key, Row, properties
from marbench.results.store import Store
from marbench.spec import PROTOCOL, refuse_borrowed_name

__all__ = ["match_cases", "score_folder"]

_NUMBER = r"\d{1,9}"
# So many faulty images tell what is wrong; a user who waits for it waits for nothing more.
_ENOUGH = 8
# What stands beside images in folders, and is none.
_PASSED_OVER = frozenset({".txt", ".csv", ".json", ".toml", ".md", ".log", ".m", ".py", ".hdr"})


def match_cases(folder: Path, source: CaseSource) -> dict[int, Path]:
    """Return position of a case → file of its image, in the order of the cases.

    A file is named by the case id, which may stand among other words (``mine_<case_id>.npy``), or by the number that
    the case has in ``cases.csv`` (``0007.raw``), where the first one is 0.

    Raises
    ------
    DataError
        The benchmark has no cases; or the folder holds no images, files of no case or of an unknown format, two for one
        case, or numbers from 1 on; each is named.
    """
    check_cases(source)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder. Name the one that holds an image for each case.")
    found = find_files(folder, "*")
    # Folders are passed over; a link in place of an image is told, since somebody meant it to count.
    wrong = [f"{path.name}: {why}" for path, why in found.strange.items() if not path.is_dir()]
    keys = source.case_keys
    positions = {key.case_id: position for position, key in enumerate(keys)}
    places = {place: position for position, place in enumerate(source.places)}
    files: dict[int, list[Path]] = defaultdict(list)
    counted: list[int] = []
    for path in found.files:
        suffix = suffix_of(path.name)
        if not suffix and path.suffix.lower() in _PASSED_OVER:
            continue
        stem = path.name[: len(path.name) - len(suffix)]
        position = _position(stem, positions, places)
        if not suffix:
            wrong.append(f"{path.name}: unknown format. Known: {', '.join(SUFFIXES)}")
        elif position is None:
            wrong.append(f"{path.name}: unknown case; {_cases(stem, positions, places)}")
        else:
            files[position].append(path)
            counted += [source.places[position]] if _is_number(stem, positions) else []
    wrong += [
        f"duplicate: {' and '.join(path.name for path in paths)} are all of {keys[position].case_id}. Keep one."
        for position, paths in sorted(files.items())
        if len(paths) > 1
    ]
    if counted and min(counted) == 1 and 0 in places:
        # Else each would be scored as its neighbour, of the same slice with another implant.
        wrong.append("counted from 1: cases.csv counts from 0. Name files so, or by case ids if the first is absent.")
    if wrong:
        raise _refusal(folder, wrong)
    if not files:
        raise DataError(f"{folder} holds no images. Expected one file a case, <case_id> with {', '.join(SUFFIXES)}.")
    return {position: paths[0] for position, paths in sorted(files.items())}


def score_folder(
    folder: Path,
    source: CaseSource,
    card: MethodCard,
    store: Store,
    progress: Progress,
    offset: float | None = None,
    images: ImageChoice = "gallery",
    command: str = "",
) -> list[Row]:
    """Score the images of a folder, store and return their rows. Nothing is stored unless all images are sound.

    Parameters
    ----------
    folder : Path
        See `match_cases`; cases without an image are stored as ``unavailable``.
    source : CaseSource
    card : MethodCard
        Of the method that made the images.
    store : Store
    progress : Progress
    offset : float, optional
        See `read_image`.
    images : {"gallery", "all", "none"}
        Which images to keep for the pages.

    Raises
    ------
    DataError
        Images are no pictures of their cases: the message groups what is wrong by its name. Or a truth is not known.
    StoreError
        The folder names the patients of the cases otherwise, or cannot be written.
    SpecError
        The benchmark has the name of a built-in one that it is not.
    """
    refuse_borrowed_name(source.spec)
    files, keys = match_cases(folder, source), source.case_keys
    stored, _ = store.stored()
    hold_to_patients(store.folder, keys, stored[stored["evidence"] != "reported"])
    # What a method is made of whose code is elsewhere: all that is known of it are its images.
    version = _digest(folder, {keys[position].case_id: path for position, path in files.items()}, source, offset)
    method, wanted = Key(card.name, version, ""), wanted_cases(images, source, keys)
    with tempfile.TemporaryDirectory() as place:
        # Pictures of thousands of cases do not fit into memory, and belong into the run only if all images are sound.
        drawn = Gallery(Path(place) / "images", wanted)
        scored = _score_all(files, source, method, drawn, offset, progress)
        _refuse_faulty(folder, files, scored)
        store.prepare()
        store.write_method(card.name, {**card.model_dump(mode="json", exclude={"python"}), "method_hash": version})
        store.write_command(command)
        gallery = Gallery(store.folder / "images", wanted)
        for path in sorted(drawn.folder.glob("*/*.npz")):
            gallery.write({f"{path.parent.name}/{path.name}": path.read_bytes()})
    rows = [each.row for each in scored]
    # A row for what is not there, too: a mean over fewer cases is to be seen as such, and takes no rank.
    absent = [position for position in range(len(source)) if position not in files]
    told = {"status": "unavailable", "message": "no image was handed in"}
    for row in (*rows, *(_row(source, position, method, **told) for position in absent)):
        store.add(row)
    store.flush()
    return rows


def _digest(folder: Path, files: Mapping[str, Path], source: CaseSource, offset: float | None) -> str:
    """Return a digest of all images by case id; DataError where files hold no images of the benchmark's grid."""
    # All files are read once before anything is simulated: a wrong shape or type is told within seconds.
    wrong, digest = [], hashlib.sha256()
    for case_id, path in files.items():
        try:
            digest.update(case_id.encode() + b"\0" + read_image(path, source.spec.grid.shape, offset).tobytes())
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise _refusal(folder, wrong)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Scored:
    row: Row
    faults: tuple[Fault, ...]


def _score(
    source: CaseSource, position: int, image: Image, method: Key, wanted: Container[str]
) -> tuple[_Scored, dict[str, bytes]]:
    """Return the row of an image with what is wrong with it, and the pictures to keep."""
    case = source[position]
    scorer = Scorer(case, measures_of(source.spec.metrics.conventions), source.spec)
    found = faults(image, case.known_truth.image[0].cpu().numpy(), case.scan.metal_mask[0].cpu().numpy())
    pictures: dict[str, bytes] = {}
    if case.id in wanted and not found:
        pictures = case_picture(case, scorer.regions) | method_picture(replace(method, case_id=case.id), image)
    scores = {} if found else scorer.score(image)
    known = {"case_digest": case_digest(case), **properties(case.info), "scores": scores}
    return _Scored(_row(source, position, method, **known), found), pictures


def _score_all(
    files: Mapping[int, Path],
    source: CaseSource,
    method: Key,
    drawn: Gallery,
    offset: float | None,
    progress: Progress,
) -> list[_Scored]:
    """Return what came of each image, until enough are faulty; its pictures are written into ``drawn``."""
    scored: list[_Scored] = []
    progress.begin("Scoring", len(files))
    for position, path in files.items():
        image = read_image(path, source.spec.grid.shape, offset)
        each, pictures = _score(source, position, image, method, drawn.cases)
        drawn.write(pictures)
        scored.append(each)
        progress.advance()
        if sum(bool(one.faults) for one in scored) >= _ENOUGH:
            break
    return scored


def _row(source: CaseSource, position: int, method: Key, **known: Any) -> Row:
    return Row(
        spec_hash=source.spec.hash,
        protocol=PROTOCOL,
        method=method.method,
        method_hash=method.method_hash,
        preset="",
        **asdict(source.case_keys[position]),
        case_index=source.places[position],
        device="",  # nothing ran here
        evidence="recomputed from images",
        **known,
    )


def _refuse_faulty(folder: Path, files: Mapping[int, Path], scored: Sequence[_Scored]) -> None:
    """Raise DataError where images are no pictures of their cases: of each kind of fault an example."""
    # All of a folder or nothing: what is wrong with some images is likely wrong, and unseen, with the others.
    examples: dict[str, list[str]] = defaultdict(list)
    for path, each in zip(files.values(), scored, strict=False):  # the rest was not looked at
        for fault in each.faults:
            examples[fault.name].append(f"{path.name}: {fault}")
    if examples:
        raise _refusal(folder, [f"{len(one)} of {len(scored)} images, {one[0]}" for one in examples.values()])


def _position(stem: str, positions: Mapping[str, int], places: Mapping[int, int]) -> int | None:
    """Return the case that a name means, an id or the place in the benchmark; None where it means none."""
    if stem in positions:
        return positions[stem]
    if _is_number(stem, positions):
        return places.get(int(stem))
    # The longest one: an id may be the beginning of another.
    inside = [
        case_id
        for case_id in positions
        if case_id in stem and re.search(rf"(?<![A-Za-z0-9]){re.escape(case_id)}(?![A-Za-z0-9])", stem)
    ]
    return positions[max(inside, key=len)] if inside else None


def _is_number(stem: str, positions: Mapping[str, int]) -> bool:
    # Loops of other programs count cases; an id that is a number is an id.
    return stem not in positions and re.fullmatch(_NUMBER, stem) is not None


def _cases(stem: str, positions: Mapping[str, int], places: Mapping[int, int]) -> str:
    """Return which cases there are, for a name that means none."""
    if _is_number(stem, positions):
        return f"numbers are those of cases.csv, {min(places)} to {max(places)}"
    return nearest(stem, positions)


def _refusal(folder: Path, wrong: Sequence[str]) -> DataError:
    more = [f"… and {len(wrong) - _ENOUGH} more"] if len(wrong) > _ENOUGH else []
    lines = "".join(f"\n  {text}" for text in (*wrong[:_ENOUGH], *more))
    return DataError(f"The images in {folder.name} are refused, and nothing was stored:{lines}")
