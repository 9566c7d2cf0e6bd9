"""What W&B depends on around it, asked before it is: names, key, server, a home folder."""

import contextlib
import http.client
import json
import netrc
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from glocal_exp.errors import UserError

NO_PROJECT = re.compile(r"[/\\#?%:]|.{129}", re.DOTALL)  # what W&B refuses
VARIABLES = {
    "WANDB_API_KEY": (r"\S*", "holds white space, set it without"),
    "WANDB_BASE_URL": (r"(?i:https?://\S+)", "is no address, which would start with https://"),
}
HOMES = ("CACHE", "DATA", "CONFIG")
QUERY = b'{"query": "{__typename}"}'  # any server of W&B's kind can say what it is
ANSWER_BYTES = 2**16  # choice: far more than the answer, so that no other one fills the memory


def check_names(project: str, tags: Sequence[str]) -> None:
    """Refuse with a `UserError` what W&B would refuse, and with it the run."""
    if NO_PROJECT.search(project):
        raise UserError(
            f"W&B takes no project {project!r}: set tracker.project (or WANDB_PROJECT) to at most "
            "128 letters without any of / \\ # ? % : among them."
        )
    for tag in tags:
        if not 1 <= len(tag) <= 64:
            raise UserError(
                f"W&B takes no tag {tag!r} of {len(tag)} letters: set tracker.tags (or WANDB_TAGS) "
                "to tags of 1 to 64 letters."
            )


def refused_variables() -> dict[str, str]:
    """The environment variables that keep W&B from starting, even offline, each with the reason."""
    return {
        name: f"{name} {reason}"
        for name, (pattern, reason) in VARIABLES.items()
        if name in os.environ and not re.fullmatch(pattern, os.environ[name])
    }


def give_home(folder: str | Path) -> None:
    """Show W&B a place under `folder` for what it cannot keep in a home folder of the user's."""
    if os.access(os.environ.get("HOME", ""), os.W_OK):
        return
    # settings may be read where nothing can be written
    names = HOMES[:2] if os.path.exists(os.path.expanduser("~")) else HOMES
    for name in names:
        place = os.path.join(os.path.abspath(folder), "wandb", "home", name.lower())
        os.environ.setdefault(f"WANDB_{name}_DIR", place)


def has_key(base_url: str, api_key: str | None = None) -> bool:
    """Whether W&B would find credentials for the server at `base_url`.

    It looks where W&B looks: the key in its settings, which also hold `WANDB_API_KEY`; the
    variables themselves; the netrc file that `wandb login` writes.
    """
    if api_key or os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    files = map(os.path.expanduser, (os.environ.get("NETRC", ""), "~/.netrc", "~/_netrc"))
    host = urlsplit(base_url).netloc
    # the same server has both names, and a key for the older one is good for the newer one
    hosts = [host, "api.wandb.ai"] if host == "api.forge.coreweave.com" else [host]
    try:
        entries = netrc.netrc(next(filter(os.path.exists, files)))
    except (StopIteration, netrc.NetrcParseError, ValueError, OSError):
        return False
    return any((entry := entries.authenticators(name)) and entry[2] for name in hosts)


def unreachable(url: str, seconds: float) -> str | None:
    """Why there is no W&B at `url`, or None if it answers in time, be it that we may not ask."""
    host = urlsplit(url).netloc
    try:
        code, body = _ask(f"{url}/graphql", seconds)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        # an answer, if one that this Python's certificates do not cover
        return None if isinstance(reason, ssl.SSLCertVerificationError) else f"{host}: {reason}"
    if code in (401, 403):  # a gate before the server says so in its own way
        return None
    with contextlib.suppress(ValueError):
        json.loads(body)
        if code != 404 and code < 500:
            return None
    return f"{host} answers HTTP {code}, and not as W&B would"


def _ask(url: str, seconds: float) -> tuple[int, bytes]:
    request = urllib.request.Request(url, QUERY, {"Content-Type": "application/json"})
    try:
        answer = urllib.request.urlopen(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status or 0, answer.read(ANSWER_BYTES)
