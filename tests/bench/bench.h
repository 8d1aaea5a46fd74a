/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs here share: sockets, time, CPU of other processes. */
#ifndef WEIR_BENCH_H
#define WEIR_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

_Noreturn void bench_die(const char *what);
int64_t bench_now_ns(void);
/* A number of the command line, at most `max`; anything else ends the program. */
unsigned long bench_number(const char *text, unsigned long max);

/* Non-blocking, TCP_NODELAY. Port 0: any; *port gets it. */
int bench_listen(uint16_t *port);
int bench_connect(uint16_t port);
/* All of it, waiting while the socket is full. False: errno says why. */
bool bench_send(int fd, const char *bytes, size_t len);
void bench_watch(int epoll_fd, int fd, void *ptr);

/*
 * The end of the first HTTP message in bytes[0..len), 0 if it is not complete.
 * Understands Content-Length and nothing else: this is the least that can be done.
 */
size_t bench_message_end(const char *bytes, size_t len);

/* Nanoseconds on a CPU of all threads of a process, from its schedstat. */
uint64_t bench_cpu_ns(int pid);

#endif
