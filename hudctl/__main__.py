"""``python -m hudctl``."""

import gc
import sys


def main() -> int:
    """Run hudctl; ctrl-C while it is still loading is an interruption as any other."""
    # What is loaded stays, so looking for garbage in it every 700 objects is a tenth of the time of a short command.
    gc.set_threshold(100_000)
    try:
        from hudctl.cli import main as run  # noqa: PLC0415 - loading takes long enough to be interrupted
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
