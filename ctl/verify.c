/*
 * cpactl verify: is what is stored sound?  Reads only; a line for each check.
 * The larger checks are in verify_events.c and verify_spool.c.
 */
#include "ctl/verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "bootstrap.h"
#include "clock.h"

#define NAME "verify"
#define PROGRESS_MS 100

void
verify_found(struct verify *v, const char *fmt, ...)
{
	va_list args;

	if (v->found++ > 0)
		return;
	va_start(args, fmt);
	(void)vsnprintf(v->text, sizeof v->text, fmt, args);
	va_end(args);
}

void
verify_progress(struct verify *v, int64_t done, int64_t of)
{
	int64_t now_ms;

	if (!v->terminal ||
	    (now_ms = clock_mono_ms()) - v->shown_ms < PROGRESS_MS)
		return;
	v->shown_ms = now_ms;
	printf("\r%-15s %3.0f %%", v->what,
	    of > 0 ? 100 * (double)done / (double)of : 0.0);
	fflush(stdout);
}

/* ---- checks of a few rows, or that SQLite makes --------------------------
 */

static int
file(struct verify *v, struct err *e)
{
	sqlite3_stmt *st = db_stmt(v->db, SQL_meta_integrity, e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = db_step(v->db, st, e)) == 1) {
		struct str line = db_col_str(st, 0);

		if (!str_eq(line, STR("ok")))
			verify_found(v, "%.*s", STR_ARG(line));
	}
	return rc;
}

static int
references(struct verify *v, struct err *e)
{
	sqlite3_stmt *st = db_stmt(v->db, SQL_meta_foreign_keys, e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = db_step(v->db, st, e)) == 1) {
		struct str table = db_col_str(st, 0);

		verify_found(v, "row %" PRId64 " of %.*s belongs to nothing",
		    db_col_i64(st, 1), STR_ARG(table));
	}
	return rc;
}

static int
counters(struct verify *v, struct err *e)
{
	sqlite3_stmt *st = db_stmt(v->db, SQL_ctl_counts, e);
	int rc;

	if (st == NULL)
		return -1;
	while ((rc = db_step(v->db, st, e)) == 1) {
		struct str what = db_col_str(st, 0);
		int64_t stored = db_col_i64(st, 1), counted = db_col_i64(st, 2);

		if (db_col_is_null(st, 2))
			verify_found(
			    v, "the counter of %.*s is missing", STR_ARG(what));
		else if (stored != counted)
			verify_found(v,
			    "%" PRId64 " %.*s are stored, the counter says "
			    "%" PRId64,
			    stored, STR_ARG(what), counted);
	}
	return rc;
}

static int
secrets(struct verify *v, struct err *e)
{
	struct data_key k;

	if (bootstrap_check_secrets(v->cfg, v->db, &k, e) != 0)
		return -1;
	data_key_wipe(&k);
	return 0;
}

/* ---- all of them ---------------------------------------------------------
 */

static const struct {
	const char *what;
	verify_check *run;
} checks[] = {
	{ "database file", file },
	{ "references", references },
	{ "dictionaries", verify_dictionaries },
	{ "event details", verify_details },
	{ "event hashes", verify_hashes },
	{ "counters", counters },
	{ "stored secrets", secrets },
	{ "spool", verify_spool },
};

/* Returns whether all was well. */
static bool
run_check(struct verify *v, verify_check *run)
{
	struct err e;

	v->found = 0;
	v->text[0] = '\0';
	v->shown_ms = clock_mono_ms();
	if (v->terminal) {
		printf("%-15s ...", v->what);
		fflush(stdout);
	}
	if (run(v, &e) != 0)
		verify_found(v, "%s", e.text);
	/* erase to the end of the line what progress has left there */
	printf("%s%-15s ", v->terminal ? "\r\033[K" : "", v->what);
	if (v->found == 0)
		fputs("ok", stdout);
	else
		ctl_put_text(stdout, v->text);
	if (v->found > 1)
		printf(" (and %" PRId64 " more)", v->found - 1);
	putchar('\n');
	fflush(stdout);
	return v->found == 0;
}

int
ctl_verify(const struct cfg *c, const struct ctl_args *a)
{
	struct verify v = { .cfg = c, .terminal = isatty(STDOUT_FILENO) == 1 };
	int code = EXIT_OK;
	struct db db;

	(void)a;
	if (ctl_open(NAME, c, &db, DB_READ) != 0)
		return EXIT_FAILED;
	v.db = &db;
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		v.what = checks[i].what;
		if (!run_check(&v, checks[i].run))
			code = EXIT_FAILED;
	}
	db_close(&db);
	return code;
}
