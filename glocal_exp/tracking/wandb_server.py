"""Whether W&B's server can be used: is there a key for it, and does it answer. Needs no `wandb`."""

import http.client
import netrc
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit


def has_key(base_url: str, api_key: str | None = None) -> bool:
    """Whether W&B would find credentials for the server at `base_url`.

    It looks where W&B looks: the key in its settings, which also hold `WANDB_API_KEY`; the
    variables themselves; the netrc file that `wandb login` writes.
    """
    if api_key or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    candidates = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    paths = [Path(candidate).expanduser() for candidate in candidates if candidate]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return False
    host = urlsplit(base_url).netloc
    # the same server has both names, and a key for the older one is good for the newer one
    hosts = [host, "api.wandb.ai"] if host == "api.forge.coreweave.com" else [host]
    try:
        entries = netrc.netrc(str(path))
    except (netrc.NetrcParseError, OSError):
        return False
    return any((entry := entries.authenticators(name)) and entry[2] for name in hosts)


def unreachable(url: str, seconds: float) -> str | None:
    """Why the server cannot be reached, or None if it gives any answer in time.

    Asked before W&B is, since an id stays in use in a service that failed to open its run online.
    """
    try:
        urllib.request.urlopen(url, timeout=seconds).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        # an answer, if one that this Python's certificates do not cover; W&B brings its own
        if isinstance(reason, ssl.SSLCertVerificationError):
            return None
        return f"{urlsplit(url).netloc}: {reason}"
    return None
