"""One file per kind of data: the file name is the kind, the first docstring line its help."""
