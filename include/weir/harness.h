/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir/harness.h: what the conformance kit asks of whoever controls a backend's
 * server while a driver is judged: `weir conform KIND --harness PROGRAM`.
 *
 * A harness is a program, in whatever language: the kit runs `PROGRAM VERB
 * [ARGUMENT...]` and waits for it to end. It is optional. A driver that is judged
 * without one gets all cases but those that break its server, or look at what it
 * stored by another path than the driver's.
 *
 *   about               prints the server's name and version, one line
 *   up PORT             starts the server, with nothing in it, and prints lines:
 *                         address HOST:PORT   where it listens
 *                         setting KEY=VALUE   what the driver is to be configured
 *                                             with. Clients shall connect to
 *                                             127.0.0.1 at the PORT that was
 *                                             given: there the kit's proxy
 *                                             listens, which cuts, resets and
 *                                             delays, and passes on to `address`
 *   down                stops the server and forgets what it stored
 *   stop, start         in an orderly way; start again with what it stored
 *   kill                at once, as by SIGKILL
 *   pause, resume       it stays connected and does nothing, as by SIGSTOP
 *   put NS NAME         stores what comes on standard input as the body of one
 *                       record of that channel, by another path than the driver
 *   get NS NAME         prints the body of the channel's oldest record
 *
 * Every verb returns when it is done: `start` when clients can connect. Exit
 * status 0: done. WEIR_HARNESS_NONE: there is no such thing here, and what needs
 * it is skipped. Anything else: it failed, the reason is on standard error, and
 * the case ends as an error of the harness, not of the driver.
 */
#ifndef WEIR_HARNESS_H
#define WEIR_HARNESS_H

#ifdef __cplusplus
extern "C" {
#endif

enum {
	WEIR_HARNESS_DONE = 0,
	WEIR_HARNESS_NONE = 77,
};

#ifdef __cplusplus
}
#endif
#endif
