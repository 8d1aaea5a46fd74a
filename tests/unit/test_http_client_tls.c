/* SPDX-License-Identifier: Apache-2.0 */
/* Posts to https:// URLs: to `openssl s_server`, which sends an answer that was written to it before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "http/client.h"
#include "unit/scripted_server.h"

static char folder[] = "/tmp/weir-tls-XXXXXX";
static char certificate[64], key[64];

struct outcome {
	struct weir_loop *loop;
	int code, status;
	char text[128];
	char body[64];
};

static void on_done(void *ctx, const struct weir_http_result *result)
{
	struct outcome *outcome = ctx;

	outcome->code = result->code;
	outcome->status = result->status;
	snprintf(outcome->text, sizeof outcome->text, "%s", result->text ? result->text : "");
	snprintf(outcome->body, sizeof outcome->body, "%.*s", (int)result->body.len, (const char *)result->body.ptr);
	weir_loop_stop(outcome->loop);
}

static struct outcome post(const char *url, const char *ca_file)
{
	struct weir_http_client_options options = { .rules = { .allow_loopback = true }, .ca_file = ca_file };
	struct outcome outcome = { 0 };
	struct weir_http_post how = {
		.body = { "x", 1 }, .timeout_ms = 10000, .max_response_bytes = 60, .done = on_done, .ctx = &outcome
	};
	struct weir_http_client *client;
	struct weir_http_target *target;

	assert_int_equal(weir_loop_new(&outcome.loop, NULL), WEIR_OK);
	assert_int_equal(weir_http_client_new(outcome.loop, &options, &client, NULL), WEIR_OK);
	assert_int_equal(weir_http_target_new(client, url, 1, &target, NULL), WEIR_OK);
	assert_int_equal(weir_http_target_post(target, &how), WEIR_OK);
	assert_int_equal(weir_loop_run(outcome.loop, NULL), WEIR_OK);
	weir_http_client_free(client);
	weir_loop_free(outcome.loop);
	return outcome;
}

/* ---- openssl -------------------------------------------------------------------------- */

static pid_t run(const char *const argv[], int input)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (input >= 0)
		dup2(input, 0);
	int null = open("/dev/null", O_WRONLY);
	dup2(null, 1);
	dup2(null, 2);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static int make_certificate(void **state)
{
	const char *argv[] = { "openssl",
			       "req",
			       "-x509",
			       "-newkey",
			       "ec",
			       "-pkeyopt",
			       "ec_paramgen_curve:P-256",
			       "-nodes",
			       "-keyout",
			       key,
			       "-out",
			       certificate,
			       "-days",
			       "2",
			       "-subj",
			       "/CN=localhost",
			       "-addext",
			       "subjectAltName=DNS:localhost",
			       NULL };
	int status = -1;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(certificate, sizeof certificate, "%s/cert.pem", folder);
	snprintf(key, sizeof key, "%s/key.pem", folder);
	waitpid(run(argv, -1), &status, 0);
	if (status != 0)
		certificate[0] = '\0'; /* no openssl here */
	return 0;
}

static int remove_certificate(void **state)
{
	(void)state;
	unlink(certificate);
	unlink(key);
	rmdir(folder);
	return 0;
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

struct tls_server {
	pid_t child;
	int input;
	uint16_t port;
};

/* Until something listens there, but without a connection to it: the server has one answer only. */
static void wait_listening(uint16_t port)
{
	char wanted[32], line[256];
	bool found = false;

	snprintf(wanted, sizeof wanted, ":%04X 00000000:0000 0A", port);
	for (int i = 0; i < 1000 && !found; i++) {
		FILE *table = fopen("/proc/net/tcp", "r");
		while (table && !found && fgets(line, sizeof line, table))
			found = strstr(line, wanted) != NULL;
		if (table)
			fclose(table);
		poll(NULL, 0, found ? 0 : 10);
	}
	assert_true(found);
}

static struct tls_server tls_start(void)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct tls_server server = { .port = free_port() };
	char address[32];
	const char *argv[] = { "openssl",   "s_server", "-accept", address,  "-cert",
			       certificate, "-key",     key,       "-quiet", NULL };
	int ends[2];

	snprintf(address, sizeof address, "127.0.0.1:%u", server.port);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	server.child = run(argv, ends[0]);
	close(ends[0]);
	server.input = ends[1];
	assert_int_equal(write(server.input, answer, sizeof answer - 1), sizeof answer - 1);
	wait_listening(server.port);
	return server;
}

