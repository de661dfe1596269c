"""Models that snnlens builds itself."""
