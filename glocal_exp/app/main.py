"""Entry points. Whatever a user gets wrong ends in one sentence and an exit code."""

import difflib
import os
import re
import sys
from collections.abc import Sequence

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from glocal_exp.app.config import CONFIGS
from glocal_exp.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130


@hydra.main(config_path=str(CONFIGS), config_name="main", version_base="1.3")
def _train(cfg: DictConfig) -> None:
    from glocal_exp.app.train import train

    OmegaConf.resolve(cfg)
    for path in train(cfg):
        print(f"done: {path}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says (Hydra's syntax); exits with 0, 1, 2 or 130."""
    if arguments is not None:
        sys.argv = [sys.argv[0], *arguments]
    sys.exit(guarded(_train))


def guarded(function: object) -> int:
    """Call `function`; its errors become one sentence on stderr and an exit code."""
    from glocal_exp.app.train import Interrupted

    # Hydra then raises what it would otherwise print over several lines.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    try:
        function()  # pyright: ignore[reportCallIssue]
    except UserError as error:
        return _say(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        return _say(sentence(error))
    except OSError as error:
        return _say(
            f"{error.strerror or error}: {error.filename or ''}; check the path and space left."
        )
    except (Interrupted, KeyboardInterrupt):
        print("interrupted; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED
    return 0


def sentence(error: Exception) -> str:
    """What Hydra or OmegaConf says over several lines, as one that names the fix."""
    text = str(error)
    if match := re.search(r"Could not find '(?P<group>[^/']+)/(?P<name>[^']+)'", text):
        group, name = match["group"], match["name"]
        options = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        close = difflib.get_close_matches(name, options, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"There is no {group}={name}; {hint}Choose one of {', '.join(options)}."
    if match := re.search(r"(?:Key|key) '(?P<key>[^']+)' (?:is )?not in", text):
        full = re.search(r"full_key: (\S+)", text) or re.search(r"override '([^']+)'", text)
        return (
            f"There is no setting {full[1] if full else match['key']}; "
            "`--cfg job` prints the settings that there are."
        )
    if match := re.search(r"full_key: (\S+)", text):
        return f"{match[1]}: {text.splitlines()[0].rstrip('.')}."
    return " ".join(line.strip() for line in text.splitlines()[:2] if line.strip())


def _say(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return USER_ERROR


def reproduce(arguments: Sequence[str]) -> None:
    """Run the whole sweep of an experiment: `reproduce.py ID [KEY=VALUE ...]`."""
    ids = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))
    if not arguments or arguments[0] not in ids:
        sys.exit(_say(f"Name an experiment first: one of {', '.join(ids)}."))
    experiment, *overrides = arguments
    sweep = OmegaConf.load(CONFIGS / "experiment" / f"{experiment}.yaml").sweep
    given = {override.split("=")[0].lstrip("+") for override in overrides}
    swept = [f"{key}={value}" for key, value in sweep.items() if key not in given]
    main(["-m", f"experiment={experiment}", *swept, *overrides])
