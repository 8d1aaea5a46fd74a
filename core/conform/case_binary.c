/* SPDX-License-Identifier: Apache-2.0 */
/* BIN, HDR: what is kept of a record, byte for byte. */
#include "conform/case.h"

#include <string.h>

static struct weir_rig_sub *begin(struct weir_rig *rig, struct weir_rig_topic **topic)
{
	struct weir_rig_sub *sub;

	*topic = weir_rig_topic(rig, "t");
	sub = weir_rig_subscribe(rig, *topic, "s", WEIR_START_LATEST);
	weir_rig_credit(rig, sub, 10000);
	return sub;
}

/* It is compared with what was published when it arrives; what differs is known by no number. */
static void carry(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_rig_sub *sub,
		  const struct weir_record *record, const char *what)
{
	struct weir_rig_delivery delivery;

	weir_rig_publish_record(rig, topic, record);
	delivery = weir_rig_next(rig, sub);
	WEIR_EXPECT(rig, delivery.number == atomic_load(&rig->shared->next_number), "%s did not arrive as it was",
		    what);
	weir_rig_ack(rig, &delivery);
}

/* ---- BIN ----------------------------------------------------------------- */

struct bytes {
	const char *what;
	const char *bytes;
	size_t len;
};

#define BYTES(what, literal)                                                                                           \
	{                                                                                                              \
		what, "" literal, sizeof(literal) - 1                                                                  \
	}

static const struct bytes odd[] = {
	BYTES("a NUL in the middle", "before\0after"),
	BYTES("only NULs", "\0\0\0\0"),
	BYTES("bytes 0xff", "\xff\xff\xff\xff"),
	BYTES("invalid UTF-8", "\xc3\x28\xa0\xa1"),
	BYTES("the magic of gzip", "\x1f\x8b\x08\0\0\0\0\0"),
	BYTES("JSON", "{\"specversion\":\"1.0\",\"id\":\"1\"}"),
	BYTES("line ends", "\r\n\r\n\n\r"),
	BYTES("percent signs", "%00%C0%A0%%n%s"),
	BYTES("a byte-order mark", "\xef\xbb\xbf"),
};

static void bin_01(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	char all[256];

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		struct weir_record record = { .body = { odd[i].bytes, odd[i].len } };

		carry(rig, topic, sub, &record, odd[i].what);
	}
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	carry(rig, topic, sub, &(struct weir_record){ .body = { all, sizeof all } }, "a body of all 256 bytes");
}

static void bin_01_key(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		struct weir_record record = { .key = { odd[i].bytes, odd[i].len }, .body = { "x", 1 } };

		carry(rig, topic, sub, &record, odd[i].what);
	}
}

static void bin_02(struct weir_rig *rig)
{
	static const char zeros[65536];
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	/* What can be squeezed to nothing, in a batch with what cannot. */
	carry(rig, topic, sub, &(struct weir_record){ .body = { zeros, sizeof zeros } }, "a body that compresses well");
	rig->shape.body = 8192;
	weir_rig_publish(rig, topic, 20);
	weir_rig_receive(rig, sub, 20);
	weir_rig_drain(rig, sub);
}

/* ---- HDR ----------------------------------------------------------------- */

static void carry_header(struct weir_rig *rig, struct weir_rig_topic *topic, struct weir_rig_sub *sub,
			 struct weir_buf name, struct weir_buf value, const char *what)
{
	struct weir_header header = { name, value };
	struct weir_record record = { .body = { "x", 1 }, .headers = &header, .header_count = 1 };

	carry(rig, topic, sub, &record, what);
}

#define TEXT(literal) ((struct weir_buf){ "" literal, sizeof(literal) - 1 })

static void hdr_01(struct weir_rig *rig)
{
	static const char *const values[] = {
		"plain",    "with space",   "a/b\\c",           "\"quoted\"",
		"'single'", "semi;colon=x", "comma, separated", "tab\tin it",
		"100%",     "a:b",          "{json:1}",         "h\xc3\xa9llo \xe2\x82\xac"
	};
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		carry_header(rig, topic, sub, TEXT("name"), (struct weir_buf){ values[i], strlen(values[i]) },
			     values[i]);
	carry_header(rig, topic, sub, TEXT("ce_id"), TEXT("1"), "a name with an underscore");
	carry_header(rig, topic, sub, TEXT("ce-id"), TEXT("1"), "a name with a dash");
	carry_header(rig, topic, sub, TEXT("content-type"), TEXT("text/plain; charset=utf-8"), "a content type");
}

static void hdr_01_empty(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	carry_header(rig, topic, sub, TEXT("name"), TEXT(""), "an empty value");
	carry(rig, topic, sub, &(struct weir_record){ .body = { "no header", 9 } }, "a record without headers");
}

