"""The live page of a run: what is there now, and the server on 127.0.0.1 that shows it."""
