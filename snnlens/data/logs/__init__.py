"""Training logs of others: TensorBoard event files, read without TensorFlow."""
