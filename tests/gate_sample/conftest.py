"""This folder is a sample of a user's repository: the tests of snnlens copy it and run it there."""

collect_ignore_glob = ["*"]
