"""How fast the page is: scoring, loading, pen-up to result and answers while drawing in Chromium, twenty clients
at once, Ctrl-C.

python -m benchmarks.page runs/default

Wants Chromium and Linux (memory is read from /proc).
"""

import argparse
import itertools
import math
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from gradio_client import Client, handle_file
from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright
from tqdm import tqdm

from siamese_mnist import InputError, SiameseNetwork, load_digits, prepare_drawing
from siamese_mnist.errors import run_script
from siamese_mnist.matching import Matcher
from siamese_mnist.options import WEIGHTS, script_parser
from siamese_mnist.runs import find_weights

DRAWINGS, PEN_UPS, LOADS, CLIENTS, CALLS = 200, 30, 9, 20, 50
SEVEN, ONE = [(70, 60), (200, 60), (130, 230)], [(150, 50), (135, 230)]
CURL = [(140 + 100 * math.cos(turn / 8), 140 + 60 * math.sin(turn / 5)) for turn in range(60)]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
WATCH = """() => {
    const bench = document.querySelector('.bench');
    window.waits = [];
    window.answers = 0;
    let up = 0;
    document.querySelector('#pad canvas').addEventListener('pointerup', () => (up = performance.now()));
    const seen = document.querySelector('.seen .tile');
    new MutationObserver(() => (window.answers += 1)).observe(seen, { attributes: true });
    new MutationObserver(() => requestAnimationFrame(() => {
        if (up && bench.getAttribute('aria-busy') === 'false') {
            window.waits.push(performance.now() - up);
            up = 0;
        }
    })).observe(bench, { attributes: true });
}"""


def main() -> None:
    weights = find_weights(parse_arguments().weights)
    report("scoring a drawing, 200 references", median_scoring(weights), "ms", f"median of {DRAWINGS}")
    started = time.perf_counter()
    server = subprocess.Popen([sys.executable, "demo.py", weights], stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://\S+", "".join(server.stdout.readline() for _ in range(2)))
        if not found:
            raise InputError("demo.py did not start; start it by hand to see why")
        report("from the command to the page", time.perf_counter() - started, "s", "once")
        browse(found.group())
        crowd(found.group(), server.pid)
        started = time.perf_counter()
        server.send_signal(signal.SIGINT)
        server.wait()
        report("Ctrl-C to the end", time.perf_counter() - started, "s", "once")
    finally:
        server.kill()


def median_scoring(weights: str) -> float:
    """Milliseconds from a drawing of 280 × 280 to its scores."""
    matcher = Matcher(SiameseNetwork.from_pretrained(weights), load_digits("bundled", split="test"))
    references, times = matcher.sample(torch.Generator().manual_seed(0)), []
    for _ in range(DRAWINGS):
        image = seven()
        started = time.perf_counter()
        matcher.match(matcher.model.encode_all(prepare_drawing(image)), references, {})
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def browse(url: str) -> None:
    """Loads the page, and draws on it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page, loads = None, []
        for _ in range(LOADS):
            if page:
                page.context.close()  # the next visitor has a computer of his own
            page = browser.new_context().new_page()
            started = time.perf_counter()
            page.goto(url, wait_until="commit")
            page.locator(".bench[aria-busy]").wait_for()
            loads.append(time.perf_counter() - started)
        report("page load until it can be drawn on", statistics.median(loads), "s", f"median of {LOADS}, new visitors")
        page.locator(".map .tile").first.wait_for()
        page.evaluate(WATCH)
        for index in tqdm(range(PEN_UPS), desc="pen-ups", leave=False, disable=None):
            pen(page, ONE if index % 2 else SEVEN)
            page.wait_for_function("n => window.waits.length > n", arg=index)
            page.locator("#pad .clear").click()
            page.locator(".map .you").wait_for(state="hidden")
        waits = page.evaluate("window.waits")[:PEN_UPS]
        report("pen-up to updated page", statistics.median(waits), "ms", f"median of {PEN_UPS}, worst {max(waits):.0f}")
        page.evaluate("window.answers = 0")
        started = time.perf_counter()
        pen(page, CURL)
        seconds = time.perf_counter() - started
        report("answers while drawing", page.evaluate("window.answers") / seconds, "/s", f"a stroke of {seconds:.1f} s")
        browser.close()


def pen(page: Page, points: list[tuple[float, float]]) -> None:
    """Draws a stroke in a square of 280 × 280."""
    box = page.locator("#pad canvas").bounding_box()
    at = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["width"] / 280) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


def crowd(url: str, server: int) -> None:
    """Twenty clients at once; the server's memory from the 100th call to the last."""
    with tempfile.TemporaryDirectory() as folder:
        seven().save(Path(folder) / "seven.png")
        file = handle_file(Path(folder) / "seven.png")
        clients = [Client(url, verbose=False) for _ in range(CLIENTS)]
        bar = tqdm(total=CLIENTS * CALLS, desc="calls", leave=False, disable=None)
        done, memory = itertools.count(1), []

        def call(client: Client) -> int:
            wrong = 0
            for _ in range(CALLS):
                try:
                    wrong += client.predict(file, api_name="/match")["scores"]["7"] < 0.5
                except Exception:
                    wrong += 1
                bar.update()
                if next(done) >= 100:
                    memory.append(resident(server))
            return wrong

        started = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            wrong = sum(pool.map(call, clients))
        seconds = time.perf_counter() - started
        bar.close()
    report(f"{CLIENTS} clients, {CALLS} calls each", CLIENTS * CALLS / seconds, "calls/s", f"{wrong} errors")
    report("memory, 100th call to the last", memory[-1] - memory[0], "MB", f"{memory[-1]:.0f} MB in all")


def resident(process: int) -> float:
    """MB of memory that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024


def seven() -> Image.Image:
    image = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(image).line(SEVEN, fill=0, width=16, joint="curve")
    return image


def report(what: str, value: float, unit: str, how: str) -> None:
    print(f"{what:38}{value:9.2f} {unit:8}{how}", flush=True)


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument(
        "weights", nargs="?", **WEIGHTS, help="a run or a folder of weights (default: the newest run)"
    )
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
