/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/sink.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static int open_channel(struct weir_sink *sink, struct weir_buf names, weir_runtime *runtime, struct weir_error *err)
{
	struct weir_buf ns;
	char *ns_text, *name_text;
	int code = WEIR_ENOMEM;

	if (!weir_str_split(&names, '/', &ns) || !names.ptr)
		return weir_fail(err, WEIR_EINVAL, "\"%s\": expected channel:NAMESPACE/NAME", sink->name);
	ns_text = weir_mem_strndup(ns.ptr, ns.len);
	name_text = weir_mem_strndup(names.ptr, names.len);
	if (ns_text && name_text)
		code = weir_channel_open(runtime, ns_text, name_text, NULL, &sink->channel, err);
	else
		weir_fail(err, code, "out of memory");
	weir_mem_free(ns_text);
	weir_mem_free(name_text);
	return code;
}

static int open_sink(struct weir_sink *sink, struct weir_http_client *client, weir_runtime *runtime,
		     uint32_t max_parallel, struct weir_error *err)
{
	const struct weir_buf prefix = WEIR_STR("channel:");
	struct weir_buf text = weir_str(sink->name);

	if (!weir_str_starts(text, prefix))
		return weir_http_target_new(client, sink->name, max_parallel, &sink->target, err);
	text = (struct weir_buf){ sink->name + prefix.len, text.len - prefix.len };
	return open_channel(sink, text, runtime, err);
}

static char *shown_text(const char *name)
{
	static const char hidden[] = "?(not shown)";
	size_t len = strcspn(name, "?");
	char *text = weir_mem_alloc(len + sizeof hidden);

	if (!text)
		return NULL;
	memcpy(text, name, len);
	memcpy(text + len, name[len] ? hidden : "", name[len] ? sizeof hidden : 1);
	return text;
}

int weir_sink_open(struct weir_sink **ret, const char *name, struct weir_http_client *client, weir_runtime *runtime,
		   uint32_t max_parallel, struct weir_error *err)
{
	struct weir_sink *sink;
	int code;

	*ret = NULL;
	if (!name)
		return WEIR_OK;
	sink = weir_mem_zalloc(1, sizeof *sink);
	if (!sink)
		return weir_fail(err, WEIR_ENOMEM, "out of memory");
	sink->refs = 1;
	sink->name = weir_mem_strdup(name);
	sink->shown = shown_text(name);
	code = sink->name && sink->shown ? open_sink(sink, client, runtime, max_parallel, err)
					 : weir_fail(err, WEIR_ENOMEM, "out of memory");
	if (code)
		weir_sink_unref(sink);
	else
		*ret = sink;
	return code;
}

struct weir_sink *weir_sink_ref(struct weir_sink *sink)
{
	sink->refs++;
	return sink;
}

void weir_sink_cancel(struct weir_sink *sink)
{
	struct weir_http_target *target = sink ? sink->target : NULL;

	if (!target)
		return;
	/* Those who are told may let go of the sink meanwhile. */
	weir_sink_ref(sink);
	sink->target = NULL;
	weir_http_target_free(target);
	weir_sink_unref(sink);
}

void weir_sink_unref(struct weir_sink *sink)
{
	if (!sink || --sink->refs)
		return;
	if (sink->target)
		weir_http_target_free(sink->target);
	if (sink->channel)
		weir_channel_close(sink->channel);
	weir_mem_free(sink->name);
	weir_mem_free(sink->shown);
	weir_mem_free(sink);
}
