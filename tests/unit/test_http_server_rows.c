/* SPDX-License-Identifier: Apache-2.0 */
/* Every row of the table of bad input through a socket: the answer that a client sees. */
#include "unit/weir_cmocka.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixtures/http_fixture.h"
#include "fixtures/http_rows.h"

enum { MAX_BYTEWISE = 512 };

static struct http_fixture fixture;

static int start(void **state)
{
	(void)state;
	http_fixture_start(&fixture, NULL, http_answer_202, NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	http_fixture_stop(&fixture);
	return 0;
}

/* Sends a row and closes the sending side where the request is not complete, which makes it a bad one. */
static void ask_row(const struct http_row *row, bool bytewise, struct http_answer *answer)
{
	size_t len;
	char *bytes = http_row_bytes(row, &len);
	int fd = http_connect(fixture.port);

	if (bytewise)
		http_send_bytewise(fd, bytes, len);
	else
		http_send(fd, bytes, len);
	if (!row->status)
		shutdown(fd, SHUT_WR);
	http_read(fd, answer, false);
	if (answer->status == 100)
		http_read(fd, answer, false);
	if (answer->status >= 400 && !http_at_end(fd))
		fail_msg("row %d, %s: the connection does not end after the error", row->row, row->name);
	close(fd);
	free(bytes);
}

static void check_row(const struct http_row *row, bool bytewise)
{
	int wanted = row->status ? row->status : 400;
	struct http_answer answer;
	char text[64];

	ask_row(row, bytewise, &answer);
	if (answer.status != wanted)
		fail_msg("row %d, %s: %d instead of %d", row->row, row->name, answer.status, wanted);
	if (wanted == 202)
		return;
	if (!http_answer_header(&answer, "Connection", text, sizeof text) || strcmp(text, "close") != 0)
		fail_msg("row %d, %s: no Connection: close", row->row, row->name);
	if (!http_answer_header(&answer, "Content-Type", text, sizeof text) || strcmp(text, "application/json") != 0)
		fail_msg("row %d, %s: the error is not JSON", row->row, row->name);
	if (strncmp(answer.body, "{\"code\":\"", 9) != 0 || !strstr(answer.body, "\",\"reason\":\""))
		fail_msg("row %d, %s: the error is %s", row->row, row->name, answer.body);
}

static void each_row_is_answered(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_row_count; i++)
		check_row(&http_rows[i], false);
}

static void each_row_byte_by_byte_is_answered_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < http_row_count; i++)
		if (!http_rows[i].fill_count && http_rows[i].head_len < MAX_BYTEWISE)
			check_row(&http_rows[i], true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_answered),
		cmocka_unit_test(each_row_byte_by_byte_is_answered_the_same),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
