/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/quarantine.h"

#include <json.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/http.h"
#include "config/settings.h"
#include "dispatch/quarantine_folder.h"

enum { URL_SIZE = 2048, PAGE = 100, PAGE_MAX_BYTES = 64 * 1024 * 1024, TIMEOUT_MS = 30000 };

struct weir_cli_quarantine {
	struct weir_cli_http *http;
	char base[512];                         /* of the admin port; "": nobody answers there */
	char folder[WEIR_QUARANTINE_PATH_SIZE]; /* "": not known */
	weir_event *event;
};

/* ---- opening ---------------------------------------------------------------- */

static bool ignore_line(void *ctx, char *line, size_t len)
{
	(void)ctx;
	(void)line;
	(void)len;
	return true;
}

static void set_base(struct weir_cli_quarantine *quarantine, const char *base)
{
	size_t len = strlen(base);

	while (len && base[len - 1] == '/')
		len--;
	snprintf(quarantine->base, sizeof quarantine->base, "%.*s", (int)len, base);
}

/* Whether somebody listens there; if not, the folder must do. */
static int probe(struct weir_cli_quarantine *quarantine)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char url[URL_SIZE];
	int code;

	snprintf(url, sizeof url, "%s/quarantine?limit=1", quarantine->base);
	code = weir_cli_http_lines(quarantine->http, url, TIMEOUT_MS, ignore_line, NULL, &err);
	if (code == WEIR_EUNAVAIL && err.native) /* of the connection, not an answer */
		quarantine->base[0] = '\0';
	else if (code)
		return weir_cli_fail(&err);
	return WEIR_EXIT_OK;
}

static int read_places(struct weir_cli_quarantine *quarantine, const weir_config *config)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (weir_quarantine_path(config, quarantine->folder, &err))
		return weir_cli_fail(&err);
	if (!weir_cli_http_base(weir_config_get(config, "dispatcher.admin"), quarantine->base, sizeof quarantine->base))
		quarantine->base[0] = '\0';
	return quarantine->base[0] ? probe(quarantine) : WEIR_EXIT_OK;
}

static int open_configured(struct weir_cli_quarantine *quarantine, const struct weir_cli_config *from)
{
	weir_config *config;
	weir_runtime *runtime;
	int code = weir_cli_open(from, &config, &runtime);

	if (code)
		return code;
	code = read_places(quarantine, config);
	weir_cli_close(config, runtime);
	return code;
}

int weir_cli_quarantine_open(const struct weir_cli_config *from, const char *admin, struct weir_cli_quarantine **ret)
{
	struct weir_cli_quarantine *quarantine = weir_mem_zalloc(1, sizeof *quarantine);
	struct weir_error err = WEIR_ERROR_INIT;
	int code;

	if (!quarantine || weir_event_new(&quarantine->event)) {
		weir_mem_free(quarantine);
		return weir_cli_no_memory();
	}
	if (weir_cli_http_new(!admin, &quarantine->http, &err))
		code = weir_cli_fail(&err);
	else if (!admin)
		code = open_configured(quarantine, from);
	else
		code = WEIR_EXIT_OK;
	if (!code && admin)
		set_base(quarantine, admin);
	if (code)
		weir_cli_quarantine_close(quarantine);
	else
		*ret = quarantine;
	return code;
}

void weir_cli_quarantine_close(struct weir_cli_quarantine *quarantine)
{
	if (quarantine->http)
		weir_cli_http_free(quarantine->http);
	weir_event_free(quarantine->event);
	weir_mem_free(quarantine);
}

/* ---- listing, through the admin port ------------------------------------------ */

static bool keep_line(void *ctx, char *line, size_t len)
{
	struct weir_dynbuf *page = ctx;

	weir_dynbuf_add(page, line, len);
	return weir_dynbuf_add_char(page, '\n');
}

static void add_only(char *url, const char *name, const char *value)
{
	size_t len = strlen(url);

	if (value)
		snprintf(url + len, URL_SIZE - len, "&%s=%s", name, value);
}

