"""The description of a classifier, and its way through JSON."""

import json

import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

OTHER = NetworkDescription(
    backbone="ResNet50",
    size_px=224,
    head_units=(64,),
    classes=(Diagnosis.COVID19, Diagnosis.NORMAL, Diagnosis.CAP),
    image="without-boundary",
    imagenet_rescaling=True,
    input_scaling="caffe",
)


@pytest.mark.parametrize("description", [NetworkDescription(), OTHER])
def test_description_comes_back_from_json(description):
    text = json.dumps(description.as_dict())
    assert NetworkDescription.from_dict(json.loads(text), "the text") == description


def test_classes_are_written_by_name_in_the_order_of_the_outputs():
    assert OTHER.as_dict()["classes"] == ["COVID-19", "normal", "CAP"]


def test_what_is_missing_is_as_published():
    assert NetworkDescription.from_dict({}, "the text") == NetworkDescription()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "VGG16"}, "no backbone 'VGG16'; there are EfficientNetB0"),
        ({"image": "x-ray"}, "no classification image 'x-ray'; there are as-published"),
        ({"input_scaling": "torch"}, "no input scaling 'torch'"),
        ({"size_px": 8}, "images of 8 pixels"),
        ({"size_px": "512"}, "size_px is '512'"),
        ({"size_px": True}, "size_px is True"),
        ({"head_units": [2048, 0]}, "dense layers of"),
        ({"head_units": ["many"]}, "invalid literal"),
        ({"classes": ["normal", "CAP"]}, r"2 classes \(normal, CAP\); normal, CAP, COVID-19 are needed"),
        ({"classes": ["normal", "CAP", "flu"]}, "no class 'flu'"),
        ({"layers": 3}, "layers is 3"),
    ],
)
def test_what_is_no_network_of_ours_is_refused(values, message):
    with pytest.raises(InputError, match=rf"^manifest.json describes no network.*{message}"):
        NetworkDescription.from_dict(values, "manifest.json")
