"""The `edgecnn` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; without click, say what to install."""
    try:
        from edgecnn.cli.app import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("Error: click is not installed\nHint:  pip install edgecnn")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
