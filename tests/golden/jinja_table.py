#!/usr/bin/env python3
"""Writes tests/golden/jinja.json: what Jinja2 makes of every filter, test, global, loop variable and operator that it documents, and
of every method of Python's strings, lists, dicts and tuples.

    pip install jinja2==3.1.6
    python3 tests/golden/jinja_table.py

With the settings of render_templates.py, so that methods that change their object are refused. A case is `[source, text]`, or
`[source, null]` where Jinja2 fails. What `chord-chat` leaves out is in LEFT_OUT with the reason; it must fail there. Where it gives
something else, DIFFERENT says what. The script stops
if Jinja2 or Python has a name for which there is neither.
"""

import json
import pathlib

import jinja2
from jinja2 import defaults

from render_templates import environment

ROOT = pathlib.Path(__file__).resolve().parents[2]
VARIABLES = {
    "s": "Hello, World", "padded": "  \t two words\n ", "path": "a/b/c", "lines": "one\ntwo\r\nthree\n\nfour", "accents": "Äpfel ß ﬁ",
    "html": "<a href=\"x\">Tom & 'Ann'</a>", "digits": "0042", "empty": "", "many": "the quick brown fox jumps over the lazy dog",
    "n": 7, "negative": -7, "f": 2.5, "big": 12345678901234567890123, "small": 1e-7, "large": 1e22, "whole": 3.0,
    "row": [3, 1, 2], "words": ["b", "A", "c", "a"], "none": None, "yes": True, "no": False, "nested": [[1, 2], [3, 4], []],
    "table": {"b": 1, "a": 2, "C": 3}, "users": [{"name": "Ann", "age": 30, "city": {"zip": "1"}}, {"name": "bob", "age": 25, "city": {"zip": "2"}},
                                               {"name": "Cem", "age": 30, "city": {"zip": "1"}}],
    "mixed": [1, "x", None, True, 2.5, [1], {"k": "v"}],
}

