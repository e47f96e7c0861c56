"""Awkward inputs from public bug reports: is each read right, or refused with a reason?

Prints a Markdown table of case, public source and outcome. Exits with 1 where an input is read wrong in silence, is
refused without the file, the attribute and the remedy, or ends in a traceback.

    python scripts/corpus.py [WORD]        # the cases whose name, source or reader contains WORD
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("MARBENCH_SALT", "the corpus")

import corpus_dicom
import corpus_dicom_headers
import corpus_volumes
from corpus_judge import CASES, judge

__all__ = ["main"]

MODULES = (corpus_dicom, corpus_dicom_headers, corpus_volumes)
"""They register their cases."""


def main(word: str = "") -> int:
    """Judge the cases that contain a word, and print the table; return how many are wrong."""
    chosen = [one for one in CASES if word in f"{one.name} {one.source} {one.reader}"]
    print("| case | reader | public source | outcome |\n|---|---|---|---|")
    wrong = 0
    for one in chosen:
        outcome = judge(one)
        wrong += not outcome.right
        text = outcome.text.replace("\n", " ").replace("|", "\\|")
        print(
            f"| {one.name} | {one.reader} | {one.source} | {'' if outcome.right else '**WRONG** '}{text} |", flush=True
        )
    print(f"\n{len(chosen) - wrong} of {len(chosen)} cases are right.")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:2])))
