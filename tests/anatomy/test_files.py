"""Which files below a folder are read."""

import pytest

from marbench.anatomy.files import files_below, matching
from marbench.errors import DataError


def names(folder, pattern=None):
    files = files_below(folder, pattern)
    return [file.relative_to(folder).as_posix() for file in files.found], dict(files.skipped)


def make(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def test_a_pattern_chooses_below_the_folder(tmp_path):
    make(tmp_path, "ct.nii.gz", "s1/ct.nii.gz", "s1/masks/ct.nii.gz", "s2/ct.nii.gz", "s2/mr.nii.gz")
    left = "files that anatomy.pattern leaves out"
    assert names(tmp_path, "*/ct.nii.gz") == (["s1/ct.nii.gz", "s2/ct.nii.gz"], {left: 3})
    assert names(tmp_path, "**/ct.nii.gz")[1] == {left: 1}
    assert names(tmp_path, "s[13]/**") == (["s1/ct.nii.gz", "s1/masks/ct.nii.gz"], {left: 3})
    assert len(names(tmp_path)[0]) == 5


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    make(tmp_path, "a", "._a", ".git/annex/a", "s/.DS_Store")
    assert names(tmp_path) == (["a"], {"hidden files": 2})


def test_links_are_followed_each_file_counts_once_and_broken_ones_are_told(tmp_path):
    folder = tmp_path / "data"
    make(tmp_path, "elsewhere/a", "data/b")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "twice").symlink_to(tmp_path / "elsewhere")
    (folder / "up").symlink_to(folder)
    (folder / "c").symlink_to(folder / "b")
    (folder / "gone").symlink_to(tmp_path / "annex")
    found, skipped = names(folder)
    assert found == ["b", "link/a"]
    assert skipped == {"links to a file that is there already": 1, "broken links": 1}


def test_what_is_found_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    make(tmp_path, "a/1", "b/2")
    monkeypatch.chdir(tmp_path / "a")
    assert names(tmp_path)[0] == ["a/1", "b/2"]


def test_what_matches_a_pattern_is_found_through_links_and_without_hidden_names(tmp_path):
    folder = tmp_path / "data"
    make(tmp_path, "elsewhere/a.npz", "data/test/b.npz", "data/test/._b.npz", "data/.old/c.npz", "data/notes")
    (folder / "link").symlink_to(tmp_path / "elsewhere")

    def found(pattern):
        return [path.relative_to(folder).as_posix() for path in matching(folder, pattern)]

    assert found("*/*.npz") == ["link/a.npz", "test/b.npz"]
    assert found("test/b.npz") == ["test/b.npz"] and found(".old/*") == [".old/c.npz"]
    assert found("none/*.npz") == found("test/none.npz") == found("notes/*") == []


def test_a_folder_that_cannot_be_read_and_a_link_to_nowhere_are_named(tmp_path, refused):
    make(tmp_path, "p1/a.npy", "p2/a.npy")
    (tmp_path / "p3").symlink_to(tmp_path / "gone")
    for pattern in ("*/a*.npy", "*/a.npy"):
        with pytest.raises(DataError, match=r"p3 cannot be read: No such file"):
            matching(tmp_path, pattern)
    (tmp_path / "p3").unlink()
    refused("iterdir", "p2")
    with pytest.raises(DataError, match=r"p2 cannot be read: Permission denied\. Mend its permissions"):
        matching(tmp_path, "*/a*.npy")


def test_folders_of_the_system_at_the_root_of_a_disk_are_passed_over(tmp_path, refused):
    system = "lost+found", "System Volume Information", "$RECYCLE.BIN", "$Recycle.Bin"
    make(tmp_path, "p1/a.npy", *(f"{name}/a.npy" for name in system))
    refused("iterdir", *system)
    assert matching(tmp_path, "*/*.npy") == matching(tmp_path, "*/a.npy") == [tmp_path / "p1" / "a.npy"]
