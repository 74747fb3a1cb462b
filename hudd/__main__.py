"""``python -m hudd``."""

import sys

from hudd.cli import main

sys.exit(main())
