import time
import tomllib

import pytest

from marbench.machine.toml import parse_toml

CHAIN = "a." * 12 + "a"


@pytest.mark.parametrize(
    "text",
    [
        f'x = "{CHAIN}"',
        f"x = '{CHAIN}'",
        f'x = """\n{CHAIN}""\n\\"""{CHAIN}"""""',
        f"x = '''\n{CHAIN}''\n{CHAIN}'''''",
        f"x = 1 # {CHAIN}",
        f'"{CHAIN}" = 1 # "',
        f'x = "\\"{CHAIN}\\\\" # {CHAIN}',
        "x = [1.5, 2.5\n, 1.5]",
        "a.b.c.d.e.f.g.h.i.j = 1",
    ],
)
def test_what_is_no_long_key_is_read(text):
    assert parse_toml(text) == tomllib.loads(text)


@pytest.mark.parametrize(
    "key",
    [CHAIN, CHAIN.replace(".", " . "), CHAIN.replace(".", "\t."), CHAIN.replace("a", '"a"'), CHAIN.replace("a", "'#'")],
)
@pytest.mark.parametrize(
    "text", ["{} = 1", "[{}]", "[[{}]]", "x = {{ {} = 1 }}", "x = '''\"'''\n{} = 1", 'x = "\\\\" #"\n{} = 1']
)
def test_a_key_without_end_is_refused(text, key):
    """The parser would keep each of its tables, and every beginning of it."""
    tomllib.loads(text.format(key))
    with pytest.raises(ValueError, match="a key has more than 10 parts"):
        parse_toml(text.format(key))


def test_what_holds_more_than_any_file_of_ours_is_refused():
    with pytest.raises(ValueError, match=r"it has 1,\d{3},\d{3} characters beside its strings, 1,048,576 at most"):
        parse_toml("".join(f"[a{number}]\n" for number in range(120_000)))
    assert parse_toml(f'x = "{"m" * 2**21}" # {"m" * 2**20}')


@pytest.mark.parametrize(
    "unit", [*"\"'\\#.= \na_", '"""', "'''", "a.", '"a".', '\\"', '"\\', "a. ", "''a", '""a', "a.a.a,"], ids=ascii
)
@pytest.mark.parametrize("before", ["", "x = ", 'x = "', "x = '", 'x = """', "x = '''"], ids=ascii)
def test_a_long_text_takes_time_in_proportion_to_its_length(before, unit):
    began = time.thread_time()
    with pytest.raises(ValueError):
        parse_toml(before + unit * (200_000 // len(unit)) + "\x00")
    assert time.thread_time() - began < 0.5