static int get_page(struct weir_cli_quarantine *quarantine, const struct weir_cli_quarantine_only *only,
		    const char *after, struct weir_dynbuf *page)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char url[URL_SIZE];

	snprintf(url, sizeof url, "%s/quarantine?limit=%d", quarantine->base, PAGE);
	add_only(url, "after", *after ? after : NULL);
	add_only(url, "namespace", only->ns);
	add_only(url, "channel", only->channel);
	add_only(url, "subscription", only->subscription);
	if (weir_cli_http_lines(quarantine->http, url, TIMEOUT_MS, keep_line, page, &err))
		return weir_cli_fail(&err);
	return page->failed ? weir_cli_no_memory() : WEIR_EXIT_OK;
}

/* The name in a line {"more":NAME}. */
static bool read_more(const char *line, char after[WEIR_QUARANTINE_NAME_SIZE])
{
	json_object *root = json_tokener_parse(line), *more = NULL;
	bool found = json_object_is_type(root, json_type_object) && json_object_object_get_ex(root, "more", &more) &&
		     json_object_is_type(more, json_type_string);

	if (found)
		snprintf(after, WEIR_QUARANTINE_NAME_SIZE, "%s", json_object_get_string(more));
	json_object_put(root);
	return found;
}

/* Hands the lines of a page on, when it is there whole: they may lead to other requests. False: no more is wanted. */
static bool each_line(struct weir_dynbuf *page, char after[WEIR_QUARANTINE_NAME_SIZE], weir_cli_quarantine_fn *each,
		      void *ctx)
{
	char *line = page->ptr, *end;

	*after = '\0';
	for (; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (strncmp(line, "{\"more\":", 8) == 0 && read_more(line, after))
			break;
		if (!each(ctx, line))
			return false;
	}
	return *after != '\0';
}

static int list_asked(struct weir_cli_quarantine *quarantine, const struct weir_cli_quarantine_only *only,
		      weir_cli_quarantine_fn *each, void *ctx)
{
	char after[WEIR_QUARANTINE_NAME_SIZE] = "";
	struct weir_dynbuf page;
	bool more = true;
	int code = WEIR_EXIT_OK;

	weir_dynbuf_init(&page, PAGE_MAX_BYTES);
	while (more && !code) {
		weir_dynbuf_reset(&page);
		code = get_page(quarantine, only, after, &page);
		more = !code && each_line(&page, after, each, ctx);
	}
	weir_dynbuf_fini(&page);
	return code;
}

/* ---- listing, in the folder ------------------------------------------------------ */

static bool is_only(const char *wanted, struct weir_buf text)
{
	return !wanted || weir_str_equal(weir_str(wanted), text);
}

static int make_line(struct weir_cli_quarantine *quarantine, const struct weir_cli_quarantine_only *only,
		     const char *name, struct weir_dynbuf *line)
{
	struct weir_quarantine_about about;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_dynbuf text;
	struct weir_arena arena;
	int code;

	weir_dynbuf_init(&text, PAGE_MAX_BYTES);
	weir_arena_init(&arena, 0);
	code = weir_quarantine_load(quarantine->folder, name, &text, &err);
	if (!code)
		code = weir_quarantine_read(weir_dynbuf_view(&text), &arena, &about, &err);
	if (!code && is_only(only->ns, about.ns) && is_only(only->channel, about.channel) &&
	    is_only(only->subscription, about.subscription))
		weir_quarantine_line(line, name, &about, quarantine->event);
	if (code && code != WEIR_ENOTFOUND)
		weir_cli_say("%s", err.text);
	weir_arena_fini(&arena);
	weir_dynbuf_fini(&text);
	return code && code != WEIR_ENOTFOUND ? WEIR_EXIT_FAILED : WEIR_EXIT_OK;
}

static int list_folder(struct weir_cli_quarantine *quarantine, const struct weir_cli_quarantine_only *only,
		       weir_cli_quarantine_fn *each, void *ctx)
{
	struct weir_quarantine_names names;
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_dynbuf line;
	bool more = true;
	int code = WEIR_EXIT_OK;

	if (weir_quarantine_list(quarantine->folder, NULL, &names, &err))
		code = weir_cli_fail(&err);
	weir_dynbuf_init(&line, PAGE_MAX_BYTES);
	for (size_t i = 0; i < names.count && more; i++) {
		weir_dynbuf_reset(&line);
		if (make_line(quarantine, only, names.items[i], &line))
			code = WEIR_EXIT_FAILED;
		if (!line.len)
			continue;
		line.ptr[line.len - 1] = '\0';
		more = each(ctx, line.ptr);
	}
	weir_dynbuf_fini(&line);
	weir_quarantine_names_fini(&names);
	return code;
}

