"""A run and its publication, killed at seeded moments; scripts/kills.py does so a hundred times."""

import random
from pathlib import Path

from kills import Scene, damaged, dead_links, play, undisturbed_run


def test_runs_and_publications_that_are_killed_lose_double_and_damage_nothing(tmp_path):
    scene = Scene.build(tmp_path, ("none", "slow"))
    undisturbed, seconds = undisturbed_run(scene, limit=2)
    finished = play(scene, 2, 2, undisturbed, seconds, 2, random.Random(5))
    assert finished.kills.total() >= 1
    assert (finished.lost, finished.double, finished.faults) == (0, 0, [])
    assert finished.rows == len(undisturbed) == 4


def test_damage_and_dead_links_are_seen(tmp_path: Path):
    (tmp_path / "whole.json").write_text("{}")
    (tmp_path / "half.json").write_text("{")
    (tmp_path / "half.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "half.html").write_text('<html><a href="nowhere.html">')
    (tmp_path / "page.html").write_text('<html><a href="half.html#top"></a><img src="data:x"></html>\n')
    assert {path.name for path, _ in damaged(tmp_path)} == {"half.json", "half.npz", "half.html"}
    assert dead_links(tmp_path) == ["half.html → nowhere.html"]