FILTERS = {
    "abs": ["{{ negative|abs }}", "{{ -2.5|abs }}"],
    "attr": ["{{ users[0]|attr('nothing') is undefined }}"],
    "batch": ["{{ row|batch(2)|list }}", "{{ row|batch(2, 'x')|list }}", "{{ row|batch(linecount=2, fill_with=0)|list }}"],
    "capitalize": ["{{ s|capitalize }}", "{{ 'ÄRGER 1A'|capitalize }}"],
    "center": ["[{{ 'ab'|center(7) }}]", "[{{ 'abc'|center(6) }}]", "[{{ 'ab'|center }}]", "[{{ 'abcdef'|center(3) }}]", "[{{ 'a'|center(width=4) }}]"],
    "count": ["{{ row|count }}", "{{ s|count }}"],
    "d": ["{{ nothing|d('x') }}", "{{ ''|d('x', true) }}"],
    "default": ["{{ nothing|default('x') }}", "[{{ nothing|default }}]", "{{ none|default('x') }}", "{{ none|default('x', true) }}", "{{ 0|default('x', boolean=true) }}",
                "{{ nothing.a|default('x') }}", "{{ nothing|default(default_value='x') }}"],
    "dictsort": ["{{ table|dictsort }}", "{{ table|dictsort(true) }}", "{{ table|dictsort(false, 'value') }}", "{{ table|dictsort(reverse=true) }}",
                 "{{ table|dictsort(by='value', reverse=true) }}"],
    "e": ["{{ html|e }}"],
    "escape": ["{{ html|escape }}", "{{ 3|escape }}"],
    "filesizeformat": ["{{ 1|filesizeformat }}", "{{ 999|filesizeformat }}", "{{ 1000|filesizeformat }}", "{{ 1536|filesizeformat(true) }}", "{{ 13000000|filesizeformat }}",
                       "{{ 5e15|filesizeformat(binary=true) }}", "{{ 1e30|filesizeformat }}", "{{ '2048'|filesizeformat }}"],
    "first": ["{{ row|first }}", "{{ s|first }}", "{{ table|first }}", "[{{ []|first }}]"],
    "float": ["{{ '2.5'|float }}", "{{ 'x'|float }}", "{{ 'x'|float(1.5) }}", "{{ 3|float }}", "{{ '1e3'|float }}", "{{ '  2 '|float }}", "{{ none|float(default=2.0) }}"],
    "forceescape": ["{{ html|forceescape }}"],
    "format": ["{{ '%s is %d'|format('a', 3) }}", "{{ '%05.2f|%-5s|%5s|%x|%X|%o|%e|%g|%%|%+d|%c|%r'|format(3.14159, 'ab', 'cd', 255, 255, 8, 12345.678, 0.0001, 5, 'z', 'q') }}",
               "{{ '%(a)s-%(b)03d'|format(a='x', b=7) }}", "{{ '%d'|format(2.9) }}", "{{ '%s'|format(none) }}", "{{ '%s'|format([1, 'a']) }}", "{{ '%i %u'|format(1, 2) }}", "{{ '%*d'|format(5, 3) }}",
               "{{ '%s'|format }}", "{{ '%.3s'|format('abcdef') }}"],
    "groupby": ["{% for g in users|groupby('age') %}{{ g.grouper }}:{{ g.list|length }};{% endfor %}", "{% for k, us in users|groupby('city.zip') %}{{ k }}={{ us|map(attribute='name')|join(',') }};{% endfor %}",
                "{% for k, us in users|groupby('nothing', default='x') %}{{ k }}{{ us|length }}{% endfor %}", "{% for k, us in [{'a': 'x'}, {'a': 'X'}]|groupby('a') %}{{ k }}{{ us|length }};{% endfor %}",
                "{% for k, us in [{'a': 'x'}, {'a': 'X'}]|groupby('a', case_sensitive=true) %}{{ k }}{{ us|length }};{% endfor %}"],
    "indent": ["{{ lines|indent }}", "{{ lines|indent(2) }}", "{{ lines|indent(2, true) }}", "{{ lines|indent(2, blank=true) }}", "{{ lines|indent('> ') }}", "{{ lines|indent(width=1, first=true) }}"],
    "int": ["{{ '42'|int }}", "{{ 'x'|int }}", "{{ 'x'|int(5) }}", "{{ 3.9|int }}", "{{ '3.9'|int }}", "{{ 'ff'|int(base=16) }}", "{{ '0x1f'|int(0, 16) }}", "{{ '-7'|int }}", "{{ none|int }}", "{{ true|int }}",
            "{{ '0b101'|int(0, 2) }}", "{{ ' 8 '|int }}"],
    "items": ["{{ table|items|list }}", "{% for k, v in table|items %}{{ k }}{{ v }}{% endfor %}", "{{ nothing|items|list }}"],
    "join": ["{{ row|join }}", "{{ row|join(', ') }}", "{{ users|join(', ', attribute='name') }}", "{{ s|join('-') }}", "{{ table|join(',') }}", "{{ mixed|join('|') }}", "{{ row|join(d='+') }}"],
    "last": ["{{ row|last }}", "{{ s|last }}", "[{{ []|last }}]"],
    "length": ["{{ row|length }}", "{{ accents|length }}", "{{ table|length }}", "{{ empty|length }}"],
    "list": ["{{ s|list }}", "{{ table|list }}", "{{ range(3)|list }}", "{{ (1, 2)|list }}"],
    "lower": ["{{ accents|lower }}", "{{ s|lower }}", "{{ 3|lower }}"],
    "map": ["{{ words|map('upper')|list }}", "{{ users|map(attribute='name')|list }}", "{{ users|map(attribute='city.zip')|join }}", "{{ users|map(attribute='x', default='-')|list }}", "{{ words|map('replace', 'a', 'z')|list }}",
            "{{ nested|map('sum')|list }}", "{{ nested|map('join', '+')|list }}"],
    "max": ["{{ row|max }}", "{{ words|max }}", "{{ words|max(true) }}", "{{ users|max(attribute='age') }}", "[{{ []|max }}]"],
    "min": ["{{ row|min }}", "{{ words|min }}", "{{ words|min(case_sensitive=true) }}", "{{ users|min(attribute='age') }}", "[{{ []|min }}]"],
    "reject": ["{{ row|reject('odd')|list }}", "{{ mixed|reject('none')|list }}", "{{ [0, 1, '', 'a']|reject|list }}", "{{ row|reject('gt', 1)|list }}"],
    "rejectattr": ["{{ users|rejectattr('age', 'eq', 30)|map(attribute='name')|list }}", "{{ users|rejectattr('nothing')|list|length }}"],
    "replace": ["{{ s|replace('l', 'L') }}", "{{ s|replace('l', 'L', 1) }}", "{{ 'aaa'|replace('', '-') }}", "{{ s|replace('l', 'L', count=2) }}", "{{ 121|replace('1', 'x') }}", "{{ s|replace(old='H', new='J') }}"],
    "reverse": ["{{ s|reverse }}", "{{ row|reverse|list }}", "{{ accents|reverse }}"],
    "round": ["{{ 42.55|round }}", "{{ 42.55|round(1) }}", "{{ 42.55|round(1, 'floor') }}", "{{ 42.45|round(1, 'ceil') }}", "{{ 2.5|round }}", "{{ 3.5|round }}", "{{ 7|round }}", "{{ 1234|round(-2) }}", "{{ 2.675|round(precision=2) }}", "{{ 42.1|round(method='ceil') }}"],
    "safe": ["{{ html|safe }}"],
    "select": ["{{ row|select('odd')|list }}", "{{ mixed|select('string')|list }}", "{{ [0, 1, '', 'a']|select|list }}", "{{ row|select('divisibleby', 3)|list }}", "{{ words|select('in', ['a', 'b'])|list }}"],
    "selectattr": ["{{ users|selectattr('age', 'eq', 30)|map(attribute='name')|list }}", "{{ users|selectattr('city.zip', '==', '2')|map(attribute='name')|join }}", "{{ users|selectattr('name')|list|length }}"],
    "slice": ["{{ [1, 2, 3, 4, 5]|slice(2)|list }}", "{{ [1, 2, 3, 4, 5]|slice(3, 'x')|list }}", "{{ row|slice(slices=2, fill_with=0)|list }}"],
    "sort": ["{{ row|sort }}", "{{ row|sort(true) }}", "{{ words|sort }}", "{{ words|sort(case_sensitive=true) }}", "{{ users|sort(attribute='age')|map(attribute='name')|list }}", "{{ users|sort(attribute='age,name', reverse=true)|map(attribute='name')|list }}", "{{ table|sort }}", "{{ 'cab'|sort }}"],
    "string": ["{{ 3|string ~ 4 }}", "{{ none|string }}", "{{ true|string }}", "{{ f|string }}", "{{ row|string }}"],
    "striptags": ["{{ html|striptags }}", "{{ '<p>a <!-- b --> c</p>  d &lt;e&gt;'|striptags }}", "{{ 'a < b > c'|striptags }}"],
    "sum": ["{{ row|sum }}", "{{ users|sum(attribute='age') }}", "{{ row|sum(start=10) }}", "{{ []|sum }}", "{{ [0.5, 1]|sum }}", "{{ users|sum('age', 1) }}"],
    "title": ["{{ many|title }}", "{{ \"it's o'neil-smith (x) HELLO\"|title }}", "{{ '3rd a_b'|title }}"],
    "tojson": ["{{ table|tojson }}", "{{ mixed|tojson }}", "{{ table|tojson(indent=2) }}", "{{ nested|tojson(indent=1) }}", "{{ accents|tojson }}", "{{ accents|tojson(ensure_ascii=true) }}", "{{ '😀\\x7f\\x1f\\u2028'|tojson(ensure_ascii=true) }}",
               "{{ html|tojson }}", "{{ table|tojson(sort_keys=true) }}", "{{ table|tojson(separators=(',', ':')) }}", "{{ [1e22, 1e-7, 3.0, 0.1, 1e16, 123456789012345.0, -0.0]|tojson }}", "{{ {1: 'a', true: 'b', none: 'c', 2.5: 'd'}|tojson }}",
               "{{ []|tojson(indent=4) }}", "{{ {}|tojson(indent=4) }}", "{{ 'a\\n\\t\\b\\f\\r\\\\\"/'|tojson }}", "{{ big|tojson }}", "{{ table|tojson(indent=0) }}", "{{ (1, 2)|tojson }}", "{{ nothing|tojson }}", "{{ range(3)|tojson }}",
               "{{ accents|tojson(true) }}", "{{ table|tojson(false, 3) }}", "{{ table|tojson(indent='\\t') }}", "{{ table|tojson(indent=none, separators=none) }}", "{{ table|tojson(indent=2, separators=(';', '=')) }}", "{{ table|tojson(colour=1) }}",
               "{{ table|items|list|tojson }}", "{{ (table.keys()|list)|tojson }}"],
    "trim": ["[{{ padded|trim }}]", "[{{ 'xxaxx'|trim('x') }}]", "[{{ '/a/'|trim(chars='/') }}]"],
    "truncate": ["{{ many|truncate(20) }}", "{{ many|truncate(20, true) }}", "{{ many|truncate(20, false, '…') }}", "{{ many|truncate(41) }}", "{{ many|truncate(20, true, '', 0) }}", "{{ many|truncate(length=10, killwords=true, end='!', leeway=0) }}", "{{ many|truncate }}"],
    "unique": ["{{ ['a', 'A', 'b', 'a']|unique|list }}", "{{ ['a', 'A', 'b', 'a']|unique(true)|list }}", "{{ users|unique(attribute='age')|map(attribute='name')|list }}", "{{ [1, 1.0, 2]|unique|list }}"],
    "upper": ["{{ accents|upper }}", "{{ s|upper }}"],
    "urlencode": ["{{ 'a b/c?d=ä&e'|urlencode }}", "{{ {'a b': 1, 'c': 'ü/'}|urlencode }}", "{{ [('x', 1), ('y', '&')]|urlencode }}", "{{ 'A-Z_a.z~0'|urlencode }}"],
    "wordcount": ["{{ many|wordcount }}", "{{ \"it's two-fold, ok_1\"|wordcount }}", "{{ empty|wordcount }}"],
    "xmlattr": ["<x{{ {'class': 'a b', 'id': none, 'n': 1, 'q': '<\"'}|xmlattr }}>", "<x{{ {'a': 1}|xmlattr(false) }}>", "<x{{ {}|xmlattr }}>", "{{ {'a b': 1}|xmlattr }}"],
}

