"""``python -m hudctl``."""

import sys

from hudctl.cli import main

sys.exit(main())
