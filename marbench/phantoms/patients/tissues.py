"""The soft tissues of a person, with the texture that real slices keep when their noise is removed."""

from __future__ import annotations

from marbench.phantoms.patients.canvas import Tissue
from marbench.phantoms.patients.person import Person

__all__ = ["GAS", "blood", "fat", "fluid", "muscle", "skin"]

GAS = Tissue(-985, soft=5)


def fat(person: Person, offset: float = 0.0) -> Tissue:
    """Fat with septa and small vessels."""
    return Tissue(person.fat_hu + offset, soft=6, fine=4, strands=45)


def muscle(person: Person, offset: float = 0.0) -> Tissue:
    """Muscle, streaked with fat the more, the older and fatter the person is."""
    return Tissue(person.muscle_hu + offset, soft=5, fine=4, strands=-35 - 60 * person.age * (0.4 + person.fat))


def skin(person: Person) -> Tissue:
    """Skin."""
    return Tissue(person.stream("skin").uniform(10, 60), soft=10, fine=15)


def blood(person: Person, vein: bool = False) -> Tissue:
    """Blood, with contrast medium where the person got some."""
    return Tissue(person.vein_hu if vein else person.blood_hu, soft=3)


def fluid(hu: float = 12.0) -> Tissue:
    """Urine, bile, effusion, cerebrospinal fluid."""
    return Tissue(hu, soft=2.5)
