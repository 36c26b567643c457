"""What the plugin's process finds in its environment, and how Lambda would call the function."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

SECRET_PLACEHOLDER: Final = "kept-by-biot-sidecar"
"""What plugin code finds as its secret key, as in the Lambda bundles: the sidecar has the real one."""
DEFAULT_REGION: Final = "us-east-1"


def function_arn(region: str, name: str) -> str:
    """The function's name in full."""
    return f"arn:aws:lambda:{region}:000000000000:function:{name}"


def region_of(env: Mapping[str, str]) -> str:
    """The AWS region that the environment names."""
    return env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def function_name(env: Mapping[str, str], folder: str) -> str:
    """The function's name: the environment's, else that of the plugin's folder."""
    return env.get("AWS_LAMBDA_FUNCTION_NAME") or re.sub(r"[^\w-]+", "-", PurePath(folder).name).strip("-") or "plugin"


def lambda_variables(env: Mapping[str, str], command: Sequence[str], folder: str) -> dict[str, str]:
    """Lambda's own variables, and BioT's name of the plugin, which plugins demand. What is set stays as it is."""
    name = function_name(env, folder)
    region = region_of(env)
    wanted = {
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "biot-sidecar",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": "AWS_Lambda_Image",
        "LAMBDA_TASK_ROOT": folder,
        "_HANDLER": command[-1],
        "TZ": ":UTC",
        "BIOT_APP_NAME": name,  # BioT sets it to the plugin's display name
    }
    return {variable: env.get(variable) or value for variable, value in wanted.items()} | {"_HANDLER": command[-1]}
