"""Opens a page on which a drawing is compared with real digits.

python demo.py                                     the newest run's weights, references from the bundled images
python demo.py runs/NAME --dataset mnist --data-root data
"""

from siamese_mnist.errors import end_quietly_while_loading
from siamese_mnist.options import demo_parser

if __name__ == "__main__":
    end_quietly_while_loading(demo_parser(__doc__).parse_args)

import argparse
import os
import socket
import time
from unittest.mock import patch

from siamese_mnist import InputError, SiameseNetwork
from siamese_mnist.errors import command, run_script
from siamese_mnist.files import read_object
from siamese_mnist.matching import Matcher
from siamese_mnist.references import references
from siamese_mnist.runs import METRICS, evaluation_folder, find_weights


def main() -> None:
    args = parse_arguments()
    weights = find_weights(args.weights)
    model = SiameseNetwork.from_pretrained(weights)
    print(f"{weights}: the page will be ready in some seconds", flush=True)
    matcher = Matcher(model, references(args, model))

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Otherwise the import asks the network, which takes seconds.
    try:
        with patch("inspect.getfile", side_effect=OSError):  # Else Gradio writes stubs of its components: 1.5 s.
            import gradio  # noqa: F401
        from siamese_mnist.page.app import Page
    except ImportError as error:
        raise InputError(f"the page needs what is not installed ({error}); pip install -r requirements.txt") from error
    try:
        family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
        socket.create_server((args.host, args.port or 0), family=family).close()  # Gradio would try port by port.
        app, url = Page(matcher, describe(weights, model)).serve(args.host, args.port, args.share)
    except OSError as error:
        where = f"--host {args.host}, port {args.port or '7860 to 7959'}"
        raise InputError(f"{where}: cannot listen there; name a free port with --port, or leave --host out") from error
    print(f"{weights}: the page is at {url} (Ctrl-C ends it)", flush=True)
    try:
        while True:
            time.sleep(0.5)
    except KeyboardInterrupt:
        app.close(verbose=False)


def describe(weights: str, model: SiameseNetwork) -> str:
    """Says which weights these are, and their equal error rate."""
    facts, path = model.training_facts, evaluation_folder(weights) / METRICS
    trained = f", trained on {facts.get('images', 0):,} {facts.get('dataset')} images" if facts else ""
    eer, of = facts.get("validation_eer"), "validation images"
    measured = read_object(path) if path.is_file() else {}
    try:
        of_all = measured.get("fraction") is None and set(measured.get("classes", ())) == set(model.classes)
        if of_all and measured.get("weights_crc32") == model.fingerprint:
            eer, of = measured["eer"], f"the {measured['dataset']} {measured['split']} split"
            if not 0 <= eer <= 1:
                raise ValueError(f"eer {eer!r:.40}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: damaged ({error}); remove it, or run {command('evaluate.py', weights)}") from error
    if eer is None:
        return f"The network: {weights}{trained}; its errors were not measured"
    return f"The network: {weights}{trained}; wrong about {eer:.2%} of same and of different pairs of {of} (EER)"


def parse_arguments() -> argparse.Namespace:
    args = demo_parser(__doc__).parse_args()
    if args.port is not None and not 1 <= args.port <= 65535:
        raise InputError(f"--port {args.port} is not 1 to 65535")
    return args


if __name__ == "__main__":
    run_script(main)
