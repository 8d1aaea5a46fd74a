/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cmd_publish: makes events from arguments, a file or lines, and publishes them. */
#include "cli/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weir/event.h>

#include "base/clock.h"
#include "base/dynbuf.h"
#include "base/str.h"
#include "base/uuid.h"
#include "cli/ident.h"
#include "cli/load.h"
#include "cli/outlet.h"
#include "event/json_scan.h"

enum {
	MAX_DATA = 64 * 1024 * 1024, /* of one event; backends take less and say so */
	READ_SIZE = 64 * 1024,
	DEFAULT_TIMEOUT_MS = 10000,
	JSON_DEPTH = 64,
};

struct publish_options {
	struct weir_cli_config config;
	const char *type, *source, *id, *subject, *content_type;
	struct weir_cli_list extensions;
	const char *data, *data_file;
	bool lines;
	const char *url;
	int64_t timeout_ms;
};

struct publishing {
	const struct publish_options *options;
	struct weir_outlet *outlet;
	char source[512];
	weir_event *events[WEIR_OUTLET_BATCH];
	size_t count; /* of those, filled and not published */
};

/* ---- events -------------------------------------------------------------- */

static const char *guess_type(struct weir_buf data)
{
	if (weir_json_is_valid(data, JSON_DEPTH))
		return "application/json";
	return weir_str_is_utf8(data) ? "text/plain" : "application/octet-stream";
}

static int set_extensions(weir_event *event, const struct weir_cli_list *list, struct weir_error *err)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		char name[65];
		size_t len = equals ? (size_t)(equals - list->items[i]) : 0;
		int code;

		if (!len || len >= sizeof name)
			return weir_fail(err, WEIR_EINVAL, "--ext wants NAME=VALUE, a name of 1 to %zu characters",
					 sizeof name - 1);
		memcpy(name, list->items[i], len);
		name[len] = '\0';
		code = weir_event_set_text(event, name, equals + 1, err);
		if (code)
			return code;
	}
	return WEIR_OK;
}

static int set_identity(struct publishing *publishing, weir_event *event, struct weir_error *err)
{
	const struct publish_options *options = publishing->options;
	char uuid[WEIR_UUID_SIZE], now[WEIR_CLOCK_TEXT_SIZE];
	int code;

	if (!options->id && !weir_uuid(uuid))
		return weir_fail(err, WEIR_EIO, "the system gives no random numbers for an id; give one with --id");
	weir_clock_format(weir_clock_wall_ms(), now);
	code = weir_event_set_text(event, "id", options->id ? options->id : uuid, err);
	if (!code)
		code =
		    weir_event_set_text(event, "source", options->source ? options->source : publishing->source, err);
	if (!code)
		code = weir_event_set_text(event, "type", options->type ? options->type : "dev.weir.event", err);
	if (!code)
		code = weir_event_set_text(event, "time", now, err);
	if (!code && options->subject)
		code = weir_event_set_text(event, "subject", options->subject, err);
	if (!code)
		code = set_extensions(event, &options->extensions, err);
	return code;
}

/* `data` ptr NULL: the event has none. */
static int make_event(struct publishing *publishing, struct weir_buf data, weir_event *event, struct weir_error *err)
{
	const char *content_type = publishing->options->content_type;
	int code;

	weir_event_clear(event);
	code = set_identity(publishing, event, err);
	if (!code && data.ptr)
		code =
		    weir_event_set_text(event, "datacontenttype", content_type ? content_type : guess_type(data), err);
	if (!code && data.ptr)
		code = weir_event_set_data(event, data, err);
	return code ? code : weir_event_validate(event, err);
}

/* ---- publishing ---------------------------------------------------------- */

static void print_id(const weir_event *event)
{
	struct weir_buf id = weir_event_attribute(event, WEIR_ATTR_ID);

	fwrite(id.ptr, 1, id.len, stdout);
	putchar('\n');
}

