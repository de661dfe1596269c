"""One file per framework: which modules spike, which axis is time, where the membrane lies."""
