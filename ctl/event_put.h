/*
 * Events on standard output: as a table for people, as JSON or CSV for
 * programs.
 */
#ifndef CTL_EVENT_PUT_H
#define CTL_EVENT_PUT_H

#include <stdbool.h>

#include "buf.h"
#include "crypt.h"
#include "ctl/ctl.h"
#include "event_read.h"

enum table_column {
	COL_TIME,
	COL_MODEL,
	COL_PROVIDER,
	COL_ACCOUNT,
	COL_INPUT,
	COL_OUTPUT,
	COL_MS,
	COL_OUTCOME,
	TABLE_COLUMNS
};

struct event_put {
	enum ctl_format format;
	struct buf line; /* of JSON */
	bool terminal;   /* where output could steer something */
	bool headed;     /* the names of the columns are out */
	bool narrow;     /* the table leaves out what it can */
	int width[TABLE_COLUMNS];
};

void event_put_init(struct event_put *p, enum ctl_format format);
void event_put_free(struct event_put *p);

/* The names of the columns, unless they are out or there are none. */
void event_put_heading(struct event_put *p);

/* ERR_TOO_LARGE for an event that does not fit into a line of JSON. */
int event_put(struct event_put *p, const struct event_row *row,
    struct err *e) ATTR_USE_RESULT;

/* The first that is not empty. */
struct str first_of(struct str a, struct str b, struct str c);

#define API_KEY_HASH_TEXT (2 * SHA256_BYTES + 1)

/* The hash of the caller's key in hexadecimal, in out; empty: none. */
struct str api_key_hash_text(
    const struct usage_event *ev, char out[API_KEY_HASH_TEXT]);

void event_put_table(struct event_put *p, const struct usage_event *ev);
void event_put_table_heading(struct event_put *p);
void event_put_csv(struct event_put *p, const struct usage_event *ev);
void event_put_csv_heading(void);

#endif
