"""A real browser for the tests of the pages: headless Chromium, without network, whose complaints are failures."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


class Browser:
    """Chromium on pages of one folder. `check` fails on console errors and on requests that leave the folder."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            # Nothing resolves: a request that leaves the machine fails, and is an error on the console.
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        # Some versions never give a window without a screen the focus, without which pages hear of no focused element.
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        self.framed: tuple[int, int, str] | None = None

    def frame(self, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Set the window size (CSS px) and the colour scheme; a page that is open stays and follows."""
        self.framed = (width, height, scheme)
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        # Without transitions, so that a colour is what it will be.
        media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})

    def shows(self, page: Path) -> bool:
        """Return whether a page is open in the usual frame: what restores it costs less than to load it anew."""
        return self.framed == (1280, 900, "light") and self.driver.current_url.split("#")[0] == page.resolve().as_uri()

    def open(self, page: Path, fragment: str = "", width: int = 1280, height: int = 900, scheme: str = "light") -> Any:
        """Open a file in a frame; return the driver."""
        self.frame(width, height, scheme)
        address = page.resolve().as_uri()
        if self.driver.current_url.split("#")[0] == address:
            # A URL that differs in its fragment only would not load the page anew.
            self.driver.get("about:blank")
        # What earlier pages said is not this page's fault.
        self.driver.get_log("browser")
        self.driver.get(address + fragment)
        # Under load the window may have no size at first, and nothing in it is displayed.
        until(self.driver, "document.documentElement.getBoundingClientRect().width")
        return self.driver

    def loaded(self) -> list[str]:
        """Return what the open page has loaded. What leaves the machine cannot be, and is an error on the console."""
        tree = self.driver.execute_cdp_cmd("Page.getResourceTree", {})["frameTree"]
        return [str(resource["url"]) for resource in tree["resources"]]

    def complaints(self, folder: Path) -> list[str]:
        """Return what the console said since the last call, and what the page loaded from outside the folder."""
        said = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "DEBUG"]
        own = (folder.resolve().as_uri(), "data:", "blob:")
        return said + [f"request to {url}" for url in self.loaded() if not url.startswith(own)]


def until(driver: Any, script: str, *arguments: Any) -> Any:
    """Return the script's value as soon as it is true."""
    for _ in range(100):
        if value := driver.execute_script(f"return {script}", *arguments):
            return value
        time.sleep(0.03)
    raise AssertionError(f"never true: {script}")


def settle(driver: Any) -> None:
    """Wait until all is drawn and the address is written."""
    driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 200))")