static int publish(struct publishing *publishing)
{
	bool persisted[WEIR_OUTLET_BATCH];
	int code;

	if (!publishing->count)
		return WEIR_EXIT_OK;
	code = weir_outlet_publish(publishing->outlet, publishing->events, publishing->count, persisted);
	for (size_t i = 0; i < publishing->count; i++) {
		if (persisted[i])
			print_id(publishing->events[i]);
	}
	publishing->count = 0;
	fflush(stdout);
	return code;
}

static int add(struct publishing *publishing, struct weir_buf data)
{
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event **slot;
	int code = publishing->count == WEIR_OUTLET_BATCH ? publish(publishing) : WEIR_EXIT_OK;

	if (code)
		return code;
	slot = &publishing->events[publishing->count];
	if (!*slot && weir_event_new(slot))
		return weir_cli_no_memory();
	if (make_event(publishing, data, *slot, &err)) {
		weir_cli_say("%s", err.text);
		return WEIR_EXIT_USAGE;
	}
	publishing->count++;
	return WEIR_EXIT_OK;
}

/* ---- input --------------------------------------------------------------- */

/* Reads what there is, waiting if there is nothing: bytes read, 0 at the end, -1 after it said why. */
static ssize_t read_some(int fd, const char *name, struct weir_dynbuf *buf)
{
	char *room = weir_dynbuf_reserve(buf, READ_SIZE);
	ssize_t len;

	if (!room) {
		weir_cli_say("%s: more than %d bytes for one event, or out of memory", name, MAX_DATA);
		return -1;
	}
	do
		len = read(fd, room, READ_SIZE);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		weir_cli_say("%s: %s", name, strerror(errno));
	else
		buf->len += (size_t)len;
	return len;
}

/* Publishes all whole lines in `buf`, and what is behind the last one if `end`. */
static int publish_lines(struct publishing *publishing, struct weir_dynbuf *buf, bool end)
{
	size_t from = 0;
	int code = WEIR_EXIT_OK;

	while (from < buf->len && !code) {
		const char *start = buf->ptr + from;
		const char *newline = memchr(start, '\n', buf->len - from);
		size_t len = newline ? (size_t)(newline - start) : buf->len - from;

		if (!newline && !end)
			break;
		from += len + (newline ? 1 : 0);
		code = add(publishing, (struct weir_buf){ start, len });
	}
	if (!code)
		code = publish(publishing);
	weir_dynbuf_consume(buf, from);
	return code;
}

/* What can be read at once is published together: a file goes fast, and a pipe that trickles does not wait. */
static int from_lines(struct publishing *publishing)
{
	struct weir_dynbuf buf;
	ssize_t len;
	int code = WEIR_EXIT_OK;

	weir_dynbuf_init(&buf, MAX_DATA);
	do {
		len = read_some(STDIN_FILENO, "standard input", &buf);
		code = len < 0 ? WEIR_EXIT_FAILED : publish_lines(publishing, &buf, len == 0);
	} while (len > 0 && !code);
	weir_dynbuf_fini(&buf);
	return code;
}

static int read_file(const char *path, struct weir_dynbuf *buf)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0) {
		weir_cli_say("%s: %s", path, strerror(errno));
		return WEIR_EXIT_FAILED;
	}
	do
		len = read_some(fd, path, buf);
	while (len > 0);
	if (!standard)
		close(fd);
	return len < 0 ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
}

static int from_file(struct publishing *publishing)
{
	struct weir_dynbuf buf;
	int code;

	weir_dynbuf_init(&buf, MAX_DATA);
	code = read_file(publishing->options->data_file, &buf);
	if (!code)
		code = add(publishing, weir_dynbuf_view(&buf));
	if (!code)
		code = publish(publishing);
	weir_dynbuf_fini(&buf);
	return code;
}

static int from_argument(struct publishing *publishing)
{
	int code = add(publishing, weir_str(publishing->options->data));

	return code ? code : publish(publishing);
}

/* ---- the command --------------------------------------------------------- */