TESTS = {
    "boolean": ["{{ true is boolean }}{{ 1 is boolean }}"], "callable": ["{{ range is callable }}{{ s is callable }}"], "defined": ["{{ s is defined }}{{ nothing is defined }}{{ s.x is defined }}"],
    "divisibleby": ["{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(2) }}"], "eq": ["{{ 1 is eq 1 }}{{ 'a' is eq('b') }}"], "equalto": ["{{ 1 is equalto 1.0 }}"], "==": ["{{ [1, 2]|select('==', 2)|list }}"],
    "escaped": ["{{ html is escaped }}"], "even": ["{{ 2 is even }}{{ 3 is even }}"], "false": ["{{ false is false }}{{ 0 is false }}"], "filter": ["{{ 'upper' is filter }}{{ 'zzz' is filter }}"],
    "float": ["{{ 2.0 is float }}{{ 2 is float }}"], "ge": ["{{ 2 is ge 2 }}"], ">=": ["{{ row|select('>=', 2)|list }}"], "greaterthan": ["{{ 2 is greaterthan 1 }}"], "gt": ["{{ 2 is gt 2 }}"], ">": ["{{ row|select('>', 2)|list }}"],
    "in": ["{{ 1 is in [1] }}{{ 'b' is in 'abc' }}{{ 'z' is in table }}"], "integer": ["{{ 2 is integer }}{{ 2.0 is integer }}{{ true is integer }}"],
    "iterable": ["{{ row is iterable }}{{ 'a' is iterable }}{{ 3 is iterable }}{{ none is iterable }}{{ table is iterable }}{{ nothing is iterable }}"], "le": ["{{ 1 is le 1 }}"], "<=": ["{{ row|select('<=', 2)|list }}"],
    "lessthan": ["{{ 1 is lessthan 2 }}"], "lt": ["{{ 1 is lt 1 }}"], "<": ["{{ row|select('<', 2)|list }}"], "lower": ["{{ 'abc' is lower }}{{ 'Abc' is lower }}{{ '1' is lower }}"], "mapping": ["{{ table is mapping }}{{ row is mapping }}"],
    "ne": ["{{ 1 is ne 2 }}"], "!=": ["{{ row|select('!=', 2)|list }}"], "none": ["{{ none is none }}{{ nothing is none }}{{ 0 is not none }}"], "number": ["{{ 1 is number }}{{ 1.5 is number }}{{ true is number }}{{ '1' is number }}"],
    "odd": ["{{ 3 is odd }}{{ -1 is odd }}"], "sameas": ["{{ none is sameas none }}{{ true is sameas true }}{{ 1 is sameas true }}"], "sequence": ["{{ row is sequence }}{{ 'a' is sequence }}{{ table is sequence }}{{ 1 is sequence }}{{ (1,) is sequence }}"],
    "string": ["{{ s is string }}{{ 1 is string }}{{ s is not string }}"], "test": ["{{ 'odd' is test }}{{ 'zzz' is test }}"], "true": ["{{ true is true }}{{ 1 is true }}"], "undefined": ["{{ nothing is undefined }}{{ s is undefined }}{{ table.zz is undefined }}"],
    "upper": ["{{ 'ABC' is upper }}{{ 'aBC' is upper }}"],
}

