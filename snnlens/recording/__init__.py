"""Recorder, Record and the folder a run is kept in."""
