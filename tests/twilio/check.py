"""Asks Twilio's own library: signs requests, and rebuilds our documents with its builder.

Standard input: {"requests": [{token, url, params}], "documents": [xml]}.
Standard output: {"signatures": [...], "mistakes": [...]}.
"""

import inspect
import json
import re
import sys
import xml.etree.ElementTree as tree

from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse


def snake(name):
    return re.sub("([A-Z])", lambda letter: "_" + letter.group(1).lower(), name)


def rebuild(ours, theirs):
    """Adds the children of an element to the builder's; what the builder does not know is a mistake."""
    for element in ours:
        method = getattr(theirs, snake(element.tag).lstrip("_"), None)
        if method is None:
            raise ValueError(f"no verb {element.tag} inside {ours.tag}")
        known = inspect.signature(method).parameters
        arguments = {}
        for name, value in element.attrib.items():
            if snake(name) not in known:
                raise ValueError(f"no attribute {name} of {element.tag}")
            arguments[snake(name)] = value
        text = (element.text or "").strip()
        first = next(iter(known.values()))
        needs_text = first.default is inspect.Parameter.empty and first.kind is not inspect.Parameter.VAR_KEYWORD
        if text or needs_text:
            arguments[first.name] = text
        rebuild(element, method(**arguments))


def canonical(document):
    return tree.canonicalize(document, strip_text=True)


asked = json.load(sys.stdin.buffer)
signatures = [
    RequestValidator(request["token"]).compute_signature(request["url"], request["params"])
    for request in asked["requests"]
]
mistakes = []
for document in asked["documents"]:
    response = VoiceResponse()
    try:
        rebuild(tree.fromstring(document), response)
        if canonical(response.to_xml()) != canonical(document):
            mistakes.append(f"differs: {response.to_xml()}\n    from: {document}")
    except (ValueError, TypeError, tree.ParseError) as mistake:
        mistakes.append(f"{mistake}: {document}")
json.dump({"signatures": signatures, "mistakes": mistakes}, sys.stdout)