int weir_cli_quarantine_list(struct weir_cli_quarantine *quarantine, const struct weir_cli_quarantine_only *only,
			     weir_cli_quarantine_fn *each, void *ctx)
{
	return quarantine->base[0] ? list_asked(quarantine, only, each, ctx) : list_folder(quarantine, only, each, ctx);
}

/* ---- one event --------------------------------------------------------------------- */

static int check_name(const char *name)
{
	if (weir_quarantine_is_name(weir_str(name)))
		return WEIR_EXIT_OK;
	weir_cli_say("there is no event in quarantine with such a name; `weir quarantine ls` tells them");
	return WEIR_EXIT_FAILED;
}

static bool print_line(void *ctx, char *line, size_t len)
{
	(void)ctx;
	fwrite(line, 1, len, stdout);
	putchar('\n');
	return true;
}

static int show_file(struct weir_cli_quarantine *quarantine, const char *name)
{
	struct weir_error err = WEIR_ERROR_INIT;
	struct weir_dynbuf text;
	int code;

	weir_dynbuf_init(&text, (size_t)4 * PAGE_MAX_BYTES);
	code = weir_quarantine_load(quarantine->folder, name, &text, &err);
	if (!code)
		fwrite(text.ptr, 1, text.len, stdout);
	weir_dynbuf_fini(&text);
	return code ? weir_cli_fail(&err) : WEIR_EXIT_OK;
}

int weir_cli_quarantine_show(struct weir_cli_quarantine *quarantine, const char *name)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char url[URL_SIZE];

	if (check_name(name))
		return WEIR_EXIT_FAILED;
	if (!quarantine->base[0])
		return show_file(quarantine, name);
	snprintf(url, sizeof url, "%s/quarantine/%s", quarantine->base, name);
	if (weir_cli_http_lines(quarantine->http, url, TIMEOUT_MS, print_line, NULL, &err))
		return weir_cli_fail(&err);
	return WEIR_EXIT_OK;
}

/* POSTs and expects 200. */
static int ask(struct weir_cli_quarantine *quarantine, const char *name, const char *verb)
{
	struct weir_error err = WEIR_ERROR_INIT;
	char url[URL_SIZE], reason[256] = "no reason given";
	struct weir_dynbuf answer;
	int status, code;

	snprintf(url, sizeof url, "%s/quarantine/%s/%s", quarantine->base, name, verb);
	weir_dynbuf_init(&answer, (size_t)64 * 1024);
	if (weir_cli_http_post(quarantine->http, url, NULL, 0, WEIR_STR(""), TIMEOUT_MS, &status, &answer, &err)) {
		code = weir_cli_fail(&err);
	} else if (status == 200) {
		code = WEIR_EXIT_OK;
	} else {
		weir_cli_http_reason(weir_dynbuf_view(&answer), reason, sizeof reason);
		weir_cli_say("%s: %s", name, reason);
		code = status == 503 ? WEIR_EXIT_UNAVAILABLE : WEIR_EXIT_FAILED;
	}
	weir_dynbuf_fini(&answer);
	return code;
}

int weir_cli_quarantine_replay(struct weir_cli_quarantine *quarantine, const char *name)
{
	if (check_name(name))
		return WEIR_EXIT_FAILED;
	if (quarantine->base[0])
		return ask(quarantine, name, "replay");
	weir_cli_say("nothing can be replayed, as no `weir serve` answers at the first address of dispatcher.admin");
	return WEIR_EXIT_UNAVAILABLE;
}

int weir_cli_quarantine_drop(struct weir_cli_quarantine *quarantine, const char *name)
{
	struct weir_error err = WEIR_ERROR_INIT;

	if (check_name(name))
		return WEIR_EXIT_FAILED;
	if (quarantine->base[0])
		return ask(quarantine, name, "drop");
	return weir_quarantine_remove(quarantine->folder, name, &err) ? weir_cli_fail(&err) : WEIR_EXIT_OK;
}
