/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/tail_query.h"

#include <string.h>

#include "base/str.h"

static bool read_name(struct weir_buf text, char ret[WEIR_ADMIN_NAME_MAX])
{
	if (text.len == 0 || text.len >= WEIR_ADMIN_NAME_MAX || memchr(text.ptr, '\0', text.len))
		return false;
	memcpy(ret, text.ptr, text.len);
	ret[text.len] = '\0';
	return true;
}

static bool read_names(struct weir_buf path, struct weir_admin_tail_query *ret)
{
	struct weir_buf part;

	if (!weir_str_starts(path, WEIR_STR("/tail/")))
		return false;
	path.ptr = (const char *)path.ptr + 6;
	path.len -= 6;
	if (!weir_str_split(&path, '/', &part) || !read_name(part, ret->ns))
		return false;
	if (!weir_str_split(&path, '/', &part) || !read_name(part, ret->name))
		return false;
	return !weir_str_split(&path, '/', &part);
}

static const char *read_parameter(struct weir_buf text, struct weir_admin_tail_query *ret)
{
	struct weir_buf key;

	if (!weir_str_split(&text, '=', &key))
		return "a parameter is empty";
	if (weir_str_equal(key, WEIR_STR("from"))) {
		ret->earliest = weir_str_equal(text, WEIR_STR("earliest"));
		return ret->earliest || weir_str_equal(text, WEIR_STR("latest")) ? NULL
										 : "from must be latest or earliest";
	}
	if (weir_str_equal(key, WEIR_STR("count"))) {
		if (!weir_str_to_uint(text, &ret->count) || ret->count == 0)
			return "count must be a number from 1";
		return NULL;
	}
	return "the parameters are from and count";
}

const char *weir_admin_tail_query_read(struct weir_buf path, struct weir_buf query, struct weir_admin_tail_query *ret)
{
	struct weir_buf part;
	const char *why;

	memset(ret, 0, sizeof *ret);
	if (!read_names(path, ret))
		return "the path must be /tail/NAMESPACE/NAME";
	while (query.ptr && weir_str_split(&query, '&', &part)) {
		if ((why = read_parameter(part, ret)) != NULL)
			return why;
	}
	return NULL;
}
