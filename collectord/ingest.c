#include "ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json_split.h"
#include "json_tree.h"
#include "model/normalise.h"
#include "store.h"

#define EVENTS_MAX 1000   /* of one transaction */
#define TRANSACTION_MS 40 /* leaves room for the commit itself */
#define ARENA_FULL ((size_t)8 * 1024 * 1024) /* enough for one transaction */
#define ARENA_MAX ((size_t)160 * 1024 * 1024)
#define WINDOW_MAX ((size_t)80 * 1024 * 1024) /* the largest element */
#define DEAD_MAX ((size_t)64 * 1024)          /* kept of a dead letter */

struct item { /* what an event was made of */
	struct str text;
	int64_t element; /* place within the batch */
};

struct dead_letter {
	struct str payload, reason;
	int64_t element;
};

struct ingest {
	struct store *store;
	struct buf window; /* answer, from the first element not yet taken */
	struct json_split split;
	struct arena arena; /* of the events of one transaction */
	struct usage_event events[EVENTS_MAX];
	struct item items[EVENTS_MAX];
	size_t n_events, n_dead;
	struct dead_letter dead[2 * EVENTS_MAX]; /* each event may become one */
	const struct account_list *(*get_accounts)(void *arg); /* or NULL */
	void *get_accounts_arg;
	const struct account_list *accounts; /* of this batch; NULL: none */
	bool accounts_asked;
	int64_t element; /* elements of the batch taken so far */
	bool over;       /* no more elements */
	bool whole;      /* ... because the list has ended */
};

struct ingest *
ingest_new(void)
{
	struct ingest *in = calloc(1, sizeof *in);

	if (in == NULL)
		return NULL;
	in->store = store_new();
	buf_init(&in->window, WINDOW_MAX);
	arena_init(&in->arena, ARENA_MAX);
	if (in->store == NULL) {
		ingest_free(in);
		return NULL;
	}
	return in;
}

void
ingest_free(struct ingest *in)
{
	if (in == NULL)
		return;
	store_free(in->store);
	buf_free(&in->window);
	arena_free(&in->arena);
	free(in);
}

void
ingest_forget(struct ingest *in)
{
	store_forget(in->store);
}

struct store *
ingest_store(struct ingest *in)
{
	return in->store;
}

void
ingest_use_accounts(
    struct ingest *in, const struct account_list *(*get)(void *arg), void *arg)
{
	in->get_accounts = get;
	in->get_accounts_arg = arg;
}

/* ---- elements ---- */

static bool
is_damaged(const struct err *e)
{
	return strcmp(err_code(e), "spool_damaged") == 0;
}

static void
add_dead(
    struct ingest *in, struct str payload, int64_t element, const char *reason)
{
	struct dead_letter *dead = &in->dead[in->n_dead++];

	dead->element = element;
	dead->payload = redact_payload(payload, DEAD_MAX, &in->arena);
	dead->reason = str_of(arena_strdup(&in->arena, str_of(reason)));
}

/* An event keeps what it was made of, in case the database refuses it. */
static void
keep_item(struct ingest *in, struct str text)
{
	struct item *item = &in->items[in->n_events];

	item->text = text;
	item->element = in->element;
}

/* The text of an element that is a JSON string; *item stays for others. */
static int
unquote(struct ingest *in, struct str *item, struct err *e)
{
	const struct json_tree *v;

	if (item->n == 0 || item->p[0] != '"')
		return 0;
	if ((v = json_tree_parse(*item, &in->arena, e)) == NULL)
		return -1;
	*item = json_tree_text(v);
	return 0;
}

static void
take(struct ingest *in, struct str element, int64_t now_ms,
    struct ingest_result *result)
{
	struct str item = element;
	struct err e;

	in->element++;
	if (str_eq(element, STR("null")))
		return;
	/* an event's texts are views of it, and the window moves on */
	if ((item.p = arena_strdup(&in->arena, element)) == NULL) {
		add_dead(in, element, in->element, "payload is too large");
		return;
	}
	if (unquote(in, &item, &e) != 0) {
		add_dead(in, item, in->element, e.text);
		return;
	}
	switch (normalise(
	    item, now_ms, &in->arena, &in->events[in->n_events], &e)) {
	case PAYLOAD_EVENT:
		keep_item(in, item);
		in->n_events++;
		break;
	case PAYLOAD_REFRESH:
		result->refresh = true;
		break;
	case PAYLOAD_DEAD:
		add_dead(in, item, in->element, e.text);
		break;
	case PAYLOAD_BLANK:
	case PAYLOAD_CONTROL:
		break;
	}
}

/* The answer, or the rest of it, is not what was agreed. */
static void
refuse_rest(struct ingest *in, struct str rest, const char *reason,
    struct ingest_result *result)
{
	in->element++;
	add_dead(in, rest, in->element, reason);
	text_set(result->problem, sizeof result->problem, reason);
	in->over = true;
}

/* The elements that did not come whole are lost; the table of gaps says so. */
static void
end_early(struct ingest *in, const char *problem, struct ingest_result *result)
{
	text_set(result->problem, sizeof result->problem, problem);
	in->over = true;
}

/* Take elements until a transaction is full or the batch is over. */
static int
gather(struct ingest *in, struct spool *spool, struct spool_batch *b,
    struct ingest_result *result, struct err *e)
{
	struct str element;
	int rc;

