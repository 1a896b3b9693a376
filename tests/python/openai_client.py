"""The stock OpenAI client against Familiar's socket: proves that what is served is what clients expect.

Usage: openai_client.py SOCKET [--model NAME] [--no-tools]

Exits 0 when every check passes, 1 when one fails, and prints one line for each. The answers' words are
the model's affair and are not judged. --no-tools is for a model that has no way to call tools.
"""

import argparse
import json
import sys
import time

import httpx
import jsonschema
import openai

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 40},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "days", "unit"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": WEATHER}}]
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "tall": {"type": "boolean"}},
    "required": ["name", "tall"],
    "additionalProperties": False,
}
HELLO = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "Say hello."}]
ASK_WEATHER = [{"role": "user", "content": "What will the weather be in Oslo for the next 2 days, in celsius?"}]


def check(condition, words):
    """As assert, but not taken out by -O."""
    if not condition:
        raise AssertionError(words)


def check_usage(usage):
    check(usage is not None, "no usage")
    check(usage.prompt_tokens > 0 and usage.completion_tokens > 0, f"usage is {usage}")
    check(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, f"usage is {usage}")


def check_call(name, arguments):
    check(name == "get_weather", f"the tool called is {name!r}")
    jsonschema.validate(json.loads(arguments), WEATHER)


def models_list(client, model):
    names = [entry.id for entry in client.models.list()]
    check(model in names, f"{model} is not in {names}")
    check(client.models.retrieve(model).id == model, "retrieve gives another model")


def plain(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=16, temperature=0)
    choice = answer.choices[0]
    check(answer.object == "chat.completion" and answer.model == model, f"{answer}")
    check(choice.message.role == "assistant" and isinstance(choice.message.content, str), f"{choice}")
    check(choice.finish_reason in ("stop", "length"), f"finish_reason is {choice.finish_reason}")
    check(answer.usage.completion_tokens <= 16, f"max_tokens was not kept: {answer.usage}")
    check_usage(answer.usage)


def content_parts(client, model):
    parts = [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]
    messages = [{"role": "developer", "content": parts}, {"role": "user", "content": parts}]
    answer = client.chat.completions.create(model=model, messages=messages, max_completion_tokens=8, user="ignored")
    check(answer.choices[0].message.content is not None, "no content")


def streamed(client, model):
    options = {"model": model, "messages": HELLO, "max_tokens": 24, "temperature": 0}
    whole = client.chat.completions.create(**options)
    words, finish, usages, after_usage = "", [], [], 0
    for chunk in client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **options):
        check(chunk.object == "chat.completion.chunk", f"{chunk}")
        after_usage += len(usages)
        if chunk.usage is not None:
            usages.append(chunk.usage)
            check(chunk.choices == [], "the chunk with the usage has choices")
        for choice in chunk.choices:
            words += choice.delta.content or ""
            finish += [choice.finish_reason] if choice.finish_reason else []
    check(len(usages) == 1 and after_usage == 0, "usage does not come once and last")
    check_usage(usages[0])
    check(finish == [whole.choices[0].finish_reason], f"finish reasons are {finish}")
    check(words == whole.choices[0].message.content, f"streamed {words!r}, whole {whole.choices[0].message.content!r}")


def streamed_without_usage(client, model):
    stream = client.chat.completions.create(model=model, messages=HELLO, max_tokens=4, stream=True)
    check(all(chunk.usage is None for chunk in stream), "usage came unasked")


def tool_required(client, model):
    answer = client.chat.completions.create(
        model=model, messages=ASK_WEATHER, tools=TOOLS, tool_choice="required", max_tokens=200, temperature=0
    )
    choice = answer.choices[0]
    check(choice.finish_reason == "tool_calls", f"finish_reason is {choice.finish_reason}: {choice.message}")
    check(len(choice.message.tool_calls) >= 1, "no call")
    for call in choice.message.tool_calls:
        check(call.type == "function" and call.id, f"{call}")
        check_call(call.function.name, call.function.arguments)
    result = {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": '{"sky": "clear"}'}
    messages = ASK_WEATHER + [choice.message.model_dump(exclude_none=True), result]
    after = client.chat.completions.create(model=model, messages=messages, tools=TOOLS, tool_choice="none", max_tokens=16)
    check(not after.choices[0].message.tool_calls, "a tool was called though tool_choice is none")


def tool_named_streamed(client, model):
    stream = client.chat.completions.create(
        model=model,
        messages=ASK_WEATHER,
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "get_weather"}},
        max_tokens=200,
        temperature=0,
        stream=True,
    )
    calls, finish = {}, None
    for chunk in stream:
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                name, arguments = calls.get(call.index, ("", ""))
                calls[call.index] = (name + (call.function.name or ""), arguments + (call.function.arguments or ""))
    check(finish == "tool_calls" and calls, f"finish_reason is {finish}, calls are {calls}")
    for name, arguments in calls.values():
        check_call(name, arguments)


def json_schema(client, model):
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Ada is tall. Describe her as JSON."}],
        response_format={"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}},
        max_tokens=100,
        temperature=0,
    )
    check(answer.choices[0].finish_reason == "stop", f"{answer.choices[0]}")
    jsonschema.validate(json.loads(answer.choices[0].message.content), PERSON)


def refused(kind, code, **options):
    def ask(client, model):
        options.setdefault("model", model)
        try:
            client.chat.completions.create(**({"messages": HELLO} | options))
        except kind as error:
            check(error.code == code, f"code is {error.code!r}: {error}")
            check(error.message, "no message")
        else:
            raise AssertionError("it was accepted")

    return ask


def abandoned(client, model):
    """Each is left after a few chunks; if one went on, those after it would find the engine busy."""
    for _ in range(6):
        stream = client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=1500, temperature=1.0, seed=7, stream=True
        )
        for _, _ in zip(range(3), stream):
            pass
        stream.close()
    begun = time.monotonic()
    client.chat.completions.create(model=model, messages=HELLO, max_tokens=4)
    took = time.monotonic() - begun
    check(took < 30, f"the answer after abandoned ones took {took:.1f} s")


CHECKS = {
    "models.list and models.retrieve": models_list,
    "a plain answer with usage": plain,
    "content parts, developer role, unknown fields": content_parts,
    "a streamed answer equals the whole one, usage comes last": streamed,
    "no usage in a stream unless asked": streamed_without_usage,
    "response_format json_schema": json_schema,
    "an unknown model is model_not_found": refused(openai.NotFoundError, "model_not_found", model="no-such-model"),
    "n=2 is refused": refused(openai.BadRequestError, None, n=2),
    "an image is refused": refused(
        openai.BadRequestError,
        None,
        messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}],
    ),
    "a prompt beyond the context is context_length_exceeded": refused(
        openai.BadRequestError, "context_length_exceeded", messages=[{"role": "user", "content": "word " * 150_000}]
    ),
    "abandoned streams free the engine": abandoned,
}
TOOL_CHECKS = {
    "tool_choice=required gives valid arguments": tool_required,
    "a named tool, streamed": tool_named_streamed,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("socket")
    parser.add_argument("--model", default="ember")
    parser.add_argument("--no-tools", action="store_true")
    options = parser.parse_args()
    transport = httpx.HTTPTransport(uds=options.socket)
    http = httpx.Client(transport=transport, timeout=300)
    client = openai.OpenAI(base_url="http://familiar/v1", api_key="unused", http_client=http, max_retries=0)
    failed = 0
    for name, run in (CHECKS if options.no_tools else CHECKS | TOOL_CHECKS).items():
        begun = time.monotonic()
        try:
            run(client, options.model)
            print(f"ok    {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{failed} checks failed" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
