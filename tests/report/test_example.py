"""The example of the leaderboard, and the pictures of the methods page."""

from pathlib import Path

from synthetic_runs import METHODS, Synthetic, write_run

from marbench.report.benchmark import gather
from marbench.report.example import write_example
from marbench.report.findings import Findings
from marbench.report.methods import _pictures
from marbench.report.page import Output
from marbench.report.pictures import png, windowed
from marbench.results.store import open_run


def test_a_method_of_any_name_takes_the_place_of_no_other_picture(tmp_path: Path) -> None:
    methods = (METHODS[0], Synthetic("truth", 30), Synthetic("uncorrected", 28))
    run = write_run(tmp_path / "run", methods, slices=2, pictures=1)
    findings = Findings(gather([open_run(run)])[0])
    ((case_id, shown),) = findings.shown.items()
    stored = shown.stored
    truth, raw = (png(windowed(image, stored.metal, stored.window)) for image in (stored.truth, stored.uncorrected))

    output = Output(tmp_path / "example")
    example = write_example(findings, output)
    assert example is not None and [title for title, _ in example.panels] == [
        *("Truth", "Uncorrected", "TRUTH", "UNCORRECTED")
    ]
    drawn = [(output.folder / file).read_bytes() for _, file in example.panels]
    assert drawn[:2] == [truth, raw] and len(set(drawn)) == 4

    output = Output(tmp_path / "methods")
    shown_of, _, files = _pictures(findings, output)
    assert shown_of == case_id and set(files) == {"none", "truth", "uncorrected"}
    assert (output.folder / files["none"]).read_bytes() == raw
    assert len(set(files.values())) == 3


def test_the_example_says_what_is_drawn_and_whether_it_is_a_gain(tmp_path: Path) -> None:
    def told(*methods: Synthetic) -> tuple[str, str]:
        run = write_run(tmp_path / f"{len(methods)} {methods[-1].psnr}", methods, slices=2, pictures=1)
        example = write_example(Findings(gather([open_run(run)])[0]), Output(tmp_path / "example"))
        assert example is not None
        return example.preview, example.told

    assert told(METHODS[0]) == (
        "Uncorrected, and the truth",
        "of the cases with pictures the one with the median metal",
    )
    preview, gain = told(METHODS[0], METHODS[1])
    assert preview == "Uncorrected, and corrected by LI" and "on which LI gains most: " in gain
    assert "on which LI loses least: " in told(METHODS[0], Synthetic("li", 10))[1]
