import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save as save_safetensors

from marbench.ct.operators import Operators
from marbench.errors import SpecError, StoreError
from marbench.learning.batches import BatchStream, PoolPlan
from marbench.learning.cache import BlockCache
from marbench.learning.cases import BLOCK, METALS_PER_SLICE, TrainingCases, World
from marbench.learning.feeder import Feeder
from marbench.learning.packing import FIELDS, bytes_per_case, pack, unpack
from marbench.physics import spectrum
from marbench.spec import Spec

MIX = {"spec": 1.0}


@pytest.fixture(scope="module")
def world(spec: Spec) -> World:
    return World(spec, 3, MIX)


def test_a_case_depends_on_seed_and_index_alone(world: World) -> None:
    forward = TrainingCases(world)
    first, second = forward.cases_of_slice(0), forward.cases_of_slice(1)
    again = TrainingCases(world).cases_of_slice(1)
    other_seed = TrainingCases(World(world.spec, 4, MIX)).cases_of_slice(1)
    for name in ("sinogram", "metal", "true_image"):
        assert all(np.array_equal(a[name], b[name]) for a, b in zip(second, again, strict=True))
    assert not np.array_equal(first[0]["sinogram"], second[0]["sinogram"])
    assert not np.array_equal(second[0]["sinogram"], other_seed[0]["sinogram"])


def test_worker_processes_simulate_the_same_blocks_each_rank_beginning_with_its_own(
    world: World, tmp_path: Path
) -> None:
    cache = BlockCache(world.key, tmp_path)
    with Feeder(world, cache, workers=1, rank=1, ranks=2) as feeder:
        assert feeder.rate is None
        feeder.request(range(4))
        blocks = list(feeder.fetch([1]))
        assert feeder.rate is not None and feeder.rate > 0
        assert 1 in cache
        assert 0 not in cache  # it comes after 3
    cases = TrainingCases(world).cases_of_slice(BLOCK // METALS_PER_SLICE)
    for name, values in cases[-1].items():
        assert torch.equal(blocks[0][name][METALS_PER_SLICE - 1], torch.from_numpy(values))


def test_ranks_without_workers_share_what_is_missing(world: World, tmp_path: Path) -> None:
    there = []
    cache = BlockCache(world.key, tmp_path)
    with Feeder(world, cache, workers=0, rank=1, ranks=2) as feeder:
        blocks = feeder.fetch([0, 1, 2], lambda _: there.append([number for number in range(3) if number in cache]))
        next(blocks)
    # Its own first, then from where the other one comes last.
    assert there == [[], [1], [1, 2]]


def test_no_block_is_ordered_that_no_step_will_draw_from(world: World) -> None:
    class Listening(Feeder):
        ordered = frozenset[int]()

        def request(self, numbers: Iterable[int]) -> None:
            self.ordered |= {*numbers}

    for steps, expected in ((8, {0}), (9, {0, 1}), (None, {0, 1})):
        plan = PoolPlan(blocks=1, distinct=3, renewed=1, batch=8, seed=0, steps=steps)
        with Listening(world, BlockCache(world.key), 0) as feeder:
            BatchStream(world, plan, feeder, torch.device("cpu")).prepare(0)
            assert feeder.ordered == expected


def test_metal_changes_only_rays_that_meet_it(world: World) -> None:
    for case in TrainingCases(world).cases_of_slice(0):
        plain = unpack({name: torch.from_numpy(values) for name, values in case.items()})
        change = (plain["sinogram"] - plain["true_sinogram"]).abs()
        assert plain["trace"].any()
        assert change[plain["trace"]].mean() > 0.02
        assert change[~plain["trace"]].max() < 0.02 + 0.05 * plain["true_sinogram"].max()
        assert (plain["any_metal"] | ~plain["mask"]).all()


def test_packing_loses_less_than_the_noise_of_a_scan(world: World) -> None:
    spec = world.spec
    operators = Operators(spec.geometry, spec.grid)
    sinogram = operators.project(torch.rand(spec.grid.shape) * 1000)
    image = operators.reconstruct(sinogram)
    nothing = torch.zeros(spec.grid.shape, dtype=torch.bool)
    packed = pack(sinogram, sinogram, image, torch.zeros_like(sinogram, dtype=torch.bool), nothing, nothing)
    plain = unpack({name: torch.from_numpy(values) for name, values in packed.items()})
    assert (plain["sinogram"] - sinogram).abs().max() <= 1 / 2048
    assert (plain["true_image"] - image).abs().max() <= 1 / 16
    assert (operators.reconstruct(plain["sinogram"]) - image).std() < 1.0
    assert sum(values.nbytes for values in packed.values()) == bytes_per_case(spec.geometry, spec.grid)


def test_a_damaged_block_is_made_again(world: World, tmp_path: Path) -> None:
    kept, cache = BlockCache(world.key), BlockCache(world.key, tmp_path)
    with Feeder(world, kept, workers=0) as feeder:
        (whole,) = feeder.fetch([0])
    cache.folder.mkdir(parents=True)
    content = kept.path(0).read_bytes()
    for damaged in (content[:1000], content[:-1] + bytes([content[-1] ^ 1])):
        cache.path(0).write_bytes(damaged)
        with Feeder(world, cache, workers=0) as feeder:
            (again,) = feeder.fetch([0])
        assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_block_without_a_digest_is_as_good(world: World, tmp_path: Path) -> None:
    cache = BlockCache(world.key, tmp_path)
    block = {name: np.zeros((BLOCK, 2, 2), np.uint8) for name in FIELDS}
    cache.write(0, block)
    cache.path(1).write_bytes(save_safetensors(block))
    assert all(cache.read(number) is not None for number in (0, 1))


def test_a_block_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "training").write_bytes(b"a file where the folder should be")
    block = {name: np.zeros((BLOCK, 2, 2), np.uint8) for name in FIELDS}
    with pytest.raises(StoreError, match=r"let MARBENCH_CACHE name a folder with room; the same command goes on\.$"):
        BlockCache(16 * "a", tmp_path).write(0, block)


