/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch/sink.h"

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

int weir_sink_open(struct weir_sink *sink, const char *name, struct weir_http_client *client, weir_runtime *runtime,
		   uint32_t max_parallel, struct weir_error *err)
{
	const struct weir_buf prefix = WEIR_STR("channel:");
	struct weir_buf text = weir_str(name);

	*sink = (struct weir_sink){ .name = name };
	if (!name)
		return WEIR_OK;
	if (!weir_str_starts(text, prefix))
		return weir_http_target_new(client, name, max_parallel, &sink->target, err);
	text = (struct weir_buf){ name + prefix.len, text.len - prefix.len };
	return open_channel(sink, text, runtime, err);
}

void weir_sink_close(struct weir_sink *sink)
{
	if (sink->target)
		weir_http_target_free(sink->target);
	if (sink->channel)
		weir_channel_close(sink->channel);
	*sink = (struct weir_sink){ 0 };
}
