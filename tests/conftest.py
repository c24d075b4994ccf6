"""Real digits for every test: the bundled ones always, full MNIST where SIAMESE_MNIST_DATA names it."""

import http.server
import io
import os
import runpy
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, which asks again for half a minute
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # Each worker has a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by torch: on busy cores, threads that spin cost four times

import numpy as np
import pytest
import torch
from filelock import FileLock

from siamese_mnist import Digits, SiameseNetwork, allpairs, load_digits
from siamese_mnist.errors import SIGNALS
from siamese_mnist.matching import Matcher

REPOSITORY = Path(__file__).parent.parent
SLOW = {"run_script", "run_process", "site", "installed", "mnist_root"}  # fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW & set(item.fixturenames) or item.path.name == "test_fuzz.py":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def train_digits() -> Digits:
    return load_digits("bundled", split="train")


@pytest.fixture(scope="session")
def test_digits() -> Digits:
    return load_digits("bundled", split="test")


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    root = os.environ.get("SIAMESE_MNIST_DATA")
    if not root:
        pytest.skip("SIAMESE_MNIST_DATA names no folder with the full MNIST")
    return Path(root)


@pytest.fixture
def no_network(monkeypatch):
    """Downloads fail at once. urllib keeps the proxies that it has seen first, so it must forget them twice."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    urllib.request.install_opener(None)
    yield
    urllib.request.install_opener(None)


@pytest.fixture
def network() -> SiameseNetwork:
    torch.manual_seed(0)
    return SiameseNetwork().eval()


@pytest.fixture(scope="session")
def released() -> SiameseNetwork:
    """The released weights: whatever must recognise digits is tested with these."""
    return SiameseNetwork.from_pretrained(REPOSITORY / "weights")


@pytest.fixture(scope="session")
def matcher(released, test_digits) -> Matcher:
    return Matcher(released, test_digits)


@pytest.fixture(scope="session")
def references(matcher) -> torch.Tensor:
    """The same 20 of each digit every time."""
    return matcher.sample(torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def scored(test_digits):
    """All pairs of 300 real digits, in no order, by the cosine of their pixels, in tiles of 128 so that several meet.

    `matrix` (300, 300) holds the scores with the images themselves; `listed` is (same, scores) of the pairs i < j.
    """
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))[:300]
    digits = test_digits.select(order)
    pixels = torch.nn.functional.normalize(digits.images.flatten(1).float())

    def score(a, b):
        return 12 * (a @ b.T) - 6

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allpairs, "TILE", 128)
        log_odds = allpairs.score_all_pairs(pixels, score, "test")
        kinds = allpairs.sorted_kinds(log_odds, digits.labels)
    matrix = log_odds.clone().fill_diagonal_(6.0).numpy()
    np.testing.assert_allclose(matrix, score(pixels, pixels), atol=1e-5)
    upper = np.triu_indices(300, 1)
    same = (digits.labels[:, None] == digits.labels).numpy()
    return SimpleNamespace(
        digits=digits,
        labels=digits.labels,
        pixels=pixels,
        score=score,
        log_odds=log_odds,
        kinds=kinds,
        matrix=matrix,
        listed=(same[upper], matrix[upper]),
    )


@pytest.fixture(scope="session")
def run_process():
    """Calls a script in a process of its own, as a user would; returns the finished process, its output as text."""

    def call(script: str, *arguments: object, cwd: Path = REPOSITORY, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, str(REPOSITORY / script), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options)

    return call


@pytest.fixture(scope="session")
def run_script():
    """The same within this process, which saves the seconds of importing torch."""

    def call(script: str, *arguments: object, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess:
        command, output, errors, status = [script, *map(str, arguments)], io.StringIO(), io.StringIO(), 0
        handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
            patch.chdir(cwd)
            patch.setattr(sys, "argv", command)
            try:
                runpy.run_path(str(REPOSITORY / script), run_name="__main__")
            except SystemExit as stop:
                status = stop.code
            finally:
                for signum, handler in handlers.items():
                    signal.signal(signum, handler)
        return subprocess.CompletedProcess(command, status, output.getvalue(), errors.getvalue())

    return call


@pytest.fixture
def undrawn(monkeypatch):
    """Evaluations draw no figures, which takes them most of their time."""
    monkeypatch.setattr("siamese_mnist.figures.draw_figures", lambda *_: None)


def heed_interrupts() -> None:
    """For a child process: a shell that starts the tests in the background has SIGINT ignored, which is inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def trained_run(run_script, tmp_path_factory) -> Path:
    """A short but real training. What it learns differs from machine to machine, and is little: see `released`."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root  # One for all workers.
    options = ("--images-per-class", 50, "--batch-size", 25, "--epochs", 8, "--symbols", 12, "--lr", 0.006)
    folder = root / "trained" / "short"
    with FileLock(root / "trained.lock"):
        if not folder.exists():
            done = run_script("train.py", *options, "--out", folder)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def page_app(released, test_digits):
    """The page of the released weights."""
    from siamese_mnist.matching import Matcher
    from siamese_mnist.page.app import Page

    return Page(Matcher(released, test_digits), "The network: weights")


@pytest.fixture(scope="session")
def site(page_app, tmp_path_factory):
    """The address where that page is served."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        app, url = page_app.serve()
        yield url
        app.close(verbose=False)


@pytest.fixture(scope="session")
def browser():
    """Chromium, without a window."""
    from browser import FLAGS, find_chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = find_chromium()
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium; install it, or run: playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser, site):
    """The page, open."""
    from browser import visit

    with visit(browser, site) as page:
        yield page


@pytest.fixture
def bench(page):
    """Its first tab, with a blank pad."""
    from browser import clear, expect_blank, open_tab

    open_tab(page, "match")
    clear(page, "pad")
    expect_blank(page)
    return page


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address at which a folder's files can be downloaded, on loopback."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def write_idx(path, array, magic):
    """An IDX file of unsigned bytes; its magic number is 0x803 for images, 0x801 for labels."""
    sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    path.write_bytes(magic.to_bytes(4, "big") + sizes + array.astype(np.uint8).tobytes())


def as_png(image) -> bytes:
    """A PIL image as the content of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def assert_one_line_error(done: subprocess.CompletedProcess, *words: str) -> None:
    """Exit status 2 and one line on standard error (bars aside) that holds the words; no traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.replace("\r", "\n").splitlines() if ": error: " in line]
    assert len(lines) == 1, done.stderr
    assert done.stderr.strip().endswith(lines[0].strip())
    for word in words:
        assert word in lines[0], lines[0]
