/* SPDX-License-Identifier: Apache-2.0 */
#include "event/event_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "event/media_type.h"
#include "event/text.h"

enum {
	/* No event comes near it: bodies are limited where they are read. It keeps sums from overflowing. */
	EVENT_BYTES_MAX = 1 << 30,
	/* An encoding larger than this is not kept for the next one. */
	KEEP_TEXT_BYTES = 128 * 1024,
	FIRST_EXTENSIONS = 8,
};

const struct weir_event_limits weir_event_default_limits = {
	.max_extensions = 64,
	.max_name_bytes = 64,
	.max_value_bytes = 8192,
	.max_depth = 64,
	.max_envelope_keys = 1024,
	.max_batch_events = 1000,
};

int weir_event_no_memory(struct weir_error *err)
{
	return weir_fail(err, WEIR_ENOMEM, "no memory for the event");
}

/* ---- life --------------------------------------------------------------- */

int weir_event_new(weir_event **ret)
{
	weir_event *event = weir_mem_zalloc(1, sizeof *event);

	if (!event)
		return WEIR_ENOMEM;
	event->limits = weir_event_default_limits;
	weir_arena_init(&event->arena, EVENT_BYTES_MAX);
	weir_dynbuf_init(&event->text, EVENT_BYTES_MAX);
	weir_event_clear(event);
	*ret = event;
	return WEIR_OK;
}

void weir_event_free(weir_event *event)
{
	if (!event)
		return;
	weir_arena_fini(&event->arena);
	weir_dynbuf_fini(&event->text);
	weir_mem_free(event->extensions);
	weir_mem_free(event->headers);
	weir_mem_free(event);
}

void weir_event_begin(weir_event *event)
{
	memset(event->attributes, 0, sizeof event->attributes);
	event->extension_count = 0;
	event->data = (struct weir_buf){ NULL, 0 };
	event->data_is_json = false;
	event->borrows = false;
	weir_arena_reset(&event->arena);
	if (event->text.capacity > KEEP_TEXT_BYTES)
		weir_dynbuf_fini(&event->text);
}

void weir_event_clear(weir_event *event)
{
	weir_event_begin(event);
	event->attributes[WEIR_ATTR_SPECVERSION] = WEIR_STR("1.0");
}

void weir_event_set_limits(weir_event *event, const struct weir_event_limits *limits)
{
	event->limits = *limits;
}

static bool own(weir_event *event, struct weir_buf *value)
{
	if (value->ptr)
		*value = weir_arena_copy(&event->arena, *value);
	else
		return true;
	return value->ptr != NULL;
}

static bool own_all(weir_event *event)
{
	bool ok = own(event, &event->data);

	for (int i = 0; ok && i < WEIR_ATTR_COUNT; i++)
		ok = own(event, &event->attributes[i]);
	for (uint32_t i = 0; ok && i < event->extension_count; i++)
		ok = own(event, &event->extensions[i].name) && own(event, &event->extensions[i].value);
	return ok;
}

int weir_event_own(weir_event *event)
{
	if (!event->borrows)
		return WEIR_OK;
	if (!own_all(event)) {
		weir_event_clear(event);
		return WEIR_ENOMEM;
	}
	event->borrows = false;
	return WEIR_OK;
}

int weir_event_end(weir_event *event, int code, struct weir_error *err)
{
	if (!code)
		code = weir_event_validate(event, err);
	if (code)
		weir_event_clear(event);
	return code;
}

/* ---- reading ------------------------------------------------------------ */

struct weir_buf weir_event_attribute(const weir_event *event, enum weir_attribute attribute)
{
	if (attribute >= WEIR_ATTR_COUNT)
		return (struct weir_buf){ NULL, 0 };
	return event->attributes[attribute];
}

struct weir_extension *weir_event_find_extension(const weir_event *event, struct weir_buf name)
{
	for (uint32_t i = 0; i < event->extension_count; i++)
		if (weir_str_equal(event->extensions[i].name, name))
			return &event->extensions[i];
	return NULL;
}

struct weir_buf weir_event_get(const weir_event *event, const char *name)
{
	enum weir_attribute attribute = weir_attribute_find(weir_str(name));
	const struct weir_extension *extension;

	if (attribute != WEIR_ATTR_COUNT)
		return event->attributes[attribute];
	extension = weir_event_find_extension(event, weir_str(name));
	return extension ? extension->value : (struct weir_buf){ NULL, 0 };
}

size_t weir_event_extensions(const weir_event *event, const struct weir_extension **ret)
{
	*ret = event->extensions;
	return event->extension_count;
}

struct weir_buf weir_event_data(const weir_event *event)
{
	return event->data;
}

bool weir_event_data_is_json(const weir_event *event)
{
	struct weir_buf type = event->attributes[WEIR_ATTR_DATACONTENTTYPE];

	return type.ptr ? weir_media_type_is_json(type) : event->data_is_json;
}

