"""Several copies of a worker as one worker: a repetition starts in all of them at once and lasts as long as
the slowest.

together.py COPIES WORD...
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from workers import Command, Worker


def main() -> None:
    copies = int(sys.argv[1])
    workers = [Worker(Command(f"copy {i}", sys.argv[2:])) for i in range(copies)]
    for worker in workers:
        worker.wait_ready()
    print("READY", flush=True)
    with ThreadPoolExecutor(copies) as pool:
        for line in sys.stdin:
            for _ in range(int(line)):
                print(max(max(seconds) for seconds in pool.map(lambda worker: worker.run(1), workers)), flush=True)
    for worker in workers:
        worker.close()


if __name__ == "__main__":
    main()