	while (!in->over && in->n_events < EVENTS_MAX &&
	       in->n_dead < EVENTS_MAX && in->arena.used_bytes < ARENA_FULL) {
		switch (json_split_next(
		    &in->split, buf_view(&in->window), &element)) {
		case JSON_SPLIT_ELEMENT:
			take(in, element, b->end_ms, result);
			break;
		case JSON_SPLIT_END:
			in->over = in->whole = true;
			break;
		case JSON_SPLIT_BAD:
			/* all of it, for a person to look at */
			while ((rc = spool_read(spool, b, &in->window, e)) == 1)
				;
			if (rc < 0 && e->kind != ERR_TOO_LARGE &&
			    !is_damaged(e))
				return -1;
			refuse_rest(in, buf_view(&in->window),
			    "usage queue answer is not a JSON array", result);
			break;
		case JSON_SPLIT_MORE:
			buf_consume(&in->window, in->split.pos);
			in->split.pos = 0;
			rc = spool_read(spool, b, &in->window, e);
			if (rc == 1)
				break;
			if (rc == 0)
				end_early(in, "unexpected EOF", result);
			else if (e->kind == ERR_TOO_LARGE)
				refuse_rest(
				    in, buf_view(&in->window), e->text, result);
			else if (is_damaged(e))
				end_early(in, e->text, result);
			else
				return -1;
			break;
		}
	}
	return 0;
}

/* Who paid: what CPA's list of accounts adds to the events gathered. */
static void
add_accounts(struct ingest *in)
{
	for (size_t i = 0; i < in->n_events; i++) {
		struct usage_event *ev = &in->events[i];

		if (!event_wants_account(ev))
			continue;
		if (!in->accounts_asked && in->get_accounts != NULL)
			in->accounts = in->get_accounts(in->get_accounts_arg);
		in->accounts_asked = true;
		if (in->accounts == NULL)
			return;
		event_add_account(ev, in->accounts);
	}
}

/* ---- transactions ---- */

/* Events from *i on, until the transaction has lasted long enough. */
static int
store_events(struct ingest *in, struct db *db, size_t *i,
    struct ingest_result *part, struct err *e)
{
	int64_t begun_ms = clock_mono_ms(), now_ms = clock_now_ms();
	bool inserted;

	for (; *i < in->n_events; ++*i) {
		const struct item *item = &in->items[*i];

		if (*i % 32 == 31 &&
		    clock_mono_ms() - begun_ms > TRANSACTION_MS)
			break;
		if (store_event(in->store, db, &in->events[*i], now_ms,
			&inserted, e) == 0) {
			part->inserted += inserted;
			part->skipped += !inserted;
		} else if (store_is_refusal(db, e)) {
			add_dead(in, item->text, item->element, e->text);
		} else {
			return -1;
		}
	}
	return 0;
}

/*
 * What ends a batch.  Events may be missing when the list has not come to its
 * end; but not when as many elements came as were asked for, since CPA gives
 * no more.
 */
static int
store_end(struct ingest *in, struct db *db, const struct spool_batch *b,
    struct ingest_result *result, struct err *e)
{
	int64_t missing = (int64_t)b->count - in->element;

	result->gap = !in->whole && (b->count == 0 || missing > 0);
	if (result->gap &&
	    store_gap(db, b, b->count == 0 ? -1 : missing, e) != 0)
		return -1;
	return store_position(db, b->after, e);
}

/*
 * One transaction: events from *done on, the dead letters with the last of
 * them, and the end of the batch when it has come.
 */
static int
transaction(struct ingest *in, struct db *db, const struct spool_batch *b,
    size_t *done, struct ingest_result *result,
    int (*before_commit)(struct db *db, void *arg, struct err *e), void *arg,
    struct err *e)
{
	struct ingest_result before = *result;
	size_t i = *done, dead_before = in->n_dead;
	bool inserted, last, end;

	if (db_begin(db, e) != 0)
		return -1;
	if (store_events(in, db, &i, result, e) != 0)
		goto fail;
	last = i == in->n_events;
	end = last && in->over;
	for (size_t j = 0; last && j < in->n_dead; j++) {
		const struct dead_letter *dead = &in->dead[j];

		if (store_dead(db, b, dead->element, dead->payload,
			dead->reason, &inserted, e) != 0)
			goto fail;
		result->dead += inserted;
	}
	if (store_counter(
		db, "events", result->inserted - before.inserted, e) != 0 ||
	    store_counter(db, "dead_letters", result->dead - before.dead, e) !=
		0)
		goto fail;
	if (end && store_end(in, db, b, result, e) != 0)
		goto fail;
	if (end && before_commit != NULL && before_commit(db, arg, e) != 0)
		goto fail;
	if (db_commit(db, e) != 0)
		goto fail;
	*done = i;
	return 0;
fail:
	db_rollback(db);
	/* numbers that were given out in it may be given out again */
	store_forget(in->store);
	*result = before;
	in->n_dead = dead_before;
	return -1;
}

int
ingest_batch(struct ingest *in, struct db *db, struct spool *spool,
    const struct spool_batch *batch, struct ingest_result *result,
    int (*before_commit)(struct db *db, void *arg, struct err *e), void *arg,
    struct err *e)
{
	struct spool_batch b = *batch;
	int rc = -1;

	*result = (struct ingest_result){ .inserted = 0 };
	buf_clear(&in->window);
	json_split_init(&in->split);
	in->element = 0;
	in->accounts = NULL;
	in->accounts_asked = false;
	in->over = !b.has_data;
	in->whole = false;
	do {
		size_t done = 0;

		arena_reset(&in->arena);
		in->n_events = in->n_dead = 0;
		if (gather(in, spool, &b, result, e) != 0)
			goto out;
		add_accounts(in);
		do
			if (transaction(in, db, &b, &done, result,
				before_commit, arg, e) != 0)
				goto out;
		while (done < in->n_events);
	} while (!in->over);
	rc = 0;
out:
	in->accounts = NULL;
	arena_reset(&in->arena);
	buf_clear(&in->window);
	return rc;
}
