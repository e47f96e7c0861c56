import itertools
import time

import pytest

from marbench.machine.text import clean, clean_line, said_by


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Errno 2] No such file or directory: '/data/clinic/DOE_JANE/atlas.npy'", "'atlas.npy'"),
        ("cannot open /home/alice.smith/my data/x.npy", "x.npy"),
        ("the weights ~/.local/share/marbench/weights/a.safetensors are damaged", "the weights a.safetensors are"),
        (r"C:\Users\jane\doe\x.dcm is damaged", "x.dcm is damaged"),
        ("../../DOE_JANE/IM003.dcm: truncated", "IM003.dcm: truncated"),
        ("hosp/DOE_JANE_1975-03-02/IM003.dcm", "IM003.dcm"),
        ("$HOME/DOE/x.npy", "x.npy"),
        (r"\\server\DOE\x.dcm", "x.dcm"),
        ("cannot open nas:/volume1/patients/DOE_JANE/IM003.dcm", "cannot open nas:IM003.dcm"),
        ("error:/home/jane/doe/x.npy", "error:x.npy"),
        ("LD=/opt/clinic/lib:/home/jane/bin:~/DOE/x:../DOE/y", "LD=lib:bin:x:y"),
        ("error:C:/Users/jane/x.dcm", "error:x.dcm"),
        ("scp nas:patients/DOE_JANE/IM003.dcm", "scp nas:IM003.dcm"),
        ('"/tmp/Jane Doe/with blanks.npy" is missing', '"with blanks.npy" is missing'),
    ],
)
def test_of_a_path_only_the_file_name_is_kept(text, expected):
    cleaned = clean(text)
    assert expected in cleaned
    for private in ("DOE", "alice", "jane", "Jane", "clinic", "home", ".local", "Users"):
        assert private not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        *("HU/cm", "3/4", "train/val/test", "1/cm", "and/or", "https://doi.org/10.1109/x", r"\x00 \n", r"bad \udcff"),
        *(
            "http://localhost:8080/a/b.html",
            "see:https://x.org/a/b.c",
            "doi:10.1118/1.3484090",
            "my.py:Echo",
            "0:05/1.5",
        ),
    ],
)
def test_what_is_no_path_stays(text):
    assert clean(f"a {text} b") == f"a {text} b"


def test_terminal_escapes_controls_and_surrogates_are_made_harmless():
    cleaned = clean("\x1b[31mred\x1b[0m \x1b]0;title\x07 a\x00b\u202ec\udcffd\n\te")
    assert cleaned == "red  a\ufffdb\ufffdc\ufffdd\n\te"
    cleaned.encode()


def test_what_is_no_character_is_replaced_since_xml_cannot_hold_it():
    assert clean("a\ufffeb\uffffc\U0001fffed\ufdd0") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert clean("\ufffd\U0001f600\ufdcf\ufdf0") == "\ufffd\U0001f600\ufdcf\ufdf0"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "/home/jane/doe/x.npy"), "No such file or directory"),
        (OSError("no array"), "no array"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_says_why_without_its_file(error, said):
    assert said_by(error) == said


def test_a_long_text_takes_time_in_proportion_to_its_length():
    """A table or a card from anyone may hold any: 10 ms each, and seconds if it were the square of the length."""

    def seconds(unit):
        began = time.thread_time()
        clean((unit * 20_000)[:20_000])
        return time.thread_time() - began

    units = map("".join, itertools.product("@./\\~:'a", repeat=2))
    others = (
        "\x1b[",
        "\x1b]",
        "$a",
        "${",
        "${a}",
        "<a",
        "--",
        "+-",
        "C:/",
        "file:/",
        "\\\\a",
        "'/a",
        "'/\"",
        "\x1b]a",
        "a/b.c:",
        "a@b/c.d/",
    )
    assert [unit for unit in (*units, *others) if seconds(unit) > 0.5] == []


def test_limits_are_kept():
    assert clean("x" * 100, limit=10) == "x" * 9 + "…"
    assert clean_line("a\n b\tc") == "a b c"