static void hdr_02(struct weir_rig *rig)
{
	struct weir_header headers[] = { { TEXT("Zeta"), TEXT("1") },
					 { TEXT("alpha"), TEXT("2") },
					 { TEXT("Mid-Case"), TEXT("3") },
					 { TEXT("UPPER"), TEXT("4") } };
	struct weir_record record = { .body = { "x", 1 }, .headers = headers, .header_count = 4 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	carry(rig, topic, sub, &record, "order and case of header names");
}

static struct weir_header twice[] = { { { "dup", 3 }, { "one", 3 } },
				      { { "other", 5 }, { "x", 1 } },
				      { { "dup", 3 }, { "two", 3 } } };

static void hdr_02_dup(struct weir_rig *rig)
{
	struct weir_record record = { .body = { "x", 1 }, .headers = twice, .header_count = 3 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	carry(rig, topic, sub, &record, "a header name that comes twice");
}

static void hdr_02_dup_unclaimed(struct weir_rig *rig)
{
	struct weir_record record = { .body = { "x", 1 }, .headers = twice, .header_count = 3 };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	uint64_t number;

	weir_rig_code(rig, "a header name that comes twice, without its capability",
		      weir_rig_try_send_record(rig, topic, &record, &number, NULL), WEIR_EINVAL);
	weir_rig_marker(rig, topic, sub);
}

static void hdr_03(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);
	char all[256];

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		carry_header(rig, topic, sub, TEXT("bin"), (struct weir_buf){ odd[i].bytes, odd[i].len }, odd[i].what);
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	carry_header(rig, topic, sub, TEXT("bin"), (struct weir_buf){ all, sizeof all }, "a value of all 256 bytes");
}

/* Refused, or as it was; but never split into other headers, never cut. */
static void hdr_04(struct weir_rig *rig)
{
	static const char *const values[] = { "a\r\nInjected: yes", "a\nb", "a\rb", "%0d%0aInjected: yes" };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct weir_header header = { TEXT("name"), { values[i], strlen(values[i]) } };
		struct weir_record record = { .body = { "x", 1 }, .headers = &header, .header_count = 1 };
		struct weir_rig_delivery delivery;
		uint64_t number;
		int code = weir_rig_try_send_record(rig, topic, &record, &number, NULL);

		WEIR_EXPECT(rig, code == WEIR_OK || code == WEIR_EINVAL, "a line end in a header: %s",
			    weir_code_name(code));
		if (code)
			continue;
		delivery = weir_rig_next(rig, sub);
		WEIR_EXPECT(rig, delivery.number == number, "a line end in a header's value changed the record");
		weir_rig_ack(rig, &delivery);
	}
	weir_rig_marker(rig, topic, sub);
}

/* The driver's own headers are not shown: the judge compares all headers of every record. */
static void hdr_05(struct weir_rig *rig)
{
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	weir_rig_publish(rig, topic, 10);
	weir_rig_drain(rig, sub);
	carry(rig, topic, sub, &(struct weir_record){ .body = { "bare", 4 } }, "a record without a header");
}

static void hdr_06(struct weir_rig *rig)
{
	struct weir_record none = { .key = { "none", 4 } }, empty = { .key = { "empty", 5 }, .body = { "", 0 } };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	if (!weir_rig_claims(rig, WEIR_CAP_KEY))
		none.key = empty.key = (struct weir_buf){ NULL, 0 };
	carry(rig, topic, sub, &none, "a record without a body");
	carry(rig, topic, sub, &empty, "a record with an empty body");
}

static void hdr_06_unclaimed(struct weir_rig *rig)
{
	struct weir_record empty = { .body = { "", 0 } };
	struct weir_rig_topic *topic;
	struct weir_rig_sub *sub = begin(rig, &topic);

	carry(rig, topic, sub, &empty, "a record with an empty body");
}

static const struct weir_conform_case binary[] = {
	{ "BIN-01", WEIR_MUST, 0, 0, 0, bin_01, NULL, "a body may be any bytes", NULL },
	{ "BIN-01k", WEIR_MUST, 0, 0, CAP(KEY), bin_01_key, NULL, "a key may be any bytes", NULL },
	{ "BIN-02", WEIR_MUST, 0, 0, 0, bin_02, NULL, "compression is not seen", NULL },
};

static const struct weir_conform_case cases[] = {
	{ "HDR-01", WEIR_MUST, 0, 0, CAP(HEADERS), hdr_01, NULL, "header values may be any text", NULL },
	{ "HDR-01e", WEIR_MUST, 0, 0, CAP(HEADERS), hdr_01_empty, NULL, "an empty value is kept, and so is none at all",
	  NULL },
	{ "HDR-02", WEIR_MUST, 0, 0, CAP(HEADERS), hdr_02, NULL, "case and order of names are kept", NULL },
	{ "HDR-02d", WEIR_MUST, 0, 0, CAP(HEADERS) | CAP(HEADERS_DUP), hdr_02_dup, hdr_02_dup_unclaimed,
	  "a name may come twice, or is refused; it is never merged", NULL },
	{ "HDR-03", WEIR_MUST, 0, 0, CAP(HEADERS) | CAP(HEADERS_BIN), hdr_03, NULL, "header values may be any bytes",
	  NULL },
	{ "HDR-04", WEIR_MUST, 0, 0, CAP(HEADERS), hdr_04, NULL, "a line end in a value splits nothing", NULL },
	{ "HDR-05", WEIR_MUST, 0, 0, 0, hdr_05, NULL, "headers of the driver's own are not shown", NULL },
	{ "HDR-06", WEIR_MUST, 0, 0, CAP(NULL_BODY), hdr_06, hdr_06_unclaimed,
	  "no body and an empty body stay different", NULL },
};

const struct weir_conform_group weir_conform_binary = { "BIN", "bytes", binary, sizeof binary / sizeof binary[0] };

WEIR_GROUP(headers, "HDR", "headers and attributes");
