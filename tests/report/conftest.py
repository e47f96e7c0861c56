from collections.abc import Iterator

import pytest
from browser import CHROMIUM, DRIVER, Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pytest.importorskip("selenium", reason="the browser tests need selenium: pip install 'marbench[test]'")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("the browser tests need chromium and chromedriver: apt-get install chromium chromium-driver")
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.driver.quit()
