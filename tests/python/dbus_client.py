"""A client of org.familiar.Agent1 in Python (dbus-fast), made from what the daemon introspects to: proves that every method,
signal and property works for a program that was not written with the daemon.

Usage: dbus_client.py ADDRESS NOTE

ADDRESS is the bus's, NOTE an indexed file that tells where the spare key is. Exits 0 when every check passes, 1 when one
fails, and prints one line for each.
"""

import asyncio
import json
import os
import sys

from dbus_fast import DBusError, Variant
from dbus_fast.aio import MessageBus

NAME, PATH, AGENT = "org.familiar.Agent", "/org/familiar/Agent", "org.familiar.Agent1"
QUESTION = "Where is the spare key?"
LIMIT_S = 120


def check(condition, words):
    """As assert, but not taken out by -O."""
    if not condition:
        raise AssertionError(words)


class Client:
    """A connection, the agent, and the signals that came."""

    def __init__(self, bus, agent):
        self.bus, self.agent, self.signals = bus, agent, asyncio.Queue()
        agent.on_chunk(lambda *said: self.signals.put_nowait(("Chunk", *said)))
        agent.on_done(lambda *said: self.signals.put_nowait(("Done", *said)))
        agent.on_failed(lambda *said: self.signals.put_nowait(("Failed", *said)))

    @classmethod
    async def connect(cls, address):
        bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
        proxy = bus.get_proxy_object(NAME, PATH, await bus.introspect(NAME, PATH))
        return cls(bus, proxy.get_interface(AGENT))

    async def until_its_end(self, request):
        """The request's signals; its last is Done or Failed."""
        signals = []
        while not signals or signals[-1][0] == "Chunk":
            signal = await asyncio.wait_for(self.signals.get(), LIMIT_S)
            check(signal[1] == request, f"{signal} is not of {request}")
            signals.append(signal)
        return signals


async def refused(call):
    try:
        await call
    except DBusError as error:
        return error.type, error.text
    raise AssertionError("nothing was refused")


async def asking(client, note):
    request = await client.agent.call_ask(QUESTION, {"no_tools": Variant("b", True)})
    *chunks, done = await client.until_its_end(request)
    check(done[0] == "Done" and chunks, f"it ended with {done}")
    answer = json.loads(done[2])
    said = "".join(text for _, _, text in chunks)
    check(said.strip() == answer["answer"].strip(), f"{said!r} was streamed, {answer['answer']!r} was answered")
    check(answer["citations"][0]["path"] == note, answer["citations"])


async def asking_through_a_pipe(client, note):
    _, pipe = await client.agent.call_ask_fd(QUESTION, {})
    with os.fdopen(pipe) as lines:
        events = [json.loads(line) for line in await asyncio.to_thread(lines.readlines)]
    check(events[0]["type"] == "started" and events[-1]["type"] == "done", events)
    check(events[-1]["citations"][0]["path"] == note, events[-1])


async def cancelling(client, note):
    request, pipe = await client.agent.call_ask_fd(QUESTION, {})
    os.close(pipe)
    # It may have ended by itself, for its pipe is closed.
    try:
        await client.agent.call_cancel(request)
    except DBusError as error:
        check(error.type == "org.familiar.Error.NotFound", error.type)
    name, said = await refused(client.agent.call_cancel("none"))
    check(name == "org.familiar.Error.NotFound" and "no such request" in said, f"{name}: {said}")


async def searching(client, note):
    found = json.loads(await client.agent.call_search("spare key", {"k": Variant("u", 1)}))
    check([hit["path"] for hit in found["hits"]] == [note], found)
    name, said = await refused(client.agent.call_search("spare key", {"limit": Variant("u", 1)}))
    check(name == "org.familiar.Error.InvalidOption" and "`limit`" in said, f"{name}: {said}")


async def approvals(client, note):
    check(json.loads(await client.agent.call_list_approvals()) == {"approvals": []}, "something waits")
    name, _ = await refused(client.agent.call_decide("none", "deny"))
    check(name == "org.familiar.Error.NotFound", name)


async def learning(client, note):
    request = await client.agent.call_learn_now()
    failed = (await client.until_its_end(request))[-1]
    check(failed[0] == "Failed" and failed[2] == "org.familiar.Error.Usage", failed)


async def properties(client, note):
    agent = client.agent
    check(await agent.get_model() == "ember", await agent.get_model())
    check(await agent.get_adapter_generation() == "", await agent.get_adapter_generation())
    check(await agent.get_status() in ("idle", "answering"), await agent.get_status())
    check(await agent.get_learning() == "off", await agent.get_learning())
    check(await agent.get_indexing() in (False, True), await agent.get_indexing())
    check(await agent.get_approvals() == 0, await agent.get_approvals())


async def changes(client, note):
    proxy = client.bus.get_proxy_object(NAME, PATH, await client.bus.introspect(NAME, PATH))
    told = []
    heard = proxy.get_interface("org.freedesktop.DBus.Properties")
    heard.on_properties_changed(lambda _, changed, gone: told.append(changed))
    # What lasts no moment is not told of, and an answer may be that quick.
    async with asyncio.timeout(LIMIT_S):
        while not any("Status" in changed for changed in told):
            request = await client.agent.call_ask(QUESTION, {})
            await client.until_its_end(request)
    check(all(changed["Status"].value in ("answering", "idle") for changed in told if "Status" in changed), told)


async def remembering_and_forgetting(client, note):
    await client.agent.call_remember("The code is 4417.")
    proof = json.loads(await client.agent.call_forget({"path": Variant("s", note)}))
    check(proof["index"] is True, proof)
    found = json.loads(await client.agent.call_search("spare key", {}))
    check(found["hits"] == [], found)


CHECKS = [
    properties,
    searching,
    asking,
    asking_through_a_pipe,
    cancelling,
    changes,
    approvals,
    learning,
    remembering_and_forgetting,
]


async def main(address, note):
    client = await Client.connect(address)
    failed = 0
    for step in CHECKS:
        try:
            await step(client, note)
            print(f"ok {step.__name__}", flush=True)
        except Exception as error:
            failed += 1
            print(f"FAILED {step.__name__}: {type(error).__name__}: {error}", flush=True)
    client.bus.disconnect()
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
