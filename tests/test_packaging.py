"""What is built and installed: what is needed and nothing else, and it works without the clone."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import pixelprior
from pixelprior.experiment.recipes import all_variants
from tests.cli.conftest import TINY

ROOT = Path(__file__).parents[1]
# Tracked by Git, but for the development of the project alone.
NOT_SHIPPED = {".gitignore", ".ci/run"}


def test_the_version_is_that_of_the_package():
    assert metadata.version("pixelprior") == pixelprior.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {pixelprior.__version__}\n" in citation


def test_types_are_shipped():
    assert (Path(pixelprior.__file__).parent / "py.typed").is_file()


def test_who_reads_the_configs_may_stop_after_a_line():
    command = [sys.executable, "-u", "-m", "pixelprior", "configs"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as listing:
        assert listing.stdout.readline().startswith("CelebA")
        listing.stdout.close()
        assert listing.stderr.read() == ""
    assert listing.returncode == 0


def run(*command, cwd, **variables):
    result = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """An sdist of what Git knows, and a wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    clone = folder / "clone"
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    run("-m", "build", "--no-isolation", f"--outdir={folder}", str(clone), cwd=folder)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return clone, sdist, wheel


@pytest.mark.slow
def test_the_sdist_has_all_that_git_knows(built):
    clone, sdist, _ = built
    with tarfile.open(sdist) as archive:
        names = {entry.name.partition("/")[2] for entry in archive if entry.isfile()}
    files = {p.relative_to(clone).as_posix() for p in clone.rglob("*") if p.is_file()}
    files = {name for name in files if not name.startswith(("build/", "pixelprior.egg-info/"))}
    assert files - names <= NOT_SHIPPED
    assert all(name == "PKG-INFO" or "egg-info/" in name for name in names - files), names - files


@pytest.mark.slow
def test_the_wheel_has_the_package_and_the_configs(built):
    clone, _, wheel = built
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {p.relative_to(clone).as_posix() for p in (clone / "pixelprior").rglob("*.*")}
    configs = {f"pixelprior/configs/{p.name}" for p in (clone / "configs").glob("*.py")}
    assert names == {name for name in package if (clone / name).is_file()} | configs


@pytest.mark.slow
def test_an_installed_package_needs_no_clone(built, tmp_path):
    *_, wheel = built
    # Ahead of the clone that this environment knows.
    site = tmp_path / "site"
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", f"--target={site}"]
    run(*install, str(wheel), cwd=tmp_path)

    def pixelprior(*arguments):
        return run("-m", "pixelprior", *arguments, cwd=tmp_path, PYTHONPATH=str(site))

    where = "import pixelprior; print(pixelprior.__file__)"
    assert str(site) in run("-c", where, cwd=tmp_path, PYTHONPATH=str(site))
    listing = pixelprior("configs").splitlines()
    listed = [line.split()[0] for line in listing if line.startswith("  ")]
    assert listed == list(all_variants())
    # One that is made from another one, and one of one's own.
    assert "parameters" in pixelprior("train", "--config=digits:transformer", "--plan")
    assert "parameters" in pixelprior("train", "--config", "digits", "--plan")
    (tmp_path / "own.py").write_text(
        "from pixelprior.configs import digits\n\n\ndef get_config():\n"
        "    config = digits.get_config()\n    config.seed = 7\n    return config\n"
    )
    pixelprior("train", "--config=own.py", "--workdir=run", *TINY)
    assert '"seed": 7' in (tmp_path / "run" / "config.json").read_text()
    pixelprior("sample", "--workdir=run", "--num=4", "--out=samples.png")
    assert (tmp_path / "samples.png").is_file()
    assert "nats" in pixelprior("evaluate", "--workdir=run")
