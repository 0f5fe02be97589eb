/*
 * Every limit of the application, in one place.
 */
#ifndef LIMITS_H
#define LIMITS_H

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

#define HEADERS_MAX (64 * KIB) /* all parameters of a request: else 431 */
#define TARGET_MAX (16 * KIB)  /* path and query as sent */
#define SEGMENTS_MAX 32        /* of a path */
#define QUERY_PAIRS_MAX 256
#define ROUTE_ARGS_MAX 4 /* {names} in a pattern */

#define REQUEST_ARENA_MAX (16 * MIB) /* memory of one request */
#define ANSWER_MAX (16 * MIB)        /* an answer that is not streamed */
#define SMALL_BODY_MAX (64 * KIB)    /* settings */
#define ALIAS_BODY_MAX (1 * MIB)
#define QUERY_BODY_MAX (1 * MIB) /* filters with long lists */

#define IMPORT_BODY_MAX (64 * MIB) /* before unpacking */
#define EXPORTS_MAX                                              \
	8 /* at once: each holds a thread while its client reads \
	   */

#define BODY_TIME_MS 60000      /* for the whole body to arrive */
#define STATEMENT_TIME_MS 20000 /* for all SQL of one request */
#define DRAIN_MS 10000          /* for running requests at the end */

#define THREADS_DEFAULT 16
#define THREADS_MAX 256

#endif
