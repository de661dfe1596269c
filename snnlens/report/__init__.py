"""Collects runs into one self-contained HTML file. Needs neither torch nor matplotlib."""
