# SPDX-License-Identifier: Apache-2.0
"""Requests as bytes, and the status that each of them must get: HTTP framing, then events in binary and structured mode.

A row is (number, name, bytes, status). Status CLOSED: the connection ends without a status, or with 400.
The request target of all is the channel shop/orders, which exists, so that nothing but the mistake is refused.
"""

CLOSED = 0
END = b"\r\n"
LINE = b"POST /shop/orders HTTP/1.1\r\n"
HOST = b"Host: h\r\n"
EVENT = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-type: t\r\nce-source: /s\r\n"
HEAD = LINE + HOST + EVENT
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def with_headers(*lines, body=b""):
    return HEAD + b"".join(line + END for line in lines) + END + body


def with_line(line):
    return line + END + HOST + EVENT + END


def with_coding(value):
    return with_headers(b"Transfer-Encoding: " + value, body=LAST)


def with_length(value):
    return with_headers(b"Content-Length: " + value, body=b"x")


def chunks(text):
    return CHUNKED + text


FRAMING = [
    (1, "length and chunked", with_headers(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST), 400),
    (2, "two lengths", with_headers(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"), 400),
    (3, "two equal lengths", with_headers(b"Content-Length: 1", b"Content-Length: 1", body=b"x"), 400),
    (3, "list of lengths", with_length(b"1, 1"), 400),
    *[(4, f"length {value!r}", with_length(value), 400)
      for value in (b"+1", b"-1", b"0x1", b"1_0", b"1Z", b"", b"18446744073709551616")],
    (5, "length with a zero in front", with_length(b"01"), 202),
    (6, "space before the colon", with_headers(b"Content-Length : 1", body=b"x"), 400),
    (7, "chunked twice", with_coding(b"chunked, chunked"), 400),
    (7, "two codings", with_headers(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=LAST), 400),
    *[(8, f"coding {value!r}", with_coding(value), 400)
      for value in (b",chunked", b"identity", b"xchunked", b"gzip, chunked", b"chunked;q=1")],
    *[(9, f"coding {value!r}", with_coding(value), 400) for value in (b"\x0bchunked", b"\xa0chunked")],
    (10, "coding in 1.0", CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + LAST, 400),
    (11, "folded header", with_headers(b"X-A: 1", b" 2"), 400),
    (11, "folded coding", with_headers(b"Transfer-Encoding:", b" chunked", body=LAST), 400),
    (12, "line feed after the request line", HEAD.replace(b"1.1\r\n", b"1.1\n") + END, 400),
    (12, "line feed after a header", HEAD.replace(b"h\r\n", b"h\n") + END, 400),
    (12, "line feed at the end", HEAD + b"\n", 400),
    (13, "carriage return in a value", with_headers(b"X-A: a\rb"), 400),
    (13, "headers end with CR X", HEAD + b"\rX", 400),
    (14, "NUL in a value", with_headers(b"X-A: a\0b"), 400),
    (14, "NUL in a name", with_headers(b"X-\0A: b"), 400),
    (15, "no colon", with_headers(b"X-A"), 400),
    (16, "empty name", with_headers(b": v"), 400),
    (16, "space first", LINE + b" X-A: b\r\n" + HOST + EVENT + END, 400),
    (17, "name in UTF-8", with_headers(b"X-\xc3\xa9: b"), 400),
    (17, "control in a name", with_headers(b"X-\x01: b"), 400),
    (18, "chunk extension", chunks(b"1;a=b\r\nx\r\n" + LAST), 202),
    (18, "quoted chunk extension", chunks(b'1;a="b;c"\r\nx\r\n' + LAST), 202),
    (19, "chunk extension ends with LF", chunks(b"1;a=b\nx\r\n" + LAST), 400),
    (19, "CR in a chunk extension", chunks(b"1;a\r=b\r\nx\r\n" + LAST), 400),
    (19, "NUL in a chunk extension", chunks(b"1;a\0=b\r\nx\r\n" + LAST), 400),
    (19, "bare semicolon", chunks(b"1;\r\nx\r\n" + LAST), 400),
    (20, "chunk extension of 64 KiB", chunks(b"1;" + b"a" * 65536 + b"\r\nx\r\n" + LAST), 400),
    *[(21, f"chunk size {size!r}", chunks(size + b"\r\nx\r\n" + LAST), 400)
      for size in (b"0x1", b"-1", b"+1", b"1_0", b"", b"00000000000000001", b" 1")],
    (22, "chunk longer than it says", chunks(b"1\r\nxy\r\n" + LAST), 400),
    (22, "chunk ends with LF", chunks(b"1\r\nx\n" + LAST), 400),
    (23, "trailers", chunks(b"1\r\nx\r\n0\r\nContent-Length: 9\r\nHost: evil\r\nce-id: 7\r\n\r\n"), 202),
    (24, "chunks without an end", chunks(b"5\r\nhello\r\n"), CLOSED),
    (24, "body shorter than it says", with_headers(b"Content-Length: 9", body=b"hello"), CLOSED),
    (25, "no host", LINE + EVENT + END, 400),
    (25, "two hosts", HEAD + HOST + END, 400),
    (25, "bad host", LINE + b"Host: a/b c\r\n" + EVENT + END, 400),
    (26, "absolute target elsewhere", with_line(b"POST http://other/shop/orders HTTP/1.1"), 400),
    (26, "absolute target", with_line(b"POST http://h/shop/orders HTTP/1.1"), 202),
    (27, "HTTP/1.2", with_line(b"POST /shop/orders HTTP/1.2"), 202),
    (27, "HTTP/2.0", with_line(b"POST /shop/orders HTTP/2.0"), 505),
    (27, "HTTP/0.9", with_line(b"POST /shop/orders HTTP/0.9"), 400),
    (27, "no version", b"GET /shop/orders\r\n", 400),
    (27, "ICE/1.0", with_line(b"POST /shop/orders ICE/1.0"), 400),
    (28, "lower-case method", with_line(b"post /shop/orders HTTP/1.1"), 405),
    (28, "GET", with_line(b"GET /shop/orders HTTP/1.1"), 405),
    (28, "PUT", with_line(b"PUT /shop/orders HTTP/1.1"), 405),
    (28, "DELETE", with_line(b"DELETE /shop/orders HTTP/1.1"), 405),
    (28, "CONNECT", with_line(b"CONNECT h:80 HTTP/1.1"), 405),
    (29, "OPTIONS", with_line(b"OPTIONS /shop/orders HTTP/1.1"), 200),
    (30, "target over 8 KiB", with_line(b"POST /" + b"a" * 8192 + b" HTTP/1.1"), 414),
    (30, "bad escape", with_line(b"POST /shop/%zz HTTP/1.1"), 400),
    (30, "escaped dots", with_line(b"POST /shop/%2e%2e/shop/orders HTTP/1.1"), 404),
    (30, "dots", with_line(b"POST /shop/../shop/orders HTTP/1.1"), 404),
    (30, "two slashes", with_line(b"POST //shop/orders HTTP/1.1"), 404),
    (30, "NUL in the target", with_line(b"POST /shop/orders\0 HTTP/1.1"), 400),
    (31, "header of 16 KiB", with_headers(b"X: " + b"a" * 16384), 431),
    (31, "1,000 headers", with_headers(*[b"X: 1"] * 1000), 431),
    (31, "20,000 headers", with_headers(*[b"X: 1"] * 20000), 431),
    (31, "header of 2 MiB", with_headers(b"X: " + b"a" * (2 << 20)), 431),
    (32, "length over the limit", with_headers(b"Content-Length: 1048577"), 413),
    (32, "chunks over the limit", chunks(b"100000\r\n" + b"b" * 1048576 + b"\r\n1\r\nb\r\n" + LAST), 413),
    (33, "expect 100-continue", with_headers(b"Expect: 100-continue", b"Content-Length: 1", body=b"x"), 202),
    (33, "expect 100-continue, too long", with_headers(b"Expect: 100-continue", b"Content-Length: 1048577"), 413),
    (33, "expect junk", with_headers(b"Expect: junk", b"Content-Length: 1", body=b"x"), 417),
    (34, "no length", with_headers(), 202),
    (36, "empty line first", END + with_headers(), 202),
    (36, "two empty lines first", END + END + with_headers(), 400),
    (37, "TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400),
    (37, "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (37, "upgrade to h2c", with_headers(b"Connection: Upgrade", b"Upgrade: h2c"), 202),
    (38, "gzip", with_headers(b"Content-Encoding: gzip", b"Content-Length: 1", body=b"x"), 415),
]


def event(*more, without=(), length=0, body=b""):
    """A request in binary mode, without some attributes and with more headers."""
    lines = [line for line in EVENT.split(END) if line and line.split(b":")[0] not in without]
    head = b"".join(line + END for line in [*lines, *more])
    return LINE + HOST + head + b"Content-Length: %d" % (length or len(body)) + END + END + body


def instead(name, value):
    return event(name + b": " + value, without=(name,))


BINARY = [
    (41, "no attributes", event(without=(b"ce-specversion", b"ce-id", b"ce-type", b"ce-source")), 400),
    *[(42, f"no {name.decode()}", event(without=(name,)), 400)
      for name in (b"ce-specversion", b"ce-id", b"ce-type", b"ce-source")],
    *[(42, f"empty {name.decode()}", instead(name, b""), 400)
      for name in (b"ce-specversion", b"ce-id", b"ce-type", b"ce-source")],
    *[(44, f"version {value!r}", instead(b"ce-specversion", value), 400)
      for value in (b"0.3", b"2.0", b"1.1", b"1.0.2", b"1", b"v1.0")],
    (45, "two ids", event(b"ce-id: 2"), 400),
    (45, "two equal ids", event(b"ce-id: 1"), 400),
    (45, "two ids, other case", event(b"CE-ID: 1"), 400),
    (45, "two versions", event(b"ce-specversion: 1.0"), 400),
    *[(46, f"id {value!r}", instead(b"ce-id", value), 400) for value in (
        b"%20", b"%ZZ", b"%", b"a%", b"a%4", b"%C0%A0", b"%ED%A0%80", b"%FF", b"%00", b"%0d%0aX-Evil:1", b"%7f",
        b"%C2%85", b"%EF%BF%BE", b"\xc3\xa9", b"\x80", b"\xff", b'""')],
    (51, "quoted value", event(b'ce-subject: "a b"'), 202),
    (51, "quoted pair", event(b'ce-subject: "a\\"b"'), 202),
    (52, "escape that is not needed", event(b"ce-subject: %41"), 202),
    *[(53, f"time {value!r}", event(b"ce-time: " + value), 400) for value in (
        b"yesterday", b"2020-01-01T00:00:00", b"2020-02-30T00:00:00Z", b"10000-01-01T00:00:00Z", b"")],
    (54, "leap second", event(b"ce-time: 2016-12-31T23:59:60Z"), 202),
    (54, "lower-case t and z", event(b"ce-time: 2016-12-31t23:59:59z"), 202),
    *[(55, f"source {value!r}", instead(b"ce-source", value), 400) for value in (
        b"%25", b":", b"http://a b/", b"http://[::1", b"a\\b", b"a^b")],
    *[(56, f"source {value!r}", instead(b"ce-source", value), 202) for value in (b"/s", b"urn:x", b"1-555")],
    (57, "relative dataschema", event(b"ce-dataschema: a/b"), 400),
    (57, "empty dataschema", event(b"ce-dataschema:"), 400),
    (58, "empty subject", event(b"ce-subject:"), 400),
    *[(59, f"name {name!r}", event(name + b": x"), 400) for name in (b"ce-my_ext", b"ce-my-ext", b"ce-my.ext", b"ce-")],
    (60, "name of 64", event(b"ce-" + b"a" * 64 + b": x"), 202),
    (60, "name of 65", event(b"ce-" + b"a" * 65 + b": x"), 400),
    *[(61, name.decode(), event(name + b": text/plain"), 400)
      for name in (b"ce-data", b"ce-data_base64", b"ce-datacontenttype")],
    (62, "64 extensions", event(*[b"ce-e%d: x" % n for n in range(64)]), 202),
    (62, "65 extensions", event(*[b"ce-e%d: x" % n for n in range(65)]), 400),
    (62, "10,000 extensions", event(*[b"ce-e%d: x" % n for n in range(10000)]), 431),
    (63, "media type ;;;", event(b"Content-Type: ;;;"), 400),
    (63, "media type without a slash", event(b"Content-Type: foo"), 400),
    (63, "two media types", event(b"Content-Type: a/b", b"Content-Type: a/b"), 400),
    (64, "JSON that is none", event(b"Content-Type: application/json", body=b"{"), 202),
    (65, "no body and no media type", event(), 202),
]


def structured(body, kind=b"application/cloudevents+json", more=()):
    """A request in structured mode."""
    body = body if isinstance(body, bytes) else body.encode()
    head = b"".join(line + END for line in (b"Content-Type: " + kind, b"Content-Length: %d" % len(body), *more))
    return LINE + HOST + head + END + body


REQUIRED = {"specversion": '"1.0"', "id": '"1"', "type": '"t"', "source": '"/s"'}


def members(more="", **changed):
    """An event in JSON; `more` is put behind the required members as it is, None takes one away."""
    found = [f'"{name}":{value}' for name, value in {**REQUIRED, **changed}.items() if value is not None]
    return "{" + ",".join(found + ([more] if more else [])) + "}"


def nested(depth):
    """An event whose data nests as deep as `depth`."""
    return members('"data":' + "[" * depth + "]" * depth)


STRUCTURED = [
    *[(66, f"body {text!r}", structured(text), 400) for text in (
        "", "x", "[]", "null", members()[:-1], members() + "x", members() + members(), "[" + members() + "]", '"a"')],
    *[(67, f"{name}: {value}", structured(members(**{name: value})), 400)
      for name in REQUIRED for value in (None, '""', "null", "1")],
    *[(68, f"version {value}", structured(members(specversion=value)), 400) for value in ('"0.3"', '"2.0"')],
    *[(69, f"twice {text!r}", structured(members(text)), 400) for text in (
        '"id":"2"', '"data":1,"data":2', '"ext":"1","ext":"1"', '"specversion":"1.0"', '"i\\u0064":"2"')],
    (71, "data and data_base64", structured(members('"data":1,"data_base64":"AA=="')), 400),
    *[(72, f"data_base64 {value!r}", structured(members(f'"data_base64":"{value}"')), 400) for value in (
        "!!!!", "AAA", "AA", "-_-_", "AA ==", "A===", "AA==AA==")],
    (73, "data_base64 is a number", structured(members('"data_base64":5')), 400),
    (73, "data_base64 is null", structured(members('"data_base64":null')), 202),
    (73, "data_base64 is an object", structured(members('"data_base64":{}')), 400),
    (74, "data is null", structured(members('"data":null')), 202),
    (74, "no data", structured(members()), 202),
    (75, "64 deep", structured(nested(64)), 202),
    (75, "65 deep", structured(nested(65)), 400),
    (75, "100,000 deep", structured(nested(100000)), 400),
    *[(76, f"extension {value}", structured(members(f'"ext":{value}')), 400)
      for value in ("{}", "[]", "2147483648", "-2147483649", "1.5", "1e400", "1e2")],
    *[(77, f"name {name}", structured(members(f'"{name}":"x"')), 400) for name in ("my_ext", "MyExt", "", "é", "a b")],
    *[(78, f"extension {value}", structured(members(f'"ext":{value}')), 202)
      for value in ("-0", "2147483647", "-2147483648", "true", "false", "null")],
    (80, "integer of 400 digits in data", structured(members('"data":' + "9" * 400)), 202),
    (80, "1e400 in data", structured(members('"data":1e400')), 202),
    *[(81, f"JSON {text!r}", structured(text), 400) for text in (
        members('"ext":"a\0b"'), members('"ext":"a\nb"'), members('"ext":"a\x01b"'), "\ufeff" + members(),
        "/* a */" + members(), members()[:-1] + ",}", members().replace('"', "'"), members('"data":NaN'),
        members('"data":01'), members('"data":+1'), members('"data":.5'), members('"data":1.'), members('"data":[1,]'),
        members('"data":"\\x"'), members('"data":tru'), members('"data":"\\u12"'))],
    *[(82, f"extension {value!r}", structured(members(f'"ext":"{value}"')), 400)
      for value in ("\\u0000", "\\ud800", "\\udc00", "\\ud800\\u0041", "\\uffff", "\\u007f")],
    (82, "invalid UTF-8", structured(members('"ext":"?"').encode().replace(b"?", b"\xff")), 400),
    (82, "overlong UTF-8", structured(members('"ext":"?"').encode().replace(b"?", b"\xc0\xa0")), 400),
    (82, "surrogate in UTF-8", structured(members('"ext":"?"').encode().replace(b"?", b"\xed\xa0\x80")), 400),
    (83, "escaped NUL in data", structured(members('"data":"\\u0000"')), 202),
    *[(84, f"member {text!r}", structured(members(text)), 400) for text in (
        '"time":"yesterday"', '"time":5', '"dataschema":"a/b"', '"datacontenttype":";;"', '"subject":""')],
    (84, "bad source", structured(members(source='"http://a b/"')), 400),
    (85, "text/plain with an object", structured(members('"datacontenttype":"text/plain","data":{}')), 400),
    (86, "charset utf-16", structured(members(), b"application/cloudevents+json; charset=utf-16"), 415),
    (86, "body in UTF-16", structured(members().encode("utf-16")), 400),
    (86, "charset UTF-8", structured(members(), b"application/cloudevents+json; charset=UTF-8"), 202),
    (87, "upper case", structured(members(), b"APPLICATION/CLOUDEVENTS+JSON"), 202),
    *[(88, f"format {kind!r}", structured(members(), kind), 415) for kind in (
        b"application/cloudevents+avro", b"application/cloudevents", b"application/cloudevents+xml",
        b"application/cloudeventsX/json", b"application/cloudevents-batchX", b"application/cloudevents+jsonx",
        b"application/cloudevents-batch+json")],
    (90, "headers beside the body", structured(members(), more=(b"ce-id: other", b"ce-type: other")), 202),
    (91, "extension of 1 MB", structured(members('"ext":"' + "x" * 1000000 + '"')), 400),
    (91, "name of 1 MB", structured(members('"' + "x" * 1000000 + '":"1"')), 400),
    (91, "60,000 names", structured(members(",".join(f'"e{n}":"1"' for n in range(60000)))), 400),
]

ROWS = FRAMING + BINARY + STRUCTURED
