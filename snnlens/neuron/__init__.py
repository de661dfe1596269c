"""The neuron core: the only membrane equations in the repository."""
