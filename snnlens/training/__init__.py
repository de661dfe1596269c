"""Training: a loop that goes on from any whole epoch, and sweeps of trainings."""
