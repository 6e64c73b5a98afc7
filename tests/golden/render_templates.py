#!/usr/bin/env python3
"""Writes tests/golden/templates.json: what Jinja2 makes of each chat template, with the settings of `transformers`.

    pip install jinja2==3.1.6
    python3 tests/golden/render_templates.py

Per template and conversation: `text`, or `refused` with what the template raised, or `failed`. Templates that need tools (a loop over
None fails in Jinja2) are rendered without the variable.
The settings follow transformers/utils/chat_template_utils.py (Apache-2.0): a sandboxed environment with trim_blocks and
lstrip_blocks, loop controls, `tojson` without escapes of HTML or Unicode, `raise_exception`, `strftime_now` and the tag
`generation`.
"""

import datetime
import json
import pathlib

from jinja2 import exceptions, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = 1_700_000_000  # 2023-11-14 22:13:20 UTC
VARIABLES = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None}


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = {
    "question": [turn("user", "Hello \"you\", is 1 < 2 & ä?")],
    "system": [turn("system", " Be brief. "), turn("user", "What is a cat?\n")],
    "turns": [turn("system", "Be brief."), turn("user", "What is a cat?"), turn("assistant", "An animal."),
              turn("user", "  And a dog? ")],
    "thought": [turn("user", "1 + 1?"), turn("assistant", "<think>\nOne and one.\n</think>\n\n2"), turn("user", "2 + 2?")],
    "answered": [turn("user", "1 + 1?"), turn("assistant", "2")],
    "two questions": [turn("user", "1 + 1?"), turn("user", "2 + 2?")],
}


class Refusal(Exception):
    pass


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def refuse(text):
        raise Refusal(text)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        # Without a zone, as `datetime.now()` there.
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None).strftime(form)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = strftime_now
    return env


def rendered(template, messages, open_answer):
    variables = dict(VARIABLES, messages=messages, add_generation_prompt=open_answer)
    try:
        try:
            return {"text": template.render(variables)}
        except TypeError:
            del variables["tools"]
            return {"text": template.render(variables)}
    except Refusal as refusal:
        return {"refused": str(refusal)}
    except exceptions.UndefinedError as failure:
        return {"failed": str(failure)}


def main():
    found = {"now": NOW, "bos_token": "<s>", "eos_token": "</s>", "conversations": CONVERSATIONS, "templates": {}}
    for path in sorted((ROOT / "tests/data/templates").glob("*.jinja")):
        template = environment().from_string(path.read_text(encoding="utf-8"))
        found["templates"][path.name] = [
            {"conversation": name, "add_generation_prompt": open_answer, **rendered(template, messages, open_answer)}
            for name, messages in CONVERSATIONS.items() for open_answer in (True, False)]
    out = ROOT / "tests/golden/templates.json"
    out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    results = [case for cases in found["templates"].values() for case in cases]
    counts = {kind: sum(kind in case for case in results) for kind in ("text", "refused", "failed")}
    print(f"{out}: {len(found['templates'])} templates, {counts}")


if __name__ == "__main__":
    main()
