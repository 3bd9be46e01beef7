"""The programs that weightscope is measured against. Each is a worker: see bench/workers.py."""