static void tls_stop(struct tls_server *server)
{
	kill(server->child, SIGKILL);
	waitpid(server->child, NULL, 0);
	close(server->input);
}

static struct outcome post_to_tls(const char *host, const char *ca_file)
{
	struct tls_server server;
	struct outcome outcome;
	char url[64];

	if (!certificate[0])
		skip();
	server = tls_start();
	snprintf(url, sizeof url, "https://%s:%u/path", host, server.port);
	outcome = post(url, ca_file);
	tls_stop(&server);
	return outcome;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void a_server_with_a_certificate_of_a_trusted_issuer_is_posted_to(void **state)
{
	struct outcome outcome = post_to_tls("localhost", certificate);

	(void)state;
	if (outcome.code != WEIR_OK)
		fail_msg("%s: %s", weir_code_name(outcome.code), outcome.text);
	assert_int_equal(outcome.status, 200);
	assert_string_equal(outcome.body, "ok");
}

static void a_certificate_of_an_unknown_issuer_is_refused(void **state)
{
	struct outcome outcome = post_to_tls("localhost", NULL);

	(void)state;
	assert_int_equal(outcome.code, WEIR_ETLS);
	assert_int_equal(outcome.status, 0);
}

static void a_certificate_of_another_host_is_refused(void **state)
{
	struct outcome outcome = post_to_tls("127.0.0.1", certificate);

	(void)state;
	assert_int_equal(outcome.code, WEIR_ETLS);
}

static void a_file_of_issuers_that_is_missing_is_named_as_the_reason(void **state)
{
	struct outcome outcome = post_to_tls("localhost", "/nonexistent/ca.pem");

	(void)state;
	assert_int_equal(outcome.code, WEIR_ETLS);
	assert_non_null(strstr(outcome.text, "trusted certificates"));
}

static void a_server_without_tls_is_no_https_server(void **state)
{
	struct scripted_reply reply = { .bytes = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
					.end = SCRIPTED_CLOSE };
	struct scripted_server *server = scripted_server_start(&reply, 1);
	struct weir_http_client_options options = { .rules = { .allow_loopback = true } };
	struct outcome outcome = { 0 };
	struct weir_http_post how = { .timeout_ms = 300, .done = on_done, .ctx = &outcome };
	struct weir_http_client *client;
	struct weir_http_target *target;
	char url[64];

	(void)state;
	snprintf(url, sizeof url, "https://127.0.0.1:%u/", scripted_server_port(server));
	assert_int_equal(weir_loop_new(&outcome.loop, NULL), WEIR_OK);
	assert_int_equal(weir_http_client_new(outcome.loop, &options, &client, NULL), WEIR_OK);
	assert_int_equal(weir_http_target_new(client, url, 1, &target, NULL), WEIR_OK);
	assert_int_equal(weir_http_target_post(target, &how), WEIR_OK);
	assert_int_equal(weir_loop_run(outcome.loop, NULL), WEIR_OK);
	/* It waits for the end of what it takes for a request, and so do we: nothing is sent in the clear. */
	assert_int_equal(outcome.code, WEIR_ETIMEDOUT);
	assert_int_equal(scripted_server_requests(server), 0);
	weir_http_client_free(client);
	weir_loop_free(outcome.loop);
	scripted_server_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_with_a_certificate_of_a_trusted_issuer_is_posted_to),
		cmocka_unit_test(a_certificate_of_an_unknown_issuer_is_refused),
		cmocka_unit_test(a_certificate_of_another_host_is_refused),
		cmocka_unit_test(a_file_of_issuers_that_is_missing_is_named_as_the_reason),
		cmocka_unit_test(a_server_without_tls_is_no_https_server),
	};

	return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
