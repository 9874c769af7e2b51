"""What setup.cfg cannot say: the configs, here a folder of their own, go into the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["pixelprior*"]), "pixelprior.configs"],
    package_dir={"pixelprior.configs": "configs"},
)
