"""One thread a test: small networks only wait for each other's threads, and results must not depend on the machine."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