GLOBALS = {
    "cycler": ["{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}", "{% set c = cycler('a', 'b') %}{{ c.current }}{{ c.next() }}{{ c.current }}{{ c.reset() or '' }}{{ c.next() }}", "{{ cycler() }}"],
    "dict": ["{{ dict(a=1, b='x') }}"],
    "joiner": ["{% set j = joiner() %}{% for x in row %}{{ j() }}{{ x }}{% endfor %}", "{% set j = joiner('|') %}[{{ j() }}{{ j() }}{{ j() }}]", "{% set j = joiner(sep=';') %}[{{ j() }}{{ j() }}]"],
    "namespace": ["{% set ns = namespace(n=1) %}{% for x in row %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}", "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace() %}{% set ns.x = 'y' %}{{ ns.x }}{{ ns.z is defined }}"],
    "range": ["{{ range(3)|list }}", "{{ range(1, 7, 2)|list }}", "{{ range(3, 0, -1)|list }}", "{{ range(2)|length }}", "{% for i in range(0) %}x{% else %}none{% endfor %}", "{{ 2 in range(3) }}"],
    "raise_exception": ["{% if false %}{{ raise_exception('x') }}{% endif %}ok"],
    "strftime_now": ["{{ strftime_now('%Y-%m-%d %H:%M:%S') }}", "{{ strftime_now('%a %A %b %B %d %j %p %y %I %U %w %W %%') }}", "{{ strftime_now('%c|%x|%X') }}", "{{ strftime_now('%-d %-m %-H %e %G %V %u %D %F %T %R %h %n%t') }}", "{{ strftime_now('%f[%z%Z]%%f') }}", "{{ strftime_now('') }}"],
}

LOOP = {name: ["{% for x in row %}{{ loop." + name + " }} {% endfor %}"] for name in
        ("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0")}
LOOP.update({
    "previtem": ["{% for x in row %}[{{ loop.previtem }}]{% endfor %}", "{% for x in row %}{{ loop.previtem is defined }}{% if loop.previtem is defined and x > loop.previtem %}up{% endif %} {% endfor %}"],
    "nextitem": ["{% for x in row %}[{{ loop.nextitem }}]{% endfor %}", "{% for u in users %}{{ loop.nextitem.name if loop.nextitem is defined else 'end' }} {% endfor %}", "{% for x in row %}{% if not loop.last and loop.nextitem > x %}<{% endif %}{% endfor %}"],
    "cycle": ["{% for x in row %}{{ loop.cycle('a', 'b') }}{% endfor %}"],
    "changed": ["{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}"],
})

STATEMENTS = {
    "for": ["{% for x in row if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}", "{% for k, v in table.items() %}{{ k }}={{ v }};{% endfor %}", "{% for x in [] %}a{% else %}b{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
            "{% for k in table %}{{ k }}{% endfor %}", "{% for c in 'abc' %}{{ c }}.{% endfor %}", "{% set x = 1 %}{% for y in row %}{% set x = y %}{% endfor %}{{ x }}", "{% for x in row recursive %}{{ x }}{% endfor %}",
            "{% for x in nested recursive %}[{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}{% endif %}]{% endfor %}", "{% for x in row|sort|reverse %}{{ x }}{% endfor %}", "{% for a, b in nested[:2] %}{{ a + b }} {% endfor %}", "{% for x in nothing %}{% endfor %}ok"],
    "break": ["{% for x in row %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}"], "continue": ["{% for x in row %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}"],
    "if": ["{% if n > 5 and not no %}a{% elif n %}b{% else %}c{% endif %}", "{% if nothing %}a{% else %}b{% endif %}", "{% if [] or {} or '' or 0 or none %}a{% else %}b{% endif %}", "{% if 'b' in table and 'z' not in table %}yes{% endif %}"],
    "set": ["{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set x %}a{{ n }}{% endset %}{{ x }}", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x = row + [4] %}{{ x }}", "{% set x = 1 if no else 2 %}{{ x }}"],
    "macro": ["{% macro f(a, b='x', c=none) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, 2) }} {{ f(a=3, c='y') }}", "{% macro f(x) %}{{ x }}{% if x > 0 %}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
              "{% macro f(a) -%}  {{ a }}  {%- endmacro %}[{{ f(1) }}]", "{% macro f(a, b) %}{% endmacro %}{{ f.name }}", "{% macro f(x) %}{{ x|upper }}{% endmacro %}{{ f('a') ~ f('b') }}", "{% macro f(x) %}{{ x is defined }}{% endmacro %}{{ f() }}"],
    "call": ["{% macro f(a) %}[{{ caller() }}{{ a }}]{% endmacro %}{% call f(1) %}x{% endcall %}", "{% macro f() %}{{ caller('a', 2) }}{% endmacro %}{% call(x, y) f() %}{{ x }}{{ y }}{% endcall %}"],
    "filter": ["{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|trim %} aa {% endfilter %}"], "with": ["{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}"],
    "raw": ["{% raw %}{{ x }}{% y %}{% endraw %}", "a {%- raw -%} {{ b }} {%- endraw -%} c"], "comment": ["a{# {{ x }} {% if %} #}b", "a  {#- x -#}  b"],
    "generation": ["{% generation %}a{{ n }}{% endgeneration %}", "x {%- generation -%} a {%- endgeneration -%} y", "{{ '{% generation %}' }}"],
    "whitespace": ["a  {%- if true -%}  b  {%- endif -%}  c", "  {% if true %}\n  x\n  {% endif %}\ny\n", "a {{- 1 -}} b", "  {%+ if true %}x{% endif %}", "{% if true +%}\nx{% endif %}", "x\n", "x\n\n", "\n{{ 1 }}\n\n{{ 2 }}\n", "{% if true %}\r\nx\r\n{% endif %}"],
}

