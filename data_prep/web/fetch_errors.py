"""Why a link cannot be downloaded, and whether a later attempt can help."""


class PermanentError(Exception):
    """A link that fails in every later attempt too, with the reason."""


class TemporaryError(Exception):
    """A link that can work later, with the reason. `retry_now` says whether the same run should try again."""

    def __init__(self, reason: str, retry_now: bool = True):
        super().__init__(reason)
        self.retry_now = retry_now
