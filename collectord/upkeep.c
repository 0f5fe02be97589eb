#include "upkeep.h"

#include "clock.h"
#include "log.h"
#include "store.h"

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)
#define ROUND_MS ((int64_t)10 * 60 * 1000)

/* dead letters: kept at most, looked at so often, when so many have come */
#define LETTERS_MAX 10000
#define LETTERS_BYTES ((int64_t)16 * 1024 * 1024)
#define LETTERS_LOOK_MS 1000
#define LETTERS_NEW 500

#define STEP_MS 8  /* nothing is begun after; the commit comes then */
#define SLOW_MS 16 /* a transaction that long calls for a smaller one */
#define SMALLER_MAX 5
#define LOCK_MS 40     /* longest wait for a lock, and with one */
#define LOCKED_MS 1000 /* somebody has it: come back after */
#define IDLE_PAUSE 2   /* a pause is so many times as long as the step */
#define LOAD_PAUSE 10  /* the same under load */
#define SPARE_PAGES 64 /* free ones worth no work */

/* ---- what a step does ---- */

static int64_t
remove_events(struct upkeep *u, struct db *db, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_upkeep_events_remove, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_upkeep_events_remove_before_ms, u->events_before_ms);
	db_bind_i64(st, P_upkeep_events_remove_n, 32);
	return db_exec(db, st, e) != 0 ? -1 : sqlite3_changes64(db->handle);
}

/* Fewer at a time: each may have 64 KiB. */
static int64_t
remove_letters(struct upkeep *u, struct db *db, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_upkeep_letters_remove, e);

	if (st == NULL)
		return -1;
	db_bind_i64(st, P_upkeep_letters_remove_last_id, u->letters_last_id);
	db_bind_i64(
	    st, P_upkeep_letters_remove_before_ms, u->letters_before_ms);
	db_bind_i64(st, P_upkeep_letters_remove_n, 4);
	return db_exec(db, st, e) != 0 ? -1 : sqlite3_changes64(db->handle);
}

/* The one figure that a statement without parameters gives, or -1. */
static int64_t
figure(struct db *db, sqlite3_stmt *st, struct err *e)
{
	int64_t n;

	if (st == NULL || db_step(db, st, e) != 1)
		return -1;
	n = db_col_i64(st, 0);
	db_reset(st);
	return n;
}

static int64_t
free_pages(struct db *db, struct err *e)
{
	return figure(db, db_stmt(db, SQL_upkeep_free_pages, e), e);
}

static int64_t
give_back(struct upkeep *u, struct db *db, struct err *e)
{
	int64_t before = free_pages(db, e), after;
	sqlite3_stmt *st;

	(void)u;
	if (before <= SPARE_PAGES)
		return before < 0 ? -1 : 0;
	if ((st = db_stmt(db, SQL_upkeep_give_back, e)) == NULL ||
	    db_exec(db, st, e) != 0 || (after = free_pages(db, e)) < 0)
		return -1;
	/* a file that was not made for it does not get smaller */
	return after < before ? before - after : 0;
}

static const struct {
	/* a little of it: rows or pages, 0 when there are no more, or -1 */
	int64_t (*some)(struct upkeep *u, struct db *db, struct err *e);
	const char *counter; /* that goes down with it */
	int64_t most; /* of a transaction: each makes its commit longer */
} phases[UPKEEP_PHASES] = {
	[UPKEEP_EVENTS] = { remove_events, "events", 500 },
	[UPKEEP_LETTERS] = { remove_letters, "dead_letters", 32 },
	[UPKEEP_PAGES] = { give_back, NULL, 256 },
};

/* The rows are the same, the commit is not: it depends on where they lie. */
static void
adapt(struct upkeep *u, const struct db *db)
{
	int64_t ms = (db->unlocked_ns - db->begun_ns) / 1000000;

	if (ms > SLOW_MS && u->smaller < SMALLER_MAX)
		u->smaller++;
	else if (ms < SLOW_MS / 2 && u->smaller > 0)
		u->smaller--;
}

/* One transaction of the phase.  Returns 1, 0 when it has come to its end. */
static int
transaction(struct upkeep *u, struct db *db, struct err *e)
{
	int64_t most = phases[u->phase].most >> u->smaller;
	int64_t begun_ms, done = 0, n;

	if (db_begin(db, e) != 0)
		return -1;
	begun_ms = clock_mono_ms();
	do {
		n = phases[u->phase].some(u, db, e);
		if (n < 0)
			goto fail;
		done += n;
	} while (n > 0 && done < most && clock_mono_ms() - begun_ms < STEP_MS);
	if (phases[u->phase].counter != NULL &&
	    store_counter(db, phases[u->phase].counter, -done, e) != 0)
		goto fail;
	if (db_commit(db, e) != 0)
		return -1;
	adapt(u, db);
	u->removed[u->phase] += done;
	return n > 0;
fail:
	db_rollback(db);
	return -1;
}

/* ---- when ---- */

static bool
is_due(int64_t last_ms, int64_t every_ms)
{
	int64_t now_ms = clock_now_ms();

	/* a clock that was put back must not stop it for years */
	return last_ms == 0 || now_ms < last_ms || now_ms - last_ms >= every_ms;
}

/* What is from before this is too old. */
static int64_t
limit_of(int64_t days)
{
	int64_t now_ms = clock_now_ms();

	return days == 0 || days > now_ms / DAY_MS ? INT64_MIN :
						     now_ms - days * DAY_MS;
}

