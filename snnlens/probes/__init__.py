"""One file per recorded quantity."""
