import threading
import time

from cxr_jax.pipeline.threads import map_in_order


def test_few_images_are_in_memory_at_once():
    running, high = 0, 0
    lock = threading.Lock()

    def work(item):
        nonlocal running, high
        with lock:
            running += 1
            high = max(high, running)
        return item

    taken = []
    for item in map_in_order(work, range(500), 2):
        taken.append(item)
        with lock:
            running -= 1
        time.sleep(0.0005)
    assert taken == list(range(500))
    assert high <= 10
