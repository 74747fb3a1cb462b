"""``python -m hudctl``."""

import sys


def main() -> int:
    """Run hudctl; ctrl-C while it is still loading is an interruption as any other."""
    try:
        from hudctl.cli import main as run  # noqa: PLC0415 - loading takes long enough to be interrupted
    except KeyboardInterrupt:
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