static int check(const struct publish_options *options)
{
	const struct weir_cmd *cmd = &weir_cmd_publish;

	if ((options->data != NULL) + (options->data_file != NULL) + options->lines > 1)
		return weir_cli_usage(cmd, "--data, --data-file and --lines exclude each other");
	if (options->lines && options->id)
		return weir_cli_usage(cmd, "--id would give every line's event the same id");
	if (options->url && strncmp(options->url, "http://", 7) != 0 && strncmp(options->url, "https://", 8) != 0)
		return weir_cli_usage(cmd, "--url wants an address that begins with http:// or https://");
	return WEIR_EXIT_OK;
}

static int publish_all(struct publishing *publishing)
{
	if (publishing->options->lines)
		return from_lines(publishing);
	if (publishing->options->data_file)
		return from_file(publishing);
	return from_argument(publishing);
}

static int run(void *opaque, char *const *args, size_t arg_count)
{
	struct publish_options *options = opaque;
	struct publishing publishing = { .options = options };
	struct weir_cli_channel channel;
	int code = check(options);

	(void)arg_count;
	if (!code)
		code = weir_cli_channel(&weir_cmd_publish, args[0], &channel);
	if (code)
		return code;
	if (!options->timeout_ms)
		options->timeout_ms = DEFAULT_TIMEOUT_MS;
	weir_cli_source(publishing.source, sizeof publishing.source);
	code = weir_outlet_open(&options->config, options->url, &channel, options->timeout_ms, &publishing.outlet);
	if (code)
		return code;
	code = publish_all(&publishing);
	weir_outlet_close(publishing.outlet);
	for (size_t i = 0; i < WEIR_OUTLET_BATCH; i++)
		weir_event_free(publishing.events[i]);
	return code;
}

#define FIELD(field) offsetof(struct publish_options, field)

static const struct weir_cli_option options[] = {
	{ "type", 't', WEIR_CLI_TEXT, "TYPE", "the event's type (dev.weir.event)", FIELD(type) },
	{ "source", 's', WEIR_CLI_TEXT, "URI", "where it comes from (weir://cli/HOSTNAME)", FIELD(source) },
	{ "id", 'i', WEIR_CLI_TEXT, "ID", "its id (a random UUID)", FIELD(id) },
	{ "subject", 0, WEIR_CLI_TEXT, "SUBJECT", "what it is about", FIELD(subject) },
	{ "ext", 'e', WEIR_CLI_LIST, "NAME=VALUE", "an extension attribute; may be repeated", FIELD(extensions) },
	{ "data", 'd', WEIR_CLI_TEXT, "DATA", "its data", FIELD(data) },
	{ "data-file", 0, WEIR_CLI_TEXT, "FILE", "its data is the content of FILE; - is standard input",
	  FIELD(data_file) },
	{ "lines", 0, WEIR_CLI_FLAG, NULL, "publish each line of standard input as one event's data", FIELD(lines) },
	{ "content-type", 0, WEIR_CLI_TEXT, "TYPE",
	  "media type of the data (application/json if it is JSON, else text/plain or application/octet-stream)",
	  FIELD(content_type) },
	{ "url", 0, WEIR_CLI_TEXT, "BASE", "post to the Weir at BASE instead of opening the backend", FIELD(url) },
	{ "timeout", 0, WEIR_CLI_DURATION, "DURATION", "give up after this long (10s)", FIELD(timeout_ms) },
	WEIR_CLI_CONFIG_OPTIONS(struct publish_options, config),
};

const struct weir_cmd weir_cmd_publish = {
	.name = "publish",
	.args = "NAMESPACE/NAME",
	.summary = "Publish an event and print its id once it is persisted",
	.details = "While another process, such as `weir serve`, has the channel's backend open, the event is\n"
		   "posted to the first address of dispatcher.listen instead.",
	.options = options,
	.option_count = sizeof options / sizeof options[0],
	.options_size = sizeof(struct publish_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