def test_cases_that_no_training_used_for_a_month_are_removed(tmp_path: Path) -> None:
    caches = {name: _world_used(days, 16 * name, tmp_path) for name, days in (("0", 40), ("1", 20), ("a", 40))}
    caches["a"].remove_unused()
    assert [0 in cache for cache in caches.values()] == [False, True, True]


@pytest.mark.parametrize(
    ("world", "file", "stays"),
    [
        (16 * "b", ".000001.safetensors.12-0123abcd.tmp", False),  # of a training that was killed
        (16 * "b", "000001.safetensors.txt", True),
        (16 * "b", "notes.txt", True),
        ("thesis", "000001.safetensors", True),
        (17 * "b", "000001.safetensors", True),
    ],
)
def test_what_is_no_world_of_cases_is_never_removed(tmp_path: Path, world: str, file: str, stays: bool) -> None:
    old = _world_used(40, world, tmp_path, file)
    BlockCache(16 * "a", tmp_path).remove_unused()
    assert old.folder.is_dir() is stays


def _world_used(days_ago: float, key: str, root: Path, file: str = "000001.safetensors") -> BlockCache:
    cache = BlockCache(key, root)
    cache.folder.mkdir(parents=True)
    for path in (cache.path(0), cache.folder / file):
        path.write_bytes(b"cases")
    os.utime(cache.folder, 2 * (time.time() - days_ago * 24 * 3600,))
    return cache


def test_the_world_is_what_the_cases_depend_on(world: World) -> None:
    assert World(world.spec, 3, MIX).key == world.key
    keys = {World(world.spec, 4, MIX).key, World(world.spec, 3).key, world.key}
    keys.add(World(world.spec.model_copy(update={"seed": 99}), 3, MIX).key)
    assert len(keys) == 4
    assert all(len(key) == 16 for key in keys)
    with pytest.raises(SpecError, match=r"add up to 1.*0\.7"):
        World(world.spec, 3, {"spec": 0.7})


