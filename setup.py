"""What pyproject.toml cannot say: a package of the wheel, the models' manifest and cards, lies outside the library."""

from setuptools import find_packages, setup

MODELS = "CovidSeverityLib.models"

setup(
    packages=[*find_packages(include=["CovidSeverityLib*"]), MODELS],
    package_dir={MODELS: "models"},
)
