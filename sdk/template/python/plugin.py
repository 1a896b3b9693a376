"""A plugin for Familiar. `familiar plugin test` runs it; `familiar plugin build` makes a package of it."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.tools import Output, ToolError_Denied, ToolError_Failed, ToolError_InvalidArguments
from wit_world.imports import kv


def greet(name):
    name = name.strip()
    if not name:
        raise Err(ToolError_InvalidArguments("the name is empty: say who is to be greeted"))
    times = int(kv.get(name) or b"0") + 1
    kv.set(name, str(times).encode())
    if times == 1:
        return f"Hello, {name}!"
    return f"Hello again, {name}! That makes {times} times."


class Tools(exports.Tools):
    def call(self, tool, arguments, context):
        try:
            return Output({"greet": greet}[tool](**json.loads(arguments)), None, [])
        except Err as error:
            if isinstance(error.value, kv.Error_Denied):
                raise Err(ToolError_Denied(error.value.value)) from error
            if isinstance(error.value, (kv.Error_Quota, kv.Error_Failed)):
                raise Err(ToolError_Failed(str(error.value.value))) from error
            raise
