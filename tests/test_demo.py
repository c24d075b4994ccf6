"""demo.py as a user starts it: its line, its errors, its end; and references by the weights' classes."""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import httpx
import pytest
from conftest import REPOSITORY, assert_one_line_error, heed_interrupts
from strokes import draw, place

import demo
from siamese_mnist import InputError, SiameseNetwork


@pytest.mark.slow
def test_it_says_where_it_is_whatever_the_proxy_and_answers_and_ends_with_ctrl_c(tmp_path, monkeypatch, capsys):
    proxies = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")  # Nobody listens there.
    environment = {**os.environ, **proxies, "GRADIO_TEMP_DIR": str(tmp_path)}
    environment.pop("GRADIO_ANALYTICS_ENABLED")
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "demo.py"), str(REPOSITORY / "weights")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    try:
        assert str(REPOSITORY / "weights") in process.stdout.readline()  # before the seconds that it takes
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line).group()
        assert str(REPOSITORY / "weights") in line
        assert re.search(r"\d+\.\d\d% of same and of different pairs", httpx.get(address, timeout=60).text)

        readme = (REPOSITORY / "README.md").read_text()
        snippet = next(
            each for each in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "gradio_client" in each
        )
        for digit, name in ((7, "seven"), (2, "two")):
            draw(place(digit, 150, 90, 50), 14).save(tmp_path / f"{name}.png")
        monkeypatch.chdir(tmp_path)
        exec(snippet.replace("http://127.0.0.1:7860", address), {})
        assert capsys.readouterr().out.splitlines()[-2:] == ["7", "0"]

        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert (output, errors, process.returncode) == ("", "", 0)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("share", [False, True])
def test_a_proxy_is_passed_by_for_the_page_alone(monkeypatch, share):
    from siamese_mnist.page.app import _reached_without_proxy

    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with _reached_without_proxy("10.0.0.1", share):
        for host in ("localhost", "127.0.0.1", "10.0.0.1", "example.org"):
            assert urllib.request.proxy_bypass_environment(host)
        assert not share or not urllib.request.proxy_bypass_environment("gradio.app")
    assert urllib.request.getproxies_environment()["no"] == "example.org"
    assert "NO_PROXY" not in os.environ


def test_symbols_of_ones_own_are_compared_with_themselves(tmp_path):
    for digit, name in ((1, "bar"), (0, "ring")):
        folder = tmp_path / "symbols" / name
        folder.mkdir(parents=True)
        for index in range(10):
            draw(place(digit, 120 + 4 * index, 20 + 5 * index, 10 + 2 * index), 8 + index).save(folder / f"{index}.png")
    facts = {"dataset": "folder", "data_root": str(tmp_path / "symbols"), "images": 16, "validation_eer": 0.125}
    network = SiameseNetwork(classes=("bar", "ring"), training=facts)
    digits = demo.references(argparse.Namespace(dataset=None, data_root=None, transposed=None), network)
    assert {digits.class_names[label] for label in digits.labels} == {"bar", "ring"}
    assert "16 folder images" in demo.describe("w", network)
    assert re.search(r"12\.50% .*of validation images", demo.describe("w", network))


def test_some_digits_only_are_compared_with_those():
    network = SiameseNetwork(classes=("0", "1", "2"))
    digits = demo.references(argparse.Namespace(dataset=None, data_root=None, transposed=None), network)
    assert digits.classes == [0, 1, 2]
    assert len(digits) == 150


def test_of_many_classes_each_has_fewer_images_to_draw_references_from(monkeypatch):
    monkeypatch.setattr("siamese_mnist.references.MOST_IMAGES", 39)
    digits = demo.references(argparse.Namespace(dataset=None, data_root=None, transposed=None), SiameseNetwork())
    assert [*map(len, digits.members)] == [3] * 10


def test_digits_of_ones_own_are_compared_with_themselves_though_they_have_the_names_of_mnist_s(tmp_path):
    network = SiameseNetwork(training={"dataset": "folder", "data_root": str(tmp_path / "mine"), "images": 16})
    with pytest.raises(InputError, match="mine"):
        demo.references(argparse.Namespace(dataset=None, data_root=None, transposed=None), network)


def test_weights_of_an_unknown_dataset_are_an_input_error(tmp_path):
    network = SiameseNetwork(training={"dataset": "usps", "images": 16})
    with pytest.raises(InputError, match="'usps' is none of"):
        demo.references(argparse.Namespace(dataset=None, data_root=None, transposed=None), network)


def test_the_error_rate_shown_is_that_of_these_weights_on_all_of_their_classes(tmp_path):
    network = SiameseNetwork(classes=("0", "1"))
    whole = {"classes": ["0", "1"], "fraction": None, "weights_crc32": network.fingerprint}
    (tmp_path / "history.csv").touch()
    weights = str(tmp_path / "best")
    for change, shown in (
        ({}, True),
        ({"classes": ["8", "9"]}, False),
        ({"fraction": 0.1}, False),
        ({"weights_crc32": SiameseNetwork(classes=("0", "1")).fingerprint}, False),  # another training, moved there
    ):
        measured = {"eer": 0.125, "dataset": "mnist", "split": "test", **whole, **change}
        (tmp_path / "metrics.json").write_text(json.dumps(measured))
        assert bool(re.search(r"12\.50% .*of the mnist test split", demo.describe(weights, network))) == shown, change


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"eer": "low"}',
        '{"eer": null}',
        '{"eer": NaN}',
        '{"eer": 1e999}',
        "{}",
        '{"classes": 3}',
        '{"classes": [[]]}',
    ],
)
def test_a_damaged_evaluation_is_refused_by_name(tmp_path, text):
    network, weights = SiameseNetwork(), tmp_path / "best"
    (tmp_path / "history.csv").touch()
    whole = {
        "classes": list(network.classes),
        "weights_crc32": network.fingerprint,
        "dataset": "mnist",
        "split": "test",
    }
    damaged = json.dumps(whole | json.loads(text)) if text.startswith("{") else text
    (tmp_path / "metrics.json").write_text(damaged)
    with pytest.raises(InputError, match=r"metrics\.json"):
        demo.describe(str(weights), network)


def test_errors_are_one_line(run_script, trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr("siamese_mnist.runs.SCRIPTS", tmp_path)
    assert_one_line_error(run_script("demo.py", cwd=tmp_path), "no weights", "train.py")
    assert_one_line_error(run_script("demo.py", tmp_path / "none"), "none", "train.py")
    assert_one_line_error(run_script("demo.py", trained_run, "--port", 0), "--port 0", "65535")
    assert_one_line_error(run_script("demo.py", trained_run, "--data-root", "x"), "--data-root x", "--dataset")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line_error(run_script("demo.py", trained_run, "--port", port), str(port), "--port")
    SiameseNetwork(classes=("star", "moon")).save_pretrained(tmp_path / "symbols")
    assert_one_line_error(run_script("demo.py", tmp_path / "symbols"), "star", "--dataset")
