"""Images for a run: digits (default), CIFAR-10, image folders, random; see `images.load`."""
