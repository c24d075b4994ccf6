"""Damages files of 18 kinds 1,000 times each, weights, states and configs of nine 600 times: see tests/test_fuzz.py.

python -m tests.stress.damage           a quarter of an hour
"""

import os
import resource
import sys

import pytest

if __name__ == "__main__":
    os.environ["SIAMESE_MNIST_MUTANTS"] = "1000"
    status = pytest.main(["tests/test_fuzz.py", "-x", "-p", "no:cacheprovider", *sys.argv[1:]])
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"at most {megabytes} MB of memory")
    sys.exit(status or int(megabytes > 1000))
