"""What the documents say is there: commands, options, files, pictures, the example."""

import re

import pytest
from conftest import REPOSITORY

from siamese_mnist.figures import FIGURES

README = (REPOSITORY / "README.md").read_text()
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/results.md", "weights/README.md"]


def test_the_python_example_runs(capsys):
    example = next(each for each in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "from_pretrained" in each)
    exec(example.replace('"weights"', f'"{REPOSITORY / "weights"}"'), {})
    same, probability = capsys.readouterr().out.splitlines()[-1].split()
    assert same == "1"
    assert 0 <= float(probability) <= 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_modules_and_pictures_are_there(name):
    text = (REPOSITORY / name).read_text()
    known = {path.name for path in REPOSITORY.rglob("*.py")}
    assert set(re.findall(r"(?<![\w/])\w+\.py\b", text)) <= known
    for path in re.findall(r"`((?:siamese_mnist|tests)/[\w/]+\.py)`", text):
        assert (REPOSITORY / path).is_file(), path
    for module in re.findall(r"\bbenchmarks\.(\w+)", text):
        assert (REPOSITORY / "benchmarks" / f"{module}.py").is_file(), module
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert ((REPOSITORY / name).parent / path).exists(), path


def test_every_option_in_a_command_exists(run_script):
    known = {script: run_script(script, "--help").stdout for script in ("train.py", "evaluate.py", "demo.py")}
    for name in DOCUMENTS:
        for script, arguments in re.findall(
            r"^python (\w+\.py)([^#\n]*)", (REPOSITORY / name).read_text(), re.MULTILINE
        ):
            for option in re.findall(r"--[\w-]+", arguments):
                assert option in known[script], f"{name}: {script} {option}"


def test_every_figure_is_listed():
    for name in FIGURES:
        assert f"`{name}.png`" in README, name