/*
 * How many dead letters are too many, and are there any to be removed at
 * all?  Reads, outside of any transaction, what is kept and one row more.
 */
static int
judge_letters(struct upkeep *u, struct db *db, bool *any, struct err *e)
{
	sqlite3_stmt *st = db_stmt(db, SQL_upkeep_letters, e);
	int64_t rows = 0, bytes = 0;
	int rc;

	u->letters_last_id = INT64_MIN;
	*any = false;
	if (st == NULL)
		return -1;
	while ((rc = db_step(db, st, e)) == 1) {
		bytes += db_col_i64(st, 2);
		*any |= db_col_i64(st, 1) < u->letters_before_ms;
		if (++rows <= LETTERS_MAX && bytes <= LETTERS_BYTES)
			continue;
		u->letters_last_id = db_col_i64(st, 0);
		*any = true;
		db_reset(st);
		return 0;
	}
	return rc;
}

/* Have many come since it was last looked?  They can come fast. */
static int
letters_have_come(struct upkeep *u, struct db *db, bool *many, struct err *e)
{
	int64_t now_ms = clock_mono_ms(), n;
	sqlite3_stmt *st;

	*many = false;
	if (now_ms - u->letters_ms < LETTERS_LOOK_MS)
		return 0;
	u->letters_ms = now_ms;
	if ((st = db_stmt(db, SQL_counter_get, e)) == NULL)
		return -1;
	db_bind_str(st, P_counter_get_name, STR("dead_letters"));
	if ((n = figure(db, st, e)) < 0)
		return -1;
	if (n < u->letters)
		u->letters = n;
	*many = n - u->letters >= LETTERS_NEW;
	if (*many)
		u->letters = n;
	return 0;
}

static void
begin_round(struct upkeep *u, const struct cfg *cfg, enum upkeep_phase phase)
{
	u->phase = phase;
	u->events_before_ms = limit_of(cfg->retention_days);
	u->letters_before_ms = limit_of(cfg->dead_letter_days);
	for (int i = 0; i < UPKEEP_PHASES; i++)
		u->removed[i] = 0;
}

static void
end_round(struct upkeep *u)
{
	int64_t events = u->removed[UPKEEP_EVENTS],
		letters = u->removed[UPKEEP_LETTERS],
		pages = u->removed[UPKEEP_PAGES];

	u->phase = UPKEEP_REST;
	if (events > 0 || letters > 0 || pages > 0)
		log_write(LOG_INFO, "upkeep", LOG_INT("events_removed", events),
		    LOG_INT("dead_letters_removed", letters),
		    LOG_INT("pages_given_back", pages));
}

/* At rest: is it time for something?  Returns 1 when a round has begun. */
static int
look(struct upkeep *u, struct db *db, const struct cfg *cfg, bool idle,
    struct err *e)
{
	bool many;

	if (is_due(u->round_ms, ROUND_MS)) {
		u->round_ms = clock_now_ms();
		begin_round(u, cfg, UPKEEP_EVENTS);
		return 1;
	}
	if (letters_have_come(u, db, &many, e) != 0)
		return -1;
	if (many) {
		begin_round(u, cfg, UPKEEP_LETTERS);
		return 1;
	}
	if (idle && is_due(u->optimised_ms, DAY_MS)) {
		u->optimised_ms = clock_now_ms();
		/* nothing depends on it */
		db_deadline(db, clock_mono_ms() + LOCK_MS);
		(void)sqlite3_exec(db->handle, stmt_text[SQL_upkeep_optimise],
		    NULL, NULL, NULL);
		db_deadline(db, 0);
	}
	return 0;
}

/* Work on the phase.  Returns 1 while the round goes on, 0 at its end. */
static int
go_on(struct upkeep *u, struct db *db, struct err *e)
{
	bool any = true;
	int rc = 0;

	if (u->phase == UPKEEP_EVENTS)
		any = u->events_before_ms != INT64_MIN;
	else if (u->phase == UPKEEP_LETTERS && u->removed[u->phase] == 0)
		rc = judge_letters(u, db, &any, e);
	if (rc == 0 && any)
		rc = transaction(u, db, e);
	if (rc != 0)
		return rc;
	if (++u->phase < UPKEEP_PHASES)
		return 1;
	end_round(u);
	return 0;
}

static bool
is_locked(struct db *db)
{
	return (sqlite3_errcode(db->handle) & 0xff) == SQLITE_BUSY;
}

/* ---- a step ---- */

int
upkeep_step(struct upkeep *u, struct db *db, const struct cfg *cfg, bool idle,
    struct err *e)
{
	int64_t begun_ms = clock_mono_ms(), took_ms;
	int rc;

	wal_tend(&u->wal, db, idle);
	if (begun_ms < (idle ? u->idle_ms : u->load_ms))
		return u->phase != UPKEEP_REST;
	db_set_busy(db, LOCK_MS);
	rc = u->phase == UPKEEP_REST ? look(u, db, cfg, idle, e) :
				       go_on(u, db, e);
	db_set_busy(db, DB_BUSY_MS);
	took_ms = clock_mono_ms() - begun_ms;
	u->idle_ms = begun_ms + took_ms * (1 + IDLE_PAUSE);
	u->load_ms = begun_ms + took_ms * (1 + LOAD_PAUSE);
	if (rc >= 0)
		return rc;
	if (is_locked(db)) {
		u->idle_ms = u->load_ms = begun_ms + LOCKED_MS;
		return 0;
	}
	end_round(u);
	return -1;
}
