"""What a user's type checker sees of the installed wheel."""

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """\
import edgerift as er

train, test = er.images.load("digits")
original = er.train.fit(er.zoo.create("resnet8", classes=10), train, epochs=1, seed=0)
program = er.adapt.qat(original, train, target="mobile", epochs=1)
build = er.deploy.build(program, runtime="executorch", path="model.pte")
found = er.evade.search(er.Pair(original, program, build), test, epsilon=8)
print(f"{found.rate.value:.1%} [{found.rate.low:.1%}, {found.rate.high:.1%}]")
victim = er.Oracle(build, budget=2_000, defence=er.defend.ReverseSigmoid(beta=0.1, gamma=0.2))
clone = er.extract.knockoff(victim, er.images.collages(train, 2_000), student="resnet8", epochs=1, seed=1)
agreement = er.measure.agreement(build.predict(test.images), er.deploy.twin_scores(clone.model, test.images))
"""
#: The package and the class; in which module of the package it stands is nobody's business.
TYPES = {
    "er.__version__": "str",
    "train": "edgerift.ImageSet",
    "original": "edgerift.Classifier",
    "program": "edgerift.Program",
    "build": "edgerift.Build",
    "build.predict(test.images)": "torch.Tensor",
    "found": "edgerift.Evasion",
    "found.rate": "edgerift.Rate",
    "found.rate.low": "float",
    "victim": "edgerift.Oracle",
    "clone.model": "torch.Module",
    "agreement": "edgerift.Rate",
    'er.deploy.twin(program, "xnnpack")': "edgerift.Twin",
}


@pytest.mark.slow
def test_a_users_script_is_typed_by_the_wheel(tmp_path: Path) -> None:
    python = _environment_of_the_wheel(tmp_path)
    check = [sys.executable, "-m", "mypy", "--strict", f"--python-executable={python}", "users.py"]
    where = _run(tmp_path, python, "-c", "import edgerift; print(edgerift.__file__)")
    assert where.startswith(str(tmp_path))

    script = tmp_path / "users.py"
    script.write_text(SCRIPT + "".join(f"reveal_type({shown})\n" for shown in TYPES), encoding="utf-8")
    shown = re.findall(r'Revealed type is "(.*)"', _run(tmp_path, *check))
    assert dict(zip(TYPES, (re.sub(r"\..*\.", ".", name) for name in shown), strict=True)) == TYPES

    script.write_text(SCRIPT + "er.serach\nbuild.rate\n", encoding="utf-8")
    wrong = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert re.findall(r"\[(attr-defined)\]", wrong) == ["attr-defined"] * 2, wrong


def _environment_of_the_wheel(folder: Path) -> Path:
    """Build the wheel, install it in an environment of its own, and lend that this one's dependencies."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    _run(folder, *pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels", str(source))
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    (wheel,) = (folder / "wheels").glob("*.whl")
    _run(folder, *pip, f"--python={python}", "install", "--quiet", "--no-index", "--no-deps", str(wheel))
    own = Path(_run(folder, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (own / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def _run(folder: Path, *call: str | Path) -> str:
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
