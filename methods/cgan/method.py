"""cGAN-CT (Wang et al., MICCAI 2018): image-to-image translation with a conditional adversarial network (pix2pix)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.networks import compress_hu, expand_hu, pad_to_multiple

from .network import Discriminator, Generator

# The generator ends in tanh: 2.6 reaches ±3350 HU on the compressed scale.
OUTPUT_SCALE = 2.6
L1_WEIGHT = 100.0
ADAM_BETAS = (0.5, 0.999)


class ConditionalGAN(LearnedMethod):
    """Translates the uncorrected image into one without metal artifacts."""

    width: int
    depth: int
    discriminator_width: int
    learning_rate: float

    def build(self, context: Context) -> None:
        """Create the generator and, for training, the discriminator."""
        self.context = context
        self.generator = Generator(self.width, self.depth).to(context.device)
        self.discriminator = Discriminator(self.discriminator_width).to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the generator."""
        return {"generator": self.generator}

    def auxiliaries(self) -> dict[str, nn.Module]:
        """Return the discriminator."""
        return {"discriminator": self.discriminator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam for each network, as in pix2pix, or Muon for the generator."""
        return {
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), self.learning_rate, betas=ADAM_BETAS),
            "generator": adam_or_muon(self.generator.parameters(), self.parameters, ADAM_BETAS),
        }

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the loss of the discriminator D, then that of the generator G.

        L_D = (BCE(D(x, y), 1) + BCE(D(x, G(x)), 0)) / 2;  L_G = BCE(D(x, G(x)), 1) + 100 ‖y − G(x)‖₁.
        """
        x, y = _encode(batch.scan.image), _encode(batch.truth.image)
        fake = self._generate(x)
        # Metal is not to be learned; shown alike in both, it cannot give a fake away either.
        fake = torch.where(batch.truth.metal, y, fake)
        real_loss = _bce(self.discriminator(x[:, None], y[:, None]), real=True)
        fake_loss = _bce(self.discriminator(x[:, None], fake.detach()[:, None]), real=False)
        loss = (real_loss + fake_loss) / 2
        yield Objective("discriminator", loss, {"real": real_loss.detach(), "fake": fake_loss.detach()})
        adversarial = _bce(self.discriminator(x[:, None], fake[:, None]), real=True)
        distance = mean_outside_metal((fake - y).abs(), batch.truth.metal)
        loss = adversarial + L1_WEIGHT * distance
        yield Objective("generator", loss, {"adversarial": adversarial.detach(), "image": distance.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the translated image."""
        with torch.no_grad():
            return expand_hu(OUTPUT_SCALE * self._generate(_encode(scan.image)))

    def _generate(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = x.shape[-2:]
        padded = pad_to_multiple(x[:, None], 2**self.depth)
        result: torch.Tensor = self.generator(padded)[:, 0, :rows, :columns]
        return result.to(x.dtype)


def _encode(image: torch.Tensor) -> torch.Tensor:
    return compress_hu(image) / OUTPUT_SCALE


def _bce(logits: torch.Tensor, *, real: bool) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))