int weir_event_validate(const weir_event *event, struct weir_error *err)
{
	/* Values are checked when they are set. */
	for (enum weir_attribute i = WEIR_ATTR_SPECVERSION; i <= WEIR_ATTR_TYPE; i++)
		if (!event->attributes[i].ptr)
			return weir_fail(err, WEIR_EINVAL, "%s: missing; every event must have it",
					 weir_attribute_name(i));
	return WEIR_OK;
}

/* ---- changing ----------------------------------------------------------- */

/* Makes *array, of `*capacity` items of `size` bytes, large enough for `needed`. */
static bool grow(void **array, uint32_t *capacity, size_t needed, size_t size)
{
	size_t wanted = *capacity ? *capacity : FIRST_EXTENSIONS;
	void *grown;

	if (needed <= *capacity)
		return true;
	while (wanted < needed)
		wanted *= 2;
	grown = weir_mem_realloc(*array, wanted * size);
	if (!grown)
		return false;
	*array = grown;
	*capacity = (uint32_t)wanted;
	return true;
}

int weir_event_reserve_headers(weir_event *event, size_t more, struct weir_error *err)
{
	void *array = event->headers;
	size_t needed = WEIR_ATTR_COUNT + event->extension_count + more;

	if (!grow(&array, &event->header_capacity, needed, sizeof *event->headers))
		return weir_event_no_memory(err);
	event->headers = array;
	return WEIR_OK;
}

int weir_event_add_extension(weir_event *event, struct weir_buf name, struct weir_buf value, enum weir_value_type type,
			     struct weir_error *err)
{
	void *array = event->extensions;
	size_t needed = (size_t)event->extension_count + 1;

	if (!grow(&array, &event->extension_capacity, needed, sizeof *event->extensions))
		return weir_event_no_memory(err);
	event->extensions = array;
	event->extensions[event->extension_count++] = (struct weir_extension){ name, value, type };
	return WEIR_OK;
}

void weir_event_drop_absent(weir_event *event)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < event->extension_count; i++)
		if (event->extensions[i].value.ptr)
			event->extensions[kept++] = event->extensions[i];
	event->extension_count = kept;
}

static int remove_value(weir_event *event, enum weir_attribute attribute, struct weir_buf name)
{
	struct weir_extension *extension;

	if (attribute != WEIR_ATTR_COUNT) {
		event->attributes[attribute] = (struct weir_buf){ NULL, 0 };
		return WEIR_OK;
	}
	extension = weir_event_find_extension(event, name);
	if (extension) {
		extension->value.ptr = NULL;
		weir_event_drop_absent(event);
	}
	return WEIR_OK;
}

static int set_extension(weir_event *event, struct weir_buf name, struct weir_buf value, struct weir_error *err)
{
	struct weir_extension *extension = weir_event_find_extension(event, name);
	struct weir_buf kept;

	if (extension) {
		extension->value = value;
		extension->type = WEIR_VALUE_STRING;
		return WEIR_OK;
	}
	if (weir_attribute_is_reserved(name) || !weir_text_is_name(name) || name.len > event->limits.max_name_bytes)
		return weir_fail(err, WEIR_EINVAL, "an attribute name must be 1 to %u of a-z and 0-9, and not data",
				 event->limits.max_name_bytes);
	if (event->extension_count >= event->limits.max_extensions)
		return weir_fail(err, WEIR_EINVAL, "more than %u extensions", event->limits.max_extensions);
	kept = weir_arena_copy(&event->arena, name);
	if (!kept.ptr)
		return weir_event_no_memory(err);
	return weir_event_add_extension(event, kept, value, WEIR_VALUE_STRING, err);
}

int weir_event_set(weir_event *event, const char *name, struct weir_buf value, struct weir_error *err)
{
	struct weir_buf key = weir_str(name);
	enum weir_attribute attribute = weir_attribute_find(key);
	struct weir_buf kept;
	int code;

	if (!value.ptr)
		return remove_value(event, attribute, key);
	code = weir_attribute_check(&event->limits, attribute, value, err);
	if (code)
		return code;
	kept = weir_arena_copy(&event->arena, value);
	if (!kept.ptr)
		return weir_event_no_memory(err);
	if (attribute == WEIR_ATTR_COUNT)
		return set_extension(event, key, kept, err);
	event->attributes[attribute] = kept;
	return WEIR_OK;
}

int weir_event_set_text(weir_event *event, const char *name, const char *value, struct weir_error *err)
{
	return weir_event_set(event, name, weir_str(value), err);
}

int weir_event_set_data(weir_event *event, struct weir_buf data, struct weir_error *err)
{
	struct weir_buf kept = { NULL, 0 };

	if (data.ptr) {
		kept = weir_arena_copy(&event->arena, data);
		if (!kept.ptr)
			return weir_event_no_memory(err);
	}
	event->data = kept;
	event->data_is_json = false;
	return WEIR_OK;
}
