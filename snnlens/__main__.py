"""`python -m snnlens`: the same as the command `snnlens`."""

from snnlens.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
