"""What an object store answers when something is wrong, as a sentence that says what to do."""

from __future__ import annotations

import re

from tunixhack.errors import UserError

CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for one of ~/.aws (which needs boto3)",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
"""By a protocol, what gives the credentials."""
_SAME = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "adl": "az", "azure": "az"}
_LONGEST = 200
"""Characters of a store's own words that are shown."""
_NO_BUCKET = re.compile(r"NoSuchBucket|bucket does not exist|ContainerNotFound|notFound.*bucket", re.IGNORECASE)
_NO_CREDENTIALS = re.compile(
    r"169\.254\.169\.254|metadata\.google|locate credentials|NoCredentials|DefaultCredentials|MissingAccount"
    r"|Missing.*credential|no credentials",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"AccessDenied|Access Denied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Forbidden"
    r"|Unauthori[sz]ed|Permission ?Denied|AuthenticationFailed|AuthorizationFailure",
    re.IGNORECASE,
)
_FULL = re.compile(r"No space left|QuotaExceeded|EntityTooLarge|InsufficientStorage|storage is full", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"error sending request|connect|dns|resolve|timed? ?out|unreachable|service not known|SlowDown|reset by peer",
    re.IGNORECASE,
)


class StorageFailed(UserError):
    """An object store cannot be asked, or has refused something; nothing that is on this machine is lost.

    Args:
        sentence: what was wrong, and what to do.
        passing: whether it may be otherwise in a while, such as a network that is away.
    """

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.passing = passing


def names_no_bucket(error: Exception) -> bool:
    """Tell whether a store says that there is no such bucket, and not that there is no such object."""
    return _NO_BUCKET.search(str(error)) is not None


def failure(error: Exception, what: str, address: str, protocol: str) -> StorageFailed:
    """Return the sentence for an error of a store.

    Args:
        error: of whichever implementation of fsspec.
        what: was to be done: list, read, write, remove or open.
        address: of the object.
        protocol: of the address.
    """
    text, kind = str(error), _SAME.get(protocol, protocol)
    bucket = address.partition("://")[2].partition("/")[0]
    if names_no_bucket(error):
        return StorageFailed(f"there is no bucket {bucket} for {address}: make it, or give another one")
    if _NO_CREDENTIALS.search(text) or type(error).__name__ == "NoCredentialsError":
        how = CREDENTIALS.get(kind, "see the documentation of the package that speaks the protocol")
        return StorageFailed(f"there are no credentials to {what} {address}: {how}")
    if _REFUSED.search(text) or isinstance(error, PermissionError):
        how = CREDENTIALS.get(kind, "check the credentials")
        return StorageFailed(
            f"cannot {what} {address}: the store refuses it ({_told(error)}); check the rights of these credentials, "
            f"or give others: {how}"
        )
    if _FULL.search(text):
        return StorageFailed(f"cannot {what} {address}: there is no room ({_told(error)})", passing=True)
    if _UNREACHABLE.search(text) or isinstance(error, ConnectionError | TimeoutError):
        more = " and AWS_ENDPOINT_URL" if kind == "s3" else ""
        return StorageFailed(
            f"cannot {what} {address}: the store cannot be reached ({_told(error)}); check the network{more}",
            passing=True,
        )
    return StorageFailed(f"cannot {what} {address}: {_told(error)}", passing=True)


def _told(error: Exception) -> str:
    """Return the store's own words: the message of a reply in XML, or the first line."""
    text = str(error)
    message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    first = message[1] if message else (text.strip().splitlines() or [""])[0]
    # of what obstore tells, the end says why, and the addresses before it are told already
    first = re.sub(r"\s+", " ", first.rpartition(" - ")[2] or first).strip()
    return f"{first[:_LONGEST]}…" if len(first) > _LONGEST else first or type(error).__name__
