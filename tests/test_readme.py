import re

from conftest import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def test_the_python_example_runs(capsys):
    example = next(each for each in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "from_pretrained" in each)
    exec(example.replace('"weights"', f'"{REPOSITORY / "weights"}"'), {})
    same, probability = capsys.readouterr().out.splitlines()[-1].split()
    assert same == "1"
    assert 0 <= float(probability) <= 1


def test_every_file_of_the_package_is_in_the_guide():
    for path in (REPOSITORY / "siamese_mnist").glob("[!_]*.py"):
        assert f"`{path.name}`" in README, path.name


def test_every_option_in_a_command_exists(run_script):
    known = {script: run_script(script, "--help").stdout for script in ("train.py", "evaluate.py", "demo.py")}
    for script, arguments in re.findall(r"^python (\w+\.py)(.*)$", README, re.MULTILINE):
        for option in re.findall(r"--[\w-]+", arguments):
            assert option in known[script], f"{script} {option}"


def test_pictures_are_there():
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (REPOSITORY / path).is_file(), path