OPERATORS = {
    "arithmetic": ["{{ 7 + 2 }} {{ 7 - 2 }} {{ 7 * 2 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 10 }}", "{{ -7 // 2 }} {{ -7 % 4 }} {{ 7.5 // 2 }} {{ 7.5 % 2 }}", "{{ 6 / 2 }} {{ 2 ** -1 }} {{ 0.1 + 0.2 }} {{ 1e100 }}", "{{ -2 ** 2 }} {{ 2 + 3 * 4 }} {{ (2 + 3) * 4 }} {{ 10 - 2 - 3 }}",
                   "{{ 2 ** 3 ** 2 }}", "{{ n % 2 == 1 }} {{ n is odd and n % 3 == 1 }}", "{{ 2 * n % 5 }} {{ n % 5 * 2 }} {{ n - 1 % 4 }} {{ -n % 5 }} {{ n % -4 }}", "{{ row|length % 2 }} {{ (n + 1) % 3 }} {{ row[0] % 2 }} {{ users[0].age % 7 }}", "{{ n %2 }}{{ n%2 }}", "{{ big + 1 }} {{ big % 10 }}", "{{ true + 1 }} {{ true % 2 }}",
                   "{{ 7.5 % 2.0 }} {{ -7.5 % 2 }}", "{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ -f }} {{ 1_000 + 0x1F + 0b11 + 0o17 }}"],
    "%": ["{{ '%s' % s }}", "{{ '%s-%s' % (1, 'b') }}", "{{ '%d%%' % 5 }}", "{{ '%(name)s is %(age)d' % users[0] }}", "{{ '%5.1f|%-4d|%04d' % (f, n, n) }}", "{% set form = 'x%sy' %}{{ form % n }}", "{{ ('%s' ~ '%s') % ('a', 'b') }}", "{{ '%s' % row }}", "{{ '%s' % n|string|length }}",
          "{{ '%s' % 'a' ~ 'b' }}", "{{ '%s' % ('a',) }}", "{{ '%s %s' % ('a',) }}", "{{ 'x' % 'a' }}", "{{ '%s' % none }} {{ '%s' % true }} {{ '%r' % 'q' }}", "{% if '%s' % 'a' == 'a' %}yes{% endif %}", "{{ {'k': '%s' % 1}['k'] }}{{ ['%02d' % 3, '%s' % 'z']|join }}", "{{ '%s' % users[0]['name'].upper() }}", "{{ '%s'|upper % 1 }}",
          "{{ s.replace('o', '%d') % (1, 2) }}", "{{ '{% if %}%s' % 1 }}", "{% set x = '%s' % 'a' if yes else 'b' %}{{ x }}",
          "{% macro f(x) %}<{{ '%s' % x }}>{% endmacro %}{{ f('%d' % 3) }}", "{{ '%s}}' % 1 }}{{ '{{ %' }}{# '%s' % 1 #}", "{% raw %}{{ 'a' % b }}{% endraw %}{{ '%s' % 2 }}", "{{ ('%s' % s)[0:3] % () }}", "{{ not '%s' % '' }}{{ n if '%s' % '' else 0 }}", "{% for x in '%s,%s' % (1, 2) %}{{ x }}{% endfor %}",
          "{%- if n % 2 == 1 and n % 3 -%} {{- n % 5 -}} {%- endif -%}", "{{ [n % 2, n % 3][n % 2] }}", "{{ n*3%4 }}{{ n-1%4 }}{{ -1%4 }}", "{{ '%s' % -1 }}", "{{ '%s' % 'a' 'b' }}", "{{ '%s'\n%\n'x' }}", "{{ '%s' % nothing|default('none') }}"],
    "comparison": ["{{ 1 < 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ 1 != 2 }} {{ [1, 2] < [1, 3] }} {{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ none == none }} {{ true == 1 }} {{ '1' == 1 }} {{ [1] == [1.0] }} {{ table == {'a': 2, 'b': 1, 'C': 3} }}", "{{ (1, 2) == [1, 2] }}"],
    "logic": ["{{ 1 and 'x' }} {{ 0 or 'y' }} {{ not 1 }} {{ none and 1 }} {{ '' or [] or 'z' }} {{ not not 2 }}", "{{ 'a' in 'abc' }} {{ 4 in row }} {{ 'x' not in table }} {{ not 'a' in 'abc' }}", "{{ 'x' if false }}|{{ 'a' if yes else 'b' }}|{{ 'a' if no else 'b' if no else 'c' }}"],
    "~": ["{{ 1 ~ 'a' ~ none ~ true ~ 2.0 ~ [1, 'x'] }}"], "+": ["{{ 'a' + 'b' }} {{ [1] + [2] }} {{ (1,) + (2,) }}", "{{ 'a' + 1 }}", "{{ 'a' + none }}"], "*": ["{{ 'ab' * 3 }} {{ [0] * 2 }} {{ 2 * 'x' }} {{ 'a' * -1 }}"],
    "literals": ["{{ 'a' \"b\" 'c' }}", "{{ 'tab\\tnew\\\\ \\x41 \\u00e4 \\U0001F600 \\'q\\' \\101' }}", "{{ true }} {{ True }} {{ none }} {{ None }} {{ false }} {{ False }}", "{{ [1, [2], ] }} {{ (1, 2) }} {{ (1,) }} {{ () }} {{ {'a': [1], 2: none} }} {{ {} }}", "{{ 1.0 }} {{ 1.50 }} {{ 1e3 }} {{ 1e-5 }} {{ 123456789.123 }} {{ large }} {{ small }} {{ whole }} {{ big }}",
                 "{{ ['a\"b', \"it's\", 'x\\ny', 'ä', '\\x07'] }}", "{{ mixed }} {{ users[0] }}", "{{ \"multi\nline\" }}"],
    "subscript": ["{{ row[0] }} {{ row[-1] }} {{ s[0] }} {{ s[-1] }} {{ table['b'] }} {{ table.b }} {{ users[0].city.zip }} {{ users[0]['name'] }} [{{ row[9] }}] [{{ table.zz }}]", "{{ row[1:] }} {{ row[:-1] }} {{ row[::-1] }} {{ row[::2] }} {{ s[1:4] }} {{ s[-3:] }} {{ s[::-1] }} {{ s[:99] }} {{ s[5:2] }}", "{{ accents[0] }}{{ accents[1:3] }}", "{{ nothing.x }}", "{{ nothing['x'] }}", "{{ none.x }}|", "{{ 'a'.x }}|", "{{ row.0 }}", "{{ (1, 2)[1] }}"],
    "calls": ["{{ nothing() }}", "{{ s.nothing() }}", "{{ table.nothing() }}", "{{ users.0.name }}", "{{ 'abc'.upper()[0] }}", "{{ s.split(', ')[1].lower()|title }}"],
}

