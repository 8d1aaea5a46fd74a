# SPDX-License-Identifier: Apache-2.0
"""CloudEvents conformance vectors: each goes in in binary or structured mode and comes out in both.

What comes out is read here by a reader of its own, written from the HTTP binding and the JSON format, not by Weir's.
"""
import base64
import json
import re
import unittest
import urllib.parse

from harness import TestCase, channel, subscription

BASE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
STRUCTURED = "application/cloudevents+json"
ABSENT = None  # no data at all


def binary(headers=None, body=b"", **attributes):
    ce = {f"ce-{name}": value for name, value in {**BASE, **attributes}.items()}
    return {**ce, **(headers or {})}, body


def structured(text="", content_type=STRUCTURED, base=BASE):
    """BASE and then the members that `text` says, verbatim."""
    body = json.dumps(base)[:-1] + ("," + text if text else "") + "}"
    return {"content-type": content_type}, body.encode()


JSON_TYPE = {"content-type": "application/json"}
EURO = "Euro \u20ac \U0001f600"

# name: (message in, attributes beyond BASE, data)
VECTORS = {
    # binary mode
    "minimum": (binary(), {}, ABSENT),
    "all attributes": (
        binary({"content-type": "text/xml"}, b"<much/>", subject="sub", time="2018-04-05T17:31:00Z",
               dataschema="https://example.com/schema", comexampleext="value", other5="x"),
        {"subject": "sub", "time": "2018-04-05T17:31:00Z", "dataschema": "https://example.com/schema",
         "comexampleext": "value", "other5": "x", "datacontenttype": "text/xml"}, b"<much/>"),
    "json data": (binary(JSON_TYPE, b'{"a": [1, null]}'), {"datacontenttype": "application/json"}, b'{"a": [1, null]}'),
    "json with a charset": (
        binary({"content-type": "application/json; charset=utf-8"}, b'"x"'),
        {"datacontenttype": "application/json; charset=utf-8"}, b'"x"'),
    "json by suffix": (
        binary({"content-type": "application/vnd.acme+json"}, b"[1]"), {"datacontenttype": "application/vnd.acme+json"},
        b"[1]"),
    "bytes": (
        binary({"content-type": "application/octet-stream"}, bytes(range(256))),
        {"datacontenttype": "application/octet-stream"}, bytes(range(256))),
    "data without a type": (binary({}, b"plain"), {}, b"plain"),
    "percent-encoded value": (binary(subject="Euro%20%E2%82%AC%20%F0%9F%98%80"), {"subject": EURO}, ABSENT),
    "lower-case hex": (binary(subject="Euro%20%e2%82%ac%20%f0%9f%98%80"), {"subject": EURO}, ABSENT),
    "needless encoding": (binary(subject="%41%62c"), {"subject": "Abc"}, ABSENT),
    "only one round of decoding": (binary(subject="%2541"), {"subject": "%41"}, ABSENT),
    "quoted value": (binary(subject='"a b"'), {"subject": "a b"}, ABSENT),
    "quoted value with escapes": (binary(subject='"a\\"\\\\b"'), {"subject": 'a"\\b'}, ABSENT),
    "header names in any case": (
        ({"CE-SpecVersion": "1.0", "Ce-Id": "1", "cE-source": "/s", "CE-TYPE": "t", "CE-Ext": "Value"}, b""),
        {"ext": "Value"}, ABSENT),
    "time with a fraction and an offset": (
        binary(time="1985-04-12T23:20:50.52+02:00"), {"time": "1985-04-12T23:20:50.52+02:00"}, ABSENT),
    "time in small letters": (binary(time="1985-04-12t23:20:50z"), {"time": "1985-04-12t23:20:50z"}, ABSENT),
    "leap second": (binary(time="1990-12-31T23:59:60Z"), {"time": "1990-12-31T23:59:60Z"}, ABSENT),
    "source is any reference": (binary(source="urn:uuid:6e8bc430"), {"source": "urn:uuid:6e8bc430"}, ABSENT),
    "name of twenty characters": (binary(**{"a" * 20: "x"}), {"a" * 20: "x"}, ABSENT),
    "trace context stays": (
        binary(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, ABSENT),
    # structured mode
    "structured minimum": (structured(), {}, ABSENT),
    "structured with a charset": (structured(content_type=STRUCTURED + "; charset=UTF-8"), {}, ABSENT),
    "structured in capitals, odd spacing": (
        structured(content_type='Application/CloudEvents+JSON ;charset="utf-8"'), {}, ABSENT),
    "object": (
        structured('"datacontenttype":"application/json","data":{"a" : 1.0, "b":[ ]}'),
        {"datacontenttype": "application/json"}, b'{"a" : 1.0, "b":[ ]}'),
    "object without a type": (structured('"data":{"a":1}'), {}, b'{"a":1}'),
    "numbers are not rounded": (structured('"data":[12345678901234567890123,1e400,1.10]'), {},
                                b"[12345678901234567890123,1e400,1.10]"),
    "text that is json": (structured('"data":"x"'), {}, b'"x"'),
    "text that is text": (
        structured('"datacontenttype":"text/plain","data":"line\\n\\u20ac"'), {"datacontenttype": "text/plain"},
        "line\n\u20ac".encode()),
    "xml": (structured('"datacontenttype":"text/xml","data":"<a b=\\"c\\"/>"'), {"datacontenttype": "text/xml"},
            b'<a b="c"/>'),
    "base64": (
        structured('"datacontenttype":"application/octet-stream","data_base64":"AAEC/w=="'),
        {"datacontenttype": "application/octet-stream"}, b"\0\1\2\xff"),
    "base64 with escapes": (structured('"datacontenttype":"x/y","data_base64":"+\\u002B\\/A"'),
                            {"datacontenttype": "x/y"}, base64.b64decode("++/A")),
    "base64 of json": (
        structured('"datacontenttype":"application/json","data_base64":"eyJhIjoxfQ=="'),
        {"datacontenttype": "application/json"}, b'{"a":1}'),
    "empty base64": (structured('"datacontenttype":"x/y","data_base64":""'), {"datacontenttype": "x/y"}, b""),
    "null data": (structured('"datacontenttype":"application/json","data":null'),
                  {"datacontenttype": "application/json"}, b"null"),
    "boolean and zero": (structured('"data":false'), {}, b"false"),
    "null attributes are absent": (structured('"subject":null,"ext":null,"dataschema":null'), {}, ABSENT),
    "typed extensions": (structured('"number":-17,"flag":true,"text":"t"'),
                         {"number": -17, "flag": True, "text": "t"}, ABSENT),
    "integers at the ends of their range": (structured('"low":-2147483648,"high":2147483647'),
                                            {"low": -2147483648, "high": 2147483647}, ABSENT),
    "text beyond ascii": (structured('"subject":"Euro \\u20ac \\ud83d\\ude00"'), {"subject": EURO}, ABSENT),
    "percent signs are text": (structured('"subject":"100%25"'), {"subject": "100%25"}, ABSENT),
    "quotes are text": (structured('"subject":"\\"q\\" \\\\"'), {"subject": '"q" \\'}, ABSENT),
    "headers beside a structured body do not count": (
        ({**structured()[0], "ce-id": "other", "ce-subject": "other"}, structured()[1]), {}, ABSENT),
    "nul in json data": (structured('"data":"\\u0000"'), {}, b'"\\u0000"'),
}


def decode_header(value):
    """HTTP binding, section 3.1.3.2."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return urllib.parse.unquote(value, errors="strict")


def read_binary(request):
    attributes = {name[3:]: decode_header(value) for name, value in request.headers.items() if name.startswith("ce-")}
    if "content-type" in request.headers:
        attributes["datacontenttype"] = request.headers["content-type"]
    return attributes, request.body


def is_json(media_type):
    media_type = (media_type or "application/json").split(";")[0].strip().lower()
    return bool(re.fullmatch(r"[^/]+/([^/]+\+)?json", media_type))


class Json:
    """Data that is a JSON value: the same value, however it is written."""

    def __init__(self, value):
        self.value = value


def read_structured(request):
    event = json.loads(request.body)
    data = ABSENT
    if "data_base64" in event:
        data = base64.b64decode(event.pop("data_base64"), validate=True)
    elif "data" in event:
        data = event.pop("data")
        data = Json(data) if is_json(event.get("datacontenttype")) else data.encode()
    return event, data


def as_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


class Vectors(TestCase):
    kind = "InMemoryChannel"

    def setUp(self):
        self.binary, self.json = self.sink(), self.sink()
        self.server = self.weir(
            channel(subscription(self.binary, "binary"), subscription(self.json, "json", format="json")), kind=self.kind)

    def check_binary(self, request, attributes, data):
        got, body = read_binary(request)
        expected = {name: as_text(value) for name, value in {**BASE, **attributes}.items()}
        if "datacontenttype" not in attributes:  # of JSON data it SHOULD be said
            self.assertIn(got.pop("datacontenttype", "application/json"), ("application/json",))
        self.assertEqual(got, expected)
        self.assertEqual(body, data or b"")
        self.assertNotIn("ce-datacontenttype", request.headers)
        for value in request.headers.values():
            self.assertTrue(value.isascii() and value.isprintable(), value)

    def check_structured(self, request, attributes, data):
        """A backend that keeps attributes as headers keeps texts: a number or boolean comes out as its text there."""
        self.assertEqual(request.headers["content-type"].split(";")[0], STRUCTURED)
        got, out = read_structured(request)
        if "datacontenttype" not in attributes:
            self.assertIn(got.pop("datacontenttype", "application/json"), ("application/json",))
        expected = {**BASE, **attributes}
        self.assertEqual({name: as_text(value) for name, value in got.items()},
                         {name: as_text(value) for name, value in expected.items()})
        if isinstance(out, Json):
            self.assertIn(data, request.body)  # verbatim
        elif data:
            self.assertEqual(out, data)

    def test_each_comes_out_in_both_modes_as_it_went_in(self):
        for count, (name, ((headers, body), attributes, data)) in enumerate(VECTORS.items(), 1):
            with self.subTest(name):
                answer = self.server.post("/shop/orders", headers, body)
                self.assertEqual(answer.status, 202, answer.body)
                self.check_binary(self.binary.wait(count)[-1], attributes, data)
                self.check_structured(self.json.wait(count)[-1], attributes, data)

    def test_what_comes_out_goes_in_again_and_is_the_same(self):
        for (headers, body), _, _ in VECTORS.values():
            self.assertEqual(self.server.post("/shop/orders", headers, body).status, 202)
        firsts = [sink.wait(len(VECTORS)) for sink in (self.binary, self.json)]
        for sink, requests in zip((self.binary, self.json), firsts):
            for first in requests:
                headers = {name: value for name, value in first.headers.items()
                           if name.startswith("ce-") or name == "content-type"}
                self.assertEqual(self.server.post("/shop/orders", headers, first.body).status, 202, headers)
        again = self.binary.wait(3 * len(VECTORS))[len(VECTORS):]
        for number, first in enumerate(firsts[0]):
            for second in (again[number], again[number + len(VECTORS)]):
                self.assertEqual(second.attributes(), first.attributes())
                self.assertEqual(second.body, first.body)


class OnDisk(Vectors):
    kind = "EmbeddedChannel"


if __name__ == "__main__":
    unittest.main(verbosity=2)
