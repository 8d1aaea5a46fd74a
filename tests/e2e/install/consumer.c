/* SPDX-License-Identifier: Apache-2.0 */
/* Uses the installed library: an event through its JSON form. */
#include <stdio.h>
#include <string.h>

#include <weir/channel.h>
#include <weir/version.h>

int main(void)
{
	static const char json[] = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}";
	struct weir_buf text = { json, sizeof json - 1 };
	struct weir_error err = WEIR_ERROR_INIT;
	weir_event *event;

	if (weir_event_new(&event) || weir_event_from_json(event, text, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("%s %.*s\n", weir_version(), (int)weir_event_get(event, "id").len,
	       (const char *)weir_event_get(event, "id").ptr);
	weir_event_free(event);
	return strcmp(weir_version(), WEIR_VERSION_TEXT) != 0;
}
