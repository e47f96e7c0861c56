from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, Browser
from synthetic_runs import HOSTILE, METHODS, Synthetic, failed, write_run

from marbench.report.pages import render
from marbench.results.rows import Row


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pytest.importorskip("selenium", reason="the browser tests need selenium: pip install 'marbench[test]'")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("the browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.driver.quit()


def _failing(row: Row) -> Row:
    return failed(row, message="</script>") if row.method == HOSTILE and row.size_group == 2 else row


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of seven methods, one of which has a hostile name, and failures; pictures of one case."""
    methods = (*METHODS, Synthetic(HOSTILE, 30.0, 0.05, 77, "image"))
    return render(write_run(tmp_path_factory.mktemp("browser") / "run", methods, change=_failing, pictures=1)).parent


@pytest.fixture(scope="session")
def pictured_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of five such methods with pictures of six cases."""
    methods = (*METHODS[:4], Synthetic(HOSTILE, 30.0, domain="image"))
    return render(write_run(tmp_path_factory.mktemp("viewer") / "run", methods, change=_failing, pictures=6)).parent
