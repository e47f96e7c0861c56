"""How long the gallery takes from one case to another: ``python benchmarks/gallery.py RUN/report``.

From the choice until its pictures are drawn and two frames have passed, in headless Chromium without a GPU, 1440 × 900
pixels; each choice after a second of rest. The goal is 100 ms for 16 pictures of 128² on two idle cores.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "report"))
from browser import Browser, until

CHANGES = 16
CHOOSE = """const [place, done] = arguments;
const choice = document.getElementById("case");
const frame = () => new Promise(requestAnimationFrame);
const turn = () => new Promise((next) => setTimeout(next));
(async () => {
  const start = performance.now();
  choice.selectedIndex = place;
  choice.dispatchEvent(new Event("change"));
  do await turn(); while (document.querySelector("#viewer[aria-busy]"));
  await frame();
  await frame();
  done(performance.now() - start);
})();"""


def main() -> None:
    """Print medians and quartiles as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    page = parser.parse_args().report / "gallery.html"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile))
        driver = browser.open(page, width=1440, height=900)
        until(driver, "document.querySelector('.pane canvas') && !document.querySelector('#viewer[aria-busy]')")
        cases = driver.execute_script("return document.getElementById('case').options.length")
        ways = {
            "the next case": [(place + 1) % cases for place in range(CHANGES)],
            "any case": random.Random(0).choices(range(cases), k=CHANGES),
        }
        print("| to | median, ms | quartiles | load of the machine |\n|---|--:|--:|--:|")
        for way, places in ways.items():
            taken = []
            for place in places:
                time.sleep(1)
                taken.append(driver.execute_async_script(CHOOSE, place))
            low, median, high = statistics.quantiles(taken)
            print(f"| {way} | {median:.0f} | {low:.0f}–{high:.0f} | {os.getloadavg()[0]:.1f} |")
        driver.quit()


if __name__ == "__main__":
    main()