STRING = {
    "capitalize": ["{{ 'hELLO wORLD'.capitalize() }}"], "casefold": ["{{ 'Straße ÄÖ'.casefold() }}"], "center": ["[{{ 'ab'.center(5) }}][{{ 'ab'.center(6, '*') }}][{{ 'abc'.center(6) }}][{{ 'abc'.center(8) }}][{{ 'ab'.center(1) }}]"],
    "count": ["{{ 'banana'.count('a') }} {{ 'banana'.count('ana') }} {{ 'banana'.count('a', 2) }} {{ 'banana'.count('a', 2, 4) }} {{ 'abc'.count('') }}"], "endswith": ["{{ s.endswith('World') }} {{ s.endswith(('x', 'd')) }} {{ s.endswith('Hello', 0, 5) }} {{ s.endswith('World', 8) }}"],
    "expandtabs": ["{{ 'a\tbc\tdef'.expandtabs() }}|{{ 'a\tbc'.expandtabs(4) }}|{{ 'ab\n\tc'.expandtabs(tabsize=2) }}"], "find": ["{{ s.find('o') }} {{ s.find('o', 5) }} {{ s.find('zz') }} {{ s.find('o', 0, 3) }} {{ accents.find('ß') }} {{ s.find('l', -3) }}"],
    "format": ["{{ '{} {}'.format(1, 'a') }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x}'.format(x=3) }}", "{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{:+d}|{:*^7}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 255, 3, 'mid') }}", "{{ '{{}} {}'.format('q') }}", "{{ '{a[k]} {b[0]}'.format(a={'k': 1}, b=[2]) }}", "{{ '{}'.format() }}", "{{ '{} {}'.format([1, 'a'], none) }}"],
    "format_map": ["{{ '{a}-{b:>3}'.format_map({'a': 1, 'b': 2}) }}"], "index": ["{{ s.index('o') }} {{ s.index('o', 5) }}", "{{ s.index('zz') }}"],
    "isalnum": ["{{ 'ab1'.isalnum() }}{{ 'a b'.isalnum() }}{{ ''.isalnum() }}{{ 'ä²'.isalnum() }}"], "isalpha": ["{{ 'abä'.isalpha() }}{{ 'a1'.isalpha() }}{{ ''.isalpha() }}"], "isascii": ["{{ 'ab'.isascii() }}{{ 'ä'.isascii() }}{{ ''.isascii() }}"],
    "isdecimal": ["{{ '12'.isdecimal() }}{{ '²'.isdecimal() }}{{ '٣'.isdecimal() }}{{ ''.isdecimal() }}{{ '1.2'.isdecimal() }}"], "isdigit": ["{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ '½'.isdigit() }}{{ ''.isdigit() }}{{ '-1'.isdigit() }}{{ '①'.isdigit() }}"], "isidentifier": ["{{ 'ab_1'.isidentifier() }}{{ '1a'.isidentifier() }}{{ ''.isidentifier() }}{{ 'ä'.isidentifier() }}"],
    "islower": ["{{ 'ab1'.islower() }}{{ 'Ab'.islower() }}{{ '1'.islower() }}"], "isnumeric": ["{{ '12'.isnumeric() }}{{ '½'.isnumeric() }}{{ '²'.isnumeric() }}{{ 'a'.isnumeric() }}{{ ''.isnumeric() }}"], "isprintable": ["{{ 'ab ä'.isprintable() }}{{ 'a\\n'.isprintable() }}{{ ''.isprintable() }}"],
    "isspace": ["{{ ' \t'.isspace() }}{{ ''.isspace() }}{{ 'a '.isspace() }}{{ '\\x1c\\u3000'.isspace() }}"], "istitle": ["{{ 'Hello World'.istitle() }}{{ 'Hello world'.istitle() }}{{ ''.istitle() }}{{ \"It'S 3A\".istitle() }}{{ 'HEllo'.istitle() }}"], "isupper": ["{{ 'AB1'.isupper() }}{{ 'aB'.isupper() }}{{ '1'.isupper() }}"],
    "join": ["{{ ', '.join(words) }} {{ '-'.join('abc') }} {{ ''.join([]) }}", "{{ ','.join([1, 2]) }}"], "ljust": ["[{{ 'ab'.ljust(5) }}][{{ 'ab'.ljust(4, '.') }}][{{ 'abc'.ljust(2) }}]"], "lower": ["{{ 'ÄB'.lower() }}"],
    "lstrip": ["[{{ padded.lstrip() }}][{{ 'xxa'.lstrip('x') }}][{{ 'abcx'.lstrip('cba') }}][{{ '\\x1ca'.lstrip() }}]"], "partition": ["{{ path.partition('/') }} {{ 'abc'.partition('x') }}", "{{ s.partition(', ')[2] }}", "{{ s.partition('') }}"],
    "removeprefix": ["{{ s.removeprefix('Hello') }} {{ s.removeprefix('x') }}"], "removesuffix": ["{{ s.removesuffix('World') }}|{{ s.removesuffix('x') }}|{{ s.removesuffix('') }}"], "replace": ["{{ 'aaa'.replace('a', 'b') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }} {{ 'ab'.replace('', '-', 2) }}"],
    "rfind": ["{{ s.rfind('o') }} {{ s.rfind('zz') }} {{ s.rfind('o', 0, 6) }} {{ accents.rfind('ﬁ') }}"], "rindex": ["{{ s.rindex('o') }}", "{{ s.rindex('zz') }}"], "rjust": ["[{{ 'ab'.rjust(5) }}][{{ 'ab'.rjust(4, '0') }}]"],
    "rpartition": ["{{ path.rpartition('/') }} {{ 'abc'.rpartition('x') }}"], "rsplit": ["{{ path.rsplit('/') }} {{ path.rsplit('/', 1) }} {{ ' a  b c '.rsplit() }} {{ ' a  b c '.rsplit(none, 1) }} {{ 'a,,b'.rsplit(',', maxsplit=1) }} {{ ''.rsplit() }} {{ path.rsplit('/', 0) }} {{ path.rsplit('/', -1) }}", "{{ path.rsplit('') }}"],
    "rstrip": ["[{{ padded.rstrip() }}][{{ 'axx'.rstrip('x') }}][{{ 'a\\n\\n'.rstrip('\\n') }}]"],
    "split": ["{{ path.split('/') }} {{ path.split('/', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(none, 1) }} {{ 'a,,b'.split(',') }} {{ ''.split() }} {{ ''.split(',') }} {{ path.split('/', maxsplit=1) }} {{ path.split(sep='/') }} {{ path.split('/', 0) }} {{ 'abc'.split('x')[-1] }}", "{{ path.split('') }}", "{{ 'a</think>b</think>c'.split('</think>')[-1] }}"],
    "splitlines": ["{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ ''.splitlines() }} {{ 'a\\x0bb\\x0cc\\x1cd\\u2028e\\x85f\\r'.splitlines() }} {{ 'a\\n'.splitlines(keepends=true) }}"], "startswith": ["{{ s.startswith('Hello') }} {{ s.startswith(('x', 'H')) }} {{ s.startswith('World', 7) }} {{ s.startswith('') }}"],
    "strip": ["[{{ padded.strip() }}][{{ 'xaxx'.strip('x') }}][{{ '\\n a'.strip('\\n') }}][{{ ' a'.strip(none) }}][{{ '\\x1f\\u3000a\\x85'.strip() }}]"], "swapcase": ["{{ 'aBcÄ'.swapcase() }}"], "title": ["{{ \"hello wORLD it's 3rd\".title() }}"], "upper": ["{{ 'äß'.upper() }}"], "zfill": ["{{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ '+1'.zfill(4) }} {{ 'abc'.zfill(2) }}"],
}

