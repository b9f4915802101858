"""`python -m unrolled` is the command `unrolled`, so that torchrun can start it."""

import sys

from unrolled.cli import main

if __name__ == "__main__":
    sys.exit(main())
