"""Images and event frames for a run: digits, CIFAR-10, folders, event data; see `images.load`."""
