"""ANN to SNN: QCFS, converted networks, calibration, and where the error comes from."""