LIST = {
    "append": ["{{ row.append(4) }}"], "clear": ["{{ row.clear() }}"], "copy": ["{{ row.copy() }}"], "count": ["{{ [1, 2, 1].count(1) }}"], "extend": ["{{ row.extend([1]) }}"], "index": ["{{ row.index(1) }} {{ [1, 2, 1].index(1, 1) }}", "{{ row.index(9) }}"], "insert": ["{{ row.insert(0, 1) }}"],
    "pop": ["{{ row.pop() }}"], "remove": ["{{ row.remove(1) }}"], "reverse": ["{{ row.reverse() }}"], "sort": ["{{ row.sort() }}"],
}
DICT = {
    "clear": ["{{ table.clear() }}"], "copy": ["{{ table.copy() }}"], "fromkeys": ["{{ table.fromkeys(['x', 'y']) }} {{ table.fromkeys('ab', 0) }}"], "get": ["{{ table.get('b') }} {{ table.get('z') }} {{ table.get('z', 5) }} {{ users[0].get('city').get('zip') }}"],
    "items": ["{{ table.items()|list }}", "{% for k, v in table.items() %}{{ k }}{{ v }}{% endfor %}", "{{ table.items()|length }}"], "keys": ["{{ table.keys()|list }} {{ 'b' in table.keys() }} {{ table.keys()|length }}"], "pop": ["{{ table.pop('b') }}"], "popitem": ["{{ table.popitem() }}"],
    "setdefault": ["{{ table.setdefault('x', 1) }}"], "update": ["{{ table.update({'a': 1}) }}"], "values": ["{{ table.values()|list }} {{ table.values()|sum }}"],
}
TUPLE = {"count": ["{{ (1, 2, 1).count(1) }}"], "index": ["{{ (1, 2).index(2) }}"]}

