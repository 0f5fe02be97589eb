/*
 * How long does it take to read events back and write them as lines?
 * usage: b_export DATABASE
 * Prints events, bytes and the nanoseconds of processor time an event.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db.h"
#include "event_json.h"
#include "event_read.h"

#define PAGE_EVENTS 512

int
main(int argc, char **argv)
{
	int64_t after_ms = INT64_MIN, after_id = 0, newest, events = 0;
	struct event_reader *reader;
	struct event_row row;
	struct arena arena;
	struct json_out o;
	struct buf lines;
	uint64_t bytes = 0;
	struct db db;
	struct err e;
	clock_t begun;
	int n;

	if (argc != 2 || db_open(&db, argv[1], DB_READ, &e) != 0 ||
	    events_newest_id(&db, &newest, &e) != 0 ||
	    (reader = event_reader_new(&db)) == NULL) {
		fprintf(stderr, "usage: b_export DATABASE\n");
		return 1;
	}
	arena_init(&arena, (size_t)64 * 1024 * 1024);
	buf_init(&lines, (size_t)64 * 1024 * 1024);
	begun = clock();
	do {
		sqlite3_stmt *st = db_stmt(&db, SQL_events_ascending, &e);

		n = 0;
		arena_reset(&arena);
		buf_clear(&lines);
		json_out_init(&o, &lines, NULL, NULL);
		db_bind_i64(st, P_events_ascending_after_ms, after_ms);
		db_bind_i64(st, P_events_ascending_after_id, after_id);
		db_bind_i64(st, P_events_ascending_to_ms, INT64_MAX);
		db_bind_i64(st, P_events_ascending_newest_id, newest);
		db_bind_i64(st, P_events_ascending_limit, PAGE_EVENTS);
		while (db_step(&db, st, &e) == 1 &&
		       event_reader_row(reader, st, &arena, &row, &e) == 0) {
			event_json(&o, &row, false);
			(void)json_out_done(&o);
			after_ms = row.ev.ts_ms;
			after_id = row.id;
			n++;
		}
		db_reset(st);
		events += n;
		bytes += lines.n;
	} while (n == PAGE_EVENTS);
	printf("%" PRId64 " events, %" PRIu64 " bytes, %.0f ns an event\n",
	    events, bytes,
	    (double)(clock() - begun) * 1e9 / CLOCKS_PER_SEC /
		(double)(events > 0 ? events : 1));
	return 0;
}
