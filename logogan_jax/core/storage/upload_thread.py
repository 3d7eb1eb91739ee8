"""A thread that uploads a run's folder at an even pace, and at once when somebody waits for it."""

import concurrent.futures
import queue
import threading
import time
from typing import NamedTuple

from logogan_jax.core.storage.object_store import Unreachable
from logogan_jax.core.storage.upload import Uploader

PACE = 20.0  # seconds from the start of an upload to the start of the next, unless somebody waits for it
PATIENCE = 300.0  # seconds for which a bucket may be out of reach


class _Request(NamedTuple):
    urgent: bool  # somebody waits
    done: concurrent.futures.Future


class UploadThread:
    """Calls an Uploader from a thread.

    The thread lives from `start` to `stop`. Requests reach it through a queue; it serves all that have come together
    with one upload. After an upload that failed for good it uploads no more, and answers every request with the error.
    """

    def __init__(self, uploader: Uploader):
        self._uploader = uploader
        self._requests: queue.Queue[_Request] = queue.Queue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="upload", daemon=True)
        self._next_start = 0.0  # by time.monotonic()
        self.failure: BaseException | None = None  # of the upload that failed for good

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def request(self, *, urgent: bool = False) -> concurrent.futures.Future:
        """Ask for an upload of what is in the folder now. Returns a future of its end.

        An urgent request does not wait for the pace, and uploads large files that still grow, too.
        """
        request = _Request(urgent, concurrent.futures.Future())
        self._requests.put(request)
        return request.done

    def stop(self) -> None:
        """End the thread after the upload that it is at; requests that wait are not served."""
        self._stopping.set()
        self.request(urgent=True)  # wakes the thread
        if self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        more_to_do = False
        while True:
            requests = self._next_requests(more_to_do)
            if self._stopping.is_set():
                return
            more_to_do = self._upload(urgent=any(request.urgent for request in requests))
            for request in requests:
                if self.failure:
                    request.done.set_exception(self.failure)
                else:
                    request.done.set_result(None)

    def _next_requests(self, more_to_do: bool) -> list[_Request]:
        """Return the requests to serve, once it is time to; without any, an upload is due because of `more_to_do`."""
        requests: list[_Request] = []
        while True:
            waits_for_pace = requests or more_to_do
            timeout = max(0.0, self._next_start - time.monotonic()) if waits_for_pace else None
            try:
                request = self._requests.get(timeout=timeout)
            except queue.Empty:
                return requests
            requests.append(request)
            if request.urgent:
                return requests

    def _upload(self, urgent: bool) -> bool:
        """Upload, unless that has failed for good before. Returns whether there is more to do soon."""
        if self.failure:
            return False
        self._next_start = time.monotonic() + PACE
        try:
            return self._upload_patiently(urgent)
        except BaseException as error:  # whatever it is, the thread that trains has to learn of it
            self.failure = error
            return False

    def _upload_patiently(self, urgent: bool) -> bool:
        """Upload, and try again while the bucket has been out of reach for less than PATIENCE."""
        unreachable_since = None
        while True:
            try:
                return self._uploader.upload(urgent)
            except Unreachable:
                now = time.monotonic()
                unreachable_since = unreachable_since or now
                if now - unreachable_since >= PATIENCE or self._stopping.wait(PACE / 4):
                    raise