# What chord-chat does not have: a source that must fail there, what its error names, and why.
LEFT_OUT = {
    "filters.pprint": ["{{ table|pprint }}", "pprint", "Python's layout of long values"],
    "filters.random": ["{{ row|random }}", "random", "a prompt is the same each time"],
    "filters.urlize": ["{{ 'http://a.b'|urlize }}", "urlize", "writes HTML links, with rules of its own for what is one"],
    "filters.wordwrap": ["{{ many|wordwrap(10) }}", "wordwrap", "Python's textwrap has rules that no chat template needs"],
    "globals.lipsum": ["{{ lipsum() }}", "lipsum", "random text"],
    "string.encode": ["{{ s.encode() }}", "encode", "bytes are no value here"],
    "string.maketrans": ["{{ s.maketrans('a', 'b') }}", "maketrans", "makes tables for translate"],
    "string.translate": ["{{ s.translate({72: 'J'}) }}", "translate", "takes tables by code point"],
    "string.format with !r": ["{{ '{!r}'.format('q') }}", "'!'", "minijinja's format has no conversions"],
    "string.format with %": ["{{ '{:%}'.format(0.5) }}", "'%'", "minijinja's format has no percentages"],
    "statements.extends": ["{% extends 'x' %}", "extends", "there is one template"],
    "statements.include": ["{% include 'x' %}", "include", "there is one template"],
    "statements.import": ["{% import 'x' as x %}", "import", "there is one template"],
    "statements.from": ["{% from 'x' import y %}", "from", "there is one template"],
    "statements.block": ["{% block b %}{% endblock %}", "block", "there is one template"],
    "statements.trans": ["{% trans %}x{% endtrans %}", "trans", "an extension that transformers does not load"],
    "statements.macro with varargs": ["{% macro f() %}{{ varargs }}{% endmacro %}{{ f(1) }}", "too many arguments", "minijinja's macros take the arguments that they name"],
    "operators.unary plus": ["{{ +5 }}", "unexpected `+`", "minijinja has no such operator"],
}

# Where chord-chat gives something else: a source, what it gives, and why.
DIFFERENT = {
    "filters.attr": ["{{ table|attr('b') }}", "1", "it finds items too; Jinja2 finds attributes only"],
    "operators.comparison": ["{{ 1 < 'a' }}", "True", "values of all kinds have an order; Python refuses"],
    "operators.~": ["{{ 1e22 ~ '' }}", "10000000000000000000000.0", "large and tiny floats inside of texts and lists are written out"],
    "statements.macro": ["{% macro f(a, b) %}{% endmacro %}{{ f.arguments }}", "['a', 'b']", "a list in place of a tuple"],
    "statements.autoescape": ["{% autoescape true %}{{ '\"' }}{% endautoescape %}", "&quot;", "another spelling of the same; a prompt is no HTML"],
    "string.isnumeric": ["{{ '三'.isnumeric() }}", "False", "Chinese numerals are letters"],
    "filters.striptags": ["{{ '&eacute;'|striptags }}", "&eacute;", "of HTML's 2231 names of characters it knows five"],
}

AREAS = {"filters": FILTERS, "tests": TESTS, "globals": GLOBALS, "loop": LOOP, "statements": STATEMENTS, "operators": OPERATORS, "string": STRING, "list": LIST, "dict": DICT, "tuple": TUPLE}


def documented():
    def methods(kind):
        return [name for name in dir(kind) if not name.startswith("_")]
    from jinja2.runtime import LoopContext
    return {"filters": list(defaults.DEFAULT_FILTERS), "tests": list(defaults.DEFAULT_TESTS), "globals": list(defaults.DEFAULT_NAMESPACE), "loop": [n for n in methods(LoopContext) if not n.startswith("_")],
            "string": methods(str), "list": methods(list), "dict": methods(dict), "tuple": methods(tuple)}


def check_complete():
    for area, names in documented().items():
        for name in names:
            listed = name in AREAS[area] or f"{area}.{name}" in LEFT_OUT
            if not listed:
                raise SystemExit(f"{area}.{name} is neither tried nor left out")


def outcome(source):
    try:
        return environment().from_string(source).render(json.loads(json.dumps(VARIABLES)))
    except Exception as failure:  # whatever Jinja2 or Python raises
        assert not isinstance(failure, AssertionError)
        return None


def main():
    assert jinja2.__version__ == "3.1.6", jinja2.__version__
    check_complete()
    cases = {area: {name: [[source, outcome(source)] for source in sources] for name, sources in names.items()} for area, names in AREAS.items()}
    different = {name: [source, ours, outcome(source), why] for name, (source, ours, why) in DIFFERENT.items()}
    table = {"made_with": "Jinja2 3.1.6, Python 3.11; tests/golden/jinja_table.py", "now": 1_700_000_000, "variables": {name: repr(value) for name, value in VARIABLES.items()}, "cases": cases, "left_out": LEFT_OUT, "different": different}
    out = ROOT / "tests/golden/jinja.json"
    out.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    results = [text for names in cases.values() for listed in names.values() for _, text in listed]
    print(f"{out}: {len(results)} cases, {sum(t is None for t in results)} of them fail; {len(LEFT_OUT)} left out, {len(DIFFERENT)} different")


if __name__ == "__main__":
    main()
