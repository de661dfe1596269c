"""Images and event frames for a run: digits, CIFAR-10, folders, N-MNIST; see `images.load`."""
