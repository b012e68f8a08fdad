"""The description of a classifier: everything except its weights that is needed to build, use and understand it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES
from CovidSeverityLib.types import Diagnosis

NETWORK_SIZE_PX = 512
"""Edge length of the square image of the published network, pixels."""

HEAD_UNITS = (2048, 1024)
"""Units of the dense layers between the backbone's mean and the diagnoses, as published."""

EFFICIENT_NETS = tuple(f"EfficientNetB{n}" for n in range(8))
RESNETS = ("ResNet50", "ResNet101")
BACKBONES = (*EFFICIENT_NETS, *RESNETS)
"""Names in ``keras.applications``. An EfficientNet normalises 0-255 itself, a ResNet does not."""

INPUT_SCALINGS = ("none", "caffe")
""""none": 0-255 unchanged (published, for every backbone); "caffe": blue, green, red minus ImageNet's means, with which
the ImageNet weights of a ResNet were trained."""

CLASS_NAMES: Mapping[Diagnosis, str] = MappingProxyType(
    {Diagnosis.NORMAL: "normal", Diagnosis.CAP: "CAP", Diagnosis.COVID19: "COVID-19"}
)
"""Names of the classes in ``manifest.json`` and in files of weights."""


@dataclass(frozen=True)
class NetworkDescription:
    """A classifier without its weights; the defaults are those of the published one.

    Parameters
    ----------
    backbone : str
        One of :data:`BACKBONES`.
    size_px : int
        Edge of the square image.
    head_units : tuple of int
        Of the dense layers between the backbone's mean and the classes.
    classes : tuple of Diagnosis
        Meaning of the outputs, in their order.
    image : str
        What it was trained with, one of :data:`CLASSIFICATION_IMAGES`.
    imagenet_rescaling : bool
        Whether the normalised image is divided once more by the root of ImageNet's standard deviations (an EfficientNet
        that began as ``weights="imagenet"`` of Keras 2.9 or newer).
    input_scaling : str
        One of :data:`INPUT_SCALINGS`.

    Raises
    ------
    InputError
        If a value is not one of those.

    Examples
    --------
    >>> from CovidSeverityLib import NetworkDescription
    >>> NetworkDescription(backbone="ResNet50").head_units
    (2048, 1024)
    """

    backbone: str = "EfficientNetB5"
    size_px: int = NETWORK_SIZE_PX
    head_units: tuple[int, ...] = HEAD_UNITS
    classes: tuple[Diagnosis, ...] = tuple(Diagnosis)
    image: str = "as-published"
    imagenet_rescaling: bool = False
    input_scaling: str = "none"

    def __post_init__(self) -> None:
        for what, value, known in (
            ("backbone", self.backbone, BACKBONES),
            ("classification image", self.image, tuple(CLASSIFICATION_IMAGES)),
            ("input scaling", self.input_scaling, INPUT_SCALINGS),
        ):
            if value not in known:
                raise InputError(f"no {what} {value!r}; there are {', '.join(known)}")
        if self.size_px < 32:
            raise InputError(f"images of {self.size_px} pixels; the backbones need at least 32")
        if not all(units > 0 for units in self.head_units):
            raise InputError(f"dense layers of {self.head_units} units; numbers above 0 are needed")
        if sorted(self.classes) != sorted(Diagnosis):
            wanted = ", ".join(CLASS_NAMES.values())
            raise InputError(f"{len(self.classes)} classes {_shown(self.classes)}; {wanted} are needed, in any order")

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON; :meth:`from_dict` is the inverse."""
        values = asdict(self)
        return values | {"head_units": list(self.head_units), "classes": [CLASS_NAMES[c] for c in self.classes]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], what: str) -> NetworkDescription:
        """A description from the values of :meth:`as_dict`, as read from JSON.

        Parameters
        ----------
        values : mapping of str to any
            Fields by name; missing ones have the published values.
        what : str
            Name of the source in messages.

        Raises
        ------
        InputError
            If a field has an unknown name or a wrong type, or a value is not allowed.
        """
        diagnoses = {name: diagnosis for diagnosis, name in CLASS_NAMES.items()}
        kinds = {"size_px": int, "head_units": list, "classes": list, "imagenet_rescaling": bool}
        for name, value in values.items():
            kind = kinds.get(name, str)
            if name not in cls.__dataclass_fields__ or type(value) is not kind:
                raise InputError(f"{what} describes no network: {name} is {value!r}")
        fields = dict(values)
        try:
            if "classes" in fields:
                fields["classes"] = tuple(diagnoses[name] for name in fields["classes"])
            if "head_units" in fields:
                fields["head_units"] = tuple(int(units) for units in fields["head_units"])
            return cls(**fields)
        except (InputError, KeyError, TypeError, ValueError) as error:
            reason = f"no class {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{what} describes no network of ours: {reason}") from error


def _shown(classes: tuple[Diagnosis, ...]) -> str:
    return f"({', '.join(CLASS_NAMES.get(c, str(c)) for c in classes)})"
