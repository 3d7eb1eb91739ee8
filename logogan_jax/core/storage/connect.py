"""Connections to object stores, with the credentials that the vendors' own libraries find.

Data travels through obstore. boto3 and google-auth only find credentials, so that whatever `aws configure`, `aws sso
login` or `gcloud auth application-default login` left behind is used, and is renewed when it expires.
"""

import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSStore, MemoryStore, ObjectStore, RetryConfig, S3Config, S3Store

# The time limit for a whole request would cut large files short; silence is what tells of a dead connection.
_CLIENT: "ClientConfig" = {"allow_http": True, "connect_timeout": "10s", "read_timeout": "300s", "timeout": "24h"}
_RETRY: "RetryConfig" = {"max_retries": 5}


class NoCredentials(Exception):
    """There are no credentials on this machine."""


@functools.cache
def connect(scheme: str, bucket: str) -> "ObjectStore":
    """Return obstore's store of a whole bucket; the same one for the same bucket, so that connections are reused.

    Raises ImportError if a package is missing, and what the vendor's library raises if there are no credentials.
    """
    return STORES[scheme](bucket)


def _connect_s3(bucket: str) -> "S3Store":
    import boto3
    import botocore.session
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    settings = botocore.session.get_session()
    session = boto3.Session(botocore_session=settings)
    if session.get_credentials() is None:
        raise NoCredentials("no credentials were found")
    configured = (
        os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or settings.get_scoped_config().get("endpoint_url")
    )
    endpoint: S3Config = {"endpoint": configured} if configured else {}
    credentials = Boto3CredentialProvider(session)
    return S3Store(
        bucket, credential_provider=credentials, client_options=_CLIENT, retry_config=_RETRY, config=endpoint
    )


def _connect_google(bucket: str) -> "GCSStore":
    import google.auth
    from obstore.auth.google import GoogleCredentialProvider
    from obstore.store import GCSStore

    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator:
        url = emulator if "://" in emulator else f"http://{emulator}"
        return GCSStore(bucket, base_url=url, bearer_token="of no account", client_options=_CLIENT, retry_config=_RETRY)
    account, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
    credentials = GoogleCredentialProvider(account)
    return GCSStore(bucket, credential_provider=credentials, client_options=_CLIENT, retry_config=_RETRY)


def _connect_memory(_: str) -> "MemoryStore":
    from obstore.store import MemoryStore

    return MemoryStore()


STORES: dict[str, Callable[[str], "ObjectStore"]] = {
    "s3": _connect_s3,
    "gs": _connect_google,
    "memory": _connect_memory,
}
EXTRAS = {"s3": "s3", "gs": "gcs", "memory": "s3"}  # of pyproject.toml, with the packages that a store needs
