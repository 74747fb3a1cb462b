"""``python -m hudd.engine``: the engine alone, without the rest of hudd."""

import sys

from hudd.engine.command import main

if __name__ == "__main__":
    sys.exit(main())
