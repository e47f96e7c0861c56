"""A benchmark and a learned method that are small enough to train in a second."""

from pathlib import Path

from marbench.learning.recipe import Recipe
from marbench.method.request import MethodRequest, parse_methods
from marbench.spec import Spec

SPEC = """
extends = "mini"
name = "tiny"
[geometry]
views = 32
bins = 48
pitch_deg = 0.68
[grid]
size = 32
pixel_cm = 1.28
[metals]
placement = "any"  # training simulates hundreds of cases, and looks for a place for each
[split]
test = { patients = 1, slices = 1 }
val = { patients = 2, slices = 2 }
train = { patients = 7, slices = 14 }
"""

CARD = """
name = "tinynet"
title = "Tiny"
summary = "A network of one hidden layer on the LI image, and an adversary."
domain = "image"
[parameters.width]
default = 4
[parameters.poison]
default = -1
[parameters.blind]
default = -1
[presets.small]
width = 4
[presets.wide]
width = 6
"""

CODE = """
import os
import random
import numpy as np
import torch
from torch import nn
from marbench.toolbox.interpolation import linear_interpolation
from marbench.method.learned import LearnedMethod, Objective


def stop(where):
    # A test asks for it by TINYNET_STOP: the number of a signal and where this process gets it, once.
    number, _, asked = os.environ.get("TINYNET_STOP", "").partition(" ")
    if asked == where:
        del os.environ["TINYNET_STOP"]
        os.kill(os.getpid(), int(number))


class Tiny(LearnedMethod):
    def build(self, context):
        self.context = context
        width = self.parameters["width"]
        layers = [nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.2)]
        self.net = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))
        self.adversary = nn.Conv2d(1, 1, 3)
        # No seed decides it: ranks begin with what the first one has.
        self.net[0].bias.data.fill_(np.random.rand() + float(os.environ.get("RANK", 0)))
        self.calls = self.images = 0

    def adopt(self, state):
        # As above.
        rank = float(os.environ.get("RANK", 0))
        return {name: value + rank if name == "net.0.bias" else value for name, value in state.items()}

    def networks(self):
        return {"net": self.net}

    def auxiliaries(self):
        return {"adversary": self.adversary}

    def optimizers(self):
        return {
            "net": torch.optim.Adam(self.net.parameters(), lr=1e-2),
            "adversary": torch.optim.SGD(self.adversary.parameters(), lr=1e-3, momentum=0.9),
        }

    def learning_rate_factor(self, progress):
        return np.float64(super().learning_rate_factor(progress))

    def correct(self, scan, gain=1):
        li = self.context.operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
        return li + 100 * self.net(gain * li[:, None] / 1000)[:, 0].float()

    def objectives(self, batch):
        self.calls += 1
        stop(f"in step {self.calls}")
        image = self.correct(batch.scan, 1 + (np.random.rand() + random.random()) / 10)
        loss = (image - batch.truth.image).abs().mean() / 1000
        if self.parameters["poison"] in (self.calls, 0):
            loss = loss * float("nan")
        terms = {"l1": loss.detach()} | ({"one": torch.ones(())} if self.calls % 2 else {})
        yield Objective("net", loss, terms)
        verdict = self.adversary(image.detach()[:, None] / 1000).square().mean()
        yield Objective("adversary", verdict, {})

    def reduce(self, scan):
        stop("in validation")
        self.images += 1
        with torch.no_grad():
            image = self.correct(scan)
        return image * float("nan") if self.parameters["blind"] in (self.images, 0) else image
"""


def silent(_: str) -> None:
    pass


def request_for(plugins: Path, text: str = "tinynet", preset: str | None = "small") -> MethodRequest:
    return parse_methods(text, [plugins], preset)[0]


def recipe_for(request: MethodRequest, spec: Spec, **changes: object) -> Recipe:
    settings: dict[str, object] = {
        "seed": 3,
        "hours": None,
        "steps": 30,
        "batch": 4,
        "precision": "32-true",
        "pool_blocks": 1,
        "distinct_blocks": 2,
        "renewed_blocks": 1,
        "mix": {"spec": 1.0},
        "validations": 2,
        "validation_cases": 4,
        "statistics_until": 0.75,
    }
    return Recipe.of(request, spec, **(settings | changes))