def test_another_spectrum_of_the_same_name_is_another_world(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.key
    folder = Path(shutil.copytree(Path(spectrum.__file__).parent, tmp_path / "physics"))
    monkeypatch.setattr(spectrum, "_FOLDER", folder)
    table = folder / "w120_al2.8.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("120,", "120,1"), encoding="utf-8")
    try:
        spectrum.spectrum_digest.cache_clear()
        assert World(world.spec, 3, MIX).key != before
    finally:
        monkeypatch.undo()
        spectrum.spectrum_digest.cache_clear()
    assert World(world.spec, 3, MIX).key == before


class _Files:
    """Slices from files, of which the benchmark's hash tells nothing."""

    def __init__(self, *slices: str, region: str = "hip") -> None:
        self._slices, self._region = slices, region

    def region(self, _patient: str, _slice: str) -> str:
        return self._region

    def patients(self, _split: str) -> dict[str, tuple[str, ...]]:
        return {"p": self._slices} if self._slices else {}


def test_other_files_are_another_world(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec.model_copy(update={"metals": spec.metals.model_copy(update={"placement": "anatomical"})})

    def key(*slices: str, **told: str) -> str:
        monkeypatch.setattr("marbench.learning.cases.open_source", lambda _: _Files(*slices, **told))
        return World(spec, 3, MIX).key

    assert key("a-1", "b-2") == key("a-1", "b-2")
    assert len({key("a-1"), key("a-2"), key("a-1", "b-2"), key("a-1", region="head")}) == 4
    with pytest.raises(SpecError, match="no training slices"):
        key()


def test_every_pass_draws_every_case_once_and_renews_part_of_the_pool() -> None:
    plan = PoolPlan(blocks=4, distinct=9, renewed=1, batch=8, seed=0)
    drawn = torch.cat([plan.draw(plan.steps_per_pass + k, 8)[0] for k in range(plan.steps_per_pass)])
    assert sorted(drawn.tolist()) == list(range(4 * BLOCK))
    for k in range(40):
        now, then = plan.pool(k), plan.pool(k + 1)
        assert sorted(now) == sorted({(k + p) % 9 for p in range(4)})
        assert sum(a != b for a, b in zip(now, then, strict=True)) == 1


def test_ranks_share_a_batch_and_a_batch_is_a_function_of_the_step(world: World, tmp_path: Path) -> None:
    plan = PoolPlan(blocks=1, distinct=1, renewed=0, batch=6, seed=5)

    def batch(rank: int, ranks: int, step: int) -> torch.Tensor:
        with Feeder(world, BlockCache(world.key), 0) as feeder:
            stream = BatchStream(world, plan, feeder, torch.device("cpu"), rank, ranks)
            stream.prepare(step)
            return stream[step].scan.sinogram

    whole = batch(0, 1, 7)
    assert torch.equal(whole, torch.cat([batch(0, 2, 7), batch(1, 2, 7)]))
    assert not torch.equal(whole, batch(0, 1, 8))


def test_the_image_of_a_batch_is_the_reconstruction_of_its_turned_sinogram(world: World) -> None:
    spec = world.spec
    with Feeder(world, BlockCache(world.key), 0) as feeder:
        stream = BatchStream(world, PoolPlan(1, 1, 0, 8, 0), feeder, torch.device("cpu"))
        stream.prepare(0)
        batch = stream[0]
    operators = Operators(spec.geometry, spec.grid)
    # The truth of this benchmark is the reconstruction of the true sinogram: both must have been turned alike.
    difference = operators.reconstruct(batch.truth.sinogram) - batch.truth.image
    assert difference.std() < 1.0
    assert torch.equal(batch.scan.image, operators.reconstruct(batch.scan.sinogram))
