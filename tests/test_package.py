"""What an installation brings: the built wheel in a new environment, and one list of what is needed."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib

import pytest
from conftest import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def listed(name):
    lines = (REPOSITORY / name).read_text().splitlines()
    return {line for line in lines if re.match(r"\w", line)}


def test_the_requirements_files_name_what_the_project_needs():
    extras = PROJECT["optional-dependencies"]
    assert listed("requirements.txt") == {*PROJECT["dependencies"], *extras["demo"]}
    assert listed("requirements-dev.txt") == set(extras["dev"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of a new environment that has the wheel, and beside it what is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--wheel-dir",
        folder,
    ]
    for name in ("siamese_mnist", "pyproject.toml", "README.md", "LICENSE"):  # a copy, as building leaves files there
        (shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy)(REPOSITORY / name, folder / "source" / name)
    subprocess.run([*build, folder / "source"], check=True, cwd=folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    library = subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip()
    (wheel,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", library, wheel]
    subprocess.run(install, check=True)
    with open(f"{library}/beside.pth", "w") as file:  # after the wheel, so that it comes first
        file.write(sysconfig.get_path("purelib"))
    return python


def test_the_wheel_brings_all_that_the_network_and_the_page_are_made_of_and_wants_no_gradio(installed, tmp_path):
    from siamese_mnist.page.app import SCRIPTS, STYLES

    code = f"""
import json, sys
sys.modules["gradio"] = None
import siamese_mnist, siamese_mnist.evaluation, siamese_mnist.runs
from importlib.resources import files
from siamese_mnist import SiameseNetwork, handwriting, load_digits
model = SiameseNetwork.from_pretrained({str(REPOSITORY / "weights")!r})
print(json.dumps({{
    "file": siamese_mnist.__file__,
    "shape": model.encode(load_digits(split="test").images[:1]).shape,
    "page": [len((files("siamese_mnist.page") / name).read_text()) for name in {["page.html", *SCRIPTS, *STYLES]}],
    "handwriting": [len(load_digits(name, split="val")) for name in ("symbols", "pens")],
    "licences": (files(handwriting) / "LICENSES.md").is_file(),
}}))"""
    done = subprocess.run([installed, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["file"].startswith(str(installed.parent.parent))
    assert told["shape"] == [1, 128]
    assert min(told["page"]) > 1000
    assert told["handwriting"] == [480, 500]
    assert told["licences"]


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "demo.py"])
def test_a_command_line_is_understood_before_torch_is_imported(script):
    for words, status in (("--help", 0), ("--no-such-option", 2)):
        code = (
            f"import runpy, sys; sys.argv = [{script!r}, {words!r}]\n"
            f"try: runpy.run_path({script!r}, run_name='__main__')\n"
            "except SystemExit as end: print(end.code, sorted({'torch', 'numpy', 'gradio'} & {*sys.modules}))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == f"{status} []"
