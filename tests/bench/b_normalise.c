/*
 * What a payload costs, stage by stage: reading its JSON, that and the
 * metadata, the whole of normalise(), the hash alone.  One thread, no database.
 * usage: b_normalise [FILE of {"name", "payload"} lines] [seconds a stage]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "json_in.h"
#include "model/metadata.h"
#include "model/normalise.h"

#define ITEMS_MAX 256

static struct str items[ITEMS_MAX];
static size_t n_items, bytes;
static struct arena arena;

/* Time of the thread's own work: the machine may have more to do. */
static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
parse(struct str item)
{
	struct err e;

	arena_reset(&arena);
	if (json_tree_parse(item, &arena, &e) == NULL)
		abort();
}

static void
metadata(struct str item)
{
	struct usage_event ev = { .ts_ms = 1800000000000 };
	struct record r;
	struct err e;

	arena_reset(&arena);
	record_index(&r, json_tree_parse(item, &arena, &e));
	(void)metadata_read(&r, &ev, &arena);
}

static void
whole(struct str item)
{
	struct usage_event ev;
	struct err e;

	arena_reset(&arena);
	if (normalise(item, 1800000000000, &arena, &ev, &e) != PAYLOAD_EVENT)
		abort();
}

static void
hash(struct str item)
{
	static struct usage_event ev;

	(void)item;
	ev.ts_text = STR("2026-11-24T03:18:09.339144475Z");
	ev.request_id = STR("9abd09b3");
	ev.endpoint = STR("POST /v1/responses");
	ev.model = STR("my-codex");
	ev.auth_index = STR("67753e89156ae85b");
	ev.has_source_hash = true;
	ev.latency_ms.set = true;
	event_hash(&ev);
}

static void
stage(const char *name, void (*work)(struct str), double seconds)
{
	int64_t until, begin = now_ns(), end;
	uint64_t rounds = 0;

	until = begin + (int64_t)(seconds * 1e9);
	do {
		for (size_t i = 0; i < n_items; i++)
			work(items[i]);
		rounds += n_items;
	} while ((end = now_ns()) < until);
	printf("%-20s %8.0f ns an event\n", name,
	    (double)(end - begin) / (double)rounds);
}

/* Events that look like traffic: the payloads that a real CPA published. */
static int
load(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;

	if (f == NULL) {
		perror(path);
		return -1;
	}
	while (n_items < ITEMS_MAX && getline(&line, &size, f) > 0) {
		json_t *v = json_loads(line, JSON_ALLOW_NUL, NULL);
		const char *name =
		    json_string_value(json_object_get(v, "name"));
		struct str s = json_in_text(json_object_get(v, "payload"));

		if (name == NULL || strncmp(name, "genuine:", 8) != 0)
			continue;
		/* v stays: its text is the item */
		items[n_items++] = s;
		bytes += s.n;
	}
	free(line);
	fclose(f);
	return n_items > 0 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;

	if (load(argc > 1 ? argv[1] : "tests/data/events.jsonl") != 0)
		return 1;
	arena_init(&arena, 1024 * 1024);
	printf(
	    "%zu payloads, %zu bytes on average\n", n_items, bytes / n_items);
	stage("parse", parse, seconds);
	stage("parse, metadata", metadata, seconds);
	stage("all of normalise()", whole, seconds);
	stage("hash", hash, seconds);
	arena_free(&arena);
	return 0;
}
