"""Commands about runs: one file per command, its function is `command`."""
