"""One file per format of recorded events; listed, chosen and read by `snnlens.data.recordings`."""
