"""How a conversation becomes text: the chat template, in Jinja for the GGUF and in Python for the samples. Both must give
the same characters; `python layout.py` compares them.
"""
import json

SYSTEM, USER, ASSISTANT, TOOL, END = "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"
NONE = "The passages do not tell."

# The agent's own system message is the same every time and is left out; tools are told in short lines.
TEMPLATE = """{%- if tools %}
{{- '<|system|>Tools:\\n' }}
{%- for tool in tools %}
{%- set f = tool.function if tool.function else tool %}
{{- '- "' + f.name + '": ' + f.description + '\\n' }}
{%- set given = f.parameters.properties if f.parameters and f.parameters.properties else {} %}
{%- set must = f.parameters.required if f.parameters and f.parameters.required else [] %}
{%- for key in given %}
{%- set p = given[key] %}
{{- '  "' + key + '" (' }}
{%- if p.enum %}{{ p.enum | join('|') }}{% elif p.type is string %}{{ p.type }}{% else %}{{ 'any' }}{% endif %}
{%- if key not in must %}{{ ', optional' }}{% endif %}
{{- '): ' }}
{%- if p.description %}{{ p.description }}{% endif %}
{{- '\\n' }}
{%- endfor %}
{%- endfor %}
{{- '<|end|>' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' %}
{{- '<|user|>' + message.content + '<|end|>' }}
{%- elif message.role == 'assistant' %}
{{- '<|assistant|>' }}
{%- if message.content %}{{ message.content }}{% endif %}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
{%- set f = call.function if call.function else call %}
{{- '<tool_call>{"name": "' + f.name + '", "arguments": ' }}
{%- if f.arguments is string %}{{ f.arguments }}{% else %}{{ f.arguments | tojson }}{% endif %}
{{- '}</tool_call>' }}
{%- endfor %}
{%- endif %}
{{- '<|end|>' }}
{%- elif message.role == 'tool' %}
{{- '<|tool|>' + message.content + '<|end|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""


class Text:
    """Text that remembers which part of it is what: (start, part, group, unit) from each place on."""

    def __init__(self):
        self.text, self.regions = "", []

    def add(self, text, part, group=0, unit=0):
        """Returns where it begins."""
        at = len(self.text)
        if text:
            self.regions.append((at, part, group, unit))
            self.text += text
        return at


def tools_text(tools, parts, first=8):
    """The tools' lines; tool N is group FIRST + N. Also where each tool's name begins."""
    other, header, text = parts
    out, names = Text(), []
    out.add("Tools:\n", other)
    for n, t in enumerate(tools):
        out.add('- "', other)
        names.append(out.add(t["name"], header, first + n))
        out.add('": ', other)
        out.add(t["description"] + "\n", text, first + n, 1)
        given = t["parameters"].get("properties", {})
        for u, (key, p) in enumerate(given.items()):
            unit = min(u + 2, 7)
            out.add('  "', other)
            out.add(key, text, first + n, unit)
            kind = "|".join(p["enum"]) if p.get("enum") else p["type"] if isinstance(p.get("type"), str) else "any"
            optional = "" if key in t["parameters"].get("required", []) else ", optional"
            out.add('" (', other)
            out.add(f"{kind}{optional}): {p.get('description', '')}\n", text, first + n, unit)
    return out, names


def check():
    import jinja2
    env = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    import random
    import tools
    rng = random.Random(0)
    for _ in range(200):
        offered = tools.offer(rng, 6)
        made = env.from_string(TEMPLATE).render(messages=[{"role": "user", "content": "x"}], add_generation_prompt=True,
                                                tools=[{"type": "function", "function": {k: t[k] for k in ("name", "description", "parameters")}} for t in offered])
        want = SYSTEM + tools_text(offered, (0, 0, 0))[0].text + END + USER + "x" + END + ASSISTANT
        assert made == want, (made, want)
    print("the template and the samples agree")


if __name__ == "__main__":
    check()
