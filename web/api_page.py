"""The description of the HTTP interface as a page to read, made from that for programs."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>Earshot: HTTP interface</title>
<link rel="icon" href="../../icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="../../style.css">
<link rel="stylesheet" href="../../api.css">
</head>
<body>
"""


def api_page(described: Mapping[str, Any]) -> str:
    """Return the HTML of a description in the form of OpenAPI. It needs no script.

    Parameters
    ----------
    described : mapping
        Result of `describe`.
    """
    operations = [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    version = escape(str(described["info"]["version"]))
    contents = "".join(
        f'<li><a href="#{_anchor(method, path)}"><b>{method.upper()}</b> {escape(path[1:])}</a></li>'
        for method, path, _ in operations
    )
    sections = "".join(_operation(*operation) for operation in operations)
    return (
        f'{_HEAD}<header><h1><a href="../../">Earshot</a> {version}: HTTP interface</h1></header>'
        '<main class="api"><p>Addresses are below <code>api/v1/</code>. Send JSON with <code>Content-Type: application/json</code>, '
        "and the token for scripts as <code>Authorization: Bearer TOKEN</code>. An error has a status of 400 or more and the body "
        '<code>{"error": "…"}</code>. For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>{sections}</main></body></html>\n'
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = "".join(
        f"<tr><th scope='row'><code>{escape(found['name'])}</code></th><td>{found['in']}</td><td>{_kind(found['schema'])}</td></tr>"
        for found in operation["parameters"]
    )
    body = operation.get("requestBody")
    fields = {} if body is None else body["content"]["application/json"]["schema"]["properties"]
    parameters += "".join(
        f"<tr><th scope='row'><code>{escape(name)}</code></th><td>body</td><td>{_kind(schema)}</td></tr>"
        for name, schema in fields.items()
    )
    table = f"<table>{parameters}</table>" if parameters else ""
    return (
        f'<section class="panel" id="{_anchor(method, path)}"><h2><span class="{method}">{method.upper()}</span> '
        f"<code>{escape(path[1:])}</code></h2><p>{escape(operation['summary'])}</p>{table}"
        f"<pre>{escape(_example(method, path, operation, fields))}</pre></section>"
    )


def _example(
    method: str, path: str, operation: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return a command for this operation."""
    wanted = [found["name"] for found in operation["parameters"] if found["in"] == "path"]
    address = f"http://127.0.0.1:8080/api/v1{path}"
    for name in wanted:
        address = address.replace(f"{{{name}}}", name.upper())
    if method == "get":
        return f'curl -H "Authorization: Bearer $TOKEN" {address}'
    values = {name: _value(name, schema) for name, schema in fields.items()}
    return f"curl -H \"Authorization: Bearer $TOKEN\" --json '{json.dumps(values)}' {address}"


def _value(name: str, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    examples = {"boolean": True, "number": 0.5, "integer": 100}
    return examples.get(schema.get("type", ""), {"source": "kitchen", "sound": "Dog"}.get(name, "…"))


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"{_kind(schema['items'])}, repeatable"
    described = schema.get("description")
    return escape(f"{schema['type']}: {described}" if described else schema["type"])


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}-{path[1:].replace('/', '-').replace('{', '').replace('}', '')}")
